//! Write sharding: the partitions over which an organization's new contacts are spread.
//!
//! A *partition* here is one value of the table's partition key with its items, which AWS calls an item collection.
//!
//! **Problem.** One partition takes 1,000 write units per second, and ids that rise with time never let DynamoDB split it. An
//! organization that creates more contacts than that (docs/operations.md, *Capacity*) needs several partitions. It gets them while
//! it reads and writes, and its stored contacts keep their keys. A read by id must find any contact with one call, and a list must
//! neither skip nor repeat one.
//!
//! **Approach.** The id of a contact names its partition ([`partition`]). Contacts with version 7 ids are in partition 0, the
//! organization's own, and so are migrated ones. A contact in another partition has a version 8 id (RFC 9562 §5.8), which begins
//! with the time of creation like one of version 7 and therefore sorts with them:
//!
//! ```text
//! 48 bits milliseconds | 4 bits 1000 | 12 bits mark c0a | 2 bits 10 | 6 bits partition | 56 bits random
//! ```
//!
//! So a key remains a function of the id alone. No cache, clock or profile can make a read, an update, a delete, the worker or a
//! repair look in the wrong place.
//!
//! The profile of the organization lists the *changes*: each a time, and the number of partitions from then on
//! ([`ContactPartitions`]). Writers choose a partition by it, and lists read the time between two changes, a *period*, from as many
//! partitions as it had. Partition 0 belongs to every period, so a writer that does not know a change yet writes what all lists
//! read. Only a list that does not know a change yet would miss a contact. An operator's command therefore schedules a change
//! [`LEAD_TIME`] ahead: 60 seconds in which a profile is cached, 25 seconds that a request takes, and twice the 5 minutes by which a
//! clock can be wrong until AWS refuses its signatures (the operator's is behind, and a writer's ahead) are less than 15 minutes.
//! A change to fewer partitions is safe for the same reason: no writer chooses the old ones when lists stop reading them.
//!
//! The partition of a new id is its last 56 bits modulo the number of partitions: a pure function, so that ids can be tested.
//!
//! **Rejected.**
//! - Version 7 ids whose partition is computed from the changes and the time in the id: every read by id, the worker and a repair
//!   would depend on a fresh profile, a lost one would lose contacts, and an imported id with a future time would move when the
//!   next change is scheduled.
//! - The partition looked up: one more call per read.
//! - A hash of the id over a fixed number of partitions for all: every list of every organization would pay for them.
//!
//! **If this is changed.** Stored ids keep their form, and [`MAX_PARTITIONS`] may only grow, to 64 at most. Without the mark, ids of
//! version 8 from other platforms would be taken for these; with it, one of 4,096 of them is, which an import allows for
//! ([`ContactPartitions::covering`]), unless its time is in the future ([`is_ahead_of_time`]). A change that begins at once is
//! missed by lists for a minute.

use std::num::NonZeroU8;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ContactId, ids, time};

/// The most partitions of an organization. A page of a list takes one read per partition, at most eight at a time.
pub const MAX_PARTITIONS: u8 = 32;
/// The time between the scheduling of a change and its beginning. See the documentation of the module.
pub const LEAD_TIME: TimeDelta = TimeDelta::minutes(15);
/// The most changes that a profile holds.
const MAX_CHANGES: usize = 32;

/// The bits of the version and the mark, in the first half of an id.
const MARK: u64 = 0x8c0a;
const MARK_BITS: u64 = 0xffff;
/// The bits of the variant, in the second half.
const VARIANT: u64 = 0b10 << 62;
const PARTITION_SHIFT: u32 = 56;
const RANDOM_BITS: u64 = (1 << PARTITION_SHIFT) - 1;

/// The partition that the id of a contact names; `None` for the organization's own partition.
pub fn partition(id: ContactId) -> Option<NonZeroU8> {
    let (first_half, second_half) = Uuid::from(id).as_u64_pair();
    let number = (second_half ^ VARIANT) >> PARTITION_SHIFT;
    let is_marked = first_half & MARK_BITS == MARK && number < MAX_PARTITIONS.into();
    if is_marked { NonZeroU8::new(u8::try_from(number).ok()?) } else { None }
}

/// `true` for an id that names a partition at a time that has not passed by `now`, to the millisecond. An import refuses it:
/// lists would have to look there from that time on, and only a command of an operator says how many partitions new contacts
/// have.
pub fn is_ahead_of_time(id: ContactId, now: DateTime<Utc>) -> bool {
    partition(id).is_some() && ids::timestamp(id.into()) >= now
}

/// The id of the same time and with the same random bits that names this partition.
fn in_partition(id: Uuid, partition: NonZeroU8) -> Uuid {
    let (first_half, second_half) = id.as_u64_pair();
    let number = u64::from(partition.get()) << PARTITION_SHIFT;
    Uuid::from_u64_pair(first_half & !MARK_BITS | MARK, VARIANT | number | second_half & RANDOM_BITS)
}

/// The partitions of an organization's contacts over time. By default, contacts have the organization's own partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactPartitions(Arc<[PartitionChange]>);

/// A change of the number of partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionChange {
    /// The time since which the number is in force, by the times in ids.
    #[serde(with = "time::millis")]
    pub since: DateTime<Utc>,
    /// The number of partitions, the organization's own included.
    pub count: u8,
}

