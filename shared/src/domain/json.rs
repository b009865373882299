//! JSON values with exact numbers and bounded sizes.

mod count;
mod merge;
mod number;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

pub use self::count::{count_values, has_more_values_than};
pub use self::merge::SizeChange;
pub use self::number::{DECIMAL, Number};
use super::InvalidValue;

/// The maximum size, in bytes, of a sent object, serialized.
pub const MAX_SENT_BYTES: usize = 64 * 1024;
/// The maximum depth; the object itself is the first level.
pub const MAX_LEVELS: usize = 16;
const TOO_LARGE: InvalidValue = InvalidValue::TooLarge { max: MAX_SENT_BYTES / 1024, unit: "KiB" };
const TOO_DEEP: InvalidValue = InvalidValue::Rule("must be at most 16 levels deep");
/// The maximum stored size, in bytes, of an item's unbounded attributes, as counted by [`JsonObject::stored_len`]. DynamoDB limits
/// an item to 400 KB; the difference is reserved for the other attributes.
pub const MAX_STORED_BYTES: usize = 350 * 1000;

/// The type of a [`JsonObject`] in validation errors.
pub const JSON_OBJECT: &str = "a JSON object";
/// The error of text that holds half a surrogate pair, which JSON allows as an escape.
pub const INVALID_TEXT: InvalidValue = InvalidValue::Rule("must hold only valid Unicode text");

/// A JSON value whose numbers are stored as decimal text.
#[derive(Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(JsonObject),
}

/// A JSON object. Keys are sorted, so that equal objects have equal bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct JsonObject(BTreeMap<String, Json>);

/// Declares `additionalProperties: true`: some generators of clients read an object without it as empty.
#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for JsonObject {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
        let any = AdditionalProperties::FreeForm(true);
        ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(any)).into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for JsonObject {}

impl JsonObject {
    /// Parses an object that a client sent.
    ///
    /// # Errors
    /// Another JSON type, more than [`MAX_SENT_BYTES`] or [`MAX_LEVELS`], an empty key, or a number that DynamoDB cannot store
    /// exactly.
    pub fn parse(raw: &RawValue) -> Result<Self, InvalidValue> {
        let Json::Object(object) = Json::parse(raw)? else {
            return Err(InvalidValue::WrongType { expected: JSON_OBJECT });
        };
        if object.serialized_len() > MAX_SENT_BYTES { Err(TOO_LARGE) } else { Ok(object) }
    }

    /// The members, in key order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.get(key)
    }

    /// `true` if the object has no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The stored size, in bytes: an upper bound of the size that DynamoDB counts (AWS, "DynamoDB item sizes and formats").
    pub fn stored_len(&self) -> usize {
        const OVERHEAD: usize = 3;
        OVERHEAD + self.0.iter().map(|(key, value)| 1 + key.len() + value.stored_len()).sum::<usize>()
    }

    /// The number of values in all levels.
    pub fn count(&self) -> usize {
        self.0.values().map(Json::count).sum()
    }

    /// The serialized size, in bytes.
    pub fn serialized_len(&self) -> usize {
        // Serialization to memory does not fail; if it did, the size would exceed every limit.
        serde_json::to_vec(self).map_or(usize::MAX, |bytes| bytes.len())
    }

    /// Merges a patch into this object (JSON Merge Patch, RFC 7396): objects are merged, `null` removes, other values replace.
    ///
    /// ```
    /// # use serde_json::value::RawValue;
    /// # use shared::domain::JsonObject;
    /// # fn object(json: &str) -> JsonObject {
    /// #     JsonObject::parse(serde_json::from_str::<&RawValue>(json).unwrap()).unwrap()
    /// # }
    /// let mut stored = object(r#"{"company": {"size": 50, "city": "Madrid"}, "tags": ["b2b"]}"#);
    /// stored.merge(&object(r#"{"company": {"size": null, "country": "ES"}, "tags": ["b2b", "saas"]}"#));
    ///
    /// let merged = object(r#"{"company": {"city": "Madrid", "country": "ES"}, "tags": ["b2b", "saas"]}"#);
    /// assert_eq!(stored, merged);
    /// ```
    pub fn merge(&mut self, patch: &Self) {
        for (key, value) in &patch.0 {
            match value {
                Json::Null => {
                    self.0.remove(key);
                }
                Json::Object(inner) => {
                    let mut target = match self.0.remove(key) {
                        Some(Json::Object(object)) => object,
                        _ => Self::default(),
                    };
                    target.merge(inner);
                    self.0.insert(key.clone(), Json::Object(target));
                }
                value => {
                    self.0.insert(key.clone(), value.clone());
                }
            }
        }
    }

    /// The members whose keys are in `first`, in that order, followed by the others in key order.
    pub fn in_order<'a>(&'a self, first: &'a [String]) -> impl Iterator<Item = (&'a str, &'a Json)> {
        let first_keys: BTreeSet<_> = first.iter().collect();
        let first_members = first.iter().filter_map(|key| self.0.get_key_value(key));
        let others = self.0.iter().filter(move |(key, _)| !first_keys.contains(key));
        first_members.chain(others).map(|(key, value)| (key.as_str(), value))
    }

    /// The object without `null` members: the result of merging it into an empty object.
    #[must_use]
    pub fn without_nulls(&self) -> Self {
        let mut object = Self::default();
        object.merge(self);
        object
    }
}

