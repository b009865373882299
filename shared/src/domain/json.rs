//! JSON as contacts carry it: every number exact, every size bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::InvalidValue;

/// The most bytes one sent object may have, serialized.
pub const MAX_SENT_BYTES: usize = 64 * 1024;
/// The deepest nesting, the object itself being the first level.
pub const MAX_LEVELS: usize = 16;
/// The most bytes that the attributes which gather more and more may have in a stored item, as [`JsonObject::stored_len`]
/// counts them. DynamoDB ends an item at 400 KB; what is left is for the item's other attributes.
pub const MAX_STORED_BYTES: usize = 350 * 1000;

/// A JSON value whose numbers are kept as decimal text.
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

/// A JSON object, its keys in one order, so that equal objects have equal bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct JsonObject(BTreeMap<String, Json>);

/// A decimal number in one spelling per value, inside what DynamoDB keeps exactly: 38 significant digits between
/// 1E-130 and 9.99…E+125 (AWS, "Supported data types and naming rules").
#[derive(Clone, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// Reads a number in JSON's or DynamoDB's spelling.
    ///
    /// # Errors
    /// A number that could not be kept exactly.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        Self::canonical(text).map(Self).ok_or(InvalidValue::Rule(
            "must not hold numbers of more than 38 significant digits or outside 1e-130 to 1e126",
        ))
    }

    /// The number in its one spelling, which is JSON and DynamoDB's alike.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn canonical(text: &str) -> Option<String> {
        const MAX_DIGITS: usize = 38;
        let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_start_matches('0').trim_end_matches('0');
        if digits.is_empty() {
            return Some("0".to_owned());
        }
        let trailing = i64::try_from(all.len() - all.trim_end_matches('0').len()).ok()?;
        let fraction = i64::try_from(fraction.len()).ok()?;
        let exponent = exponent.parse::<i64>().ok()?.checked_add(trailing)?.checked_sub(fraction)?;
        let count = i64::try_from(digits.len()).ok()?;
        let magnitude = exponent.checked_add(count - 1)?;
        if digits.len() > MAX_DIGITS || !(-130..=125).contains(&magnitude) {
            return None;
        }
        let zeros = |n: i64| "0".repeat(usize::try_from(n).unwrap_or(0));
        Some(if exponent >= 0 && magnitude < 38 {
            format!("{sign}{digits}{}", zeros(exponent))
        } else if exponent < 0 && magnitude >= 0 {
            let (whole, fraction) = digits.split_at(usize::try_from(magnitude + 1).ok()?);
            format!("{sign}{whole}.{fraction}")
        } else if (-7..0).contains(&magnitude) {
            format!("{sign}0.{}{digits}", zeros(-magnitude - 1))
        } else {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{point}{rest}e{magnitude}")
        })
    }
}

impl JsonObject {
    /// Reads an object that a client sent.
    ///
    /// # Errors
    /// Not an object, more than [`MAX_SENT_BYTES`] or [`MAX_LEVELS`], an empty key, or a number that cannot be kept.
    pub fn parse(raw: &RawValue) -> Result<Self, InvalidValue> {
        let Json::Object(object) = Json::read(raw, 1)? else {
            return Err(InvalidValue::WrongType { expected: "a JSON object" });
        };
        if object.serialized_len() > MAX_SENT_BYTES {
            Err(InvalidValue::Rule("must be at most 64 KiB"))
        } else {
            Ok(object)
        }
    }

    /// Its members, in key order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// One member.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.get(key)
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its length as stored, in bytes: no less than DynamoDB counts (AWS, "DynamoDB item sizes and formats").
    pub fn stored_len(&self) -> usize {
        const MAP: usize = 3;
        self.0.iter().map(|(key, value)| 1 + key.len() + value.stored_len()).sum::<usize>() + MAP
    }

    /// How many values it holds, over all its levels.
    pub fn count(&self) -> usize {
        self.0.values().map(Json::count).sum()
    }

    /// Its length as serialized, in bytes.
    pub fn serialized_len(&self) -> usize {
        // Writing to memory fails for no object; the largest answer keeps any limit if it did.
        serde_json::to_vec(self).map_or(usize::MAX, |bytes| bytes.len())
    }

