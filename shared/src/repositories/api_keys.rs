//! API keys: found by the hash of their secret, listed and revoked by their id, through an index.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::OrgTable;
use super::idempotency::IdempotencyRecord;
use super::listing::{self, Page, Row, Rows};
use crate::domain::api_key::ApiKeyHash;
use crate::domain::ids::uuid_at;
use crate::domain::{ApiKey, ApiKeyId, ApiKeySecret, Line, NewApiKey, OrgId, Scope, time};
use crate::dynamodb::Cursor;
use crate::dynamodb::TableClient;
use crate::dynamodb::expression::Expression;
use crate::dynamodb::item::{Item, Type, item, record, text};
use crate::dynamodb::keys::{self, GSI1};
use crate::dynamodb::table_client::Reading;
use crate::dynamodb::transaction::Transaction;
use crate::dynamodb::{Error, Kind, Result};

const ORG_ID: &str = "org_id";
const REVOKED_AT: &str = "revoked_at";

/// The API keys of one organization.
#[derive(Debug)]
pub struct ApiKeys(pub(crate) OrgTable);

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
    // Not the TTL attribute: an expired key stays in its owner's list.
    #[serde(default, with = "time::optional_millis", skip_serializing_if = "Option::is_none")]
    valid_until: Option<DateTime<Utc>>,
    #[serde(default, with = "time::optional_millis", skip_serializing_if = "Option::is_none")]
    revoked_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Key,
    IdempotencyRecord,
}

impl ApiKeys {
    /// What is kept of a key of this organization, made now and not yet stored.
    pub fn draft(&self, new: NewApiKey, secret: &ApiKeySecret) -> ApiKey {
        ApiKey::new(uuid_at(self.0.now).into(), self.0.org, new, secret, self.0.now)
    }

    /// Stores a new key under the hash of its secret and, in the same transaction, that it was made.
    ///
    /// # Errors
    /// [`Error::AlreadyAnswered`], or the database's.
    pub async fn create(
        &self,
        hash: &ApiKeyHash,
        key: &ApiKey,
        idempotency_record: Option<&IdempotencyRecord>,
    ) -> Result<()> {
        let mut transaction = Transaction::new(self.0.client.table_name());
        transaction.put_new(Part::Key, to_item(hash, key)?);
        self.0.commit_new(transaction, Part::IdempotencyRecord, idempotency_record).await
    }

    /// A page of the organization's keys, newest first, the revoked and expired ones too.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, limit: usize, cursor: Option<Cursor>) -> Result<Page<ApiKey>> {
        listing::page(limit, cursor, |after, wanted| self.read(after.map(ApiKeyId::from), wanted)).await
    }

    async fn read(&self, after: Option<ApiKeyId>, wanted: usize) -> Result<Rows<ApiKey>> {
        let after = after.map(keys::api_key_place);
        let reading = Reading { descending: true, limit: Some(wanted) };
        let found = self.0.client.query_index(&GSI1, &keys::api_keys(self.0.org), after.as_deref(), &reading).await?;
        let id = |index_sk: &str| keys::api_key_at(index_sk).ok_or_else(|| Error::Unreadable(index_sk.to_owned()));
        let order = found.entries.iter().map(|entry| id(&entry.index_sk)).collect::<Result<Vec<_>>>()?;
        let wanted: Vec<_> = found.entries.into_iter().map(|entry| entry.key).collect();
        let keys = self.0.client.batch_get(&wanted).await?;
        let keys = keys.into_iter().map(from_item).collect::<Result<Vec<_>>>()?;
        let rows = listing::in_order(order, keys, |key| key.id).map(|(id, key)| {
            let own = key.filter(|key| key.org_id == self.0.org);
            Row { place: Uuid::from(id), shown: own, bytes: SHOWN_LEN }
        });
        let more = found.last.as_deref().map(id).transpose()?;
        Ok(Rows { rows: rows.collect(), more: more.map(Uuid::from) })
    }

    /// Revokes a key. One that is revoked stays so since its first time.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn revoke(&self, id: ApiKeyId) -> Result<()> {
        let range = keys::api_key_by_id(self.0.org, id);
        let found = self.0.client.query_index(&GSI1, &range, None, &Reading::default()).await?;
        let entry = found.entries.into_iter().next().ok_or(Error::NotFound(Kind::ApiKey))?;
        let mut change = Expression::equals(ORG_ID, text(self.0.org.to_string()));
        change.require_absent(REVOKED_AT);
        change.note(REVOKED_AT, text(time::to_millis(self.0.now)));
        match self.0.client.update(&entry.key, change).await? {
            Ok(_) => Ok(()),
            Err(item) => match item.map(from_item).transpose()? {
                // Revoked before, perhaps by an earlier attempt of this very call.
                Some(key) if key.org_id == self.0.org => Ok(()),
                Some(_) | None => Err(Error::NotFound(Kind::ApiKey)),
            },
        }
    }
}

/// The key with this hash, if there is one.
pub(crate) async fn find(client: &TableClient, hash: &ApiKeyHash) -> Result<Option<ApiKey>> {
    client.get(&keys::api_key(hash)).await?.map(from_item).transpose()
}

/// Stores an API key under the hash of its secret, as an operator's command does.
///
/// # Errors
/// The database's.
#[cfg(feature = "testing")]
pub async fn store(table: &crate::dynamodb::Table, hash: &ApiKeyHash, key: &ApiKey) -> Result<()> {
    table.put(to_item(hash, key)?).await
}

/// A key's item, under the hash of its secret.
fn to_item(hash: &ApiKeyHash, key: &ApiKey) -> Result<Item> {
    let ApiKey { id, org_id, name, display_prefix, scopes, created_at, valid_until, revoked_at } = key.clone();
    let scopes = scopes.iter().collect();
    let record = ApiKeyItem { id, org_id, name, display_prefix, scopes, created_at, valid_until, revoked_at };
    let mut item = item(&keys::api_key(hash), Type::ApiKey, &record)?;
    item.extend(keys::api_key_in_index(org_id, id).map(|(name, value)| (name.to_owned(), text(value))));
    Ok(item)
}

fn from_item(item: Item) -> Result<ApiKey> {
    let ApiKeyItem { id, org_id, name, display_prefix, scopes, created_at, valid_until, revoked_at } =
        record(item, Type::ApiKey)?;
    let scopes = scopes.into_iter().collect();
    Ok(ApiKey { id, org_id, name, display_prefix, scopes, created_at, valid_until, revoked_at })
}

/// About how long a key is in an answer, in bytes.
const SHOWN_LEN: usize = 500;
