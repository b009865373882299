//! Bulk uploads on the wire: rows in, and a report of what became of each.

use serde::Serialize;

use super::body::{BODY, body_elements, parse_json};
use super::fields::{Cells, FieldDescription, Fields, FromFields, Purpose};
use super::param;
use super::query::{FromQuery, Query};
use crate::domain::email::MAX_EMAIL_BYTES;
use crate::domain::text::choice;
use crate::domain::{
    Contact, ContactId, ContactPatch, Email, FullName, NewContact, PathSegment, Upsert, ValidationErrors,
};
use crate::repositories::{Plan, Row, RowOutcome};

/// The most rows of one upload.
pub const MAX_ROWS: usize = 5_000;
/// The most faulty rows that an error names.
const MAX_NAMED: usize = 100;

choice! {
    /// What a faulty row means for the others.
    OnError {
        /// Nothing is written.
        Abort = "abort",
        /// They are written.
        Skip = "skip",
    }
}

/// The query of a bulk upload.
#[derive(Debug, Clone, Copy)]
pub struct BulkQuery {
    /// What a faulty row means for the others.
    pub on_error: OnError,
    /// Whether only to say what would happen.
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

/// Why an upload is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadError {
    /// The body, or a row where one stops the others, is not valid.
    Invalid(ValidationErrors),
    /// The upload has more rows than one request may have.
    TooManyRows {
        /// The most rows of one request.
        limit: usize,
    },
}

impl From<ValidationErrors> for UploadError {
    fn from(errors: ValidationErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl FromFields for Upsert {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let patch = ContactPatch::read(fields)?;
        Some(Self { new: NewContact::new(&patch)?, patch })
    }
}

/// The columns of a CSV file: the fields of a contact to create.
pub fn columns() -> Vec<FieldDescription> {
    let mut fields = Fields::describing(Purpose::Create);
    // Nothing is sent; the fields have noted what was asked for.
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

/// A row that is not written, and why.
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
        for element in body_elements(parse_json(body)?)? {
            let fields = Fields::of_object(element, Purpose::Create);
            upload.add_row(fields.map_err(|kind| ValidationErrors::one(BODY, kind)))?;
        }
        Ok(upload)
    }

    /// Reads the rows of a CSV file: the cells of each, or why it has none.
    ///
    /// # Errors
    /// The upload has too many rows.
    pub fn from_rows(rows: impl Iterator<Item = Result<Cells, ValidationErrors>>) -> Result<Self, UploadError> {
        let mut upload = Self::default();
        for row in rows {
            let fields = row.as_ref().map(|cells| Fields::of_row(cells, Purpose::Create));
            upload.add_row(fields.map_err(Clone::clone))?;
        }
        Ok(upload)
    }

    /// Reads the next row: its fields, or why it has none.
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
                let email = fields.text("email").filter(|email| is_presentable(email));
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

    /// The outcome of every row by this plan.
    pub fn report<'a>(&self, plan: &'a Plan<'a>) -> Report<'a> {
        let mut report = Report { details: Vec::new(), skipped: self.invalid.clone() };
        for (number, outcome) in plan.outcomes() {
            match outcome {
                RowOutcome::Created(contact) => report.details.push(Detail { number, contact, created: true }),
                RowOutcome::Updated(contact) => report.details.push(Detail { number, contact, created: false }),
                RowOutcome::Refused(email, errors) => {
                    let (email, errors) = (Some(email.as_str().to_owned()), errors.clone());
                    report.skipped.push(InvalidRow { number, email, errors });
                }
            }
        }
        report.details.sort_by_key(|row| row.number);
        report.skipped.sort_by_key(|row| row.number);
        report
    }
}

/// What became, or would become, of every row of an upload.
#[derive(Debug)]
pub struct Report<'a> {
    details: Vec<Detail<'a>>,
    skipped: Vec<InvalidRow>,
}

#[derive(Debug)]
struct Detail<'a> {
    number: usize,
    contact: &'a Contact,
    created: bool,
}

impl Report<'_> {
    /// Whether what is planned may be done.
    ///
    /// # Errors
    /// 400 with the faulty rows, where they stop the others.
    pub fn check(&self, on_error: OnError) -> Result<(), ValidationErrors> {
        if on_error == OnError::Skip {
            return Ok(());
        }
        let mut errors = ValidationErrors::default();
        for row in self.skipped.iter().take(MAX_NAMED) {
            errors.nest(PathSegment::Row(row.number), row.errors.clone());
        }
        errors.omit_rows(self.skipped.len().saturating_sub(MAX_NAMED));
        errors.finish(Some(()))
    }

    /// What is shown of it.
    pub fn view<'a>(&'a self, dry_run: bool, warning: Option<&'a str>) -> ReportView<'a> {
        let created = self.details.iter().filter(|row| row.created).count();
        let detail = |Detail { contact, created, .. }: &Detail<'a>| DetailView {
            id: Some(contact.id).filter(|_| !(dry_run && *created)),
            email: &contact.details.email,
            full_name: &contact.details.full_name,
        };
        let skipped = |InvalidRow { number, email, errors }: &'a InvalidRow| SkippedView {
            row: *number,
            email: email.as_deref(),
            detail: errors.to_string(),
        };
        ReportView {
            inserted: self.details.len(),
            details: self.details.iter().map(detail).collect(),
            created,
            updated: self.details.len() - created,
            skipped: self.skipped.iter().map(skipped).collect(),
            warning,
        }
    }
}

/// What became of an upload, as it is shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = BulkReport))]
pub struct ReportView<'a> {
    /// How many rows were created or updated.
    inserted: usize,
    /// Their contacts, in the order of the rows.
    details: Vec<DetailView<'a>>,
    /// How many rows made a contact.
    created: usize,
    /// How many rows were merged into a contact, one of an earlier row too.
    updated: usize,
    /// The rows that were not written.
    skipped: Vec<SkippedView<'a>>,
    /// What was asked for and not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = BulkDetail))]
struct DetailView<'a> {
    /// `null` where a dry run would make it.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid", required))]
    id: Option<ContactId>,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "email"))]
    email: &'a Email,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    full_name: &'a FullName,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = BulkSkipped))]
struct SkippedView<'a> {
    /// Its number, from 1; a header is not counted.
    row: usize,
    /// Its address, where that can be told.
    #[cfg_attr(feature = "openapi", schema(required))]
    email: Option<&'a str>,
    /// What a single create of it would have been refused with.
    detail: String,
}

/// `true` for the text of an email that a report may repeat: short, and without control characters.
fn is_presentable(email: &str) -> bool {
    email.len() <= MAX_EMAIL_BYTES && !email.contains(char::is_control)
}
