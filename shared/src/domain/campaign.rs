//! A campaign: a series of messages to the leads that are linked to it.

use chrono::{DateTime, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ids::moment_of;
use super::text::{choice, line, text_value};
use super::{CampaignId, InvalidValue, LeadMagnetId, OrgId, Patch};

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
    TimeOfDay, public
}

impl TimeOfDay {
    /// Reads a time of the day, from `00:00` to `23:59`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| text.len() == 5);
        time.map(|_| Self(text.to_owned())).ok_or(InvalidValue("must be a time as HH:MM"))
    }
}

/// The hours in which a campaign's meetings may lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// The first minute.
    pub start_working: TimeOfDay,
    /// The minute after the last; later than the first.
    pub end_working: TimeOfDay,
    /// Whether Saturdays and Sundays count.
    pub weekend_work: bool,
    /// The calendar that meetings go to.
    pub calendar_id: Option<String>,
}

/// What a campaign offers a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadMagnet {
    /// Its title.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// Where it is.
    pub url: String,
    /// What kind of thing it is.
    pub content_type: LeadMagnetType,
}

/// What a client says of a campaign. All of it can be changed later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignSettings {
    /// Its title.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// How far it has come.
    pub status: CampaignStatus,
    /// The service it sells.
    pub service_id: Option<Uuid>,
    /// The customers it looks for.
    pub icp_profile_id: Option<Uuid>,
    /// The meetings it aims at.
    pub target_meeting_type: Option<String>,
    /// Whether a person looks at its messages.
    pub review_required_default: Review,
    /// Who signs.
    pub seller_name: Option<String>,
    /// The accounts it is sent from.
    pub provider_account_id: Vec<Uuid>,
    /// Whether it publishes posts.
    pub publish_posts: bool,
    /// When meetings may be.
    pub availability_data: Option<Availability>,
}

/// A campaign of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Its id, which holds the moment of its creation.
    pub id: CampaignId,
    /// Whose it is.
    pub org_id: OrgId,
    /// What the client said.
    pub settings: CampaignSettings,
    /// What it offers a lead.
    pub lead_magnet_id: Option<LeadMagnetId>,
    /// The last change, to the millisecond.
    pub updated_at: DateTime<Utc>,
    /// 1 when created; one more with every write.
    pub version: u64,
}

/// What an update changes.
#[derive(Debug, Clone, Default)]
pub struct CampaignPatch {
    /// See [`CampaignSettings`].
    pub name: Option<String>,
    /// See [`CampaignSettings`].
    pub description: Patch<String>,
    /// See [`CampaignSettings`].
    pub status: Option<CampaignStatus>,
    /// See [`CampaignSettings`].
    pub service_id: Patch<Uuid>,
    /// See [`CampaignSettings`].
    pub icp_profile_id: Patch<Uuid>,
    /// See [`CampaignSettings`].
    pub target_meeting_type: Patch<String>,
    /// See [`CampaignSettings`].
    pub review_required_default: Option<Review>,
    /// See [`CampaignSettings`].
    pub seller_name: Patch<String>,
    /// See [`CampaignSettings`]; none clears it.
    pub provider_account_id: Patch<Vec<Uuid>>,
    /// See [`CampaignSettings`].
    pub publish_posts: Option<bool>,
    /// See [`CampaignSettings`].
    pub availability_data: Patch<Availability>,
    /// A new lead magnet in place of the campaign's, or none.
    pub lead_magnet: Patch<LeadMagnet>,
}

impl Campaign {
    /// When it was created, to the millisecond.
    pub fn created_at(&self) -> DateTime<Utc> {
        moment_of(self.id.into())
    }

    /// Whether its activities are part of the timeline's default filter.
    pub fn is_active(&self) -> bool {
        self.settings.status == CampaignStatus::Active
    }

