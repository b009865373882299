//! Bulk upload: many contacts, created or updated by their emails.
//!
//! **Problem.** An upload has thousands of rows. Some of their emails have a contact, some occur several times, and other
//! requests write at the same time. A transaction takes 100 items and 4 MB, and a request has 25 seconds and 1,769 MB. The
//! client wants the outcome of every row, and may ask for it without any write.
//!
//! **Approach.** [`Contacts::plan`] reads, [`Contacts::carry_out`] writes.
//! 1. Rows are grouped by email. The locks of all emails are read in batches, then the contacts that hold them, each
//!    once, so the number of calls depends on the number of distinct emails only.
//! 2. The rows of one email are merged in their order into one new or stored contact (`plan.rs`): one write per contact,
//!    however many rows it has. A row that cannot be merged is refused; the others count.
//!    The merge is in place and looks at the deadline with every row, since all rows may be of one large contact.
//! 3. Missing companies are created first. Contacts are then written in concurrent transactions that are filled to the
//!    limits of DynamoDB, each contact whole: with its lock and its membership, on the condition that it is unchanged.
//! 4. If a transaction is refused, nothing of it is written. Its emails are read and planned again after a backoff, until
//!    the deadline.
//!
//! An interrupted upload leaves whole contacts behind. The same upload sent again finds them by their emails and writes
//! the rest; that is why its `Idempotency-Key` is a lock and stores no response (see `repositories::idempotency`).
//!
//! An upload into an import also repairs: of the contacts that name the import already, the memberships are read, and a missing
//! one is written. Only an upload that is sent again pays for this read.
//!
//! **Rejected.** One transaction per contact: 33 to 100 times as many calls. `BatchWriteItem`: it has no conditions, so it would
//! overwrite other writers and duplicate emails. Writing while reading on: a report without writing, and a refusal of the
//! whole upload before the first write (`on_error`), need the whole plan first. Labels that tell which contact of a refused
//! transaction failed: reading all of them again is one more batch, and costs less than the code.
//!
//! **If this is changed.** A lock and its contact are not read at the same time, so a contact counts for an email only if it
//! has that email (see [`Contacts::read_and_plan`]). Two transactions of one upload must not write the same item, or they
//! conflict with each other for ever; companies are created beforehand for that reason. The limits below keep the
//! function within its memory; the table tests and the black-box test of large uploads measure them.

mod plan;

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};

pub use plan::{Plan, Row, RowOutcome};

use self::plan::{ContactWrite, MergeRules, PlannedContact, RowsOfEmail, StoredContact};
use super::Contacts;
use super::create::NewContactLabels;
use super::item::{lock_holder, same_version, to_item};
use crate::domain::{Contact, ContactId, ImportId, InvalidValue};
use crate::dynamodb::StoredItem;
use crate::dynamodb::keys;
use crate::dynamodb::schema::PK;
use crate::dynamodb::table_client::StoredRow;
use crate::dynamodb::table_client::{MAX_CONCURRENT_CALLS, MAX_KEYS_PER_CALL};
use crate::dynamodb::transaction::MAX_ITEMS;
use crate::dynamodb::{Backoff, Conditional};
use crate::repositories::{Error, Result};

/// The most bytes of one transaction's items. DynamoDB takes 4 MB; the length of an item is an estimate.
const MAX_TRANSACTION_BYTES: usize = 3_000_000;
/// The most bytes of memory that the contacts which one call reads may take. Two versions of each are held.
const MAX_CONTACT_BYTES: usize = 100_000_000;
/// The bytes of memory that a value of the metadata takes beside its text, at least as many as measured.
const BYTES_PER_VALUE: usize = 100;
/// The error of an upload that exceeds [`MAX_CONTACT_BYTES`].
const TOO_LARGE: InvalidValue =
    InvalidValue::Rule("of the contacts that these rows update is too much for one call: send fewer rows at once");
/// The most reads of contacts that are in flight at once: a response may have 16 MB, and 20 times as much in memory.
const MAX_CONCURRENT_READS: usize = 2;

