//! `GET /campaign-leads/`: the organization's leads, by campaign and contact, newest first.

use shared::http::ListQuery;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::ListCampaignLeads, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let ListQuery { filter, limit, cursor } = call.query()?;
    let page = app.leads(call.principal()).list(&filter, limit, cursor).await?;
    Ok(call.list(&page))
}

#[cfg(test)]
mod tests;
