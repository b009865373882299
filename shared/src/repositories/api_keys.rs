//! API keys, which are found by the hash of their secret, and listed and revoked by their id through an index.

mod revoke;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::idempotency::IdempotencyRecord;
use super::listing::{self, ListRow, ListRows, Page, PageRow};
use super::{OrgTable, Result, api_key_uses};
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{ApiKey, ApiKeyId, ApiKeySecret, AuditAction, Line, NewApiKey, OrgId, RateLimit, Scope, time};
use crate::dynamodb::item::{Item, ItemJson, ItemType, decode, encode, key_of, string_set};
use crate::dynamodb::keys;
use crate::dynamodb::schema::GSI1;
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::{self, Cursor, TableClient};

pub use revoke::LastAdminKey;

/// The API keys of one organization.
#[derive(Debug)]
pub struct ApiKeys {
    pub(crate) table: OrgTable,
    /// The lifetime of a key that is created without an expiry; `None` for no end.
    pub(crate) default_lifetime: Option<TimeDelta>,
}

#[derive(Serialize, Deserialize)]
struct ApiKeyItem {
    id: ApiKeyId,
    org_id: OrgId,
    name: Line<100>,
    display_prefix: String,
    #[serde(with = "string_set")]
    scopes: BTreeSet<Scope>,
    #[serde(with = "time::millis")]
    created_at: DateTime<Utc>,
    // Not the TTL attribute, because an expired key stays in its owner's list.
    #[serde(default, with = "time::optional_millis", skip_serializing_if = "Option::is_none")]
    valid_until: Option<DateTime<Utc>>,
    #[serde(default, with = "time::optional_millis", skip_serializing_if = "Option::is_none")]
    revoked_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate_limit: Option<RateLimit>,
}

/// The label of an item in an API key's transaction, by which a refusal names the item whose condition failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionItem {
    ApiKey,
    AuditEntry,
    IdempotencyRecord,
    /// The admin key that is left after a revocation.
    Witness,
}

impl ApiKeys {
    /// A new API key that is not stored yet. Without an expiry it gets the default lifetime.
    pub fn draft(&self, mut new: NewApiKey, secret: &ApiKeySecret) -> ApiKey {
        let default_expiry = self.default_lifetime.map(|lifetime| self.table.now + lifetime);
        new.valid_until = new.valid_until.or(default_expiry);
        ApiKey::new(self.table.new_id(), self.table.org, new, secret, self.table.now)
    }

    /// Stores a new key under the hash of its secret, in one transaction with the audit entry and the idempotency record.
    ///
    /// # Errors
    /// [`Error::AlreadyCompleted`](super::Error::AlreadyCompleted), or the database's.
    pub async fn create(
        &self,
        hash: &ApiKeyHash,
        key: &ApiKey,
        idempotency_record: Option<&IdempotencyRecord>,
    ) -> Result<()> {
        let mut transaction = self.table.client.transaction();
        transaction.put_new(TransactionItem::ApiKey, &to_item(hash, key)?);
        let entry = self.table.audit_entry(AuditAction::ApiKeyCreated, key.id)?;
        transaction.put(TransactionItem::AuditEntry, &entry);
        self.table.commit_new(transaction, TransactionItem::IdempotencyRecord, idempotency_record).await
    }

    /// A page of the organization's keys with their last uses, newest first, including revoked and expired ones.
    ///
    /// # Errors
    /// The database's.
    pub async fn list<R: PageRow<ApiKey>>(&self, limit: Option<usize>, cursor: Option<Cursor>) -> Result<Page<R>> {
        listing::page(&self.table.client, limit, cursor, |after, limits| {
            self.read(after.map(ApiKeyId::from), limits.rows)
        })
        .await
    }

