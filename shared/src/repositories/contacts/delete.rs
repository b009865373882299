//! Deletion of one contact. See `repositories::cascade` for what becomes of its children.

use std::pin::pin;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::TryStreamExt;

use super::item::{EMAIL, IMPORT_IDS, VERSION, from_item, is_lock_of};
use super::{Contacts, TransactionItem};
use crate::domain::{Contact, ContactId, Kind, RequiredVersion};
use crate::dynamodb::expression::Condition;
use crate::dynamodb::item::{key_of, number, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::transaction::MAX_ITEMS;
use crate::dynamodb::{Backoff, Conditional, Parent};
use crate::repositories::{Error, Result, cascade};

/// The most children that one transaction deletes, beside the contact, its lock, its tombstone, and one item in reserve.
const MAX_CHILDREN_PER_TRANSACTION: usize = MAX_ITEMS - 4;

impl Contacts {
    /// Deletes a contact with its lock, its memberships and its leads. Its activities are hidden at once and deleted by
    /// the worker.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::VersionMismatch`], or the database's.
    pub async fn delete(&self, id: ContactId, required: Option<&RequiredVersion>) -> Result<()> {
        let key = keys::contact(self.table.org, id);
        let mut backoff = Backoff::default();
        loop {
            let contact = async { Ok(self.table.client.get(&key).await?) };
            let (item, leads) = tokio::try_join!(contact, self.lead_keys(id))?;
            let contact = from_item(item.ok_or(Error::NotFound(Kind::Contact))?)?;
            if required.is_some_and(|required| !required.allows(contact.version)) {
                return Err(Error::VersionMismatch);
            }
            let mut children: Vec<_> =
                contact.import_ids.iter().map(|import| keys::membership(self.table.org, *import, id)).collect();
            children.extend(leads);
            let condition = as_read(&contact, required);
            if self.delete_with_children(&contact, children, &condition).await?.is_applied() {
                return Ok(());
            }
            // Another writer changed the contact since it was read.
            self.table.client.wait(&mut backoff).await?;
        }
    }

    /// Deletes a contact and its children, as long as the condition on the contact holds. Children that do not fit into
    /// the contact's transaction are deleted in transactions before it.
    async fn delete_with_children(
        &self,
        contact: &Contact,
        mut children: Vec<Key>,
        condition: &Condition,
    ) -> Result<Conditional<(), Vec<TransactionItem>>> {
        let key = keys::contact(self.table.org, contact.id);
        while children.len() > MAX_CHILDREN_PER_TRANSACTION {
            let mut transaction = self.table.client.transaction();
            transaction.check(TransactionItem::Contact, &key, condition.clone());
            for child in children.drain(..MAX_CHILDREN_PER_TRANSACTION) {
                transaction.delete(TransactionItem::Unconditional, &child);
            }
            let outcome = self.table.client.commit(transaction).await?;
            if !outcome.is_applied() {
                return Ok(outcome);
            }
        }
        let mut transaction = self.table.client.transaction();
        transaction.delete_if(TransactionItem::Contact, &key, condition.clone());
        let lock = keys::email_lock(self.table.org, &contact.details.email);
        transaction.delete_if(TransactionItem::EmailLock, &lock, is_lock_of(contact.id));
        let tombstone = cascade::tombstone(self.table.org, Parent::Contact(contact.id), self.table.now)?;
        transaction.put(TransactionItem::Unconditional, tombstone);
        for child in &children {
            transaction.delete(TransactionItem::Unconditional, child);
        }
        Ok(self.table.client.commit(transaction).await?)
    }

    /// The keys of a contact's leads.
    async fn lead_keys(&self, id: ContactId) -> Result<Vec<Key>> {
        let range = keys::leads(self.table.org, id);
        let mut pages = pin!(self.table.client.pages(&range, QueryOptions::default()));
        let mut leads = Vec::new();
        while let Some(page) = pages.try_next().await? {
            leads.extend(page.items.iter().filter_map(key_of));
        }
        Ok(leads)
    }
}

/// The contact still has the email and the imports by which its lock and its memberships were found, and its version if
/// the client requires one.
fn as_read(contact: &Contact, required: Option<&RequiredVersion>) -> Condition {
    let import_ids = if contact.import_ids.is_empty() {
        None
    } else {
        Some(AttributeValue::Ss(contact.import_ids.iter().map(ToString::to_string).collect()))
    };
    let condition = Condition::equals(EMAIL, text(contact.details.email.as_str())).and_same(IMPORT_IDS, import_ids);
    if required.is_some() { condition.and_equals(VERSION, number(contact.version)) } else { condition }
}
