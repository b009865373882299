//! Contacts: create, read, update, delete.

mod bulk;
mod read;

use std::collections::BTreeSet;
use std::pin::pin;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::idempotency::IdempotencyRecord;
use super::{OrgTable, cascade};
use crate::dynamodb::Backoff;
use crate::dynamodb::expression::Expression;
use crate::dynamodb::item::{
    Item, Type, changed_attributes, item, key_in, map, number, object_of, record, sort_key, text, value_of,
};
use crate::dynamodb::keys::{self, Key, PK, Parent};
use crate::dynamodb::table_client::Reading;
use crate::dynamodb::transaction::{MAX_ITEMS, Transaction};
use crate::dynamodb::{Error, Kind, Result};

use crate::domain::ids::uuid_at;
use crate::domain::json::MAX_STORED_BYTES;
use crate::domain::{
    CompanyName, Contact, ContactDetails, ContactId, ContactPatch, Email, Enrichment, ImportId, Json, JsonObject,
    NewContact, Patch, RequiredVersion, time,
};
pub use bulk::{Plan, Row, RowOutcome};

const EMAIL: &str = "email";
const ENRICHMENT: &str = "enrichment";
/// An upper bound of [`Contact::growing_len`], which an update without a read can hold to its limit.
const GROWING_BYTES: &str = "growing_bytes";
/// The keys that the enrichment was created with, in their order.
const ENRICHMENT_ORDER: &str = "enrichment_order";
const IMPORT_IDS: &str = "import_ids";
const VERSION: &str = "version";
const WRITE_ID: &str = "write_id";
const CONTACT_ID: &str = "contact_id";

/// The contacts of one organization.
#[derive(Debug)]
pub struct Contacts(pub(crate) OrgTable);

/// The attributes of a contact's item, beside its keys and its enrichment.
#[derive(Serialize, Deserialize)]
struct ContactItem {
    #[serde(flatten)]
    details: ContactDetails,
    #[serde(with = "time::millis")]
    created_at: DateTime<Utc>,
    #[serde(with = "time::millis")]
    updated_at: DateTime<Utc>,
    version: u64,
    #[serde(default)]
    growing_bytes: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    enrichment_order: Vec<String>,
    #[serde(default, with = "serde_dynamo::string_set", skip_serializing_if = "BTreeSet::is_empty")]
    import_ids: BTreeSet<ImportId>,
    write_id: Option<Uuid>,
}

/// What a lock and a membership hold beside their keys: whose they are.
#[derive(Serialize)]
struct Holder {
    contact_id: ContactId,
}

/// The parts of a contact's transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Contact,
    Lock,
    OldLock,
    Company,
    IdempotencyRecord,
    /// Written without a condition of its own.
    Child,
}

impl Contacts {
    /// A contact of this organization, made now and not yet stored.
    pub fn draft(&self, new: NewContact, import_id: Option<ImportId>) -> Contact {
        Contact::new(uuid_at(self.0.now).into(), self.0.org, import_id, new, self.0.now)
    }

    /// Stores a new contact with the lock of its address, its membership of an import, its company where that is new,
    /// and the answer to keep: all of it or nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the import, [`Error::EmailTaken`], [`Error::AlreadyAnswered`], or the database's.
    pub async fn create(&self, contact: &Contact, idempotency_record: Option<&IdempotencyRecord>) -> Result<()> {
        let ((), mut new_company) =
            tokio::try_join!(self.ensure_imports(contact), self.if_new(contact.details.company.as_ref()))?;
        loop {
            let mut transaction = self.transaction();
            self.put_new(&mut transaction, contact, [Part::Contact, Part::Lock, Part::Child])?;
            if let Some(name) = new_company {
                self.0.create_company(&mut transaction, Part::Company, name)?;
            }
            let refused = self.0.commit(transaction, Part::IdempotencyRecord, idempotency_record).await?;
            let is = |part| refused.contains(&part);
            if is(Part::Lock) {
                return Err(Error::EmailTaken(contact.details.email.clone()));
            } else if is(Part::Contact) {
                return Err(Error::Unexpected("a new contact's id is taken".to_owned()));
            }
            // Either it was made just now, or another contact's transaction made it meanwhile.
            self.remember(new_company.take());
            if refused.is_empty() {
                return Ok(());
            }
        }
    }

