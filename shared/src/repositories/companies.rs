//! Companies: made by the first contact that names one.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::OrgTable;
use super::listing::{self, Listed, Page};
use crate::domain::ids::uuid_at;
use crate::domain::{Company, CompanyFilter, CompanyId, CompanyKey, CompanyName, OrgId, time};
use crate::dynamodb::Cursor;
use crate::dynamodb::item::{Item, Type, item, key_in, record, sort_key};
use crate::dynamodb::keys::{self, Key, Range};
use crate::dynamodb::transaction::{MAX_ITEMS, Transaction};
use crate::dynamodb::{Error, Result};

/// No company is ever deleted, so what is known stays true.
const REMEMBERED: TimeDelta = TimeDelta::days(1);

/// The companies of one organization.
#[derive(Debug)]
pub struct Companies(pub(crate) OrgTable);

#[derive(Serialize, Deserialize)]
struct CompanyItem {
    id: CompanyId,
    name: CompanyName,
    #[serde(with = "time::millis")]
    created_at: DateTime<Utc>,
}

impl Companies {
    /// A page of the organization's companies, in the order of the names they are compared by; or the one of this name.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        filter: &CompanyFilter,
        limit: usize,
        cursor: Option<Cursor<CompanyKey>>,
    ) -> Result<Page<Company, CompanyKey>> {
        let Some(name) = &filter.name else {
            return listing::page_of(&self.0, limit, cursor, false, |_| true).await;
        };
        let is_after = cursor.is_none_or(|Cursor(place)| *name > place);
        let item = self.0.client.get(&keys::company(self.0.org, name)).await?.filter(|_| is_after);
        Ok(Page { rows: item.map(Company::from_item).transpose()?.into_iter().collect(), next: None })
    }
}

impl Listed for Company {
    type SortPosition = CompanyKey;
    const DESCENDING: bool = false;

    fn range(org: OrgId) -> Range {
        keys::companies(org)
    }

    fn key(org: OrgId, place: CompanyKey) -> Key {
        keys::company(org, &place)
    }

    fn from_item(item: Item) -> Result<Self> {
        let org_id = key_in(&item)
            .and_then(|key| keys::organization_of(&key.pk))
            .ok_or_else(|| Error::Unreadable(sort_key(&item)))?;
        let CompanyItem { id, name, created_at } = record(item, Type::Company)?;
        Ok(Self { id, org_id, name, created_at })
    }

    fn place(&self) -> CompanyKey {
        self.name.key()
    }

    fn shown_len(&self) -> usize {
        const REST: usize = 200;
        self.name.as_str().len() + REST
    }
}

impl OrgTable {
    /// Whether a company of this name exists already.
    pub(super) async fn has_company(&self, key: &CompanyKey) -> Result<bool> {
        if self.knows_company(key) {
            return Ok(true);
        }
        let exists = self.client.get(&keys::company(self.org, key)).await?.is_some();
        if exists {
            self.remember_company(key);
        }
        Ok(exists)
    }

    fn knows_company(&self, key: &CompanyKey) -> bool {
        self.cache.companies.get(&(self.org, key.clone()), self.now).is_some()
    }

    /// Notes that a company exists.
    pub(super) fn remember_company(&self, key: &CompanyKey) {
        self.cache.companies.put((self.org, key.clone()), (), self.now, REMEMBERED);
    }

    /// Makes sure that there is a company of each of these names; of two spellings the first counts.
    pub(super) async fn ensure_companies<'a>(&self, names: impl IntoIterator<Item = &'a CompanyName>) -> Result<()> {
        let mut new = BTreeMap::new();
        for name in names {
            new.entry(name.key()).or_insert(name);
        }
        new.retain(|key, _| !self.knows_company(key));
        let keys: Vec<_> = new.keys().map(|key| keys::company(self.org, key)).collect();
        for item in self.client.batch_get(&keys).await? {
            let company: CompanyItem = record(item, Type::Company)?;
            let key = company.name.key();
            new.remove(&key);
            self.remember_company(&key);
        }
        while !new.is_empty() {
            let some: Vec<_> = new.iter().take(MAX_ITEMS).map(|(key, name)| (key.clone(), *name)).collect();
            let mut transaction = Transaction::new(self.client.table_name());
            for (part, (_, name)) in some.iter().enumerate() {
                self.create_company(&mut transaction, part, name)?;
            }
            let refused = self.client.commit(transaction).await?;
            // Where one was refused, somebody else has made it, and nothing else was written.
            let there = some.into_iter().enumerate().filter(|(part, _)| refused.is_empty() || refused.contains(part));
            for (_, (key, _)) in there {
                new.remove(&key);
                self.remember_company(&key);
            }
        }
        Ok(())
    }

    /// Makes a transaction create a company, in the spelling its first contact has.
    pub(super) fn create_company<P: Copy>(
        &self,
        transaction: &mut Transaction<P>,
        part: P,
        name: &CompanyName,
    ) -> Result<()> {
        let company = CompanyItem { id: uuid_at(self.now).into(), name: name.clone(), created_at: self.now };
        transaction.put_new(part, item(&keys::company(self.org, &name.key()), Type::Company, &company)?);
        Ok(())
    }
}
