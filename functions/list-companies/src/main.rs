//! `GET /companies/`: lists the organization's companies, ordered by name.

use shared::wire::ListQuery;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::ListCompanies;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let ListQuery { filter, limit, cursor } = request.query()?;
    let page = ctx.companies(request.principal()).list(&filter, limit, cursor).await?;
    Ok(request.list(&page))
}

#[cfg(test)]
mod tests;
