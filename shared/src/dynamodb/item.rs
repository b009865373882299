//! The codec of items. An item is checked for the type and the attributes that it should have when it is read back. Its texts
//! are trusted: they were parsed when they were written.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_dynamo::AttributeValue;
#[cfg(feature = "operator")]
use strum::VariantArray;

use super::error::{Error, Result};
pub(crate) use super::item_json::{ItemJson, string_set};
use super::keys::Key;
use super::schema::{PK, SK};
use super::stored_item::{Attribute, StoredItem};
use crate::domain::{Json, JsonObject};

/// An item as it is kept after it was read.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The attribute with an item's type.
pub(crate) const TYPE: &str = "type";

/// The type of an item. [`decode`] does not read an item as another type than its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "operator", derive(VariantArray))]
pub(crate) enum ItemType {
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
    RateLimit,
    ApiKeyUse,
    Organization,
    AuditEntry,
}

impl ItemType {
    /// The type as it is stored.
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
            Self::IdempotencyLock => "idempotency_lock",
            Self::Activity => "activity",
            Self::Campaign => "campaign",
            Self::LeadMagnet => "lead_magnet",
            Self::ActiveCampaigns => "active_campaigns",
            Self::Lead => "lead",
            Self::RateLimit => "rate_limit",
            Self::ApiKeyUse => "api_key_use",
            Self::Organization => "organization",
            Self::AuditEntry => "audit_entry",
        }
    }

    /// The type that an item states.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for an item without a type, or with an unknown one.
    #[cfg(feature = "operator")]
    pub(crate) fn of(item: &Item) -> Result<Self> {
        let stored = string(item, TYPE);
        let known = Self::VARIANTS.iter().find(|known| stored.as_deref() == Some(known.as_str()));
        known.copied().ok_or_else(|| StoredItem::from(item).unreadable_as("unknown"))
    }
}

/// An item of this type under this key, with the attributes of `record`.
///
/// # Errors
/// [`Error::Unexpected`] for a record that does not serialize to a map, which is a defect.
pub(crate) fn encode(key: &Key, item_type: ItemType, record: &impl Serialize) -> Result<ItemJson> {
    let mut item = ItemJson::new(key, item_type);
    item.extend(item_type, record)?;
    Ok(item)
}

/// The attributes that a patch changes, by name: the new value, or `None` for an attribute to remove.
///
/// # Errors
/// [`Error::Unexpected`] for a patch that does not serialize to a map, which is a defect.
pub(crate) fn changed_attributes(patch: &impl Serialize) -> Result<BTreeMap<String, Option<AttributeValue>>> {
    let Ok(AttributeValue::M(item)) = serde_dynamo::to_attribute_value(patch) else {
        return Err(Error::Unexpected("a patch is not a map".to_owned()));
    };
    let mut changes = BTreeMap::new();
    for (name, value) in item {
        let value = if let AttributeValue::Null(_) = value { None } else { Some(value) };
        changes.insert(name, value);
    }
    Ok(changes)
}

/// A part of a record as the value of an attribute.
///
/// # Errors
/// [`Error::Unexpected`] for a part that does not serialize, which is a defect.
#[cfg(feature = "operator")]
pub(crate) fn to_value(part: &(impl Serialize + ?Sized)) -> Result<AttributeValue> {
    serde_dynamo::to_attribute_value(part).map_err(|_| Error::Unexpected("a part of a record is no value".to_owned()))
}

/// Reads an item of this type.
///
/// # Errors
/// [`Error::Unreadable`] for an item of another type or with other attributes.
pub(crate) fn decode<T: DeserializeOwned>(item: &Item, item_type: ItemType) -> Result<T> {
    StoredItem::from(item).decode(item_type)
}

/// The error of an item that should be of this type and cannot be read.
pub(crate) fn unreadable(item: &Item, item_type: ItemType) -> Error {
    StoredItem::from(item).unreadable(item_type)
}

/// An item that the SDK has read.
pub(super) fn of_sdk(item: HashMap<String, aws_sdk_dynamodb::types::AttributeValue>) -> Item {
    serde_dynamo::Item::from(item).into_inner()
}

/// The key that an item is stored under; `None` for an item without its key attributes.
pub(crate) fn key_of(item: &Item) -> Option<Key> {
    Some(Key { pk: string(item, PK)?, sk: string(item, SK)? })
}

/// An item's sort key; blank for an item without one.
pub(crate) fn sort_key(item: &Item) -> &str {
    match item.get(SK) {
        Some(AttributeValue::S(sort_key)) => sort_key,
        _ => "",
    }
}

/// The value of a string attribute; `None` for an absent attribute or one of another type.
pub(crate) fn string(item: &Item, attribute: &str) -> Option<String> {
    match item.get(attribute) {
        Some(AttributeValue::S(value)) => Some(value.clone()),
        _ => None,
    }
}

/// A string as an attribute value.
pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number as an attribute value.
pub(crate) fn number(number: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A boolean as an attribute value.
#[cfg(feature = "operator")]
pub(crate) const fn boolean(value: bool) -> AttributeValue {
    AttributeValue::Bool(value)
}

/// A set of strings, which DynamoDB refuses if it is empty.
pub(crate) fn set(members: impl IntoIterator<Item = impl ToString>) -> AttributeValue {
    AttributeValue::Ss(members.into_iter().map(|member| member.to_string()).collect())
}

/// A JSON object as a map of attribute values.
pub(crate) fn map(object: &JsonObject) -> AttributeValue {
    Attribute::from(object).to_value()
}

/// A JSON value as the attribute value of the corresponding type.
pub(crate) fn json_to_value(json: &Json) -> AttributeValue {
    Attribute::from(json).to_value()
}

/// A stored value as JSON; `None` for a value that is not JSON, such as a set.
pub(crate) fn value_to_json(value: &AttributeValue) -> Option<Json> {
    Attribute::from(value).to_json()
}

/// The value of one of the SDK's builders.
#[expect(clippy::expect_used, reason = "the builders fail for a missing member only, and each caller sets them all")]
pub(super) fn expect_built<T>(result: std::result::Result<T, aws_sdk_dynamodb::error::BuildError>) -> T {
    result.expect("every required member is set")
}
