//! `PUT /contacts/{contact_id}`: changes the fields that are sent; metadata is merged.

use shared::domain::{ContactId, ContactPatch};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::UpdateContact, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: ContactId = call.path_id()?;
    let patch: ContactPatch = call.body()?;
    let contact = app.contacts(call.principal()).update(id, &patch, call.required_version()).await?;
    Ok(Reply::ok(&contact))
}

#[cfg(test)]
mod tests;
