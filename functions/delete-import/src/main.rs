//! `DELETE /imports/{import_id}`: deletes an import. Its contacts stay.

use shared::domain::ImportId;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::DeleteImport;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let id: ImportId = request.path_id()?;
    ctx.imports(request.principal()).delete(id).await?;
    Ok(Response::message(format!("Import {id} eliminado")))
}

#[cfg(test)]
mod tests;
