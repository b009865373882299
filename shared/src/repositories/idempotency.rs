//! Idempotency: a request that is sent again with the same `Idempotency-Key` has the effect of one
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! **Problem.** A client whose connection broke does not know whether its POST was applied. It sends the request again,
//! with the same key. The second request must not create a second contact, and must not report a conflict with the first.
//! Both may also arrive at the same time, or on another function instance after a crash of the first.
//!
//! **Approach.** The key is scoped to organization, method and path. A fingerprint of the query, `X-Import-ID` and the body
//! distinguishes a repeat from another request with the same key, which is a 422. The route table
//! defines what a repeat of each endpoint gets:
//! - *Replayed* (contacts, imports, campaigns, activities): the response of the first request, byte for byte. The handler
//!   drafts the entity with its id and timestamps, renders the response, and only then commits entity and response
//!   ([`IdempotencyRecord`]) in one transaction ([`OrgTable::commit`]). So there is never an entity without its stored
//!   response, nor a stored response without its entity, and a response that was lost on its way is still known.
//! - *Refused* (API keys): 409. Their response holds a secret, so the record stores that the key was used and nothing else.
//! - *Run again* (bulk upload, linking imports): these endpoints find by themselves what was done before, and their work
//!   does not fit into one transaction. They run again, but not twice at once: an [`IdempotencyLock`] is held meanwhile.
//!
//! Two concurrent requests with one key both find no record and both try to commit; the record's condition lets one
//! through. The other gets [`Error::AlreadyCompleted`], reads the record and replays it. A lock names its holder, so that a holder
//! whose response from DynamoDB was lost recognizes its own lock. It expires by itself after a minute, longer than a
//! request can run, in case its holder died. Records and locks carry a TTL, and readers check the time themselves.
//!
//! **Rejected.**
//! - A "running" record before the work and its completion afterwards: two writes per request, and a crash between them
//!   leaves a key blocked, without telling whether the work was done.
//! - Storing the response after the work: a crash between the two turns the repeat into a false 409.
//! - A cache outside the table: it cannot commit together with the entity.
//!
//! **If this is changed.** A response that is rendered after the commit cannot be stored with it. A response that depends
//! on what the table held differs from its replay; activities therefore render again when another writer was faster. A
//! lock shorter than the longest request lets two bulk uploads run at once.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::OrgTable;
use super::error::{Error, Result, unexpected};
use crate::domain::OrgId;
use crate::domain::json::MAX_STORED_BYTES;
use crate::dynamodb::Conditional;
use crate::dynamodb::expression::Condition;
use crate::dynamodb::item::{ItemType, decode, encode, number, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::schema::TTL;
use crate::dynamodb::transaction::Transaction;

/// How long a response is stored.
pub const RECORD_LIFETIME: TimeDelta = TimeDelta::hours(24);
/// How long a key is locked at most: longer than a request can run.
pub(crate) const LOCK_LIFETIME: TimeDelta = TimeDelta::seconds(60);

/// The response to store under an `Idempotency-Key`, in the same transaction as the changes that it describes.
#[derive(Debug, Clone)]
pub struct IdempotencyRecord {
    /// The key that the request was sent with.
    pub idempotency_key: IdempotencyKey,
    /// The hash of the request. The same key with another fingerprint is an error of the client.
    pub fingerprint: String,
    /// The serialized response; blank if a repeat is refused.
    pub response: String,
}

/// An `Idempotency-Key` within its organization.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The request's method.
    pub method: &'static str,
    /// The request's path: that of the route, with the canonical form of each id.
    pub path: String,
    /// The client's key.
    pub key: String,
}

/// The stored response of an earlier request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredResponse {
    /// The hash of the request.
    pub fingerprint: String,
    /// The serialized response; blank if a repeat is refused.
    pub response: String,
    expires_at: i64,
}

/// The attribute that names the request which holds a lock.
const HOLDER: &str = "holder";

/// The lock of an `Idempotency-Key` while its request runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct IdempotencyLock {
    /// The request that holds the lock: it recognizes its own lock if the response to locking was lost.
    holder: Uuid,
    fingerprint: String,
    expires_at: i64,
}

/// The idempotency records of one organization.
#[derive(Debug)]
pub struct IdempotencyRecords {
    pub(crate) table: OrgTable,
}

