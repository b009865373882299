//! Reads of single items by their keys.

use std::borrow::Cow;
use std::collections::HashSet;

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::rows::{self, BatchGetBody, GetBody, Row, StoredRow};
use super::{MAX_CONCURRENT_CALLS, TableClient};
use crate::dynamodb::error::Result;
use crate::dynamodb::item::Item;
use crate::dynamodb::keys::Key;
use crate::dynamodb::request::{ConsumedCapacity, OfTable, members, to_json};
use crate::dynamodb::retry::{Backoff, Failure, classify};
use crate::dynamodb::schema::{PK, SK};

/// The most keys that one `BatchGetItem` takes.
pub(crate) const MAX_KEYS_PER_CALL: usize = 100;

/// The body of a request that reads one item.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetRequest<'a> {
    table_name: &'a str,
    key: &'a Key,
    consistent_read: bool,
    return_consumed_capacity: ConsumedCapacity,
}

/// The body of a request that reads many items.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGetRequest<'a> {
    request_items: OfTable<'a, Keys<'a>>,
    return_consumed_capacity: ConsumedCapacity,
}

/// The keys of the items, and which of their attributes to read.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Keys<'a> {
    keys: &'a [Cow<'a, Key>],
    consistent_read: bool,
    #[serde(flatten)]
    projection: Option<&'a Projection>,
}

/// The attributes that a read shows. They have placeholders: a bare `type` is reserved.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Projection {
    projection_expression: String,
    #[serde(serialize_with = "members")]
    expression_attribute_names: Vec<(String, String)>,
}

impl TableClient {
    /// Reads one item with strong consistency.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Item>> {
        let request = GetRequest {
            table_name: &self.table,
            key,
            consistent_read: true,
            return_consumed_capacity: ConsumedCapacity::Total,
        };
        let send = || self.client.get_item().table_name(&*self.table).send();
        let response =
            self.exchange("GetItem", to_json(&request), send, || GetItemOutput::builder().build(), classify).await;
        let GetBody { item, consumed_capacity } = response.map_err(Failure::into_error)?;
        self.meter.add_reads(&consumed_capacity);
        Ok(item.map(|Row(item)| item))
    }

    /// Reads the items of these keys that exist, with strong consistency and in no order. The calls run concurrently.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn batch_get<'k, R: StoredRow>(&self, keys: impl IntoIterator<Item = &'k Key>) -> Result<Vec<R>> {
        self.batch_get_projected(keys, None).await
    }

    /// The keys among these that have an item. Costs as much as [`TableClient::batch_get`] but transfers no items.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn existing_keys(&self, keys: &[Key]) -> Result<HashSet<Key>> {
        let keys: Vec<Option<Key>> = self.batch_get_projected(keys, Some(&[PK, SK])).await?;
        Ok(keys.into_iter().flatten().collect())
    }

    /// Reads these attributes, or all, of the items that exist. DynamoDB refuses a key that a call names twice.
    pub(super) async fn batch_get_projected<'k, R: StoredRow>(
        &self,
        keys: impl IntoIterator<Item = &'k Key>,
        projection: Option<&[&str]>,
    ) -> Result<Vec<R>> {
        let projection = projection.map(Projection::new);
        let mut seen = HashSet::new();
        let distinct: Vec<_> = keys.into_iter().filter(|key| seen.insert(*key)).map(Cow::Borrowed).collect();
        let chunks = distinct.chunks(MAX_KEYS_PER_CALL);
        let calls: Vec<_> = chunks.map(|chunk| self.batch_get_chunk(chunk, projection.as_ref())).collect();
        stream::iter(calls).buffer_unordered(MAX_CONCURRENT_CALLS).try_concat().await
    }

    /// Reads at most 100 items. Keys that DynamoDB leaves unprocessed are sent again; their items are not absent.
    async fn batch_get_chunk<R: StoredRow>(
        &self,
        keys: &[Cow<'_, Key>],
        projection: Option<&Projection>,
    ) -> Result<Vec<R>> {
        let mut rows = Vec::with_capacity(keys.len());
        let mut pending = Cow::Borrowed(keys);
        let mut backoff = Backoff::default();
        while !pending.is_empty() {
            let mut body = self.batch_get_once(&pending, projection).await?;
            rows.extend(body.responses.remove(&*self.table).map(rows::into_rows).unwrap_or_default());
            let unprocessed = body.unprocessed_keys.remove(&*self.table);
            pending = unprocessed.into_iter().flat_map(|unprocessed| unprocessed.keys).map(Cow::Owned).collect();
            if !pending.is_empty() {
                self.meter.add_throttle();
                self.wait(&mut backoff).await?;
            }
        }
        Ok(rows)
    }

    async fn batch_get_once<R: StoredRow>(
        &self,
        keys: &[Cow<'_, Key>],
        projection: Option<&Projection>,
    ) -> Result<BatchGetBody<R>> {
        let request = BatchGetRequest {
            request_items: OfTable(&self.table, Keys { keys, consistent_read: true, projection }),
            return_consumed_capacity: ConsumedCapacity::Total,
        };
        let send = || self.client.batch_get_item().send();
        let empty_output = || BatchGetItemOutput::builder().build();
        let response = self.exchange("BatchGetItem", to_json(&request), send, empty_output, classify).await;
        let body: BatchGetBody<R> = response.map_err(Failure::into_error)?;
        self.meter.add_reads(&body.consumed_capacity);
        Ok(body)
    }
}

impl Projection {
    /// The projection on these attributes.
    pub(super) fn new(attributes: &[&str]) -> Self {
        let placeholders: Vec<_> = (0..attributes.len()).map(|index| format!("#p{index}")).collect();
        let projection_expression = placeholders.join(",");
        let names = attributes.iter().map(|attribute| (*attribute).to_owned());
        Self { projection_expression, expression_attribute_names: placeholders.into_iter().zip(names).collect() }
    }
}
