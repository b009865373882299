//! The data of an organization as records: what an import stores, and what an export reads beyond the lists.
//!
//! **Problem.** An import brings the data of another platform, with its ids and timestamps: millions of records. It may be
//! killed at any point and run again, while clients use what is there already.
//!
//! **Approach.** Every record becomes the items that the API would have written, on the condition that they do not exist. So a
//! second run stores what is missing, and changes nothing that a client has changed since. A contact is one transaction with the
//! lock of its email, its memberships and nothing else; as many contacts as fit share one. Companies exist before their
//! contacts. An activity or a lead is one conditional put, after a read that its contact and its campaign exist.
//!
//! **Rejected.** Plain puts (`BatchWriteItem`): half the price, but a second run would undo what clients did. A file of what is
//! done: the table knows it.
//!
//! **If this is changed.** The memberships that do not fit into a contact's transaction are written before it: a contact that
//! exists is taken for complete.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    Activities, Campaigns, Contacts, Error, Leads, OrgTable, Organizations, Result, activities, api_keys, contacts,
    imports, leads, listing,
};
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{
    Activity, ApiKey, AuditAction, Campaign, CompanyName, Contact, ContactId, ImportId, Kind, LeadMagnet, LeadMagnetId,
    Record, RecordOutcome, RecordRefusal,
};
use crate::dynamodb::Conditional;
use crate::dynamodb::item::{Item, ItemType, decode, key_of, sort_key};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::schema::GSI1;
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::transaction::MAX_ITEMS;
use futures_util::{StreamExt, TryStreamExt, stream};

/// The most bytes of the contacts of one transaction, below DynamoDB's 4 MB.
const MAX_TRANSACTION_BYTES: usize = 3_000_000;
/// The bytes of a contact beside those of [`Contact::growing_len`], at most.
const OTHER_BYTES: usize = 5_000;
/// The most memberships in the transaction of their contact.
const MAX_MEMBERSHIPS: usize = 90;
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

/// The items of a contact whose condition can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Contact,
    EmailLock,
    Unconditional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyPart {
    ApiKey,
    AuditEntry,
}

/// An activity or a lead to store.
struct Child {
    index: usize,
    item: Item,
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
            Record::Import(import) => {
                let outcome = self.table.client.put_new(imports::to_item(import)?).await?;
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
        let mut transaction = client.transaction();
        transaction.put_new(KeyPart::ApiKey, api_keys::to_item(hash, key)?);
        transaction.put(KeyPart::AuditEntry, self.table.audit_entry(AuditAction::ApiKeyCreated, key.id)?);
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
        if self.table.client.get(&keys::campaign(self.table.org, campaign.id)).await?.is_some() {
            return Ok(RecordOutcome::AlreadyThere);
        }
        match (Campaigns { table: self.table.clone() }).create(campaign, lead_magnet, None).await {
            Ok(()) => Ok(RecordOutcome::Written),
            Err(Error::TooManyActiveCampaigns) => Ok(RecordOutcome::Refused(RecordRefusal::TooManyActiveCampaigns)),
            Err(error) => Err(error),
        }
    }

    async fn store_contacts(&self, mut contacts: Vec<(usize, &Contact)>) -> Result<Vec<(usize, RecordOutcome)>> {
        let org = self.table.org;
        let contact_keys: Vec<_> = contacts.iter().map(|(_, contact)| keys::contact(org, contact.id)).collect();
        let existing = self.table.client.existing_keys(&contact_keys).await?;
        let mut outcomes = Vec::with_capacity(contacts.len());
        contacts.retain(|(index, contact)| {
            let exists = existing.contains(&keys::contact(org, contact.id));
            if exists {
                outcomes.push((*index, RecordOutcome::AlreadyThere));
            }
            !exists
        });
        let missing = self.missing_imports(contacts.iter().flat_map(|(_, contact)| &contact.import_ids)).await?;
        contacts.retain(|(index, contact)| {
            let is_complete = missing.is_disjoint(&contact.import_ids);
            if !is_complete {
                outcomes.push((*index, RecordOutcome::Refused(RecordRefusal::NoImport)));
            }
            is_complete
        });
        let companies: Vec<&CompanyName> =
            contacts.iter().filter_map(|(_, contact)| contact.details.company.as_ref()).collect();
        self.table.ensure_companies(companies).await?;
        while !contacts.is_empty() {
            let chunk = next_transaction(&mut contacts);
            self.commit_contacts(chunk, &mut outcomes).await?;
        }
        Ok(outcomes)
    }

