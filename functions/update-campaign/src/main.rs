//! `PUT /campaigns/{campaign_id}`: changes the fields that are sent.

use shared::domain::{CampaignId, CampaignPatch};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::UpdateCampaign, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: CampaignId = call.path_id()?;
    let patch: CampaignPatch = call.body()?;
    let campaign = app.campaigns(call.principal()).update(id, &patch).await?;
    Ok(Reply::ok(&campaign))
}

#[cfg(test)]
mod tests;
