//! `PATCH /campaign-leads/{lead_id}`: changes the fields that are sent.

use shared::domain::{LeadId, LeadPatch};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::UpdateCampaignLead, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: LeadId = call.path_id()?;
    let patch: LeadPatch = call.body()?;
    let lead = app.leads(call.principal()).update(id, &patch).await?;
    Ok(Reply::ok(&lead))
}

#[cfg(test)]
mod tests;
