//! Bulk uploads: the rows of a request, and the report of their outcomes.

use serde::Serialize;

use super::body::{BODY, body_elements, parse_json};
use super::fields::{Cells, FieldDescription, Fields, FromFields, Purpose};
use super::param;
use super::query::{FromQuery, Query};
use crate::domain::email::MAX_EMAIL_BYTES;
use crate::domain::text::choice;
use crate::domain::{Contact, ContactId, ContactPatch, Email, FullName, PathSegment, Upsert, ValidationErrors};
use crate::repositories::{Plan, ResponseSpace, Row, RowOutcome, escaped_len};

/// The most rows of one upload.
pub const MAX_ROWS: usize = 5_000;
/// The most JSON values of one upload, of which each has four of its 4,000,000 bytes. The function has memory for them.
const MAX_UPLOAD_VALUES: usize = 1_000_000;
/// The most invalid rows whose errors the refusal of an upload lists.
const MAX_ROWS_WITH_ERRORS: usize = 100;
/// The most invalid rows that the report of an upload names.
const MAX_SKIPPED_ROWS: usize = 1_000;

choice! {
    /// The effect of an invalid row on the valid ones.
    OnError {
        /// Nothing is written.
        Abort = "abort",
        /// The valid rows are written.
        Skip = "skip",
    }
}

/// The query of a bulk upload.
#[derive(Debug, Clone, Copy)]
pub struct BulkQuery {
    /// The effect of an invalid row on the valid ones.
    pub on_error: OnError,
    /// `true` to report what would happen and write nothing.
    pub dry_run: bool,
}

impl FromQuery for BulkQuery {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self {
            on_error: query.read(errors, &param::ON_ERROR, str::parse).unwrap_or(OnError::Abort),
            dry_run: query.flag(errors, &param::DRY_RUN),
        }
    }
}

/// The error of an upload as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The body is not a JSON array.
    #[error(transparent)]
    Invalid(#[from] ValidationErrors),
    /// The upload has too many rows.
    #[error("the upload has more than {limit} rows")]
    TooManyRows {
        /// The most rows of one upload.
        limit: usize,
    },
}

impl FromFields for Upsert {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Self::new(ContactPatch::read(fields)?)
    }
}

/// The columns of a CSV file: the fields of a contact to create.
pub fn columns() -> Vec<FieldDescription> {
    let mut fields = Fields::describing(Purpose::Create);
    // The reader has no value to return: nothing was sent.
    let _ = Upsert::read(&mut fields);
    fields.into_descriptions()
}

/// The rows of a bulk upload, each read independently of the others.
#[derive(Debug, Default)]
pub struct Upload {
    /// The valid rows, each with its number, from 1.
    pub valid: Vec<Row>,
    invalid: Vec<InvalidRow>,
}

/// A row that is not written.
#[derive(Debug, Clone)]
struct InvalidRow {
    number: usize,
    email: Option<String>,
    errors: ValidationErrors,
}

impl Upload {
    /// Reads the rows of a JSON array.
    ///
    /// # Errors
    /// The body is not an array, or it has too many rows.
    pub fn from_json(body: &[u8]) -> Result<Self, UploadError> {
        let mut upload = Self::default();
        for element in body_elements(parse_json(body, MAX_UPLOAD_VALUES)?)? {
            let fields = Fields::of_json_row(element, Purpose::Create);
            upload.add_row(fields.map_err(|kind| ValidationErrors::one(BODY, kind)))?;
        }
        Ok(upload)
    }

    /// Reads the rows of a CSV file: the cells of each row, or its error.
    ///
    /// # Errors
    /// The upload has too many rows.
    pub fn from_rows(rows: impl Iterator<Item = Result<Cells, ValidationErrors>>) -> Result<Self, UploadError> {
        let mut upload = Self::default();
        for row in rows {
            let fields = row.as_ref().map(|cells| Fields::of_csv_row(cells, Purpose::Create));
            upload.add_row(fields.map_err(Clone::clone))?;
        }
        Ok(upload)
    }

