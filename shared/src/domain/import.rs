//! An import: a group of contacts that were loaded together.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::text::{choice, text_schema};
use super::{CampaignId, ImportId, InvalidValue, JsonObject, Line, OrgId, Patch};

choice! {
    /// The progress of a load, as reported by the client.
    ImportStatus {
        /// Announced.
        Pending = "pending",
        /// In progress.
        Processing = "processing",
        /// Done.
        Completed = "completed",
        /// Stopped by an error.
        Failed = "failed",
    }
}

/// The maximum number of characters of an [`ImportSource`].
const MAX_SOURCE: usize = 100;

/// The source of an import: one line of 1 to 100 characters in lower case.
///
/// ```
/// # use shared::domain::ImportSource;
/// assert_eq!(" CSV ".parse::<ImportSource>()?.as_str(), "csv");
///
/// assert!("".parse::<ImportSource>().is_err());
/// # Ok::<_, shared::domain::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImportSource(Line<MAX_SOURCE>);

impl ImportSource {
    /// The lower-cased text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ImportSource {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.to_lowercase().parse().map(Self)
    }
}

text_schema!(ImportSource, |schema| schema.min_length(Some(1)).max_length(Some(MAX_SOURCE)).examples(["csv"]));

/// A number of rows, at most 2⁵³: JavaScript clients do not represent larger integers exactly.
///
/// ```
/// # use shared::domain::RowCount;
/// assert!(RowCount::try_from(1_500).is_ok());
///
/// assert!(RowCount::try_from(RowCount::MAX + 1).is_err());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowCount(u64);

impl RowCount {
    /// The largest number of rows.
    pub const MAX: u64 = 1 << 53;
    const TOO_MANY: InvalidValue = InvalidValue::Rule("must be at most 9007199254740992");
}

impl TryFrom<u64> for RowCount {
    type Error = InvalidValue;

    fn try_from(rows: u64) -> Result<Self, InvalidValue> {
        if rows > Self::MAX { Err(Self::TOO_MANY) } else { Ok(Self(rows)) }
    }
}

/// The fields of an import that clients write and read.
///
/// The stored item and the JSON of an import embed them: they are declared here and in [`ImportPatch`] only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportDetails {
    /// The campaign that the contacts are meant for. It need not exist: a campaign may be created after its import.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>, required))]
    pub campaign_id: Option<CampaignId>,
    /// The source of the rows.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub source: ImportSource,
    /// The name of the file.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required, examples("leads.csv")))]
    pub file_name: Option<Line<255>>,
    /// The progress of the load; a new import is pending.
    pub status: ImportStatus,
    /// The number of rows, as counted by the client.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub total_rows: RowCount,
}

impl ImportId {
    /// The request header that names the import of a new contact.
    pub const HEADER: &str = "X-Import-ID";
}

/// An import of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Version 7, so that imports are stored in the order of their creation.
    pub id: ImportId,
    /// The organization that owns the import.
    pub org_id: OrgId,
    /// The fields that clients write and read.
    pub details: ImportDetails,
    /// The client's mapping of columns to fields, which is stored but never returned.
    pub mapping: Option<JsonObject>,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// The time of the last change, to the millisecond.
    pub updated_at: DateTime<Utc>,
}

/// The changes that a client sends to an existing import, or the fields of a new one.
///
/// Serializes as the attributes that an update sets, and `null` for those it removes; the mapping is not among them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ImportPatch {
    /// A new source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ImportSource>,
    /// A new file name, or its removal.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub file_name: Patch<Line<255>>,
    /// A new campaign, or its removal.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub campaign_id: Patch<CampaignId>,
    /// A new status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ImportStatus>,
    /// A new number of rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_rows: Option<RowCount>,
    /// A new mapping, or its removal.
    #[serde(skip)]
    pub mapping: Patch<JsonObject>,
}

/// An import to create.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// The fields that the client sent.
    pub details: ImportDetails,
    /// The client's mapping of columns to fields.
    pub mapping: Option<JsonObject>,
}

impl NewImport {
    /// An import with these fields; `None` without a source.
    pub fn new(patch: ImportPatch) -> Option<Self> {
        let ImportPatch { source, file_name, campaign_id, status, total_rows, mapping } = patch;
        let details = ImportDetails {
            campaign_id: campaign_id.into_value(),
            source: source?,
            file_name: file_name.into_value(),
            status: status.unwrap_or(ImportStatus::Pending),
            total_rows: total_rows.unwrap_or_default(),
        };
        Some(Self { details, mapping: mapping.into_value() })
    }
}

impl Import {
    /// A newly created import.
    pub fn new(id: ImportId, org_id: OrgId, new: NewImport, now: DateTime<Utc>) -> Self {
        let NewImport { details, mapping } = new;
        Self { id, org_id, details, mapping, created_at: now, updated_at: now }
    }
}

/// The conditions of a list of imports. Every condition that is set narrows it.
#[derive(Debug, Clone, Default)]
pub struct ImportFilter {
    /// Imports of this status.
    pub status: Option<ImportStatus>,
    /// Imports that are meant for this campaign.
    pub campaign_id: Option<CampaignId>,
}

impl ImportFilter {
    /// `true` if no condition is set.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.campaign_id.is_none()
    }

    /// `true` if the list shows this import.
    pub fn matches(&self, import: &Import) -> bool {
        self.status.is_none_or(|status| status == import.details.status)
            && self.campaign_id.is_none_or(|id| Some(id) == import.details.campaign_id)
    }
}
