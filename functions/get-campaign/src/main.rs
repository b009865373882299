//! `GET /campaigns/{campaign_id}`: returns one campaign.

use shared::domain::CampaignId;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::GetCampaign;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: CampaignId = request.path_id()?;
    let campaign = ctx.campaigns(request.principal()).get(id).await?;
    Ok(Response::ok(&campaign))
}

#[cfg(test)]
mod tests;