/// The time between two changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its beginning; `None` for the time before the first change.
    pub since: Option<DateTime<Utc>>,
    /// Its end, which is not part of it; `None` for the time after the last change.
    pub until: Option<DateTime<Utc>>,
    /// The number of partitions.
    pub count: u8,
}

/// The reason why a change is not scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The number is 0 or exceeds [`MAX_PARTITIONS`].
    #[error("contacts have 1 to {MAX_PARTITIONS} partitions")]
    OutOfRange,
    /// Another change has not begun yet.
    #[error("a change to {} is scheduled for {}: schedule another one after it", counted(*count), time::to_seconds(*since))]
    Pending {
        /// Its beginning.
        since: DateTime<Utc>,
        /// Its number of partitions.
        count: u8,
    },
    /// The profile takes no more changes.
    #[error("the partitions were changed {MAX_CHANGES} times, and no profile takes more")]
    TooManyChanges,
}

/// The number of partitions in words: `1 partition`.
pub fn counted(count: u8) -> String {
    match count {
        1 => "1 partition".to_owned(),
        _ => format!("{count} partitions"),
    }
}

impl ContactPartitions {
    /// The partitions after these changes, oldest first.
    pub fn new(changes: Vec<PartitionChange>) -> Self {
        Self(changes.into())
    }

    /// The changes, oldest first.
    pub fn changes(&self) -> &[PartitionChange] {
        &self.0
    }

    /// The number of partitions of contacts that are created at this time.
    pub fn count_at(&self, at: DateTime<Utc>) -> u8 {
        self.0.iter().rfind(|change| change.since <= at).map_or(1, |change| change.count)
    }

    /// The id of a new contact, made of one of version 7.
    pub fn assign(&self, id: Uuid) -> ContactId {
        let count = self.count_at(ids::timestamp(id));
        let (_, second_half) = id.as_u64_pair();
        let number = (second_half & RANDOM_BITS) % u64::from(count.max(1));
        match u8::try_from(number).ok().and_then(NonZeroU8::new) {
            Some(partition) => in_partition(id, partition).into(),
            None => id.into(),
        }
    }

    /// The periods, newest first. There is at least one.
    pub fn periods(&self) -> impl Iterator<Item = Period> {
        let starts = std::iter::once((None, 1)).chain(self.0.iter().map(|change| (Some(change.since), change.count)));
        let ends = self.0.iter().map(|change| Some(change.since)).chain([None]);
        let periods: Vec<_> = starts.zip(ends).map(|((since, count), until)| Period { since, until, count }).collect();
        periods.into_iter().rev()
    }

    /// The partitions with a change to this number, which begins [`LEAD_TIME`] after `now`; `None` if it is in force or scheduled.
    ///
    /// # Errors
    /// The reason why it is not scheduled.
    pub fn scheduled(&self, count: u8, now: DateTime<Utc>) -> Result<Option<Self>, ScheduleError> {
        if !(1..=MAX_PARTITIONS).contains(&count) {
            return Err(ScheduleError::OutOfRange);
        }
        match self.0.last() {
            Some(last) if last.count == count => return Ok(None),
            Some(PartitionChange { since, count }) if *since > now => {
                return Err(ScheduleError::Pending { since: *since, count: *count });
            }
            None if count == 1 => return Ok(None),
            _ => {}
        }
        if self.0.len() == MAX_CHANGES {
            return Err(ScheduleError::TooManyChanges);
        }
        let change = PartitionChange { since: now + LEAD_TIME, count };
        Ok(Some(Self(self.0.iter().copied().chain([change]).collect())))
    }
}

/// The times and the number of partitions of ids that come from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionSpan {
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    count: u8,
}

impl PartitionSpan {
    /// The span with this contact; `None` if no contact so far has a partition beside the organization's own.
    #[must_use]
    pub fn with(span: Option<Self>, id: ContactId) -> Option<Self> {
        let Some(partition) = partition(id) else { return span };
        let (at, count) = (ids::timestamp(id.into()), partition.get() + 1);
        Some(match span {
            None => Self { first: at, last: at, count },
            Some(span) => Self { first: span.first.min(at), last: span.last.max(at), count: span.count.max(count) },
        })
    }
}

impl ContactPartitions {
    /// The partitions with at least as many in a span as its ids name, so that lists find them; `None` if they have as many.
    /// From `now` on they stay as they are: those of new contacts are changed [`LEAD_TIME`] ahead or not at all.
    ///
    /// # Errors
    /// [`ScheduleError::TooManyChanges`].
    pub fn covering(&self, span: PartitionSpan, now: DateTime<Utc>) -> Result<Option<Self>, ScheduleError> {
        let end = (span.last + TimeDelta::milliseconds(1)).min(now);
        if span.first >= end {
            return Ok(None);
        }
        let mut starts: Vec<_> = self.0.iter().map(|change| change.since).chain([span.first, end]).collect();
        starts.sort_unstable();
        let mut changes = Vec::<PartitionChange>::new();
        for since in starts {
            let is_in_span = (span.first..end).contains(&since);
            let count = self.count_at(since).max(if is_in_span { span.count } else { 1 });
            if changes.last().map_or(1, |last| last.count) != count {
                changes.push(PartitionChange { since, count });
            }
        }
        if changes.len() > MAX_CHANGES {
            return Err(ScheduleError::TooManyChanges);
        }
        Ok(if changes == *self.0 { None } else { Some(Self::new(changes)) })
    }
}

#[cfg(test)]
mod tests;
