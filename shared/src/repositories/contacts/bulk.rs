//! Many contacts in one go, created or updated by their addresses.
//!
//! All is read and decided before anything is written. Rows are then written in transactions, each row whole: a contact
//! with its lock and its membership. A call that ends half-way leaves whole contacts behind, and the same call sent again
//! finds them by their addresses and writes the rest.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Contacts, from_item, locked_for, same_version, to_item};
use crate::domain::{CompanyName, Contact, ContactId, Email, ImportId, InvalidValue, Upsert, ValidationErrors};
use crate::dynamodb::Backoff;
use crate::dynamodb::item::string;
use crate::dynamodb::keys::{self, PK};
use crate::dynamodb::table_client::{AT_ONCE, KEYS_A_CALL};
use crate::dynamodb::transaction::{MAX_ITEMS, Transaction};
use crate::dynamodb::{Error, Result};

/// The most bytes of one transaction's items. DynamoDB takes 4 MB; an item's length is estimated.
const TRANSACTION_BYTES: usize = 3_000_000;
/// The most bytes of memory that the contacts which one call reads may take; it holds them twice, as they are and as they
/// will be.
const CONTACT_BYTES: usize = 100_000_000;
/// What a value of their metadata takes of it beside its text, no less than measured.
const VALUE_BYTES: usize = 100;
/// What is said of more.
const TOO_MUCH: InvalidValue =
    InvalidValue::Rule("of the contacts that these rows update is too much for one call: send fewer rows at once");
/// How many reads of contacts are under way at once: an answer may have 16 MB, and twenty times as much in memory.
const READS_AT_ONCE: usize = 2;

/// A row of an upload: its number there, and what it says.
pub type Row = (usize, Upsert);

/// What is to become of the rows of an upload.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    import_id: Option<ImportId>,
    addresses: Vec<Planned<'a>>,
}

/// What is to become of the rows of one address.
#[derive(Debug)]
struct Planned<'a> {
    rows: Rows<'a>,
    /// Those of them that cannot be merged into its contact, and why.
    refused: Vec<(usize, ValidationErrors)>,
    action: RowAction,
}

/// All rows of an upload that have one address, in their order.
#[derive(Debug)]
struct Rows<'a> {
    first: &'a Row,
    others: Vec<&'a Row>,
}

/// What is to become of an address.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box for each of thousands would cost more than the room")]
enum RowAction {
    /// It gets this contact.
    New(Contact),
    /// It has one, `there`, and that becomes `next`, if anything changes.
    Known { there: Contact, next: Option<Contact> },
}

/// What became, or is to become, of one row.
#[derive(Debug, PartialEq, Eq)]
pub enum RowOutcome<'a> {
    /// It made this contact.
    Created(&'a Contact),
    /// It was merged into this contact, whether that made a difference or not.
    Updated(&'a Contact),
    /// It cannot be merged into the contact that has this address.
    Refused(&'a Email, &'a ValidationErrors),
}

impl Plan<'_> {
    /// What becomes of each row, by its number; in no order.
    pub fn outcomes(&self) -> impl Iterator<Item = (usize, RowOutcome<'_>)> {
        self.addresses.iter().flat_map(Planned::outcomes)
    }
}

impl<'a> Rows<'a> {
    /// The rows of each address, in the order of the first of them.
    fn by_address(rows: &'a [Row]) -> Vec<Self> {
        let mut places = HashMap::<_, usize>::new();
        let mut addresses = Vec::<Self>::new();
        for row in rows {
            match places.entry(&row.1.new.details.email) {
                Entry::Occupied(place) => addresses[*place.get()].others.push(row),
                Entry::Vacant(place) => {
                    place.insert(addresses.len());
                    addresses.push(Self { first: row, others: Vec::new() });
                }
            }
        }
        addresses
    }

    fn iter(&self) -> impl Iterator<Item = &'a Row> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    fn email(&self) -> &'a Email {
        &self.first.1.new.details.email
    }
}

