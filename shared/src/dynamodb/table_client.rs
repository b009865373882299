//! One request's way to the table: every call, its retries, its deadline and its cost.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure, Select, WriteRequest,
};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::time::Instant;
use uuid::Uuid;

use super::error::Result;
use super::expression::{Expression, given};
use super::item::{Item, expect_built, key_in, key_of, string};
use super::keys::{Index, Key, PK, Range, SK};
use super::retry::{Backoff, Failure, RetryPolicy, is_transient, is_transient_cancellation};
use super::transaction::{self, Transaction};
use super::{CapacityMeter, Table};

/// The most keys that one call reads (`BatchGetItem`).
pub(crate) const KEYS_A_CALL: usize = 100;
/// How many calls of one request may be under way at once.
pub(crate) const AT_ONCE: usize = 8;

/// A request's way to the table.
#[derive(Debug, Clone)]
pub(crate) struct TableClient {
    client: Client,
    table: Arc<str>,
    pub(super) retry_policy: RetryPolicy,
    pub(super) deadline: Instant,
    pub(super) meter: CapacityMeter,
}

/// A part of a range, as one Query read it.
#[derive(Debug)]
pub(crate) struct QueryPage {
    /// What it read, in order.
    pub(crate) items: Vec<Item>,
    /// The sort key to go on after, if the range may hold more.
    pub(crate) last: Option<String>,
}

/// What an index has of an item.
#[derive(Debug)]
pub(crate) struct IndexEntry {
    /// The item's key in the table.
    pub(crate) key: Key,
    /// The entry's place in the index.
    pub(crate) index_sk: String,
}

/// A part of an index, as one Query read it.
#[derive(Debug)]
pub(crate) struct IndexPage {
    /// What it read, in order.
    pub(crate) entries: Vec<IndexEntry>,
    /// The index's sort key to go on after, if the range may hold more.
    pub(crate) last: Option<String>,
}

/// How to read a range.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// From the last item to the first.
    pub(crate) descending: bool,
    /// Read so many items and no more.
    pub(crate) limit: Option<usize>,
}

/// The attributes of an item's key, as a projection.
const KEY_ATTRIBUTES: &str = "pk,sk";

impl TableClient {
    /// A client for one request: its calls end at `deadline` and are counted by `meter`.
    pub(super) fn new(table: &Table, deadline: Instant, meter: CapacityMeter) -> Self {
        let Table { client, name, retry_policy } = table.clone();
        Self { client, table: name, retry_policy, deadline, meter }
    }

    /// The table's name.
    pub(crate) fn table_name(&self) -> &str {
        &self.table
    }

    /// The same way, with its deadline earlier by so much.
    pub(crate) fn ending_earlier(&self, by: Duration) -> Self {
        Self { deadline: self.deadline.checked_sub(by).unwrap_or(self.deadline), ..self.clone() }
    }

