//! `GET /contacts/`: lists the organization's contacts, newest first.

use shared::wire::ListQuery;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::ListContacts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let ListQuery { filter, limit, cursor } = request.query()?;
    let page = ctx.contacts(request.principal()).list(&filter, limit, cursor).await?;
    Ok(request.list(&page))
}

#[cfg(test)]
mod tests;
