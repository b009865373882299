//! The mechanics of DynamoDB: the only module that calls it, and one that knows no use case.
//!
//! [`Table`] lives as long as the process, a `TableClient` as long as one request. Reads and writes of single items and
//! ranges are in `table_client`, transactions in `transaction`, their retries and deadline in `retry`. `schema` defines the
//! table, `keys` and `parent` say where items are stored, `item` how values become attributes, `item_json` how items are written
//! and `stored_item` how they are read, `expression` how updates and conditions are written, `cursor` how a list continues.
//! `request` has the parts of requests, and `exchange` sends requests and reads responses in our own types, with the SDK's client,
//! which is private to this module. The operations on contacts, imports and campaigns are in
//! [`repositories`](crate::repositories).

mod capacity;
pub(crate) mod conditional;
mod cursor;
mod error;
mod exchange;
pub(crate) mod expression;
pub(crate) mod item;
mod item_json;
pub mod keys;
mod parent;
mod request;
mod retry;
pub mod schema;
#[cfg(feature = "testing")]
pub mod setup;
pub(crate) mod stored_item;
pub(crate) mod table_client;
pub(crate) mod transaction;
mod ttl_cache;

use std::sync::Arc;

use aws_sdk_dynamodb::{Client, config};
use aws_types::SdkConfig;
use tokio::time::Instant;

pub use capacity::{CapacityMeter, ConsumedCapacity};
pub(crate) use conditional::Conditional;
pub use cursor::{CreationPosition, Cursor, SortPosition};
pub(crate) use error::error_chain;
pub use error::{Error, Result};
use exchange::ExchangeInterceptor;
pub(crate) use parent::Children;
pub use parent::{DeletedParent, Parent};
pub(crate) use retry::Backoff;
pub use retry::RetryPolicy;
pub(crate) use stored_item::StoredItem;
pub(crate) use table_client::TableClient;
pub(crate) use ttl_cache::TtlCache;

use crate::aws::{self, PassTrace};
use crate::config::Database;
use crate::system::{self, Rng};

/// The table, shared by all requests of a process.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: Arc<str>,
    rng: Rng,
    retry_policy: RetryPolicy,
}

impl Table {
    /// The table of this configuration. Opens no connection.
    pub fn new(database: &Database, retry_policy: RetryPolicy) -> Self {
        let Database { table, endpoint, .. } = database;
        Self::with_sdk_config(&aws::sdk_config(database), table, endpoint.as_deref(), retry_policy)
    }

    /// A table, through a client that shares its HTTP client with other services. `endpoint` is the URL of another engine than
    /// the one that the configuration names, which is AWS's by default.
    pub(crate) fn with_sdk_config(
        sdk_config: &SdkConfig,
        table: &str,
        endpoint: Option<&str>,
        retry_policy: RetryPolicy,
    ) -> Self {
        let mut config = config::Builder::from(sdk_config).interceptor(PassTrace).interceptor(ExchangeInterceptor);
        if let Some(endpoint) = endpoint {
            config.set_endpoint_url(Some(endpoint.to_owned()));
        }
        let client = Client::from_conf(config.build());
        Self { client, name: table.into(), rng: system::rng(), retry_policy }
    }

    /// A client for one request, whose calls end at `deadline` and are counted by `meter`.
    pub(crate) fn client(&self, deadline: Instant, meter: CapacityMeter) -> TableClient {
        TableClient::new(self, deadline, meter)
    }
}
