//! Making leads of the contacts of imports.
//!
//! Nothing spans the whole: each lead is one conditional write, and a call that is stopped is simply made again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;

use futures_util::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::campaigns;
use super::leads::{LINK_ID, Leads, from_item};
use super::listing::Listed;
use crate::domain::{Campaign, CampaignId, ContactId, ImportId, Lead, LeadKey, Linked};
use crate::dynamodb::item::{sort_key, string};
use crate::dynamodb::keys;
use crate::dynamodb::table_client::Reading;
use crate::dynamodb::{Error, Kind, Result};

/// How many contacts are looked at together.
const CONTACTS_A_PAGE: usize = 1_000;
/// How many writes are under way at once.
const WRITES_AT_ONCE: usize = 32;

impl Leads {
    /// Makes leads of a campaign of the contacts of these imports, and notes the campaign in the imports. Left out are
    /// contacts that are its leads already, and open leads of another active campaign that is sent from an account of its
    /// own.
    ///
    /// May be repeated, and goes on where it was stopped; what it tells is what this call did. Two calls at once for two
    /// campaigns that share an account do not see each other's new leads.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the campaign or an import, before anything is written, or the database's.
    pub async fn link(&self, campaign_id: CampaignId, import_ids: &BTreeSet<ImportId>) -> Result<Linked> {
        let competing_campaigns = self.competing_campaigns(campaign_id, import_ids).await?;
        let link_id = Uuid::new_v4();
        let (mut contacts, mut inserted) = (HashSet::new(), 0);
        for import_id in import_ids {
            let range = keys::memberships(self.0.org, *import_id);
            let reading = Reading { limit: Some(CONTACTS_A_PAGE), ..Reading::default() };
            let mut pages = pin!(self.0.client.pages(&range, reading));
            while let Some(page) = pages.try_next().await? {
                let members: Vec<_> = page.items.iter().filter_map(|item| keys::member(&sort_key(item))).collect();
                contacts.extend(members.iter().copied());
                inserted += self.insert_leads(campaign_id, &competing_campaigns, members, link_id).await?;
            }
        }
        let notes =
            stream::iter(import_ids.iter().copied()).map(|import_id| self.0.set_campaign(import_id, campaign_id));
        notes.buffer_unordered(WRITES_AT_ONCE).try_collect::<()>().await?;
        Ok(Linked { campaign_id, imports: import_ids.len(), contacts: contacts.len(), inserted })
    }

    /// The other active campaigns that are sent from an account of this one, after making sure that it and the imports
    /// are there.
    async fn competing_campaigns(
        &self,
        campaign_id: CampaignId,
        import_ids: &BTreeSet<ImportId>,
    ) -> Result<Vec<CampaignId>> {
        let (campaign, active) = (keys::campaign(self.0.org, campaign_id), keys::active_campaigns(self.0.org));
        let imports: Vec<_> = import_ids.iter().map(|id| keys::import(self.0.org, *id)).collect();
        let wanted = [campaign.clone(), active.clone()].into_iter().chain(imports.iter().cloned());
        let items = self.0.client.batch_get(&wanted.collect::<Vec<_>>()).await?;
        let mut items: HashMap<_, _> = items.into_iter().map(|item| (sort_key(&item), item)).collect();
        let campaign = items.remove(&campaign.sk).ok_or(Error::NotFound(Kind::Campaign))?;
        let active = items.remove(&active.sk).map(campaigns::active).transpose()?.unwrap_or_default();
        if imports.iter().any(|import| !items.contains_key(&import.sk)) {
            return Err(Error::NotFound(Kind::Import));
        }
        let campaign = Campaign::from_item(campaign)?;
        if campaign.details.provider_account_id.as_slice().is_empty() {
            return Ok(Vec::new());
        }
        let others = active.into_iter().filter(|id| *id != campaign_id).map(|id| keys::campaign(self.0.org, id));
        let others = self.0.client.batch_get(&others.collect::<Vec<_>>()).await?;
        let others = others.into_iter().map(Campaign::from_item).collect::<Result<Vec<_>>>()?;
        let competing_campaigns = others.iter().filter(|other| share_an_account(other, &campaign));
        Ok(competing_campaigns.map(|rival| rival.id).collect())
    }

    /// Makes leads of those contacts that may be. Gives their number.
    async fn insert_leads(
        &self,
        campaign_id: CampaignId,
        competing_campaigns: &[CampaignId],
        mut contacts: Vec<ContactId>,
        link_id: Uuid,
    ) -> Result<usize> {
        // The campaign's own leads first: a call that goes on where another was stopped has to ask no more of those.
        for campaign in [campaign_id].iter().chain(competing_campaigns) {
            let leads = self.leads_of(*campaign, &contacts).await?;
            let taken = leads.iter().filter(|lead| *campaign == campaign_id || lead.details.lead_status.is_open());
            let taken: HashSet<_> = taken.map(|lead| lead.key.contact_id).collect();
            contacts.retain(|contact| !taken.contains(contact));
        }
        stream::iter(contacts)
            .map(|contact_id| self.insert(LeadKey { campaign_id, contact_id }, link_id))
            .buffer_unordered(WRITES_AT_ONCE)
            .try_fold(0, async |count, inserted| Ok(count + usize::from(inserted)))
            .await
    }

    /// Those of these contacts' leads that are a campaign's.
    async fn leads_of(&self, campaign_id: CampaignId, contacts: &[ContactId]) -> Result<Vec<Lead>> {
        let key = |contact_id: &ContactId| keys::lead(self.0.org, LeadKey { campaign_id, contact_id: *contact_id });
        let leads = self.0.client.batch_get(&contacts.iter().map(key).collect::<Vec<_>>()).await?;
        leads.into_iter().map(from_item).collect()
    }

    /// Makes a lead, unless another call did meanwhile.
    async fn insert(&self, place: LeadKey, link_id: Uuid) -> Result<bool> {
        let item = self.to_item(&Lead::new(place, self.0.now), link_id)?;
        Ok(match self.0.client.put_new(item).await? {
            Ok(()) => true,
            // It is this call's own where the answer to an earlier attempt was lost.
            Err(there) => string(&there, LINK_ID) == Some(link_id.to_string()),
        })
    }
}

fn share_an_account(one: &Campaign, other: &Campaign) -> bool {
    one.details.provider_account_id.overlap(&other.details.provider_account_id)
}
