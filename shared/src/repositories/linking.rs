//! Linking: leads of a campaign for the contacts of imports.
//!
//! An import may have tens of thousands of contacts, so no transaction spans the call: each lead is one conditional write,
//! and a call that is interrupted is completed by the same call.
//!
//! The leads of contacts in competing campaigns are read in one of two ways, whichever takes fewer calls: by campaign, a hundred
//! contacts per call, or by contact, all campaigns in one call. By contact, each contact becomes a lead as soon as its own
//! leads are read. So before a call writes, it makes no more of these reads than a page has contacts, however many of the
//! thousand active campaigns compete; otherwise all calls could reach their deadline before their first write.
//!
//! The campaign may be deleted meanwhile. Each page of contacts begins with a read that makes sure that it still exists, so
//! the call ends soon. The leads that it wrote after the deletion are hidden, and go with the campaign's tombstone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;

use futures_util::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::leads::{LINK_ID, Leads, from_item, lead_key_of};
use super::{Error, Result, campaigns};
use crate::domain::{Campaign, CampaignId, ContactId, ImportId, Kind, Lead, LeadKey, Linked};
use crate::dynamodb::StoredItem;
use crate::dynamodb::item::{Item, sort_key, string};
use crate::dynamodb::table_client::{MAX_KEYS_PER_CALL, QueryOptions};
use crate::dynamodb::{Conditional, keys};
use crate::repositories::stored::Stored;

/// The number of contacts that are checked together. With the campaign, their leads fill ten calls.
const CONTACTS_PER_PAGE: usize = 10 * MAX_KEYS_PER_CALL - 1;
/// The most writes that are in flight at once.
const MAX_CONCURRENT_WRITES: usize = 32;

impl Leads {
    /// Creates leads of a campaign for the contacts of these imports, and sets the campaign of the imports.
    ///
    /// Left out are contacts that are leads of the campaign already, and contacts with an open lead of another active
    /// campaign that is sent from one of the same accounts. Two concurrent calls for two campaigns that share an account do
    /// not see each other's new leads.
    ///
    /// May be repeated, and continues an interrupted call; the result reports what this call did.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the campaign or an import, before anything is written, or for a campaign that is deleted
    /// meanwhile; or the database's.
    pub async fn link(&self, campaign_id: CampaignId, import_ids: &BTreeSet<ImportId>) -> Result<Linked> {
        let competing_campaigns = self.competing_campaigns(campaign_id, import_ids).await?;
        let link_id = self.table.new_write_id();
        let (mut contacts, mut inserted) = (HashSet::new(), 0);
        for import_id in import_ids {
            let range = keys::memberships(self.table.org, *import_id);
            let options = QueryOptions { limit: Some(CONTACTS_PER_PAGE), ..QueryOptions::default() };
            let mut pages = pin!(self.table.client.pages(&range, options));
            while let Some(page) = pages.try_next().await? {
                let mut members: Vec<_> =
                    page.items.iter().filter_map(|item| keys::parse_membership_sort_key(sort_key(item))).collect();
                // A contact of several imports is considered once, so no more contacts are inserted than considered.
                members.retain(|contact| contacts.insert(*contact));
                inserted += self.insert_leads(campaign_id, &competing_campaigns, members, link_id).await?;
            }
        }
        stream::iter(import_ids.iter().copied())
            .map(|import_id| self.table.set_campaign(import_id, campaign_id))
            .buffer_unordered(MAX_CONCURRENT_WRITES)
            .try_collect::<()>()
            .await?;
        Ok(Linked { campaign_id, imports: import_ids.len(), contacts: contacts.len(), inserted })
    }

    /// The other active campaigns that are sent from an account of this one. Makes sure that the campaign and the imports
    /// exist.
    async fn competing_campaigns(
        &self,
        campaign_id: CampaignId,
        import_ids: &BTreeSet<ImportId>,
    ) -> Result<HashSet<CampaignId>> {
        let org = self.table.org;
        let (campaign_key, active_key) = (keys::campaign(org, campaign_id), keys::active_campaigns(org));
        let import_keys: Vec<_> = import_ids.iter().map(|id| keys::import(org, *id)).collect();
        let mut wanted = vec![campaign_key.clone(), active_key.clone()];
        wanted.extend(import_keys.iter().cloned());
        let items: Vec<Item> = self.table.client.batch_get(&wanted).await?;
        let mut items: HashMap<_, _> = items.into_iter().map(|item| (sort_key(&item).to_owned(), item)).collect();
        let campaign = items.remove(&campaign_key.sk).ok_or(Error::NotFound(Kind::Campaign))?;
        let active = match items.remove(&active_key.sk) {
            Some(item) => campaigns::active_campaigns(&StoredItem::from(&item))?,
            None => BTreeSet::new(),
        };
        if import_keys.iter().any(|import| !items.contains_key(&import.sk)) {
            return Err(Error::NotFound(Kind::Import));
        }
        let campaign = Campaign::from_item(&StoredItem::from(&campaign))?;
        if campaign.details.provider_account_id.as_slice().is_empty() {
            return Ok(HashSet::new());
        }
        let others: Vec<_> =
            active.into_iter().filter(|id| *id != campaign_id).map(|id| keys::campaign(org, id)).collect();
        let mut competing = HashSet::new();
        for other in self.table.client.batch_get::<Result<Campaign>>(&others).await? {
            let other = other?;
            if share_an_account(&other, &campaign) {
                competing.insert(other.id);
            }
        }
        Ok(competing)
    }

