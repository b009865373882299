//! Items that exist only as long as others do.

use std::collections::HashMap;

use serde::Deserialize;
use strum::VariantArray;

use crate::domain::{Email, OrgId};
use crate::dynamodb::StoredItem;
use crate::dynamodb::item::{Item, ItemType, decode, key_of, unreadable};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::{self, Parent};
use crate::repositories::contacts::lock_holder;

/// A type of item that may be orphaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
pub enum OrphanKind {
    /// The lock of an email, which needs the contact that it names, with that email.
    EmailLock,
    /// A membership, which needs its contact and its import.
    Membership,
    /// A lead, which needs its contact and its campaign.
    Lead,
    /// An activity, which needs its contact.
    Activity,
}

impl OrphanKind {
    /// Every kind, in the order of reports.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name of the type as it is stored: `email_lock`.
    pub fn name(self) -> &'static str {
        self.item_type().as_str()
    }

    /// Whether the worker deletes such items after their parent. A lock is deleted in the transaction of its contact.
    pub(super) fn is_child(self) -> bool {
        self != Self::EmailLock
    }

    fn item_type(self) -> ItemType {
        match self {
            Self::EmailLock => ItemType::EmailLock,
            Self::Membership => ItemType::Membership,
            Self::Lead => ItemType::Lead,
            Self::Activity => ItemType::Activity,
        }
    }

    /// The kind of items of this type; `None` for items that need no other ones, or that the cascade does not delete.
    fn of(item_type: ItemType) -> Option<Self> {
        match item_type {
            ItemType::EmailLock => Some(Self::EmailLock),
            ItemType::Membership => Some(Self::Membership),
            ItemType::Lead => Some(Self::Lead),
            ItemType::Activity => Some(Self::Activity),
            ItemType::Contact
            | ItemType::Company
            | ItemType::Import
            | ItemType::Tombstone
            | ItemType::ApiKey
            | ItemType::Idempotency
            | ItemType::IdempotencyLock
            | ItemType::Campaign
            | ItemType::LeadMagnet
            | ItemType::ActiveCampaigns
            | ItemType::RateLimit
            | ItemType::ApiKeyUse
            | ItemType::Organization
            | ItemType::AuditEntry => None,
        }
    }
}

/// An item with the parents that it needs.
pub(super) struct Dependent {
    pub(super) kind: OrphanKind,
    pub(super) org: OrgId,
    pub(super) key: Key,
    /// At least one. The parent of an email lock is the contact that it names.
    pub(super) parents: Vec<Parent>,
}

impl Dependent {
    /// Reads an item; `None` for an item that needs no other one.
    ///
    /// # Errors [`Unreadable`](dynamodb::Error::Unreadable) for an item of an unknown type, or whose key or holder
    /// cannot be read.
    pub(super) fn read(item: &Item) -> dynamodb::Result<Option<Self>> {
        match OrphanKind::of(ItemType::of(item)?) {
            Some(kind) => Self::parse(kind, item).map(Some).ok_or_else(|| unreadable(item, kind.item_type())),
            None => Ok(None),
        }
    }

    fn parse(kind: OrphanKind, item: &Item) -> Option<Self> {
        let key = key_of(item)?;
        let (org, parents, canonical) = match kind {
            OrphanKind::EmailLock => {
                let (org, hash) = keys::parse_email_lock(&key)?;
                (
                    org,
                    vec![Parent::Contact(lock_holder(&StoredItem::from(item)).ok()?)],
                    keys::email_lock_of_hash(org, hash),
                )
            }
            OrphanKind::Membership => {
                let (org, parent) = Parent::of_partition(&key.pk)?;
                let Parent::Import(import) = parent else { return None };
                let contact = keys::parse_membership_sort_key(&key.sk)?;
                (org, vec![Parent::Contact(contact), parent], keys::membership(org, import, contact))
            }
            OrphanKind::Lead => {
                let (org, parent) = Parent::of_partition(&key.pk)?;
                let lead_key = keys::parse_lead(&key)?;
                (org, vec![parent, Parent::Campaign(lead_key.campaign_id)], keys::lead(org, lead_key))
            }
            OrphanKind::Activity => {
                let (org, parent) = Parent::of_partition(&key.pk)?;
                let Parent::Contact(contact) = parent else { return None };
                let (event_time, id) = keys::parse_activity_sort_key(&key.sk)?;
                (org, vec![parent], keys::activity(org, contact, event_time, &id))
            }
        };
        // An id in upper case, say, is read as the id of an item under another key.
        if key == canonical { Some(Self { kind, org, key, parents }) } else { None }
    }

    /// The keys of the parents.
    pub(super) fn parent_keys(&self) -> impl Iterator<Item = Key> {
        self.parents.iter().map(|parent| parent.key(self.org))
    }

    /// The parents that this item needs and does not have, given the stored ones.
    ///
    /// # Errors
    /// [`Unreadable`](dynamodb::Error::Unreadable) for a contact whose email decides and cannot be read.
    pub(super) fn missing_parents(&self, stored: &HashMap<Key, Item>) -> dynamodb::Result<Vec<Parent>> {
        let mut missing = Vec::new();
        for parent in &self.parents {
            let has_parent = match (stored.get(&parent.key(self.org)), self.kind) {
                (None, _) => false,
                (Some(contact), OrphanKind::EmailLock) => lock_key_of(self.org, contact)? == self.key,
                (Some(_), OrphanKind::Membership | OrphanKind::Lead | OrphanKind::Activity) => true,
            };
            if !has_parent {
                missing.push(*parent);
            }
        }
        Ok(missing)
    }
}

/// The attributes of a contact that are read.
#[derive(Deserialize)]
struct Holder {
    email: Email,
}

/// The email of a contact.
pub(super) fn email_of(contact: &Item) -> dynamodb::Result<Email> {
    let Holder { email } = decode(contact, ItemType::Contact)?;
    Ok(email)
}

/// The key of the lock that a contact holds.
fn lock_key_of(org: OrgId, contact: &Item) -> dynamodb::Result<Key> {
    Ok(keys::email_lock(org, &email_of(contact)?))
}
