//! `PUT /imports/{import_id}`: changes the fields that are sent.

use shared::domain::{ImportId, ImportPatch};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::UpdateImport, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: ImportId = call.path_id()?;
    let patch: ImportPatch = call.body()?;
    let import = app.imports(call.principal()).update(id, &patch).await?;
    Ok(Reply::ok(&import))
}

#[cfg(test)]
mod tests;