    /// The next version of this campaign, or `None` where the patch changes nothing. A lead magnet is a change always:
    /// it is an item of its own.
    pub fn patched(&self, patch: &CampaignPatch, new_lead_magnet: LeadMagnetId, now: DateTime<Utc>) -> Option<Self> {
        let mut next = self.clone();
        let settings = &mut next.settings;
        replace(&mut settings.name, patch.name.as_ref());
        patch.description.apply(&mut settings.description);
        replace(&mut settings.status, patch.status.as_ref());
        patch.service_id.apply(&mut settings.service_id);
        patch.icp_profile_id.apply(&mut settings.icp_profile_id);
        patch.target_meeting_type.apply(&mut settings.target_meeting_type);
        replace(&mut settings.review_required_default, patch.review_required_default.as_ref());
        patch.seller_name.apply(&mut settings.seller_name);
        match &patch.provider_account_id {
            Patch::Keep => {}
            Patch::Clear => settings.provider_account_id.clear(),
            Patch::Set(accounts) => settings.provider_account_id.clone_from(accounts),
        }
        replace(&mut settings.publish_posts, patch.publish_posts.as_ref());
        patch.availability_data.apply(&mut settings.availability_data);
        match &patch.lead_magnet {
            Patch::Keep => {}
            Patch::Clear => next.lead_magnet_id = None,
            Patch::Set(_) => next.lead_magnet_id = Some(self.lead_magnet_id.unwrap_or(new_lead_magnet)),
        }
        if next == *self && patch.lead_magnet.set().is_none() {
            return None;
        }
        next.updated_at = now;
        next.version += 1;
        Some(next)
    }
}

fn replace<T: Clone>(field: &mut T, value: Option<&T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

/// Which campaigns a list shows; each part narrows it.
#[derive(Debug, Clone, Default)]
pub struct CampaignFilter {
    /// Those of this status.
    pub status: Option<CampaignStatus>,
    /// Those that look for these customers.
    pub icp_profile_id: Option<Uuid>,
}

impl CampaignFilter {
    /// Whether the list shows every campaign.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.icp_profile_id.is_none()
    }

    /// Whether the list shows this campaign.
    pub fn shows(&self, campaign: &Campaign) -> bool {
        self.status.is_none_or(|status| status == campaign.settings.status)
            && self.icp_profile_id.is_none_or(|id| Some(id) == campaign.settings.icp_profile_id)
    }
}

/// Reads a title: 1–200 characters, trimmed.
///
/// # Errors
/// Blank, too long, or with control characters.
pub fn title(text: &str) -> Result<String, InvalidValue> {
    line(text, 200, "must be at most 200 characters")
}

/// Reads a description: 1–5,000 characters, trimmed; lines may break in it.
///
/// # Errors
/// Blank, too long, or with control characters other than line breaks and tabs.
pub fn description(text: &str) -> Result<String, InvalidValue> {
    let text = text.trim();
    if text.chars().count() > 5_000 {
        Err(InvalidValue("must be at most 5000 characters"))
    } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Err(InvalidValue("must not contain control characters"))
    } else {
        Ok(text.to_owned())
    }
}

/// Reads the address of a web resource: `http` or `https`, with a host, without white space.
///
/// # Errors
/// Anything else, or more than 2,048 bytes.
pub fn web_address(text: &str) -> Result<String, InvalidValue> {
    const INVALID: InvalidValue = InvalidValue("must be an http or https URL");
    let text = text.trim();
    let scheme = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)).then(|| &text[scheme.len()..])
    };
    let rest = scheme("https://").or_else(|| scheme("http://")).ok_or(INVALID)?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let sane = !host.is_empty() && text.len() <= 2_048 && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if sane { Ok(text.to_owned()) } else { Err(INVALID) }
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
    fn a_web_address_has_a_scheme_and_a_host() {
        for text in ["https://example.com/guide.pdf", "HTTP://example.com", "https://example.com?x=1"] {
            assert_eq!(web_address(text), Ok(text.to_owned()));
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
            assert!(web_address(text).is_err(), "{text}");
        }
    }
}
