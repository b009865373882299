//! Imports on the wire.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::{FromBody, FromQuery};
use super::query::Query;
use super::view::Resource;
use crate::domain::import::{file_name, source, total_rows};
use crate::domain::{
    CampaignId, Field, Id, Import, ImportFilter, ImportId, ImportPatch, ImportStatus, JsonObject, NewImport, OrgId,
    ValidationErrors, time,
};
use crate::endpoint::param;

/// The body of an import to create or to update.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ImportUpdate))]
pub struct ImportForm {
    /// Where the rows come from.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("csv"), min_length = 1, max_length = 100))]
    #[serde(default)]
    source: Field<String>,
    /// The file they came in.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, examples("leads.csv"), max_length = 255))]
    #[serde(default)]
    file_name: Field<String>,
    /// The campaign they are meant for.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid"))]
    #[serde(default)]
    campaign_id: Field<String>,
    /// How far it has come; a new one is `pending` unless sent.
    #[cfg_attr(feature = "openapi", schema(value_type = ImportStatus))]
    #[serde(default)]
    status: Field<String>,
    /// How many rows there are; 0 unless sent.
    #[cfg_attr(feature = "openapi", schema(value_type = u64, maximum = 9_007_199_254_740_992_u64))]
    #[serde(default)]
    total_rows: Field<u64>,
    /// How the columns were mapped.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    #[serde(default)]
    mapping_json: Field<Box<RawValue>>,
}

impl FromBody for ImportPatch {
    type Wire = ImportForm;

    fn from_wire(mut form: ImportForm) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let source = errors.not_null("source", std::mem::take(&mut form.source), |text| source(&text));
        let patch = Self { source, ..Self::beside_source(form, &mut errors) };
        errors.finish(Some(patch))
    }
}

impl FromBody for NewImport {
    type Wire = ImportForm;

    /// A new import is the first change of an empty one; only its source has to be there.
    fn from_wire(mut form: ImportForm) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let source = errors.required("source", std::mem::take(&mut form.source), |text| source(&text));
        form.status = form.status.or_absent();
        form.total_rows = form.total_rows.or_absent();
        let patch = ImportPatch::beside_source(form, &mut errors);
        errors.finish(source.map(|source| Self {
            source,
            file_name: patch.file_name.into_set(),
            campaign_id: patch.campaign_id.into_set(),
            status: patch.status.unwrap_or(ImportStatus::Pending),
            total_rows: patch.total_rows.unwrap_or(0),
            mapping: patch.mapping.into_set(),
        }))
    }
}

impl ImportPatch {
    /// Every field but the source, which creating and updating read differently; in the documented order.
    fn beside_source(form: ImportForm, errors: &mut ValidationErrors) -> Self {
        Self {
            source: None,
            file_name: errors.patch("file_name", form.file_name, |text| file_name(&text).map(Some)),
            campaign_id: errors.patch("campaign_id", form.campaign_id, |text| CampaignId::parse(&text).map(Some)),
            status: errors.not_null("status", form.status, |text| ImportStatus::parse(&text)),
            total_rows: errors.not_null("total_rows", form.total_rows, total_rows),
            mapping: errors.patch("mapping_json", form.mapping_json, |raw| JsonObject::parse(&raw).map(Some)),
        }
    }
}

/// An import, as it is shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Import))]
pub struct ImportView<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid", examples("7c9e6679-7425-40de-944b-e07fc1f90ae7")))]
    id: ImportId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid", examples("123e4567-e89b-12d3-a456-426614174000")))]
    org_id: OrgId,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid", required))]
    campaign_id: Option<CampaignId>,
    #[cfg_attr(feature = "openapi", schema(examples("csv")))]
    source: &'a str,
    #[cfg_attr(feature = "openapi", schema(required, examples("leads.csv")))]
    file_name: Option<&'a str>,
    status: ImportStatus,
    total_rows: u64,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    updated_at: String,
}

impl<'a> ImportView<'a> {
    /// What is shown of an import.
    fn of(import: &'a Import) -> Self {
        let NewImport { source, file_name, campaign_id, status, total_rows, mapping: _ } = &import.details;
        Self {
            id: import.id,
            org_id: import.org_id,
            campaign_id: *campaign_id,
            source,
            file_name: file_name.as_deref(),
            status: *status,
            total_rows: *total_rows,
            created_at: time::to_seconds(import.created_at()),
            updated_at: time::to_seconds(import.updated_at),
        }
    }
}

impl Resource for Import {
    fn view(&self) -> impl Serialize {
        ImportView::of(self)
    }

    fn location(&self) -> Option<String> {
        Some(format!("/imports/{}", self.id))
    }
}

/// An import with the number of its contacts.
#[derive(Debug)]
pub struct ImportWithCount(pub Import, pub u64);

/// An import with the number of its contacts, as it is shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ImportWithCount))]
pub struct ImportWithCountView<'a> {
    #[serde(flatten)]
    import: ImportView<'a>,
    /// How many contacts belong to it now.
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
            status: query.read(errors, &param::STATUS, ImportStatus::parse),
            campaign_id: query.read(errors, &param::OF_CAMPAIGN, CampaignId::parse),
        }
    }
}
