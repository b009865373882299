//! `PUT /campaigns/{campaign_id}`: changes the fields that are sent.

use shared::domain::{CampaignId, CampaignPatch};
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::UpdateCampaign;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: CampaignId = request.path_id()?;
    let patch: CampaignPatch = request.body()?;
    let campaign = ctx.campaigns(request.principal()).update(id, &patch).await?;
    Ok(Response::ok(&campaign))
}

#[cfg(test)]
mod tests;
