//! A campaign: a series of messages to its leads.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ids::parse_uuids;
use super::text::choice;
use super::{CampaignId, InvalidValue, LeadMagnetId, Line, OrgId, Paragraphs, Patch, TimeOfDay, WebUrl};

/// The most active campaigns of an organization.
pub const MAX_ACTIVE_CAMPAIGNS: usize = 1_000;

choice! {
    /// The state of a campaign. The default filter of timelines shows active campaigns only.
    CampaignStatus {
        /// In preparation.
        Draft = "draft",
        /// Running.
        Active = "active",
        /// Suspended.
        Paused = "paused",
        /// Finished.
        Archived = "archived",
    }
}

choice! {
    /// The review of messages before they are sent.
    Review {
        /// A person reviews each message.
        HumanReview = "human_review",
        /// Messages are sent without review.
        Auto = "auto",
    }
}

choice! {
    /// The type of the resource that a lead magnet offers.
    LeadMagnetType {
        /// A PDF document.
        Pdf = "pdf",
        /// A Word document in the format before 2007.
        Doc = "doc",
        /// A Word document.
        Docx = "docx",
        /// A video.
        Video = "video",
        /// An image.
        Image = "image",
        /// A web page.
        Webpage = "webpage",
        /// An e-book.
        Ebook = "ebook",
    }
}

/// The working hours in which meetings of a campaign may take place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Availability {
    /// The first minute.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub start_working: TimeOfDay,
    /// The end, later than the start.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub end_working: TimeOfDay,
    /// `true` if meetings may take place on Saturdays and Sundays.
    pub weekend_work: bool,
    /// The calendar of the meetings.
    #[cfg_attr(feature = "openapi", schema(inline, required))]
    pub calendar_id: Option<Line<200>>,
}

/// A resource that a campaign offers its leads, such as a guide to download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadMagnet {
    /// The title.
    pub name: Line<200>,
    /// A description.
    pub description: Option<Paragraphs<5000>>,
    /// The URL of the resource.
    pub url: WebUrl,
    /// The type of the resource, if it was sent.
    pub content_type: Option<LeadMagnetType>,
}

/// The accounts that a campaign is sent from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderAccounts(Vec<Uuid>);

impl ProviderAccounts {
    /// The maximum number of accounts of one campaign.
    pub const MAX: usize = 100;

    /// The accounts.
    pub fn as_slice(&self) -> &[Uuid] {
        &self.0
    }

    /// `true` if both campaigns are sent from at least one common account.
    pub fn overlap(&self, other: &Self) -> bool {
        self.0.iter().any(|account| other.0.contains(account))
    }
}

impl TryFrom<Vec<String>> for ProviderAccounts {
    type Error = InvalidValue;

    fn try_from(ids: Vec<String>) -> Result<Self, InvalidValue> {
        if ids.len() > Self::MAX {
            return Err(InvalidValue::TooMany { max: Self::MAX, elements: "accounts" });
        }
        parse_uuids(&ids).map(Self)
    }
}

/// The fields of a campaign that clients write, but for the lead magnet.
///
/// The stored item and the JSON of a campaign embed them: they are declared here and in [`CampaignPatch`] only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignDetails {
    /// The title.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub name: Line<200>,
    /// A description.
    #[cfg_attr(feature = "openapi", schema(inline, required))]
    pub description: Option<Paragraphs<5000>>,
    /// The state of the campaign; a new one is a draft.
    pub status: CampaignStatus,
    /// The service that the campaign sells.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub service_id: Option<Uuid>,
    /// The ideal customer profile of the campaign.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub icp_profile_id: Option<Uuid>,
    /// The kind of meeting that the campaign aims at.
    #[cfg_attr(feature = "openapi", schema(inline, required))]
    pub target_meeting_type: Option<Line<200>>,
    /// The review of messages before they are sent.
    pub review_required_default: Review,
    /// The name that signs the messages.
    #[cfg_attr(feature = "openapi", schema(inline, required))]
    pub seller_name: Option<Line<200>>,
    /// The accounts that the campaign is sent from.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Uuid>))]
    pub provider_account_id: ProviderAccounts,
    /// `true` if the campaign publishes posts.
    pub publish_posts: bool,
    /// The working hours for meetings.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub availability_data: Option<Availability>,
}

/// A campaign of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Version 7, so that campaigns are stored in the order of their creation.
    pub id: CampaignId,
    /// The organization that owns the campaign.
    pub org_id: OrgId,
    /// The fields that clients write.
    pub details: CampaignDetails,
    /// The lead magnet, which is stored as a separate item.
    pub lead_magnet_id: Option<LeadMagnetId>,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// The time of the last change, to the millisecond.
    pub updated_at: DateTime<Utc>,
    /// 1 on creation, incremented with every write.
    pub version: u64,
}