    async fn read<R: PageRow<ApiKey>>(&self, after: Option<ApiKeyId>, limit: Option<usize>) -> Result<ListRows<R>> {
        let OrgTable { client, org, .. } = &self.table;
        let start = after.map(keys::api_key_index_sort_key);
        let options = QueryOptions { descending: true, limit };
        let found = client.query_index(&GSI1, &keys::api_keys(*org), start.as_deref(), options).await?;
        let (mut ids, mut item_keys) = (Vec::new(), Vec::new());
        for entry in found.entries {
            if let Some(id) = listing::skip_unreadable(parse_index_sort_key(&entry.index_sk))? {
                ids.push(id);
                item_keys.extend([entry.key, keys::api_key_use(*org, id)]);
            }
        }
        let (mut api_keys, mut uses) = (Vec::with_capacity(ids.len()), HashMap::new());
        for item in client.batch_get(&item_keys).await? {
            match key_of(&item).and_then(|key| keys::parse_api_key_use(&key)) {
                Some(id) => uses.extend(listing::skip_unreadable(api_key_uses::from_item(&item))?.map(|at| (id, at))),
                None => api_keys.extend(listing::skip_unreadable(from_item(&item))?),
            }
        }
        for api_key in &mut api_keys {
            api_key.last_used_at = uses.remove(&api_key.id);
        }
        let in_order = listing::in_order(ids, api_keys, |api_key: &ApiKey| api_key.id);
        let is_own = |api_key: &ApiKey| api_key.org_id == *org;
        let rows = in_order.map(|(id, api_key)| ListRow::new(Uuid::from(id), api_key.filter(is_own))).collect();
        let last_evaluated = match found.last_evaluated_sk {
            Some(index_sk) => Some(parse_index_sort_key(&index_sk)?.into()),
            None => None,
        };
        Ok(ListRows { rows, last_evaluated })
    }
}

fn parse_index_sort_key(index_sk: &str) -> Result<ApiKeyId> {
    let item_type = ItemType::ApiKey.as_str();
    let unreadable = || dynamodb::Error::Unreadable { item_type, key_kind: GSI1.name, ids: String::new() };
    Ok(keys::parse_api_key_index_sort_key(index_sk).ok_or_else(unreadable)?)
}

/// Finds a key by the hash of its secret.
///
/// # Errors
/// The database's.
pub(crate) async fn find(client: &TableClient, hash: &ApiKeyHash) -> Result<Option<ApiKey>> {
    match client.get(&keys::api_key(hash)).await? {
        Some(item) => Ok(Some(from_item(&item)?)),
        None => Ok(None),
    }
}

/// Stores an API key under the hash of its secret, for operators' commands and tests.
///
/// # Errors
/// The database's.
#[cfg(feature = "testing")]
pub async fn store(table: &crate::dynamodb::Table, hash: &ApiKeyHash, key: &ApiKey) -> Result<()> {
    Ok(table.put(&to_item(hash, key)?).await?)
}

/// The item of an API key.
pub(super) fn to_item(hash: &ApiKeyHash, key: &ApiKey) -> Result<ItemJson> {
    let ApiKey {
        id,
        org_id,
        name,
        display_prefix,
        scopes,
        created_at,
        valid_until,
        revoked_at,
        rate_limit,
        last_used_at: _,
    } = key.clone();
    let scopes = scopes.iter().collect();
    let record =
        ApiKeyItem { id, org_id, name, display_prefix, scopes, created_at, valid_until, revoked_at, rate_limit };
    let mut item = encode(&keys::api_key(hash), ItemType::ApiKey, &record)?;
    item.insert_index_attributes(keys::api_key_in_index(org_id, id));
    Ok(item)
}

/// Reads a key from its item.
pub(super) fn from_item(item: &Item) -> Result<ApiKey> {
    let ApiKeyItem { id, org_id, name, display_prefix, scopes, created_at, valid_until, revoked_at, rate_limit } =
        decode(item, ItemType::ApiKey)?;
    Ok(ApiKey {
        id,
        org_id,
        name,
        display_prefix,
        scopes: scopes.into_iter().collect(),
        created_at,
        valid_until,
        revoked_at,
        rate_limit,
        last_used_at: None,
    })
}
