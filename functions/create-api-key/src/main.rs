//! `POST /api-keys/`: creates an API key. The key is returned only in this response.

use shared::domain::{ApiKeySecret, NewApiKey};
use shared::wire::CreatedApiKey;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::CreateApiKey;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let new: NewApiKey = request.body()?;
    if !request.principal().may_grant(&new.scopes) {
        return Err(ApiError::Forbidden);
    }
    let keys = ctx.api_keys(request.principal());
    let secret = ApiKeySecret::new(new.live, ctx.random_bytes()?);
    let created = CreatedApiKey { key: keys.draft(new, &secret), secret };
    let response = Response::created(&created);
    keys.create(&created.secret.hash(), &created.key, request.idempotency_record(&response).as_ref()).await?;
    Ok(response)
}

#[cfg(test)]
mod tests;
