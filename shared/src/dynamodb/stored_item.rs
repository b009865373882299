//! Items as they are read: a view of the attributes that borrows their texts.
//!
//! **Problem.** The SDK reads each item into a hash map of owned values. A record is then made of a copy, and both are freed: most of
//! what reading a page of contacts costs.
//!
//! **Approach.** A [`StoredItem`] holds its attributes in one list, and their texts where the response has them. It is made of
//! DynamoDB's JSON (AWS, "DynamoDB low-level API"), or of an [`Item`]. Records are read from it by serde, so a record is
//! declared once however its item arrives. An item has few attributes, so looking for one in the list is cheap.
//!
//! **Rejected.** Records that are read from the JSON directly: an item that cannot be read would end the whole page, and one of
//! another type could be recognized by buffering it only.

mod deserializer;
mod parse;

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_dynamo::AttributeValue;

use super::error::{Error, Result};
use super::item::{Item, ItemType, TYPE};
use super::keys::{self, Key};
use super::schema::{PK, SK};
use crate::domain::ids::parse_uuid;
use crate::domain::json::Number;
use crate::domain::{Json, JsonObject};

/// The attribute with the id of an item whose key does not have it.
const ID: &str = "id";

/// An item with borrowed texts.
#[derive(Debug, Default)]
pub(crate) struct StoredItem<'a>(pub(super) Vec<(Cow<'a, str>, Attribute<'a>)>);

/// The value of an attribute.
#[derive(Debug)]
pub(crate) enum Attribute<'a> {
    /// A string.
    S(Cow<'a, str>),
    /// A number as decimal text.
    N(Cow<'a, str>),
    /// A boolean.
    Bool(bool),
    /// The null value.
    Null,
    /// A map.
    M(Vec<(Cow<'a, str>, Attribute<'a>)>),
    /// A list.
    L(Vec<Attribute<'a>>),
    /// A set of strings.
    Ss(Vec<Cow<'a, str>>),
    /// Binary data, or a set of it or of numbers: types that no record uses. The content is discarded.
    Other,
}

impl<'a> StoredItem<'a> {
    /// The value of an attribute.
    pub(crate) fn get(&self, attribute: &str) -> Option<&Attribute<'a>> {
        self.0.iter().find(|(name, _)| name == attribute).map(|(_, value)| value)
    }

    /// Whether no two attributes have the same name.
    pub(super) fn has_distinct_names(&self) -> bool {
        let mut names = HashSet::new();
        self.0.iter().all(|(name, _)| names.insert(name))
    }

    /// The value of a string attribute; `None` for an absent attribute or one of another type.
    pub(crate) fn string(&self, attribute: &str) -> Option<&str> {
        match self.get(attribute) {
            Some(Attribute::S(value)) => Some(value),
            _ => None,
        }
    }

    /// Whether the item is of this type.
    pub(crate) fn is(&self, item_type: ItemType) -> bool {
        self.string(TYPE) == Some(item_type.as_str())
    }

    /// The item's sort key; blank for an item without one.
    pub(crate) fn sort_key(&self) -> &str {
        self.string(SK).unwrap_or_default()
    }

    /// The key that the item is stored under; `None` for an item without its key attributes.
    pub(crate) fn key(&self) -> Option<Key> {
        Some(Key { pk: self.string(PK)?.to_owned(), sk: self.string(SK)?.to_owned() })
    }

    /// The item with texts of its own, without the content of [`Attribute::Other`].
    pub(crate) fn to_item(&self) -> Item {
        owned_members(&self.0)
    }

    /// Reads a record of the attributes of an item of this type. Other attributes are passed over.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for an item of another type or with other attributes.
    pub(crate) fn decode<T: DeserializeOwned>(&self, item_type: ItemType) -> Result<T> {
        if !self.is(item_type) {
            return Err(self.unreadable(item_type));
        }
        T::deserialize(deserializer::ItemDeserializer(self)).map_err(|_| self.unreadable(item_type))
    }

    /// The error if the item should be of this type and cannot be read.
    pub(crate) fn unreadable(&self, item_type: ItemType) -> Error {
        self.unreadable_as(item_type.as_str())
    }

    /// [`StoredItem::unreadable`] for a type by its name.
    pub(super) fn unreadable_as(&self, item_type: &'static str) -> Error {
        let key_kind = keys::kind_of_sort_key(self.sort_key());
        Error::Unreadable { item_type, key_kind, ids: self.ids().join(" ") }
    }

    /// The UUIDs in the item's key and its own id. Other parts of a key may be personal data, such as the name of a company.
    fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for attribute in [PK, SK, ID] {
            let value = self.string(attribute).unwrap_or_default();
            ids.extend(value.split('#').filter_map(|part| parse_uuid(part).ok()).map(|id| id.to_string()));
        }
        ids
    }
}

impl Attribute<'_> {
    /// The value as JSON; `None` for a value that is not JSON, such as a set.
    pub(crate) fn to_json(&self) -> Option<Json> {
        Some(match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::N(value) => Json::Number(Number::parse(value).ok()?),
            Self::S(value) => Json::String(value.clone().into_owned()),
            Self::L(values) => Json::Array(values.iter().map(Attribute::to_json).collect::<Option<_>>()?),
            Self::M(_) => Json::Object(self.to_object()?),
            Self::Ss(_) | Self::Other => return None,
        })
    }

    /// The value with texts of its own; empty binary data for [`Attribute::Other`].
    pub(super) fn to_value(&self) -> AttributeValue {
        match self {
            Self::S(text) => AttributeValue::S(text.clone().into_owned()),
            Self::N(number) => AttributeValue::N(number.clone().into_owned()),
            Self::Bool(value) => AttributeValue::Bool(*value),
            Self::Null => AttributeValue::Null(true),
            Self::M(members) => AttributeValue::M(owned_members(members)),
            Self::L(values) => AttributeValue::L(values.iter().map(Attribute::to_value).collect()),
            Self::Ss(texts) => AttributeValue::Ss(texts.iter().map(|text| text.clone().into_owned()).collect()),
            Self::Other => AttributeValue::B(Vec::new()),
        }
    }

    /// A map as a JSON object; `None` for another type, or if it holds a value that is not JSON.
    pub(crate) fn to_object(&self) -> Option<JsonObject> {
        let Self::M(members) = self else { return None };
        members.iter().map(|(key, value)| Some((key.clone().into_owned(), value.to_json()?))).collect()
    }
}

