//! `PATCH /contacts/{contact_id}/activities/{activity_id}`: merges metadata that is known later, such as "delivered" or
//! "opened".

use shared::domain::{ActivityPatch, ContactId};
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::UpdateActivity;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: ContactId = request.path_id()?;
    let activity_id = request.activity_id()?;
    let patch: ActivityPatch = request.body()?;
    let activity = ctx.activities(request.principal(), id).update(&activity_id, &patch).await?;
    Ok(Response::ok(&activity))
}

#[cfg(test)]
mod tests;
