//! Deletion of one contact. See `repositories::cascade` for what becomes of its children.

use super::item::{EMAIL, IMPORT_IDS, VERSION, is_lock_of};
use super::{Contacts, TransactionItem};
use crate::domain::{AuditAction, Contact, ContactId, Kind, RequiredVersion};
use crate::dynamodb::StoredItem;
use crate::dynamodb::expression::Condition;
use crate::dynamodb::item::{key_of, number, set, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::transaction::{MAX_ITEMS, Transaction};
use crate::dynamodb::{Backoff, DeletedParent, Parent};
use crate::repositories::stored::Stored;
use crate::repositories::{Error, Result, cascade};

/// The most children that the transaction takes, beside the contact, its lock, its tombstone and an audit entry.
const MAX_CHILDREN: usize = MAX_ITEMS - 4;

impl Contacts {
    /// Deletes a contact with its lock, and as many of its memberships and leads as the transaction takes. All other
    /// children are hidden at once and deleted by the worker.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::VersionMismatch`], or the database's.
    pub async fn delete(&self, id: ContactId, required: Option<&RequiredVersion>) -> Result<()> {
        self.delete_parent(id, required, AuditAction::ContactDeleted).await.map(drop)
    }

    /// Deletes a contact as [`Contacts::delete`] does, with an audit entry of this action in the same transaction.
    pub(super) async fn delete_parent(
        &self,
        id: ContactId,
        required: Option<&RequiredVersion>,
        action: AuditAction,
    ) -> Result<DeletedParent> {
        let key = keys::contact(self.table.org, id);
        let mut backoff = Backoff::default();
        loop {
            let contact = async { Ok(self.table.client.get(&key).await?) };
            let (item, leads) = tokio::try_join!(contact, self.some_leads(id))?;
            let contact = Contact::from_item(&StoredItem::from(&item.ok_or(Error::NotFound(Kind::Contact))?))?;
            if required.is_some_and(|required| !required.allows(contact.version)) {
                return Err(Error::VersionMismatch);
            }
            let memberships = contact.import_ids.iter().map(|import| keys::membership(self.table.org, *import, id));
            let children = memberships.chain(leads).take(MAX_CHILDREN);
            let parent = Parent::Contact(id);
            let deleted = DeletedParent { org: self.table.org, parent, import_ids: contact.import_ids.clone() };
            let mut transaction = self.transaction(&contact, &deleted, children, required)?;
            transaction.put(TransactionItem::Unconditional, &self.table.audit_entry(action, id)?);
            if self.table.client.commit(transaction).await?.is_applied() {
                return Ok(deleted);
            }
            // Another writer changed the contact since it was read.
            self.table.client.wait(&mut backoff).await?;
        }
    }

    /// The deletion of a contact and these of its children, if the contact is still as it was read. The items have far less
    /// than the 4 MB that a transaction takes: two of at most 400 KB, and small ones.
    fn transaction(
        &self,
        contact: &Contact,
        deleted: &DeletedParent,
        children: impl Iterator<Item = Key>,
        required: Option<&RequiredVersion>,
    ) -> Result<Transaction<TransactionItem>> {
        let mut transaction = self.table.client.transaction();
        transaction.delete_if(TransactionItem::Contact, &deleted.parent.key(deleted.org), as_read(contact, required));
        let lock = keys::email_lock(deleted.org, &contact.details.email);
        transaction.delete_if(TransactionItem::EmailLock, &lock, is_lock_of(contact.id));
        transaction.put(TransactionItem::Unconditional, &cascade::tombstone(deleted, self.table.now)?);
        for child in children {
            transaction.delete(TransactionItem::Unconditional, &child);
        }
        Ok(transaction)
    }

    /// The keys of a contact's leads, or of the first ones if the transaction does not take all.
    async fn some_leads(&self, id: ContactId) -> Result<Vec<Key>> {
        let range = keys::leads(self.table.org, id);
        let options = QueryOptions { limit: Some(MAX_CHILDREN), ..QueryOptions::default() };
        let page = self.table.client.query(&range, None, options).await?;
        Ok(page.items.iter().filter_map(key_of).collect())
    }
}

/// The condition that the contact still has the email and the imports by which its lock and its memberships were found, and
/// its version if the client requires one.
fn as_read(contact: &Contact, required: Option<&RequiredVersion>) -> Condition {
    let import_ids = if contact.import_ids.is_empty() { None } else { Some(set(&contact.import_ids)) };
    let condition = Condition::equals(EMAIL, text(contact.details.email.as_str())).and_same(IMPORT_IDS, import_ids);
    if required.is_some() { condition.and_equals(VERSION, number(contact.version)) } else { condition }
}
