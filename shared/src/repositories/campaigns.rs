//! Campaigns, their lead magnets, and the set of those that are active.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::creation_list::{self, CreationFilter, CreationRanges, ListedByCreation};
use super::error::unexpected;
use super::idempotency::IdempotencyRecord;
use super::listing::{Listed, Page, PageRow};
use super::{Error, OrgTable, Result, cascade};
use crate::domain::{
    AuditAction, Campaign, CampaignDetails, CampaignFilter, CampaignId, CampaignPatch, Kind, LeadMagnet, LeadMagnetId,
    MAX_ACTIVE_CAMPAIGNS, OrgId, time,
};
use crate::dynamodb::StoredItem;
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{ItemJson, ItemType, TYPE, encode, number, set, string_set, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::transaction::Transaction;
use crate::dynamodb::{Backoff, Conditional, CreationPosition, Cursor, DeletedParent, Parent};
use crate::repositories::stored::Stored;

const VERSION: &str = "version";
/// The set in the item of active campaigns.
const CAMPAIGN_IDS: &str = "campaign_ids";

/// The campaigns of one organization.
#[derive(Debug)]
pub struct Campaigns {
    pub(crate) table: OrgTable,
}

/// The attributes of a campaign's item except its keys.
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
    // DynamoDB stores no empty set, so the attribute may be absent.
    #[serde(default, with = "string_set")]
    campaign_ids: BTreeSet<CampaignId>,
}

/// The label of an item in a campaign's transaction, by which a refusal names the item whose condition failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionItem {
    Campaign,
    LeadMagnet,
    ActiveCampaigns,
    Tombstone,
    AuditEntry,
    IdempotencyRecord,
}

impl Campaigns {
    /// A new campaign that is not stored yet.
    pub fn draft(&self, details: CampaignDetails, lead_magnet: Option<&LeadMagnet>) -> Campaign {
        let OrgTable { org, now, .. } = self.table;
        let lead_magnet_id = lead_magnet.map(|_| self.table.new_id());
        Campaign {
            id: self.table.new_id(),
            org_id: org,
            details,
            lead_magnet_id,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    /// Stores a new campaign in one transaction with its lead magnet, its membership in the set of active campaigns, and the
    /// idempotency record.
    ///
    /// # Errors
    /// [`Error::AlreadyCompleted`], [`Error::TooManyActiveCampaigns`], or the database's.
    pub async fn create(
        &self,
        campaign: &Campaign,
        lead_magnet: Option<&LeadMagnet>,
        idempotency_record: Option<&IdempotencyRecord>,
    ) -> Result<()> {
        let mut transaction = self.table.client.transaction();
        transaction.put_new(TransactionItem::Campaign, &to_item(campaign)?);
        self.put_lead_magnet(&mut transaction, campaign, lead_magnet)?;
        self.update_active_campaigns(&mut transaction, campaign.id, false, campaign.is_active());
        match self.table.commit(transaction, TransactionItem::IdempotencyRecord, idempotency_record).await? {
            Conditional::Applied(()) => Ok(()),
            Conditional::Refused(refused) if refused == [TransactionItem::ActiveCampaigns] => {
                Err(Error::TooManyActiveCampaigns)
            }
            Conditional::Refused(refused) => Err(unexpected(format!("new items were refused: {refused:?}"))),
        }
    }

    /// One campaign.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn get(&self, id: CampaignId) -> Result<Campaign> {
        let item = self.table.client.get(&keys::campaign(self.table.org, id)).await?;
        Campaign::from_item(&StoredItem::from(&item.ok_or(Error::NotFound(Kind::Campaign))?))
    }

    /// A page of the organization's campaigns, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list<R: PageRow<Campaign>>(
        &self,
        filter: &CampaignFilter,
        limit: Option<usize>,
        cursor: Option<Cursor<CreationPosition>>,
    ) -> Result<Page<R, CreationPosition>> {
        let shows = |campaign: &Campaign| filter.matches(campaign);
        let org = self.table.org;
        let ranges = CreationRanges::new(keys::campaigns(org), keys::migrated_campaigns(org));
        let filter = CreationFilter { ranges, is_sparse: !filter.is_empty(), shows };
        creation_list::page(&self.table, limit, cursor, filter).await
    }

    /// Changes a campaign and returns it as it is afterwards. A patch that changes nothing writes nothing. The campaign's
    /// status and the set of active campaigns change in one transaction, so the timeline's filter is right at the next read.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooManyActiveCampaigns`], or the database's.
    pub async fn update(&self, id: CampaignId, patch: &CampaignPatch) -> Result<Campaign> {
        let new_lead_magnet = self.table.new_id();
        let mut backoff = Backoff::default();
        loop {
            let campaign = self.get(id).await?;
            let Some(next) = campaign.patched(patch, new_lead_magnet, self.table.now) else { return Ok(campaign) };
            let mut transaction = self.table.client.transaction();
            transaction.put_if(TransactionItem::Campaign, &to_item(&next)?, same_version(&campaign));
            self.put_lead_magnet(&mut transaction, &next, patch.lead_magnet.value())?;
            if let (Some(removed), None) = (campaign.lead_magnet_id, next.lead_magnet_id) {
                transaction.delete(TransactionItem::LeadMagnet, &keys::lead_magnet(self.table.org, removed));
            }
            self.update_active_campaigns(&mut transaction, id, campaign.is_active(), next.is_active());
            match self.table.client.commit(transaction).await? {
                Conditional::Applied(()) => return Ok(next),
                Conditional::Refused(refused) if refused == [TransactionItem::ActiveCampaigns] => {
                    return Err(Error::TooManyActiveCampaigns);
                }
                // Another writer changed the campaign since it was read.
                Conditional::Refused(_) => self.table.client.wait(&mut backoff).await?,
            }
        }
    }

