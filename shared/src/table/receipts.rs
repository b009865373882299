//! What was answered to an `Idempotency-Key`, so that it can be answered again.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Tenancy;
use super::error::{Error, Result};
use super::expression::Expression;
use super::item::{Type, item, number, record, text};
use super::keys::{self, Key, TTL};
use super::transaction::Transaction;
use crate::domain::OrgId;
use crate::domain::json::MAX_STORED_BYTES;

/// How long an answer is kept.
const LIFETIME: TimeDelta = TimeDelta::hours(24);
/// How long a key is held: longer than a request can take.
const HELD: TimeDelta = TimeDelta::seconds(60);

/// The answer to keep under an `Idempotency-Key`, committed together with what it answers.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Whose key it is: the method and path it was sent to, and the key itself.
    pub slot: Slot,
    /// What the request was: the same key with another fingerprint is a mistake.
    pub fingerprint: String,
    /// The answer, in a form that `http` writes and reads.
    pub answer: String,
}

/// Where an answer is kept: per method, path and key. The organization is added by the room that stores it.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The request's method.
    pub method: &'static str,
    /// The request's path, without its trailing slash.
    pub path: String,
    /// The client's key.
    pub key: String,
}

/// A kept answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// See [`Receipt`].
    pub fingerprint: String,
    /// See [`Receipt`].
    pub answer: String,
    expires_at: i64,
}

const HOLDER: &str = "holder";

/// A key that is held while its request is under way.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lease {
    /// The call that holds it: how that knows its own work where the answer to it was lost.
    holder: Uuid,
    fingerprint: String,
    expires_at: i64,
}

/// The answers of one organization.
#[derive(Debug)]
pub struct Receipts(pub(crate) Tenancy);

impl Receipts {
    /// The answer kept in this slot, if it has not expired.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(&self, slot: &Slot) -> Result<Option<Kept>> {
        let Some(item) = self.0.session.get(&key(self.0.org, slot)).await? else { return Ok(None) };
        let kept: Kept = record(item, Type::Idempotency)?;
        Ok(Some(kept).filter(|kept| self.0.now.timestamp() < kept.expires_at))
    }

    /// Holds this slot for one call. Ends by itself after a minute, where the call does not live to release it.
    ///
    /// # Errors
    /// [`Error::InProgress`], [`Error::KeyReused`], or the database's.
    pub async fn hold(&self, slot: &Slot, fingerprint: &str) -> Result<Lease> {
        let expires_at = (self.0.now + HELD).timestamp();
        let lease = Lease { holder: Uuid::new_v4(), fingerprint: fingerprint.to_owned(), expires_at };
        let item = item(&key(self.0.org, slot), Type::Lease, &lease)?;
        let Err(held) = self.0.session.put_if(item, unless_valid_at(self.0.now)).await? else { return Ok(lease) };
        let held: Lease = record(held, Type::Lease)?;
        if held.holder == lease.holder {
            Ok(lease)
        } else if held.fingerprint == fingerprint {
            Err(Error::InProgress { seconds: held.expires_at - self.0.now.timestamp() })
        } else {
            Err(Error::KeyReused)
        }
    }

    /// Gives a slot free, if it is still this call that holds it.
    ///
    /// # Errors
    /// The database's.
    pub async fn release(&self, slot: &Slot, lease: &Lease) -> Result<()> {
        let own = Expression::equals(HOLDER, text(lease.holder.to_string()));
        self.0.session.delete_if(&key(self.0.org, slot), own).await.map(drop)
    }
}

/// Nothing lies there, or something whose time is over.
fn unless_valid_at(now: DateTime<Utc>) -> Expression {
    let mut condition = Expression::default();
    condition.require_absent_or_below(TTL, number(now.timestamp() + 1));
    condition
}

impl Tenancy {
    /// Commits a transaction and, with it, the answer to keep, which is the part `part`. Gives the other parts whose
    /// conditions refused it, as [`commit`](super::Session::commit) does.
    ///
    /// # Errors
    /// [`Error::AlreadyAnswered`] where the slot has an answer, [`Error::AnswerTooLarge`], or the database's.
    pub(super) async fn commit<P: Copy + PartialEq>(
        &self,
        mut transaction: Transaction<P>,
        part: P,
        receipt: Option<&Receipt>,
    ) -> Result<Vec<P>> {
        if let Some(receipt) = receipt {
            self.keep(&mut transaction, part, receipt)?;
        }
        let refused = self.session.commit(transaction).await?;
        if refused.contains(&part) { Err(Error::AlreadyAnswered) } else { Ok(refused) }
    }

    /// Commits what makes a thing that is new whatever there is, and the answer to keep.
    ///
    /// # Errors
    /// As [`Tenancy::commit`].
    pub(super) async fn commit_new<P: Copy + PartialEq + Debug>(
        &self,
        transaction: Transaction<P>,
        part: P,
        receipt: Option<&Receipt>,
    ) -> Result<()> {
        match self.commit(transaction, part, receipt).await?.as_slice() {
            [] => Ok(()),
            refused => Err(Error::Unexpected(format!("something new, and yet {refused:?} was refused"))),
        }
    }

    /// Makes a transaction keep this answer, unless the slot already has one.
    fn keep<P: Copy>(&self, transaction: &mut Transaction<P>, part: P, receipt: &Receipt) -> Result<()> {
        let Receipt { slot, fingerprint, answer } = receipt;
        if answer.len() > MAX_STORED_BYTES {
            return Err(Error::AnswerTooLarge);
        }
        let expires_at = (self.now + LIFETIME).timestamp();
        let kept = Kept { fingerprint: fingerprint.clone(), answer: answer.clone(), expires_at };
        transaction.put_if(part, item(&key(self.org, slot), Type::Idempotency, &kept)?, unless_valid_at(self.now));
        Ok(())
    }
}

fn key(org: OrgId, slot: &Slot) -> Key {
    keys::idempotency(org, slot.method, &slot.path, &slot.key)
}
