//! Transactions whose cancellation reasons are read by index.

use aws_sdk_dynamodb::types::{CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem, Update};

use super::error::{Error, Result};
use super::expression::{Expression, given};
use super::item::{Item, expect_built, key_of};
use super::keys::{Key, PK};

/// The most items DynamoDB takes in one transaction.
pub(crate) const MAX_ITEMS: usize = 100;

/// Writes that commit together or not at all. Each is a part `P` of what the writer means, by which a refusal names it.
pub(crate) struct Transaction<P> {
    pub(crate) items: Vec<TransactWriteItem>,
    pub(crate) parts: Vec<P>,
    table: String,
}

impl<P: Copy> Transaction<P> {
    pub(crate) fn new(table: &str) -> Self {
        Self { items: Vec::new(), parts: Vec::new(), table: table.to_owned() }
    }

    /// Writes an item over whatever lies there.
    pub(crate) fn put(&mut self, part: P, item: Item) {
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        self.push(part, |write| write.put(expect_built(put.build())));
    }

    /// Writes an item where none lies yet.
    pub(crate) fn put_new(&mut self, part: P, item: Item) {
        self.put_if(part, item, Expression::absent(PK));
    }

    /// Writes an item if a condition on what lies there holds.
    pub(crate) fn put_if(&mut self, part: P, item: Item, condition: Expression) {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(condition.condition())
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(given(condition.values));
        self.push(part, |write| write.put(expect_built(put.build())));
    }

    /// Changes an item, or makes it.
    pub(crate) fn update(&mut self, part: P, key: &Key, change: Expression) {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_of(key)))
            .update_expression(change.update())
            .set_expression_attribute_names(Some(change.names))
            .set_expression_attribute_values(given(change.values));
        self.push(part, |write| write.update(expect_built(update.build())));
    }

    /// Deletes an item.
    pub(crate) fn delete(&mut self, part: P, key: &Key) {
        let delete = Delete::builder().table_name(&self.table).set_key(Some(key_of(key)));
        self.push(part, |write| write.delete(expect_built(delete.build())));
    }

    /// Deletes an item if a condition on it holds.
    pub(crate) fn delete_if(&mut self, part: P, key: &Key, condition: Expression) {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key_of(key)))
            .condition_expression(condition.condition())
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(given(condition.values));
        self.push(part, |write| write.delete(expect_built(delete.build())));
    }

    /// Writes nothing, but holds the rest to a condition on this item.
    pub(crate) fn check(&mut self, part: P, key: &Key, condition: Expression) {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key_of(key)))
            .condition_expression(condition.condition())
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(given(condition.values));
        self.push(part, |write| write.condition_check(expect_built(check.build())));
    }

    fn push(
        &mut self,
        part: P,
        write: impl FnOnce(
            aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder,
        ) -> aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder,
    ) {
        self.items.push(write(TransactWriteItem::builder()).build());
        self.parts.push(part);
    }
}

/// Whether a cancellation is worth another attempt: somebody else's transaction or the load was in the way, also beside
/// a condition that failed, since that may be the other transaction's doing.
pub(crate) fn is_transient(reasons: &[CancellationReason]) -> bool {
    // Without reasons nothing is known, and trying again is safe under the same token.
    let transient = |code| matches!(code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded");
    reasons.is_empty() || codes(reasons).any(transient)
}

/// The parts whose conditions a final cancellation names, by the index of its reasons.
pub(crate) fn refused<P: Copy>(reasons: &[CancellationReason], parts: &[P]) -> Result<Vec<P>> {
    if let Some(code) = codes(reasons).find(|code| !matches!(*code, "None" | "ConditionalCheckFailed")) {
        return Err(Error::Unexpected(format!("TransactWriteItems: {code}")));
    }
    let refused = codes(reasons).zip(parts).filter(|(code, _)| *code == "ConditionalCheckFailed");
    Ok(refused.map(|(_, part)| *part).collect())
}

fn codes(reasons: &[CancellationReason]) -> impl Iterator<Item = &str> {
    reasons.iter().map(|reason| reason.code().unwrap_or("None"))
}
