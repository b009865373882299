//! Transactions (`TransactWriteItems`) and the reasons for which they are cancelled.

use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsOutput};
use aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnConsumedCapacity, TransactWriteItem, Update as UpdateItem,
};

use aws_smithy_runtime_api::client::interceptors::context::Output;
use serde::Deserialize;

use super::capacity::CapacityBody;
use super::conditional::Conditional;
use super::error::{Error, Result};
use super::expression::{Condition, Update};
use super::item::{Item, expect_built, key_attributes};
use super::keys::Key;
use super::read_response::{ResponseBody, ResponseReader};
use super::repeat_request::FirstRequest;
use super::retry::{ErrorKind, Failure, classify_transaction};
use super::table_client::TableClient;

/// The most items that DynamoDB takes in one transaction.
pub(crate) const MAX_ITEMS: usize = 100;

/// Writes that commit together or not at all.
///
/// Each item has a label `L` of the writer's choice. DynamoDB gives one cancellation reason per item, in their order; the
/// labels of the refused items tell the writer which of its conditions failed.
pub(crate) struct Transaction<L> {
    table: String,
    items: Vec<TransactWriteItem>,
    labels: Vec<L>,
}

impl<L: Copy> Transaction<L> {
    /// A transaction on this table, without items.
    pub(super) fn new(table: &str) -> Self {
        Self { table: table.to_owned(), items: Vec::new(), labels: Vec::new() }
    }

    /// Whether it has no items.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Writes an item, replacing the stored one.
    pub(crate) fn put(&mut self, label: L, item: Item) {
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        self.push(label, |write| write.put(expect_built(put.build())));
    }

    /// Writes an item that must not exist yet.
    pub(crate) fn put_new(&mut self, label: L, item: Item) {
        self.put_if(label, item, Condition::not_exists());
    }

    /// Writes an item if the condition holds for the stored one.
    pub(crate) fn put_if(&mut self, label: L, item: Item, condition: Condition) {
        let (condition, attributes) = condition.render();
        let (names, values) = attributes.into_maps();
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values);
        self.push(label, |write| write.put(expect_built(put.build())));
    }

    /// Changes an item, or creates it.
    pub(crate) fn update(&mut self, label: L, key: &Key, update: Update) {
        let (expression, attributes) = update.render();
        let (names, values) = attributes.into_maps();
        let update = UpdateItem::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .update_expression(expression)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values);
        self.push(label, |write| write.update(expect_built(update.build())));
    }

    /// Changes an item, or creates it, if the condition holds for the stored one.
    pub(crate) fn update_if(&mut self, label: L, key: &Key, update: Update, condition: Condition) {
        let (condition, attributes) = condition.render();
        let (expression, more_attributes) = update.render();
        let (names, values) = attributes.merge(more_attributes).into_maps();
        let update = UpdateItem::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values);
        self.push(label, |write| write.update(expect_built(update.build())));
    }

    /// Deletes an item if it exists.
    pub(crate) fn delete(&mut self, label: L, key: &Key) {
        let delete = Delete::builder().table_name(&self.table).set_key(Some(key_attributes(key)));
        self.push(label, |write| write.delete(expect_built(delete.build())));
    }

    /// Deletes an item if the condition holds for it.
    pub(crate) fn delete_if(&mut self, label: L, key: &Key, condition: Condition) {
        let (condition, attributes) = condition.render();
        let (names, values) = attributes.into_maps();
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values);
        self.push(label, |write| write.delete(expect_built(delete.build())));
    }

    /// Makes the transaction depend on a condition on an item that it does not write.
    pub(crate) fn check(&mut self, label: L, key: &Key, condition: Condition) {
        let (condition, attributes) = condition.render();
        let (names, values) = attributes.into_maps();
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values);
        self.push(label, |write| write.condition_check(expect_built(check.build())));
    }

    fn push(&mut self, label: L, write: impl FnOnce(TransactWriteItemBuilder) -> TransactWriteItemBuilder) {
        self.items.push(write(TransactWriteItem::builder()).build());
        self.labels.push(label);
    }
}

/// The body of the response to a transaction. The SDK takes one without any body, such as that of an intermediary whose connection
/// broke, for success.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    #[serde(default)]
    consumed_capacity: Vec<CapacityBody>,
}

impl ResponseBody for Body {
    fn empty_output() -> Output {
        Output::erase(TransactWriteItemsOutput::builder().build())
    }
}

impl TableClient {
    /// Commits a transaction. A refusal holds the labels of the items whose conditions failed, at least one.
    ///
    /// All attempts carry one request token, so that an attempt whose predecessor committed without its response arriving
    /// succeeds instead of failing its own conditions.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if conflicts or the load last until the deadline, or [`Error::Unexpected`].
    pub(crate) async fn commit<L: Copy>(&self, transaction: Transaction<L>) -> Result<Conditional<(), Vec<L>>> {
        let Transaction { items, labels, .. } = transaction;
        let write = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(self.rng.uuid_v4().hyphenated().to_string())
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let (mut first, repeat, response) = (Some(write), FirstRequest::default(), ResponseReader::<Body>::new());
        let send = || {
            let write = first.take().unwrap_or_else(|| self.client.transact_write_items());
            repeat.clone().scope(response.clone().scope(write.send()))
        };
        match self.retry("TransactWriteItems", send, classify_transaction).await {
            Ok(_) => {
                self.meter.add_writes_of_body(&response.take()?.consumed_capacity);
                Ok(Conditional::Applied(()))
            }
            Err(Failure::Refused(_, TransactWriteItemsError::TransactionCanceledException(cancelled))) => {
                refused_labels(cancelled.cancellation_reasons(), &labels).map(Conditional::Refused)
            }
            Err(failure) => Err(failure.into_error()),
        }
    }
}

/// Classifies a cancelled transaction: it may have collided with another transaction or with the load. A condition that
/// failed beside that may have failed because of the other transaction, so it counts only on its own.
pub(super) fn classify(reasons: &[CancellationReason]) -> ErrorKind {
    if codes(reasons).any(|code| matches!(code, "ThrottlingError" | "ProvisionedThroughputExceeded")) {
        ErrorKind::Throttled
    // Without reasons the cause is unknown, and another attempt is safe under the same token.
    } else if reasons.is_empty() || codes(reasons).any(|code| code == "TransactionConflict") {
        ErrorKind::Transient
    } else {
        ErrorKind::Final
    }
}

/// The labels of the items whose conditions failed.
fn refused_labels<L: Copy>(reasons: &[CancellationReason], labels: &[L]) -> Result<Vec<L>> {
    let mut refused = Vec::new();
    for (code, label) in codes(reasons).zip(labels) {
        match code {
            "None" => {}
            "ConditionalCheckFailed" => refused.push(*label),
            code => return Err(Error::Unexpected(format!("TransactWriteItems was cancelled with {code}"))),
        }
    }
    if refused.is_empty() {
        return Err(Error::Unexpected("TransactWriteItems was cancelled without a failed condition".to_owned()));
    }
    Ok(refused)
}

fn codes(reasons: &[CancellationReason]) -> impl Iterator<Item = &str> {
    reasons.iter().map(|reason| reason.code().unwrap_or("None"))
}
