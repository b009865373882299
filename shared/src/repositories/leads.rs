//! Leads: reading and changing them. `linking` makes them.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::OrgTable;
use super::listing::{self, Page, Row, Rows};
use crate::domain::{CampaignId, ContactId, Json, Lead, LeadDetails, LeadFilter, LeadId, LeadKey, LeadPatch, time};
use crate::dynamodb::Cursor;
use crate::dynamodb::expression::Expression;
use crate::dynamodb::item::{
    Item, Type, changed_attributes, item, key_in, number, record, sort_key, text, value_to_json,
};
use crate::dynamodb::keys::{self, GSI1, GSI2, PK};
use crate::dynamodb::table_client::Reading;
use crate::dynamodb::{Error, Kind, Result};

const NOT_FOUND: Error = Error::NotFound(Kind::Lead);
const LEAD_SCORE: &str = "lead_score";
/// Which call made the lead.
pub(super) const LINK_ID: &str = "link_id";

/// The leads of one organization. They are found by indexes, which follow the table a moment later; what is told of them
/// is read consistently. The lead of a contact or a campaign that is gone is as good as gone.
#[derive(Debug)]
pub struct Leads(pub(crate) OrgTable);

/// The attributes of a lead's item, beside its keys and its score.
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
        let range = keys::leads_by_id(self.0.org, id);
        let found = self.0.client.query_index(&GSI2, &range, None, &Reading::default()).await?;
        let places: Vec<_> =
            found.entries.iter().filter_map(|entry| keys::parse_lead_sort_key(&entry.index_sk)).collect();
        self.read(&places).await?.pop().ok_or(NOT_FOUND)
    }

    /// Changes a lead, and gives it back as it is then. What changes nothing writes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn update(&self, id: LeadId, patch: &LeadPatch) -> Result<Lead> {
        let lead = self.get(id).await?;
        let mut change = Expression::default();
        change.change(changed_attributes(patch)?);
        change.patch(LEAD_SCORE, &patch.lead_score, |score| number(score.as_str()));
        if change.changes_nothing() {
            return Ok(lead);
        }
        change.require_present(PK);
        change.note("updated_at", text(time::to_millis(self.0.now)));
        match self.0.client.update(&keys::lead(self.0.org, lead.key), change).await? {
            Ok(item) | Err(Some(item)) => from_item(item),
            Err(None) => Err(NOT_FOUND),
        }
    }

    /// A page of the organization's leads: by campaign, then by contact, both newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        filter: &LeadFilter,
        limit: usize,
        cursor: Option<Cursor<LeadKey>>,
    ) -> Result<Page<Lead, LeadKey>> {
        listing::page(limit, cursor, |after, wanted| async move {
            let (places, more) = match filter.contact_id {
                Some(contact) => self.of_contact(contact, filter.campaign_id, after).await?,
                None => self.by_campaign(filter, after, wanted).await?,
            };
            let leads = self.read(&places).await?;
            let rows = listing::in_order(places, leads, |lead| lead.key).map(|(place, lead)| Row {
                place,
                shown: lead.filter(|lead| filter.matches(lead)),
                bytes: SHOWN_BYTES,
            });
            Ok(Rows { rows: rows.collect(), more })
        })
        .await
    }

    async fn by_campaign(&self, filter: &LeadFilter, after: Option<LeadKey>, wanted: usize) -> Result<Found> {
        // Of a status that few have, few a read would be few a page.
        const AT_LEAST: usize = 500;
        let limit = if filter.status.is_some() { wanted.max(AT_LEAST) } else { wanted };
        let range = keys::leads_by_campaign(self.0.org, filter.campaign_id);
        let after = after.map(keys::lead_sort_key);
        let reading = Reading { descending: true, limit: Some(limit) };
        let found = self.0.client.query_index(&GSI1, &range, after.as_deref(), &reading).await?;
        let places = found.entries.iter().filter_map(|entry| keys::parse_lead_sort_key(&entry.index_sk));
        Ok((places.collect(), found.last.as_deref().and_then(keys::parse_lead_sort_key)))
    }

    /// The leads of one contact lie together, and are found without an index.
    async fn of_contact(
        &self,
        contact_id: ContactId,
        campaign_id: Option<CampaignId>,
        after: Option<LeadKey>,
    ) -> Result<Found> {
        let sk = |campaign_id| keys::lead(self.0.org, LeadKey { campaign_id, contact_id }).sk;
        let mut range = keys::leads(self.0.org, contact_id);
        if let Some(campaign_id) = campaign_id {
            range = range.starting_at(&sk(campaign_id)).ending_at(&sk(campaign_id));
        }
        if let Some(after) = after {
            range = range.ending_at(&sk(after.campaign_id));
        }
        if range.is_empty() {
            return Ok((Vec::new(), None));
        }
        let found = self.0.client.query(&range, None, &Reading { descending: true, limit: None }).await?;
        let place = |sk: &str| Some(LeadKey { campaign_id: keys::lead_campaign(sk)?, contact_id });
        let places = found.items.iter().filter_map(|item| place(&sort_key(item)));
        let places = places.filter(|place| after.is_none_or(|after| *place < after));
        Ok((places.collect(), found.last.as_deref().and_then(place)))
    }

    /// The leads of these places, in no order, but for those that are gone or whose contact or campaign is.
    async fn read(&self, places: &[LeadKey]) -> Result<Vec<Lead>> {
        let contact = |place: &LeadKey| keys::contact(self.0.org, place.contact_id);
        let campaign = |place: &LeadKey| keys::campaign(self.0.org, place.campaign_id);
        let leads: Vec<_> = places.iter().map(|place| keys::lead(self.0.org, *place)).collect();
        let parents: HashSet<_> = places.iter().flat_map(|place| [contact(place), campaign(place)]).collect();
        let parents: Vec<_> = parents.into_iter().collect();
        let (leads, parents) = tokio::try_join!(self.0.client.batch_get(&leads), self.0.client.existing(&parents))?;
        let mut leads = leads.into_iter().map(from_item).collect::<Result<Vec<_>>>()?;
        leads.retain(|Lead { key: place, .. }| parents.contains(&contact(place)) && parents.contains(&campaign(place)));
        Ok(leads)
    }

    /// A lead's item, as the call of this id makes it.
    pub(super) fn to_item(&self, lead: &Lead, link_id: Uuid) -> Result<Item> {
        let Lead { key, details, lead_score, current_lead_step_id, created_at, updated_at } = lead;
        let record = LeadItem {
            details: details.clone(),
            current_lead_step_id: *current_lead_step_id,
            created_at: *created_at,
            updated_at: *updated_at,
        };
        let mut item = item(&keys::lead(self.0.org, *key), Type::Lead, &record)?;
        item.extend(lead_score.as_ref().map(|score| (LEAD_SCORE.to_owned(), number(score.as_str()))));
        item.extend(keys::lead_in_indexes(self.0.org, *key).map(|(name, value)| (name.to_owned(), text(value))));
        item.insert(LINK_ID.to_owned(), text(link_id.to_string()));
        Ok(item)
    }
}

/// A stored lead.
pub(super) fn from_item(mut item: Item) -> Result<Lead> {
    let lead_score = match item.remove(LEAD_SCORE) {
        None => None,
        Some(value) => match value_to_json(&value) {
            Some(Json::Number(score)) => Some(score),
            _ => return Err(Error::Unreadable(sort_key(&item))),
        },
    };
    let key = key_in(&item).and_then(|key| keys::lead_of(&key)).ok_or_else(|| Error::Unreadable(sort_key(&item)))?;
    let LeadItem { details, current_lead_step_id, created_at, updated_at } = record(item, Type::Lead)?;
    Ok(Lead { key, details, lead_score, current_lead_step_id, created_at, updated_at })
}

/// About how long a lead is in an answer at the most, in bytes.
const SHOWN_BYTES: usize = 1_000;

/// Leads in the order of a list, and the place to go on after, if there may be more.
type Found = (Vec<LeadKey>, Option<LeadKey>);
