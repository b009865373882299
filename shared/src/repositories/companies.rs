//! Companies, which are created by the first contact that names them.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::listing::{self, Listed, Page, PageRow, RangeFilter};
use super::{OrgTable, Result};
use crate::domain::{Company, CompanyFilter, CompanyId, CompanyKey, CompanyName, OrgId, time};
use crate::dynamodb::StoredItem;
use crate::dynamodb::item::{ItemType, encode};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::transaction::{MAX_ITEMS, Transaction};
use crate::dynamodb::{Conditional, Cursor};
use crate::repositories::stored::Stored;

/// How long the existence of a company is cached. No company is ever deleted, so it stays true.
const CACHE_LIFETIME: TimeDelta = TimeDelta::days(1);

/// The companies of one organization.
#[derive(Debug)]
pub struct Companies {
    pub(crate) table: OrgTable,
}

#[derive(Serialize, Deserialize)]
struct CompanyItem {
    id: CompanyId,
    name: CompanyName,
    #[serde(with = "time::millis")]
    created_at: DateTime<Utc>,
}

impl Companies {
    /// A page of the organization's companies in the order of their folded names, or the company of one name.
    ///
    /// # Errors
    /// The database's.
    pub async fn list<R: PageRow<Company>>(
        &self,
        filter: &CompanyFilter,
        limit: Option<usize>,
        cursor: Option<Cursor<CompanyKey>>,
    ) -> Result<Page<R, CompanyKey>> {
        let Some(name) = &filter.name else {
            let range = keys::companies(self.table.org);
            let every = RangeFilter { range, is_sparse: false, shows: |_: &Company| true };
            return listing::page_of_range(&self.table, limit, cursor, every).await;
        };
        let item = self.table.client.get(&keys::company(self.table.org, name)).await?;
        let is_after_cursor = cursor.is_none_or(|Cursor(position)| *name > position);
        let company = match item {
            Some(item) if is_after_cursor => listing::skip_unreadable(Company::from_item(&StoredItem::from(&item)))?,
            _ => None,
        };
        Ok(Page { rows: company.map(R::of).into_iter().collect(), next: None })
    }
}

impl Listed for Company {
    type SortPosition = CompanyKey;
    const DESCENDING: bool = false;

    fn key(org: OrgId, position: CompanyKey) -> Key {
        keys::company(org, &position)
    }

    /// The stored key, which an older table of Unicode may have folded otherwise than today's would fold the name.
    fn position(key: &Key) -> Option<CompanyKey> {
        keys::parse_company(key).map(|(_, name)| name)
    }
}

impl Stored for Company {
    fn from_item(item: &StoredItem<'_>) -> Result<Self> {
        let key = item.key().and_then(|key| keys::parse_company(&key));
        let (org_id, _) = key.ok_or_else(|| item.unreadable(ItemType::Company))?;
        let CompanyItem { id, name, created_at } = item.decode(ItemType::Company)?;
        Ok(Self { id, org_id, name, created_at })
    }
}

impl OrgTable {
    /// Whether a company of this name exists.
    pub(super) async fn has_company(&self, key: &CompanyKey) -> Result<bool> {
        if self.has_cached_company(key) {
            return Ok(true);
        }
        let exists = self.client.get(&keys::company(self.org, key)).await?.is_some();
        if exists {
            self.cache_company(key);
        }
        Ok(exists)
    }

    fn has_cached_company(&self, key: &CompanyKey) -> bool {
        self.cache.companies.get(&(self.org, key.clone()), self.now).is_some()
    }

    /// Caches that a company exists.
    pub(super) fn cache_company(&self, key: &CompanyKey) {
        self.cache.companies.insert((self.org, key.clone()), (), self.now, CACHE_LIFETIME);
    }

    /// Creates the companies of these names that do not exist; the first spelling of a name counts.
    pub(super) async fn ensure_companies<'a>(&self, names: impl IntoIterator<Item = &'a CompanyName>) -> Result<()> {
        // Folding a name costs more than recognizing a spelling, and an upload has few companies.
        let (mut spellings, mut missing) = (HashSet::new(), BTreeMap::new());
        for name in names {
            if spellings.insert(name) {
                missing.entry(name.key()).or_insert(name);
            }
        }
        missing.retain(|key, _| !self.has_cached_company(key));
        let keys: Vec<_> = missing.keys().map(|key| keys::company(self.org, key)).collect();
        for key in self.client.existing_keys(&keys).await? {
            if let Some((_, key)) = keys::parse_company(&key) {
                missing.remove(&key);
                self.cache_company(&key);
            }
        }
        while !missing.is_empty() {
            let chunk: Vec<_> = missing.iter().take(MAX_ITEMS).map(|(key, name)| (key.clone(), *name)).collect();
            for key in self.create_companies(chunk).await? {
                missing.remove(&key);
                self.cache_company(&key);
            }
        }
        Ok(())
    }

    /// Creates companies in one transaction. Returns those that exist afterwards: all of them, or, if the transaction was
    /// refused, those that another request has created meanwhile.
    async fn create_companies(&self, companies: Vec<(CompanyKey, &CompanyName)>) -> Result<Vec<CompanyKey>> {
        let mut transaction = self.client.transaction();
        for (index, (_, name)) in companies.iter().enumerate() {
            self.create_company(&mut transaction, index, name)?;
        }
        let outcome = self.client.commit(transaction).await?;
        let mut existing = Vec::with_capacity(companies.len());
        for (index, (key, _)) in companies.into_iter().enumerate() {
            match &outcome {
                Conditional::Applied(()) => existing.push(key),
                Conditional::Refused(indexes) if indexes.contains(&index) => existing.push(key),
                Conditional::Refused(_) => {}
            }
        }
        Ok(existing)
    }

    /// Stores a company that existed elsewhere; `false` if one of its name is stored already.
    #[cfg(feature = "operator")]
    pub(super) async fn restore_company(&self, company: &Company) -> Result<bool> {
        let Company { id, org_id, name, created_at } = company.clone();
        let key = name.key();
        let record = CompanyItem { id, name, created_at };
        let item = encode(&keys::company(org_id, &key), ItemType::Company, &record)?;
        let outcome = self.client.put_new(&item).await?;
        self.cache_company(&key);
        Ok(matches!(outcome, Conditional::Applied(())))
    }

    /// Adds the creation of a company to a transaction.
    pub(super) fn create_company<L: Copy>(
        &self,
        transaction: &mut Transaction<L>,
        label: L,
        name: &CompanyName,
    ) -> Result<()> {
        let company = CompanyItem { id: self.new_id(), name: name.clone(), created_at: self.now };
        transaction.put_new(label, &encode(&keys::company(self.org, &name.key()), ItemType::Company, &company)?);
        Ok(())
    }
}
