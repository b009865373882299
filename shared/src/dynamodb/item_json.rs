//! Items as they are written: records serialized directly as DynamoDB's JSON (AWS, "DynamoDB low-level API").
//!
//! The counterpart of `stored_item`: attributes are written without maps of them. Single values are given as an [`Attribute`], which
//! borrows them; the attributes of a record are written by serde as it visits them.

mod serializer;
pub(crate) mod string_set;

use std::borrow::Cow;

use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};

use self::serializer::AttributeSerializer;
use super::error::{Error, Result};
use super::item::{ItemType, TYPE};
use super::keys::Key;
use super::request::push;
use super::schema::{PK, SK};
use super::stored_item::{Attribute, StoredItem};

/// An item as JSON: the members of an object, without its braces.
#[derive(Clone)]
pub(crate) struct ItemJson(Vec<u8>);

impl ItemJson {
    /// An item of this type under this key.
    pub(super) fn new(key: &Key, item_type: ItemType) -> Self {
        /// More than most items have, so that their JSON is allocated once.
        const USUAL_BYTES: usize = 1024;
        let mut item = Self(Vec::with_capacity(USUAL_BYTES));
        item.insert_text(PK, &key.pk);
        item.insert_text(SK, &key.sk);
        item.insert_text(TYPE, item_type.as_str());
        item
    }

    /// Adds the attributes of a record. A field without a value is not an attribute.
    ///
    /// # Errors
    /// [`Error::Unexpected`] for a record that does not serialize to a map, which is a defect.
    pub(crate) fn extend(&mut self, item_type: ItemType, record: &impl Serialize) -> Result<()> {
        record
            .serialize(AttributeSerializer::of_record(&mut self.0))
            .map_err(|_| Error::Unexpected(format!("a record of type {} is not a map", item_type.as_str())))
    }

    /// Adds an attribute, which the item must not have yet.
    pub(crate) fn insert(&mut self, name: &str, value: &Attribute<'_>) {
        push_name(&mut self.0, name);
        push(&mut self.0, value);
    }

    /// Adds a string, which the item must not have yet.
    pub(crate) fn insert_text(&mut self, name: &str, text: &str) {
        push_name(&mut self.0, name);
        push_typed(&mut self.0, "S", text);
    }

    /// Adds attributes by which an index finds the item.
    pub(crate) fn insert_index_attributes(&mut self, attributes: impl IntoIterator<Item = (&'static str, String)>) {
        for (name, value) in attributes {
            self.insert_text(name, &value);
        }
    }

    /// An item that is given as DynamoDB's JSON; `None` for JSON that is no object.
    #[cfg(feature = "testing")]
    pub(super) fn from_json(item: &serde_json::Value) -> Option<Self> {
        let json = item.to_string();
        Some(Self(json.strip_prefix('{')?.strip_suffix('}')?.as_bytes().to_vec()))
    }

    /// Writes the item as a JSON object.
    pub(super) fn write_to(&self, json: &mut Vec<u8>) {
        let start = json.len();
        json.push(b'{');
        json.extend_from_slice(&self.0);
        json.push(b'}');
        debug_assert!(has_distinct_names(&json[start..]), "an item has an attribute twice");
    }
}

/// Whether JSON is an item that has each of its attributes once.
fn has_distinct_names(json: &[u8]) -> bool {
    let item: serde_json::Result<StoredItem<'_>> = serde_json::from_slice(json);
    item.is_ok_and(|item| item.has_distinct_names())
}

/// Writes a value under the name of its type, which needs no escapes.
fn push_typed(json: &mut Vec<u8>, type_name: &str, value: &(impl Serialize + ?Sized)) {
    for part in ["{\"", type_name, "\":"] {
        json.extend_from_slice(part.as_bytes());
    }
    push(json, value);
    json.push(b'}');
}

/// Writes the name of an object's next member, after a comma unless it is the first.
fn push_name(json: &mut Vec<u8>, name: &(impl Serialize + ?Sized)) {
    if !matches!(json.last(), None | Some(b'{')) {
        json.push(b',');
    }
    push(json, name);
    json.push(b':');
}

/// The members of a map.
struct Members<'a>(&'a [(Cow<'a, str>, Attribute<'a>)]);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Writes the value as DynamoDB's JSON, in which the only key of an object names the type: `{"S": "text"}`.
impl Serialize for Attribute<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(1))?;
        match self {
            Self::S(text) => object.serialize_entry("S", text)?,
            Self::N(number) => object.serialize_entry("N", number)?,
            Self::Bool(value) => object.serialize_entry("BOOL", value)?,
            Self::Null => object.serialize_entry("NULL", &true)?,
            Self::M(members) => object.serialize_entry("M", &Members(members))?,
            Self::L(values) => object.serialize_entry("L", values)?,
            Self::Ss(texts) => object.serialize_entry("SS", texts)?,
            Self::Other => return Err(S::Error::custom("the content of the value was discarded")),
        }
        object.end()
    }
}

#[cfg(test)]
mod tests;
