//! Update of one contact.
//!
//! Most updates are one conditional `UpdateItem` without a read. It is refused if the contact does not exist, nothing differs, the
//! version or the email is another one, the item may become too large, or its `updated_at` is later. The stored item, which a
//! refusal shows, then serves as the read, and the next version of the contact is written on the condition that the version
//! is still the one that was read. Nested metadata, a new company, and more keys or versions than an expression takes are
//! always written after a read.
//!
//! **Lost responses.** An update that requires a version (`If-Match`) and is repeated after a lost response finds the version
//! changed, by itself. It leaves a random id in the item, by which its repeat recognizes that. Other writers may follow before the
//! repeat: those that require no version keep the ids, and those that do shift them by one place, so a write is recognized until
//! [`MAX_WRITE_IDS`](crate::domain::contact::MAX_WRITE_IDS) of these have followed within the seconds of a retry. Updates
//! without a required version need no id: their repeat finds nothing left to change, or changes it again.
//!
//! Rejected: one id, which the next writer replaces; a transaction, whose request token would do the same at twice the
//! cost; a list, which an update without a read can extend but not shorten; the comparison of contents, which takes another
//! client's equal change for its own.

use uuid::Uuid;

use super::item::{
    EMAIL, ENRICHMENT, ENRICHMENT_ORDER, GROWING_BYTES, VERSION, WRITE_IDS, is_lock_of, lock_item, same_version,
    to_item,
};
use super::{Contacts, TransactionItem};
use crate::domain::json::MAX_STORED_BYTES;
use crate::domain::{
    CompanyName, Contact, ContactId, ContactPatch, Enrichment, Json, JsonObject, Kind, Patch, RequiredVersion,
};
use crate::dynamodb::StoredItem;
use crate::dynamodb::expression::{Condition, MAX_ALTERNATIVES, Update};
use crate::dynamodb::item::{changed_attributes, json_to_value, map, number, text};
use crate::dynamodb::{Backoff, Conditional, keys};
use crate::repositories::stored::Stored;
use crate::repositories::{Error, Result};

/// The most keys of an enrichment that one expression changes; an expression is limited to 4 KB.
const MAX_CHANGED_KEYS: usize = 80;

impl Contacts {
    /// Changes a contact and returns it as it is afterwards. A patch that changes nothing writes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::VersionMismatch`], [`Error::EmailTaken`], [`Error::TooLarge`], or the database's.
    pub async fn update(
        &self,
        id: ContactId,
        patch: &ContactPatch,
        required: Option<&RequiredVersion>,
    ) -> Result<Contact> {
        const NOT_FOUND: Error = Error::NotFound(Kind::Contact);
        let key = keys::contact(self.table.org, id);
        let write_id = self.table.new_write_id();
        let mut new_company = self.missing_company(patch.company.value()).await?;
        let mut stored = None;
        if new_company.is_none()
            && let Some((update, condition)) = update_without_read(patch, required, write_id)?
        {
            match self.table.update_if(&key, &update, &condition).await? {
                Conditional::Applied(contact) => return contact,
                Conditional::Refused(None) => return Err(NOT_FOUND),
                Conditional::Refused(Some(item)) => stored = Some(item),
            }
        }
        let mut backoff = Backoff::default();
        loop {
            let item = match stored.take() {
                Some(item) => item,
                None => self.table.client.get(&key).await?.ok_or(NOT_FOUND)?,
            };
            let contact = Contact::from_item(&StoredItem::from(&item))?;
            if contact.write_ids.contains(&write_id) {
                // This very write was applied, its response was lost, and other writes may have followed.
                return Ok(contact);
            }
            if required.is_some_and(|required| !required.allows(contact.version)) {
                return Err(Error::VersionMismatch);
            }
            let Some(mut next) = contact.patched(patch, self.table.now).map_err(Error::TooLarge)? else {
                return Ok(contact);
            };
            if required.is_some() {
                next.record_write(write_id);
            }
            match self.replace(&contact, &next, &mut new_company).await? {
                Conditional::Applied(()) => return Ok(next),
                // Another writer changed the contact since it was read.
                Conditional::Refused(()) => self.table.client.wait(&mut backoff).await?,
            }
        }
    }

