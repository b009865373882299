//! Campaigns, their lead magnets, and the set of those that are active.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::OrgTable;
use super::cascade;
use super::idempotency::IdempotencyRecord;
use super::listing::{self, Listed, Page};
use crate::domain::ids::uuid_at;
use crate::domain::{
    Campaign, CampaignDetails, CampaignFilter, CampaignId, CampaignPatch, LeadMagnet, LeadMagnetId, OrgId, time,
};
use crate::dynamodb::Backoff;
use crate::dynamodb::Cursor;
use crate::dynamodb::expression::Expression;
use crate::dynamodb::item::{Item, Type, item, key_in, number, record, sort_key, text};
use crate::dynamodb::keys::{self, Key, Parent, Range};
use crate::dynamodb::transaction::Transaction;
use crate::dynamodb::{Error, Kind, Result};

const VERSION: &str = "version";
/// The members of the set of active campaigns.
const CAMPAIGN_IDS: &str = "campaign_ids";

/// The campaigns of one organization.
#[derive(Debug)]
pub struct Campaigns(pub(crate) OrgTable);

/// The attributes of a campaign's item, beside its keys.
#[derive(Serialize, Deserialize)]
struct CampaignItem {
    #[serde(flatten)]
    details: CampaignDetails,
    lead_magnet_id: Option<LeadMagnetId>,
    #[serde(with = "time::millis")]
    created_at: DateTime<Utc>,
    #[serde(with = "time::millis")]
    updated_at: DateTime<Utc>,
    version: u64,
}

#[derive(Deserialize)]
struct ActiveCampaigns {
    // A set without members is no attribute at all.
    #[serde(default, with = "serde_dynamo::string_set")]
    campaign_ids: BTreeSet<CampaignId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Campaign,
    LeadMagnet,
    ActiveSet,
    Tombstone,
    IdempotencyRecord,
}

impl Campaigns {
    /// A campaign of this organization, made now and not yet stored.
    pub fn draft(&self, details: CampaignDetails, lead_magnet: Option<&LeadMagnet>) -> Campaign {
        let id = CampaignId::from(uuid_at(self.0.now));
        let lead_magnet_id = lead_magnet.map(|_| LeadMagnetId::from(uuid_at(self.0.now)));
        Campaign {
            id,
            org_id: self.0.org,
            details,
            lead_magnet_id,
            created_at: self.0.now,
            updated_at: self.0.now,
            version: 1,
        }
    }

    /// Stores a new campaign with its lead magnet, its place among the active ones, and the answer to keep: all of it or
    /// nothing.
    ///
    /// # Errors
    /// [`Error::AlreadyAnswered`], or the database's.
    pub async fn create(
        &self,
        campaign: &Campaign,
        lead_magnet: Option<&LeadMagnet>,
        idempotency_record: Option<&IdempotencyRecord>,
    ) -> Result<()> {
        let mut transaction = Transaction::new(self.0.client.table_name());
        transaction.put_new(Part::Campaign, to_item(campaign)?);
        self.put_lead_magnet(&mut transaction, campaign, lead_magnet)?;
        self.move_among_active(&mut transaction, campaign.id, false, campaign.is_active());
        self.0.commit_new(transaction, Part::IdempotencyRecord, idempotency_record).await
    }

