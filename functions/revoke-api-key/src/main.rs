//! `DELETE /api-keys/{key_id}`: revokes an API key. The key stays in the list.

use shared::domain::ApiKeyId;
use shared::repositories::LastAdminKey;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::RevokeApiKey;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: ApiKeyId = request.path_id()?;
    ctx.api_keys(request.principal()).revoke(id, LastAdminKey::Keep).await?;
    Ok(Response::message(format!("API key {id} revocada")))
}

#[cfg(test)]
mod tests;
