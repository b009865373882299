//! `DELETE /campaigns/{campaign_id}`: deletes a campaign with its leads and its lead magnet.

use shared::domain::CampaignId;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::DeleteCampaign;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: CampaignId = request.path_id()?;
    ctx.campaigns(request.principal()).delete(id).await?;
    Ok(Response::message(format!("Campaign {id} eliminada")))
}

#[cfg(test)]
mod tests;
