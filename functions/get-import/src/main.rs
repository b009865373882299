//! `GET /imports/{import_id}`: returns one import with the number of its contacts.

use shared::domain::ImportId;
use shared::wire::ImportWithCount;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::GetImport;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: ImportId = request.path_id()?;
    let (import, contacts_count) = ctx.imports(request.principal()).get(id).await?;
    Ok(Response::ok(&ImportWithCount(import, contacts_count)))
}

#[cfg(test)]
mod tests;