    /// Deletes a campaign with its lead magnet. Its leads are hidden at once and deleted by the worker.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn delete(&self, id: CampaignId) -> Result<()> {
        let OrgTable { org, now, .. } = self.table;
        let deleted = DeletedParent { org, parent: Parent::Campaign(id), import_ids: BTreeSet::new() };
        let mut backoff = Backoff::default();
        loop {
            let campaign = self.get(id).await?;
            let mut transaction = self.table.client.transaction();
            transaction.delete_if(TransactionItem::Campaign, &keys::campaign(org, id), same_version(&campaign));
            transaction.put(TransactionItem::Tombstone, &cascade::tombstone(&deleted, now)?);
            transaction.put(TransactionItem::AuditEntry, &self.table.audit_entry(AuditAction::CampaignDeleted, id)?);
            if let Some(lead_magnet) = campaign.lead_magnet_id {
                transaction.delete(TransactionItem::LeadMagnet, &keys::lead_magnet(org, lead_magnet));
            }
            self.update_active_campaigns(&mut transaction, id, campaign.is_active(), false);
            match self.table.client.commit(transaction).await? {
                Conditional::Applied(()) => return Ok(()),
                // Another writer changed the campaign since it was read.
                Conditional::Refused(_) => self.table.client.wait(&mut backoff).await?,
            }
        }
    }

    fn put_lead_magnet(
        &self,
        transaction: &mut Transaction<TransactionItem>,
        campaign: &Campaign,
        lead_magnet: Option<&LeadMagnet>,
    ) -> Result<()> {
        if let Some((id, lead_magnet)) = campaign.lead_magnet_id.zip(lead_magnet) {
            transaction.put(
                TransactionItem::LeadMagnet,
                &encode(&keys::lead_magnet(self.table.org, id), ItemType::LeadMagnet, lead_magnet)?,
            );
        }
        Ok(())
    }

    /// Adds the change of the set of active campaigns to a transaction, if a campaign becomes or ceases to be active. A full
    /// set refuses another campaign, so that its item stays small: every timeline with the default filter reads it.
    fn update_active_campaigns(
        &self,
        transaction: &mut Transaction<TransactionItem>,
        id: CampaignId,
        was_active: bool,
        is_active: bool,
    ) {
        if was_active == is_active {
            return;
        }
        let key = keys::active_campaigns(self.table.org);
        let mut update = Update::new();
        update.touch(TYPE, text(ItemType::ActiveCampaigns.as_str()));
        let member = set([id]);
        if is_active {
            update.add_members(CAMPAIGN_IDS, member);
            let has_room = Condition::absent_or_fewer(CAMPAIGN_IDS, number(MAX_ACTIVE_CAMPAIGNS));
            transaction.update_if(TransactionItem::ActiveCampaigns, &key, update, has_room);
        } else {
            update.remove_members(CAMPAIGN_IDS, member);
            transaction.update(TransactionItem::ActiveCampaigns, &key, update);
        }
    }
}

impl Listed for Campaign {
    type SortPosition = CreationPosition;
    const DESCENDING: bool = true;

    fn key(org: OrgId, position: CreationPosition) -> Key {
        keys::campaign(org, position.id().into())
    }

    fn position(key: &Key) -> Option<CreationPosition> {
        keys::parse_campaign(key).map(|(_, id)| CreationPosition::Id(id.into()))
    }
}

impl Stored for Campaign {
    fn from_item(item: &StoredItem<'_>) -> Result<Self> {
        let key = item.key().and_then(|key| keys::parse_campaign(&key));
        let (org_id, id) = key.ok_or_else(|| item.unreadable(ItemType::Campaign))?;
        let CampaignItem { details, lead_magnet_id, created_at, updated_at, version } =
            item.decode(ItemType::Campaign)?;
        Ok(Self { id, org_id, details, lead_magnet_id, created_at, updated_at, version })
    }
}

impl ListedByCreation for Campaign {
    fn growing_len(&self) -> usize {
        0
    }
}

/// Reads the organization's active campaigns from their item.
pub(super) fn active_campaigns(item: &StoredItem<'_>) -> Result<BTreeSet<CampaignId>> {
    let ActiveCampaigns { campaign_ids } = item.decode(ItemType::ActiveCampaigns)?;
    Ok(campaign_ids)
}

/// The campaign has not been changed since it was read.
fn same_version(campaign: &Campaign) -> Condition {
    Condition::equals(VERSION, number(campaign.version))
}

fn to_item(campaign: &Campaign) -> Result<ItemJson> {
    let Campaign { id, org_id, details, lead_magnet_id, created_at, updated_at, version } = campaign.clone();
    let record = CampaignItem { details, lead_magnet_id, created_at, updated_at, version };
    let key = keys::campaign(org_id, id);
    let mut item = encode(&key, ItemType::Campaign, &record)?;
    item.insert_index_attributes(keys::migrated_in_index(org_id, &key, created_at));
    Ok(item)
}
