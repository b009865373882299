//! Writes of single items. Transactions are in `dynamodb::transaction`.

use aws_sdk_dynamodb::operation::delete_item::{DeleteItemError, DeleteItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    DeleteRequest, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure, WriteRequest,
};

use super::TableClient;
use super::rows::{Row, StoredRow, UpdateBody, WriteBody};
use crate::dynamodb::conditional::Conditional;
use crate::dynamodb::error::Result;
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{Item, expect_built, key_attributes};
use crate::dynamodb::keys::Key;
use crate::dynamodb::read_response::ResponseReader;
use crate::dynamodb::retry::{Backoff, Failure, classify};

impl TableClient {
    /// Writes one item if the condition holds for the stored one. A refusal holds the stored item, if one exists.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn put_if(&self, item: Item, condition: Condition) -> Result<Conditional<(), Option<Item>>> {
        let (condition, attributes) = condition.render();
        let (names, values) = attributes.into_maps();
        let put = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let response = ResponseReader::<WriteBody<PutItemOutput>>::new();
        let send = || response.clone().scope(put.clone().send());
        match self.retry("PutItem", send, classify).await {
            Ok(_) => {
                self.meter.add_writes_of_body(&response.take()?.consumed_capacity);
                Ok(Conditional::Applied(()))
            }
            Err(Failure::Refused(_, PutItemError::ConditionalCheckFailedException(refusal))) => {
                Ok(Conditional::Refused(stored_item(refusal.item)))
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Writes one item that must not exist yet. A refusal holds the stored item.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn put_new(&self, item: Item) -> Result<Conditional<(), Item>> {
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
        let (condition, attributes) = condition.render();
        let (update, more_attributes) = update.render();
        let (names, values) = attributes.merge(more_attributes).into_maps();
        let update = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(key_attributes(key)))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let response = ResponseReader::<UpdateBody<R>>::new();
        let send = || response.clone().scope(update.clone().send());
        match self.retry("UpdateItem", send, classify).await {
            Ok(_) => {
                let UpdateBody { attributes: Row(row), consumed_capacity } = response.take()?;
                self.meter.add_writes_of_body(&consumed_capacity);
                Ok(Conditional::Applied(row))
            }
            Err(Failure::Refused(_, UpdateItemError::ConditionalCheckFailedException(refusal))) => {
                Ok(Conditional::Refused(stored_item(refusal.item)))
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Deletes one item if the condition holds for it.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn delete_if(&self, key: &Key, condition: Condition) -> Result<Conditional<(), ()>> {
        let (condition, attributes) = condition.render();
        let (names, values) = attributes.into_maps();
        let delete = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(key_attributes(key)))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let response = ResponseReader::<WriteBody<DeleteItemOutput>>::new();
        let send = || response.clone().scope(delete.clone().send());
        match self.retry("DeleteItem", send, classify).await {
            Ok(_) => {
                self.meter.add_writes_of_body(&response.take()?.consumed_capacity);
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

    async fn batch_delete_chunk(&self, keys: &[Key]) -> Result<()> {
        let mut pending = Vec::with_capacity(keys.len());
        for key in keys {
            let delete = expect_built(DeleteRequest::builder().set_key(Some(key_attributes(key))).build());
            pending.push(WriteRequest::builder().delete_request(delete).build());
        }
        let mut backoff = Backoff::default();
        while !pending.is_empty() {
            let write = self.client.batch_write_item().request_items(&*self.table, pending);
            let write = write.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let output =
                self.retry("BatchWriteItem", || write.clone().send(), classify).await.map_err(Failure::into_error)?;
            self.meter.add_writes(output.consumed_capacity());
            pending = output.unprocessed_items.and_then(|mut tables| tables.remove(&*self.table)).unwrap_or_default();
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
