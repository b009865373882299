//! `GET /campaign-leads/`: lists the organization's leads, ordered by campaign and contact, newest first.

use shared::wire::ListQuery;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::ListCampaignLeads;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let ListQuery { filter, limit, cursor } = request.query()?;
    let page = ctx.leads(request.principal()).list(&filter, limit, cursor).await?;
    Ok(request.list(&page))
}

#[cfg(test)]
mod tests;
