//! Items: what the table stores, and reading it back as if anybody could have written it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Error, Result};
use super::keys::{Key, PK, SK};
use crate::domain::json::Number;
use crate::domain::{Json, JsonObject};

/// An item as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The attribute that says what an item is.
pub(crate) const TYPE: &str = "type";

/// What an item is. [`record`] reads no item as another type than its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Contact,
    EmailLock,
    Company,
    Import,
    Membership,
    Tombstone,
    ApiKey,
    Idempotency,
    IdempotencyLock,
    Activity,
    Campaign,
    LeadMagnet,
    ActiveCampaigns,
    Lead,
}

impl Type {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::EmailLock => "email_lock",
            Self::Company => "company",
            Self::Import => "import",
            Self::Membership => "membership",
            Self::Tombstone => "tombstone",
            Self::ApiKey => "api_key",
            Self::Idempotency => "idempotency",
            Self::IdempotencyLock => "lease",
            Self::Activity => "activity",
            Self::Campaign => "campaign",
            Self::LeadMagnet => "lead_magnet",
            Self::ActiveCampaigns => "active_campaigns",
            Self::Lead => "lead",
        }
    }
}

/// A key as the SDK takes it.
pub(crate) fn key_of(key: &Key) -> Item {
    HashMap::from([(PK.to_owned(), text(&key.pk)), (SK.to_owned(), text(&key.sk))])
}

/// An item of this type at this key, with the attributes of `record`.
///
/// # Errors
/// A record that is no map of attributes, which none of ours is.
pub(crate) fn item(key: &Key, kind: Type, record: &impl Serialize) -> Result<Item> {
    let mut item: Item = serde_dynamo::aws_sdk_dynamodb_1::to_item(record)
        .map_err(|_| Error::Unexpected(format!("{} record", kind.as_str())))?;
    // What is not set is not an attribute.
    item.retain(|_, value| !value.is_null());
    item.extend(key_of(key));
    item.insert(TYPE.to_owned(), text(kind.as_str()));
    Ok(item)
}

/// The attributes that a patch changes, by name: the new value, or `None` for an attribute to remove.
///
/// # Errors
/// A patch that does not serialize as a map of attributes, which none of ours is.
pub(crate) fn changed_attributes(patch: &impl Serialize) -> Result<BTreeMap<String, Option<AttributeValue>>> {
    let item: Item = serde_dynamo::aws_sdk_dynamodb_1::to_item(patch)
        .map_err(|_| Error::Unexpected("a patch is not a map of attributes".to_owned()))?;
    Ok(item.into_iter().map(|(name, value)| (name, Some(value).filter(|value| !value.is_null()))).collect())
}

/// Reads an item that should be of this type.
///
/// # Errors
/// [`Error::Unreadable`]. It names the item by its sort key and says nothing of its values, which may be personal data.
pub(crate) fn record<T: DeserializeOwned>(item: Item, kind: Type) -> Result<T> {
    let sort_key = sort_key(&item);
    match item.get(TYPE) {
        Some(AttributeValue::S(stored)) if stored == kind.as_str() => {
            serde_dynamo::aws_sdk_dynamodb_1::from_item(item).map_err(|_| Error::Unreadable(sort_key))
        }
        _ => Err(Error::Unreadable(sort_key)),
    }
}

/// Where an item lies, if it says so.
pub(crate) fn key_in(item: &Item) -> Option<Key> {
    Some(Key { pk: string(item, PK)?, sk: string(item, SK)? })
}

/// An item's sort key, to name it by.
pub(crate) fn sort_key(item: &Item) -> String {
    string(item, SK).unwrap_or_else(|| "an item without a sort key".to_owned())
}

/// An attribute that is a text.
pub(crate) fn string(item: &Item, attribute: &str) -> Option<String> {
    item.get(attribute).and_then(|value| value.as_s().ok()).cloned()
}

/// A text.
pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number.
pub(crate) fn number(number: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A JSON object as a map, each value as the database's own type.
pub(crate) fn map(object: &JsonObject) -> AttributeValue {
    AttributeValue::M(object.members().map(|(key, value)| (key.to_owned(), value_of(value))).collect())
}

/// A JSON value as the database's own type.
pub(crate) fn value_of(json: &Json) -> AttributeValue {
    match json {
        Json::Null => AttributeValue::Null(true),
        Json::Bool(value) => AttributeValue::Bool(*value),
        Json::Number(value) => AttributeValue::N(value.as_str().to_owned()),
        Json::String(value) => AttributeValue::S(value.clone()),
        Json::Array(items) => AttributeValue::L(items.iter().map(value_of).collect()),
        Json::Object(object) => map(object),
    }
}

/// A stored map as the JSON object it was; `None` where something in it is no JSON, such as a set.
pub(crate) fn object_of(value: &AttributeValue) -> Option<JsonObject> {
    match value_to_json(value)? {
        Json::Object(object) => Some(object),
        _ => None,
    }
}

pub(crate) fn value_to_json(value: &AttributeValue) -> Option<Json> {
    Some(match value {
        AttributeValue::Null(_) => Json::Null,
        AttributeValue::Bool(value) => Json::Bool(*value),
        AttributeValue::N(value) => Json::Number(Number::parse(value).ok()?),
        AttributeValue::S(value) => Json::String(value.clone()),
        AttributeValue::L(items) => Json::Array(items.iter().map(value_to_json).collect::<Option<_>>()?),
        AttributeValue::M(members) => {
            let members = members.iter().map(|(key, value)| Some((key.clone(), value_to_json(value)?)));
            Json::Object(members.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// What one of the SDK's builders makes.
#[expect(clippy::expect_used, reason = "the builders fail for a missing member only, and each caller names them all")]
pub(crate) fn expect_built<T>(result: std::result::Result<T, aws_sdk_dynamodb::error::BuildError>) -> T {
    result.expect("every required member is set")
}