impl<'a> Planned<'a> {
    /// Merges the rows, in their order, into what is there.
    fn new(rows: Rows<'a>, there: Option<Contact>, contacts: &Contacts, import_id: Option<ImportId>) -> Self {
        let mut refused = Vec::new();
        let mut merge = |contact: Contact, (number, Upsert { patch, .. }): &Row| {
            let joined = match import_id {
                None => Ok(None),
                Some(import_id) => {
                    contact.joined(import_id).map_err(|fault| ValidationErrors::one("X-Import-ID", fault))
                }
            };
            let merged =
                joined.and_then(|joined| match joined.as_ref().unwrap_or(&contact).patched(patch, contacts.0.now) {
                    Ok(next) => Ok(next.or(joined)),
                    Err(fault) => Err(ValidationErrors::one("metadata", fault)),
                });
            match merged {
                Ok(next) => next.unwrap_or(contact),
                Err(faults) => {
                    refused.push((*number, faults));
                    contact
                }
            }
        };
        let action = match there {
            None => {
                let new = contacts.draft(rows.first.1.new.clone(), import_id);
                let merged = rows.others.iter().copied().fold(new, &mut merge);
                RowAction::New(Contact { version: 1, ..merged })
            }
            Some(there) => {
                let merged = rows.iter().fold(there.clone(), &mut merge);
                RowAction::Known { next: as_one_write(&there, merged), there }
            }
        };
        Self { rows, refused, action }
    }

    fn outcomes(&self) -> impl Iterator<Item = (usize, RowOutcome<'_>)> {
        let (contact, created) = match &self.action {
            RowAction::New(contact) => (contact, Some(self.rows.first.0)),
            RowAction::Known { there, next } => (next.as_ref().unwrap_or(there), None),
        };
        self.rows.iter().map(move |(number, _)| {
            let refused = self.refused.iter().find(|(refused, _)| refused == number);
            let outcome = match refused {
                Some((_, faults)) => RowOutcome::Refused(self.rows.email(), faults),
                None if created == Some(*number) => RowOutcome::Created(contact),
                None => RowOutcome::Updated(contact),
            };
            (*number, outcome)
        })
    }

    /// The contact to write, and what it replaces; `None` where nothing changes.
    fn write(&self) -> Option<(&Contact, Option<&Contact>)> {
        match &self.action {
            RowAction::New(contact) => Some((contact, None)),
            RowAction::Known { there, next } => next.as_ref().map(|next| (next, Some(there))),
        }
    }

    /// The company that the contact gets.
    fn new_company(&self) -> Option<&CompanyName> {
        let (next, there) = self.write()?;
        next.details
            .company
            .as_ref()
            .filter(|company| there.and_then(|there| there.details.company.as_ref()) != Some(company))
    }

    /// How many items its write has, and how many bytes they may come to.
    fn weight(&self) -> (usize, usize) {
        /// More than the lock, the membership, and all attributes but those that gather more and more.
        const OTHERS: usize = 4_000;
        let Some((next, there)) = self.write() else { return (0, 0) };
        let memberships = next.import_ids.len() - there.map_or(0, |there| there.import_ids.len());
        let items = 1 + memberships + usize::from(there.is_none());
        (items, next.growing_len() + OTHERS)
    }
}