    /// One campaign.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn get(&self, id: CampaignId) -> Result<Campaign> {
        let item = self.0.client.get(&keys::campaign(self.0.org, id)).await?;
        Campaign::from_item(item.ok_or(Error::NotFound(Kind::Campaign))?)
    }

    /// A page of the organization's campaigns, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, filter: &CampaignFilter, limit: usize, cursor: Option<Cursor>) -> Result<Page<Campaign>> {
        let shows = |campaign: &Campaign| filter.matches(campaign);
        listing::page_of(&self.0, limit, cursor, !filter.is_empty(), shows).await
    }

    /// Changes a campaign, and gives it back as it is then. What changes nothing writes nothing. Its status and its place
    /// among the active campaigns change together, so that the timeline's filter is right with the next read.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn update(&self, id: CampaignId, patch: &CampaignPatch) -> Result<Campaign> {
        let new_lead_magnet = LeadMagnetId::from(uuid_at(self.0.now));
        let mut backoff = Backoff::default();
        loop {
            let campaign = self.get(id).await?;
            let Some(next) = campaign.patched(patch, new_lead_magnet, self.0.now) else { return Ok(campaign) };
            let mut transaction = Transaction::new(self.0.client.table_name());
            transaction.put_if(Part::Campaign, to_item(&next)?, same_version(&campaign));
            self.put_lead_magnet(&mut transaction, &next, patch.lead_magnet.value())?;
            if let (Some(gone), None) = (campaign.lead_magnet_id, next.lead_magnet_id) {
                transaction.delete(Part::LeadMagnet, &keys::lead_magnet(self.0.org, gone));
            }
            self.move_among_active(&mut transaction, id, campaign.is_active(), next.is_active());
            if self.0.client.commit(transaction).await?.is_empty() {
                return Ok(next);
            }
            self.0.client.wait(&mut backoff).await?;
        }
    }

    /// Deletes a campaign with its lead magnet. What hangs on it is hidden with it, and cleared up behind its tombstone.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn delete(&self, id: CampaignId) -> Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let campaign = self.get(id).await?;
            let mut transaction = Transaction::new(self.0.client.table_name());
            transaction.delete_if(Part::Campaign, &keys::campaign(self.0.org, id), same_version(&campaign));
            transaction.put(Part::Tombstone, cascade::tombstone(self.0.org, Parent::Campaign(id), self.0.now)?);
            if let Some(lead_magnet) = campaign.lead_magnet_id {
                transaction.delete(Part::LeadMagnet, &keys::lead_magnet(self.0.org, lead_magnet));
            }
            self.move_among_active(&mut transaction, id, campaign.is_active(), false);
            if self.0.client.commit(transaction).await?.is_empty() {
                return Ok(());
            }
            self.0.client.wait(&mut backoff).await?;
        }
    }

    fn put_lead_magnet(
        &self,
        transaction: &mut Transaction<Part>,
        campaign: &Campaign,
        lead_magnet: Option<&LeadMagnet>,
    ) -> Result<()> {
        if let Some((id, lead_magnet)) = campaign.lead_magnet_id.zip(lead_magnet) {
            transaction.put(Part::LeadMagnet, item(&keys::lead_magnet(self.0.org, id), Type::LeadMagnet, lead_magnet)?);
        }
        Ok(())
    }

    /// Makes a transaction keep the set of active campaigns in step with a campaign's status.
    fn move_among_active(&self, transaction: &mut Transaction<Part>, id: CampaignId, was: bool, is: bool) {
        let mut change = Expression::default();
        let member = AttributeValue::Ss(vec![id.to_string()]);
        match (was, is) {
            (false, true) => change.add_members(CAMPAIGN_IDS, member),
            (true, false) => change.remove_members(CAMPAIGN_IDS, member),
            (true, true) | (false, false) => return,
        }
        change.note(crate::dynamodb::item::TYPE, text(Type::ActiveCampaigns.as_str()));
        transaction.update(Part::ActiveSet, &keys::active_campaigns(self.0.org), change);
    }
}

impl Listed for Campaign {
    type SortPosition = Uuid;
    const DESCENDING: bool = true;

    fn range(org: OrgId) -> Range {
        keys::campaigns(org)
    }

    fn key(org: OrgId, place: Uuid) -> Key {
        keys::campaign(org, place.into())
    }

    fn from_item(item: Item) -> Result<Self> {
        let key = key_in(&item).and_then(|key| keys::campaign_of(&key));
        let (org_id, id) = key.ok_or_else(|| Error::Unreadable(sort_key(&item)))?;
        let CampaignItem { details, lead_magnet_id, created_at, updated_at, version } = record(item, Type::Campaign)?;
        Ok(Self { id, org_id, details, lead_magnet_id, created_at, updated_at, version })
    }

    fn place(&self) -> Uuid {
        self.id.into()
    }

    fn shown_len(&self) -> usize {
        const REST: usize = 2_000;
        const ACCOUNT: usize = 40;
        let CampaignDetails { description, provider_account_id, .. } = &self.details;
        let description = description.as_ref().map_or(0, |description| description.as_str().len());
        description + provider_account_id.as_slice().len() * ACCOUNT + REST
    }
}

/// The organization's active campaigns, out of their item.
pub(super) fn active(item: Item) -> Result<BTreeSet<CampaignId>> {
    Ok(record::<ActiveCampaigns>(item, Type::ActiveCampaigns)?.campaign_ids)
}

fn same_version(campaign: &Campaign) -> Expression {
    Expression::equals(VERSION, number(campaign.version))
}

fn to_item(campaign: &Campaign) -> Result<Item> {
    let Campaign { id, org_id, details, lead_magnet_id, created_at, updated_at, version } = campaign.clone();
    let record = CampaignItem { details, lead_magnet_id, created_at, updated_at, version };
    item(&keys::campaign(org_id, id), Type::Campaign, &record)
}
