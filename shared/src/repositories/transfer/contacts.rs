//! The contacts of an import.
//!
//! A contact is one transaction with the lock of its email and its memberships; as many contacts as fit share one. The
//! memberships that do not fit, the *surplus*, are written after it, on the condition that the contact exists: a repair finds
//! no membership without its contact, and a contact that a client deletes meanwhile gets no more of them. A run that ends in
//! between leaves a contact without its surplus, which names the imports all the same. The next run finds the contact, and
//! stores what it lacks.

use std::collections::{BTreeSet, HashSet};

use super::Transfer;
use crate::domain::{CompanyName, Contact, ContactId, ImportId, Kind, RecordOutcome, RecordRefusal};
use crate::dynamodb::StoredItem;
use crate::dynamodb::expression::Condition;
use crate::dynamodb::transaction::MAX_ITEMS;
use crate::dynamodb::{Conditional, Parent, keys};
use crate::repositories::stored::Stored;
use crate::repositories::{Contacts, Error, Result, contacts};

/// The most bytes of the contacts of one transaction, below DynamoDB's 4 MB.
const MAX_TRANSACTION_BYTES: usize = 3_000_000;
/// The bytes of a contact beside those of [`Contact::growing_len`], at most.
const OTHER_BYTES: usize = 5_000;
/// The most memberships in the transaction of their contact.
const MAX_MEMBERSHIPS: usize = 90;

/// The items of a contact whose condition can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionItem {
    Contact,
    EmailLock,
    Unconditional,
}

impl Transfer {
    /// Stores contacts, unless they are there already. The outcomes have the indexes of their records.
    pub(super) async fn store_contacts(&self, contacts: Vec<(usize, &Contact)>) -> Result<Vec<(usize, RecordOutcome)>> {
        let org = self.table.org;
        let contact_keys: Vec<_> = contacts.iter().map(|(_, contact)| keys::contact(org, contact.id)).collect();
        let existing = self.table.client.existing_keys(&contact_keys).await?;
        let tombstone = |contact: &Contact| Parent::Contact(contact.id).tombstone(org);
        let tombstones: Vec<_> = contacts.iter().map(|(_, contact)| tombstone(contact)).collect();
        let deleted = self.table.client.existing_keys(&tombstones).await?;
        let is_stored = |contact: &Contact| existing.contains(&keys::contact(org, contact.id));
        let (stored, mut contacts): (Vec<_>, Vec<_>) =
            contacts.into_iter().partition(|(_, contact)| is_stored(contact));
        let mut outcomes: Vec<_> = stored.iter().map(|(index, _)| (*index, RecordOutcome::AlreadyThere)).collect();
        self.complete_contacts(stored.into_iter().map(|(_, contact)| contact).collect()).await?;
        let missing = self.missing_imports(contacts.iter().flat_map(|(_, contact)| &contact.import_ids)).await?;
        contacts.retain(|(index, contact)| {
            if deleted.contains(&tombstone(contact)) {
                outcomes.push((*index, RecordOutcome::Refused(RecordRefusal::Deleted)));
                return false;
            }
            let is_complete = missing.is_disjoint(&contact.import_ids);
            if !is_complete {
                outcomes.push((*index, RecordOutcome::Refused(RecordRefusal::NoImport)));
            }
            is_complete
        });
        let companies: Vec<&CompanyName> =
            contacts.iter().filter_map(|(_, contact)| contact.details.company.as_ref()).collect();
        self.table.ensure_companies(companies).await?;
        while !contacts.is_empty() {
            let chunk = next_transaction(&mut contacts);
            self.commit_contacts(chunk, &mut outcomes).await?;
        }
        Ok(outcomes)
    }

