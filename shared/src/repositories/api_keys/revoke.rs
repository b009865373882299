//! Revocation of an API key, which keeps an organization from locking itself out.
//!
//! **Problem.** An organization without an admin key can neither create nor list keys, and has to ask its operator. An
//! administrator who tidies up must not get there by accident. Two who revoke each other's keys at the same time must not both
//! succeed, although each sees that the other key is left.
//!
//! **Approach.** An *admin key* has the scope `admin` and is neither revoked nor expired when the request arrives. Tokens do
//! not count: the API cannot know whether their issuer still signs any for administrators. The transaction that revokes an admin
//! key depends on the condition that another one, the *witness*, is not revoked. So of two transactions that each take the
//! other's key as their witness, DynamoDB commits one, and the condition of the second is false. It is refused, reads the keys
//! again, and finds another witness or none ([`Error::LastAdminKey`]). After every revocation its witness is left, however many
//! run at once.
//!
//! The witness is the admin key that stays valid longest, so that what is left does not expire soon if there is a better one. A
//! key that is not an admin key needs no witness: it can always be revoked.
//!
//! Keys are found through the index, which follows the table. An admin key that was created a moment ago may be missing there,
//! and then it is no witness yet: a revocation is refused that could succeed, never the reverse.
//!
//! **Rejected.**
//! - A count of admin keys, changed with each of them: keys expire without a write.
//! - A read of the other keys before an `UpdateItem`: both of two concurrent requests would succeed.
//! - A condition on the version of an item that all revocations write: it has to exist for every organization, also for those
//!   whose keys were stored by an operator or an import.
//!
//! **If this is changed.** A revocation that checks no witness can leave none, even while others run that do. That is what an
//! operator asks for with [`LastAdminKey::Allow`]. A witness whose expiry could be changed would have to be checked for that, too.

use chrono::{DateTime, Utc};

use super::{ApiKeys, TransactionItem, from_item};
use crate::domain::{ApiKey, ApiKeyId, AuditAction, Kind, time};
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{key_of, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::schema::GSI1;
use crate::dynamodb::table_client::{MAX_KEYS_PER_CALL, QueryOptions};
use crate::dynamodb::{Backoff, Conditional};
use crate::repositories::{Error, OrgTable, Result, listing};

const ORG_ID: &str = "org_id";
const REVOKED_AT: &str = "revoked_at";

/// Whether a revocation may take the organization's last admin key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastAdminKey {
    /// It is refused.
    Keep,
    /// It is revoked like any other: an operator, who can create another one, has decided so.
    Allow,
}

impl ApiKeys {
    /// Revokes a key, in one transaction with the audit entry. A key that is revoked already keeps the time of its first
    /// revocation, and gets no second entry.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdminKey`], or the database's.
    pub async fn revoke(&self, id: ApiKeyId, last_admin_key: LastAdminKey) -> Result<()> {
        let OrgTable { client, org, .. } = &self.table;
        let range = keys::api_key_by_id(*org, id);
        let found = client.query_index(&GSI1, &range, None, QueryOptions::default()).await?;
        if found.entries.is_empty() {
            return Err(Error::NotFound(Kind::ApiKey));
        }
        // One, unless another platform has given two keys one id.
        for entry in found.entries {
            self.revoke_stored(id, &entry.key, last_admin_key).await?;
        }
        Ok(())
    }

    /// Revokes the key that is stored here.
    async fn revoke_stored(&self, id: ApiKeyId, key: &Key, last_admin_key: LastAdminKey) -> Result<()> {
        let OrgTable { client, org, now, .. } = &self.table;
        let mut backoff = Backoff::default();
        loop {
            let api_key = from_item(&client.get(key).await?.ok_or(Error::NotFound(Kind::ApiKey))?)?;
            if api_key.org_id != *org {
                return Err(Error::NotFound(Kind::ApiKey));
            }
            if api_key.revoked_at.is_some() {
                return Ok(());
            }
            let witness = match last_admin_key {
                LastAdminKey::Keep if api_key.is_admin_key_at(*now) => {
                    Some(self.find_witness(id).await?.ok_or(Error::LastAdminKey)?)
                }
                LastAdminKey::Keep | LastAdminKey::Allow => None,
            };
            if self.revoke_as_read(id, key, witness.as_ref()).await?.is_applied() {
                return Ok(());
            }
            // Another request has revoked this key or the witness since they were read.
            client.wait(&mut backoff).await?;
        }
    }

    /// Revokes a key if neither it nor the witness is revoked.
    async fn revoke_as_read(
        &self,
        id: ApiKeyId,
        key: &Key,
        witness: Option<&Key>,
    ) -> Result<Conditional<(), Vec<TransactionItem>>> {
        let OrgTable { client, org, now, .. } = &self.table;
        let is_unrevoked = || Condition::equals(ORG_ID, text(org.to_string())).and_absent(REVOKED_AT);
        let mut update = Update::new();
        update.touch(REVOKED_AT, text(time::to_millis(*now)));
        let mut transaction = client.transaction();
        transaction.update_if(TransactionItem::ApiKey, key, update, is_unrevoked());
        if let Some(witness) = witness {
            transaction.check(TransactionItem::Witness, witness, is_unrevoked());
        }
        let entry = self.table.audit_entry(AuditAction::ApiKeyRevoked, id)?;
        transaction.put(TransactionItem::AuditEntry, &entry);
        Ok(client.commit(transaction).await?)
    }

    /// The admin key, other than this one, that stays valid longest.
    async fn find_witness(&self, revoked: ApiKeyId) -> Result<Option<Key>> {
        let OrgTable { client, org, now, .. } = &self.table;
        // The Query reads one entry more than its limit.
        let options = QueryOptions { descending: true, limit: Some(MAX_KEYS_PER_CALL - 1) };
        let (mut witness, mut start) = (None::<(DateTime<Utc>, Key)>, None::<String>);
        loop {
            let page = client.query_index(&GSI1, &keys::api_keys(*org), start.as_deref(), options).await?;
            let item_keys: Vec<_> = page.entries.into_iter().map(|entry| entry.key).collect();
            for item in client.batch_get(&item_keys).await? {
                let key = key_of(&item);
                let api_key = listing::skip_unreadable(from_item(&item))?;
                let is_candidate =
                    |other: &ApiKey| other.id != revoked && other.org_id == *org && other.is_admin_key_at(*now);
                if let (Some(key), Some(api_key)) = (key, api_key.filter(is_candidate)) {
                    let end = api_key.valid_until.unwrap_or(DateTime::<Utc>::MAX_UTC);
                    if witness.as_ref().is_none_or(|(latest, _)| *latest < end) {
                        witness = Some((end, key));
                    }
                }
            }
            let never_expires = witness.as_ref().is_some_and(|(end, _)| *end == DateTime::<Utc>::MAX_UTC);
            start = page.last_evaluated_sk;
            if never_expires || start.is_none() {
                return Ok(witness.map(|(_, key)| key));
            }
        }
    }
}
