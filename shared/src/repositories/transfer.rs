//! The data of an organization as records: what an import stores, and what an export reads beyond the lists.
//!
//! **Problem.** An import brings the data of another platform, with its ids and timestamps: millions of records. It may be
//! killed at any point and run again, while clients use what is there already.
//!
//! **Approach.** Every record becomes the items that the API would have written, on the condition that they do not exist. So
//! a second run stores what is missing, and changes nothing that a client has changed since. What has a tombstone was just
//! deleted and is refused; once the tombstone is gone, a second run cannot tell it from what was never stored. A contact is
//! one transaction with the lock of its email and its memberships (see `transfer/contacts.rs`). Companies exist before their
//! contacts. An activity or a lead is one conditional put, after a read that its contact and its campaign exist.
//!
//! **Rejected.** Plain puts (`BatchWriteItem`): half the price, but a second run would undo what clients did. A file of what is
//! done: the table knows it.
//!
//! **If this is changed.** A child that is written before its parent is an orphan until then, and a repair at the same time
//! deletes it.

mod contacts;

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Activities, Campaigns, Error, Leads, OrgTable, Organizations, Result, api_keys, imports, leads, listing};
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{
    Activity, ApiKey, AuditAction, Campaign, CampaignId, ContactId, LeadMagnet, LeadMagnetId, Record, RecordOutcome,
    RecordRefusal,
};
use crate::dynamodb::StoredItem;
use crate::dynamodb::item::{ItemJson, ItemType, decode, key_of, sort_key};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::schema::GSI1;
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::{Conditional, Parent};
use crate::repositories::stored::Stored;

/// The most writes that are in flight at once.
const MAX_CONCURRENT_WRITES: usize = 32;

/// The data of one organization as records.
#[derive(Debug)]
pub struct Transfer {
    pub(crate) table: OrgTable,
}

/// Records that were read for an export.
#[derive(Debug)]
pub struct Exported {
    /// The records.
    pub records: Vec<Record>,
    /// The position after which there may be more; `None` at the end.
    pub next: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionItem {
    ApiKey,
    AuditEntry,
}

/// An activity or a lead to store.
struct Child {
    index: usize,
    item: ItemJson,
    parents: Vec<(Key, RecordRefusal)>,
}

impl Transfer {
    /// Stores records, unless they are there already. The outcomes are in the order of the records.
    ///
    /// # Errors
    /// The database's; the same call may be made again.
    pub async fn store(&self, records: &[Record]) -> Result<Vec<RecordOutcome>> {
        let mut outcomes = vec![RecordOutcome::Written; records.len()];
        let (mut contacts, mut children) = (Vec::new(), Vec::new());
        for (index, record) in records.iter().enumerate() {
            match record {
                Record::Contact(contact) => contacts.push((index, contact)),
                Record::Activity(contact_id, activity) => children.push(self.activity(index, *contact_id, activity)?),
                Record::Lead(lead) => {
                    let org = self.table.org;
                    let leads = Leads { table: self.table.clone() };
                    let parents = vec![
                        (keys::contact(org, lead.key.contact_id), RecordRefusal::NoContact),
                        (keys::campaign(org, lead.key.campaign_id), RecordRefusal::NoCampaign),
                    ];
                    children.push(Child { index, item: leads.to_item(lead, self.table.new_write_id())?, parents });
                }
                other => outcomes[index] = self.store_one(other).await?,
            }
        }
        for (index, outcome) in self.store_contacts(contacts).await? {
            outcomes[index] = outcome;
        }
        for (index, outcome) in self.store_children(children).await? {
            outcomes[index] = outcome;
        }
        Ok(outcomes)
    }

    fn activity(&self, index: usize, contact_id: ContactId, activity: &Activity) -> Result<Child> {
        let item = Activities::new(self.table.clone(), contact_id).to_item(activity)?;
        let parents = vec![(keys::contact(self.table.org, contact_id), RecordRefusal::NoContact)];
        Ok(Child { index, item, parents })
    }

