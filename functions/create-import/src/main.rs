//! `POST /imports/`: creates an import, to which contacts are then added.

use shared::domain::NewImport;
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::CreateImport;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let new: NewImport = request.body()?;
    let imports = ctx.imports(request.principal());
    let import = imports.draft(new);
    let response = Response::created(&import).with_location(Endpoint::GetImport, import.id);
    imports.create(&import, request.idempotency_record(&response).as_ref()).await?;
    Ok(response)
}

#[cfg(test)]
mod tests;
