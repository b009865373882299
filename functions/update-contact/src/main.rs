//! `PUT /contacts/{contact_id}`: changes the fields that are sent, and merges the metadata.

use shared::domain::{ContactId, ContactPatch};
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::UpdateContact;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: ContactId = request.path_id()?;
    let patch: ContactPatch = request.body()?;
    let contact = ctx.contacts(request.principal()).update(id, &patch, request.required_version()).await?;
    Ok(Response::ok(&contact))
}

#[cfg(test)]
mod tests;