    /// Stores a record of a type of which there are few.
    async fn store_one(&self, record: &Record) -> Result<RecordOutcome> {
        let is_new = match record {
            Record::Organization(organization) => {
                let organizations = Organizations { table: self.table.clone() };
                organizations.store(organization).await?.is_some()
            }
            Record::ApiKey(hash, key) => return self.store_key(hash, key).await,
            Record::Company(company) => self.table.restore_company(company).await?,
            Record::Import(import) if self.is_deleted(Parent::Import(import.id)).await? => {
                return Ok(RecordOutcome::Refused(RecordRefusal::Deleted));
            }
            Record::Import(import) => {
                let outcome = self.table.client.put_new(&imports::to_item(import)?).await?;
                matches!(outcome, Conditional::Applied(()))
            }
            Record::Campaign(campaign, lead_magnet) => {
                return self.store_campaign(campaign, lead_magnet.as_ref()).await;
            }
            // Stored together with others.
            Record::Contact(_) | Record::Activity(..) | Record::Lead(_) => return Ok(RecordOutcome::Written),
        };
        Ok(if is_new { RecordOutcome::Written } else { RecordOutcome::AlreadyThere })
    }

    async fn store_key(&self, hash: &ApiKeyHash, key: &ApiKey) -> Result<RecordOutcome> {
        let client = &self.table.client;
        // A key is revoked by its id, which must not name two.
        let same_id = keys::api_key_by_id(self.table.org, key.id);
        let found = client.query_index(&GSI1, &same_id, None, QueryOptions::default()).await?;
        if found.entries.iter().any(|entry| entry.key != keys::api_key(hash)) {
            return Ok(RecordOutcome::Refused(RecordRefusal::KeyIdTaken));
        }
        let mut transaction = client.transaction();
        transaction.put_new(TransactionItem::ApiKey, &api_keys::to_item(hash, key)?);
        transaction.put(TransactionItem::AuditEntry, &self.table.audit_entry(AuditAction::ApiKeyCreated, key.id)?);
        if let Conditional::Applied(()) = client.commit(transaction).await? {
            return Ok(RecordOutcome::Written);
        }
        let stored = api_keys::find(client, hash).await?;
        Ok(match stored {
            Some(stored) if stored.org_id != self.table.org => {
                RecordOutcome::Refused(RecordRefusal::KeyOfAnotherOrganization)
            }
            _ => RecordOutcome::AlreadyThere,
        })
    }

    async fn store_campaign(&self, campaign: &Campaign, lead_magnet: Option<&LeadMagnet>) -> Result<RecordOutcome> {
        if self.has_campaign(campaign.id).await? {
            return Ok(RecordOutcome::AlreadyThere);
        }
        if self.is_deleted(Parent::Campaign(campaign.id)).await? {
            return Ok(RecordOutcome::Refused(RecordRefusal::Deleted));
        }
        if let Some(id) = campaign.lead_magnet_id
            && self.table.client.get(&keys::lead_magnet(self.table.org, id)).await?.is_some()
        {
            return Ok(RecordOutcome::Refused(RecordRefusal::LeadMagnetTaken));
        }
        match (Campaigns { table: self.table.clone() }).create(campaign, lead_magnet, None).await {
            Ok(()) => Ok(RecordOutcome::Written),
            Err(Error::TooManyActiveCampaigns) => Ok(RecordOutcome::Refused(RecordRefusal::TooManyActiveCampaigns)),
            // The files hold it twice, and the other one came first.
            Err(_) if self.has_campaign(campaign.id).await? => Ok(RecordOutcome::AlreadyThere),
            Err(error) => Err(error),
        }
    }

    async fn has_campaign(&self, id: CampaignId) -> Result<bool> {
        Ok(self.table.client.get(&keys::campaign(self.table.org, id)).await?.is_some())
    }

    /// Whether this parent was deleted within the lifetime of its tombstone: the worker may be deleting its children.
    async fn is_deleted(&self, parent: Parent) -> Result<bool> {
        Ok(self.table.client.get(&parent.tombstone(self.table.org)).await?.is_some())
    }