    /// Changes a contact, and gives it back as it is then. What changes nothing writes nothing.
    ///
    /// The first attempt is a single conditional write without a read. Where that cannot be, or where it is refused,
    /// what the refusal showed serves as the read, and the next version is written on condition of this one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`], [`Error::EmailTaken`], [`Error::TooLarge`], or the database's.
    pub async fn update(
        &self,
        id: ContactId,
        patch: &ContactPatch,
        required: Option<&RequiredVersion>,
    ) -> Result<Contact> {
        const NOT_FOUND: Error = Error::NotFound(Kind::Contact);
        let key = keys::contact(self.0.org, id);
        let write_id = Uuid::new_v4();
        let mut new_company = self.if_new(patch.company.value()).await?;
        let mut seen = None;
        if let (None, Some(expression)) = (new_company, self.blind_update(patch, required, write_id)?) {
            match self.0.client.update(&key, expression).await? {
                Ok(item) => return from_item(item),
                Err(None) => return Err(NOT_FOUND),
                Err(refused) => seen = refused,
            }
        }
        let mut backoff = Backoff::default();
        loop {
            let item = match seen.take() {
                Some(item) => item,
                None => self.0.client.get(&key).await?.ok_or(NOT_FOUND)?,
            };
            let contact = from_item(item)?;
            if contact.write_id == Some(write_id) {
                // This very write, whose answer was lost.
                return Ok(contact);
            }
            if required.is_some_and(|required| !required.allows(contact.version)) {
                return Err(Error::Stale);
            }
            let Some(mut next) = contact.patched(patch, self.0.now).map_err(Error::TooLarge)? else {
                return Ok(contact);
            };
            next.write_id = Some(write_id);
            if self.replace(&contact, &next, &mut new_company).await? {
                return Ok(next);
            }
            self.0.client.wait(&mut backoff).await?;
        }
    }

    /// Deletes a contact with everything that its own item and its partition name: the lock of its address, its
    /// memberships and leads. Its activities are hidden with it, and cleared up behind the tombstone.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`], or the database's.
    pub async fn delete(&self, id: ContactId, required: Option<&RequiredVersion>) -> Result<()> {
        // The contact, its lock and its tombstone, and one place to spare for a check.
        const CHILDREN_A_TRANSACTION: usize = MAX_ITEMS - 4;
        let key = keys::contact(self.0.org, id);
        let mut backoff = Backoff::default();
        loop {
            let (item, leads) = tokio::try_join!(self.0.client.get(&key), self.leads(id))?;
            let contact = from_item(item.ok_or(Error::NotFound(Kind::Contact))?)?;
            if required.is_some_and(|required| !required.allows(contact.version)) {
                return Err(Error::Stale);
            }
            let memberships = contact.import_ids.iter().map(|import_id| keys::membership(self.0.org, *import_id, id));
            let mut children: Vec<_> = memberships.chain(leads).collect();
            let as_read = || as_read(&contact, required);
            let mut done = true;
            while done && children.len() > CHILDREN_A_TRANSACTION {
                let mut transaction = self.transaction();
                transaction.check(Part::Contact, &key, as_read());
                children.drain(..CHILDREN_A_TRANSACTION).for_each(|child| transaction.delete(Part::Child, &child));
                done = self.0.client.commit(transaction).await?.is_empty();
            }
            if done {
                let mut transaction = self.transaction();
                transaction.delete_if(Part::Contact, &key, as_read());
                transaction.delete_if(Part::Lock, &keys::email_lock(self.0.org, &contact.details.email), lock_of(id));
                transaction.put(Part::Child, cascade::tombstone(self.0.org, Parent::Contact(id), self.0.now)?);
                for child in &children {
                    transaction.delete(Part::Child, child);
                }
                if self.0.client.commit(transaction).await?.is_empty() {
                    return Ok(());
                }
            }
            self.0.client.wait(&mut backoff).await?;
        }
    }

