//! Imports.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::idempotency::IdempotencyRecord;
use super::listing::{self, Listed, Page};
use super::{OrgTable, cascade};
use crate::domain::ids::uuid_at;
use crate::domain::{
    CampaignId, Import, ImportDetails, ImportFilter, ImportId, ImportPatch, NewImport, OrgId, Patch, time,
};
use crate::dynamodb::Cursor;
use crate::dynamodb::expression::Expression;
use crate::dynamodb::item::{Item, Type, changed_attributes, item, key_in, map, object_of, record, sort_key, text};
use crate::dynamodb::keys::{self, Key, PK, Parent, Range};
use crate::dynamodb::transaction::Transaction;
use crate::dynamodb::{Error, Kind, Result};

const MAPPING: &str = "mapping";

/// How long an import that was seen is taken to be there still: what it costs is a look-up a contact.
const REMEMBERED: TimeDelta = TimeDelta::seconds(60);

/// The imports of one organization.
#[derive(Debug)]
pub struct Imports(pub(crate) OrgTable);

/// The attributes of an import's item, beside its keys and its mapping.
#[derive(Serialize, Deserialize)]
struct ImportItem {
    #[serde(flatten)]
    details: ImportDetails,
    #[serde(with = "time::millis")]
    created_at: DateTime<Utc>,
    #[serde(with = "time::millis")]
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Import,
    IdempotencyRecord,
    Tombstone,
}

impl Imports {
    /// An import of this organization, made now and not yet stored.
    pub fn draft(&self, new: NewImport) -> Import {
        Import::new(uuid_at(self.0.now).into(), self.0.org, new, self.0.now)
    }

    /// Stores a new import and, in the same transaction, the answer to keep.
    ///
    /// # Errors
    /// [`Error::AlreadyAnswered`], or the database's.
    pub async fn create(&self, import: &Import, idempotency_record: Option<&IdempotencyRecord>) -> Result<()> {
        let mut transaction = Transaction::new(self.0.client.table_name());
        transaction.put_new(Part::Import, to_item(import)?);
        self.0.commit_new(transaction, Part::IdempotencyRecord, idempotency_record).await?;
        self.0.cache.imports.put((self.0.org, import.id), (), self.0.now, REMEMBERED);
        Ok(())
    }

    /// One import, and how many contacts it has.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn get(&self, id: ImportId) -> Result<(Import, u64)> {
        let key = keys::import(self.0.org, id);
        let members = keys::memberships(self.0.org, id);
        // Whatever is left to count of a large import is not waited for where that is gone.
        let import = async { found(self.0.client.get(&key).await?) };
        tokio::try_join!(import, self.0.client.count(&members))
    }

    /// A page of the organization's imports, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, filter: &ImportFilter, limit: usize, cursor: Option<Cursor>) -> Result<Page<Import>> {
        let shows = |import: &Import| filter.matches(import);
        listing::page_of(&self.0, limit, cursor, !filter.is_empty(), shows).await
    }

    /// Changes an import, and gives it back as it is then. What changes nothing writes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn update(&self, id: ImportId, patch: &ImportPatch) -> Result<Import> {
        let key = keys::import(self.0.org, id);
        let change = changes(patch, self.0.now)?;
        if change.changes_nothing() {
            return found(self.0.client.get(&key).await?);
        }
        // Refused, it is as it should be, perhaps by this very write, whose answer was lost; or it is gone.
        found(self.0.client.update(&key, change).await?.map_or_else(|there| there, Some))
    }

    /// Deletes an import; its contacts stay. That they belonged to it is hidden at once, and cleared up behind the
    /// import's tombstone.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn delete(&self, id: ImportId) -> Result<()> {
        let parent = Parent::Import(id);
        let mut transaction = Transaction::new(self.0.client.table_name());
        transaction.delete_if(Part::Import, &parent.key(self.0.org), Expression::present(PK));
        transaction.put(Part::Tombstone, cascade::tombstone(self.0.org, parent, self.0.now)?);
        let refused = self.0.client.commit(transaction).await?;
        self.0.cache.imports.forget(&(self.0.org, id));
        if refused.is_empty() { Ok(()) } else { Err(Error::NotFound(Kind::Import)) }
    }
}

impl Listed for Import {
    type SortPosition = Uuid;
    const DESCENDING: bool = true;

    fn range(org: OrgId) -> Range {
        keys::imports(org)
    }

    fn key(org: OrgId, place: Uuid) -> Key {
        keys::import(org, place.into())
    }

    fn from_item(mut item: Item) -> Result<Self> {
        let unreadable = Error::Unreadable(sort_key(&item));
        let (org_id, id) = key_in(&item).and_then(|key| keys::import_of(&key)).ok_or(unreadable.clone())?;
        let mapping = item.remove(MAPPING).map(|mapping| object_of(&mapping).ok_or(unreadable)).transpose()?;
        let ImportItem { details, created_at, updated_at } = record(item, Type::Import)?;
        Ok(Self { id, org_id, details, mapping, created_at, updated_at })
    }

    fn place(&self) -> Uuid {
        self.id.into()
    }

    fn shown_len(&self) -> usize {
        const REST: usize = 400;
        self.details.source.as_str().len()
            + self.details.file_name.as_ref().map_or(0, |name| name.as_str().len())
            + REST
    }
}

impl OrgTable {
    /// Makes sure that an import is there, or was within the last minute.
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
        self.cache.imports.put((self.org, id), (), self.now, REMEMBERED);
        Ok(())
    }

    /// Whether an import is there now.
    pub(super) async fn has_import(&self, id: ImportId) -> Result<bool> {
        Ok(self.client.get(&keys::import(self.org, id)).await?.is_some())
    }

    /// Notes the campaign that an import is linked to. An import that is gone stays so.
    pub(super) async fn set_campaign(&self, id: ImportId, campaign: CampaignId) -> Result<()> {
        let patch = ImportPatch { campaign_id: Patch::Set(campaign), ..ImportPatch::default() };
        self.client.update(&keys::import(self.org, id), changes(&patch, self.now)?).await.map(drop)
    }
}

/// What an update at this moment does to the item, if it is there.
fn changes(patch: &ImportPatch, now: DateTime<Utc>) -> Result<Expression> {
    let mut change = Expression::present(PK);
    change.change(changed_attributes(patch)?);
    change.patch(MAPPING, &patch.mapping, map);
    change.note("updated_at", text(time::to_millis(now)));
    Ok(change)
}

fn found(item: Option<Item>) -> Result<Import> {
    Import::from_item(item.ok_or(Error::NotFound(Kind::Import))?)
}

fn to_item(import: &Import) -> Result<Item> {
    let Import { id, org_id, details, mapping, created_at, updated_at } = import;
    let record = ImportItem { details: details.clone(), created_at: *created_at, updated_at: *updated_at };
    let mut item = item(&keys::import(*org_id, *id), Type::Import, &record)?;
    if let Some(mapping) = mapping {
        item.insert(MAPPING.to_owned(), map(mapping));
    }
    Ok(item)
}