impl<'a> From<&'a Item> for StoredItem<'a> {
    fn from(item: &'a Item) -> Self {
        Self(members(item))
    }
}

impl<'a> From<&'a AttributeValue> for Attribute<'a> {
    fn from(value: &'a AttributeValue) -> Self {
        match value {
            AttributeValue::S(text) => Self::S(text.into()),
            AttributeValue::N(number) => Self::N(number.into()),
            AttributeValue::Bool(value) => Self::Bool(*value),
            AttributeValue::Null(_) => Self::Null,
            AttributeValue::M(item) => Self::M(members(item)),
            AttributeValue::L(values) => Self::L(values.iter().map(Self::from).collect()),
            AttributeValue::Ss(texts) => Self::Ss(texts.iter().map(Cow::from).collect()),
            AttributeValue::B(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_) => Self::Other,
        }
    }
}

impl<'a> From<&'a Json> for Attribute<'a> {
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::N(number.as_str().into()),
            Json::String(text) => Self::S(text.into()),
            Json::Array(items) => Self::L(items.iter().map(Self::from).collect()),
            Json::Object(object) => object.into(),
        }
    }
}

impl<'a> From<&'a JsonObject> for Attribute<'a> {
    fn from(object: &'a JsonObject) -> Self {
        Self::M(object.members().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

fn members(item: &Item) -> Vec<(Cow<'_, str>, Attribute<'_>)> {
    item.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn owned_members(members: &[(Cow<'_, str>, Attribute<'_>)]) -> Item {
    members.iter().map(|(name, value)| (name.clone().into_owned(), value.to_value())).collect()
}

#[cfg(test)]
mod tests;
