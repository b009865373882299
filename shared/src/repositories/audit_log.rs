//! The audit log of an organization. An entry is written in the transaction of the change that it records, so that neither
//! exists without the other.
//!
//! An entry whose time is over is hidden at once, although DynamoDB may remove it days later (TTL).

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::listing::{self, Listed, Page, PageRow, RangeFilter};
use super::{OrgTable, Result};
use crate::domain::{ActorType, AuditAction, AuditActor, AuditEntry, AuditEntryId, AuditFilter, Id, OrgId, ids, time};
use crate::dynamodb::Cursor;
use crate::dynamodb::StoredItem;
use crate::dynamodb::item::{ItemJson, ItemType, encode};
use crate::dynamodb::keys::{self, Key};
use crate::repositories::stored::Stored;

/// The audit log of one organization.
#[derive(Debug)]
pub struct AuditLog {
    pub(crate) table: OrgTable,
}

/// What the entries of one request have in common.
#[derive(Debug, Clone)]
pub struct AuditContext {
    /// Who sent the request.
    pub actor: AuditActor,
    /// The id of the request.
    pub request_id: String,
    /// How long entries are kept.
    pub retention: TimeDelta,
}

/// The attributes of an entry's item except its keys.
#[derive(Serialize, Deserialize)]
struct AuditItem {
    #[serde(with = "time::millis")]
    at: DateTime<Utc>,
    actor_type: ActorType,
    actor_id: String,
    action: AuditAction,
    subject_id: String,
    request_id: String,
    /// The TTL attribute.
    expires_at: i64,
}

impl AuditLog {
    /// A page of the entries, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list<R: PageRow<AuditEntry>>(
        &self,
        filter: &AuditFilter,
        limit: Option<usize>,
        cursor: Option<Cursor>,
    ) -> Result<Page<R>> {
        let OrgTable { org, now, .. } = self.table;
        let first_at = |time| keys::audit_entry(org, ids::first_uuid_at(time).into()).sk;
        let mut range = keys::audit_log(org);
        if let Some(from) = filter.from {
            range = range.starting_at(&first_at(from));
        }
        if let Some(to) = filter.to {
            // Entries of the millisecond in which the period ends may be in the range; the filter leaves them out.
            range = range.ending_at(&first_at(to + TimeDelta::milliseconds(1)));
        }
        if range.is_empty() {
            return Ok(Page { rows: Vec::new(), next: None });
        }
        let shows = |entry: &AuditEntry| now < entry.expires_at && filter.matches(entry);
        let filter = RangeFilter { range, is_sparse: filter.is_sparse(), shows };
        listing::page_of_range(&self.table, limit, cursor, filter).await
    }
}

impl OrgTable {
    /// The item of a new audit entry, for the transaction of the change that it records.
    pub(super) fn audit_entry(&self, action: AuditAction, subject_id: impl Id) -> Result<ItemJson> {
        let AuditContext { actor: AuditActor { actor_type, id: actor_id }, request_id, retention } = self.audit.clone();
        let record = AuditItem {
            at: self.now,
            actor_type,
            actor_id,
            action,
            subject_id: subject_id.to_string(),
            request_id,
            expires_at: (self.now + retention).timestamp(),
        };
        Ok(encode(&keys::audit_entry(self.org, self.new_id()), ItemType::AuditEntry, &record)?)
    }
}

impl Listed for AuditEntry {
    type SortPosition = Uuid;
    const DESCENDING: bool = true;

    fn key(org: OrgId, position: Uuid) -> Key {
        keys::audit_entry(org, position.into())
    }

    fn position(key: &Key) -> Option<Uuid> {
        keys::parse_audit_entry(key).map(Uuid::from)
    }
}

impl Stored for AuditEntry {
    fn from_item(item: &StoredItem<'_>) -> Result<Self> {
        let id: Option<AuditEntryId> = item.key().and_then(|key| keys::parse_audit_entry(&key));
        let AuditItem { at, actor_type, actor_id, action, subject_id, request_id, expires_at } =
            item.decode(ItemType::AuditEntry)?;
        let (Some(id), Some(expires_at)) = (id, DateTime::from_timestamp(expires_at, 0)) else {
            return Err(item.unreadable(ItemType::AuditEntry).into());
        };
        let actor = AuditActor { actor_type, id: actor_id };
        Ok(Self { id, at, actor, action, subject_id, request_id, expires_at })
    }
}
