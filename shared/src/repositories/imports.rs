//! Imports: the cohorts that contacts are loaded with.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::creation_list::{self, CreationFilter, CreationRanges, ListedByCreation};
use super::idempotency::IdempotencyRecord;
use super::listing::{Listed, Page, PageRow};
use super::{Error, OrgTable, Result, cascade};
use crate::domain::{
    AuditAction, CampaignId, Import, ImportDetails, ImportFilter, ImportId, ImportPatch, JsonObject, Kind, NewImport,
    OrgId, Patch, time,
};
use crate::dynamodb::StoredItem;
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{Item, ItemJson, ItemType, changed_attributes, encode, map};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::{Conditional, CreationPosition, Cursor, DeletedParent, Parent};
use crate::repositories::stored::Stored;

const MAPPING: &str = "mapping";

/// How long the existence of an import is cached. Within this time a contact may join an import that was deleted; the
/// worker deletes such a membership when the tombstone expires.
const CACHE_LIFETIME: TimeDelta = TimeDelta::seconds(60);

/// The imports of one organization.
#[derive(Debug)]
pub struct Imports {
    pub(crate) table: OrgTable,
}

/// The attributes of an import's item except its keys and its mapping.
#[derive(Serialize, Deserialize)]
struct ImportItem {
    #[serde(flatten)]
    details: ImportDetails,
    #[serde(with = "time::millis")]
    created_at: DateTime<Utc>,
    #[serde(with = "time::millis")]
    updated_at: DateTime<Utc>,
}

/// The label of an item in an import's transaction, by which a refusal names the item whose condition failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionItem {
    Import,
    IdempotencyRecord,
    Tombstone,
    AuditEntry,
}

impl Imports {
    /// A new import that is not stored yet.
    pub fn draft(&self, new: NewImport) -> Import {
        Import::new(self.table.new_id(), self.table.org, new, self.table.now)
    }

    /// Stores a new import in one transaction with the idempotency record.
    ///
    /// # Errors
    /// [`Error::AlreadyCompleted`], or the database's.
    pub async fn create(&self, import: &Import, idempotency_record: Option<&IdempotencyRecord>) -> Result<()> {
        let mut transaction = self.table.client.transaction();
        transaction.put_new(TransactionItem::Import, &to_item(import)?);
        self.table.commit_new(transaction, TransactionItem::IdempotencyRecord, idempotency_record).await?;
        self.table.cache.imports.insert((self.table.org, import.id), (), self.table.now, CACHE_LIFETIME);
        Ok(())
    }

    /// One import and the number of its contacts.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn get(&self, id: ImportId) -> Result<(Import, u64)> {
        let key = keys::import(self.table.org, id);
        let members = keys::memberships(self.table.org, id);
        // A missing import ends the request without waiting for the count of the memberships that it may still have.
        let import = async { expect_found(self.table.client.get(&key).await?) };
        let count = async { Ok(self.table.client.count(&members).await?) };
        tokio::try_join!(import, count)
    }

    /// A page of the organization's imports, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list<R: PageRow<Import>>(
        &self,
        filter: &ImportFilter,
        limit: Option<usize>,
        cursor: Option<Cursor<CreationPosition>>,
    ) -> Result<Page<R, CreationPosition>> {
        let shows = |import: &Import| filter.matches(import);
        let org = self.table.org;
        let ranges = CreationRanges::new(keys::imports(org), keys::migrated_imports(org));
        let filter = CreationFilter { ranges, is_sparse: !filter.is_empty(), shows };
        creation_list::page(&self.table, limit, cursor, filter).await
    }

    /// Changes an import and returns it as it is afterwards. A patch that changes nothing writes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn update(&self, id: ImportId, patch: &ImportPatch) -> Result<Import> {
        let key = keys::import(self.table.org, id);
        let (update, condition) = changes(patch)?;
        if !update.has_changes() {
            return expect_found(self.table.client.get(&key).await?);
        }
        match self.table.update_if(&key, &update, &condition).await? {
            Conditional::Applied(item) => Import::from_item(&StoredItem::from(&item)),
            // The stored import is as the patch wants it, perhaps by this very write, whose response was lost. Or there is
            // none.
            Conditional::Refused(item) => expect_found(item),
        }
    }

    /// Deletes an import; its contacts stay. Its memberships are hidden at once and deleted by the worker.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn delete(&self, id: ImportId) -> Result<()> {
        let OrgTable { org, now, .. } = self.table;
        let deleted = DeletedParent { org, parent: Parent::Import(id), import_ids: BTreeSet::new() };
        let mut transaction = self.table.client.transaction();
        transaction.delete_if(TransactionItem::Import, &keys::import(org, id), Condition::exists());
        transaction.put(TransactionItem::Tombstone, &cascade::tombstone(&deleted, now)?);
        transaction.put(TransactionItem::AuditEntry, &self.table.audit_entry(AuditAction::ImportDeleted, id)?);
        let outcome = self.table.client.commit(transaction).await?;
        self.table.cache.imports.remove(&(self.table.org, id));
        match outcome {
            Conditional::Applied(()) => Ok(()),
            Conditional::Refused(_) => Err(Error::NotFound(Kind::Import)),
        }
    }
}

