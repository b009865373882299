//! DynamoDB's JSON as a serde data format, in which records are written.

use std::fmt::Error;

use serde::ser::{Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, Serializer};

use super::{push_name, push_typed, string_set};
use crate::dynamodb::request::push;

type Result<T = ()> = std::result::Result<T, Error>;

/// The value of a field without a value.
const NULL: &[u8] = br#"{"NULL":true}"#;

/// Writes a value.
pub(super) struct AttributeSerializer<'a> {
    json: &'a mut Vec<u8>,
    position: Position,
}

/// The position of a value, which decides how it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The record: its fields become attributes of the item.
    Record,
    /// A value under the name of its type.
    Value,
    /// A sequence that is a set.
    Set,
    /// A string of a set, which has no type of its own.
    Member,
}

/// Writes the parts of a compound value.
pub(super) struct Parts<'a> {
    json: &'a mut Vec<u8>,
    /// The position of each part.
    position: Position,
    /// `true` for the fields of a record.
    is_record: bool,
    /// The end of the value.
    end: &'static [u8],
}

impl<'a> AttributeSerializer<'a> {
    /// Writes a record as the attributes of an item, after those that it has.
    pub(super) fn of_record(item: &'a mut Vec<u8>) -> Self {
        Self { json: item, position: Position::Record }
    }

    /// Writes a value of this type.
    fn write(self, type_name: &str, value: &(impl Serialize + ?Sized)) -> Result {
        match self.position {
            Position::Value => {
                push_typed(self.json, type_name, value);
            }
            Position::Member if type_name == "S" => push(self.json, value),
            Position::Record | Position::Set | Position::Member => return Err(Error),
        }
        Ok(())
    }

    fn null(self) -> Result {
        self.write("NULL", &true)
    }

    fn sequence(self) -> Result<Parts<'a>> {
        let (start, position) = match self.position {
            Position::Value => (&br#"{"L":["#[..], Position::Value),
            Position::Set => (&br#"{"SS":["#[..], Position::Member),
            Position::Record | Position::Member => return Err(Error),
        };
        self.json.extend_from_slice(start);
        Ok(Parts { json: self.json, position, is_record: false, end: b"]}" })
    }

    fn members(self) -> Result<Parts<'a>> {
        let is_record = match self.position {
            Position::Record => true,
            Position::Value => false,
            Position::Set | Position::Member => return Err(Error),
        };
        let end: &[u8] = if is_record { b"" } else { b"}}" };
        if !is_record {
            self.json.extend_from_slice(br#"{"M":{"#);
        }
        Ok(Parts { json: self.json, position: Position::Value, is_record, end })
    }
}

/// Declares methods that write numbers.
macro_rules! numbers {
    ($($method:ident: $number:ty),+) => {
        $(fn $method(self, value: $number) -> Result {
            self.write("N", &value.to_string())
        })+
    };
}

impl<'a> Serializer for AttributeSerializer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Impossible<(), Error>;

    numbers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_u8: u8, serialize_u16: u16,
        serialize_u32: u32, serialize_u64: u64, serialize_f32: f32, serialize_f64: f64
    }

    fn serialize_bool(self, value: bool) -> Result {
        self.write("BOOL", &value)
    }

    fn serialize_char(self, value: char) -> Result {
        self.write("S", &value)
    }

    fn serialize_str(self, value: &str) -> Result {
        self.write("S", value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result {
        Err(Error)
    }

    fn serialize_none(self) -> Result {
        self.null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        self.null()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        self.null()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        self.write("S", variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result {
        let is_set = name == string_set::NAME && self.position == Position::Value;
        value.serialize(if is_set { Self { position: Position::Set, ..self } } else { self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result {
        Err(Error)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>> {
        self.sequence()
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>> {
        self.sequence()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct> {
        Err(Error)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        Err(Error)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>> {
        self.members()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>> {
        self.members()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant> {
        Err(Error)
    }
}

impl Parts<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result {
        if self.json.last() != Some(&b'[') {
            self.json.push(b',');
        }
        element.serialize(AttributeSerializer { json: self.json, position: self.position })
    }

    fn member(&mut self, name: &(impl Serialize + ?Sized), value: &(impl Serialize + ?Sized)) -> Result {
        let end_of_last = self.json.len();
        push_name(self.json, name);
        if !self.json.ends_with(b"\":") {
            // The name is no string.
            return Err(Error);
        }
        let start = self.json.len();
        value.serialize(AttributeSerializer { json: self.json, position: self.position })?;
        if self.is_record && &self.json[start..] == NULL {
            self.json.truncate(end_of_last);
        }
        Ok(())
    }

    fn finish(self) {
        self.json.extend_from_slice(self.end);
    }
}

impl SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result {
        self.element(element)
    }

    fn end(self) -> Result {
        self.finish();
        Ok(())
    }
}

impl SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result {
        self.element(element)
    }

    fn end(self) -> Result {
        self.finish();
        Ok(())
    }
}

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
        self.member(name, value)
    }

    fn end(self) -> Result {
        self.finish();
        Ok(())
    }
}

/// A map is written entry by entry, and so are the fields of a flattened struct.
impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result {
        Err(Error)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, _: &T) -> Result {
        Err(Error)
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(&mut self, key: &K, value: &V) -> Result {
        self.member(key, value)
    }

    fn end(self) -> Result {
        self.finish();
        Ok(())
    }
}
