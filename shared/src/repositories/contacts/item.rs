//! The items of a contact: its own, the lock of its email, and its memberships of imports.

use std::borrow::Cow;
use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Contacts;
use crate::domain::contact::MAX_WRITE_IDS;
use crate::domain::{Contact, ContactDetails, ContactId, Enrichment, Id, ImportId, time};
use crate::dynamodb::expression::Condition;
use crate::dynamodb::item::{ItemJson, ItemType, encode, number, string_set, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::stored_item::{Attribute, StoredItem};
use crate::repositories::Result;
use crate::repositories::stored::Stored;

pub(in crate::repositories) const EMAIL: &str = "email";
pub(super) const ENRICHMENT: &str = "enrichment";
/// The keys that the enrichment was created with, in their order.
pub(super) const ENRICHMENT_ORDER: &str = "enrichment_order";
/// An upper bound of [`Contact::growing_len`], by which an update without a read stays within the limit.
pub(super) const GROWING_BYTES: &str = "growing_bytes";
pub(super) const IMPORT_IDS: &str = "import_ids";
pub(super) const VERSION: &str = "version";
/// The attributes of [`Contact::write_ids`], newest first. One attribute each, so that an update without a read can shift them.
pub(super) const WRITE_IDS: [&str; MAX_WRITE_IDS] = ["write_id", "write_id_2", "write_id_3", "write_id_4"];
pub(in crate::repositories) const CONTACT_ID: &str = "contact_id";

/// The attributes of a contact's item except its keys, its details, its enrichment and its write ids.
#[derive(Serialize, Deserialize)]
struct ContactItem<'a> {
    #[serde(with = "time::millis")]
    created_at: DateTime<Utc>,
    #[serde(with = "time::millis")]
    updated_at: DateTime<Utc>,
    version: u64,
    #[serde(default)]
    growing_bytes: usize,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    enrichment_order: Cow<'a, [String]>,
    #[serde(default, with = "string_set", skip_serializing_if = "BTreeSet::is_empty")]
    import_ids: Cow<'a, BTreeSet<ImportId>>,
}

/// The attributes of an email's lock except its keys.
#[derive(Serialize)]
struct LockItem {
    contact_id: ContactId,
}

/// The attributes of a membership except its keys, which say everything.
#[derive(Serialize)]
struct NoAttributes {}

/// The item of a contact.
pub(in crate::repositories) fn to_item(contact: &Contact) -> Result<ItemJson> {
    let record = ContactItem {
        created_at: contact.created_at,
        updated_at: contact.updated_at,
        version: contact.version,
        growing_bytes: contact.growing_len(),
        enrichment_order: contact.enrichment.key_order.as_slice().into(),
        import_ids: Cow::Borrowed(&contact.import_ids),
    };
    let key = keys::contact(contact.org_id, contact.id);
    let mut item = encode(&key, ItemType::Contact, &contact.details)?;
    item.extend(ItemType::Contact, &record)?;
    item.insert_index_attributes(keys::migrated_in_index(contact.org_id, &key, contact.created_at));
    item.insert(ENRICHMENT, &(&contact.enrichment.object).into());
    for (attribute, write_id) in WRITE_IDS.iter().zip(&contact.write_ids) {
        item.insert_text(attribute, &write_id.to_string());
    }
    Ok(item)
}

impl Stored for Contact {
    fn from_item(item: &StoredItem<'_>) -> Result<Self> {
        let unreadable = || item.unreadable(ItemType::Contact);
        let (org_id, id) = item.key().and_then(|key| keys::parse_contact(&key)).ok_or_else(unreadable)?;
        let object = item.get(ENRICHMENT).and_then(Attribute::to_object).ok_or_else(unreadable)?;
        let write_ids = WRITE_IDS.iter().filter_map(|attribute| item.string(attribute)?.parse().ok()).collect();
        // Two records, because serde would copy each attribute to find those of an embedded one.
        let details: ContactDetails = item.decode(ItemType::Contact)?;
        let record: ContactItem = item.decode(ItemType::Contact)?;
        Ok(Self {
            id,
            org_id,
            details,
            enrichment: Enrichment { object, key_order: record.enrichment_order.into_owned() },
            created_at: record.created_at,
            updated_at: record.updated_at,
            version: record.version,
            import_ids: record.import_ids.into_owned(),
            write_ids,
        })
    }
}

/// The contact that holds the lock of an email.
pub(in crate::repositories) fn lock_holder(lock: &StoredItem<'_>) -> Result<ContactId> {
    let holder = lock.string(CONTACT_ID).and_then(|id| ContactId::parse(id).ok());
    Ok(holder.ok_or_else(|| lock.unreadable(ItemType::EmailLock))?)
}

/// The contact holds the lock.
pub(in crate::repositories) fn is_lock_of(contact_id: ContactId) -> Condition {
    Condition::equals(CONTACT_ID, text(contact_id.to_string()))
}

/// The contact has not been changed since it was read.
pub(super) fn same_version(contact: &Contact) -> Condition {
    Condition::equals(VERSION, number(contact.version))
}

/// The item that locks an email for a contact.
pub(in crate::repositories) fn lock_item(key: &Key, contact_id: ContactId) -> Result<ItemJson> {
    Ok(encode(key, ItemType::EmailLock, &LockItem { contact_id })?)
}

impl Contacts {
    /// The item that makes a contact a member of an import.
    pub(in crate::repositories) fn membership_item(
        &self,
        import_id: ImportId,
        contact_id: ContactId,
    ) -> Result<ItemJson> {
        let key = keys::membership(self.table.org, import_id, contact_id);
        Ok(encode(&key, ItemType::Membership, &NoAttributes {})?)
    }
}
