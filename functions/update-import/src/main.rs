//! `PUT /imports/{import_id}`: changes the fields that are sent.

use shared::domain::{ImportId, ImportPatch};
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::UpdateImport;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: ImportId = request.path_id()?;
    let patch: ImportPatch = request.body()?;
    let import = ctx.imports(request.principal()).update(id, &patch).await?;
    Ok(Response::ok(&import))
}

#[cfg(test)]
mod tests;
