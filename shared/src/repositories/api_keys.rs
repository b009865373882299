//! API keys, which are found by the hash of their secret, and listed and revoked by their id through an index.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::idempotency::IdempotencyRecord;
use super::listing::{self, ListRow, ListRows, Page, PageRow};
use super::{Error, OrgTable, Result};
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{ApiKey, ApiKeyId, ApiKeySecret, Kind, Line, NewApiKey, OrgId, RateLimit, Scope, time};
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{Item, ItemType, decode, encode, text};
use crate::dynamodb::keys;
use crate::dynamodb::schema::GSI1;
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::{self, Conditional, Cursor, TableClient};

const ORG_ID: &str = "org_id";
const REVOKED_AT: &str = "revoked_at";

/// The API keys of one organization.
#[derive(Debug)]
pub struct ApiKeys {
    pub(crate) table: OrgTable,
}

#[derive(Serialize, Deserialize)]
struct ApiKeyItem {
    id: ApiKeyId,
    org_id: OrgId,
    name: Line<100>,
    display_prefix: String,
    #[serde(with = "serde_dynamo::string_set")]
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
    IdempotencyRecord,
}

impl ApiKeys {
    /// A new API key that is not stored yet.
    pub fn draft(&self, new: NewApiKey, secret: &ApiKeySecret) -> ApiKey {
        ApiKey::new(self.table.new_id(), self.table.org, new, secret, self.table.now)
    }

    /// Stores a new key under the hash of its secret, in one transaction with the idempotency record.
    ///
    /// # Errors
    /// [`Error::AlreadyCompleted`], or the database's.
    pub async fn create(
        &self,
        hash: &ApiKeyHash,
        key: &ApiKey,
        idempotency_record: Option<&IdempotencyRecord>,
    ) -> Result<()> {
        let mut transaction = self.table.client.transaction();
        transaction.put_new(TransactionItem::ApiKey, to_item(hash, key)?);
        self.table.commit_new(transaction, TransactionItem::IdempotencyRecord, idempotency_record).await
    }

    /// A page of the organization's keys, newest first, including revoked and expired ones.
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
                item_keys.push(entry.key);
            }
        }
        let mut api_keys = Vec::with_capacity(ids.len());
        for item in client.batch_get(&item_keys).await? {
            api_keys.extend(listing::skip_unreadable(from_item(item))?);
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

    /// Revokes a key. A key that is revoked already keeps the time of its first revocation.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn revoke(&self, id: ApiKeyId) -> Result<()> {
        let OrgTable { client, org, now, .. } = &self.table;
        let range = keys::api_key_by_id(*org, id);
        let found = client.query_index(&GSI1, &range, None, QueryOptions::default()).await?;
        let entry = found.entries.into_iter().next().ok_or(Error::NotFound(Kind::ApiKey))?;
        let mut update = Update::new();
        update.touch(REVOKED_AT, text(time::to_millis(*now)));
        let condition = Condition::equals(ORG_ID, text(org.to_string())).and_absent(REVOKED_AT);
        let stored = match client.update_if(&entry.key, update, condition).await? {
            Conditional::Applied(_) => return Ok(()),
            Conditional::Refused(None) => return Err(Error::NotFound(Kind::ApiKey)),
            Conditional::Refused(Some(item)) => from_item(item)?,
        };
        // A key of this organization was revoked before, perhaps by an earlier attempt of this very call.
        if stored.org_id == *org { Ok(()) } else { Err(Error::NotFound(Kind::ApiKey)) }
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
        Some(item) => Ok(Some(from_item(item)?)),
        None => Ok(None),
    }
}

/// Stores an API key under the hash of its secret, for operators' commands and tests.
///
/// # Errors
/// The database's.
#[cfg(feature = "testing")]
pub async fn store(table: &crate::dynamodb::Table, hash: &ApiKeyHash, key: &ApiKey) -> Result<()> {
    Ok(table.put(to_item(hash, key)?).await?)
}

/// The item of an API key.
fn to_item(hash: &ApiKeyHash, key: &ApiKey) -> Result<Item> {
    let ApiKey { id, org_id, name, display_prefix, scopes, created_at, valid_until, revoked_at, rate_limit } =
        key.clone();
    let scopes = scopes.iter().collect();
    let record =
        ApiKeyItem { id, org_id, name, display_prefix, scopes, created_at, valid_until, revoked_at, rate_limit };
    let mut item = encode(&keys::api_key(hash), ItemType::ApiKey, &record)?;
    item.extend(keys::api_key_in_index(org_id, id).map(|(name, value)| (name.to_owned(), text(value))));
    Ok(item)
}

fn from_item(item: Item) -> Result<ApiKey> {
    let ApiKeyItem { id, org_id, name, display_prefix, scopes, created_at, valid_until, revoked_at, rate_limit } =
        decode(item, ItemType::ApiKey)?;
    let scopes = scopes.into_iter().collect();
    Ok(ApiKey { id, org_id, name, display_prefix, scopes, created_at, valid_until, revoked_at, rate_limit })
}
