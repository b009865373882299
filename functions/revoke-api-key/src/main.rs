//! `DELETE /api-keys/{key_id}`: revokes an API key. It stays in its owner's list.

use shared::domain::ApiKeyId;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::RevokeApiKey, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: ApiKeyId = call.path_id()?;
    app.api_keys(call.principal()).revoke(id).await?;
    Ok(Reply::message(format!("API key {id} revocada")))
}

#[cfg(test)]
mod tests;
