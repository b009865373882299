//! What was answered to an `Idempotency-Key`, so that it can be answered again.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::OrgTable;
use crate::domain::OrgId;
use crate::domain::json::MAX_STORED_BYTES;
use crate::dynamodb::expression::Expression;
use crate::dynamodb::item::{Type, item, number, record, text};
use crate::dynamodb::keys::{self, Key, TTL};
use crate::dynamodb::transaction::Transaction;
use crate::dynamodb::{Error, Result};

/// How long an answer is kept.
const LIFETIME: TimeDelta = TimeDelta::hours(24);
/// How long a key is held: longer than a request can take.
const HELD: TimeDelta = TimeDelta::seconds(60);

/// The answer to keep under an `Idempotency-Key`, committed together with what it answers.
#[derive(Debug, Clone)]
pub struct IdempotencyRecord {
    /// Whose key it is: the method and path it was sent to, and the key itself.
    pub idempotency_key: IdempotencyKey,
    /// What the request was: the same key with another fingerprint is a mistake.
    pub fingerprint: String,
    /// The answer, in a form that `http` writes and reads.
    pub answer: String,
}

/// Where an answer is kept: per method, path and key. The organization is added by the room that stores it.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The request's method.
    pub method: &'static str,
    /// The request's path, without its trailing slash.
    pub path: String,
    /// The client's key.
    pub key: String,
}

/// A kept answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredResponse {
    /// See [`IdempotencyRecord`].
    pub fingerprint: String,
    /// See [`IdempotencyRecord`].
    pub answer: String,
    expires_at: i64,
}

const HOLDER: &str = "holder";

/// A key that is held while its request is under way.
#[derive(Debug, Serialize, Deserialize)]
pub struct IdempotencyLock {
    /// The call that holds it: how that knows its own work where the answer to it was lost.
    holder: Uuid,
    fingerprint: String,
    expires_at: i64,
}

/// The answers of one organization.
#[derive(Debug)]
pub struct IdempotencyRecords(pub(crate) OrgTable);

impl IdempotencyRecords {
    /// The answer kept in this idempotency_key, if it has not expired.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(&self, idempotency_key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        let Some(item) = self.0.client.get(&key(self.0.org, idempotency_key)).await? else { return Ok(None) };
        let kept: StoredResponse = record(item, Type::Idempotency)?;
        Ok(Some(kept).filter(|kept| self.0.now.timestamp() < kept.expires_at))
    }

    /// Holds this idempotency_key for one call. Ends by itself after a minute, where the call does not live to release it.
    ///
    /// # Errors
    /// [`Error::InProgress`], [`Error::KeyReused`], or the database's.
    pub async fn hold(&self, idempotency_key: &IdempotencyKey, fingerprint: &str) -> Result<IdempotencyLock> {
        let expires_at = (self.0.now + HELD).timestamp();
        let idempotency_lock =
            IdempotencyLock { holder: Uuid::new_v4(), fingerprint: fingerprint.to_owned(), expires_at };
        let item = item(&key(self.0.org, idempotency_key), Type::IdempotencyLock, &idempotency_lock)?;
        let Err(held) = self.0.client.put_if(item, unless_valid_at(self.0.now)).await? else {
            return Ok(idempotency_lock);
        };
        let held: IdempotencyLock = record(held, Type::IdempotencyLock)?;
        if held.holder == idempotency_lock.holder {
            Ok(idempotency_lock)
        } else if held.fingerprint == fingerprint {
            Err(Error::InProgress { seconds: held.expires_at - self.0.now.timestamp() })
        } else {
            Err(Error::KeyReused)
        }
    }

    /// Gives a idempotency_key free, if it is still this call that holds it.
    ///
    /// # Errors
    /// The database's.
    pub async fn release(&self, idempotency_key: &IdempotencyKey, idempotency_lock: &IdempotencyLock) -> Result<()> {
        let own = Expression::equals(HOLDER, text(idempotency_lock.holder.to_string()));
        self.0.client.delete_if(&key(self.0.org, idempotency_key), own).await.map(drop)
    }
}

/// Nothing lies there, or something whose time is over.
fn unless_valid_at(now: DateTime<Utc>) -> Expression {
    let mut condition = Expression::default();
    condition.require_absent_or_below(TTL, number(now.timestamp() + 1));
    condition
}

impl OrgTable {
    /// Commits a transaction and, with it, the answer to keep, which is the part `part`. Gives the other parts whose
    /// conditions refused it, as [`commit`](super::TableClient::commit) does.
    ///
    /// # Errors
    /// [`Error::AlreadyAnswered`] where the idempotency_key has an answer, [`Error::AnswerTooLarge`], or the database's.
    pub(super) async fn commit<P: Copy + PartialEq>(
        &self,
        mut transaction: Transaction<P>,
        part: P,
        idempotency_record: Option<&IdempotencyRecord>,
    ) -> Result<Vec<P>> {
        if let Some(idempotency_record) = idempotency_record {
            self.keep(&mut transaction, part, idempotency_record)?;
        }
        let refused = self.client.commit(transaction).await?;
        if refused.contains(&part) { Err(Error::AlreadyAnswered) } else { Ok(refused) }
    }

    /// Commits what makes a thing that is new whatever there is, and the answer to keep.
    ///
    /// # Errors
    /// As [`OrgTable::commit`].
    pub(super) async fn commit_new<P: Copy + PartialEq + Debug>(
        &self,
        transaction: Transaction<P>,
        part: P,
        idempotency_record: Option<&IdempotencyRecord>,
    ) -> Result<()> {
        match self.commit(transaction, part, idempotency_record).await?.as_slice() {
            [] => Ok(()),
            refused => Err(Error::Unexpected(format!("something new, and yet {refused:?} was refused"))),
        }
    }

    /// Makes a transaction keep this answer, unless the idempotency_key already has one.
    fn keep<P: Copy>(
        &self,
        transaction: &mut Transaction<P>,
        part: P,
        idempotency_record: &IdempotencyRecord,
    ) -> Result<()> {
        let IdempotencyRecord { idempotency_key, fingerprint, answer } = idempotency_record;
        if answer.len() > MAX_STORED_BYTES {
            return Err(Error::AnswerTooLarge);
        }
        let expires_at = (self.now + LIFETIME).timestamp();
        let kept = StoredResponse { fingerprint: fingerprint.clone(), answer: answer.clone(), expires_at };
        transaction.put_if(
            part,
            item(&key(self.org, idempotency_key), Type::Idempotency, &kept)?,
            unless_valid_at(self.now),
        );
        Ok(())
    }
}

fn key(org: OrgId, idempotency_key: &IdempotencyKey) -> Key {
    keys::idempotency(org, idempotency_key.method, &idempotency_key.path, &idempotency_key.key)
}
