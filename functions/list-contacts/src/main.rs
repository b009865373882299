//! `GET /contacts/`: the organization's contacts, newest first.

use shared::http::{ContactListQuery, ContactView};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::ListContacts, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let query: ContactListQuery = call.query()?;
    let page = app.contacts(call.principal()).list(&query.filter, query.page.limit, query.page.cursor).await?;
    let next = query.page.next("/contacts", page.next);
    Ok(Reply::list(page.rows.iter().map(ContactView::of)).with_next(next))
}

#[cfg(test)]
mod tests;
