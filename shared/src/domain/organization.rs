//! Organizations, which are the tenants.

use chrono::{DateTime, Utc};

use super::{ContactPartitions, Line, OrgId};

/// An organization as its operator sees it. Its data is reached by its credentials, never through this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// The organization's id.
    pub id: OrgId,
    /// The operator's name for the organization.
    pub name: Line<200>,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// The time of the suspension; `None` for an organization that may use the API.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Where its contacts, imports and campaigns are stored.
    pub placement: Placement,
}

/// Where the contacts, imports and campaigns of an organization are stored, as far as their ids do not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// `true` if the organization has migrated items (`dynamodb::keys` defines them), so that lists have to look for them.
    pub has_migrated_items: bool,
    /// The partitions that lists of contacts read, and that new contacts are spread over.
    pub contact_partitions: ContactPartitions,
}

impl Organization {
    /// `true` if every request of its credentials is refused.
    pub fn is_suspended(&self) -> bool {
        self.suspended_at.is_some()
    }
}
