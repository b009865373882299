//! `POST /contacts/bulk`: creates or updates contacts by their emails and reports the outcome of every row.

use bulk_upload_contacts::file;
use shared::endpoint::Media;
use shared::wire::{BulkQuery, Upload};
use shared::{ApiError, Endpoint, Request, RequestContext, Response, RuntimeError};

const ENDPOINT: Endpoint = Endpoint::BulkUploadContacts;

/// The warning of an upload whose `X-Import-ID` names no import, in the words of the platform.
const UNKNOWN_IMPORT: &str = "Contacts inserted/updated, but bulk attach to import failed: import not found";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run(ENDPOINT, handle).await
}

async fn handle(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let BulkQuery { on_error, dry_run } = request.query()?;
    let body = request.raw_body();
    let upload = match body.media {
        Media::Json => Upload::from_json(&body.bytes)?,
        Media::Csv => Upload::from_rows(file::rows(&body.bytes)?)?,
        Media::Multipart => Upload::from_rows(file::rows(&file::file_of(body).await?)?)?,
    };
    let contacts = ctx.contacts(request.principal());
    let import_id = contacts.known_import(request.import_id()).await?;
    let warning = if import_id == request.import_id() { None } else { Some(UNKNOWN_IMPORT) };
    let plan = contacts.plan(&upload.valid, import_id).await?;
    upload.report(&plan).check(on_error)?;
    let plan = if dry_run { plan } else { contacts.carry_out(plan).await? };
    Ok(Response::bulk_report(&upload.report(&plan), dry_run, warning))
}

#[cfg(test)]
mod tests;
