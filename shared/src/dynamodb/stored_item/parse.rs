//! Reads items from DynamoDB's JSON, in which the only key of an object names the type of its value: `{"S": "text"}`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Attribute, StoredItem};

/// The attributes of most items, so that their list is allocated once.
const USUAL_ATTRIBUTES: usize = 20;

/// The name of a value's type (AWS, `AttributeValue`).
#[derive(Deserialize)]
#[serde(field_identifier)]
enum TypeName {
    #[serde(rename = "S")]
    String,
    #[serde(rename = "N")]
    Number,
    #[serde(rename = "BOOL")]
    Bool,
    #[serde(rename = "NULL")]
    Null,
    #[serde(rename = "M")]
    Map,
    #[serde(rename = "L")]
    List,
    #[serde(rename = "SS")]
    StringSet,
    #[serde(other)]
    Other,
}

/// A text that is borrowed where the JSON holds it without escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of an object, in their order.
struct Members<'a>(Vec<(Cow<'a, str>, Attribute<'a>)>);

impl<'de> Deserialize<'de> for StoredItem<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor { capacity: USUAL_ATTRIBUTES, lifetime: PhantomData }).map(Self)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor { capacity: 0, lifetime: PhantomData }).map(Self)
    }
}

struct MembersVisitor<'a> {
    capacity: usize,
    lifetime: PhantomData<&'a ()>,
}

impl<'de> Visitor<'de> for MembersVisitor<'de> {
    type Value = Vec<(Cow<'de, str>, Attribute<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(self.capacity);
        while let Some((Text(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(members)
    }
}

impl<'de> Deserialize<'de> for Attribute<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AttributeVisitor)
    }
}

struct AttributeVisitor;

impl<'de> Visitor<'de> for AttributeVisitor {
    type Value = Attribute<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value under the name of its type")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attribute<'de>, A::Error> {
        let Some(type_name) = map.next_key()? else { return Err(A::Error::custom("a value without a type")) };
        Ok(match type_name {
            TypeName::String => Attribute::S(map.next_value::<Text>()?.0),
            TypeName::Number => Attribute::N(map.next_value::<Text>()?.0),
            TypeName::Bool => Attribute::Bool(map.next_value()?),
            TypeName::Null => map.next_value::<IgnoredAny>().map(|_| Attribute::Null)?,
            TypeName::Map => Attribute::M(map.next_value::<Members>()?.0),
            TypeName::List => Attribute::L(map.next_value()?),
            TypeName::StringSet => {
                Attribute::Ss(map.next_value::<Vec<Text>>()?.into_iter().map(|Text(text)| text).collect())
            }
            TypeName::Other => map.next_value::<IgnoredAny>().map(|_| Attribute::Other)?,
        })
    }
}
