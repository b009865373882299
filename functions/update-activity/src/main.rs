//! `PATCH /contacts/{contact_id}/activities/{activity_id}`: merges what is learned later: delivered, opened, replied.

use shared::domain::{ActivityPatch, ContactId};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::UpdateActivity, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: ContactId = call.path_id()?;
    let activity_id = call.activity_id()?;
    let patch: ActivityPatch = call.body()?;
    let activity = app.activities(call.principal(), id).update(&activity_id, &patch).await?;
    Ok(Reply::ok(&activity))
}

#[cfg(test)]
mod tests;
