//! The operations that each aggregate offers, written with the mechanics of [`dynamodb`](crate::dynamodb).
//!
//! A repository serves one organization for one request and is reached only through
//! [`RequestContext`](crate::RequestContext), which asks for a [`Principal`](crate::auth::Principal): a handler cannot name
//! another organization.

mod activities;
pub mod api_keys;
mod campaigns;
pub(crate) mod cascade;
mod companies;
mod contacts;
mod idempotency;
mod imports;
mod leads;
mod linking;
mod listing;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use activities::Activities;
pub use api_keys::ApiKeys;
pub use campaigns::Campaigns;
pub use companies::Companies;
pub use contacts::{Contacts, Plan, Row, RowOutcome};
pub use idempotency::{IdempotencyKey, IdempotencyLock, IdempotencyRecord, IdempotencyRecords, StoredResponse};
pub use imports::Imports;
pub use leads::Leads;
pub use listing::Page;

use crate::domain::{CompanyKey, ImportId, OrgId};
use crate::dynamodb::{TableClient, TtlCache};

/// Facts about the table that a process caches, so that a write need not read first.
#[derive(Debug, Default)]
pub(crate) struct FactCache {
    companies: TtlCache<(OrgId, CompanyKey), ()>,
    imports: TtlCache<(OrgId, ImportId), ()>,
}

/// The table, scoped to one organization for one request: what every repository is built on.
#[derive(Debug, Clone)]
pub(crate) struct OrgTable {
    client: TableClient,
    cache: Arc<FactCache>,
    org: OrgId,
    now: DateTime<Utc>,
}

impl OrgTable {
    /// The organization's part of the table, for a request that arrived at `now`.
    pub(crate) fn new(client: TableClient, cache: Arc<FactCache>, org: OrgId, now: DateTime<Utc>) -> Self {
        Self { client, cache, org, now }
    }
}
