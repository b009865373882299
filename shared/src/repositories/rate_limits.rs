//! The stored buckets of rate limits: one item per limited organization and per limited API key.
//!
//! An item holds `full_at`, the time at which its bucket is full, in microseconds since the Unix epoch. It expires some time
//! after that: a missing item is a full bucket.

use chrono::{DateTime, TimeDelta, Utc};
use serde_dynamo::AttributeValue;

use super::Result;
use crate::domain::{ApiKeyId, OrgId, Usage};
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{Item, ItemType, TYPE, number, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::schema::TTL;
use crate::dynamodb::{Conditional, TableClient};

const FULL_AT: &str = "full_at";

/// The time for which an item is kept after the time at which its bucket is full.
const RETENTION: TimeDelta = TimeDelta::hours(1);

/// The subject of a rate limit within an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitedSubject {
    /// An API key.
    ApiKey(ApiKeyId),
    /// The organization as a whole.
    Organization,
}

/// A change of a stored bucket by the requests of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BucketUpdate {
    /// The requests.
    pub(crate) usage: Usage,
    /// The expected state of the bucket. The update is refused if it is in the other.
    pub(crate) expected: BucketState,
    /// The latest plausible `full_at`; a later stored one is replaced.
    pub(crate) latest_full_at: DateTime<Utc>,
}

/// The state of a stored bucket, as seen by a process that has unreported requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BucketState {
    /// It was not full when the requests came, so they add their cost.
    InUse {
        /// The earliest time at which the bucket may have been full.
        since: DateTime<Utc>,
    },
    /// It was full, or is stored as something else than a number. This value replaces it.
    Full {
        /// The time at which the bucket is full after the requests.
        full_at: DateTime<Utc>,
    },
    /// Its `full_at` is later than any requests explain. This value replaces it.
    Implausible {
        /// The latest plausible time.
        full_at: DateTime<Utc>,
    },
}

/// Changes a bucket, and returns the time at which it is full afterwards. A refusal holds the stored time; `None` is a full
/// bucket.
///
/// # Errors
/// The database's. The change may have been made.
pub(crate) async fn update(
    client: &TableClient,
    org: OrgId,
    subject: LimitedSubject,
    change: &BucketUpdate,
) -> Result<Conditional<DateTime<Utc>, Option<DateTime<Utc>>>> {
    let BucketUpdate { usage, expected, latest_full_at } = change;
    let mut update = Update::new();
    let condition = match expected {
        BucketState::InUse { since } => {
            update.increment(FULL_AT, number(usage.cost().num_microseconds().unwrap_or_default()));
            Condition::at_least(FULL_AT, number(since.timestamp_micros()))
        }
        BucketState::Full { full_at } => {
            update.touch(FULL_AT, number(full_at.timestamp_micros()));
            Condition::no_number_or_less(FULL_AT, number(usage.adds_from().timestamp_micros()))
        }
        BucketState::Implausible { full_at } => {
            update.touch(FULL_AT, number(full_at.timestamp_micros()));
            Condition::more_than(FULL_AT, number(latest_full_at.timestamp_micros()))
        }
    };
    update.touch(TYPE, text(ItemType::RateLimit.as_str()));
    update.touch(TTL, number((*latest_full_at + RETENTION).timestamp()));
    Ok(match client.update_if(&key(org, subject), update, condition).await? {
        Conditional::Applied(item) => Conditional::Applied(full_at(&item).unwrap_or_default()),
        Conditional::Refused(item) => Conditional::Refused(item.as_ref().and_then(full_at)),
    })
}

fn key(org: OrgId, subject: LimitedSubject) -> Key {
    match subject {
        LimitedSubject::ApiKey(id) => keys::api_key_rate_limit(org, id),
        LimitedSubject::Organization => keys::org_rate_limit(org),
    }
}

/// `full_at` of an item, in whole microseconds; the earliest or the latest time if the number is beyond all times.
fn full_at(item: &Item) -> Option<DateTime<Utc>> {
    let AttributeValue::N(micros) = item.get(FULL_AT)? else { return None };
    let micros: f64 = micros.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "times are exact, and other numbers become the nearest integer"
    )]
    let time = DateTime::from_timestamp_micros(micros as i64);
    let beyond = if micros < 0.0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    Some(time.unwrap_or(beyond))
}
