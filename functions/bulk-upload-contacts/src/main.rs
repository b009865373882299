//! `POST /contacts/bulk`: creates or updates many contacts by their addresses, and says what became of every row.

mod file;

use shared::endpoint::Media;
use shared::http::{BulkQuery, Upload};
use shared::{ApiError, App, Call, Endpoint, Reply, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(Endpoint::BulkUploadContacts, handle).await
}

async fn handle(app: App, call: Call) -> Result<Reply, ApiError> {
    let BulkQuery { on_error, dry_run } = call.query()?;
    let sent = call.sent();
    let upload = match sent.media {
        Media::Json => Upload::from_json(&sent.bytes)?,
        Media::Csv => Upload::from_rows(file::rows(&sent.bytes)?)?,
        Media::Multipart => Upload::from_rows(file::rows(&file::file_of(sent).await?)?)?,
    };
    let contacts = app.contacts(call.principal());
    let import_id = contacts.known_import(call.import_id()).await?;
    let warning = (import_id != call.import_id()).then_some("Import not found: its contacts are linked to no import");
    let plan = contacts.plan(&upload.good, import_id).await?;
    upload.report(&plan).check(on_error)?;
    let plan = if dry_run { plan } else { contacts.carry_out(plan).await? };
    Ok(upload.report(&plan).reply(dry_run, warning))
}

#[cfg(test)]
mod tests;
