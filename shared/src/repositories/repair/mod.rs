//! Repair: email locks, memberships, leads and activities whose parents do not exist.
//!
//! **Problem.** The worker deletes the children of a deleted parent when the stream tells it to (see `cascade`). The
//! stream keeps a record for 24 hours. If the worker fails for longer, the record is lost, and the children stay:
//! hidden from every response, but stored, paid for, and personal data. A lock that is left behind by a copy of single
//! items, or by a defect, keeps its email from being used. Nothing in the table names such an *orphan*, so only a scan
//! finds it.
//!
//! **Approach.** [`Repair::next_page`] scans and judges; it writes nothing. [`Repair::mend`] deletes what was found.
//! 1. A page of the table is read, with the attributes that decide: keys, type, and the holder of a lock.
//! 2. The parents of its items are read *after* it, with strong consistency. An item lacks a parent that does not
//!    exist; a lock also lacks its contact if that has another email. An error is not an absence: it ends the run.
//! 3. The tombstones of missing parents are read. A child whose tombstone exists is *pending*: the tombstone's removal
//!    will invoke the worker. The lock of an email is no child, the worker does not know it, so it is never pending.
//! 4. A deletion is a transaction with the conditions that make the item an orphan: no parent and no tombstone; for a
//!    lock, that it names this contact, and that the contact does not exist or still has the other email.
//!
//! Calls are made one after the other. Before each, [`Repair`] pauses for as long as the units of the previous one take
//! at the permitted rate, so in no period of time are more units consumed than the rate allows, but for those of one
//! call.
//!
//! **Why nothing is deleted by mistake.** Ids are never reused, and a child is written in the transaction that creates
//! its parent, or after a read of it. So when a child has been seen, its parents have existed; if one is absent after
//! that, it has been deleted and stays so, and the child is hidden from every response for good. Two writers are exempt
//! from that rule: a restore and the import of another platform's data put a parent in place that was absent. They
//! write the parent first, so a child that they mean to keep has a parent when its deletion commits, and the condition
//! refuses it. It also refuses the child that a read has shown in the middle of its transaction, whose parent was not
//! visible yet. A lock can become valid again: a contact may change its email and change it back. Create, update and
//! delete of a contact write contact and lock in one transaction, and transactions are serializable: the conditions see
//! both as they were before or as they are after it. Hence a lock is never deleted under a contact that is being
//! created.
//!
//! What was found may be outdated when it is mended. That does no harm: a refused deletion leaves the items alone, and
//! the next run judges them again.
//!
//! **Left alone.** A membership whose contact and import exist but do not know of each other: it is visible and
//! counted. An import in a contact's `import_ids` that does not exist: deleting an import leaves it there. Items of
//! other types, items of unknown types, and items whose key cannot be read or is not in canonical form: they are
//! reported.
//!
//! **Rejected.** A consistent scan: twice the price, to find the orphans of the last second, which the next run finds
//! too. A Query per organization: the partitions of an orphan are those of parents that do not exist, so no item leads
//! there. The parents remembered from the scan itself, to save their reads: memory for each contact of the table, and
//! an absence would have to be confirmed by a read all the same. `BatchWriteItem` for children: it has no conditions.
//! An age below which nothing is deleted: a membership stores no time, and the conditions make it unnecessary. Mending
//! while scanning: the operator is asked once all is known.
//!
//! **If this is changed.** Parents that are read before or with their children make new items look like orphans.
//! Without the conditions, a lock may be deleted under its contact, and a restored parent may lose children. A writer
//! that puts children before their parents may lose them to a repair that runs at the same time. A further type of item
//! is decided upon in [`OrphanKind`].

mod dependent;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

