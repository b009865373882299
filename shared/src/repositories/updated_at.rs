//! The time of an item's last change, `updated_at`, which never goes back.
//!
//! **Problem.** Clients poll lists with `updated_after`, so a change must not have an earlier timestamp than the one before it. All
//! writes of a request carry the time at which it arrived, and requests overtake each other: one that was retried for
//! seconds commits after one that arrived later.
//!
//! **Approach.** The timestamp of a write is the time of its request or the stored `updated_at`, whichever is later. A write that
//! follows a read takes the later one when it builds the next version (`Contact::next_version`, `Campaign::patched`), on the
//! condition that the version is still the one that was read. An update without a read is sent on the condition that the
//! stored time is not later ([`OrgTable::update_if`]). Only if it is refused for that reason, which the refusal shows, it is sent
//! again with the stored time: so the usual update is still one call.
//!
//! **Rejected.**
//! - Another reading of the clock for each attempt: the clocks of two function instances differ, so the later of two times
//!   would have to be taken all the same, and one request would write several times.
//! - At least a millisecond more than the stored time: it makes the times of an item distinct, which `version` does already,
//!   and a busy item would run ahead of the clock.
//! - A sequence number per organization: one hot item in every write.
//!
//! **If this is changed.** The timestamp may still be earlier than the commit, by the duration of a request and the difference
//! of two clocks. `docs/api.md` therefore tells pollers to overlap by a minute; a longer request needs a longer overlap.

use chrono::{DateTime, Utc};

use super::{OrgTable, Result};
use crate::domain::time;
use crate::dynamodb::Conditional;
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{Item, string, text};
use crate::dynamodb::keys::Key;
use crate::dynamodb::table_client::StoredRow;

const UPDATED_AT: &str = "updated_at";

impl OrgTable {
    /// Changes one item and its `updated_at` if the condition holds, and returns it as it is afterwards. A refusal holds the
    /// stored item, if one exists.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn update_if<R: StoredRow>(
        &self,
        key: &Key,
        update: &Update,
        condition: &Condition,
    ) -> Result<Conditional<R, Option<Item>>> {
        let mut timestamp = self.now;
        loop {
            let value = text(time::to_millis(timestamp));
            let mut update = update.clone();
            update.touch(UPDATED_AT, value.clone());
            let condition = condition.clone().and_at_most(UPDATED_AT, value);
            let outcome = self.client.update_if(key, update, condition).await?;
            match later_timestamp(&outcome, timestamp) {
                Some(later) => timestamp = later,
                None => return Ok(outcome),
            }
        }
    }
}

/// The `updated_at` of the stored item that a refusal shows, if it is later than this.
fn later_timestamp<R>(outcome: &Conditional<R, Option<Item>>, timestamp: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let Conditional::Refused(Some(item)) = outcome else { return None };
    let stored = time::parse(&string(item, UPDATED_AT)?).ok()?;
    if stored > timestamp { Some(stored) } else { None }
}
