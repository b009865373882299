//! Request bodies as JSON values.

use serde_json::value::RawValue;

use super::fields::{FromFields, Purpose, read_object};
use crate::domain::json::has_more_values_than;
use crate::domain::{InvalidValue, ValidationErrors};

/// The name of the body as a whole in validation errors.
pub(crate) const BODY: &str = "body";

/// The most JSON values of a body: more than 64 KiB of metadata can hold.
pub(crate) const MAX_VALUES: usize = 100_000;

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

/// Parses the bytes of a body as JSON, whose fields are still to be read. A byte order mark before it is skipped (RFC 8259 §8.1).
///
/// The number of values is checked before any of them is built, so that it bounds the memory of a request.
///
/// # Errors
/// The body is not well-formed JSON, or has more values than `max_values`.
pub(crate) fn parse_json(body: &[u8], max_values: usize) -> Result<&RawValue, ValidationErrors> {
    let body = body.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(body);
    let json: &RawValue = serde_json::from_slice(body).map_err(|error| {
        ValidationErrors::one(BODY, InvalidValue::Syntax { line: error.line(), column: error.column() })
    })?;
    if has_more_values_than(max_values, json.get()) {
        return Err(ValidationErrors::one(BODY, InvalidValue::TooMany { max: max_values, elements: "JSON values" }));
    }
    Ok(json)
}
