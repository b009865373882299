//! `GET /campaigns/{campaign_id}`: one campaign.

use shared::domain::CampaignId;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::GetCampaign, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: CampaignId = call.path_id()?;
    let campaign = app.campaigns(call.principal()).get(id).await?;
    Ok(Reply::ok(&campaign))
}

#[cfg(test)]
mod tests;
