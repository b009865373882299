//! The timeline of a contact: what was sent to and received from the person.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::text::{choice, text_value};
use super::{CampaignId, Id, InvalidValue, Json, JsonObject, Line, time};

choice! {
    /// Which way a message went.
    Direction {
        /// From us to the person.
        Outbound = "outbound",
        /// From the person to us.
        Inbound = "inbound",
    }
}

impl Direction {
    /// Who acted, as the timeline names them (`Manage Contacts`, "Actor Calculation").
    pub const fn actor(self) -> &'static str {
        match self {
            Self::Outbound => "SDR",
            Self::Inbound => "Humano",
        }
    }
}

text_value! {
    /// What a sender calls an activity: unique among the events of one moment.
    ActivityId, public, |schema| schema.pattern(Some("^[A-Za-z0-9_.:-]{1,128}$")).examples(["act_123"])
}

impl ActivityId {
    /// The name it has in paths and bodies.
    pub const NAME: &str = "activity_id";

    /// Reads an id: 1–128 of `A–Z a–z 0–9 _ . : -`, which need no escape in a path or a key.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
        if (1..=128).contains(&text.len()) && text.bytes().all(sane) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidValue::Rule("must be 1 to 128 characters of A-Z a-z 0-9 _ . : -"))
        }
    }

    /// An id for an activity that came without one.
    pub fn generated(uuid: uuid::Uuid) -> Self {
        Self(format!("act_{}", uuid.simple()))
    }
}

/// The channel that an activity without one is shown under.
pub const FALLBACK_CHANNEL: &str = "sistema";

/// The delivery flags that every activity's metadata shows; `false` unless stored otherwise.
pub const DELIVERY_FLAGS: [&str; 4] = ["delivered", "opened", "clicked", "replied"];

/// The fields of an activity that senders write, but for its id, its text and its metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityDetails {
    /// The campaign that the activity belongs to.
    pub campaign_id: Option<CampaignId>,
    /// The time of the event, to the millisecond.
    #[serde(with = "time::millis")]
    pub event_time: DateTime<Utc>,
    /// `email`, `linkedin`, …
    pub channel: Option<Line<100>>,
    /// `message_sent`, `replied`, …
    pub event_type: Line<100>,
    /// The direction; outbound unless stored otherwise.
    pub direction: Option<Direction>,
    /// The agent that acted.
    pub sdr_agent_id: Option<Line<200>>,
}

/// One event of a contact's timeline, identified by its `event_time` and `id` together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Unique among the activities of one contact with the same `event_time`.
    pub id: ActivityId,
    /// The fields that senders write.
    pub details: ActivityDetails,
    /// The content: an object or an array.
    pub event_text: Option<Json>,
    /// Delivery flags and the sender's own keys.
    pub metadata: JsonObject,
}

/// The most activities that one request records.
pub const MAX_BATCH: usize = 50;
/// The most bytes that the text and metadata of an activity may have together, serialized.
pub const MAX_BYTES: usize = 20 * 1024;

/// The size, in bytes, of an activity's text and metadata together, serialized.
pub fn content_len(event_text: Option<&Json>, metadata: &JsonObject) -> usize {
    event_text.map_or(0, Json::serialized_len) + metadata.serialized_len()
}

/// An activity to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActivity {
    /// The sender's id; an activity without one gets a generated id.
    pub id: Option<ActivityId>,
    /// The fields that the sender wrote.
    pub details: ActivityDetails,
    /// The content: an object or an array.
    pub event_text: Option<Json>,
    /// Delivery flags and the sender's own keys.
    pub metadata: JsonObject,
}

impl NewActivity {
    /// The activity under the sender's id, or under one made from `generated`.
    pub fn with_id(self, generated: uuid::Uuid) -> Activity {
        let Self { id, details, event_text, metadata } = self;
        Activity { id: id.unwrap_or_else(|| ActivityId::generated(generated)), details, event_text, metadata }
    }
}

