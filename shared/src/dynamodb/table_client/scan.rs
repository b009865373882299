//! Reads of the whole table, for an operator's commands. No function may scan: see [`Action`](crate::endpoint::Action).

use std::collections::HashMap;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use super::TableClient;
use super::read::render_projection;
use crate::dynamodb::error::Result;
use crate::dynamodb::item::{Item, key_attributes, key_of};
use crate::dynamodb::keys::Key;
use crate::dynamodb::retry::{Failure, classify};

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
        let (projection, names) = render_projection(attributes);
        let scan = self
            .client
            .scan()
            .table_name(&*self.table)
            .set_exclusive_start_key(after.map(key_attributes))
            .limit(limit)
            .projection_expression(projection)
            .set_expression_attribute_names(Some(names))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.retry("Scan", || scan.clone().send(), classify).await.map_err(Failure::into_error)?;
        self.meter.add_reads(output.consumed_capacity());
        let last_evaluated = output.last_evaluated_key().and_then(key_of);
        Ok(ScanPage { items: output.items.unwrap_or_default(), last_evaluated })
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
