//! `GET /campaign-leads/{lead_id}`: one lead.

use shared::domain::LeadId;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::GetCampaignLead, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: LeadId = call.path_id()?;
    let lead = app.leads(call.principal()).get(id).await?;
    Ok(Reply::ok(&lead))
}

#[cfg(test)]
mod tests;
