//! The operations that each aggregate offers, written with the mechanics of [`dynamodb`](crate::dynamodb).
//!
//! A repository serves one organization for one request. A handler reaches it only through
//! [`RequestContext`](crate::RequestContext), which takes a [`Principal`](crate::auth::Principal), so a handler cannot
//! name another organization.

mod activities;
pub(crate) mod api_key_uses;
pub mod api_keys;
mod audit_log;
mod campaigns;
pub(crate) mod cascade;
mod companies;
mod contacts;
mod creation_list;
mod error;
pub(crate) mod idempotency;
mod imports;
mod leads;
mod linking;
mod listing;
mod merged_list;
pub(crate) mod organizations;
pub(crate) mod rate_limits;
#[cfg(feature = "operator")]
pub mod repair;
mod response_space;
mod stored;
#[cfg(feature = "operator")]
mod transfer;
mod updated_at;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use activities::Activities;
pub use api_keys::{ApiKeys, LastAdminKey};
pub use audit_log::{AuditContext, AuditLog};
pub use campaigns::Campaigns;
pub use companies::Companies;
#[cfg(feature = "operator")]
pub use contacts::ChildCounts;
pub use contacts::{Contacts, Plan, Row, RowOutcome};
pub use error::{Error, Result};
pub use idempotency::{
    IdempotencyKey, IdempotencyLock, IdempotencyRecord, IdempotencyRecords, RECORD_LIFETIME, StoredResponse,
};
pub use imports::Imports;
pub use leads::Leads;
#[cfg(feature = "operator")]
pub use listing::left_out_items;
pub use listing::{Page, PageRow};
#[cfg(feature = "operator")]
pub use organizations::{Organizations, Repartition};
pub use rate_limits::LimitedSubject;
pub use response_space::{MAX_RESPONSE_BYTES, ResponseSpace, escaped_len};
#[cfg(feature = "operator")]
pub use transfer::{Exported, Transfer};

use crate::domain::{CompanyKey, ContactId, Id, ImportId, OrgId, Placement};
use crate::dynamodb::{TableClient, TtlCache};
use crate::system::Rng;

/// Facts about the table that a process caches, so that a write need not read them first.
#[derive(Debug, Default)]
pub(crate) struct FactCache {
    /// Companies that exist.
    companies: TtlCache<(OrgId, CompanyKey), ()>,
    /// Imports that exist.
    imports: TtlCache<(OrgId, ImportId), ()>,
}

/// The table, scoped to one organization for one request: the basis of every repository.
#[derive(Debug, Clone)]
pub(crate) struct OrgTable {
    client: TableClient,
    cache: Arc<FactCache>,
    org: OrgId,
    /// When the request arrived: the time of everything that it writes. See [`updated_at`] for the exception.
    now: DateTime<Utc>,
    rng: Rng,
    audit: AuditContext,
    placement: Placement,
}

impl OrgTable {
    /// The table of this organization for a request that arrived at `now`.
    pub(crate) fn new(
        client: TableClient,
        cache: Arc<FactCache>,
        org: OrgId,
        now: DateTime<Utc>,
        rng: Rng,
        audit: AuditContext,
        placement: Placement,
    ) -> Self {
        Self { client, cache, org, now, rng, audit, placement }
    }

    /// An id for a new item, which sorts by the time of the request.
    fn new_id<I: Id>(&self) -> I {
        self.rng.uuid_v7(self.now).into()
    }

    /// An id for a new contact, which sorts by the time of the request and names the contact's partition.
    fn new_contact_id(&self) -> ContactId {
        self.placement.contact_partitions.assign(self.rng.uuid_v7(self.now))
    }

    /// A random id by which a writer recognizes its own write if the response to it was lost.
    fn new_write_id(&self) -> Uuid {
        self.rng.uuid_v4()
    }
}
