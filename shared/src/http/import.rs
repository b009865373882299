//! Imports on the wire.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::FromBody;
use super::reply::Resource;
use crate::domain::import::{file_name, source, total_rows};
use crate::domain::{
    CampaignId, Field, Id, Import, ImportId, ImportStatus, JsonObject, NewImport, OrgId, Violations, time,
};

/// The body of an import to create.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = NewImport))]
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
    /// How far it has come.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<ImportStatus>, inline, default = "pending"))]
    #[serde(default)]
    status: Field<String>,
    /// How many rows there are.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>, default = 0, maximum = 9_007_199_254_740_992_u64))]
    #[serde(default)]
    total_rows: Field<u64>,
    /// How the columns were mapped.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    #[serde(default)]
    mapping_json: Field<Box<RawValue>>,
}

impl FromBody for NewImport {
    type Wire = ImportForm;

    fn from_wire(form: ImportForm) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        let source = violations.required("source", form.source, |text| source(&text));
        let file_name = violations.optional("file_name", form.file_name, |text| file_name(&text));
        let campaign_id = violations.optional("campaign_id", form.campaign_id, |text| CampaignId::parse(&text));
        let status = violations.optional("status", form.status, |text| ImportStatus::parse(&text));
        let total_rows = violations.optional("total_rows", form.total_rows, total_rows);
        let mapping = violations.optional("mapping_json", form.mapping_json, |raw| JsonObject::parse(&raw));
        violations.finish(source.map(|source| Self {
            source,
            file_name,
            campaign_id,
            status: status.unwrap_or(ImportStatus::Pending),
            total_rows: total_rows.unwrap_or(0),
            mapping,
        }))
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
    #[cfg_attr(feature = "openapi", schema(inline))]
    status: ImportStatus,
    total_rows: u64,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    updated_at: String,
}

impl Resource for Import {
    fn view(&self) -> impl Serialize {
        ImportView {
            id: self.id,
            org_id: self.org_id,
            campaign_id: self.said.campaign_id,
            source: &self.said.source,
            file_name: self.said.file_name.as_deref(),
            status: self.said.status,
            total_rows: self.said.total_rows,
            created_at: time::to_seconds(self.created_at()),
            updated_at: time::to_seconds(self.updated_at),
        }
    }

    fn location(&self) -> Option<String> {
        Some(format!("/imports/{}", self.id))
    }
}
