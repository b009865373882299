//! Parts of the bodies of requests (AWS, "Amazon DynamoDB API Reference"), as `dynamodb::exchange` sends them.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::expression::{Condition, ExpressionAttributes, Update};
use super::item_json::ItemJson;
use super::keys::Key;
use super::schema::{PK, SK};

/// `ReturnConsumedCapacity`: the response reports what the call consumed.
#[derive(Serialize)]
pub(super) enum ConsumedCapacity {
    #[serde(rename = "TOTAL")]
    Total,
}

/// The expressions of a write, and what they refer to. The members are the same for a call of its own and for a part of a
/// transaction.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Expressions {
    #[serde(skip_serializing_if = "Option::is_none")]
    update_expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition_expression: Option<String>,
    #[serde(flatten)]
    attributes: ExpressionAttributes,
}

impl Expressions {
    /// The expressions of a write that changes the item if the condition holds.
    pub(super) fn new(update: Option<Update>, condition: Option<Condition>) -> Self {
        let (update_expression, of_update) = update.map(Update::render).unzip();
        let (condition_expression, of_condition) = condition.map(Condition::render).unzip();
        let attributes = of_update.unwrap_or_default().merge(of_condition.unwrap_or_default());
        Self { update_expression, condition_expression, attributes }
    }
}

/// JSON of a part of a request.
pub(super) fn to_json(part: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::new();
    push(&mut json, part);
    json
}

/// Writes a part of a request as JSON.
pub(super) fn push(json: &mut Vec<u8>, part: &(impl Serialize + ?Sized)) {
    // Writing to memory does not fail, and neither does what requests consist of: text, and attributes of known types. An
    // attribute whose content was discarded when it was read must not be written.
    let written = serde_json::to_writer(json, part);
    debug_assert!(written.is_ok(), "a part of a request cannot be written: {written:?}");
}

/// Writes an object that has an item among other members: `{"Item":{…},"TableName":"contacts"}`. The item is JSON already, which
/// serde would not take as it is.
pub(super) fn push_with_item(json: &mut Vec<u8>, item: &ItemJson, others: &impl Serialize) {
    json.extend_from_slice(br#"{"Item":"#);
    item.write_to(json);
    push_others(json, others);
}

/// Writes further members and the end of an object, which has some members already.
pub(super) fn push_others(json: &mut Vec<u8>, others: &impl Serialize) {
    let start = json.len();
    push(json, others);
    if let Some(brace) = json.get_mut(start) {
        *brace = b',';
    }
}

/// A map whose only key is the name of the table.
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

/// Serializes a key as its two attributes.
impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut attributes = serializer.serialize_struct("Key", 2)?;
        attributes.serialize_field(PK, &Text { text: &self.pk })?;
        attributes.serialize_field(SK, &Text { text: &self.sk })?;
        attributes.end()
    }
}

/// Serializes pairs as the members of an object.
pub(super) fn members<S: Serializer, V: Serialize>(pairs: &[(String, V)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}