    async fn store_children(&self, children: Vec<Child>) -> Result<Vec<(usize, RecordOutcome)>> {
        let client = &self.table.client;
        let parents: HashSet<_> =
            children.iter().flat_map(|child| &child.parents).map(|(key, _)| key.clone()).collect();
        let existing = &client.existing_keys(&parents.into_iter().collect::<Vec<_>>()).await?;
        stream::iter(children)
            .map(|Child { index, item, parents }| async move {
                if let Some((_, refusal)) = parents.iter().find(|(key, _)| !existing.contains(key)) {
                    return Ok((index, RecordOutcome::Refused(*refusal)));
                }
                Ok(match client.put_new(&item).await? {
                    Conditional::Applied(()) => (index, RecordOutcome::Written),
                    Conditional::Refused(_) => (index, RecordOutcome::AlreadyThere),
                })
            })
            .buffer_unordered(MAX_CONCURRENT_WRITES)
            .try_collect()
            .await
    }
}

/// Reads.
impl Transfer {
    /// Reads API keys after a position, with their hashes.
    ///
    /// # Errors
    /// The database's.
    pub async fn api_keys(&self, after: Option<&str>) -> Result<Exported> {
        let OrgTable { client, org, .. } = &self.table;
        let found = client.query_index(&GSI1, &keys::api_keys(*org), after, QueryOptions::default()).await?;
        let item_keys: Vec<_> = found.entries.into_iter().map(|entry| entry.key).collect();
        let mut records = Vec::with_capacity(item_keys.len());
        for item in client.batch_get(&item_keys).await? {
            let hash = key_of(&item).and_then(|key| keys::parse_api_key(&key));
            let key = listing::skip_unreadable(api_keys::from_item(&item))?;
            if let (Some(hash), Some(key)) = (hash, key)
                && key.org_id == *org
            {
                records.push(Record::ApiKey(hash, key));
            }
        }
        Ok(Exported { records, next: found.last_evaluated_sk })
    }

    /// Reads the activities and leads of a contact after a position, at most 1 MB.
    ///
    /// # Errors
    /// The database's.
    pub async fn children(&self, contact_id: ContactId, after: Option<&str>) -> Result<Exported> {
        let range = keys::activities_and_leads(self.table.org, contact_id);
        let found = self.table.client.query(&range, after, QueryOptions::default()).await?;
        let mut records = Vec::with_capacity(found.items.len());
        for item in found.items {
            let record = if keys::parse_activity_sort_key(sort_key(&item)).is_some() {
                Activity::from_item(&StoredItem::from(&item)).map(|activity| Record::Activity(contact_id, activity))
            } else {
                leads::from_item(item).map(Record::Lead)
            };
            records.extend(listing::skip_unreadable(record)?);
        }
        Ok(Exported { records, next: found.last_evaluated_sk })
    }

    /// Campaigns with their lead magnets.
    ///
    /// # Errors
    /// The database's.
    pub async fn with_lead_magnets(&self, campaigns: Vec<Campaign>) -> Result<Vec<Record>> {
        let OrgTable { client, org, .. } = &self.table;
        let key = |id: LeadMagnetId| keys::lead_magnet(*org, id);
        let wanted: Vec<_> = campaigns.iter().filter_map(|campaign| campaign.lead_magnet_id.map(key)).collect();
        let mut lead_magnets: HashMap<Key, LeadMagnet> = HashMap::with_capacity(wanted.len());
        for item in client.batch_get(&wanted).await? {
            let stored_at = key_of(&item);
            let lead_magnet = decode(&item, ItemType::LeadMagnet).map_err(Error::from);
            if let (Some(stored_at), Some(lead_magnet)) = (stored_at, listing::skip_unreadable(lead_magnet)?) {
                lead_magnets.insert(stored_at, lead_magnet);
            }
        }
        let mut records = Vec::with_capacity(campaigns.len());
        for campaign in campaigns {
            let lead_magnet = campaign.lead_magnet_id.and_then(|id| lead_magnets.remove(&key(id)));
            records.push(Record::Campaign(campaign, lead_magnet));
        }
        Ok(records)
    }
}