/// The keys of an object in the order of the text, without repetitions; empty if `raw` is not an object.
pub fn key_order(raw: &RawValue) -> Vec<String> {
    struct Keys;

    impl<'de> Visitor<'de> for Keys {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<String>, A::Error> {
            let (mut keys, mut seen) = (Vec::new(), BTreeSet::new());
            while let Some((key, IgnoredAny)) = members.next_entry::<String, IgnoredAny>()? {
                if seen.insert(key.clone()) {
                    keys.push(key);
                }
            }
            Ok(keys)
        }
    }

    serde_json::Deserializer::from_str(raw.get()).deserialize_map(Keys).unwrap_or_default()
}

impl FromIterator<(String, Json)> for JsonObject {
    fn from_iter<I: IntoIterator<Item = (String, Json)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl Json {
    /// Parses a value that a client sent. A value of more values than [`MAX_SENT_BYTES`] can hold is refused before it is built:
    /// each takes at least one byte.
    ///
    /// # Errors
    /// Too many values, more than [`MAX_LEVELS`], an empty key, or a number that DynamoDB cannot store exactly.
    pub fn parse(raw: &RawValue) -> Result<Self, InvalidValue> {
        if has_more_values_than(MAX_SENT_BYTES, raw.get()) {
            return Err(TOO_LARGE);
        }
        Self::parse_level(raw, 1)
    }

    /// The serialized size, in bytes.
    pub fn serialized_len(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |bytes| bytes.len())
    }

    /// The number of values: this value and the values inside it.
    fn count(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => 1,
            Self::Array(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Self::Object(object) => 1 + object.count(),
        }
    }

    /// The stored size, in bytes, by the rules of [`JsonObject::stored_len`].
    fn stored_len(&self) -> usize {
        const OVERHEAD: usize = 3;
        match self {
            Self::Null | Self::Bool(_) => 1,
            Self::Number(number) => number.stored_len(),
            Self::String(text) => text.len(),
            Self::Array(items) => OVERHEAD + items.iter().map(|item| 1 + item.stored_len()).sum::<usize>(),
            Self::Object(object) => object.stored_len(),
        }
    }

