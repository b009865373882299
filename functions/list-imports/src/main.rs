//! `GET /imports/`: the organization's imports, newest first.

use shared::http::{ImportListQuery, ImportView};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::ListImports, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let query: ImportListQuery = call.query()?;
    let page = app.imports(call.principal()).list(&query.filter, query.page.limit, query.page.cursor).await?;
    let next = query.page.next("/imports", page.next);
    Ok(Reply::list(page.rows.iter().map(ImportView::of)).with_next(next))
}

#[cfg(test)]
mod tests;