pub use self::dependent::OrphanKind;
use self::dependent::{Dependent, email_of};
use super::contacts::{CONTACT_ID, EMAIL, is_lock_of};
use crate::domain::OrgId;
use crate::dynamodb::expression::Condition;
use crate::dynamodb::item::{Item, TYPE, string, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::schema::{PK, SK};
use crate::dynamodb::table_client::MAX_KEYS_PER_CALL;
use crate::dynamodb::transaction::MAX_ITEMS;
use crate::dynamodb::{CapacityMeter, ConsumedCapacity, Parent, Result, Table, TableClient};

/// The items that one Scan reads. With items of half a kilobyte, some fifteen units: a bound of few units per second is
/// kept with short pauses.
const ITEMS_PER_PAGE: i32 = 250;
/// The attributes of an item that are read.
const ATTRIBUTES: [&str; 4] = [PK, SK, TYPE, CONTACT_ID];
/// The attributes of a parent that are read.
const PARENT_ATTRIBUTES: [&str; 4] = [PK, SK, TYPE, EMAIL];
/// The most children that one transaction deletes, beside the conditions on their parent and its tombstone. An activity
/// has at most some 25 KB, so they stay within the 4 MB of a transaction.
const MAX_CHILDREN: usize = MAX_ITEMS - 2;

/// The limits of a repair.
#[derive(Debug, Clone, Copy)]
pub struct RepairLimits {
    /// The capacity units that it consumes per second, at most.
    pub units_per_second: NonZeroU32,
    /// The time limit of a call with its retries. A repair ends with an error after it.
    pub call_timeout: Duration,
}

/// Waits for a duration.
pub type Pause = Box<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A repair of one table. See the documentation of the module.
pub struct Repair {
    table: Table,
    org: Option<OrgId>,
    limits: RepairLimits,
    pause: Pause,
    meter: CapacityMeter,
    /// The units that have been paused for.
    paid_units: f64,
    position: Position,
}

/// Where the scan continues.
#[derive(Debug)]
enum Position {
    Beginning,
    After(Key),
    End,
}

/// The findings in one page of the table.
#[derive(Debug, Default)]
pub struct ScannedPage {
    /// The number of items that were read.
    pub scanned: usize,
    /// Items that may be mended.
    pub orphans: Vec<Orphan>,
    /// The kinds of the items without a parent that the worker is going to delete.
    pub pending: Vec<OrphanKind>,
    /// Items that cannot be judged: [`Unreadable`](crate::dynamodb::Error::Unreadable), whose text names their ids.
    pub unreadable: Vec<crate::dynamodb::Error>,
}

/// An item without a parent that it needs. In the order of [`batches`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Orphan {
    /// The type of the item.
    pub kind: OrphanKind,
    /// The organization.
    pub org: OrgId,
    /// The parent that does not exist; for an email lock, the contact that does not exist or has another email.
    pub parent: Parent,
    key: Key,
}

/// Orphans that are mended by one call.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a>(&'a [Orphan]);

impl Repair {
    /// A repair of the whole table, or of the items of one organization.
    pub(crate) fn new(table: Table, org: Option<OrgId>, limits: RepairLimits) -> Self {
        let pause: Pause = Box::new(|duration| Box::pin(tokio::time::sleep(duration)));
        let meter = CapacityMeter::default();
        Self { table, org, limits, pause, meter, paid_units: 0.0, position: Position::Beginning }
    }

    /// The same repair with another way to wait, by which a test keeps the time.
    #[must_use]
    pub fn with_pause(self, pause: Pause) -> Self {
        Self { pause, ..self }
    }

    /// The calls made so far and the capacity that they consumed.
    pub fn consumed_capacity(&self) -> ConsumedCapacity {
        self.meter.consumed_capacity()
    }

    /// The number of items of the table, as DynamoDB counted them within the last six hours.
    ///
    /// # Errors
    /// The database's.
    pub async fn approximate_item_count(&mut self) -> Result<u64> {
        self.client().await.approximate_item_count().await
    }

    /// Reads the next page of the table and judges its items; `None` at the end of the table. Writes nothing.
    ///
    /// # Errors
    /// The database's. The same page is read again by the next call.
    pub async fn next_page(&mut self) -> Result<Option<ScannedPage>> {
        let after = match &self.position {
            Position::Beginning => None,
            Position::After(key) => Some(key.clone()),
            Position::End => return Ok(None),
        };
        let page = self.client().await.scan(after.as_ref(), ITEMS_PER_PAGE, &ATTRIBUTES).await?;
        let mut findings = ScannedPage { scanned: page.items.len(), ..ScannedPage::default() };
        let mut dependents = Vec::new();
        for item in page.items.iter().filter(|item| self.concerns(item)) {
            match Dependent::read(item) {
                Ok(dependent) => dependents.extend(dependent),
                Err(error) => findings.unreadable.push(error),
            }
        }
        self.judge(dependents, &mut findings).await?;
        self.position = match page.last_evaluated {
            Some(key) => Position::After(key),
            None => Position::End,
        };
        Ok(Some(findings))
    }

    /// Deletes orphans unless others have changed what made them orphans, and returns the number of those deleted. The
    /// items of a batch are deleted together or not at all.
    ///
    /// # Errors
    /// The database's.
    pub async fn mend(&mut self, batch: Batch<'_>) -> Result<usize> {
        let Batch(orphans) = batch;
        let Some(first) = orphans.first() else { return Ok(0) };
        let is_deleted = match first.kind {
            OrphanKind::EmailLock => self.delete_lock(first).await?,
            OrphanKind::Membership | OrphanKind::Lead | OrphanKind::Activity => {
                self.delete_children(first.org, first.parent, orphans).await?
            }
        };
        Ok(if is_deleted { orphans.len() } else { 0 })
    }

    /// Whether an item belongs to the organization that is repaired.
    fn concerns(&self, item: &Item) -> bool {
        self.org.is_none() || string(item, PK).and_then(|pk| keys::owner_of_partition(&pk)) == self.org
    }

