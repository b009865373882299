//! `GET /campaign-leads/`: the organization's leads, by campaign and contact, newest first.

use shared::wire::ListQuery;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::ListCampaignLeads, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let ListQuery { filter, limit, cursor } = request.query()?;
    let page = ctx.leads(request.principal()).list(&filter, limit, cursor).await?;
    Ok(request.list(&page))
}

#[cfg(test)]
mod tests;