impl Contacts {
    /// The import, if it exists or existed within the last minute.
    ///
    /// # Errors
    /// The database's.
    pub async fn known_import(&self, id: Option<ImportId>) -> Result<Option<ImportId>> {
        let Some(id) = id else { return Ok(None) };
        match self.table.ensure_import(id).await {
            Ok(()) => Ok(Some(id)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Plans the outcome of these rows, as members of an import. Writes nothing.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the stored contacts are too large to be merged in one call, or the database's.
    pub async fn plan<'a>(&self, rows: &'a [Row], import_id: Option<ImportId>) -> Result<Plan<'a>> {
        let contacts = self.read_and_plan(RowsOfEmail::group(rows, self.table.org), import_id).await?;
        Ok(Plan { import_id, contacts })
    }

    /// Writes a plan. Emails whose contact another writer has changed are planned again; the returned plan is the
    /// one that was written.
    ///
    /// # Errors
    /// [`Unavailable`](crate::dynamodb::Error::Unavailable) at the deadline, or the database's. Contacts that were written
    /// before stay, each of them whole.
    pub async fn carry_out<'a>(&self, plan: Plan<'a>) -> Result<Plan<'a>> {
        let Plan { import_id, contacts: mut pending } = plan;
        let mut written = Vec::with_capacity(pending.len());
        let mut backoff = Backoff::default();
        loop {
            let writes = pending.iter().filter_map(PlannedContact::write);
            self.table.ensure_companies(writes.filter_map(|write| write.new_company())).await?;
            let writes: Vec<_> = batches(pending).into_iter().map(|batch| self.write_batch(batch)).collect();
            let mut outcomes = stream::iter(writes).buffer_unordered(MAX_CONCURRENT_CALLS);
            let mut refused = Vec::new();
            while let Some(outcome) = outcomes.try_next().await? {
                match outcome {
                    Conditional::Applied(batch) => written.extend(batch),
                    Conditional::Refused(batch) => refused.extend(batch),
                }
            }
            if refused.is_empty() {
                return Ok(Plan { import_id, contacts: written });
            }
            self.table.client.wait(&mut backoff).await?;
            let rows = refused.into_iter().map(|planned| planned.rows).collect();
            pending = self.read_and_plan(rows, import_id).await?;
        }
    }

    /// Reads the contacts of these emails, and plans the outcome of their rows.
    async fn read_and_plan<'a>(
        &self,
        groups: Vec<RowsOfEmail<'a>>,
        import_id: Option<ImportId>,
    ) -> Result<Vec<PlannedContact<'a>>> {
        let mut holders = HashMap::new();
        for LockRow { pk, holder } in self.table.client.batch_get(groups.iter().map(|rows| &rows.lock_key)).await? {
            holders.insert(pk, holder?);
        }
        // The locks are read in several calls, so two of them may name one contact whose email was changed in between.
        let ids: HashSet<_> = holders.values().copied().collect();
        let mut contacts = self.read_contacts(ids).await?;
        let lacking = self.lacking_membership(import_id, contacts.values()).await?;
        let check_deadline = || Ok(self.table.client.check_deadline()?);
        let rules = MergeRules { import_id, now: self.table.now, check_deadline };
        let mut planned = Vec::with_capacity(groups.len());
        for rows in groups {
            // A contact that was deleted or got another email after its lock was read does not count. If the lock still
            // exists, it refuses the write.
            let stored = match holders.get(&rows.lock_key.pk) {
                Some(id) if contacts.get(id).is_some_and(|contact| contact.details.email == *rows.email()) => {
                    contacts.remove(id)
                }
                _ => None,
            };
            planned.push(match stored {
                Some(contact) => {
                    let lacks_membership = lacking.contains(&contact.id);
                    PlannedContact::update(rows, StoredContact { contact, lacks_membership }, &rules)?
                }
                None => PlannedContact::create(rows, |new| self.draft(new, import_id), &rules)?,
            });
        }
        Ok(planned)
    }

    async fn read_contacts(&self, ids: HashSet<ContactId>) -> Result<HashMap<ContactId, Contact>> {
        let keys: Vec<_> = ids.into_iter().map(|id| keys::contact(self.table.org, id)).collect();
        let (mut contacts, mut bytes) = (HashMap::with_capacity(keys.len()), 0);
        let reads: Vec<_> =
            keys.chunks(MAX_KEYS_PER_CALL).map(|chunk| self.table.client.batch_get::<Result<Contact>>(chunk)).collect();
        let mut reads = stream::iter(reads).buffer_unordered(MAX_CONCURRENT_READS);
        while let Some(items) = reads.try_next().await? {
            for contact in items {
                let contact = contact?;
                bytes += contact.growing_len() + contact.enrichment.object.count() * BYTES_PER_VALUE;
                contacts.insert(contact.id, contact);
            }
            if bytes > MAX_CONTACT_BYTES {
                return Err(Error::TooLarge(TOO_LARGE));
            }
        }
        Ok(contacts)
    }

    /// The ids of contacts that name this import and whose membership of it is missing. Costs a read per contact that names it.
    async fn lacking_membership(
        &self,
        import_id: Option<ImportId>,
        contacts: impl Iterator<Item = &Contact>,
    ) -> Result<HashSet<ContactId>> {
        let Some(import_id) = import_id else { return Ok(HashSet::new()) };
        let mut naming = Vec::new();
        for contact in contacts {
            if contact.import_ids.contains(&import_id) {
                naming.push((contact.id, keys::membership(self.table.org, import_id, contact.id)));
            }
        }
        let memberships: Vec<_> = naming.iter().map(|(_, key)| key.clone()).collect();
        let existing = self.table.client.existing_keys(&memberships).await?;
        Ok(naming.into_iter().filter(|(_, key)| !existing.contains(key)).map(|(id, _)| id).collect())
    }

    /// Writes a batch in one transaction. If that is refused, nothing of the batch is written.
    async fn write_batch<'a>(
        &self,
        batch: Vec<PlannedContact<'a>>,
    ) -> Result<Conditional<Vec<PlannedContact<'a>>, Vec<PlannedContact<'a>>>> {
        // A refused batch is planned again as a whole, so its items need no labels of their own.
        const LABELS: NewContactLabels<()> = NewContactLabels { contact: (), email_lock: (), membership: () };
        let mut transaction = self.table.client.transaction();
        for write in batch.iter().filter_map(PlannedContact::write) {
            match write {
                ContactWrite::Create { contact, lock_key } => {
                    self.put_new_contact(&mut transaction, contact, lock_key, &LABELS)?;
                }
                ContactWrite::Update { stored, next, membership } => {
                    if let Some(next) = next {
                        transaction.put_if((), &to_item(next)?, same_version(stored));
                    } else {
                        let key = keys::contact(self.table.org, stored.id);
                        transaction.check((), &key, same_version(stored));
                    }
                    if let Some(import_id) = membership {
                        transaction.put((), &self.membership_item(import_id, stored.id)?);
                    }
                }
            }
        }
        if transaction.is_empty() {
            return Ok(Conditional::Applied(batch));
        }
        Ok(match self.table.client.commit(transaction).await? {
            Conditional::Applied(()) => Conditional::Applied(batch),
            Conditional::Refused(_) => Conditional::Refused(batch),
        })
    }
}

/// The lock of an email.
struct LockRow {
    /// Its partition.
    pk: String,
    holder: Result<ContactId>,
}

impl StoredRow for LockRow {
    fn from_item(item: &StoredItem<'_>) -> Self {
        Self { pk: item.string(PK).unwrap_or_default().to_owned(), holder: lock_holder(item) }
    }
}

/// Splits planned contacts into batches that fit into one transaction each. Contacts without a write go along.
fn batches(contacts: Vec<PlannedContact<'_>>) -> Vec<Vec<PlannedContact<'_>>> {
    let (mut full, mut batch, mut items, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
    for contact in contacts {
        let (more_items, more_bytes) = contact.write().map_or((0, 0), |write| (write.items(), write.bytes()));
        if items + more_items > MAX_ITEMS || bytes + more_bytes > MAX_TRANSACTION_BYTES {
            full.push(std::mem::take(&mut batch));
            (items, bytes) = (0, 0);
        }
        (items, bytes) = (items + more_items, bytes + more_bytes);
        batch.push(contact);
    }
    full.push(batch);
    full
}
