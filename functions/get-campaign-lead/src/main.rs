//! `GET /campaign-leads/{lead_id}`: one lead.

use shared::domain::LeadId;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::GetCampaignLead, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: LeadId = request.path_id()?;
    let lead = ctx.leads(request.principal()).get(id).await?;
    Ok(Response::ok(&lead))
}

#[cfg(test)]
mod tests;
