//! An import: the cohort that a load of contacts belongs to.

use chrono::{DateTime, Utc};

use super::ids::moment_of;
use super::text::{choice, line};
use super::{CampaignId, ImportId, InvalidValue, JsonObject, OrgId, Patch};

choice! {
    /// How far a load has come; the client says so.
    ImportStatus {
        /// Announced.
        Pending = "pending",
        /// Under way.
        Processing = "processing",
        /// Done.
        Completed = "completed",
        /// Given up.
        Failed = "failed",
    }
}

/// What a client says of an import to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImport {
    /// Where the rows come from, as [`source`] reads it.
    pub source: String,
    /// The file they came in.
    pub file_name: Option<String>,
    /// The campaign they are meant for. Not looked up: a campaign may be made after its import.
    pub campaign_id: Option<CampaignId>,
    /// How far it has come.
    pub status: ImportStatus,
    /// How many rows the client counts.
    pub total_rows: u64,
    /// How the client mapped its columns.
    pub mapping: Option<JsonObject>,
}

/// An import of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its id, which holds the moment of its creation.
    pub id: ImportId,
    /// Whose it is.
    pub org_id: OrgId,
    /// What the client said.
    pub details: NewImport,
    /// The last change, to the millisecond.
    pub updated_at: DateTime<Utc>,
}

/// What an update changes.
#[derive(Debug, Clone, Default)]
pub struct ImportPatch {
    /// See [`NewImport`].
    pub source: Option<String>,
    /// See [`NewImport`].
    pub file_name: Patch<String>,
    /// See [`NewImport`]; none unlinks the import.
    pub campaign_id: Patch<CampaignId>,
    /// See [`NewImport`].
    pub status: Option<ImportStatus>,
    /// See [`NewImport`].
    pub total_rows: Option<u64>,
    /// See [`NewImport`].
    pub mapping: Patch<JsonObject>,
}

impl Import {
    /// An import as it begins.
    pub fn new(id: ImportId, org_id: OrgId, details: NewImport) -> Self {
        Self { id, org_id, details, updated_at: moment_of(id.into()) }
    }

    /// When it was created, to the millisecond.
    pub fn created_at(&self) -> DateTime<Utc> {
        moment_of(self.id.into())
    }
}

/// Which imports a list shows; each part narrows it.
#[derive(Debug, Clone, Default)]
pub struct ImportFilter {
    /// Those of this status.
    pub status: Option<ImportStatus>,
    /// Those that are meant for this campaign.
    pub campaign_id: Option<CampaignId>,
}

impl ImportFilter {
    /// Whether the list shows every import.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.campaign_id.is_none()
    }

    /// Whether the list shows this import.
    pub fn shows(&self, import: &Import) -> bool {
        self.status.is_none_or(|status| status == import.details.status)
            && self.campaign_id.is_none_or(|id| Some(id) == import.details.campaign_id)
    }
}

/// Reads where an import's rows come from: 1–100 characters, trimmed, lower-cased.
///
/// # Errors
/// Blank, too long, or with control characters.
pub fn source(text: &str) -> Result<String, InvalidValue> {
    line(&text.to_lowercase(), 100, "must be at most 100 characters")
}

/// Reads a file's name: 1–255 characters, trimmed.
///
/// # Errors
/// Blank, too long, or with control characters.
pub fn file_name(text: &str) -> Result<String, InvalidValue> {
    line(text, 255, "must be at most 255 characters")
}

/// Reads a number of rows. Above 2⁵³ a JavaScript client would read another number back.
///
/// # Errors
/// Too large a number.
pub fn total_rows(rows: u64) -> Result<u64, InvalidValue> {
    if rows <= 1 << 53 { Ok(rows) } else { Err(InvalidValue("must be at most 9007199254740992")) }
}
