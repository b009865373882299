//! Reading request bodies.

use serde_json::value::RawValue;

use super::fields::{FromFields, Purpose, read_object};
use crate::domain::{InvalidValue, ValidationErrors};

/// A value that a request body holds.
pub trait FromBody: Sized {
    /// Reads the value from well-formed JSON.
    ///
    /// # Errors
    /// All that is not valid in it.
    fn from_body(body: &RawValue) -> Result<Self, ValidationErrors>;
}

/// A body that is one object.
pub trait ObjectBody: FromFields {
    /// The name of its schema in the OpenAPI document.
    const SCHEMA: &'static str;
    /// What the body is read for.
    const PURPOSE: Purpose;
}

impl<T: ObjectBody> FromBody for T {
    fn from_body(body: &RawValue) -> Result<Self, ValidationErrors> {
        body_object(body, T::PURPOSE)
    }
}

/// Reads a value from a body, or an element of one, that is one object.
///
/// # Errors
/// All that is not valid in it.
pub(super) fn body_object<T: FromFields>(body: &RawValue, purpose: Purpose) -> Result<T, ValidationErrors> {
    read_object(body, purpose).map_err(|errors| errors.name_whole(BODY))
}

/// Reads the elements of a body that is an array, each still to be read.
///
/// # Errors
/// The body is not an array.
pub(super) fn body_elements(body: &RawValue) -> Result<Vec<&RawValue>, ValidationErrors> {
    serde_json::from_str(body.get())
        .map_err(|_| ValidationErrors::one(BODY, InvalidValue::WrongType { expected: "a JSON array" }))
}

/// Reads JSON whose fields are still to be read.
///
/// # Errors
/// The body is not well-formed JSON.
pub(crate) fn parse_json(body: &[u8]) -> Result<&RawValue, ValidationErrors> {
    serde_json::from_slice(body).map_err(|error| {
        ValidationErrors::one(BODY, InvalidValue::Syntax { line: error.line(), column: error.column() })
    })
}

/// The name of the body as a whole in validation errors.
pub(super) const BODY: &str = "body";