    /// Reads the next row: its fields, or its error.
    ///
    /// # Errors
    /// The upload has too many rows.
    fn add_row(&mut self, fields: Result<Fields<'_>, ValidationErrors>) -> Result<(), UploadError> {
        let number = self.valid.len() + self.invalid.len() + 1;
        if number > MAX_ROWS {
            return Err(UploadError::TooManyRows { limit: MAX_ROWS });
        }
        let (email, row) = match fields {
            Ok(mut fields) => {
                let upsert = Upsert::read(&mut fields);
                let email = if fields.is_valid() { None } else { presentable_email(&mut fields) };
                (email, fields.finish(upsert).map_err(|errors| errors.name_whole(BODY)))
            }
            Err(errors) => (None, Err(errors)),
        };
        match row {
            Ok(upsert) => self.valid.push((number, upsert)),
            Err(errors) => self.invalid.push(InvalidRow { number, email, errors }),
        }
        Ok(())
    }

    /// The outcome of every row under this plan.
    pub fn report<'a>(&self, plan: &'a Plan<'a>) -> Report<'a> {
        let mut report = Report { written: Vec::new(), skipped: self.invalid.clone() };
        for (number, outcome) in plan.outcomes() {
            match outcome {
                RowOutcome::Created(contact) => report.written.push(WrittenRow { number, contact, is_new: true }),
                RowOutcome::Updated(contact) => report.written.push(WrittenRow { number, contact, is_new: false }),
                RowOutcome::Refused(email, errors) => {
                    let (email, errors) = (Some(email.as_str().to_owned()), errors.clone());
                    report.skipped.push(InvalidRow { number, email, errors });
                }
            }
        }
        report.written.sort_by_key(|row| row.number);
        report.skipped.sort_by_key(|row| row.number);
        report
    }
}

/// The outcome of every row of an upload, before or after it is written.
#[derive(Debug)]
pub struct Report<'a> {
    written: Vec<WrittenRow<'a>>,
    skipped: Vec<InvalidRow>,
}

/// A row that is written, or would be.
#[derive(Debug)]
struct WrittenRow<'a> {
    number: usize,
    contact: &'a Contact,
    /// `true` for a row that creates its contact, `false` for one that is merged into a contact.
    is_new: bool,
}

impl Report<'_> {
    /// Checks whether the valid rows may be written.
    ///
    /// # Errors
    /// The errors of the invalid rows, if they abort the upload.
    pub fn check(&self, on_error: OnError) -> Result<(), ValidationErrors> {
        if on_error == OnError::Skip {
            return Ok(());
        }
        let mut errors = ValidationErrors::default();
        for row in self.skipped.iter().take(MAX_ROWS_WITH_ERRORS) {
            errors.nest(PathSegment::Row(row.number), row.errors.clone());
        }
        errors.omit_rows(self.skipped.len().saturating_sub(MAX_ROWS_WITH_ERRORS));
        errors.finish(Some(()))
    }

    /// The JSON of the report. It names every written row, since a client reads the ids of its contacts from it, and as many
    /// of the others as then fit into the response.
    pub fn view<'a>(&'a self, dry_run: bool, warning: Option<&'a str>) -> ReportView<'a> {
        let created = self.written.iter().filter(|row| row.is_new).count();
        let details: Vec<_> = self.written.iter().map(|row| row.view(dry_run)).collect();
        ReportView {
            inserted: self.written.len(),
            skipped: self.skipped_views(&details),
            details,
            created,
            updated: self.written.len() - created,
            skipped_count: self.skipped.len(),
            warning,
        }
    }

    /// The first of the rows that were not written, as many as fit beside the details.
    fn skipped_views(&self, details: &[DetailView<'_>]) -> Vec<SkippedView<'_>> {
        if self.skipped.is_empty() {
            // Without rows to name, the details need not be measured.
            return Vec::new();
        }
        self.skipped_views_within(ResponseSpace::of_body().less(escaped_len(&details)))
    }

    fn skipped_views_within(&self, mut space: ResponseSpace) -> Vec<SkippedView<'_>> {
        let mut views = Vec::new();
        for row in self.skipped.iter().take(MAX_SKIPPED_ROWS) {
            let view = row.view();
            if !space.take(escaped_len(&view)) {
                break;
            }
            views.push(view);
        }
        views
    }
}

