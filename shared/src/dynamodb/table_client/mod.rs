//! One request's client of the table: every call, its retries, its deadline and its cost.

mod query;
mod read;
mod rows;
#[cfg(feature = "operator")]
mod scan;
mod write;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use tokio::time::Instant;

pub(crate) use query::{QueryOptions, QueryPage};
pub(crate) use read::MAX_KEYS_PER_CALL;
pub(crate) use rows::StoredRow;

use super::retry::RetryPolicy;
use super::transaction::Transaction;
use super::{CapacityMeter, Table};
use crate::system::Rng;

/// The most calls of one request that are in flight at once.
pub(crate) const MAX_CONCURRENT_CALLS: usize = 8;

/// The client of one request.
#[derive(Debug, Clone)]
pub(crate) struct TableClient {
    pub(super) client: Client,
    table: Arc<str>,
    pub(super) rng: Rng,
    pub(super) retry_policy: RetryPolicy,
    pub(super) deadline: Instant,
    pub(super) meter: CapacityMeter,
    /// Whether a call that failed is sent again.
    pub(super) retries: bool,
}

impl TableClient {
    /// A client whose calls end at `deadline` and are counted by `meter`.
    pub(super) fn new(table: &Table, deadline: Instant, meter: CapacityMeter) -> Self {
        let Table { client, name, rng, retry_policy } = table.clone();
        Self { client, table: name, rng, retry_policy, deadline, meter, retries: true }
    }

    /// The same client with its deadline earlier by `reserve`.
    pub(crate) fn with_earlier_deadline(&self, reserve: Duration) -> Self {
        Self { deadline: self.deadline.checked_sub(reserve).unwrap_or(self.deadline), ..self.clone() }
    }

    /// The same client, whose calls are sent once and have no more than this time. For writes that are worth no second attempt
    /// and that a second attempt could apply twice.
    pub(crate) fn with_single_attempt(&self, timeout: Duration) -> Self {
        Self { deadline: self.deadline.min(Instant::now() + timeout), retries: false, ..self.clone() }
    }

    /// The time until the deadline.
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A transaction on this table, without items.
    pub(crate) fn transaction<L: Copy>(&self) -> Transaction<L> {
        Transaction::new(self.table.clone())
    }
}
