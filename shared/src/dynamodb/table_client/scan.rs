//! Reads of the whole table, for an operator's commands. No function may scan: see [`Action`](crate::endpoint::Action).

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::scan::ScanOutput;
use serde::Serialize;

use super::TableClient;
use super::read::Projection;
use super::rows::{self, ScanBody};
use crate::dynamodb::error::Result;
use crate::dynamodb::item::{Item, key_of};
use crate::dynamodb::keys::Key;
use crate::dynamodb::request::{ConsumedCapacity, to_json};
use crate::dynamodb::retry::{Failure, classify};

/// The body of a request that reads a part of the table.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ScanRequest<'a> {
    table_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclusive_start_key: Option<&'a Key>,
    limit: i32,
    #[serde(flatten)]
    projection: Projection,
    return_consumed_capacity: ConsumedCapacity,
}

/// The items that one Scan read.
#[derive(Debug)]
pub(crate) struct ScanPage {
    /// The projected attributes of each item.
    pub(crate) items: Vec<Item>,
    /// The key after which the table may hold more; `None` at its end.
    pub(crate) last_evaluated: Option<Key>,
}

impl TableClient {
    /// Reads these attributes of the next items of the table, at most `limit` and 1 MB.
    ///
    /// The read is eventually consistent, at half the price of a consistent one: it may miss the writes of the last
    /// second, and show items that have been deleted meanwhile.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn scan(&self, after: Option<&Key>, limit: i32, attributes: &[&str]) -> Result<ScanPage> {
        let request = ScanRequest {
            table_name: &self.table,
            exclusive_start_key: after,
            limit,
            projection: Projection::new(attributes),
            return_consumed_capacity: ConsumedCapacity::Total,
        };
        let send = || self.client.scan().table_name(&*self.table).send();
        let response = self.exchange("Scan", to_json(&request), send, || ScanOutput::builder().build(), classify).await;
        let ScanBody { items, last_evaluated_key, consumed_capacity } = response.map_err(Failure::into_error)?;
        self.meter.add_reads(&consumed_capacity);
        Ok(ScanPage { items: rows::into_rows(items), last_evaluated: last_evaluated_key })
    }

    /// Reads these attributes of the items of these keys that exist, by their keys, with strong consistency.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn batch_get_attributes(&self, keys: &[Key], attributes: &[&str]) -> Result<HashMap<Key, Item>> {
        let items = self.batch_get_projected(keys, Some(attributes)).await?;
        Ok(items.into_iter().filter_map(|item| Some((key_of(&item)?, item))).collect())
    }

    /// The number of items of the table. DynamoDB updates it every six hours.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn approximate_item_count(&self) -> Result<u64> {
        let describe = self.client.describe_table().table_name(&*self.table);
        let describe = self.retry("DescribeTable", || describe.clone().send(), classify).await;
        let table = describe.map_err(Failure::into_error)?.table;
        let count = table.and_then(|table| table.item_count).unwrap_or_default();
        Ok(u64::try_from(count).unwrap_or_default())
    }
}
