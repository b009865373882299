//! `GET /audit-log/`: lists the organization's audit log, newest first.

use shared::wire::ListQuery;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::ListAuditLog;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let ListQuery { filter, limit, cursor } = request.query()?;
    let page = ctx.audit_log(request.principal()).list(&filter, limit, cursor).await?;
    Ok(request.list(&page))
}

#[cfg(test)]
mod tests;
