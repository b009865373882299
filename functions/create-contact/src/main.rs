//! `POST /contacts/`: creates a contact; 409 if another contact has its email.

use shared::domain::NewContact;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::CreateContact;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let new: NewContact = request.body()?;
    let contacts = ctx.contacts(request.principal());
    let contact = contacts.draft(new, request.import_id());
    let response = Response::created(&contact).with_location(Endpoint::GetContact, contact.id);
    contacts.create(&contact, request.idempotency_record(&response).as_ref()).await?;
    Ok(response)
}

#[cfg(test)]
mod tests;
