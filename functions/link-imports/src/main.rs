//! `POST /campaign-imports/{campaign_id}/imports`: creates a lead for every contact of the imports.

use shared::domain::CampaignId;
use shared::wire::ImportIds;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::LinkImports;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let campaign_id: CampaignId = request.path_id()?;
    let ImportIds(import_ids) = request.body()?;
    let linked = ctx.leads(request.principal()).link(campaign_id, &import_ids).await?;
    Ok(Response::created(&linked))
}

#[cfg(test)]
mod tests;