    /// Those of these imports that do not exist.
    async fn missing_imports(&self, ids: impl Iterator<Item = &ImportId>) -> Result<BTreeSet<ImportId>> {
        let mut missing = BTreeSet::new();
        for id in ids.copied().collect::<BTreeSet<_>>() {
            match self.table.ensure_import(id).await {
                Ok(()) => {}
                Err(Error::NotFound(Kind::Import)) => {
                    missing.insert(id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(missing)
    }

    /// Stores contacts in one transaction, and again without those that it refuses.
    async fn commit_contacts(
        &self,
        mut chunk: Vec<(usize, &Contact)>,
        outcomes: &mut Vec<(usize, RecordOutcome)>,
    ) -> Result<()> {
        let all_contacts = Contacts { table: self.table.clone() };
        while !chunk.is_empty() {
            let mut transaction = self.table.client.transaction();
            for (index, contact) in &chunk {
                transaction.put_new((*index, TransactionItem::Contact), &contacts::to_item(contact)?);
                let lock_key = keys::email_lock(self.table.org, &contact.details.email);
                let lock = contacts::lock_item(&lock_key, contact.id)?;
                transaction.put_new((*index, TransactionItem::EmailLock), &lock);
                for import_id in contact.import_ids.iter().take(MAX_MEMBERSHIPS) {
                    let membership = all_contacts.membership_item(*import_id, contact.id)?;
                    transaction.put((*index, TransactionItem::Unconditional), &membership);
                }
            }
            let Conditional::Refused(refused) = self.table.client.commit(transaction).await? else {
                for (index, contact) in chunk {
                    self.put_memberships(contact.id, &surplus(contact).copied().collect::<Vec<_>>()).await?;
                    outcomes.push((index, RecordOutcome::Written));
                }
                return Ok(());
            };
            chunk.retain(|(index, _)| {
                let outcome = if refused.contains(&(*index, TransactionItem::Contact)) {
                    RecordOutcome::AlreadyThere
                } else if refused.contains(&(*index, TransactionItem::EmailLock)) {
                    RecordOutcome::Refused(RecordRefusal::EmailTaken)
                } else {
                    return true;
                };
                outcomes.push((*index, outcome));
                false
            });
        }
        Ok(())
    }

    /// Completes the memberships of contacts that were stored before, perhaps by a run that ended before their surplus.
    async fn complete_contacts(&self, mut records: Vec<&Contact>) -> Result<()> {
        records.retain(|contact| surplus(contact).next().is_some());
        for record in records {
            let Some(stored) = self.table.client.get(&keys::contact(self.table.org, record.id)).await? else {
                continue;
            };
            let stored = Contact::from_item(&StoredItem::from(&stored))?;
            let missing_imports = self.missing_imports(surplus(record)).await?;
            let is_wanted = |id: &&ImportId| stored.import_ids.contains(*id) && !missing_imports.contains(*id);
            let key = |id: ImportId| keys::membership(self.table.org, id, record.id);
            let wanted: Vec<_> = surplus(record).filter(is_wanted).copied().collect();
            let existing =
                self.table.client.existing_keys(&wanted.iter().map(|id| key(*id)).collect::<Vec<_>>()).await?;
            let lost = wanted.into_iter().filter(|id| !existing.contains(&key(*id)));
            self.put_memberships(record.id, &lost.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Stores memberships of a contact, unless it is deleted meanwhile.
    async fn put_memberships(&self, contact_id: ContactId, imports: &[ImportId]) -> Result<()> {
        let contacts = Contacts { table: self.table.clone() };
        for chunk in imports.chunks(MAX_ITEMS - 1) {
            let mut transaction = self.table.client.transaction();
            transaction.check((), &keys::contact(self.table.org, contact_id), Condition::exists());
            for import_id in chunk {
                transaction.put((), &contacts.membership_item(*import_id, contact_id)?);
            }
            if let Conditional::Refused(_) = self.table.client.commit(transaction).await? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The imports whose memberships do not fit into the transaction of their contact.
fn surplus(contact: &Contact) -> impl Iterator<Item = &ImportId> {
    contact.import_ids.iter().skip(MAX_MEMBERSHIPS)
}

/// Takes the contacts of the next transaction, each with another id and another email.
fn next_transaction<'a>(contacts: &mut Vec<(usize, &'a Contact)>) -> Vec<(usize, &'a Contact)> {
    let (mut items, mut bytes, mut count) = (0, 0, 0);
    let (mut ids, mut emails) = (HashSet::new(), HashSet::new());
    for (_, contact) in contacts.iter() {
        items += 2 + contact.import_ids.len().min(MAX_MEMBERSHIPS);
        bytes += contact.growing_len() + OTHER_BYTES;
        let is_distinct = ids.insert(contact.id) && emails.insert(contact.details.email.as_str());
        if count > 0 && (items > MAX_ITEMS || bytes > MAX_TRANSACTION_BYTES || !is_distinct) {
            break;
        }
        count += 1;
    }
    let others = contacts.split_off(count);
    std::mem::replace(contacts, others)
}
