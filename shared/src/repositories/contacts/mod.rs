//! Contacts, one file per operation.

mod bulk;
mod create;
mod delete;
#[cfg(feature = "operator")]
mod erase;
mod item;
mod read;
mod update;

pub use bulk::{Plan, Row, RowOutcome};
#[cfg(feature = "operator")]
pub use erase::ChildCounts;
#[cfg(feature = "operator")]
pub(super) use item::{CONTACT_ID, EMAIL, is_lock_of, lock_holder, lock_item, to_item};

use super::{OrgTable, Result};
use crate::domain::CompanyName;

/// The contacts of one organization.
#[derive(Debug)]
pub struct Contacts {
    pub(crate) table: OrgTable,
}

/// The label of an item in a contact's transaction, by which a refusal names the item whose condition failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionItem {
    Contact,
    /// The lock of the contact's new email.
    EmailLock,
    /// The lock of the email that the contact had before.
    OldEmailLock,
    Company,
    IdempotencyRecord,
    /// An item that is written without a condition, so that no refusal names it.
    Unconditional,
}

impl Contacts {
    /// The company, unless one of its name exists.
    async fn missing_company<'a>(&self, company: Option<&'a CompanyName>) -> Result<Option<&'a CompanyName>> {
        match company {
            Some(name) if !self.table.has_company(&name.key()).await? => Ok(Some(name)),
            _ => Ok(None),
        }
    }

    /// Caches that a company exists which was missing before.
    fn cache_company(&self, company: Option<&CompanyName>) {
        if let Some(name) = company {
            self.table.cache_company(&name.key());
        }
    }
}