    /// Merges a patch into this object (JSON Merge Patch, RFC 7396): objects merge, `null` removes, all else replaces.
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

    /// Its members in another order: first those that `first` names, then the others in key order.
    pub fn in_order<'a>(&'a self, first: &'a [String]) -> impl Iterator<Item = (&'a str, &'a Json)> {
        let is_named: BTreeSet<_> = first.iter().collect();
        let named = first.iter().filter_map(|key| self.0.get_key_value(key));
        let others = self.0.iter().filter(move |(key, _)| !is_named.contains(key));
        named.chain(others).map(|(key, value)| (key.as_str(), value))
    }

    /// This object as a patch applied to nothing: without its `null` members.
    #[must_use]
    pub fn without_nulls(&self) -> Self {
        let mut object = Self::default();
        object.merge(self);
        object
    }
}

/// The keys of an object in the order in which they stand there; none where `raw` is no object.
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
    /// Reads a value that a client sent.
    ///
    /// # Errors
    /// More than [`MAX_LEVELS`], an empty key, or a number that cannot be kept.
    pub fn parse(raw: &RawValue) -> Result<Self, InvalidValue> {
        Self::read(raw, 1)
    }

    /// Its length as serialized, in bytes.
    pub fn serialized_len(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |bytes| bytes.len())
    }

    /// One, and how many values it holds.
    fn count(&self) -> usize {
        let within = match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => 0,
            Self::Array(items) => items.iter().map(Self::count).sum(),
            Self::Object(object) => object.count(),
        };
        1 + within
    }

    /// Its length as stored, in bytes: see [`JsonObject::stored_len`].
    fn stored_len(&self) -> usize {
        const LIST: usize = 3;
        match self {
            Self::Null | Self::Bool(_) => 1,
            // Two digits a byte, one for the exponent and one for the sign.
            Self::Number(number) => number.0.len() / 2 + 3,
            Self::String(text) => text.len(),
            Self::Array(items) => items.iter().map(|item| 1 + item.stored_len()).sum::<usize>() + LIST,
            Self::Object(object) => object.stored_len(),
        }
    }

    /// Reads level by level, each from its raw text, because serde's own numbers are `f64` beyond 64 bits.
    fn read(raw: &RawValue, level: usize) -> Result<Self, InvalidValue> {
        const NOT_TEXT: InvalidValue = InvalidValue::Rule("must hold only valid Unicode text");
        let text = raw.get();
        let opens = text.starts_with(['{', '[']);
        if opens && level > MAX_LEVELS {
            return Err(InvalidValue::Rule("must be at most 16 levels deep"));
        }
        match text.as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(|_| NOT_TEXT)?;
                if members.contains_key("") {
                    return Err(InvalidValue::Rule("must not have empty keys"));
                }
                let members = members.into_iter().map(|(key, raw)| Ok((key, Self::read(raw, level + 1)?)));
                members.collect::<Result<_, _>>().map(Self::Object)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| NOT_TEXT)?;
                items.into_iter().map(|raw| Self::read(raw, level + 1)).collect::<Result<_, _>>().map(Self::Array)
            }
            Some(b'"') => serde_json::from_str(text).map(Self::String).map_err(|_| NOT_TEXT),
            Some(b't') => Ok(Self::Bool(true)),
            Some(b'f') => Ok(Self::Bool(false)),
            Some(b'n') => Ok(Self::Null),
            _ => Number::parse(text).map(Self::Number),
        }
    }
}

/// From JSON's text, in which no digit is lost.
impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Box::<RawValue>::deserialize(deserializer)?.get()).map_err(serde::de::Error::custom)
    }
}

