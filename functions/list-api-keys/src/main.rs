//! `GET /api-keys/`: the organization's API keys, newest first, without the keys themselves.

use shared::http::ListQuery;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::ListApiKeys, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let ListQuery { filter: (), limit, cursor } = call.query()?;
    let page = app.api_keys(call.principal()).list(limit, cursor).await?;
    Ok(call.list(&page))
}

#[cfg(test)]
mod tests;