    /// Those of these imports that do not exist.
    async fn missing_imports(&self, ids: impl Iterator<Item = &ImportId>) -> Result<BTreeSet<ImportId>> {
        let mut missing = BTreeSet::new();
        for id in ids.copied().collect::<BTreeSet<_>>() {
            match self.table.ensure_import(id).await {
                Ok(()) => {}
                Err(Error::NotFound(Kind::Import)) => {
                    missing.insert(id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(missing)
    }

    /// Stores contacts in one transaction, and again without those that it refuses.
    async fn commit_contacts(
        &self,
        mut chunk: Vec<(usize, &Contact)>,
        outcomes: &mut Vec<(usize, RecordOutcome)>,
    ) -> Result<()> {
        let all_contacts = Contacts { table: self.table.clone() };
        while !chunk.is_empty() {
            let mut transaction = self.table.client.transaction();
            for (index, contact) in &chunk {
                let memberships = self.fitting_memberships(contact).await?;
                transaction.put_new((*index, Part::Contact), contacts::to_item(contact)?);
                let lock = all_contacts.lock_item(&contact.details.email, contact.id)?;
                transaction.put_new((*index, Part::EmailLock), lock);
                for membership in memberships {
                    transaction.put((*index, Part::Unconditional), membership);
                }
            }
            let Conditional::Refused(refused) = self.table.client.commit(transaction).await? else {
                outcomes.extend(chunk.iter().map(|(index, _)| (*index, RecordOutcome::Written)));
                return Ok(());
            };
            chunk.retain(|(index, _)| {
                let outcome = if refused.contains(&(*index, Part::Contact)) {
                    RecordOutcome::AlreadyThere
                } else if refused.contains(&(*index, Part::EmailLock)) {
                    RecordOutcome::Refused(RecordRefusal::EmailTaken)
                } else {
                    return true;
                };
                outcomes.push((*index, outcome));
                false
            });
        }
        Ok(())
    }

    /// The memberships of a contact that fit into its transaction, after the others are stored.
    async fn fitting_memberships(&self, contact: &Contact) -> Result<Vec<Item>> {
        let contacts = Contacts { table: self.table.clone() };
        let memberships = contact.import_ids.iter().map(|import_id| contacts.membership_item(*import_id, contact.id));
        let mut memberships = memberships.collect::<Result<Vec<_>>>()?;
        let others = memberships.split_off(memberships.len().min(MAX_MEMBERSHIPS));
        for chunk in others.chunks(MAX_ITEMS) {
            let mut transaction = self.table.client.transaction();
            for membership in chunk {
                transaction.put((), membership.clone());
            }
            // Puts without a condition cannot be refused.
            let (Conditional::Applied(()) | Conditional::Refused(_)) = self.table.client.commit(transaction).await?;
        }
        Ok(memberships)
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
                Ok(match client.put_new(item).await? {
                    Conditional::Applied(()) => (index, RecordOutcome::Written),
                    Conditional::Refused(_) => (index, RecordOutcome::AlreadyThere),
                })
            })
            .buffer_unordered(MAX_CONCURRENT_WRITES)
            .try_collect()
            .await
    }
}

/// Takes the contacts of the next transaction, each with another id and another email.
fn next_transaction<'a>(contacts: &mut Vec<(usize, &'a Contact)>) -> Vec<(usize, &'a Contact)> {
    let (mut items, mut bytes, mut count) = (0, 0, 0);
    let (mut ids, mut emails) = (HashSet::new(), HashSet::new());
    for (_, contact) in contacts.iter() {
        items += 2 + contact.import_ids.len().min(MAX_MEMBERSHIPS);
        bytes += contact.growing_len() + OTHER_BYTES;
        let is_distinct = ids.insert(contact.id) && emails.insert(contact.details.email.as_str());
        if count > 0 && (items > MAX_ITEMS || bytes > MAX_TRANSACTION_BYTES || !is_distinct) {
            break;
        }
        count += 1;
    }
    let others = contacts.split_off(count);
    std::mem::replace(contacts, others)
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
            let key = listing::skip_unreadable(api_keys::from_item(item))?;
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
                activities::from_item(item).map(|activity| Record::Activity(contact_id, activity))
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
            let lead_magnet = decode(item, ItemType::LeadMagnet).map_err(Error::from);
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
