//! Creation of one contact.

use super::item::{lock_item, to_item};
use super::{Contacts, TransactionItem};
use crate::domain::{Contact, ImportId, NewContact};
use crate::dynamodb::Conditional;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::transaction::Transaction;
use crate::repositories::error::unexpected;
use crate::repositories::{Error, IdempotencyRecord, Result};

/// The labels of the items that make up a new contact.
pub(super) struct NewContactLabels<L> {
    pub(super) contact: L,
    pub(super) email_lock: L,
    pub(super) membership: L,
}

impl Contacts {
    /// A new contact that is not stored yet.
    pub fn draft(&self, new: NewContact, import_id: Option<ImportId>) -> Contact {
        Contact::new(self.table.new_contact_id(), self.table.org, import_id, new, self.table.now)
    }

    /// Stores a new contact in one transaction with the lock of its email, its membership of an import, its company if
    /// that does not exist, and the idempotency record.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the import, [`Error::EmailTaken`], [`Error::AlreadyCompleted`], or the database's.
    pub async fn create(&self, contact: &Contact, idempotency_record: Option<&IdempotencyRecord>) -> Result<()> {
        let ((), mut new_company) =
            tokio::try_join!(self.ensure_imports(contact), self.missing_company(contact.details.company.as_ref()))?;
        let lock_key = keys::email_lock(self.table.org, &contact.details.email);
        loop {
            let mut transaction = self.table.client.transaction();
            let labels = NewContactLabels {
                contact: TransactionItem::Contact,
                email_lock: TransactionItem::EmailLock,
                membership: TransactionItem::Unconditional,
            };
            self.put_new_contact(&mut transaction, contact, &lock_key, &labels)?;
            if let Some(name) = new_company {
                self.table.create_company(&mut transaction, TransactionItem::Company, name)?;
            }
            let outcome =
                self.table.commit(transaction, TransactionItem::IdempotencyRecord, idempotency_record).await?;
            let refused = match outcome {
                Conditional::Applied(()) => {
                    self.cache_company(new_company);
                    return Ok(());
                }
                Conditional::Refused(refused) => refused,
            };
            if refused.contains(&TransactionItem::EmailLock) {
                return Err(Error::EmailTaken(contact.details.email.clone()));
            }
            if refused.contains(&TransactionItem::Contact) {
                return Err(unexpected("the id of a new contact is taken"));
            }
            // Only the company is left: another request has created it meanwhile.
            self.cache_company(new_company.take());
        }
    }

    /// Adds a new contact, the lock of its email under this key, and its memberships to a transaction.
    pub(super) fn put_new_contact<L: Copy>(
        &self,
        transaction: &mut Transaction<L>,
        contact: &Contact,
        lock_key: &Key,
        labels: &NewContactLabels<L>,
    ) -> Result<()> {
        transaction.put_new(labels.contact, &to_item(contact)?);
        transaction.put_new(labels.email_lock, &lock_item(lock_key, contact.id)?);
        for import_id in &contact.import_ids {
            transaction.put(labels.membership, &self.membership_item(*import_id, contact.id)?);
        }
        Ok(())
    }

    async fn ensure_imports(&self, contact: &Contact) -> Result<()> {
        for import_id in &contact.import_ids {
            self.table.ensure_import(*import_id).await?;
        }
        Ok(())
    }
}
