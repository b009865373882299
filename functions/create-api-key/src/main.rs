//! `POST /api-keys/`: creates an API key, which is shown in this answer and nowhere else.

use shared::domain::{ApiKeySecret, NewApiKey};
use shared::http::CreatedApiKey;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::CreateApiKey, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let new: NewApiKey = call.body()?;
    if !call.principal().may_grant(&new.scopes) {
        return Err(ApiError::Forbidden);
    }
    let keys = app.api_keys(call.principal());
    let secret = ApiKeySecret::generate(new.live)?;
    let created = CreatedApiKey { key: keys.draft(new, &secret), secret };
    let reply = Reply::created(&created);
    keys.create(&created.secret.hash(), &created.key, call.receipt(&reply).as_ref()).await?;
    Ok(reply)
}

#[cfg(test)]
mod tests;
