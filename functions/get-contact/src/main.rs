//! `GET /contacts/{contact_id}`: a contact with a page of its timeline.

use shared::domain::ContactId;
use shared::http::{ContactWithTimeline, TimelineQuery};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::GetContact, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: ContactId = call.path_id()?;
    let query: TimelineQuery = call.query()?;
    let (contact, timeline) = app.contacts(call.principal()).get(id, &query.0).await?;
    let next = query.next(id, &timeline);
    Ok(Reply::ok(&ContactWithTimeline(contact, timeline)).with_next(next))
}

#[cfg(test)]
mod tests;
