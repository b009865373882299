//! The parents of the table and where their children are stored.

use std::collections::BTreeSet;

use super::keys::{self, CAMPAIGN, CONTACT, IMPORT, Key, MIGRATED, ORG, Range, TOMBSTONE};
use super::schema::{GSI1, Index};
use crate::domain::{CampaignId, ContactId, Id, ImportId, OrgId};

/// An item with children, which are deleted after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parent {
    /// The parent of memberships, activities and leads.
    Contact(ContactId),
    /// The parent of memberships.
    Import(ImportId),
    /// The parent of leads.
    Campaign(CampaignId),
}

/// A deleted parent, with everything that is needed to find its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedParent {
    /// The organization.
    pub org: OrgId,
    /// The parent.
    pub parent: Parent,
    /// The imports that a contact was a member of, in whose partitions its memberships are; blank for other parents.
    pub import_ids: BTreeSet<ImportId>,
}

/// Where children of a parent are found.
#[derive(Debug, Clone)]
pub(crate) enum Children {
    /// Under these keys of the table, as far as they exist.
    Named(Vec<Key>),
    /// In a range of the table.
    Stored(Range),
    /// In a range of an index, which is eventually consistent.
    Indexed(Index, Range),
}

impl Parent {
    /// The key of its own item.
    pub fn key(self, org: OrgId) -> Key {
        match self {
            Self::Contact(id) => keys::contact(org, id),
            Self::Import(id) => keys::import(org, id),
            Self::Campaign(id) => keys::campaign(org, id),
        }
    }

    /// The key of the tombstone that is written when it is deleted.
    pub fn tombstone(self, org: OrgId) -> Key {
        let partition = match self {
            Self::Contact(id) => keys::contact_children(org, id),
            Self::Import(id) => keys::import_children(org, id),
            Self::Campaign(id) => format!("{}#{CAMPAIGN}{id}", keys::organization(org)),
        };
        Key::new(partition, TOMBSTONE)
    }

    /// The parent whose own item or tombstone has this key; `None` for any other key.
    pub fn at(pk: &str, sk: &str) -> Option<(OrgId, Self)> {
        if sk == TOMBSTONE {
            return Self::of_partition(pk);
        }
        let (org, parent) = (keys::owner_of_partition(pk)?, Self::parse(sk.strip_prefix(MIGRATED).unwrap_or(sk))?);
        if parent.key(org).pk == pk { Some((org, parent)) } else { None }
    }

    /// The parent that this partition of children or of a tombstone belongs to; `None` for any other partition.
    pub fn of_partition(pk: &str) -> Option<(OrgId, Self)> {
        let (org, parent) = pk.strip_prefix(ORG)?.split_once('#')?;
        Some((OrgId::parse(org).ok()?, Self::parse(parent)?))
    }

    fn parse(name: &str) -> Option<Self> {
        let parent = if let Some(id) = name.strip_prefix(CONTACT) {
            Self::Contact(ContactId::parse(id).ok()?)
        } else if let Some(id) = name.strip_prefix(IMPORT) {
            Self::Import(ImportId::parse(id).ok()?)
        } else {
            Self::Campaign(CampaignId::parse(name.strip_prefix(CAMPAIGN)?).ok()?)
        };
        Some(parent)
    }
}

impl DeletedParent {
    /// Where its children are found, the tombstone left out. Memberships come first: as long as a contact has one, linking
    /// may create another lead for it.
    pub(crate) fn children(&self) -> Vec<Children> {
        let org = self.org;
        match self.parent {
            Parent::Contact(id) => {
                let memberships = self.import_ids.iter().map(|import| keys::membership(org, *import, id));
                vec![
                    Children::Named(memberships.collect()),
                    Children::Stored(keys::leads(org, id)),
                    Children::Stored(keys::activities(org, id)),
                ]
            }
            Parent::Import(id) => vec![Children::Stored(keys::memberships(org, id))],
            Parent::Campaign(id) => vec![Children::Indexed(GSI1, keys::leads_by_campaign(org, Some(id)))],
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{ActivityId, Email};

    fn org() -> OrgId {
        OrgId::from(Uuid::from_u128(1))
    }

    #[test]
    fn a_parent_is_recognized_by_its_own_key_and_by_its_tombstone() {
        let in_partition = Uuid::from_u128(0x0192_61b3_6600_8c0a_8500_0000_0000_0005);
        for id in [Uuid::now_v7(), Uuid::new_v4(), in_partition] {
            for parent in [Parent::Contact(id.into()), Parent::Import(id.into()), Parent::Campaign(id.into())] {
                for key in [parent.key(org()), parent.tombstone(org())] {
                    assert_eq!(Parent::at(&key.pk, &key.sk), Some((org(), parent)), "{key:?}");
                }
            }
        }
    }

    #[test]
    fn a_parent_is_recognized_by_the_partition_of_its_children() {
        let contact = ContactId::from(Uuid::from_u128(7));
        let import = ImportId::from(Uuid::from_u128(8));
        let of_contact = keys::leads(org(), contact).pk;
        assert_eq!(Parent::of_partition(&of_contact), Some((org(), Parent::Contact(contact))));
        let of_import = keys::memberships(org(), import).pk;
        assert_eq!(Parent::of_partition(&of_import), Some((org(), Parent::Import(import))));
        let lock = keys::email_lock(org(), &Email::parse("jane@example.com").unwrap());
        for pk in [&*lock.pk, &keys::contact(org(), contact).pk, "ORG#x#CONTACT#y", "KEY#1", ""] {
            assert_eq!(Parent::of_partition(pk), None, "{pk}");
        }
    }

    #[test]
    fn no_other_key_is_a_parents() {
        let contact = ContactId::from(Uuid::from_u128(7));
        let activity = ActivityId::parse("a").unwrap();
        let child = keys::activity(org(), contact, DateTime::UNIX_EPOCH, &activity);
        let lock = keys::email_lock(org(), &Email::parse("jane@example.com").unwrap());
        for (pk, sk) in [
            (&*child.pk, &*child.sk),
            (&lock.pk, &lock.sk),
            ("ORG#", "TOMBSTONE"),
            ("", ""),
            ("KEY#1", "KEY"),
            ("ORG#x", "CONTACT#y"),
            (&format!("ORG#{}#5", org()), "CONTACT#01926aa3-7a00-7000-8000-000000000005"),
            (&format!("ORG#{}", org()), "CONTACT#019261b3-6600-8c0a-8500-000000000005"),
        ] {
            assert_eq!(Parent::at(pk, sk), None, "{pk} {sk}");
        }
    }

    #[test]
    fn a_tombstone_belongs_to_the_organization_and_is_not_among_the_children() {
        let contact = ContactId::from(Uuid::max());
        for parent in
            [Parent::Contact(contact), Parent::Import(Uuid::max().into()), Parent::Campaign(Uuid::max().into())]
        {
            let tombstone = parent.tombstone(org());
            assert!(tombstone.pk.starts_with(&format!("ORG#{}#", org())), "{tombstone:?}");
            let deleted = DeletedParent { org: org(), parent, import_ids: BTreeSet::new() };
            for children in deleted.children() {
                if let Children::Stored(range) = children {
                    assert!(range.pk == tombstone.pk && tombstone.sk > range.last, "{range:?}");
                }
            }
        }
    }
}
