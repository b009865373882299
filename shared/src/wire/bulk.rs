//! Bulk uploads on the wire: rows in, and a report of what became of each.

use serde::Serialize;
use serde_json::value::RawValue;

use super::body::{FromBody, FromQuery, elements, malformed, wire};
use super::contact::ContactForm;
use super::query::Query;
use crate::domain::text::choice;
use crate::domain::{Contact, ContactId, ContactPatch, Email, FullName, NewContact, Upsert, ValidationErrors};
use crate::endpoint::param;
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
            on_error: query.read(errors, &param::ON_ERROR, OnError::parse).unwrap_or(OnError::Abort),
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

/// The rows of a bulk upload, each read by itself.
#[derive(Debug, Default)]
pub struct Upload {
    /// The rows in which nothing is wrong, each with its number, from 1.
    pub good: Vec<Row>,
    faulty: Vec<FaultyRow>,
}

/// A row that is not written, and why.
#[derive(Debug, Clone)]
struct FaultyRow {
    number: usize,
    email: Option<String>,
    faults: ValidationErrors,
}

impl Upload {
    /// Reads the rows of a JSON array.
    ///
    /// # Errors
    /// No array, or too many rows.
    pub fn from_json(body: &[u8]) -> Result<Self, UploadError> {
        let body: &RawValue = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        Self::from_rows(elements(body)?.into_iter().map(wire))
    }

    /// Reads rows whose form is known, or what is wrong with that.
    ///
    /// # Errors
    /// Too many rows.
    pub fn from_rows(rows: impl Iterator<Item = Result<ContactForm, ValidationErrors>>) -> Result<Self, UploadError> {
        let mut upload = Self::default();
        for (number, form) in (1..).zip(rows) {
            if number > MAX_ROWS {
                return Err(UploadError::TooManyRows { limit: MAX_ROWS });
            }
            let email = form.as_ref().ok().and_then(ContactForm::sent_email).map(ToOwned::to_owned);
            match form.and_then(upsert) {
                Ok(row) => upload.good.push((number, row)),
                Err(faults) => upload.faulty.push(FaultyRow { number, email, faults }),
            }
        }
        Ok(upload)
    }

    /// What becomes of each row by this plan.
    pub fn report<'a>(&self, plan: &'a Plan<'a>) -> Report<'a> {
        let mut report = Report { details: Vec::new(), skipped: self.faulty.clone() };
        for (number, outcome) in plan.outcomes() {
            match outcome {
                RowOutcome::Created(contact) => report.details.push(Detail { number, contact, created: true }),
                RowOutcome::Updated(contact) => report.details.push(Detail { number, contact, created: false }),
                RowOutcome::Refused(email, faults) => {
                    let (email, faults) = (Some(email.as_str().to_owned()), faults.clone());
                    report.skipped.push(FaultyRow { number, email, faults });
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
    skipped: Vec<FaultyRow>,
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
            errors.nest(format_args!("row {}:", row.number), row.faults.clone());
        }
        if let Some(unnamed) = self.skipped.len().checked_sub(MAX_NAMED).filter(|unnamed| *unnamed > 0) {
            errors.add("and", format_args!("{unnamed} more rows"));
        }
        errors.finish(Some(()))
    }

    /// What is shown of it.
    pub fn view<'a>(&'a self, dry_run: bool, warning: Option<&'a str>) -> ReportView<'a> {
        let created = self.details.iter().filter(|row| row.created).count();
        let detail = |Detail { contact, created, .. }: &Detail<'a>| DetailView {
            id: Some(contact.id).filter(|_| !(dry_run && *created)),
            email: &contact.email,
            full_name: &contact.full_name,
        };
        let skipped = |FaultyRow { number, email, faults }: &'a FaultyRow| SkippedView {
            row: *number,
            email: email.as_deref(),
            detail: faults.sentence(),
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

/// A row means both: what a contact is if it is new, and what it changes if it is there.
fn upsert(form: ContactForm) -> Result<Upsert, ValidationErrors> {
    let new = NewContact::from_wire(form.clone())?;
    Ok(Upsert { new, patch: ContactPatch::from_wire(form)? })
}
