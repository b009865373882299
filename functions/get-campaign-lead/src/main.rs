//! `GET /campaign-leads/{lead_id}`: returns one lead.

use shared::domain::LeadId;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::GetCampaignLead;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: LeadId = request.path_id()?;
    let lead = ctx.leads(request.principal()).get(id).await?;
    Ok(Response::ok(&lead))
}

#[cfg(test)]
mod tests;
