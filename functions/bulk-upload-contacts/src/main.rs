//! `POST /contacts/bulk`: creates or updates many contacts by their addresses, and says what became of every row.

mod file;

use shared::endpoint::Media;
use shared::wire::{BulkQuery, Upload};
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::BulkUploadContacts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let BulkQuery { on_error, dry_run } = request.query()?;
    let sent = request.raw_body();
    let upload = match sent.media {
        Media::Json => Upload::from_json(&sent.bytes)?,
        Media::Csv => Upload::from_rows(file::rows(&sent.bytes)?)?,
        Media::Multipart => Upload::from_rows(file::rows(&file::file_of(sent).await?)?)?,
    };
    let contacts = ctx.contacts(request.principal());
    let import_id = contacts.known_import(request.import_id()).await?;
    let warning =
        (import_id != request.import_id()).then_some("Import not found: its contacts are linked to no import");
    let plan = contacts.plan(&upload.valid, import_id).await?;
    upload.report(&plan).check(on_error)?;
    let plan = if dry_run { plan } else { contacts.carry_out(plan).await? };
    Ok(Response::bulk_report(&upload.report(&plan), dry_run, warning))
}

#[cfg(test)]
mod tests;