    /// Creates leads for those contacts that are not taken, and returns the number of new leads.
    async fn insert_leads(
        &self,
        campaign_id: CampaignId,
        competing_campaigns: &HashSet<CampaignId>,
        mut contacts: Vec<ContactId>,
        link_id: Uuid,
    ) -> Result<usize> {
        // A call that continues another one finds most contacts among the campaign's own leads, so these are checked first.
        let taken = self.already_leads(campaign_id, &contacts).await?;
        contacts.retain(|contact| !taken.contains(contact));
        let calls_by_campaign = competing_campaigns.len() * contacts.len().div_ceil(MAX_KEYS_PER_CALL);
        let read_by_contact = calls_by_campaign > contacts.len();
        if !read_by_contact {
            self.retain_untaken(&mut contacts, competing_campaigns).await?;
        }
        stream::iter(contacts)
            .map(|contact_id| async move {
                if read_by_contact && self.is_taken(contact_id, competing_campaigns).await? {
                    return Ok(false);
                }
                self.insert(LeadKey { campaign_id, contact_id }, link_id).await
            })
            .buffer_unordered(MAX_CONCURRENT_WRITES)
            .try_fold(0, async |count, inserted| Ok(count + usize::from(inserted)))
            .await
    }

    /// Keeps the contacts without an open lead of these campaigns. Reads the leads of one campaign after the other.
    async fn retain_untaken(&self, contacts: &mut Vec<ContactId>, campaigns: &HashSet<CampaignId>) -> Result<()> {
        for campaign in campaigns {
            let leads = self.leads_of(*campaign, contacts).await?;
            let open = leads.iter().filter(|lead| lead.details.lead_status.is_open());
            let taken: HashSet<_> = open.map(|lead| lead.key.contact_id).collect();
            contacts.retain(|contact| !taken.contains(contact));
        }
        Ok(())
    }

    /// Whether a contact has an open lead of one of these campaigns. Reads the leads of the contact.
    async fn is_taken(&self, contact_id: ContactId, campaigns: &HashSet<CampaignId>) -> Result<bool> {
        let range = keys::leads(self.table.org, contact_id);
        let mut pages = pin!(self.table.client.pages(&range, QueryOptions::default()));
        while let Some(page) = pages.try_next().await? {
            for item in page.items {
                let is_competing = lead_key_of(&item).is_some_and(|key| campaigns.contains(&key.campaign_id));
                if is_competing && from_item(item)?.details.lead_status.is_open() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Those of these contacts that are leads of the campaign already. The same read makes sure that the campaign exists.
    async fn already_leads(&self, campaign_id: CampaignId, contacts: &[ContactId]) -> Result<HashSet<ContactId>> {
        let campaign_key = keys::campaign(self.table.org, campaign_id);
        let mut wanted = vec![campaign_key.clone()];
        for contact_id in contacts {
            wanted.push(keys::lead(self.table.org, LeadKey { campaign_id, contact_id: *contact_id }));
        }
        let stored = self.table.client.existing_keys(&wanted).await?;
        if !stored.contains(&campaign_key) {
            return Err(Error::NotFound(Kind::Campaign));
        }
        Ok(stored.iter().filter_map(keys::parse_lead).map(|lead_key| lead_key.contact_id).collect())
    }

    /// The leads of a campaign among these contacts.
    async fn leads_of(&self, campaign_id: CampaignId, contacts: &[ContactId]) -> Result<Vec<Lead>> {
        let key = |contact_id: &ContactId| keys::lead(self.table.org, LeadKey { campaign_id, contact_id: *contact_id });
        let leads = self.table.client.batch_get(&contacts.iter().map(key).collect::<Vec<_>>()).await?;
        leads.into_iter().map(from_item).collect()
    }

    /// Creates a lead; `false` if another call has created it meanwhile.
    async fn insert(&self, lead_key: LeadKey, link_id: Uuid) -> Result<bool> {
        let item = self.to_item(&Lead::new(lead_key, self.table.now), link_id)?;
        Ok(match self.table.client.put_new(&item).await? {
            Conditional::Applied(()) => true,
            // The stored lead is this call's own if the response to an earlier attempt was lost.
            Conditional::Refused(stored) => string(&stored, LINK_ID) == Some(link_id.to_string()),
        })
    }
}

fn share_an_account(one: &Campaign, other: &Campaign) -> bool {
    one.details.provider_account_id.overlap(&other.details.provider_account_id)
}
