//! `GET /campaigns/`: the organization's campaigns, newest first.

use shared::http::{CampaignListQuery, CampaignView};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::ListCampaigns, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let query: CampaignListQuery = call.query()?;
    let page = app.campaigns(call.principal()).list(&query.filter, query.page.limit, query.page.cursor).await?;
    let next = query.page.next("/campaigns", page.next);
    Ok(Reply::list(page.rows.iter().map(CampaignView::of)).with_next(next))
}

#[cfg(test)]
mod tests;