impl Contacts {
    /// The import, if there is such a one, or was within the last minute.
    ///
    /// # Errors
    /// The database's.
    pub async fn known_import(&self, id: Option<ImportId>) -> Result<Option<ImportId>> {
        let Some(id) = id else { return Ok(None) };
        match self.0.ensure_import(id).await {
            Ok(()) => Ok(Some(id)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Decides what is to become of these rows, as members of an import. Writes nothing.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the contacts that are there hold too much to be merged in one call, or the database's.
    pub async fn plan<'a>(&self, rows: &'a [Row], import_id: Option<ImportId>) -> Result<Plan<'a>> {
        let addresses = self.decide(Rows::by_address(rows), import_id).await?;
        Ok(Plan { import_id, addresses })
    }

    /// Writes what is planned. Where another writer came first, what is there is read again and the rest decided anew.
    ///
    /// # Errors
    /// [`Error::Unavailable`] at the deadline, or the database's. What was written until then stays, each contact whole.
    pub async fn carry_out<'a>(&self, Plan { import_id, addresses: mut left }: Plan<'a>) -> Result<Plan<'a>> {
        let mut done = Vec::with_capacity(left.len());
        let mut backoff = Backoff::default();
        loop {
            let companies = left.iter().filter_map(Planned::new_company);
            self.0.ensure_companies(companies).await?;
            let batches: Vec<_> = batches(left).into_iter().map(|batch| self.write(batch)).collect();
            let mut written = stream::iter(batches).buffer_unordered(AT_ONCE);
            left = Vec::new();
            while let Some((batch, committed)) = written.try_next().await? {
                if committed { &mut done } else { &mut left }.extend(batch);
            }
            if left.is_empty() {
                return Ok(Plan { import_id, addresses: done });
            }
            self.0.client.wait(&mut backoff).await?;
            left = self.decide(left.into_iter().map(|planned| planned.rows).collect(), import_id).await?;
        }
    }

    /// Reads what is there under these addresses, and decides what is to become of each.
    async fn decide<'a>(&self, addresses: Vec<Rows<'a>>, import_id: Option<ImportId>) -> Result<Vec<Planned<'a>>> {
        let locks: Vec<_> = addresses.iter().map(|rows| keys::email_lock(self.0.org, rows.email())).collect();
        let found = self.0.client.batch_get(&locks).await?;
        let holder = |lock| Ok((string(lock, PK).unwrap_or_default(), locked_for(lock)?));
        let holders: HashMap<String, ContactId> = found.iter().map(holder).collect::<Result<_>>()?;
        // The locks were not read in one moment: two may name one contact, whose address was changed meanwhile.
        let ids: HashSet<_> = holders.values().copied().collect();
        let mut contacts = self.read_contacts(ids).await?;
        let planned = addresses.into_iter().zip(locks).map(|(rows, lock)| {
            // A contact that was deleted, or has got another address, since its lock was read is none of this address;
            // if the lock is still there it refuses the write.
            let is_at_address =
                |id: &&ContactId| contacts.get(id).is_some_and(|contact| contact.details.email == *rows.email());
            let there = holders.get(&lock.pk).filter(is_at_address).and_then(|id| contacts.remove(id));
            Planned::new(rows, there, self, import_id)
        });
        Ok(planned.collect())
    }

    async fn read_contacts(&self, ids: HashSet<ContactId>) -> Result<HashMap<ContactId, Contact>> {
        let keys: Vec<_> = ids.into_iter().map(|id| keys::contact(self.0.org, id)).collect();
        let (mut contacts, mut bytes) = (HashMap::with_capacity(keys.len()), 0);
        let reads: Vec<_> = keys.chunks(KEYS_A_CALL).map(|some| self.0.client.batch_get(some)).collect();
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(items) = reads.try_next().await? {
            for contact in items.into_iter().map(from_item) {
                let contact = contact?;
                bytes += contact.growing_len() + contact.enrichment.object.count() * VALUE_BYTES;
                contacts.insert(contact.id, contact);
            }
            if bytes > CONTACT_BYTES {
                return Err(Error::TooLarge(TOO_MUCH));
            }
        }
        Ok(contacts)
    }

    /// Commits a batch in one transaction; `false` where it was refused, and nothing of it written.
    async fn write<'a>(&self, batch: Vec<Planned<'a>>) -> Result<(Vec<Planned<'a>>, bool)> {
        let mut transaction = Transaction::new(self.0.client.table_name());
        for (next, there) in batch.iter().filter_map(Planned::write) {
            let Some(there) = there else {
                self.put_new(&mut transaction, next, [(); 3])?;
                continue;
            };
            transaction.put_if((), to_item(next)?, same_version(there));
            for import_id in next.import_ids.difference(&there.import_ids) {
                transaction.put((), self.membership(*import_id, next.id)?);
            }
        }
        let committed = transaction.items.is_empty() || self.0.client.commit(transaction).await?.is_empty();
        Ok((batch, committed))
    }
}

/// However many rows it took, it is one write: the next version, or none where it would change nothing.
fn as_one_write(there: &Contact, mut next: Contact) -> Option<Contact> {
    let updated_at = std::mem::replace(&mut next.updated_at, there.updated_at);
    (next.version, next.write_id) = (there.version, there.write_id);
    (next != *there).then(|| Contact { updated_at, version: there.version + 1, write_id: None, ..next })
}

/// Fills transactions one after another. What has nothing to write goes along.
fn batches(addresses: Vec<Planned<'_>>) -> Vec<Vec<Planned<'_>>> {
    let (mut full, mut batch, mut items, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
    for planned in addresses {
        let (more_items, more_bytes) = planned.weight();
        if items + more_items > MAX_ITEMS || bytes + more_bytes > TRANSACTION_BYTES {
            full.push(std::mem::take(&mut batch));
            (items, bytes) = (0, 0);
        }
        (items, bytes) = (items + more_items, bytes + more_bytes);
        batch.push(planned);
    }
    full.push(batch);
    full
}