impl<'a> WrittenRow<'a> {
    fn view(&self, dry_run: bool) -> DetailView<'a> {
        let Contact { id, details, .. } = self.contact;
        // A dry run draws an id for a new contact, which does not exist afterwards.
        let id = if dry_run && self.is_new { None } else { Some(*id) };
        DetailView { id, email: &details.email, full_name: &details.full_name }
    }
}

impl InvalidRow {
    fn view(&self) -> SkippedView<'_> {
        SkippedView { row: self.number, email: self.email.as_deref(), detail: self.errors.to_string() }
    }
}

/// The report of a bulk upload.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = BulkReport))]
pub struct ReportView<'a> {
    /// Number of rows that created or updated a contact.
    inserted: usize,
    /// The contacts of these rows, in the order of the rows.
    details: Vec<DetailView<'a>>,
    /// Number of rows that created a contact.
    created: usize,
    /// Number of rows that were merged into a contact, which an earlier row may have created.
    updated: usize,
    /// The first rows that were not written: at most 1,000, and as many as fit into the response.
    skipped: Vec<SkippedView<'a>>,
    /// Number of rows that were not written.
    skipped_count: usize,
    /// What the upload did without, such as an unknown import.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = BulkDetail))]
struct DetailView<'a> {
    /// `null` for a contact that a dry run would create.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid", required))]
    id: Option<ContactId>,
    #[cfg_attr(feature = "openapi", schema(value_type = Email, inline))]
    email: &'a Email,
    #[cfg_attr(feature = "openapi", schema(value_type = FullName, inline))]
    full_name: &'a FullName,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = BulkSkipped))]
struct SkippedView<'a> {
    /// Number of the row, from 1; a header is not counted.
    row: usize,
    /// Email of the row, as it was sent; `null` if it is missing or cannot be an email.
    #[cfg_attr(feature = "openapi", schema(required))]
    email: Option<&'a str>,
    /// The error that `POST /contacts/` reports for such a row.
    detail: String,
}

/// The email of an invalid row, if a report may repeat it: short, and without control characters.
fn presentable_email(fields: &mut Fields<'_>) -> Option<String> {
    let email = fields.text("email")?;
    if email.len() <= MAX_EMAIL_BYTES && !email.contains(char::is_control) { Some(email.into_owned()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repositories::MAX_RESPONSE_BYTES;

    #[test]
    fn rows_that_were_not_written_are_named_as_long_as_they_fit_into_the_response() {
        let invalid =
            |number| InvalidRow { number, email: Some("\"".repeat(200)), errors: ValidationErrors::default() };
        let report = Report { written: Vec::new(), skipped: (1..=10).map(invalid).collect() };
        let space = |bytes| ResponseSpace::of_body().less(ResponseSpace::of_body().left() - bytes);
        for (bytes, named) in [(0, 0), (800, 0), (1_000, 1), (3_000, 3), (100_000, 10)] {
            assert_eq!(report.skipped_views_within(space(bytes)).len(), named, "{bytes}");
        }
    }

    #[test]
    fn every_written_row_fits_into_a_response_whatever_it_holds() {
        let email = Email::from_stored("e".repeat(MAX_EMAIL_BYTES));
        // Both take four bytes a character: a quotation mark with its backslash, each escaped once more.
        for longest_name in ["\"".repeat(200), "\u{1F600}".repeat(200)] {
            let full_name: FullName = longest_name.parse().unwrap();
            let id = Some(ContactId::from(uuid::Uuid::nil()));
            let detail = DetailView { id, email: &email, full_name: &full_name };

            let len = MAX_ROWS * (escaped_len(&detail) + 1);

            assert!(ResponseSpace::of_body().take(len), "{len} of {MAX_RESPONSE_BYTES} bytes");
        }
    }
}
