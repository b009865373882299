//! Transactions (`TransactWriteItems`) and the reasons for which they are cancelled.

use std::sync::{Arc, LazyLock};

use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsOutput};
use aws_sdk_dynamodb::types::CancellationReason;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::capacity::CapacityBody;
use super::conditional::Conditional;
use super::error::{Error, Result};
use super::expression::{Condition, Update};
use super::item_json::ItemJson;
use super::keys::Key;
use super::request::{ConsumedCapacity, Expressions, push, push_others, push_with_item};
use super::retry::{ErrorKind, Failure, classify_transaction};
use super::table_client::TableClient;

/// The most items that DynamoDB takes in one transaction.
pub(crate) const MAX_ITEMS: usize = 100;

/// The condition of most items, made once.
static NOT_EXISTS: LazyLock<Expressions> = LazyLock::new(|| Expressions::new(None, Some(Condition::not_exists())));

/// Writes that commit together or not at all.
///
/// Each item has a label `L` of the writer's choice. DynamoDB gives one cancellation reason per item, in their order; the
/// labels of the refused items tell the writer which of its conditions failed.
pub(crate) struct Transaction<L> {
    table: Arc<str>,
    /// The body of the request, up to the last item.
    json: Vec<u8>,
    labels: Vec<L>,
}

/// One item of a transaction, without the item of a `Put`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TransactItem<'a> {
    table_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Key>,
    #[serde(flatten)]
    expressions: Option<&'a Expressions>,
}

/// The body of the request, without the items.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TransactRequest {
    client_request_token: Uuid,
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
        Self { table, json: br#"{"TransactItems":["#.to_vec(), labels: Vec::new() }
    }

    /// Whether it has no items.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Writes an item, replacing the stored one.
    pub(crate) fn put(&mut self, label: L, item: &ItemJson) {
        self.push_put(label, item, None);
    }

    /// Writes an item that must not exist yet.
    pub(crate) fn put_new(&mut self, label: L, item: &ItemJson) {
        self.push_put(label, item, Some(&NOT_EXISTS));
    }

    /// Writes an item if the condition holds for the stored one.
    pub(crate) fn put_if(&mut self, label: L, item: &ItemJson, condition: Condition) {
        self.push_put(label, item, Some(&Expressions::new(None, Some(condition))));
    }

    /// Changes an item, or creates it.
    pub(crate) fn update(&mut self, label: L, key: &Key, update: Update) {
        self.push_of_key(label, "Update", key, Some(&Expressions::new(Some(update), None)));
    }

    /// Changes an item, or creates it, if the condition holds for the stored one.
    pub(crate) fn update_if(&mut self, label: L, key: &Key, update: Update, condition: Condition) {
        self.push_of_key(label, "Update", key, Some(&Expressions::new(Some(update), Some(condition))));
    }

    /// Deletes an item if it exists.
    pub(crate) fn delete(&mut self, label: L, key: &Key) {
        self.push_of_key(label, "Delete", key, None);
    }

    /// Deletes an item if the condition holds for it.
    pub(crate) fn delete_if(&mut self, label: L, key: &Key, condition: Condition) {
        self.push_of_key(label, "Delete", key, Some(&Expressions::new(None, Some(condition))));
    }

    /// Makes the transaction depend on a condition on an item that it does not write.
    pub(crate) fn check(&mut self, label: L, key: &Key, condition: Condition) {
        self.push_of_key(label, "ConditionCheck", key, Some(&Expressions::new(None, Some(condition))));
    }

    fn push_put(&mut self, label: L, item: &ItemJson, expressions: Option<&Expressions>) {
        let table = self.table.clone();
        let others = TransactItem { table_name: &table, key: None, expressions };
        self.push(label, "Put", |json| push_with_item(json, item, &others));
    }

    fn push_of_key(&mut self, label: L, operation: &str, key: &Key, expressions: Option<&Expressions>) {
        let table = self.table.clone();
        let write = TransactItem { table_name: &table, key: Some(key), expressions };
        self.push(label, operation, |json| push(json, &write));
    }

    /// Adds an item: `{"Put":{…}}`.
    fn push(&mut self, label: L, operation: &str, push_write: impl FnOnce(&mut Vec<u8>)) {
        if !self.is_empty() {
            self.json.push(b',');
        }
        self.labels.push(label);
        self.json.push(b'{');
        push(&mut self.json, operation);
        self.json.push(b':');
        push_write(&mut self.json);
        self.json.push(b'}');
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
        let Transaction { mut json, labels, .. } = transaction;
        let others = TransactRequest {
            client_request_token: self.rng.uuid_v4(),
            return_consumed_capacity: ConsumedCapacity::Total,
        };
        json.push(b']');
        push_others(&mut json, &others);
        let send = || self.client.transact_write_items().send();
        let empty_output = || TransactWriteItemsOutput::builder().build();
        match self.exchange("TransactWriteItems", json, send, empty_output, classify_transaction).await {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dynamodb::item::{ItemType, encode, text};

    #[test]
    fn the_items_of_a_transaction_are_written_as_dynamodb_takes_them() {
        let key = Key { pk: "ORG#1".to_owned(), sk: "COMPANY#\"A\"".to_owned() };
        let mut update = Update::new();
        update.set(&["name"], text("Acme"));
        let mut transaction = Transaction::new("contacts".into());

        transaction.put_new((), &encode(&key, ItemType::Company, &json!({"name": "A"})).unwrap());
        transaction.update_if((), &key, update, Condition::exists());
        transaction.check((), &key, Condition::equals("name", text("A")));
        transaction.delete((), &key);

        let key = json!({"pk": {"S": "ORG#1"}, "sk": {"S": "COMPANY#\"A\""}});
        let item = json!({"pk": key["pk"], "sk": key["sk"], "type": {"S": "company"}, "name": {"S": "A"}});
        let put = json!({
            "TableName": "contacts", "Item": item, "ConditionExpression": "attribute_not_exists(#c0)",
            "ExpressionAttributeNames": {"#c0": "pk"},
        });
        let update = json!({
            "TableName": "contacts", "Key": key, "UpdateExpression": "SET #u0=:u0",
            "ConditionExpression": "attribute_exists(#c0)", "ExpressionAttributeNames": {"#u0": "name", "#c0": "pk"},
            "ExpressionAttributeValues": {":u0": {"S": "Acme"}},
        });
        let check = json!({
            "TableName": "contacts", "Key": key, "ConditionExpression": "#c0=:c0",
            "ExpressionAttributeNames": {"#c0": "name"}, "ExpressionAttributeValues": {":c0": {"S": "A"}},
        });
        let delete = json!({"TableName": "contacts", "Key": key});
        let items = json!([{"Put": put}, {"Update": update}, {"ConditionCheck": check}, {"Delete": delete}]);
        transaction.json.extend_from_slice(b"]}");
        assert_eq!(serde_json::from_slice::<Value>(&transaction.json).unwrap(), json!({"TransactItems": items}));
    }

    #[test]
    #[should_panic(expected = "an item has an attribute twice")]
    fn an_item_with_an_attribute_twice_is_a_defect() {
        let key = Key { pk: "ORG#1".to_owned(), sk: "COMPANY#A".to_owned() };
        let item = encode(&key, ItemType::Company, &json!({"type": "A"})).unwrap();
        Transaction::new("contacts".into()).put((), &item);
    }
}
