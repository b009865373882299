//! `POST /campaigns/`: creates a campaign, with its lead magnet if one is sent.

use shared::wire::NewCampaign;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::CreateCampaign;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let NewCampaign { details, lead_magnet } = request.body()?;
    let campaigns = ctx.campaigns(request.principal());
    let campaign = campaigns.draft(details, lead_magnet.as_ref());
    let response = Response::created(&campaign).with_location(Endpoint::GetCampaign, campaign.id);
    campaigns.create(&campaign, lead_magnet.as_ref(), request.idempotency_record(&response).as_ref()).await?;
    Ok(response)
}

#[cfg(test)]
mod tests;
