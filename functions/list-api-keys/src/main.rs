//! `GET /api-keys/`: the organization's API keys, newest first, without the keys themselves.

use shared::http::{ApiKeyListQuery, ApiKeyView};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::ListApiKeys, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let ApiKeyListQuery(page) = call.query()?;
    let found = app.api_keys(call.principal()).list(page.limit, page.cursor).await?;
    let next = page.next("/api-keys", found.next);
    Ok(Reply::list(found.rows.iter().map(ApiKeyView::of)).with_next(next))
}

#[cfg(test)]
mod tests;
