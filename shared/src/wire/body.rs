//! Request bodies as JSON values.

use serde_json::value::RawValue;

use super::fields::{FromFields, Purpose, read_object};
use crate::domain::{InvalidValue, ValidationErrors};

/// The name of the body as a whole in validation errors.
pub(crate) const BODY: &str = "body";

/// A value that is read from a request body.
pub trait FromBody: Sized {
    /// Reads the value from well-formed JSON.
    ///
    /// # Errors
    /// All validation errors of the body.
    fn from_body(body: &RawValue) -> Result<Self, ValidationErrors>;
}

/// A JSON object with a schema of its own: a request body, or an object inside one.
pub trait ObjectBody: FromFields {
    /// The name of its schema in the OpenAPI document.
    const SCHEMA: &'static str;
    /// The operation that the object is read for.
    const PURPOSE: Purpose;
}

impl<T: ObjectBody> FromBody for T {
    fn from_body(body: &RawValue) -> Result<Self, ValidationErrors> {
        body_object(body, T::PURPOSE)
    }
}

/// Reads a body, or an element of a body, that is one object.
///
/// # Errors
/// All validation errors of the object.
pub(super) fn body_object<T: FromFields>(body: &RawValue, purpose: Purpose) -> Result<T, ValidationErrors> {
    read_object(body, purpose).map_err(|errors| errors.name_whole(BODY))
}

/// Splits a body that is an array into its elements, which are still to be read.
///
/// # Errors
/// The body is not an array.
pub(super) fn body_elements(body: &RawValue) -> Result<Vec<&RawValue>, ValidationErrors> {
    serde_json::from_str(body.get())
        .map_err(|_| ValidationErrors::one(BODY, InvalidValue::WrongType { expected: "a JSON array" }))
}

/// Parses the bytes of a body as JSON, whose fields are still to be read.
///
/// # Errors
/// The body is not well-formed JSON.
pub(crate) fn parse_json(body: &[u8]) -> Result<&RawValue, ValidationErrors> {
    serde_json::from_slice(body).map_err(|error| {
        ValidationErrors::one(BODY, InvalidValue::Syntax { line: error.line(), column: error.column() })
    })
}
