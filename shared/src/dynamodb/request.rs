//! Parts of the bodies of requests (AWS, "Amazon DynamoDB API Reference"), as `dynamodb::exchange` sends them.

use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::expression::{Condition, ExpressionAttributes, Update};
use super::item::Item;
use super::keys::Key;
use super::schema::{PK, SK};
use super::stored_item::StoredItem;

/// `ReturnConsumedCapacity`: the response reports what the call consumed.
#[derive(Serialize)]
pub(super) enum ConsumedCapacity {
    #[serde(rename = "TOTAL")]
    Total,
}

/// One write of one item. The members are the same for a call of its own and for a part of a transaction.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Write {
    #[serde(serialize_with = "shared_text")]
    table_name: Arc<str>,
    #[serde(flatten)]
    subject: Subject,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition_expression: Option<String>,
    #[serde(flatten)]
    attributes: ExpressionAttributes,
}

/// What a write is about: the whole new item, or the key of a stored one.
#[derive(Serialize)]
enum Subject {
    Item(Item),
    Key(Key),
}

impl Write {
    /// Replaces the stored item.
    pub(super) fn put(table: &Arc<str>, item: Item) -> Self {
        Self::new(table, Subject::Item(item))
    }

    /// Deletes the item of this key, or checks it.
    pub(super) fn of_key(table: &Arc<str>, key: &Key) -> Self {
        Self::new(table, Subject::Key(key.clone()))
    }

    /// Changes the item of this key.
    pub(super) fn update(table: &Arc<str>, key: &Key, update: Update) -> Self {
        let (expression, attributes) = update.render();
        Self { update_expression: Some(expression), attributes, ..Self::of_key(table, key) }
    }

    /// The same write, if the condition holds for the stored item.
    pub(super) fn on(self, condition: Condition) -> Self {
        let (expression, attributes) = condition.render();
        Self { condition_expression: Some(expression), attributes: self.attributes.merge(attributes), ..self }
    }

    fn new(table: &Arc<str>, subject: Subject) -> Self {
        let (update_expression, condition_expression) = (None, None);
        let attributes = ExpressionAttributes::default();
        Self { table_name: table.clone(), subject, update_expression, condition_expression, attributes }
    }
}

/// What a call says about its one table.
pub(super) struct OfTable<'a, T>(pub(super) &'a str, pub(super) T);

impl<T: Serialize> Serialize for OfTable<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.0, &self.1)])
    }
}

/// A string as the value of an attribute.
#[derive(Serialize)]
pub(super) struct Text<'a> {
    #[serde(rename = "S")]
    pub(super) text: &'a str,
}

/// As the attributes that it consists of.
impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut attributes = serializer.serialize_struct("Key", 2)?;
        attributes.serialize_field(PK, &Text { text: &self.pk })?;
        attributes.serialize_field(SK, &Text { text: &self.sk })?;
        attributes.end()
    }
}

/// Of the attributes that it consists of.
impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StoredItem::deserialize(deserializer)?.key().ok_or_else(|| D::Error::custom("a key without its attributes"))
    }
}

/// Serializes pairs as the members of an object.
pub(super) fn members<S: Serializer, V: Serialize>(pairs: &[(String, V)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

fn shared_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
