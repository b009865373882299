//! A campaign: a series of messages to the leads that are linked to it.

use std::str::FromStr;

use chrono::{DateTime, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ids::parse_uuids;
use super::text::{choice, text_schema, text_value};
use super::{CampaignId, InvalidValue, LeadMagnetId, Line, OrgId, Paragraphs, Patch};

choice! {
    /// How far a campaign has come. Only an active one is part of the timeline's default filter.
    CampaignStatus {
        /// Being prepared.
        Draft = "draft",
        /// Running.
        Active = "active",
        /// Stopped for a while.
        Paused = "paused",
        /// Over.
        Archived = "archived",
    }
}

choice! {
    /// Whether a person looks at a message before it is sent.
    Review {
        /// Yes.
        HumanReview = "human_review",
        /// No.
        Auto = "auto",
    }
}

choice! {
    /// What kind of thing a lead magnet is.
    LeadMagnetType {
        /// A PDF document.
        Pdf = "pdf",
        /// An old Word document.
        Doc = "doc",
        /// A Word document.
        Docx = "docx",
        /// A film.
        Video = "video",
        /// A picture.
        Image = "image",
        /// A page.
        Webpage = "webpage",
        /// A book.
        Ebook = "ebook",
    }
}

text_value! {
    /// A time of the day, `HH:MM`: texts of one width, so that their order is that of the times.
    TimeOfDay, public, |schema| schema.examples(["09:00"])
}

impl TimeOfDay {
    /// Reads a time of the day, from `00:00` to `23:59`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| text.len() == 5);
        time.map(|_| Self(text.to_owned())).ok_or(InvalidValue::Rule("must be a time as HH:MM"))
    }
}

/// A URL of a web resource: `http` or `https`, with a host, without white space, at most 2,048 bytes.
///
/// ```
/// # use shared::domain::WebUrl;
/// assert!("https://example.com/guide.pdf".parse::<WebUrl>().is_ok());
/// assert!("ftp://example.com/guide.pdf".parse::<WebUrl>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebUrl(String);

impl WebUrl {
    /// The URL as it was sent, trimmed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebUrl {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const MAX_BYTES: usize = 2_048;
        const INVALID: InvalidValue = InvalidValue::Rule("must be an http or https URL");
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(INVALID)?;
        let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let has_gap = text.contains(|c: char| c.is_whitespace() || c.is_control());
        if is_web && !host.is_empty() && !has_gap && text.len() <= MAX_BYTES {
            Ok(Self(text.to_owned()))
        } else {
            Err(INVALID)
        }
    }
}

text_schema!(WebUrl, |schema| {
    let uri = utoipa::openapi::SchemaFormat::Custom("uri".to_owned());
    schema.format(Some(uri)).max_length(Some(2_048))
});

/// The working hours in which meetings of a campaign may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Availability {
    /// The first minute.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub start_working: TimeOfDay,
    /// The end, later than the start.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub end_working: TimeOfDay,
    /// `true` if Saturdays and Sundays count.
    pub weekend_work: bool,
    /// The calendar of the meetings.
    #[cfg_attr(feature = "openapi", schema(inline, required))]
    pub calendar_id: Option<Line<200>>,
}

/// What a campaign offers a lead, such as a guide to download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadMagnet {
    /// The title.
    pub name: Line<200>,
    /// A description.
    pub description: Option<Paragraphs<5000>>,
    /// The URL of the resource.
    pub url: WebUrl,
    /// The type of the resource.
    pub content_type: LeadMagnetType,
}

/// The accounts that a campaign is sent from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderAccounts(Vec<Uuid>);

impl ProviderAccounts {
    /// The most accounts of one campaign.
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
            return Err(InvalidValue::Rule("must hold at most 100 accounts"));
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
    /// The lead magnet, an item of its own.
    pub lead_magnet_id: Option<LeadMagnetId>,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// The time of the last change, to the millisecond.
    pub updated_at: DateTime<Utc>,
    /// 1 on creation, incremented with every write.
    pub version: u64,
}

/// The changes that a client sends: of an existing campaign, or of one that is still empty.
#[derive(Debug, Clone, Default)]
pub struct CampaignPatch {
    /// A new title.
    pub name: Option<Line<200>>,
    /// A new description, or none.
    pub description: Patch<Paragraphs<5000>>,
    /// A new state.
    pub status: Option<CampaignStatus>,
    /// A new service, or none.
    pub service_id: Patch<Uuid>,
    /// A new customer profile, or none.
    pub icp_profile_id: Patch<Uuid>,
    /// A new kind of meeting, or none.
    pub target_meeting_type: Patch<Line<200>>,
    /// A new rule of review.
    pub review_required_default: Option<Review>,
    /// A new name to sign with, or none.
    pub seller_name: Patch<Line<200>>,
    /// New accounts; [`Patch::Clear`] removes all.
    pub provider_account_id: Patch<ProviderAccounts>,
    /// Whether the campaign is to publish posts.
    pub publish_posts: Option<bool>,
    /// New working hours, or none.
    pub availability_data: Patch<Availability>,
    /// A new lead magnet in place of the campaign's, or none.
    pub lead_magnet: Patch<LeadMagnet>,
}

impl CampaignDetails {
    /// The details of a campaign that consists of these changes; `None` where a required field is missing.
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
    /// `true` if its activities are part of the timeline's default filter.
    pub fn is_active(&self) -> bool {
        self.details.status == CampaignStatus::Active
    }

    /// The next version of this campaign; `None` if the patch changes nothing. A sent lead magnet always counts as a change:
    /// it is an item of its own, which has not been read. It replaces the campaign's or gets the id `new_lead_magnet`.
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
        next.updated_at = now;
        next.version += 1;
        Some(next)
    }
}

/// Which campaigns a list shows. Every condition that is set narrows it.
#[derive(Debug, Clone, Default)]
pub struct CampaignFilter {
    /// Campaigns in this state.
    pub status: Option<CampaignStatus>,
    /// Campaigns for this customer profile.
    pub icp_profile_id: Option<Uuid>,
}

impl CampaignFilter {
    /// `true` if the list shows every campaign.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.icp_profile_id.is_none()
    }

    /// `true` if the list shows this campaign.
    pub fn matches(&self, campaign: &Campaign) -> bool {
        self.status.is_none_or(|status| status == campaign.details.status)
            && self.icp_profile_id.is_none_or(|id| Some(id) == campaign.details.icp_profile_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_five_characters() {
        assert!(TimeOfDay::parse("09:30").unwrap() < TimeOfDay::parse("10:00").unwrap());
        for text in ["", "9:30", "24:00", "09:60", "09:30:00", "09-30", "+9:30", "0é:0"] {
            assert!(TimeOfDay::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_web_url_has_a_scheme_and_a_host() {
        for text in ["https://example.com/guide.pdf", "HTTP://example.com", "https://example.com?x=1"] {
            assert_eq!(text.parse::<WebUrl>().map(|url| url.as_str().to_owned()), Ok(text.to_owned()));
        }
        for text in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https:///x",
            "https://example.com/a b",
            "javascript:x",
            "https://e\nx",
        ] {
            assert!(text.parse::<WebUrl>().is_err(), "{text}");
        }
    }
}
