//! `POST /contacts/{contact_id}/activities`: adds to a contact's timeline; what is there already stays as it is.

use shared::domain::ContactId;
use shared::http::NewActivities;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::RecordActivities, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: ContactId = call.path_id()?;
    let NewActivities(new) = call.body()?;
    let activities = app.activities(call.principal(), id);
    let drafted = activities.draft(new);
    let stored = activities.record(&drafted, |stored| call.receipt(&Reply::created(stored))).await?;
    Ok(Reply::created(stored.as_slice()))
}

#[cfg(test)]
mod tests;
