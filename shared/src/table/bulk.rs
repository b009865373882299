//! Many contacts in one go, created or updated by their addresses.
//!
//! All is read and decided before anything is written. Rows are then written in transactions, each row whole: a contact
//! with its lock and its membership. A call that ends half-way leaves whole contacts behind, and the same call sent again
//! finds them by their addresses and writes the rest.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::companies;
use super::contacts::{Contacts, from_item, locked_for, same_version, to_item};
use super::error::{Error, Result};
use super::imports;
use super::item::string;
use super::keys::{self, PK};
use super::session::{AT_ONCE, Pause};
use super::transaction::{MAX_ITEMS, Transaction};
use crate::domain::{CompanyName, Contact, ContactId, Email, ImportId, Invalid, Upsert};

/// The most bytes of one transaction's items. DynamoDB takes 4 MB; an item's length is estimated.
const TRANSACTION_BYTES: usize = 3_000_000;
/// The most bytes of metadata that one call may read, which it holds in memory.
const READ_BYTES: usize = 200_000_000;

/// What is to become of one address: all rows of an upload that have it, merged in their order.
#[derive(Debug)]
pub struct Planned<'a> {
    rows: Vec<(usize, &'a Upsert)>,
    there: Option<Contact>,
    next: Option<Contact>,
    refused: Vec<(usize, Invalid)>,
}

