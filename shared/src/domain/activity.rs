//! Activities, and the timeline of a contact that they form: the messages sent to the person and received from them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::text::{choice, text_value};
use super::{CampaignId, Id, InvalidValue, Json, JsonObject, Line, time};

choice! {
    /// The direction of a message.
    Direction {
        /// From the sales team to the person.
        Outbound = "outbound",
        /// From the person to the sales team.
        Inbound = "inbound",
    }
}

impl Direction {
    /// The actor in the timeline (seed page `Manage Contacts`, "Actor Calculation").
    pub const fn actor(self) -> &'static str {
        match self {
            Self::Outbound => "SDR",
            Self::Inbound => "Humano",
        }
    }
}

text_value! {
    /// The id of an activity, chosen by its sender: unique within a contact and an event time.
    ///
    /// ```
    /// # use shared::domain::ActivityId;
    /// assert_eq!("act_123".parse::<ActivityId>()?.as_str(), "act_123");
    ///
    /// assert!("act/123".parse::<ActivityId>().is_err());
    /// # Ok::<_, shared::domain::InvalidValue>(())
    /// ```
    ActivityId, public, |schema| {
        let pattern = format!("^[A-Za-z0-9{}]{{1,{}}}$", ActivityId::SYMBOLS, ActivityId::MAX_LENGTH);
        schema.pattern(Some(pattern)).examples(["act_123"])
    }
}

impl ActivityId {
    const MAX_LENGTH: usize = 128;
    /// The allowed characters other than letters and digits. The hyphen comes last, so that it means itself in a pattern.
    const SYMBOLS: &str = "_.:-";
    const INVALID: InvalidValue =
        InvalidValue::WrongLength { max: Self::MAX_LENGTH, characters: "characters of A-Z a-z 0-9 _ . : -" };

    /// The name of the id in paths and bodies.
    pub const NAME: &str = "activity_id";

    /// Parses an id: 1 to 128 characters of `A-Z a-z 0-9 _ . : -`, which need no escape in a path or a key.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || Self::SYMBOLS.as_bytes().contains(&byte);
        if (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Self::INVALID)
        }
    }

    /// The id of an activity that was sent without one.
    pub fn generated(uuid: uuid::Uuid) -> Self {
        Self(format!("act_{}", uuid.simple()))
    }
}

/// The channel shown for an activity without one.
pub const FALLBACK_CHANNEL: &str = "sistema";

/// The delivery flags in the metadata of every activity; `false` by default.
pub const DELIVERY_FLAGS: [&str; 4] = ["delivered", "opened", "clicked", "replied"];

/// The fields of an activity that senders write, but for its id, its event time, its text and its metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityDetails {
    /// The campaign that the activity belongs to.
    pub campaign_id: Option<CampaignId>,
    /// `email`, `linkedin`, …
    pub channel: Option<Line<100>>,
    /// `message_sent`, `replied`, …
    pub event_type: Line<100>,
    /// The direction; outbound by default.
    pub direction: Option<Direction>,
    /// The agent that acted.
    pub sdr_agent_id: Option<Line<200>>,
}

/// One event of a contact's timeline, identified by its `event_time` and `id` together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Unique among the activities of one contact with the same `event_time`.
    pub id: ActivityId,
    /// The time of the event, to the millisecond.
    pub event_time: DateTime<Utc>,
    /// The fields that senders write.
    pub details: ActivityDetails,
    /// The content: an object or an array.
    pub event_text: Option<Json>,
    /// Delivery flags and the sender's own keys.
    pub metadata: JsonObject,
}

/// The maximum number of activities in one request.
pub const MAX_BATCH: usize = 50;
/// The maximum size, in bytes, of an activity's text and metadata together, serialized.
pub const MAX_BYTES: usize = 20 * 1024;
/// The error of a new activity's metadata if the two are larger.
pub const TOO_LARGE: InvalidValue = InvalidValue::Rule("and event_text must be at most 20 KiB together");
/// The error of a patch of the metadata after which the two would be larger.
pub const GROWS_TOO_LARGE: InvalidValue =
    InvalidValue::GrowsTooLarge { entity: "activity", max: MAX_BYTES / 1024, unit: "KiB" };

/// The size, in bytes, of an activity's text and metadata together, serialized.
pub fn content_len(event_text: Option<&Json>, metadata: &JsonObject) -> usize {
    event_text.map_or(0, Json::serialized_len) + metadata.serialized_len()
}

/// An activity to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActivity {
    /// The sender's id; an activity without one gets a generated id.
    pub id: Option<ActivityId>,
    /// The time of the event, to the millisecond.
    pub event_time: DateTime<Utc>,
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
        let Self { id, event_time, details, event_text, metadata } = self;
        let id = id.unwrap_or_else(|| ActivityId::generated(generated));
        Activity { id, event_time, details, event_text, metadata }
    }
}

/// The changes to an activity that a client sends.
#[derive(Debug, Clone)]
pub struct ActivityPatch {
    /// Merged into the activity's metadata (RFC 7396).
    pub metadata: JsonObject,
    /// The time of the event; without it, the timeline is searched for the id.
    pub event_time: Option<DateTime<Utc>>,
}

