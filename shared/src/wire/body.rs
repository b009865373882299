//! Reading JSON bodies.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::query::Query;
use crate::domain::ValidationErrors;

/// A value that comes out of a request's body.
pub trait FromBody: Sized {
    /// The body's fields.
    type Wire: DeserializeOwned;

    /// Reads the value out of the body's fields.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    fn from_wire(wire: Self::Wire) -> Result<Self, ValidationErrors>;

    /// Reads the value out of well-formed JSON: one object with the fields, unless a body has another form.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn from_body(body: &RawValue) -> Result<Self, ValidationErrors> {
        Self::from_wire(wire(body)?)
    }
}

/// The fields of a JSON object. A field takes any value, so nothing is wrong yet but the object itself.
///
/// # Errors
/// No object, which serde would not see (it reads an array into a struct's fields), or a field that stands there twice.
pub(crate) fn wire<T: DeserializeOwned>(body: &RawValue) -> Result<T, ValidationErrors> {
    if !body.get().starts_with('{') {
        return Err(ValidationErrors::one("body", "must be a JSON object"));
    }
    // All that is left to fail is a field that stands there twice, or a name that is no Unicode text, which the syntax
    // allows.
    serde_json::from_str(body.get()).map_err(|error| {
        let twice = error.is_data();
        ValidationErrors::one(
            "body",
            if twice { "must not have a field twice" } else { "must hold only valid Unicode text" },
        )
    })
}

/// Reads the elements of a body that is an array, each by itself.
///
/// # Errors
/// No array.
pub(crate) fn elements(body: &RawValue) -> Result<Vec<&RawValue>, ValidationErrors> {
    serde_json::from_str(body.get()).map_err(|_| ValidationErrors::one("body", "must be a JSON array"))
}

pub(crate) fn malformed(error: &serde_json::Error) -> ValidationErrors {
    ValidationErrors::one("body", format_args!("is not valid JSON (line {}, column {})", error.line(), error.column()))
}

/// A value that comes out of a request's query.
pub trait FromQuery: Sized {
    /// Reads the value, noting every fault. What it returns beside a fault is not used.
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self;
}