/// What became, or is to become, of one row.
#[derive(Debug, PartialEq, Eq)]
pub enum RowOutcome<'a> {
    /// It made this contact.
    Created(&'a Contact),
    /// It was merged into this contact, whether that made a difference or not.
    Updated(&'a Contact),
    /// Its metadata cannot be merged into the contact's.
    Refused(Invalid),
}

impl<'a> Planned<'a> {
    fn new(rows: Vec<(usize, &'a Upsert)>) -> Self {
        Self { rows, there: None, next: None, refused: Vec::new() }
    }

    /// What becomes of each of its rows, which are named by their place in the upload.
    pub fn outcomes(&self) -> impl Iterator<Item = (usize, RowOutcome<'_>)> {
        let mut new = self.there.is_none();
        let contact = self.next.as_ref().or(self.there.as_ref());
        self.rows.iter().filter_map(move |(row, _)| {
            let refused = self.refused.iter().find(|(refused, _)| refused == row);
            let outcome = match (refused, contact?) {
                (Some((_, fault)), _) => RowOutcome::Refused(*fault),
                (None, contact) if std::mem::take(&mut new) => RowOutcome::Created(contact),
                (None, contact) => RowOutcome::Updated(contact),
            };
            Some((*row, outcome))
        })
    }

    fn email(&self) -> &'a Email {
        &self.rows[0].1.new.email
    }

    /// Merges the rows, in their order, into what is there.
    fn decide(&mut self, contacts: &Contacts, import_id: Option<ImportId>, there: Option<Contact>) {
        let mut merged = there.clone();
        self.refused.clear();
        for (row, upsert) in &self.rows {
            match &merged {
                None => merged = Some(contacts.draft(upsert.new.clone(), import_id)),
                Some(contact) => match contact.patched(&upsert.patch, contacts.now) {
                    Ok(Some(next)) => merged = Some(next),
                    Ok(None) => {}
                    Err(fault) => self.refused.push((*row, fault)),
                },
            }
        }
        let accepted = merged.filter(|_| self.refused.len() < self.rows.len()).map(|mut next| {
            next.import_ids.extend(import_id);
            next
        });
        self.next = accepted.and_then(|next| as_one_write(there.as_ref(), next));
        self.there = there;
    }

    /// The company that the contact gets.
    fn new_company(&self) -> Option<&CompanyName> {
        let company = self.next.as_ref()?.company.as_ref();
        company.filter(|_| company != self.there.as_ref().and_then(|there| there.company.as_ref()))
    }

    /// How many items its write has, and how many bytes they may come to.
    fn weight(&self) -> (usize, usize) {
        const REST: usize = 4_000;
        const IMPORT: usize = 40;
        let Some(next) = &self.next else { return (0, 0) };
        let memberships = next.import_ids.len() - self.there.as_ref().map_or(0, |there| there.import_ids.len());
        let items = 1 + memberships + usize::from(self.there.is_none());
        (items, next.enrichment_len() + next.import_ids.len() * IMPORT + REST)
    }
}

impl Contacts {
    /// The import, if there is such a one, or was within the last minute.
    ///
    /// # Errors
    /// The database's.
    pub async fn known_import(&self, id: Option<ImportId>) -> Result<Option<ImportId>> {
        let Some(id) = id else { return Ok(None) };
        match imports::ensure(&self.session, &self.known, self.org, id, self.now).await {
            Ok(()) => Ok(Some(id)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Decides what is to become of these rows, as members of an import. Writes nothing.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the contacts that are there hold too much to be merged in one call, or the database's.
    pub async fn plan<'a>(&self, rows: &'a [Upsert], import_id: Option<ImportId>) -> Result<Vec<Planned<'a>>> {
        let mut by_email = BTreeMap::<&Email, Vec<_>>::new();
        for (row, upsert) in rows.iter().enumerate() {
            by_email.entry(&upsert.new.email).or_default().push((row, upsert));
        }
        let mut plans: Vec<_> = by_email.into_values().map(Planned::new).collect();
        // In the order of the file, which is that of the first rows.
        plans.sort_by_key(|plan| plan.rows[0].0);
        self.decide(&mut plans, import_id).await?;
        Ok(plans)
    }

    /// Writes what is planned. Where another writer came first, what is there is read again and the rest decided anew.
    ///
    /// # Errors
    /// [`Error::Unavailable`] at the deadline, or the database's. What was written until then stays, each contact whole.
    pub async fn carry_out<'a>(
        &self,
        mut plans: Vec<Planned<'a>>,
        import_id: Option<ImportId>,
    ) -> Result<Vec<Planned<'a>>> {
        let mut done = Vec::with_capacity(plans.len());
        let mut pause = Pause::default();
        loop {
            let companies = plans.iter().filter_map(Planned::new_company);
            companies::ensure(&self.session, &self.known, self.org, companies, self.now).await?;
            let batches: Vec<_> = batches(plans).into_iter().map(|batch| self.write(batch)).collect();
            let mut written = stream::iter(batches).buffer_unordered(AT_ONCE);
            plans = Vec::new();
            while let Some((batch, committed)) = written.try_next().await? {
                if committed { &mut done } else { &mut plans }.extend(batch);
            }
            if plans.is_empty() {
                return Ok(done);
            }
            self.session.wait(&mut pause).await?;
            self.decide(&mut plans, import_id).await?;
        }
    }

    /// Reads what is there under the addresses of these plans, and decides each.
    async fn decide(&self, plans: &mut [Planned<'_>], import_id: Option<ImportId>) -> Result<()> {
        let locks: Vec<_> = plans.iter().map(|plan| keys::email_lock(self.org, plan.email())).collect();
        let found = self.session.batch_get(&locks).await?;
        let holders: HashMap<String, ContactId> = found
            .iter()
            .map(|lock| Ok((string(lock, PK).unwrap_or_default(), locked_for(lock)?)))
            .collect::<Result<_>>()?;
        let mut contacts = self.read_contacts(holders.values().copied().collect()).await?;
        for (plan, lock) in plans.iter_mut().zip(locks) {
            // A contact that was deleted, or has got another address, since its lock was read is none of this address;
            // if the lock is still there it refuses the write.
            let there = holders.get(&lock.pk).and_then(|id| contacts.remove(id));
            plan.decide(self, import_id, there.filter(|contact| contact.email == *plan.email()));
        }
        Ok(())
    }

    async fn read_contacts(&self, ids: Vec<ContactId>) -> Result<HashMap<ContactId, Contact>> {
        const CONTACTS_A_CALL: usize = 100;
        let keys: Vec<_> = ids.into_iter().map(|id| keys::contact(self.org, id)).collect();
        let (mut contacts, mut bytes) = (HashMap::with_capacity(keys.len()), 0);
        let reads: Vec<_> = keys.chunks(CONTACTS_A_CALL).map(|some| self.session.batch_get(some)).collect();
        let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
        while let Some(items) = reads.try_next().await? {
            for contact in items.into_iter().map(from_item) {
                let contact = contact?;
                bytes += contact.enrichment_len();
                contacts.insert(contact.id, contact);
            }
            if bytes > READ_BYTES {
                return Err(Error::TooLarge(Invalid(
                    "of the contacts that these rows update is over 200 MB: send fewer rows at once",
                )));
            }
        }
        Ok(contacts)
    }

    /// Commits a batch of plans in one transaction; `false` where it was refused, and nothing of it written.
    async fn write<'a>(&self, batch: Vec<Planned<'a>>) -> Result<(Vec<Planned<'a>>, bool)> {
        let mut transaction = Transaction::new(&self.session.table);
        for plan in &batch {
            let Some(next) = &plan.next else { continue };
            match &plan.there {
                None => self.put_new(&mut transaction, next, [(); 3])?,
                Some(there) => {
                    transaction.put_if((), to_item(next)?, same_version(there));
                    for import_id in next.import_ids.difference(&there.import_ids) {
                        transaction.put((), self.membership(*import_id, next.id)?);
                    }
                }
            }
        }
        let committed = transaction.items.is_empty() || self.session.commit(transaction).await?.is_empty();
        Ok((batch, committed))
    }
}

/// However many rows it took, it is one write: the next version, or none where it would change nothing.
fn as_one_write(there: Option<&Contact>, mut next: Contact) -> Option<Contact> {
    let Some(there) = there else { return Some(Contact { version: 1, ..next }) };
    let updated_at = std::mem::replace(&mut next.updated_at, there.updated_at);
    (next.version, next.write_id) = (there.version, there.write_id);
    (next != *there).then(|| Contact { updated_at, version: there.version + 1, write_id: None, ..next })
}

/// Fills transactions one after another. What has nothing to write goes along.
fn batches(plans: Vec<Planned<'_>>) -> Vec<Vec<Planned<'_>>> {
    let (mut batches, mut items, mut bytes) = (vec![Vec::new()], 0, 0);
    for plan in plans {
        let (more_items, more_bytes) = plan.weight();
        if items + more_items > MAX_ITEMS || bytes + more_bytes > TRANSACTION_BYTES {
            batches.push(Vec::new());
            (items, bytes) = (0, 0);
        }
        (items, bytes) = (items + more_items, bytes + more_bytes);
        if let Some(batch) = batches.last_mut() {
            batch.push(plan);
        }
    }
    batches
}
