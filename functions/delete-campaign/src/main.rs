//! `DELETE /campaigns/{campaign_id}`: removes a campaign with all that hangs on it.

use shared::domain::CampaignId;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::DeleteCampaign, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: CampaignId = call.path_id()?;
    app.campaigns(call.principal()).delete(id).await?;
    Ok(Reply::message(format!("Campaign {id} eliminada")))
}

#[cfg(test)]
mod tests;