/// The changes that a client sends to an existing campaign, or the fields of a new one.
#[derive(Debug, Clone, Default)]
pub struct CampaignPatch {
    /// A new title.
    pub name: Option<Line<200>>,
    /// A new description, or its removal.
    pub description: Patch<Paragraphs<5000>>,
    /// A new state.
    pub status: Option<CampaignStatus>,
    /// A new service, or its removal.
    pub service_id: Patch<Uuid>,
    /// A new customer profile, or its removal.
    pub icp_profile_id: Patch<Uuid>,
    /// A new kind of meeting, or its removal.
    pub target_meeting_type: Patch<Line<200>>,
    /// A new rule of review.
    pub review_required_default: Option<Review>,
    /// A new name to sign with, or its removal.
    pub seller_name: Patch<Line<200>>,
    /// New accounts; [`Patch::Clear`] removes all.
    pub provider_account_id: Patch<ProviderAccounts>,
    /// `true` to publish posts.
    pub publish_posts: Option<bool>,
    /// New working hours, or their removal.
    pub availability_data: Patch<Availability>,
    /// A new lead magnet in place of the campaign's, or its removal.
    pub lead_magnet: Patch<LeadMagnet>,
}

impl CampaignDetails {
    /// The details of a new campaign with these fields; `None` if a required field is missing.
    pub fn new(patch: &CampaignPatch) -> Option<Self> {
        let patch = patch.clone();
        Some(Self {
            name: patch.name?,
            description: patch.description.into_value(),
            status: patch.status.unwrap_or(CampaignStatus::Draft),
            service_id: patch.service_id.into_value(),
            icp_profile_id: patch.icp_profile_id.into_value(),
            target_meeting_type: patch.target_meeting_type.into_value(),
            review_required_default: patch.review_required_default.unwrap_or(Review::HumanReview),
            seller_name: patch.seller_name.into_value(),
            provider_account_id: patch.provider_account_id.into_value().unwrap_or_default(),
            publish_posts: patch.publish_posts.unwrap_or(true),
            availability_data: patch.availability_data.into_value(),
        })
    }

    /// The details after the changes.
    #[must_use]
    pub fn patched(&self, patch: &CampaignPatch) -> Self {
        Self {
            name: patch.name.as_ref().unwrap_or(&self.name).clone(),
            description: patch.description.applied_to(&self.description),
            status: patch.status.unwrap_or(self.status),
            service_id: patch.service_id.applied_to(&self.service_id),
            icp_profile_id: patch.icp_profile_id.applied_to(&self.icp_profile_id),
            target_meeting_type: patch.target_meeting_type.applied_to(&self.target_meeting_type),
            review_required_default: patch.review_required_default.unwrap_or(self.review_required_default),
            seller_name: patch.seller_name.applied_to(&self.seller_name),
            provider_account_id: match &patch.provider_account_id {
                Patch::Keep => self.provider_account_id.clone(),
                Patch::Clear => ProviderAccounts::default(),
                Patch::Set(accounts) => accounts.clone(),
            },
            publish_posts: patch.publish_posts.unwrap_or(self.publish_posts),
            availability_data: patch.availability_data.applied_to(&self.availability_data),
        }
    }
}

impl Campaign {
    /// `true` if the default filter of timelines shows its activities.
    pub fn is_active(&self) -> bool {
        self.details.status == CampaignStatus::Active
    }

    /// The next version of this campaign; `None` if the patch changes nothing. A sent lead magnet always counts as a change,
    /// since the stored one is a separate item that has not been read. It replaces that item, or gets the id `new_lead_magnet`.
    pub fn patched(&self, patch: &CampaignPatch, new_lead_magnet: LeadMagnetId, now: DateTime<Utc>) -> Option<Self> {
        let mut next = Self { details: self.details.patched(patch), ..self.clone() };
        match &patch.lead_magnet {
            Patch::Keep => {}
            Patch::Clear => next.lead_magnet_id = None,
            Patch::Set(_) => next.lead_magnet_id = Some(self.lead_magnet_id.unwrap_or(new_lead_magnet)),
        }
        if next == *self && patch.lead_magnet.value().is_none() {
            return None;
        }
        // The write of a later request may have been faster, and the time of a change never goes back.
        next.updated_at = now.max(self.updated_at);
        next.version += 1;
        Some(next)
    }
}

/// The conditions of a list of campaigns. Every condition that is set narrows it.
#[derive(Debug, Clone, Default)]
pub struct CampaignFilter {
    /// Campaigns in this state.
    pub status: Option<CampaignStatus>,
    /// Campaigns for this customer profile.
    pub icp_profile_id: Option<Uuid>,
}

impl CampaignFilter {
    /// `true` if no condition is set.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.icp_profile_id.is_none()
    }

    /// `true` if the list shows this campaign.
    pub fn matches(&self, campaign: &Campaign) -> bool {
        self.status.is_none_or(|status| status == campaign.details.status)
            && self.icp_profile_id.is_none_or(|id| Some(id) == campaign.details.icp_profile_id)
    }
}
