//! `POST /contacts/{contact_id}/activities`: adds activities to a contact's timeline. Activities that exist already stay
//! unchanged.

use shared::domain::ContactId;
use shared::wire::NewActivities;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::RecordActivities;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: ContactId = request.path_id()?;
    let NewActivities(new) = request.body()?;
    let activities = ctx.activities(request.principal(), id);
    let drafted = activities.draft(new);
    let stored = activities.record(&drafted, |stored| request.idempotency_record(&Response::created(stored))).await?;
    Ok(Response::created(stored.as_slice()))
}

#[cfg(test)]
mod tests;