    /// Reads one item, consistently.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Item>> {
        let get = self.client.get_item().table_name(&*self.table).set_key(Some(key_of(key))).consistent_read(true);
        let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.retry("GetItem", || get.clone().send(), is_transient).await.map_err(Failure::unexpected)?;
        self.meter.add_reads(output.consumed_capacity());
        Ok(output.item)
    }

    /// Reads the items of these keys that exist, consistently, in no order; several calls go at once.
    pub(crate) async fn batch_get(&self, keys: &[Key]) -> Result<Vec<Item>> {
        self.batch_get_projected(keys, None).await
    }

    /// Those of these keys that an item lies at, read as [`TableClient::batch_get`] does, without sending the items.
    pub(crate) async fn existing(&self, keys: &[Key]) -> Result<HashSet<Key>> {
        let items = self.batch_get_projected(keys, Some(KEY_ATTRIBUTES)).await?;
        Ok(items.iter().filter_map(key_in).collect())
    }

    async fn batch_get_projected(&self, keys: &[Key], projection: Option<&str>) -> Result<Vec<Item>> {
        let calls: Vec<_> = keys.chunks(KEYS_A_CALL).map(|some| self.batch_get_some(some, projection)).collect();
        stream::iter(calls).buffer_unordered(AT_ONCE).try_concat().await
    }

    /// Reads at most 100 items. What the database leaves unprocessed is read again, never taken for absent.
    async fn batch_get_some(&self, keys: &[Key], projection: Option<&str>) -> Result<Vec<Item>> {
        let mut items = Vec::with_capacity(keys.len());
        let mut wanted: Vec<_> = keys.iter().map(key_of).collect();
        let mut backoff = Backoff::default();
        while !wanted.is_empty() {
            let output = self.batch_get_once(wanted, projection).await?;
            let found = output.responses.and_then(|mut tables| tables.remove(&*self.table));
            items.extend(found.into_iter().flatten());
            let left = output.unprocessed_keys.and_then(|mut tables| tables.remove(&*self.table));
            wanted = left.map(|left| left.keys).unwrap_or_default();
            if !wanted.is_empty() {
                self.wait(&mut backoff).await?;
            }
        }
        Ok(items)
    }

    async fn batch_get_once(&self, keys: Vec<Item>, projection: Option<&str>) -> Result<BatchGetItemOutput> {
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let wanted = wanted.set_projection_expression(projection.map(str::to_owned));
        let get = self.client.batch_get_item().request_items(&*self.table, expect_built(wanted.build()));
        let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output =
            self.retry("BatchGetItem", || get.clone().send(), is_transient).await.map_err(Failure::unexpected)?;
        self.meter.add_reads(output.consumed_capacity());
        Ok(output)
    }

    /// Reads a part of a range, consistently: one call, at most 1 MB.
    pub(crate) async fn query(&self, range: &Range, after: Option<&str>, reading: &Reading) -> Result<QueryPage> {
        let output = self.run(self.in_table(range, after, reading)).await?;
        let last = output.last_evaluated_key().and_then(|key| string(key, SK));
        Ok(QueryPage { items: output.items.unwrap_or_default(), last })
    }

    /// Reads a range from its beginning to its end, page after page.
    pub(crate) fn pages(&self, range: &Range, reading: Reading) -> impl Stream<Item = Result<QueryPage>> {
        // The place to go on after; none before the first page, and no such state after the last.
        stream::try_unfold(Some(None::<String>), move |state| {
            let reading = reading.clone();
            async move {
                let Some(after) = state else { return Ok(None) };
                let page = self.query(range, after.as_deref(), &reading).await?;
                let next = page.last.clone().map(Some);
                Ok(Some((page, next)))
            }
        })
    }

    /// Counts the items of a range, consistently: one call for each 1 MB of them.
    pub(crate) async fn count(&self, range: &Range) -> Result<u64> {
        let (mut count, mut after) = (0, None::<String>);
        loop {
            let query = self.in_table(range, after.as_deref(), &Reading::default()).select(Select::Count);
            let output = self.run(query).await?;
            count += u64::try_from(output.count()).unwrap_or_default();
            after = output.last_evaluated_key().and_then(|key| string(key, SK));
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Reads a part of a range of an index: where the items lie that it names, in the order of the index's sort keys.
    /// An index follows the table a moment later, and holds keys only: what it finds has to be read from the table.
    pub(crate) async fn query_index(
        &self,
        index: &Index,
        range: &Range,
        after: Option<&str>,
        reading: &Reading,
    ) -> Result<IndexPage> {
        let range = match after {
            Some(after) if reading.descending => range.clone().ending_at(after),
            Some(after) => range.clone().starting_at(after),
            None => range.clone(),
        };
        if range.is_empty() {
            return Ok(IndexPage { entries: Vec::new(), last: None });
        }
        // The place to go on after is a bound, which the range includes: one more is read than is wanted.
        let reading = Reading { limit: reading.limit.map(|limit| limit.saturating_add(1)), ..reading.clone() };
        let output = self.run(self.in_range([index.pk, index.sk], &range, &reading).index_name(index.name)).await?;
        let entry = |item: &Item| Some(IndexEntry { key: key_in(item)?, index_sk: string(item, index.sk)? });
        let entries = output.items().iter().filter_map(entry).filter(|entry| Some(&*entry.index_sk) != after);
        let last = output.last_evaluated_key().and_then(|key| string(key, index.sk));
        Ok(IndexPage { entries: entries.collect(), last })
    }

    fn in_table(&self, range: &Range, after: Option<&str>, reading: &Reading) -> QueryFluentBuilder {
        let position = |sk: &str| key_of(&Key { pk: range.pk.clone(), sk: sk.to_owned() });
        let query = self.in_range([PK, SK], range, reading).consistent_read(true);
        query.set_exclusive_start_key(after.map(position))
    }

    fn in_range(&self, [pk, sk]: [&str; 2], range: &Range, reading: &Reading) -> QueryFluentBuilder {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        self.client
            .query()
            .table_name(&*self.table)
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :first AND :last")
            .expression_attribute_names("#pk", pk)
            .expression_attribute_names("#sk", sk)
            .expression_attribute_values(":pk", text(&range.pk))
            .expression_attribute_values(":first", text(&range.first))
            .expression_attribute_values(":last", text(&range.last))
            .scan_index_forward(!reading.descending)
            .set_limit(reading.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    async fn run(&self, query: QueryFluentBuilder) -> Result<QueryOutput> {
        let output = self.retry("Query", || query.clone().send(), is_transient).await.map_err(Failure::unexpected)?;
        self.meter.add_reads(output.consumed_capacity());
        Ok(output)
    }

    /// Writes one item over what lies there, if a condition on that holds; gives back what lies there where it does not.
    pub(crate) async fn put_if(&self, item: Item, condition: Expression) -> Result<std::result::Result<(), Item>> {
        let put = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(condition.condition())
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(given(condition.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.retry("PutItem", || put.clone().send(), is_transient).await {
            Ok(output) => {
                self.meter.add_writes(output.consumed_capacity());
                Ok(Ok(()))
            }
            Err(Failure::Service(_, PutItemError::ConditionalCheckFailedException(refused))) => {
                Ok(Err(refused.item.unwrap_or_default()))
            }
            Err(failure) => Err(failure.unexpected()),
        }
    }

    /// Writes one item where none lies yet. Gives back the item that lies there already, if one does.
    pub(crate) async fn put_new(&self, item: Item) -> Result<std::result::Result<(), Item>> {
        self.put_if(item, Expression::absent(PK)).await
    }

    /// Deletes one item, if a condition on it holds; `false` where it does not.
    pub(crate) async fn delete_if(&self, key: &Key, condition: Expression) -> Result<bool> {
        let delete = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(key_of(key)))
            .condition_expression(condition.condition())
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(given(condition.values))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.retry("DeleteItem", || delete.clone().send(), is_transient).await {
            Ok(output) => {
                self.meter.add_writes(output.consumed_capacity());
                Ok(true)
            }
            Err(Failure::Service(_, DeleteItemError::ConditionalCheckFailedException(_))) => Ok(false),
            Err(failure) => Err(failure.unexpected()),
        }
    }

    /// Deletes these items, those that are there. What the database leaves unprocessed is sent again.
    pub(crate) async fn batch_delete(&self, keys: &[Key]) -> Result<()> {
        const DELETES_A_CALL: usize = 25;
        for chunk in keys.chunks(DELETES_A_CALL) {
            let delete = |key| expect_built(DeleteRequest::builder().set_key(Some(key_of(key))).build());
            let mut left: Vec<_> =
                chunk.iter().map(|key| WriteRequest::builder().delete_request(delete(key)).build()).collect();
            let mut backoff = Backoff::default();
            while !left.is_empty() {
                let write = self.client.batch_write_item().request_items(&*self.table, left);
                let write = write.return_consumed_capacity(ReturnConsumedCapacity::Total);
                let output = self
                    .retry("BatchWriteItem", || write.clone().send(), is_transient)
                    .await
                    .map_err(Failure::unexpected)?;
                self.meter.add_writes(output.consumed_capacity());
                left = output.unprocessed_items.and_then(|mut tables| tables.remove(&*self.table)).unwrap_or_default();
                if !left.is_empty() {
                    self.wait(&mut backoff).await?;
                }
            }
        }
        Ok(())
    }

    /// Changes one item and gives it back as it is then, or, where the condition refuses, as it was: `Err(None)` is no
    /// item at all.
    pub(crate) async fn update(
        &self,
        key: &Key,
        expression: Expression,
    ) -> Result<std::result::Result<Item, Option<Item>>> {
        let update = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(key_of(key)))
            .update_expression(expression.update())
            .condition_expression(expression.condition())
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(given(expression.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.retry("UpdateItem", || update.clone().send(), is_transient).await {
            Ok(output) => {
                self.meter.add_writes(output.consumed_capacity());
                Ok(Ok(output.attributes.unwrap_or_default()))
            }
            Err(Failure::Service(_, UpdateItemError::ConditionalCheckFailedException(refused))) => {
                Ok(Err(refused.item.filter(|item| !item.is_empty())))
            }
            Err(failure) => Err(failure.unexpected()),
        }
    }

    /// Commits a transaction: all of it or nothing. Gives the parts whose conditions refused it; none, where it is done.
    /// One token goes with these items however often they are sent, so an
    /// answer that was lost after the commit is not taken for a refusal.
    pub(crate) async fn commit<P: Copy>(&self, transaction: Transaction<P>) -> Result<Vec<P>> {
        let Transaction { items, parts, .. } = transaction;
        let write = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(Uuid::new_v4().hyphenated().to_string())
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.retry("TransactWriteItems", || write.clone().send(), is_transient_cancellation).await {
            Ok(output) => {
                self.meter.add_writes(output.consumed_capacity());
                Ok(Vec::new())
            }
            Err(Failure::Service(_, TransactWriteItemsError::TransactionCanceledException(cancelled))) => {
                transaction::refused(cancelled.cancellation_reasons(), &parts)
            }
            Err(failure) => Err(failure.unexpected()),
        }
    }
}
