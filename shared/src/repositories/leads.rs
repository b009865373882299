//! Reads and updates of leads, which `linking` creates.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::listing::{self, ListRow, ListRows, Page, PageRow};
use super::{Error, OrgTable, Result};
use crate::domain::{
    CampaignId, ContactId, Json, Kind, Lead, LeadDetails, LeadFilter, LeadId, LeadKey, LeadPatch, time,
};
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{
    Item, ItemJson, ItemType, changed_attributes, decode, encode, key_of, number, sort_key, unreadable, value_to_json,
};
use crate::dynamodb::keys;
use crate::dynamodb::schema::{GSI1, GSI2};
use crate::dynamodb::stored_item::Attribute;
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::{self, Conditional, Cursor};

const NOT_FOUND: Error = Error::NotFound(Kind::Lead);
const LEAD_SCORE: &str = "lead_score";
/// The id of the call that created the lead.
pub(super) const LINK_ID: &str = "link_id";

/// The leads of one organization.
///
/// They are found by indexes, which are eventually consistent, and then read consistently. The leads of a deleted contact
/// or campaign are hidden.
#[derive(Debug)]
pub struct Leads {
    pub(crate) table: OrgTable,
}

/// The attributes of a lead's item except its keys and its score.
#[derive(Serialize, Deserialize)]
struct LeadItem {
    #[serde(flatten)]
    details: LeadDetails,
    current_lead_step_id: Option<Uuid>,
    #[serde(with = "time::millis")]
    created_at: DateTime<Utc>,
    #[serde(with = "time::millis")]
    updated_at: DateTime<Utc>,
}

