//! The members of a JSON object.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::domain::InvalidValue;
use crate::domain::json::{INVALID_TEXT, JSON_OBJECT};

/// The members of a JSON object in their order, with repeated names, which a map would drop.
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Splits an object into its members, whose values are still to be parsed.
    ///
    /// # Errors
    /// The value is not an object, or a name in it is not Unicode text.
    pub(super) fn parse(json: &'a RawValue) -> Result<Self, InvalidValue> {
        if !json.get().starts_with('{') {
            return Err(InvalidValue::WrongType { expected: JSON_OBJECT });
        }
        // A `RawValue` is well-formed, so what fails is an escape of half a surrogate pair: JSON allows it, text does not.
        serde_json::from_str(json.get()).map_err(|_| INVALID_TEXT)
    }

    /// The values of the members of this name: more than one if the name is repeated.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &'a RawValue> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(MembersVisitor).map(Self)
    }
}
