//! Transactions (`TransactWriteItems`) and the reasons for which they are cancelled.

use std::sync::Arc;

use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsOutput};
use aws_sdk_dynamodb::types::CancellationReason;
use serde::{Deserialize, Serialize};

use super::capacity::CapacityBody;
use super::conditional::Conditional;
use super::error::{Error, Result};
use super::expression::{Condition, Update};
use super::item::Item;
use super::keys::Key;
use super::request::{ConsumedCapacity, Write};
use super::retry::{ErrorKind, Failure, classify_transaction};
use super::table_client::TableClient;

/// The most items that DynamoDB takes in one transaction.
pub(crate) const MAX_ITEMS: usize = 100;

/// Writes that commit together or not at all.
///
/// Each item has a label `L` of the writer's choice. DynamoDB gives one cancellation reason per item, in their order; the
/// labels of the refused items tell the writer which of its conditions failed.
pub(crate) struct Transaction<L> {
    table: Arc<str>,
    items: Vec<TransactItem>,
    labels: Vec<L>,
}

/// One item of a transaction.
#[derive(Serialize)]
enum TransactItem {
    Put(Write),
    Update(Write),
    Delete(Write),
    ConditionCheck(Write),
}

/// The body of the request.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TransactRequest<'a> {
    transact_items: &'a [TransactItem],
    client_request_token: String,
    return_consumed_capacity: ConsumedCapacity,
}

/// The body of the response. The SDK takes one without any body, such as that of an intermediary whose connection broke, for
/// success.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactResponse {
    #[serde(default)]
    consumed_capacity: Vec<CapacityBody>,
}

impl<L: Copy> Transaction<L> {
    /// A transaction on this table, without items.
    pub(super) fn new(table: Arc<str>) -> Self {
        Self { table, items: Vec::new(), labels: Vec::new() }
    }

    /// Whether it has no items.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Writes an item, replacing the stored one.
    pub(crate) fn put(&mut self, label: L, item: Item) {
        self.push(label, TransactItem::Put(Write::put(&self.table, item)));
    }

    /// Writes an item that must not exist yet.
    pub(crate) fn put_new(&mut self, label: L, item: Item) {
        self.put_if(label, item, Condition::not_exists());
    }

    /// Writes an item if the condition holds for the stored one.
    pub(crate) fn put_if(&mut self, label: L, item: Item, condition: Condition) {
        self.push(label, TransactItem::Put(Write::put(&self.table, item).on(condition)));
    }

    /// Changes an item, or creates it.
    pub(crate) fn update(&mut self, label: L, key: &Key, update: Update) {
        self.push(label, TransactItem::Update(Write::update(&self.table, key, update)));
    }

    /// Changes an item, or creates it, if the condition holds for the stored one.
    pub(crate) fn update_if(&mut self, label: L, key: &Key, update: Update, condition: Condition) {
        self.push(label, TransactItem::Update(Write::update(&self.table, key, update).on(condition)));
    }

    /// Deletes an item if it exists.
    pub(crate) fn delete(&mut self, label: L, key: &Key) {
        self.push(label, TransactItem::Delete(Write::of_key(&self.table, key)));
    }

    /// Deletes an item if the condition holds for it.
    pub(crate) fn delete_if(&mut self, label: L, key: &Key, condition: Condition) {
        self.push(label, TransactItem::Delete(Write::of_key(&self.table, key).on(condition)));
    }

    /// Makes the transaction depend on a condition on an item that it does not write.
    pub(crate) fn check(&mut self, label: L, key: &Key, condition: Condition) {
        self.push(label, TransactItem::ConditionCheck(Write::of_key(&self.table, key).on(condition)));
    }

    fn push(&mut self, label: L, item: TransactItem) {
        self.items.push(item);
        self.labels.push(label);
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
        let request = TransactRequest {
            transact_items: &items,
            client_request_token: self.rng.uuid_v4().hyphenated().to_string(),
            return_consumed_capacity: ConsumedCapacity::Total,
        };
        let send = || self.client.transact_write_items().send();
        let empty_output = || TransactWriteItemsOutput::builder().build();
        match self.exchange("TransactWriteItems", &request, send, empty_output, classify_transaction).await {
            Ok(TransactResponse { consumed_capacity }) => {
                self.meter.add_writes(&consumed_capacity);
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
