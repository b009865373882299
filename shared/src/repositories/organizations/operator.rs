//! What operators do with organizations. No function enables this.

mod partitions;

pub use partitions::Repartition;

use super::{OrganizationItem, find, from_item};
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{ApiKey, AuditAction, Id, Line, OrgId, Organization, Placement, time};
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{ItemJson, ItemType, boolean, encode, text};
use crate::dynamodb::schema::GSI1;
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::transaction::Transaction;
use crate::dynamodb::{Conditional, keys};
use crate::repositories::{OrgTable, Result, api_keys, listing};

const SUSPENDED_AT: &str = "suspended_at";
const HAS_MIGRATED_ITEMS: &str = "has_migrated_items";

/// An organization, for its operator.
#[derive(Debug)]
pub struct Organizations {
    pub(crate) table: OrgTable,
}

/// The label of an item in an organization's transaction, by which a refusal names the item whose condition failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionItem {
    Organization,
    ApiKey,
    AuditEntry,
}

impl Organizations {
    /// Stores the profile of the organization; `None` if it has one already.
    ///
    /// # Errors
    /// The database's.
    pub async fn create(&self, name: Line<200>) -> Result<Option<Organization>> {
        self.commit_new(self.draft(name), self.table.client.transaction()).await
    }

    /// Stores the profile of the organization together with a key; `None`, and no key, if it has a profile already.
    ///
    /// # Errors
    /// The database's.
    pub async fn create_with_key(
        &self,
        name: Line<200>,
        hash: &ApiKeyHash,
        key: &ApiKey,
    ) -> Result<Option<Organization>> {
        let mut transaction = self.table.client.transaction();
        transaction.put_new(TransactionItem::ApiKey, &api_keys::to_item(hash, key)?);
        transaction.put(TransactionItem::AuditEntry, &self.table.audit_entry(AuditAction::ApiKeyCreated, key.id)?);
        self.commit_new(self.draft(name), transaction).await
    }

    /// Stores a profile that the organization had elsewhere; `None` if it has one already.
    ///
    /// # Errors
    /// The database's.
    pub async fn store(&self, organization: &Organization) -> Result<Option<Organization>> {
        self.commit_new(organization.clone(), self.table.client.transaction()).await
    }

    /// The profile of the organization, which is new.
    fn draft(&self, name: Line<200>) -> Organization {
        let OrgTable { org, now, .. } = self.table;
        Organization { id: org, name, created_at: now, suspended_at: None, placement: Placement::default() }
    }

    /// Stores a profile in a transaction.
    async fn commit_new(
        &self,
        organization: Organization,
        mut transaction: Transaction<TransactionItem>,
    ) -> Result<Option<Organization>> {
        transaction.put_new(TransactionItem::Organization, &to_item(&organization)?);
        let entry = self.table.audit_entry(AuditAction::OrganizationCreated, organization.id)?;
        transaction.put(TransactionItem::AuditEntry, &entry);
        match self.table.client.commit(transaction).await? {
            Conditional::Applied(()) => Ok(Some(organization)),
            Conditional::Refused(_) => Ok(None),
        }
    }

    /// The organization; `None` if it has no profile.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self) -> Result<Option<Organization>> {
        find(&self.table.client, self.table.org).await
    }

    /// Suspends the organization, so that every request of its credentials is refused within a minute. A suspended one keeps
    /// the time of its suspension. Returns the organization as it is afterwards; `None` if it has no profile.
    ///
    /// # Errors
    /// The database's.
    pub async fn suspend(&self) -> Result<Option<Organization>> {
        let mut update = Update::new();
        update.touch(SUSPENDED_AT, text(time::to_millis(self.table.now)));
        let condition = Condition::exists().and_absent(SUSPENDED_AT);
        self.change(update, condition, AuditAction::OrganizationSuspended).await
    }

    /// Lifts the suspension of the organization. Returns it as it is afterwards; `None` if it has no profile.
    ///
    /// # Errors
    /// The database's.
    pub async fn resume(&self) -> Result<Option<Organization>> {
        let mut update = Update::new();
        update.remove(&[SUSPENDED_AT]);
        let condition = Condition::exists().and_differs(&update);
        self.change(update, condition, AuditAction::OrganizationResumed).await
    }

    /// Lets lists look for migrated items, within a minute. Returns the organization as it is afterwards; `None` if it has no
    /// profile.
    ///
    /// # Errors
    /// The database's.
    pub async fn expect_migrated_items(&self) -> Result<Option<Organization>> {
        let mut update = Update::new();
        update.touch(HAS_MIGRATED_ITEMS, boolean(true));
        let profile = keys::profile(self.table.org);
        match self.table.client.update_if(&profile, update, Condition::exists()).await? {
            Conditional::Applied(item) => Ok(Some(from_item(&item)?)),
            Conditional::Refused(_) => Ok(None),
        }
    }

    /// Records in the audit log that the data of the organization is exported.
    ///
    /// # Errors
    /// The database's.
    pub async fn record_export(&self) -> Result<()> {
        let mut transaction = self.table.client.transaction();
        let entry = self.table.audit_entry(AuditAction::OrganizationExported, self.table.org)?;
        transaction.put(TransactionItem::AuditEntry, &entry);
        // A put without a condition cannot be refused.
        match self.table.client.commit(transaction).await? {
            Conditional::Applied(()) | Conditional::Refused(_) => Ok(()),
        }
    }

    /// Changes the profile unless it is as wanted.
    async fn change(&self, update: Update, condition: Condition, action: AuditAction) -> Result<Option<Organization>> {
        let org = self.table.org;
        let mut transaction = self.table.client.transaction();
        transaction.update_if(TransactionItem::Organization, &keys::profile(org), update, condition);
        transaction.put(TransactionItem::AuditEntry, &self.table.audit_entry(action, org)?);
        match self.table.client.commit(transaction).await? {
            Conditional::Applied(()) | Conditional::Refused(_) => self.get().await,
        }
    }

    /// Every organization that has a profile, in the order of ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_all(&self) -> Result<Vec<Organization>> {
        let client = &self.table.client;
        let (mut organizations, mut start) = (Vec::new(), None::<String>);
        loop {
            let page = client.query_index(&GSI1, &keys::profiles(), start.as_deref(), QueryOptions::default()).await?;
            let item_keys: Vec<_> = page.entries.iter().map(|entry| entry.key.clone()).collect();
            let mut found = Vec::with_capacity(item_keys.len());
            for item in client.batch_get(&item_keys).await? {
                found.extend(listing::skip_unreadable(from_item(&item))?);
            }
            let ids = page.entries.iter().filter_map(|entry| OrgId::parse(&entry.index_sk).ok());
            let in_order = listing::in_order(ids, found, |organization: &Organization| organization.id);
            organizations.extend(in_order.filter_map(|(_, organization)| organization));
            start = page.last_evaluated_sk;
            if start.is_none() {
                return Ok(organizations);
            }
        }
    }
}

fn to_item(organization: &Organization) -> Result<ItemJson> {
    let Organization { id, name, created_at, suspended_at, placement } = organization.clone();
    let Placement { has_migrated_items, contact_partitions } = placement;
    let contact_partitions = contact_partitions.changes().to_vec();
    let record = OrganizationItem { name, created_at, suspended_at, has_migrated_items, contact_partitions };
    let mut item = encode(&keys::profile(id), ItemType::Organization, &record)?;
    item.insert_index_attributes(keys::profile_in_index(id));
    Ok(item)
}