impl IdempotencyRecords {
    /// The response that is stored under this key, unless it has expired.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(&self, idempotency_key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        let Some(item) = self.table.client.get(&key(self.table.org, idempotency_key)).await? else { return Ok(None) };
        let stored: StoredResponse = decode(&item, ItemType::Idempotency)?;
        let is_valid = self.table.now.timestamp() < stored.expires_at;
        Ok(if is_valid { Some(stored) } else { None })
    }

    /// Locks this key for one request. The lock expires after a minute if it is not released.
    ///
    /// # Errors
    /// [`Error::InProgress`] or [`Error::KeyReused`] if another request holds the lock, or the database's.
    pub async fn lock(&self, idempotency_key: &IdempotencyKey, fingerprint: &str) -> Result<IdempotencyLock> {
        let now = self.table.now;
        let expires_at = (now + LOCK_LIFETIME).timestamp();
        let lock =
            IdempotencyLock { holder: self.table.new_write_id(), fingerprint: fingerprint.to_owned(), expires_at };
        let item = encode(&key(self.table.org, idempotency_key), ItemType::IdempotencyLock, &lock)?;
        match self.table.client.put_if(&item, expired_at(now)).await? {
            Conditional::Applied(()) => Ok(lock),
            Conditional::Refused(stored) => {
                let held: IdempotencyLock = decode(&stored.unwrap_or_default(), ItemType::IdempotencyLock)?;
                if held.holder == lock.holder {
                    Ok(lock)
                } else if held.fingerprint == fingerprint {
                    Err(Error::InProgress { seconds: held.expires_at - now.timestamp() })
                } else {
                    Err(Error::KeyReused)
                }
            }
        }
    }

    /// Releases a lock. A lock that has expired and is held by another request stays.
    ///
    /// # Errors
    /// The database's.
    pub async fn release(&self, idempotency_key: &IdempotencyKey, lock: &IdempotencyLock) -> Result<()> {
        let is_own = Condition::equals(HOLDER, text(lock.holder.to_string()));
        match self.table.client.delete_if(&key(self.table.org, idempotency_key), is_own).await? {
            Conditional::Applied(()) | Conditional::Refused(()) => Ok(()),
        }
    }
}

/// No record or lock is stored, or one that has expired at `now`: it is expired from the second in its TTL attribute on.
fn expired_at(now: DateTime<Utc>) -> Condition {
    Condition::absent_or_below(TTL, number(now.timestamp() + 1))
}

impl OrgTable {
    /// Commits a transaction, and in it the record under the label `record_label`. A refusal holds the labels of the
    /// other items whose conditions failed.
    ///
    /// # Errors
    /// [`Error::AlreadyCompleted`] if the key has a record, [`Error::ResponseTooLarge`], or the database's.
    pub(super) async fn commit<L: Copy + PartialEq>(
        &self,
        mut transaction: Transaction<L>,
        record_label: L,
        record: Option<&IdempotencyRecord>,
    ) -> Result<Conditional<(), Vec<L>>> {
        if let Some(record) = record {
            self.put_record(&mut transaction, record_label, record)?;
        }
        match self.client.commit(transaction).await? {
            Conditional::Refused(labels) if labels.contains(&record_label) => Err(Error::AlreadyCompleted),
            outcome => Ok(outcome),
        }
    }

    /// Commits a transaction that creates items under new ids, so that only the record can be refused.
    ///
    /// # Errors
    /// As [`OrgTable::commit`]; any refusal is unexpected.
    pub(super) async fn commit_new<L: Copy + PartialEq + Debug>(
        &self,
        transaction: Transaction<L>,
        record_label: L,
        record: Option<&IdempotencyRecord>,
    ) -> Result<()> {
        match self.commit(transaction, record_label, record).await? {
            Conditional::Applied(()) => Ok(()),
            Conditional::Refused(labels) => Err(unexpected(format!("new items were refused: {labels:?}"))),
        }
    }

    fn put_record<L: Copy>(
        &self,
        transaction: &mut Transaction<L>,
        label: L,
        record: &IdempotencyRecord,
    ) -> Result<()> {
        let IdempotencyRecord { idempotency_key, fingerprint, response } = record;
        if response.len() > MAX_STORED_BYTES {
            return Err(Error::ResponseTooLarge);
        }
        let expires_at = (self.now + RECORD_LIFETIME).timestamp();
        let stored = StoredResponse { fingerprint: fingerprint.clone(), response: response.clone(), expires_at };
        let item = encode(&key(self.org, idempotency_key), ItemType::Idempotency, &stored)?;
        transaction.put_if(label, &item, expired_at(self.now));
        Ok(())
    }
}

fn key(org: OrgId, idempotency_key: &IdempotencyKey) -> Key {
    keys::idempotency(org, idempotency_key.method, &idempotency_key.path, &idempotency_key.key)
}
