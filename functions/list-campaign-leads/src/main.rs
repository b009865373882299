//! `GET /campaign-leads/`: the organization's leads, by campaign and contact, newest first.

use shared::http::{LeadListQuery, LeadView};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::ListCampaignLeads, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let query: LeadListQuery = call.query()?;
    let page = app.leads(call.principal()).list(&query.filter, query.page.limit, query.page.cursor).await?;
    let next = query.page.next("/campaign-leads", page.next);
    Ok(Reply::list(page.rows.iter().map(LeadView::of)).with_next(next))
}

#[cfg(test)]
mod tests;