    /// The update that needs no read: flat changes whose outcome does not depend on what is there. `None` where there
    /// is no such update: nested metadata, more keys than an expression holds, or nothing at all.
    fn blind_update(
        &self,
        patch: &ContactPatch,
        required: Option<&RequiredVersion>,
        write_id: Uuid,
    ) -> Result<Option<Expression>> {
        const MAX_KEYS: usize = 80;
        let ContactPatch { enrichment, email, .. } = patch;
        let mut changes = changed_attributes(patch)?;
        // A new email is never written without a read: it is a condition here, and its refusal serves as the read.
        changes.remove(EMAIL);
        let mut expression = Expression::default();
        expression.change(changes);
        match enrichment {
            Patch::Keep => {}
            Patch::Clear => {
                expression.set(&[ENRICHMENT], map(&JsonObject::default()));
                expression.forget(ENRICHMENT_ORDER);
            }
            Patch::Set(Enrichment { object: changes, .. }) => {
                if changes.members().len() > MAX_KEYS
                    || changes.members().any(|(_, value)| matches!(value, Json::Object(_)))
                {
                    return Ok(None);
                }
                for (key, value) in changes.members() {
                    match value {
                        Json::Null => expression.remove(&[ENRICHMENT, key]),
                        value => expression.set(&[ENRICHMENT, key], value_of(value)),
                    }
                }
                let grows = changes.stored_len();
                expression.add(GROWING_BYTES, number(grows));
                expression.require_at_most(GROWING_BYTES, number(MAX_STORED_BYTES.saturating_sub(grows)));
            }
        }
        if let Some(email) = email {
            expression.require(EMAIL, text(email.as_str()));
        }
        if expression.changes_nothing() {
            return Ok(None);
        }
        expression.require_present(PK);
        if let Some(RequiredVersion::OneOf(versions)) = required {
            if versions.is_empty() {
                return Ok(None);
            }
            expression.require_one_of(VERSION, versions.iter().map(number));
        }
        if required.is_some() {
            // By it this write knows itself where its answer was lost and the version is no longer the required one.
            expression.note(WRITE_ID, text(write_id.hyphenated().to_string()));
        }
        expression.note("updated_at", text(time::to_millis(self.0.now)));
        expression.add(VERSION, number(1));
        Ok(Some(expression))
    }

    /// Writes the next version of a contact on condition of this one; moves its lock and makes its company with it.
    /// `false` where another write came first.
    async fn replace(&self, contact: &Contact, next: &Contact, new_company: &mut Option<&CompanyName>) -> Result<bool> {
        let same_version = same_version(contact);
        if next.details.email == contact.details.email && new_company.is_none() {
            return Ok(self.0.client.put_if(to_item(next)?, same_version).await?.is_ok());
        }
        let mut transaction = self.transaction();
        transaction.put_if(Part::Contact, to_item(next)?, same_version);
        if next.details.email != contact.details.email {
            transaction.put_new(Part::Lock, self.lock(&next.details.email, next.id)?);
            transaction.delete_if(
                Part::OldLock,
                &keys::email_lock(self.0.org, &contact.details.email),
                lock_of(contact.id),
            );
        }
        if let Some(name) = *new_company {
            self.0.create_company(&mut transaction, Part::Company, name)?;
        }
        let refused = self.0.client.commit(transaction).await?;
        let is = |part| refused.contains(&part);
        if refused.is_empty() || is(Part::Company) {
            self.remember(new_company.take());
        }
        // Only against a contact that is still as it was read does a taken address mean what it says.
        if is(Part::Lock) && !is(Part::Contact) {
            return Err(Error::EmailTaken(next.details.email.clone()));
        }
        Ok(refused.is_empty())
    }

    /// Makes a transaction store a new contact, its lock and its memberships.
    pub(super) fn put_new<P: Copy>(
        &self,
        transaction: &mut Transaction<P>,
        contact: &Contact,
        [of_contact, of_lock, of_membership]: [P; 3],
    ) -> Result<()> {
        transaction.put_new(of_contact, to_item(contact)?);
        transaction.put_new(of_lock, self.lock(&contact.details.email, contact.id)?);
        for import_id in &contact.import_ids {
            transaction.put(of_membership, self.membership(*import_id, contact.id)?);
        }
        Ok(())
    }

    async fn ensure_imports(&self, contact: &Contact) -> Result<()> {
        for import_id in &contact.import_ids {
            self.0.ensure_import(*import_id).await?;
        }
        Ok(())
    }

