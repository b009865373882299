//! `DELETE /contacts/{contact_id}`: removes a contact with all that belongs to it.

use shared::domain::ContactId;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::DeleteContact, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: ContactId = call.path_id()?;
    app.contacts(call.principal()).delete(id, call.required_version()).await?;
    Ok(Reply::message(format!("Contacto {id} eliminado")))
}

#[cfg(test)]
mod tests;