    /// Writes the next version of a contact if it still has the version that was read, in one transaction with the locks
    /// of a changed email and a new company.
    async fn replace(
        &self,
        contact: &Contact,
        next: &Contact,
        new_company: &mut Option<&CompanyName>,
    ) -> Result<Conditional<(), ()>> {
        if next.details.email == contact.details.email && new_company.is_none() {
            return Ok(match self.table.client.put_if(&to_item(next)?, same_version(contact)).await? {
                Conditional::Applied(()) => Conditional::Applied(()),
                Conditional::Refused(_) => Conditional::Refused(()),
            });
        }
        let mut transaction = self.table.client.transaction();
        transaction.put_if(TransactionItem::Contact, &to_item(next)?, same_version(contact));
        if next.details.email != contact.details.email {
            let new_lock = keys::email_lock(self.table.org, &next.details.email);
            transaction.put_new(TransactionItem::EmailLock, &lock_item(&new_lock, next.id)?);
            let old_lock = keys::email_lock(self.table.org, &contact.details.email);
            transaction.delete_if(TransactionItem::OldEmailLock, &old_lock, is_lock_of(contact.id));
        }
        if let Some(name) = *new_company {
            self.table.create_company(&mut transaction, TransactionItem::Company, name)?;
        }
        let refused = match self.table.client.commit(transaction).await? {
            Conditional::Applied(()) => {
                self.cache_company(new_company.take());
                return Ok(Conditional::Applied(()));
            }
            Conditional::Refused(refused) => refused,
        };
        if refused.contains(&TransactionItem::Company) {
            self.cache_company(new_company.take());
        }
        // If the contact has changed too, the lock may be its own.
        if refused.contains(&TransactionItem::EmailLock) && !refused.contains(&TransactionItem::Contact) {
            return Err(Error::EmailTaken(next.details.email.clone()));
        }
        Ok(Conditional::Refused(()))
    }
}

/// The update whose outcome does not depend on the stored contact, and its condition. `None` if there is no such
/// update: nested metadata, more keys or required versions than an expression takes, or nothing to change.
fn update_without_read(
    patch: &ContactPatch,
    required: Option<&RequiredVersion>,
    write_id: Uuid,
) -> Result<Option<(Update, Condition)>> {
    let mut update = Update::new();
    let mut changes = changed_attributes(patch)?;
    // A new email needs a new lock, so it is never written here: it is a condition, whose refusal serves as the read.
    changes.remove(EMAIL);
    update.change(changes);
    let Some(growth) = add_enrichment_changes(&mut update, &patch.enrichment) else { return Ok(None) };
    if !update.has_changes() {
        return Ok(None);
    }
    let mut condition = Condition::exists().and_differs(&update);
    if growth > 0 {
        condition = condition.and_at_most(GROWING_BYTES, number(MAX_STORED_BYTES.saturating_sub(growth)));
    }
    if let Some(email) = &patch.email {
        condition = condition.and_equals(EMAIL, text(email.as_str()));
    }
    match required {
        None | Some(RequiredVersion::Any) => {}
        Some(RequiredVersion::OneOf(versions)) if !(1..=MAX_ALTERNATIVES).contains(&versions.len()) => {
            return Ok(None);
        }
        Some(RequiredVersion::OneOf(versions)) => {
            condition = condition.and_one_of(VERSION, versions.iter().map(number));
        }
    }
    if required.is_some() {
        update.shift(&WRITE_IDS, text(write_id.to_string()));
    }
    update.increment(VERSION, number(1));
    Ok(Some((update, condition)))
}

/// Adds the changes of the enrichment, and returns by how many bytes it may grow; `None` for a patch that has to be merged
/// with the stored enrichment.
fn add_enrichment_changes(update: &mut Update, patch: &Patch<Enrichment>) -> Option<usize> {
    let changes = match patch {
        Patch::Keep => return Some(0),
        Patch::Clear => {
            update.set(&[ENRICHMENT], map(&JsonObject::default()));
            update.discard(ENRICHMENT_ORDER);
            return Some(0);
        }
        Patch::Set(Enrichment { object, .. }) => object,
    };
    let is_nested = changes.members().any(|(_, value)| matches!(value, Json::Object(_)));
    if is_nested || changes.members().len() > MAX_CHANGED_KEYS {
        return None;
    }
    for (key, value) in changes.members() {
        match value {
            Json::Null => update.remove(&[ENRICHMENT, key]),
            value => update.set(&[ENRICHMENT, key], json_to_value(value)),
        }
    }
    let growth = changes.stored_len();
    update.increment(GROWING_BYTES, number(growth));
    Some(growth)
}
