//! `PATCH /campaign-leads/{lead_id}`: changes the fields that are sent.

use shared::domain::{LeadId, LeadPatch};
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::UpdateCampaignLead;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: LeadId = request.path_id()?;
    let patch: LeadPatch = request.body()?;
    let lead = ctx.leads(request.principal()).update(id, &patch).await?;
    Ok(Response::ok(&lead))
}

#[cfg(test)]
mod tests;
