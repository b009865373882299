//! `GET /contacts/`: the organization's contacts, newest first.

use shared::http::ListQuery;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::ListContacts, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let ListQuery { filter, limit, cursor } = call.query()?;
    let page = app.contacts(call.principal()).list(&filter, limit, cursor).await?;
    Ok(call.list(&page))
}

#[cfg(test)]
mod tests;
