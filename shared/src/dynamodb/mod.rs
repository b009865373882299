//! The mechanics of DynamoDB: everything that knows the SDK and nothing that knows a use case.
//!
//! [`Table`] is the table for the life of the process, [`TableClient`] is one request's view of it: every call, its
//! retries, its deadline and its cost. `keys` says where each item lies, `item` how values become attributes, `expression`
//! and `transaction` build the writes. The SDK's client is private to this module; the operations on contacts,
//! imports and campaigns are written with these parts in [`repositories`](crate::repositories).

mod capacity;
mod client;
mod cursor;
mod error;
pub(crate) mod expression;
pub(crate) mod item;
pub mod keys;
mod retry;
#[cfg(feature = "testing")]
pub mod setup;
pub(crate) mod table_client;
pub(crate) mod transaction;
mod ttl_cache;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use tokio::time::Instant;

pub use capacity::{CapacityMeter, ConsumedCapacity};
pub use cursor::{Cursor, SortPosition};
pub(crate) use error::error_chain;
pub use error::{Error, Kind, Result};
pub use keys::Parent;
pub(crate) use retry::Backoff;
pub use retry::RetryPolicy;
pub(crate) use table_client::TableClient;
pub(crate) use ttl_cache::TtlCache;

use crate::config::Database;

/// The table, for the life of the process.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: Arc<str>,
    retry_policy: RetryPolicy,
}

impl Table {
    /// The table that the configuration names. Opens no connection.
    pub fn new(database: &Database, retry_policy: RetryPolicy) -> Self {
        Self { client: client::new(database), name: database.table.as_str().into(), retry_policy }
    }

    /// A client for one request: its calls end at `deadline` and are counted by `meter`.
    pub(crate) fn client(&self, deadline: Instant, meter: CapacityMeter) -> TableClient {
        TableClient::new(self, deadline, meter)
    }
}