    /// The company, if there is none of its name yet.
    async fn if_new<'a>(&self, company: Option<&'a CompanyName>) -> Result<Option<&'a CompanyName>> {
        let Some(name) = company else { return Ok(None) };
        let exists = self.0.has_company(&name.key()).await?;
        Ok(Some(name).filter(|_| !exists))
    }

    fn remember(&self, company: Option<&CompanyName>) {
        if let Some(name) = company {
            self.0.remember_company(&name.key());
        }
    }

    async fn leads(&self, id: ContactId) -> Result<Vec<Key>> {
        let range = keys::leads(self.0.org, id);
        let mut pages = pin!(self.0.client.pages(&range, Reading::default()));
        let mut leads = Vec::new();
        while let Some(page) = pages.try_next().await? {
            leads.extend(page.items.iter().filter_map(key_in));
        }
        Ok(leads)
    }

    fn transaction(&self) -> Transaction<Part> {
        Transaction::new(self.0.client.table_name())
    }

    /// A contact's membership of an import.
    pub(super) fn membership(&self, import_id: ImportId, contact_id: ContactId) -> Result<Item> {
        item(&keys::membership(self.0.org, import_id, contact_id), Type::Membership, &Holder { contact_id })
    }

    fn lock(&self, email: &Email, contact_id: ContactId) -> Result<Item> {
        item(&keys::email_lock(self.0.org, email), Type::EmailLock, &Holder { contact_id })
    }
}

/// The contact still has the address and the imports that its lock and its memberships were found by.
fn as_read(contact: &Contact, required: Option<&RequiredVersion>) -> Expression {
    let mut condition = Expression::equals(EMAIL, text(contact.details.email.as_str()));
    let imports: Vec<_> = contact.import_ids.iter().map(ToString::to_string).collect();
    condition.require_same(IMPORT_IDS, Some(AttributeValue::Ss(imports)).filter(|_| !contact.import_ids.is_empty()));
    if required.is_some() {
        condition.require(VERSION, number(contact.version));
    }
    condition
}

/// The contact has been written by nobody since it was read.
pub(super) fn same_version(contact: &Contact) -> Expression {
    Expression::equals(VERSION, number(contact.version))
}

fn lock_of(contact_id: ContactId) -> Expression {
    Expression::equals(CONTACT_ID, text(contact_id.to_string()))
}

/// A contact's item.
pub(super) fn to_item(contact: &Contact) -> Result<Item> {
    let record = ContactItem {
        details: contact.details.clone(),
        created_at: contact.created_at,
        updated_at: contact.updated_at,
        version: contact.version,
        growing_bytes: contact.growing_len(),
        enrichment_order: contact.enrichment.key_order.clone(),
        import_ids: contact.import_ids.clone(),
        write_id: contact.write_id,
    };
    let mut item = item(&keys::contact(contact.org_id, contact.id), Type::Contact, &record)?;
    item.insert(ENRICHMENT.to_owned(), map(&contact.enrichment.object));
    Ok(item)
}

/// A stored contact.
pub(super) fn from_item(mut item: Item) -> Result<Contact> {
    let unreadable = || Error::Unreadable(sort_key(&item));
    let (org_id, id) = key_in(&item).and_then(|key| keys::contact_of(&key)).ok_or_else(unreadable)?;
    let enrichment = item.get(ENRICHMENT).and_then(object_of).ok_or_else(unreadable)?;
    item.remove(ENRICHMENT);
    let record: ContactItem = record(item, Type::Contact)?;
    Ok(Contact {
        id,
        org_id,
        details: record.details,
        enrichment: Enrichment { object: enrichment, key_order: record.enrichment_order },
        created_at: record.created_at,
        updated_at: record.updated_at,
        version: record.version,
        import_ids: record.import_ids,
        write_id: record.write_id,
    })
}

/// The contact that an address is locked for.
pub(super) fn locked_for(item: &Item) -> Result<ContactId> {
    match item.get(CONTACT_ID) {
        Some(AttributeValue::S(id)) => crate::domain::Id::parse(id).map_err(|_| Error::Unreadable(sort_key(item))),
        _ => Err(Error::Unreadable(sort_key(item))),
    }
}
