//! `POST /campaigns/`: creates a campaign, with what it offers its leads.

use shared::http::NewCampaign;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::CreateCampaign, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let NewCampaign { settings, lead_magnet } = call.body()?;
    let campaigns = app.campaigns(call.principal());
    let campaign = campaigns.draft(settings, lead_magnet.as_ref());
    let reply = Reply::created(&campaign);
    campaigns.create(&campaign, lead_magnet.as_ref(), call.receipt(&reply).as_ref()).await?;
    Ok(reply)
}

#[cfg(test)]
mod tests;
