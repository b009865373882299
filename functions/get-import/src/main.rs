//! `GET /imports/{import_id}`: one import, with the number of its contacts.

use shared::domain::ImportId;
use shared::http::ImportWithCount;
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::GetImport, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let id: ImportId = call.path_id()?;
    let (import, contacts_count) = app.imports(call.principal()).get(id).await?;
    Ok(Reply::ok(&ImportWithCount(import, contacts_count)))
}

#[cfg(test)]
mod tests;
