//! `POST /imports/`: opens an import, which contacts are then loaded under.

use shared::domain::NewImport;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::CreateImport, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let new: NewImport = call.body()?;
    let imports = app.imports(call.principal());
    let import = imports.draft(new);
    let reply = Reply::created(&import);
    imports.create(&import, call.receipt(&reply).as_ref()).await?;
    Ok(reply)
}

#[cfg(test)]
mod tests;