impl Listed for Import {
    type SortPosition = CreationPosition;
    const DESCENDING: bool = true;

    fn key(org: OrgId, position: CreationPosition) -> Key {
        keys::import(org, position.id().into())
    }

    fn position(key: &Key) -> Option<CreationPosition> {
        keys::parse_import(key).map(|(_, id)| CreationPosition::Id(id.into()))
    }
}

impl Stored for Import {
    fn from_item(item: &StoredItem<'_>) -> Result<Self> {
        let unreadable = || item.unreadable(ItemType::Import);
        let (org_id, id) = item.key().and_then(|key| keys::parse_import(&key)).ok_or_else(unreadable)?;
        let mapping = match item.get(MAPPING) {
            Some(mapping) => Some(mapping.to_object().ok_or_else(unreadable)?),
            None => None,
        };
        let ImportItem { details, created_at, updated_at } = item.decode(ItemType::Import)?;
        Ok(Self { id, org_id, details, mapping, created_at, updated_at })
    }
}

impl ListedByCreation for Import {
    fn growing_len(&self) -> usize {
        self.mapping.as_ref().map_or(0, JsonObject::stored_len)
    }
}

impl OrgTable {
    /// Makes sure that an import exists, or existed within the last minute.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub(super) async fn ensure_import(&self, id: ImportId) -> Result<()> {
        if self.cache.imports.get(&(self.org, id), self.now).is_some() {
            return Ok(());
        }
        if !self.has_import(id).await? {
            return Err(Error::NotFound(Kind::Import));
        }
        self.cache.imports.insert((self.org, id), (), self.now, CACHE_LIFETIME);
        Ok(())
    }

    /// Whether an import exists.
    pub(super) async fn has_import(&self, id: ImportId) -> Result<bool> {
        Ok(self.client.get(&keys::import(self.org, id)).await?.is_some())
    }

    /// Sets the campaign that an import is linked to, if the import exists.
    pub(super) async fn set_campaign(&self, id: ImportId, campaign: CampaignId) -> Result<()> {
        let patch = ImportPatch { campaign_id: Patch::Set(campaign), ..ImportPatch::default() };
        let (update, condition) = changes(&patch)?;
        match self.update_if::<()>(&keys::import(self.org, id), &update, &condition).await? {
            Conditional::Applied(()) | Conditional::Refused(_) => Ok(()),
        }
    }
}

/// The update of an import, and the condition that it exists and something differs.
fn changes(patch: &ImportPatch) -> Result<(Update, Condition)> {
    let mut update = Update::new();
    update.change(changed_attributes(patch)?);
    update.patch(MAPPING, &patch.mapping, map);
    let condition = Condition::exists().and_differs(&update);
    Ok((update, condition))
}

fn expect_found(item: Option<Item>) -> Result<Import> {
    Import::from_item(&StoredItem::from(&item.ok_or(Error::NotFound(Kind::Import))?))
}

pub(super) fn to_item(import: &Import) -> Result<ItemJson> {
    let Import { id, org_id, details, mapping, created_at, updated_at } = import;
    let record = ImportItem { details: details.clone(), created_at: *created_at, updated_at: *updated_at };
    let key = keys::import(*org_id, *id);
    let mut item = encode(&key, ItemType::Import, &record)?;
    item.insert_index_attributes(keys::migrated_in_index(*org_id, &key, *created_at));
    if let Some(mapping) = mapping {
        item.insert(MAPPING, &mapping.into());
    }
    Ok(item)
}
