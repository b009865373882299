//! `GET /api-keys/`: lists the organization's API keys, newest first, without the keys themselves.

use shared::wire::ListQuery;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::ListApiKeys;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let ListQuery { filter: (), limit, cursor } = request.query()?;
    let page = ctx.api_keys(request.principal()).list(limit, cursor).await?;
    Ok(request.list(&page))
}

#[cfg(test)]
mod tests;
