//! `POST /contacts/`: creates a contact; 409 if its e-mail is taken.

use shared::domain::NewContact;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::CreateContact, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let new: NewContact = call.body()?;
    let contacts = app.contacts(call.principal());
    let contact = contacts.draft(new, call.import_id());
    let reply = Reply::created(&contact);
    contacts.create(&contact, call.receipt(&reply).as_ref()).await?;
    Ok(reply)
}

#[cfg(test)]
mod tests;