/// The activities that a timeline shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimelineFilter {
    /// Activities of the organization's active campaigns; every activity if no campaign is active.
    #[default]
    Active,
    /// Activities of one campaign of any status.
    Campaign(CampaignId),
    /// Every activity.
    Any,
}

impl TimelineFilter {
    /// The text of [`TimelineFilter::Active`].
    const ACTIVE: &str = "all";

    /// The text of [`TimelineFilter::Any`].
    const ANY: &str = "any";

    /// `true` if an activity of this campaign is shown. `active` are the organization's active campaigns.
    pub fn matches(self, campaign_id: Option<CampaignId>, active: &BTreeSet<CampaignId>) -> bool {
        match self {
            Self::Any => true,
            Self::Campaign(wanted) => campaign_id == Some(wanted),
            Self::Active => active.is_empty() || campaign_id.is_some_and(|id| active.contains(&id)),
        }
    }
}

impl FromStr for TimelineFilter {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            Self::ACTIVE => Ok(Self::Active),
            Self::ANY => Ok(Self::Any),
            id => match CampaignId::parse(id) {
                Ok(id) => Ok(Self::Campaign(id)),
                Err(_) => Err(InvalidValue::Rule("must be a valid UUID, \"all\" or \"any\"")),
            },
        }
    }
}

impl fmt::Display for TimelineFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str(Self::ACTIVE),
            Self::Any => f.write_str(Self::ANY),
            Self::Campaign(id) => id.fmt(f),
        }
    }
}

/// The position of an activity in a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelinePosition {
    /// The time of the event.
    pub event_time: DateTime<Utc>,
    /// The id, which orders the activities of one event time.
    pub id: ActivityId,
}

impl TimelinePosition {
    /// The position of this activity.
    pub fn of(activity: &Activity) -> Self {
        Self { event_time: activity.event_time, id: activity.id.clone() }
    }
}

/// Parses the form that `Display` writes: the time, an underscore, the id.
impl FromStr for TimelinePosition {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue = InvalidValue::Rule("must be the position of a Link header");
        let (event_time, id) = text.split_once('_').ok_or(INVALID)?;
        let event_time = time::parse_to_millis(event_time).map_err(|_| INVALID)?;
        let id = ActivityId::parse(id).map_err(|_| INVALID)?;
        Ok(Self { event_time, id })
    }
}

impl fmt::Display for TimelinePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", time::to_millis(self.event_time), self.id.as_str())
    }
}

/// A request for one page of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelinePage {
    /// The activities that are counted and shown.
    pub filter: TimelineFilter,
    /// The number of the page, from 0.
    pub page: u32,
    /// The number of activities per page, 1 to 200.
    pub limit: u32,
    /// The position of the previous page's last activity, if that page's `Link` was followed. The page begins after it, even if
    /// earlier activities have been recorded since.
    pub after: Option<TimelinePosition>,
}

impl TimelinePage {
    /// The number of shown activities to skip before the page.
    pub fn skipped(&self) -> u64 {
        if self.after.is_some() { 0 } else { u64::from(self.page) * u64::from(self.limit) }
    }
}

/// A page of a timeline, oldest activity first; activities of one event time are ordered by id. `A` is the form in which the
/// page holds its activities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline<A = Activity> {
    /// The activities of the page, which may be fewer than its limit.
    pub activities: Vec<A>,
    /// The position of the last one, if another page follows.
    pub next: Option<TimelinePosition>,
}

impl<A> Timeline<A> {
    /// A timeline without activities.
    pub fn none() -> Self {
        Self { activities: Vec::new(), next: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_decides_by_campaign_and_active_campaigns() {
        let [one, other] = [1_u128, 2].map(|n| CampaignId::from(uuid::Uuid::from_u128(n)));
        let none_active = BTreeSet::new();
        let one_active = BTreeSet::from([one]);
        for (filter, campaign, active, shown) in [
            (TimelineFilter::Any, None, &one_active, true),
            (TimelineFilter::Any, Some(other), &one_active, true),
            (TimelineFilter::Campaign(other), Some(other), &one_active, true),
            (TimelineFilter::Campaign(other), Some(one), &one_active, false),
            (TimelineFilter::Campaign(other), None, &none_active, false),
            (TimelineFilter::Active, Some(one), &one_active, true),
            (TimelineFilter::Active, Some(other), &one_active, false),
            (TimelineFilter::Active, None, &one_active, false),
            (TimelineFilter::Active, Some(other), &none_active, true),
            (TimelineFilter::Active, None, &none_active, true),
        ] {
            assert_eq!(filter.matches(campaign, active), shown, "{filter:?} {campaign:?} {active:?}");
        }
    }
    #[test]
    fn the_text_of_a_filter_and_of_a_position_is_read_back() {
        let campaign = TimelineFilter::Campaign(uuid::Uuid::from_u128(1).into());
        for filter in [TimelineFilter::Active, TimelineFilter::Any, campaign] {
            assert_eq!(filter.to_string().parse(), Ok(filter));
        }
        assert!("ALL".parse::<TimelineFilter>().is_err());

        let id = ActivityId::parse("act_1:2").unwrap();
        let position = TimelinePosition { event_time: time::parse_to_millis("2024-04-18T10:15:00.123Z").unwrap(), id };
        assert_eq!(position.to_string().parse(), Ok(position));
        assert!("act_1".parse::<TimelinePosition>().is_err());
    }
}