/// As JSON's text.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone()).map_err(serde::ser::Error::custom)?.serialize(serializer)
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

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number(…)")
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

    fn printed(object: &JsonObject) -> String {
        serde_json::to_string(object).unwrap()
    }

    #[test]
    fn numbers_keep_their_value_in_one_spelling() {
        for (sent, kept) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("0e999999999999999999999999", "0"),
            ("1", "1"),
            ("1.0", "1"),
            ("-12.50", "-12.5"),
            ("1e3", "1000"),
            ("0.1", "0.1"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1.5E-3", "0.0015"),
            ("1e-7", "0.0000001"),
            ("1e-8", "1e-8"),
            ("12e-130", "1.2e-129"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
            ("1e37", "10000000000000000000000000000000000000"),
            ("1e38", "1e38"),
            ("9.9e125", "9.9e125"),
            ("1E+2", "100"),
        ] {
            assert_eq!(Number::parse(sent).map(|n| n.0), Ok(kept.to_owned()), "{sent}");
        }
        for sent in [
            "1e126",
            "1e-131",
            "123456789012345678901234567890123456789",
            "1e99999999999999999999",
            "NaN",
            "",
            "-",
            "+1",
        ] {
            assert!(Number::parse(sent).is_err(), "{sent}");
        }
    }

    #[test]
    fn an_object_is_refused_for_what_could_not_be_kept() {
        let deep = |levels: usize| format!("{}{}{}", r#"{"a":"#.repeat(levels - 1), "{}", "}".repeat(levels - 1));
        let wide = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
        assert!(object(&deep(16)).is_ok());
        assert!(object(&wide(MAX_SENT_BYTES)).is_ok());
        for (sent, fault) in [
            ("[]", "must be a JSON object"),
            ("1", "must be a JSON object"),
            (r#"{"":1}"#, "must not have empty keys"),
            (r#"{"a":[{"":1}]}"#, "must not have empty keys"),
            (&deep(17), "must be at most 16 levels deep"),
            (&"[".repeat(100_000), "must be at most 16 levels deep"),
            (&wide(MAX_SENT_BYTES + 1), "must be at most 64 KiB"),
            (r#"{"a":"\ud800"}"#, "must hold only valid Unicode text"),
            (r#"{"a":1e400}"#, "must not hold numbers of more than 38 significant digits or outside 1e-130 to 1e126"),
        ] {
            let sent =
                if sent.starts_with("[[") { format!("{sent}{}", "]".repeat(sent.len())) } else { sent.to_owned() };
            assert_eq!(object(&sent).map_err(|error| error.to_string()), Err(fault.to_owned()), "{sent:.40}");
        }
    }

    /// The examples of RFC 7396, Appendix A, whose documents and patches are objects.
    #[test]
    fn merges_as_the_rfc_says() {
        for (target, patch, merged) in [
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
            let mut object_ = object(target).unwrap();
            object_.merge(&object(patch).unwrap());
            assert_eq!(printed(&object_), merged, "{target} + {patch}");
        }
    }

    #[test]
    fn members_are_shown_in_the_order_of_the_keys_that_are_named() {
        let sent = serde_json::from_str::<&RawValue>(r#"{"b":1,"a":2,"b":3}"#).unwrap();
        assert_eq!(key_order(sent), ["b", "a"]);
        assert_eq!(key_order(serde_json::from_str("[1]").unwrap()), [""; 0]);
        let later = object(r#"{"c":1,"a":2,"b":3}"#).unwrap();
        let first = ["gone", "b"].map(str::to_owned);
        let shown: Vec<_> = later.in_order(&first).map(|(key, _)| key).collect();
        assert_eq!(shown, ["b", "a", "c"]);
    }

    proptest! {
        #[test]
        fn a_number_is_read_back_as_itself(text in "-?[0-9]{1,40}(\\.[0-9]{1,10})?([eE][+-]?[0-9]{1,3})?") {
            if let Ok(number) = Number::parse(&text) {
                prop_assert_eq!(Number::parse(number.as_str()), Ok(number.clone()));
                prop_assert!(serde_json::from_str::<&RawValue>(number.as_str()).is_ok());
                if let (Ok(sent), Ok(kept)) = (text.parse::<f64>(), number.as_str().parse::<f64>()) {
                    prop_assert!(sent.to_bits() == kept.to_bits() || sent == 0.0);
                }
            }
        }

        #[test]
        fn merging_twice_is_merging_once(target in ".{0,20}", key in "[a-c]", value in "[a-c]") {
            let mut once = object(&serde_json::json!({"a": target, "b": {"a": 1}}).to_string()).unwrap();
            let patch = object(&serde_json::json!({&key: {&value: null, "x": 1}, "z": null}).to_string()).unwrap();
            once.merge(&patch);
            let mut twice = once.clone();
            twice.merge(&patch);
            prop_assert!(once == twice);
        }
    }
}