/// What is learned of an activity later.
#[derive(Debug, Clone)]
pub struct ActivityPatch {
    /// Merged into the activity's metadata (RFC 7396).
    pub metadata: JsonObject,
    /// When the activity was; without it, the timeline is searched for the id.
    pub event_time: Option<DateTime<Utc>>,
}

/// Which activities a timeline shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimelineFilter {
    /// Those of the organization's active campaigns; all of them where it has no active campaign.
    #[default]
    Active,
    /// Those of one campaign, whatever its status.
    Campaign(CampaignId),
    /// Every one.
    Any,
}

impl TimelineFilter {
    /// Reads the `campaign_id` parameter.
    ///
    /// # Errors
    /// Neither a UUID nor `all` nor `any`.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "all" => Ok(Self::Active),
            "any" => Ok(Self::Any),
            id => CampaignId::parse(id)
                .map(Self::Campaign)
                .map_err(|_| InvalidValue::Rule("must be a valid UUID, \"all\" or \"any\"")),
        }
    }

    /// Whether an activity of this campaign is shown while `active` are the organization's active campaigns.
    pub fn matches(self, campaign_id: Option<CampaignId>, active: &BTreeSet<CampaignId>) -> bool {
        match self {
            Self::Any => true,
            Self::Campaign(wanted) => campaign_id == Some(wanted),
            Self::Active => active.is_empty() || campaign_id.is_some_and(|id| active.contains(&id)),
        }
    }
}

/// The place of an activity in a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelinePosition {
    /// When it was.
    pub event_time: DateTime<Utc>,
    /// Its id, which orders the activities of one moment.
    pub id: ActivityId,
}

impl TimelinePosition {
    /// Where an activity stands.
    pub fn of(activity: &Activity) -> Self {
        Self { event_time: activity.details.event_time, id: activity.id.clone() }
    }

    /// Reads a position as it is printed: the time, an underscore, the id.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let parts = text.split_once('_').and_then(|(event_time, id)| {
            Some(Self { event_time: time::parse_to_millis(event_time).ok()?, id: ActivityId::parse(id).ok()? })
        });
        parts.ok_or(InvalidValue::Rule("must be the position of a Link header"))
    }
}

impl fmt::Display for TimelinePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", time::to_millis(self.event_time), self.id.as_str())
    }
}

/// Which part of a timeline is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelinePage {
    /// What it is counted over.
    pub filter: TimelineFilter,
    /// The page, from 0.
    pub page: u32,
    /// Activities a page: 1–200.
    pub limit: u32,
    /// The last activity of the page before, where its `Link` was followed: the page begins behind it, whatever came
    /// before it meanwhile.
    pub after: Option<TimelinePosition>,
}

impl TimelinePage {
    /// How many shown activities lie before the page.
    pub fn skipped(&self) -> u64 {
        if self.after.is_some() { 0 } else { u64::from(self.page) * u64::from(self.limit) }
    }
}

/// A page of a timeline, oldest first; activities of one moment in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The page's activities.
    pub activities: Vec<Activity>,
    /// Whether another page follows.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_shows_what_the_page_says() {
        let [one, other] = [1_u128, 2].map(|n| CampaignId::from(uuid::Uuid::from_u128(n)));
        let none = BTreeSet::new();
        let active = BTreeSet::from([one]);
        for (filter, campaign, active, shown) in [
            (TimelineFilter::Any, None, &active, true),
            (TimelineFilter::Any, Some(other), &active, true),
            (TimelineFilter::Campaign(other), Some(other), &active, true),
            (TimelineFilter::Campaign(other), Some(one), &active, false),
            (TimelineFilter::Campaign(other), None, &none, false),
            (TimelineFilter::Active, Some(one), &active, true),
            (TimelineFilter::Active, Some(other), &active, false),
            (TimelineFilter::Active, None, &active, false),
            (TimelineFilter::Active, Some(other), &none, true),
            (TimelineFilter::Active, None, &none, true),
        ] {
            assert_eq!(filter.matches(campaign, active), shown, "{filter:?} {campaign:?} {active:?}");
        }
    }
}
