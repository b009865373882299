//! The types of fields that are not text.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
#[cfg(feature = "openapi")]
use utoipa::openapi::{
    KnownFormat, RefOr, Schema, SchemaFormat, Type,
    schema::{AdditionalProperties, Array, ObjectBuilder},
};
use uuid::Uuid;

#[cfg(feature = "openapi")]
use super::fields::Component;
use super::fields::FieldValue;
use crate::domain::ids::parse_uuid;
use crate::domain::json::Number;
use crate::domain::{InvalidValue, JsonObject, ProviderAccounts, RowCount, Scopes, time};

/// Reads a value of one JSON type.
fn typed<T: DeserializeOwned>(json: &RawValue, expected: &'static str) -> Result<T, InvalidValue> {
    serde_json::from_str(json.get()).map_err(|_| InvalidValue::WrongType { expected })
}

/// Reads a cell as JSON: columns of these types hold JSON in a cell.
fn json_cell<T: FieldValue>(cell: &str, expected: &'static str) -> Result<T, InvalidValue> {
    let json: &RawValue = serde_json::from_str(cell).map_err(|_| InvalidValue::WrongType { expected })?;
    T::from_json(json)
}

impl FieldValue for bool {
    fn from_json(json: &RawValue) -> Result<Self, InvalidValue> {
        typed(json, "true or false")
    }

    fn from_cell(cell: &str) -> Result<Self, InvalidValue> {
        json_cell(cell, "true or false")
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }
}

impl FieldValue for RowCount {
    fn from_json(json: &RawValue) -> Result<Self, InvalidValue> {
        typed::<u64>(json, "an integer of at least 0")?.try_into()
    }

    fn from_cell(cell: &str) -> Result<Self, InvalidValue> {
        json_cell(cell, "an integer of at least 0")
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(Self::MAX)).into()
    }
}

const NUMBER: &str = "a number of at most 38 significant digits between 1e-130 and 1e126";

impl FieldValue for Number {
    fn from_json(json: &RawValue) -> Result<Self, InvalidValue> {
        typed(json, NUMBER)
    }

    fn from_cell(cell: &str) -> Result<Self, InvalidValue> {
        json_cell(cell, NUMBER)
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).into()
    }
}

impl FieldValue for Uuid {
    fn from_json(json: &RawValue) -> Result<Self, InvalidValue> {
        parse_uuid(&typed::<String>(json, "a string")?)
    }

    fn from_cell(cell: &str) -> Result<Self, InvalidValue> {
        parse_uuid(cell)
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        string_of(KnownFormat::Uuid).into()
    }
}

/// A time in a body: RFC 3339 with an offset, cut to the millisecond.
impl FieldValue for DateTime<Utc> {
    fn from_json(json: &RawValue) -> Result<Self, InvalidValue> {
        time::parse_to_millis(&typed::<String>(json, "a string")?)
    }

    fn from_cell(cell: &str) -> Result<Self, InvalidValue> {
        time::parse_to_millis(cell)
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        string_of(KnownFormat::DateTime).into()
    }
}

impl FieldValue for JsonObject {
    fn from_json(json: &RawValue) -> Result<Self, InvalidValue> {
        Self::parse(json)
    }

    fn from_cell(cell: &str) -> Result<Self, InvalidValue> {
        json_cell(cell, "a JSON object")
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        free_form_object().into()
    }
}

impl FieldValue for ProviderAccounts {
    fn from_json(json: &RawValue) -> Result<Self, InvalidValue> {
        typed::<Vec<String>>(json, "an array of strings")?.try_into()
    }

    fn from_cell(cell: &str) -> Result<Self, InvalidValue> {
        json_cell(cell, "an array of strings")
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        Array::builder().items(string_of(KnownFormat::Uuid)).max_items(Some(Self::MAX)).into()
    }
}

impl FieldValue for Scopes {
    fn from_json(json: &RawValue) -> Result<Self, InvalidValue> {
        typed::<Vec<String>>(json, "an array of strings")?.try_into()
    }

    fn from_cell(cell: &str) -> Result<Self, InvalidValue> {
        json_cell(cell, "an array of strings")
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        let scope = <crate::domain::Scope as utoipa::PartialSchema>::schema();
        Array::builder().items(scope).min_items(Some(1)).into()
    }
}

/// A string of a known format.
#[cfg(feature = "openapi")]
fn string_of(format: KnownFormat) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)))
}

/// An object with any members.
#[cfg(feature = "openapi")]
pub(super) fn free_form_object() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(AdditionalProperties::FreeForm(true)))
}
