//! `GET /contacts/{contact_id}`: returns a contact with a page of its timeline.

use shared::domain::ContactId;
use shared::wire::{ContactWithTimeline, TimelineQuery};
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::GetContact;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: ContactId = request.path_id()?;
    let query: TimelineQuery = request.query()?;
    let (contact, timeline) = ctx.contacts(request.principal()).get(id, &query.0).await?;
    let next = query.next(&timeline);
    Ok(Response::ok(&ContactWithTimeline(contact, timeline)).with_next(&ENDPOINT.path_with(|_| id), next))
}

#[cfg(test)]
mod tests;
