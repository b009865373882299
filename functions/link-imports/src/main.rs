//! `POST /campaign-imports/{campaign_id}/imports`: makes leads of the contacts of imports.

use shared::domain::CampaignId;
use shared::http::ImportIds;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::LinkImports, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let campaign_id: CampaignId = call.path_id()?;
    let ImportIds(import_ids) = call.body()?;
    let linked = app.leads(call.principal()).link(campaign_id, &import_ids).await?;
    Ok(Reply::created(&linked))
}

#[cfg(test)]
mod tests;
