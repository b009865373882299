//! Reads of single items by their keys.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::rows::{self, BatchGetBody, GetBody, Row, StoredRow};
use super::{MAX_CONCURRENT_CALLS, TableClient};
use crate::dynamodb::error::Result;
use crate::dynamodb::item::{Item, expect_built, key_attributes};
use crate::dynamodb::keys::Key;
use crate::dynamodb::read_response::ResponseReader;
use crate::dynamodb::retry::{Backoff, Failure, classify};
use crate::dynamodb::schema::{PK, SK};

/// The most keys that one `BatchGetItem` takes.
pub(crate) const MAX_KEYS_PER_CALL: usize = 100;

impl TableClient {
    /// Reads one item with strong consistency.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Item>> {
        let get = self.client.get_item().table_name(&*self.table).set_key(Some(key_attributes(key)));
        let get = get.consistent_read(true).return_consumed_capacity(ReturnConsumedCapacity::Total);
        let response = ResponseReader::<GetBody<Item>>::new();
        let send = || response.clone().scope(get.clone().send());
        self.retry("GetItem", send, classify).await.map_err(Failure::into_error)?;
        let GetBody { item, consumed_capacity } = response.take()?;
        self.meter.add_reads_of_body(&consumed_capacity);
        Ok(item.map(|Row(item)| item))
    }

    /// Reads the items of these keys that exist, with strong consistency and in no order. The calls run concurrently.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn batch_get<R: StoredRow>(&self, keys: &[Key]) -> Result<Vec<R>> {
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
    pub(super) async fn batch_get_projected<R: StoredRow>(
        &self,
        keys: &[Key],
        projection: Option<&[&str]>,
    ) -> Result<Vec<R>> {
        let mut seen = HashSet::with_capacity(keys.len());
        let distinct: Vec<_> = keys.iter().filter(|key| seen.insert(*key)).collect();
        let calls: Vec<_> =
            distinct.chunks(MAX_KEYS_PER_CALL).map(|chunk| self.batch_get_chunk(chunk, projection)).collect();
        stream::iter(calls).buffer_unordered(MAX_CONCURRENT_CALLS).try_concat().await
    }

    /// Reads at most 100 items. Keys that DynamoDB leaves unprocessed are sent again; their items are not absent.
    async fn batch_get_chunk<R: StoredRow>(&self, keys: &[&Key], projection: Option<&[&str]>) -> Result<Vec<R>> {
        let mut rows = Vec::with_capacity(keys.len());
        let mut pending: Vec<_> = keys.iter().map(|key| key_attributes(key)).collect();
        let mut backoff = Backoff::default();
        while !pending.is_empty() {
            let mut body = self.batch_get_once(pending, projection).await?;
            rows.extend(body.responses.remove(&*self.table).map(rows::into_rows).unwrap_or_default());
            let unprocessed = body.unprocessed_keys.remove(&*self.table);
            pending = unprocessed.map(|unprocessed| rows::into_rows(unprocessed.keys)).unwrap_or_default();
            if !pending.is_empty() {
                self.meter.add_throttle();
                self.wait(&mut backoff).await?;
            }
        }
        Ok(rows)
    }

    async fn batch_get_once<R: StoredRow>(
        &self,
        keys: Vec<Item>,
        projection: Option<&[&str]>,
    ) -> Result<BatchGetBody<R>> {
        let (projection, names) = projection.map(render_projection).unzip();
        let keys = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .set_projection_expression(projection)
            .set_expression_attribute_names(names);
        let get = self
            .client
            .batch_get_item()
            .request_items(&*self.table, expect_built(keys.build()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let response = ResponseReader::<BatchGetBody<R>>::new();
        let send = || response.clone().scope(get.clone().send());
        self.retry("BatchGetItem", send, classify).await.map_err(Failure::into_error)?;
        let body = response.take()?;
        self.meter.add_reads_of_body(&body.consumed_capacity);
        Ok(body)
    }
}

/// The projection on these attributes, and the names that it refers to: a bare `type` is reserved.
pub(super) fn render_projection(attributes: &[&str]) -> (String, HashMap<String, String>) {
    let mut names = HashMap::with_capacity(attributes.len());
    for (index, attribute) in attributes.iter().enumerate() {
        names.insert(format!("#p{index}"), (*attribute).to_owned());
    }
    let placeholders: Vec<_> = (0..attributes.len()).map(|index| format!("#p{index}")).collect();
    (placeholders.join(","), names)
}
