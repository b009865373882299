//! `GET /companies/`: the organization's companies, in the order of their names.

use shared::http::{CompanyListQuery, CompanyView};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::ListCompanies, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let query: CompanyListQuery = call.query()?;
    let companies = app.companies(call.principal());
    let page = companies.list(query.name.as_ref(), query.page.limit, query.page.cursor.clone()).await?;
    let next = query.page.next("/companies", page.next);
    Ok(Reply::list(page.rows.iter().map(CompanyView::of)).with_next(next))
}

#[cfg(test)]
mod tests;
