//! Erasure of a person: the deletion of the contact with this email, as an operator's command does it. No function enables
//! this.
//!
//! Unlike a list, it leaves nothing out: a contact that cannot be read is an error, because a person who is not found counts as
//! erased.

use std::collections::BTreeSet;

use super::Contacts;
use super::item::lock_holder;
use crate::domain::{AuditAction, Contact, ContactId, Email, ImportId, Kind};
use crate::dynamodb::DeletedParent;
use crate::dynamodb::StoredItem;
use crate::dynamodb::keys;
use crate::repositories::stored::Stored;
use crate::repositories::{Error, Result};

/// The number of a contact's children, by their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildCounts {
    /// Memberships of imports.
    pub memberships: usize,
    /// Leads.
    pub leads: u64,
    /// Activities.
    pub activities: u64,
}

impl ChildCounts {
    /// `true` if there is no child.
    pub fn is_zero(self) -> bool {
        self == Self { memberships: 0, leads: 0, activities: 0 }
    }
}

impl Contacts {
    /// The contact that holds this email; `None` if no contact does.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the contact that holds the lock of the email does not exist, or the database's.
    pub async fn find_holder(&self, email: &Email) -> Result<Option<Contact>> {
        let Some(lock) = self.table.client.get(&keys::email_lock(self.table.org, email)).await? else {
            return Ok(None);
        };
        let holder = self.find_stored(lock_holder(&StoredItem::from(&lock))?).await?;
        Ok(Some(holder.ok_or(Error::NotFound(Kind::Contact))?))
    }

    /// The contact with this id, without its timeline; `None` if it does not exist.
    ///
    /// # Errors
    /// The database's.
    pub async fn find_stored(&self, id: ContactId) -> Result<Option<Contact>> {
        match self.table.client.get(&keys::contact(self.table.org, id)).await? {
            Some(item) => Ok(Some(Contact::from_item(&StoredItem::from(&item))?)),
            None => Ok(None),
        }
    }

    /// Counts the children of a contact of these imports, which may be deleted already.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_children(&self, id: ContactId, import_ids: &BTreeSet<ImportId>) -> Result<ChildCounts> {
        let (client, org) = (&self.table.client, self.table.org);
        let memberships: Vec<_> = import_ids.iter().map(|import| keys::membership(org, *import, id)).collect();
        let (leads, activities) = (keys::leads(org, id), keys::activities(org, id));
        let (memberships, leads, activities) =
            tokio::try_join!(client.existing_keys(&memberships), client.count(&leads), client.count(&activities))?;
        Ok(ChildCounts { memberships: memberships.len(), leads, activities })
    }

    /// Deletes a contact because the person asked for it, and records that in the same transaction. The children that the
    /// transaction does not take are hidden at once: [`App::delete_children`](crate::App::delete_children) deletes them.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn erase(&self, id: ContactId) -> Result<DeletedParent> {
        self.delete_parent(id, None, AuditAction::PersonErased).await
    }
}