    /// Parses a value of the given depth. Each level is parsed from its raw text, since serde converts large numbers to `f64`.
    fn parse_level(raw: &RawValue, level: usize) -> Result<Self, InvalidValue> {
        let text = raw.get();
        if text.starts_with(['{', '[']) && level > MAX_LEVELS {
            return Err(TOO_DEEP);
        }
        match text.as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(|_| INVALID_TEXT)?;
                if members.contains_key("") {
                    return Err(InvalidValue::Rule("must not have empty keys"));
                }
                let members = members.into_iter().map(|(key, raw)| Ok((key, Self::parse_level(raw, level + 1)?)));
                Ok(Self::Object(members.collect::<Result<_, _>>()?))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| INVALID_TEXT)?;
                let items = items.into_iter().map(|raw| Self::parse_level(raw, level + 1));
                Ok(Self::Array(items.collect::<Result<_, _>>()?))
            }
            Some(b'"') => serde_json::from_str(text).map(Self::String).map_err(|_| INVALID_TEXT),
            Some(b't') => Ok(Self::Bool(true)),
            Some(b'f') => Ok(Self::Bool(false)),
            Some(b'n') => Ok(Self::Null),
            _ => Number::parse(text).map(Self::Number),
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json(…)")
    }
}

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonObject(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(text: &str) -> Result<JsonObject, InvalidValue> {
        JsonObject::parse(serde_json::from_str::<&RawValue>(text).unwrap())
    }

    fn serialized(object: &JsonObject) -> String {
        serde_json::to_string(object).unwrap()
    }

    #[test]
    fn an_object_that_is_too_large_too_deep_or_invalid_is_refused() {
        let deep = |levels: usize| format!("{}{}{}", r#"{"a":"#.repeat(levels - 1), "{}", "}".repeat(levels - 1));
        let wide = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
        assert!(object(&deep(16)).is_ok());
        assert!(object(&wide(MAX_SENT_BYTES)).is_ok());
        let numbers = |count: usize| format!(r#"{{"a":[{}1]}}"#, "1,".repeat(count - 1));
        assert!(object(&numbers(MAX_SENT_BYTES / 2 - 4)).is_ok(), "as many values as the size allows");
        for (sent, error) in [
            ("[]", "must be a JSON object"),
            ("1", "must be a JSON object"),
            (r#"{"":1}"#, "must not have empty keys"),
            (r#"{"a":[{"":1}]}"#, "must not have empty keys"),
            (&deep(17), "must be at most 16 levels deep"),
            (&format!("{}{}", "[".repeat(60_000), "]".repeat(60_000)), "must be at most 16 levels deep"),
            (&wide(MAX_SENT_BYTES + 1), "must be at most 64 KiB"),
            (&numbers(MAX_SENT_BYTES / 2), "must be at most 64 KiB"),
            // Refused by the number of values, before the invalid last one is read.
            (&numbers(MAX_SENT_BYTES).replace(",1]", ",1e400]"), "must be at most 64 KiB"),
            (&format!("[{}1]", r#"{"":1},"#.repeat(MAX_SENT_BYTES)), "must be at most 64 KiB"),
            (r#"{"a":"\ud800"}"#, "must hold only valid Unicode text"),
            (r#"{"a":1e400}"#, "must not hold numbers of more than 38 significant digits or outside 1e-130 to 1e126"),
        ] {
            assert_eq!(object(sent).map_err(|invalid| invalid.to_string()), Err(error.to_owned()), "{sent:.40}");
        }
    }

    /// The examples of RFC 7396, Appendix A, in which both document and patch are objects.
    #[test]
    fn objects_are_merged_as_in_the_examples_of_rfc_7396() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let mut merged = object(target).unwrap();
            merged.merge(&object(patch).unwrap());
            assert_eq!(serialized(&merged), expected, "{target} + {patch}");
        }
    }

    #[test]
    fn members_follow_the_given_key_order() {
        let sent = serde_json::from_str::<&RawValue>(r#"{"b":1,"a":2,"b":3}"#).unwrap();
        assert_eq!(key_order(sent), ["b", "a"]);
        assert_eq!(key_order(serde_json::from_str("[1]").unwrap()), [""; 0]);
        let stored = object(r#"{"c":1,"a":2,"b":3}"#).unwrap();
        let first = ["removed", "b"].map(str::to_owned);
        let keys: Vec<_> = stored.in_order(&first).map(|(key, _)| key).collect();
        assert_eq!(keys, ["b", "a", "c"]);
    }

    proptest! {
        #[test]
        fn merging_is_idempotent(target in ".{0,20}", key in "[a-c]", value in "[a-c]") {
            let mut once = object(&serde_json::json!({"a": target, "b": {"a": 1}}).to_string()).unwrap();
            let patch = object(&serde_json::json!({&key: {&value: null, "x": 1}, "z": null}).to_string()).unwrap();
            once.merge(&patch);
            let mut twice = once.clone();
            twice.merge(&patch);
            prop_assert!(once == twice);
        }
    }
}
