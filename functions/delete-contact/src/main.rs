//! `DELETE /contacts/{contact_id}`: deletes a contact with its activities and leads.

use shared::domain::ContactId;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::DeleteContact;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: ContactId = request.path_id()?;
    ctx.contacts(request.principal()).delete(id, request.required_version()).await?;
    Ok(Response::message(format!("Contacto {id} eliminado")))
}

#[cfg(test)]
mod tests;