    /// Reads the parents of these items, and adds those items to the findings that lack one.
    async fn judge(&mut self, dependents: Vec<Dependent>, findings: &mut ScannedPage) -> Result<()> {
        let parent_keys: HashSet<_> = dependents.iter().flat_map(Dependent::parent_keys).collect();
        let parents = self.read(parent_keys, &PARENT_ATTRIBUTES).await?;
        let (mut lacking, mut tombstone_keys) = (Vec::new(), HashSet::new());
        for dependent in dependents {
            match dependent.missing_parents(&parents) {
                Ok(missing) => {
                    if dependent.kind.is_child() {
                        tombstone_keys.extend(missing.iter().map(|parent| parent.tombstone(dependent.org)));
                    }
                    lacking.push((dependent, missing));
                }
                Err(error) => findings.unreadable.push(error),
            }
        }
        let tombstones = self.read(tombstone_keys, &[PK, SK]).await?;
        for (Dependent { kind, org, key, .. }, missing) in lacking {
            let Some(parent) = missing.first() else { continue };
            let has_tombstone = |parent: &Parent| tombstones.contains_key(&parent.tombstone(org));
            if kind.is_child() && missing.iter().any(has_tombstone) {
                findings.pending.push(kind);
            } else {
                findings.orphans.push(Orphan { kind, org, parent: *parent, key });
            }
        }
        Ok(())
    }

    async fn read(&mut self, keys: HashSet<Key>, attributes: &[&str]) -> Result<HashMap<Key, Item>> {
        let keys: Vec<_> = keys.into_iter().collect();
        let mut items = HashMap::new();
        for chunk in keys.chunks(MAX_KEYS_PER_CALL) {
            items.extend(self.client().await.batch_get_attributes(chunk, attributes).await?);
        }
        Ok(items)
    }

    /// Deletes an email lock, unless its contact has the email; `false` if the lock stays.
    async fn delete_lock(&mut self, lock: &Orphan) -> Result<bool> {
        let Parent::Contact(contact) = lock.parent else { return Ok(false) };
        let contact_key = keys::contact(lock.org, contact);
        let stored = self.read(HashSet::from([contact_key.clone()]), &PARENT_ATTRIBUTES).await?;
        let has_no_such_email = match stored.get(&contact_key).map(email_of) {
            None => Condition::not_exists(),
            Some(Ok(email)) if keys::email_lock(lock.org, &email) != lock.key => {
                Condition::equals(EMAIL, text(email.as_str()))
            }
            Some(Ok(_) | Err(_)) => return Ok(false),
        };
        let client = self.client().await;
        let mut transaction = client.transaction();
        transaction.check((), &contact_key, has_no_such_email);
        transaction.delete_if((), &lock.key, is_lock_of(contact));
        Ok(client.commit(transaction).await?.is_applied())
    }

    /// Deletes children of this parent, unless it exists or has a tombstone; `false` if they stay.
    async fn delete_children(&mut self, org: OrgId, parent: Parent, children: &[Orphan]) -> Result<bool> {
        let client = self.client().await;
        let mut transaction = client.transaction();
        transaction.check((), &parent.key(org), Condition::not_exists());
        transaction.check((), &parent.tombstone(org), Condition::not_exists());
        for child in children {
            transaction.delete((), &child.key);
        }
        Ok(client.commit(transaction).await?.is_applied())
    }

    /// The client of the next call. Pauses first for the units that the previous one consumed.
    async fn client(&mut self) -> TableClient {
        let ConsumedCapacity { read_units, write_units, .. } = self.meter.consumed_capacity();
        let unpaid_units = read_units + write_units - self.paid_units;
        if unpaid_units > 0.0 {
            let units_per_second = f64::from(self.limits.units_per_second.get());
            (self.pause)(Duration::from_secs_f64(unpaid_units / units_per_second)).await;
            self.paid_units += unpaid_units;
        }
        self.table.client(Instant::now() + self.limits.call_timeout, self.meter.clone())
    }
}

impl fmt::Debug for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repair").field("org", &self.org).field("position", &self.position).finish_non_exhaustive()
    }
}

impl Orphan {
    /// The hash by which the key of an email lock names its email; `None` for another kind.
    pub fn email_hash(&self) -> Option<&str> {
        keys::parse_email_lock(&self.key).map(|(_, hash)| hash)
    }

    /// Whether one transaction can delete both.
    fn shares_conditions(&self, other: &Self) -> bool {
        self.kind.is_child() && (self.kind, self.org, self.parent) == (other.kind, other.org, other.parent)
    }
}

impl Batch<'_> {
    /// The orphans of the batch.
    pub fn orphans(&self) -> &[Orphan] {
        self.0
    }
}

/// Sorts orphans, and splits them into batches.
pub fn batches(orphans: &mut [Orphan]) -> impl Iterator<Item = Batch<'_>> {
    orphans.sort_unstable();
    orphans.chunk_by(Orphan::shares_conditions).flat_map(|group| group.chunks(MAX_CHILDREN)).map(Batch)
}
