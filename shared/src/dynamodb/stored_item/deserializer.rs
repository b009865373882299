//! The attributes of an item as a serde data format, from which records are read.

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Error as _, IntoDeserializer, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::{Attribute, StoredItem};

/// An item as a map of its attributes.
pub(super) struct ItemDeserializer<'a>(pub(super) &'a StoredItem<'a>);

impl<'de> Deserializer<'de> for ItemDeserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(MapDeserializer::new(self.0.0.iter().map(|(name, value)| (&**name, value))))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> Deserializer<'de> for &'de Attribute<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Attribute::S(text) => visitor.visit_borrowed_str(text),
            Attribute::N(number) => visit_number(number, visitor),
            Attribute::Bool(value) => visitor.visit_bool(*value),
            Attribute::Null => visitor.visit_unit(),
            Attribute::M(members) => {
                visitor.visit_map(MapDeserializer::new(members.iter().map(|(name, value)| (&**name, value))))
            }
            Attribute::L(values) => visitor.visit_seq(SeqDeserializer::new(values.iter())),
            Attribute::Ss(texts) => visitor.visit_seq(SeqDeserializer::new(texts.iter().map(|text| &**text))),
            Attribute::Other => Err(Error::custom("a value of a type that no record has")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Attribute::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Attribute::S(text) => (&**text).into_deserializer().deserialize_enum(name, variants, visitor),
            _ => Err(Error::custom("a variant that is not named by a string")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct
        map struct identifier
    }
}

impl<'de> IntoDeserializer<'de, Error> for &'de Attribute<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Visits a number as the first of the types that represent it. Numbers that clients send are read as text instead
/// ([`Attribute::to_json`]).
fn visit_number<'de, V: Visitor<'de>>(number: &str, visitor: V) -> Result<V::Value, Error> {
    if let Ok(number) = number.parse() {
        return visitor.visit_u64(number);
    }
    if let Ok(number) = number.parse() {
        return visitor.visit_i64(number);
    }
    match number.parse() {
        Ok(number) => visitor.visit_f64(number),
        Err(_) => Err(Error::custom("an invalid number")),
    }
}
