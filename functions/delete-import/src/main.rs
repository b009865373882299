//! `DELETE /imports/{import_id}`: removes an import; its contacts stay.

use shared::domain::ImportId;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::DeleteImport, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: ImportId = call.path_id()?;
    app.imports(call.principal()).delete(id).await?;
    Ok(Reply::message(format!("Import {id} eliminado")))
}

#[cfg(test)]
mod tests;
