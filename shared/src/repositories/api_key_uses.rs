//! When API keys were last used, to the hour.
//!
//! **Problem.** An administrator who tidies up wants to know which keys are in use. A write per request would cost as much as
//! the request itself, and would make one item hot.
//!
//! **Approach.** The time is kept to the hour, in an item beside those of the rate limits: every function may write there, and
//! none but its owner's may write the key itself. A process records a key at most once per hour, in a write
//! that follows the first request of the hour: beside it, a new process would have to open another connection, whose TLS handshake
//! takes more CPU than the request. The response waits for the write no longer than [`WRITE_TIMEOUT`]. It is sent once; if it
//! fails, that is logged, and the next hour or another process makes up for it. Its condition keeps the time from going back,
//! whichever process comes last.
//!
//! **Bound.** One write unit per key, hour and process that serves it, whatever the number of requests. It is spent even if
//! another process was faster, because DynamoDB charges refused writes, too.
//!
//! **Rejected.** An attribute of the key's item: it would need the permission to write keys in every function, and the write
//! would race with revocations. Evaluating the logs: they are kept for weeks only, and no function may read them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::Deserialize;

use super::Result;
use crate::domain::{ApiKeyId, OrgId, time};
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{Item, ItemType, TYPE, decode, text};
use crate::dynamodb::{Conditional, TableClient, keys};

/// The precision of the time.
const PRECISION: TimeDelta = TimeDelta::hours(1);

/// The longest that a write may take, and delay a response.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);

const LAST_USED_AT: &str = "last_used_at";

/// The keys that this process has recorded in the current hour.
#[derive(Debug, Default)]
pub(crate) struct ApiKeyUses(Mutex<RecordedKeys>);

#[derive(Debug, Default)]
struct RecordedKeys {
    hour: DateTime<Utc>,
    ids: HashSet<ApiKeyId>,
}

impl ApiKeyUses {
    /// Records that a key is used at `now`, unless this process has done so in this hour.
    pub(crate) async fn record(&self, client: &TableClient, org: OrgId, id: ApiKeyId, now: DateTime<Utc>) {
        let hour = now.duration_trunc(PRECISION).unwrap_or(now);
        if !self.is_first_use(id, hour) {
            return;
        }
        if let Err(error) = write(&client.with_single_attempt(WRITE_TIMEOUT), org, id, hour).await {
            tracing::warn!(%error, "the use of an API key could not be recorded");
        }
    }

    /// Whether the key was not recorded in this hour; the next call finds that it was.
    fn is_first_use(&self, id: ApiKeyId, hour: DateTime<Utc>) -> bool {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.hour != hour {
            *recorded = RecordedKeys { hour, ids: HashSet::new() };
        }
        recorded.ids.insert(id)
    }
}

async fn write(client: &TableClient, org: OrgId, id: ApiKeyId, hour: DateTime<Utc>) -> Result<()> {
    let hour = text(time::to_millis(hour));
    let mut update = Update::new();
    update.touch(TYPE, text(ItemType::ApiKeyUse.as_str()));
    update.touch(LAST_USED_AT, hour.clone());
    let is_later = Condition::absent_or_below(LAST_USED_AT, hour);
    match client.update_if::<()>(&keys::api_key_use(org, id), update, is_later).await? {
        // Another process has recorded this hour or a later one.
        Conditional::Applied(()) | Conditional::Refused(_) => Ok(()),
    }
}

#[derive(Deserialize)]
struct ApiKeyUseItem {
    #[serde(with = "time::millis")]
    last_used_at: DateTime<Utc>,
}

/// The hour of a key's last use.
pub(super) fn from_item(item: &Item) -> Result<DateTime<Utc>> {
    let ApiKeyUseItem { last_used_at } = decode(item, ItemType::ApiKeyUse)?;
    Ok(last_used_at)
}
