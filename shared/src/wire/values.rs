//! Fields of other types than text.

use chrono::{DateTime, Utc};
#[cfg(feature = "openapi")]
use utoipa::openapi::{
    KnownFormat, RefOr, Schema, SchemaFormat, Type,
    schema::{Array, ObjectBuilder},
};
use uuid::Uuid;

#[cfg(feature = "openapi")]
use super::fields::Component;
use super::fields::{FieldValue, Input};
use super::lenient;
use crate::domain::ids::parse_uuid;
use crate::domain::json::{DECIMAL, JSON_OBJECT, Number};
use crate::domain::{InvalidValue, JsonObject, ProviderAccounts, RowCount, Scopes, time};

/// The type of a list of texts in validation errors.
pub(super) const ARRAY_OF_STRINGS: &str = "an array of strings";

impl FieldValue for bool {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        lenient::boolean(input).ok_or(InvalidValue::WrongType { expected: "true or false" })
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }
}

impl FieldValue for RowCount {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        lenient::integer(input).ok_or(InvalidValue::WrongType { expected: "an integer of at least 0" })?.try_into()
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(Self::MAX)).into()
    }
}

impl FieldValue for Number {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        lenient::number(input).ok_or(InvalidValue::WrongType { expected: DECIMAL })
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).into()
    }
}

impl FieldValue for Uuid {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        parse_uuid(&input.text()?)
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        string(KnownFormat::Uuid).into()
    }
}

/// A time: RFC 3339 with an offset, truncated to the millisecond.
impl FieldValue for DateTime<Utc> {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        time::parse_to_millis(&input.text()?)
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        string(KnownFormat::DateTime).into()
    }
}

impl FieldValue for JsonObject {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        Self::parse(&input.json(JSON_OBJECT)?)
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        <Self as utoipa::PartialSchema>::schema()
    }
}

impl FieldValue for ProviderAccounts {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        input.deserialize::<Vec<String>>(ARRAY_OF_STRINGS)?.try_into()
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        Array::builder().items(string(KnownFormat::Uuid)).max_items(Some(Self::MAX)).into()
    }
}

impl FieldValue for Scopes {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        input.deserialize::<Vec<String>>(ARRAY_OF_STRINGS)?.try_into()
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        let scope = <crate::domain::Scope as utoipa::PartialSchema>::schema();
        Array::builder().items(scope).min_items(Some(1)).into()
    }
}

/// A string of this format.
#[cfg(feature = "openapi")]
pub(super) fn string(format: KnownFormat) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)))
}
