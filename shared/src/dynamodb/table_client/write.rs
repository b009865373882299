//! Writes of single items. Transactions are in `dynamodb::transaction`.

use std::borrow::Cow;

use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemError, DeleteItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use serde::Serialize;

use super::TableClient;
use super::rows::{BatchWriteBody, Row, StoredRow, UnprocessedWrite, UpdateBody, WriteBody};
use crate::dynamodb::conditional::Conditional;
use crate::dynamodb::error::Result;
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{self, Item, ItemJson};
use crate::dynamodb::keys::Key;
use crate::dynamodb::request::{ConsumedCapacity, Expressions, OfTable, push_with_item, to_json};
use crate::dynamodb::retry::{Backoff, Failure, classify};

/// The body of a request that writes one item, without the item.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WriteRequest<'a> {
    table_name: &'a str,
    /// The key of an item that is changed or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Key>,
    #[serde(flatten)]
    expressions: Expressions,
    /// What a success shows; the default is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    return_values: Option<ReturnValues>,
    /// What a refusal shows; the default is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    return_values_on_condition_check_failure: Option<ReturnValues>,
    return_consumed_capacity: ConsumedCapacity,
}

/// The attributes that a response shows.
#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ReturnValues {
    AllOld,
    AllNew,
}

/// The body of a request that writes many items.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchWriteRequest<'a> {
    request_items: OfTable<'a, Vec<BatchItem<'a>>>,
    return_consumed_capacity: ConsumedCapacity,
}

/// One write of many.
#[derive(Serialize)]
enum BatchItem<'a> {
    #[serde(rename = "DeleteRequest")]
    Delete {
        #[serde(rename = "Key")]
        key: &'a Key,
    },
}

impl TableClient {
    /// Writes one item if the condition holds for the stored one. A refusal holds the stored item, if one exists.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn put_if(&self, item: &ItemJson, condition: Condition) -> Result<Conditional<(), Option<Item>>> {
        let others = WriteRequest {
            return_values_on_condition_check_failure: Some(ReturnValues::AllOld),
            ..self.write_request(None, Expressions::new(None, Some(condition)))
        };
        let mut request = Vec::new();
        push_with_item(&mut request, item, &others);
        let send = || self.client.put_item().table_name(&*self.table).send();
        match self.exchange("PutItem", request, send, || PutItemOutput::builder().build(), classify).await {
            Ok(WriteBody { consumed_capacity }) => {
                self.meter.add_writes(&consumed_capacity);
                Ok(Conditional::Applied(()))
            }
            Err(Failure::Refused(_, PutItemError::ConditionalCheckFailedException(refusal))) => {
                Ok(Conditional::Refused(stored_item(refusal.item.map(item::of_sdk))))
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Writes one item that must not exist yet. A refusal holds the stored item.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn put_new(&self, item: &ItemJson) -> Result<Conditional<(), Item>> {
        Ok(match self.put_if(item, Condition::not_exists()).await? {
            Conditional::Applied(()) => Conditional::Applied(()),
            Conditional::Refused(stored) => Conditional::Refused(stored.unwrap_or_default()),
        })
    }

    /// Changes one item if the condition holds, and returns it as it is afterwards. A refusal holds the stored item,
    /// if one exists.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn update_if<R: StoredRow>(
        &self,
        key: &Key,
        update: Update,
        condition: Condition,
    ) -> Result<Conditional<R, Option<Item>>> {
        let request = WriteRequest {
            return_values: Some(ReturnValues::AllNew),
            return_values_on_condition_check_failure: Some(ReturnValues::AllOld),
            ..self.write_request(Some(key), Expressions::new(Some(update), Some(condition)))
        };
        let send = || self.client.update_item().table_name(&*self.table).send();
        match self
            .exchange("UpdateItem", to_json(&request), send, || UpdateItemOutput::builder().build(), classify)
            .await
        {
            Ok(UpdateBody { attributes: Row(row), consumed_capacity }) => {
                self.meter.add_writes(&consumed_capacity);
                Ok(Conditional::Applied(row))
            }
            Err(Failure::Refused(_, UpdateItemError::ConditionalCheckFailedException(refusal))) => {
                Ok(Conditional::Refused(stored_item(refusal.item.map(item::of_sdk))))
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Deletes one item if the condition holds for it.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn delete_if(&self, key: &Key, condition: Condition) -> Result<Conditional<(), ()>> {
        let request = self.write_request(Some(key), Expressions::new(None, Some(condition)));
        let send = || self.client.delete_item().table_name(&*self.table).send();
        match self
            .exchange("DeleteItem", to_json(&request), send, || DeleteItemOutput::builder().build(), classify)
            .await
        {
            Ok(WriteBody { consumed_capacity }) => {
                self.meter.add_writes(&consumed_capacity);
                Ok(Conditional::Applied(()))
            }
            Err(Failure::Refused(_, DeleteItemError::ConditionalCheckFailedException(_))) => {
                Ok(Conditional::Refused(()))
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Deletes the items of these keys that exist. Deletions that DynamoDB leaves unprocessed are sent again.
    ///
    /// # Errors
    /// The database's; the items that were deleted before stay deleted.
    pub(crate) async fn batch_delete(&self, keys: &[Key]) -> Result<()> {
        const MAX_DELETES_PER_CALL: usize = 25;
        for chunk in keys.chunks(MAX_DELETES_PER_CALL) {
            self.batch_delete_chunk(chunk).await?;
        }
        Ok(())
    }

    fn write_request<'a>(&'a self, key: Option<&'a Key>, expressions: Expressions) -> WriteRequest<'a> {
        WriteRequest {
            table_name: &self.table,
            key,
            expressions,
            return_values: None,
            return_values_on_condition_check_failure: None,
            return_consumed_capacity: ConsumedCapacity::Total,
        }
    }

    async fn batch_delete_chunk(&self, keys: &[Key]) -> Result<()> {
        let mut pending = Cow::Borrowed(keys);
        let mut backoff = Backoff::default();
        while !pending.is_empty() {
            let deletes = pending.iter().map(|key| BatchItem::Delete { key }).collect();
            let request = BatchWriteRequest {
                request_items: OfTable(&self.table, deletes),
                return_consumed_capacity: ConsumedCapacity::Total,
            };
            let send = || self.client.batch_write_item().send();
            let empty_output = || BatchWriteItemOutput::builder().build();
            let response = self.exchange("BatchWriteItem", to_json(&request), send, empty_output, classify).await;
            let BatchWriteBody { mut unprocessed_items, consumed_capacity } = response.map_err(Failure::into_error)?;
            self.meter.add_writes(&consumed_capacity);
            let unprocessed = unprocessed_items.remove(&*self.table).unwrap_or_default();
            pending = unprocessed.into_iter().map(|UnprocessedWrite::DeleteRequest { key }| key).collect();
            if !pending.is_empty() {
                self.meter.add_throttle();
                self.wait(&mut backoff).await?;
            }
        }
        Ok(())
    }
}

/// The item that a refusal shows. If no item is stored, some engines show an empty one.
fn stored_item(item: Option<Item>) -> Option<Item> {
    match item {
        Some(item) if item.is_empty() => None,
        item => item,
    }
}
