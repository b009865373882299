//! Imports: request bodies and queries, and the views in responses.

use serde::Serialize;

use super::body::ObjectBody;
use super::fields::{Fields, FromFields, Purpose};
use super::param;
use super::query::{FromQuery, Query};
use super::view::Resource;
use crate::domain::{
    Import, ImportDetails, ImportFilter, ImportId, ImportPatch, NewImport, OrgId, ValidationErrors, time,
};

impl FromFields for ImportPatch {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            source: fields.required("source", "Source of the rows."),
            file_name: fields.example("leads.csv").optional("file_name", "Name of the file."),
            campaign_id: fields.optional("campaign_id", "Campaign that the contacts are meant for."),
            status: fields.defaulted("status", "Progress of the load; a new import is `pending` unless sent."),
            total_rows: fields.defaulted("total_rows", "Number of rows; 0 unless sent."),
            mapping: fields.optional("mapping_json", "Mapping of columns to fields."),
        })
    }
}

impl ObjectBody for ImportPatch {
    const SCHEMA: &'static str = "ImportUpdate";
    const PURPOSE: Purpose = Purpose::Update;
}

impl FromFields for NewImport {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Self::new(ImportPatch::read(fields)?)
    }
}

impl ObjectBody for NewImport {
    const SCHEMA: &'static str = "NewImport";
    const PURPOSE: Purpose = Purpose::Create;
}

/// An import.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Import))]
pub struct ImportView<'a> {
    #[cfg_attr(feature = "openapi", schema(inline))]
    id: ImportId,
    #[cfg_attr(feature = "openapi", schema(inline))]
    org_id: OrgId,
    #[serde(flatten)]
    details: &'a ImportDetails,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    updated_at: String,
}

impl<'a> ImportView<'a> {
    /// The view of an import.
    fn of(import: &'a Import) -> Self {
        Self {
            id: import.id,
            org_id: import.org_id,
            details: &import.details,
            created_at: time::to_seconds(import.created_at),
            updated_at: time::to_seconds(import.updated_at),
        }
    }
}

impl Resource for Import {
    fn view(&self) -> impl Serialize {
        ImportView::of(self)
    }
}

/// An import with the number of its contacts.
#[derive(Debug)]
pub struct ImportWithCount(pub Import, pub u64);

/// An import with the number of its contacts.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ImportWithCount))]
pub struct ImportWithCountView<'a> {
    #[serde(flatten)]
    import: ImportView<'a>,
    /// Number of contacts that are members of the import now.
    contacts_count: u64,
}

impl Resource for ImportWithCount {
    fn view(&self) -> impl Serialize {
        let Self(import, contacts_count) = self;
        ImportWithCountView { import: ImportView::of(import), contacts_count: *contacts_count }
    }
}

impl FromQuery for ImportFilter {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self {
            status: query.read(errors, &param::IMPORT_STATUS, str::parse),
            campaign_id: query.read(errors, &param::OF_CAMPAIGN, str::parse),
        }
    }
}
