//! The value of a field, as it was sent.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::InvalidValue;

/// The value of a field, as it was sent.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A JSON value other than `null`.
    Json(&'a RawValue),
    /// A CSV cell that is not blank. It holds text as it is, and values of all other types as JSON.
    Cell(&'a str),
}

impl<'a> Input<'a> {
    /// The value as text.
    ///
    /// # Errors
    /// A JSON value that is not a string.
    pub fn text(self) -> Result<Cow<'a, str>, InvalidValue> {
        match self {
            Self::Json(_) => Ok(Cow::Owned(self.deserialize("a string")?)),
            Self::Cell(cell) => Ok(Cow::Borrowed(cell)),
        }
    }

    /// The value as JSON, still to be parsed.
    ///
    /// # Errors
    /// A cell that does not hold JSON; the error names the `expected` type.
    pub fn json(self, expected: &'static str) -> Result<&'a RawValue, InvalidValue> {
        match self {
            Self::Json(json) => Ok(json),
            Self::Cell(cell) => serde_json::from_str(cell).map_err(|_| InvalidValue::WrongType { expected }),
        }
    }

    /// The value as a type of serde's.
    ///
    /// # Errors
    /// JSON of another type, or a cell that does not hold JSON; the error names the `expected` type.
    pub fn deserialize<T: Deserialize<'a>>(self, expected: &'static str) -> Result<T, InvalidValue> {
        let json = self.json(expected)?;
        serde_json::from_str(json.get()).map_err(|_| InvalidValue::WrongType { expected })
    }
}