impl Leads {
    /// One lead.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn get(&self, id: LeadId) -> Result<Lead> {
        let range = keys::leads_by_id(self.table.org, id);
        let found = self.table.client.query_index(&GSI2, &range, None, QueryOptions::default()).await?;
        let lead_keys: Vec<_> =
            found.entries.iter().filter_map(|entry| keys::parse_lead_index_sort_key(&entry.index_sk)).collect();
        from_item(self.read_visible(&lead_keys).await?.pop().ok_or(NOT_FOUND)?)
    }

    /// Changes a lead and returns it as it is afterwards. A patch that changes nothing writes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn update(&self, id: LeadId, patch: &LeadPatch) -> Result<Lead> {
        let lead = self.get(id).await?;
        let mut update = Update::new();
        update.change(changed_attributes(patch)?);
        update.patch(LEAD_SCORE, &patch.lead_score, |score| number(score.as_str()));
        if !update.has_changes() {
            return Ok(lead);
        }
        let condition = Condition::exists().and_differs(&update);
        match self.table.update_if(&keys::lead(self.table.org, lead.key), &update, &condition).await? {
            Conditional::Applied(item) | Conditional::Refused(Some(item)) => from_item(item),
            Conditional::Refused(None) => Err(NOT_FOUND),
        }
    }

    /// A page of the organization's leads, by campaign and then by contact, both newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list<R: PageRow<Lead>>(
        &self,
        filter: &LeadFilter,
        limit: Option<usize>,
        cursor: Option<Cursor<LeadKey>>,
    ) -> Result<Page<R, LeadKey>> {
        listing::page(&self.table.client, limit, cursor, |after, limits| async move {
            let found = match filter.contact_id {
                Some(contact_id) => self.find_by_contact(contact_id, filter.campaign_id, after).await?,
                None => self.find_by_campaign(filter, after, limits.rows).await?,
            };
            let mut leads = Vec::with_capacity(found.lead_keys.len());
            for item in self.read_visible(&found.lead_keys).await? {
                leads.extend(listing::skip_unreadable(from_item(item))?);
            }
            let in_order = listing::in_order(found.lead_keys, leads, |lead: &Lead| lead.key);
            let rows = in_order.map(|(key, lead)| ListRow::new(key, lead.filter(|lead| filter.matches(lead))));
            Ok(ListRows { rows: rows.collect(), last_evaluated: found.last_evaluated })
        })
        .await
    }

    /// Finds leads in the index by campaign.
    async fn find_by_campaign(
        &self,
        filter: &LeadFilter,
        after: Option<LeadKey>,
        wanted: Option<usize>,
    ) -> Result<FoundLeads> {
        // A filter by status may pass over most leads; a read of few would then leave the page almost empty.
        const MIN_READ_BY_STATUS: usize = 500;
        let min = if filter.status.is_some() { MIN_READ_BY_STATUS } else { 0 };
        let limit = wanted.map(|wanted| wanted.max(min));
        let range = keys::leads_by_campaign(self.table.org, filter.campaign_id);
        let start = after.map(keys::lead_index_sort_key);
        let options = QueryOptions { descending: true, limit };
        let found = self.table.client.query_index(&GSI1, &range, start.as_deref(), options).await?;
        let lead_keys = found.entries.iter().filter_map(|entry| keys::parse_lead_index_sort_key(&entry.index_sk));
        let last_evaluated = match found.last_evaluated_sk {
            // Without its position the list would seem to end here.
            Some(index_sk) => Some(keys::parse_lead_index_sort_key(&index_sk).ok_or_else(unreadable_index_key)?),
            None => None,
        };
        Ok(FoundLeads { lead_keys: lead_keys.collect(), last_evaluated })
    }

    /// Finds leads of one contact, which are stored together, without an index.
    async fn find_by_contact(
        &self,
        contact_id: ContactId,
        campaign_id: Option<CampaignId>,
        after: Option<LeadKey>,
    ) -> Result<FoundLeads> {
        let sort_key_of = |campaign_id| keys::lead(self.table.org, LeadKey { campaign_id, contact_id }).sk;
        let mut range = keys::leads(self.table.org, contact_id);
        if let Some(campaign_id) = campaign_id {
            let sk = sort_key_of(campaign_id);
            range = range.starting_at(&sk).ending_at(&sk);
        }
        if let Some(after) = after {
            range = range.ending_at(&sort_key_of(after.campaign_id));
        }
        if range.is_empty() {
            return Ok(FoundLeads::default());
        }
        let options = QueryOptions { descending: true, limit: None };
        let found = self.table.client.query(&range, None, options).await?;
        let lead_key = |sk: &str| Some(LeadKey { campaign_id: keys::parse_lead_sort_key(sk)?, contact_id });
        let mut lead_keys: Vec<_> = found.items.iter().filter_map(|item| lead_key(sort_key(item))).collect();
        if let Some(after) = after {
            lead_keys.retain(|lead_key| *lead_key < after);
        }
        Ok(FoundLeads { lead_keys, last_evaluated: found.last_evaluated_sk.as_deref().and_then(lead_key) })
    }

    /// Reads the items of these leads in no order, without those that do not exist or whose contact or campaign does not.
    async fn read_visible(&self, lead_keys: &[LeadKey]) -> Result<Vec<Item>> {
        let OrgTable { client, org, .. } = &self.table;
        let contact = |lead_key: &LeadKey| keys::contact(*org, lead_key.contact_id);
        let campaign = |lead_key: &LeadKey| keys::campaign(*org, lead_key.campaign_id);
        let leads: Vec<_> = lead_keys.iter().map(|lead_key| keys::lead(*org, *lead_key)).collect();
        let parents: HashSet<_> =
            lead_keys.iter().flat_map(|lead_key| [contact(lead_key), campaign(lead_key)]).collect();
        let parents: Vec<_> = parents.into_iter().collect();
        let (mut leads, parents) = tokio::try_join!(client.batch_get(&leads), client.existing_keys(&parents))?;
        let is_visible = |key: &LeadKey| parents.contains(&contact(key)) && parents.contains(&campaign(key));
        leads.retain(|item| lead_key_of(item).is_some_and(|key| is_visible(&key)));
        Ok(leads)
    }

    /// The item of a lead that the call `link_id` creates.
    pub(super) fn to_item(&self, lead: &Lead, link_id: Uuid) -> Result<ItemJson> {
        let Lead { key, details, lead_score, current_lead_step_id, created_at, updated_at } = lead;
        let record = LeadItem {
            details: details.clone(),
            current_lead_step_id: *current_lead_step_id,
            created_at: *created_at,
            updated_at: *updated_at,
        };
        let mut item = encode(&keys::lead(self.table.org, *key), ItemType::Lead, &record)?;
        if let Some(score) = lead_score {
            item.insert(LEAD_SCORE, &Attribute::N(score.as_str().into()));
        }
        item.insert_index_attributes(keys::lead_in_indexes(self.table.org, *key));
        item.insert_text(LINK_ID, &link_id.to_string());
        Ok(item)
    }
}

/// Reads a lead from its item.
pub(super) fn from_item(mut item: Item) -> Result<Lead> {
    let lead_score = match item.remove(LEAD_SCORE) {
        None => None,
        Some(value) => match value_to_json(&value) {
            Some(Json::Number(score)) => Some(score),
            _ => return Err(unreadable(&item, ItemType::Lead).into()),
        },
    };
    let key = lead_key_of(&item).ok_or_else(|| unreadable(&item, ItemType::Lead))?;
    let LeadItem { details, current_lead_step_id, created_at, updated_at } = decode(&item, ItemType::Lead)?;
    Ok(Lead { key, details, lead_score, current_lead_step_id, created_at, updated_at })
}

pub(super) fn lead_key_of(item: &Item) -> Option<LeadKey> {
    key_of(item).and_then(|key| keys::parse_lead(&key))
}

/// The error of an index entry whose sort key is not that of a lead.
fn unreadable_index_key() -> dynamodb::Error {
    dynamodb::Error::Unreadable { item_type: ItemType::Lead.as_str(), key_kind: GSI1.name, ids: String::new() }
}

/// The leads that one read of a list found, in its order.
#[derive(Default)]
struct FoundLeads {
    lead_keys: Vec<LeadKey>,
    /// The position after which there may be more; `None` at the end of the list.
    last_evaluated: Option<LeadKey>,
}
