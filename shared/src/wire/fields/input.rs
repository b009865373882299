//! The value of a field, as it was sent.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::domain::InvalidValue;
use crate::domain::json::Number;

/// The value of a field, as it was sent.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A JSON value other than `null`.
    Json(&'a RawValue),
    /// A JSON value other than `null` in a row of an upload. A string may hold the JSON of another type, as a cell does: rows
    /// are often converted from a file.
    RowMember(&'a RawValue),
    /// A CSV cell that is not blank. It holds text as it is, and values of all other types as JSON.
    Cell(&'a str),
}

/// A value that is no array and no object.
pub enum Scalar<'a> {
    /// `true` or `false`
    Boolean(bool),
    /// A number.
    Number(Number),
    /// A string, or a cell.
    Text(Cow<'a, str>),
}

/// A text that is borrowed where the JSON holds it without escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Input<'a> {
    /// The value as text.
    ///
    /// # Errors
    /// A JSON value that is not a string.
    pub fn text(self) -> Result<Cow<'a, str>, InvalidValue> {
        match self {
            Self::Json(json) | Self::RowMember(json) => serde_json::from_str(json.get())
                .map(|Text(text)| text)
                .map_err(|_| InvalidValue::WrongType { expected: "a string" }),
            Self::Cell(cell) => Ok(Cow::Borrowed(cell)),
        }
    }

    /// The value as JSON, still to be parsed.
    ///
    /// # Errors
    /// Text that does not hold JSON; the error names the `expected` type.
    pub fn json(self, expected: &'static str) -> Result<Cow<'a, RawValue>, InvalidValue> {
        let json = match self {
            Self::RowMember(json) if json.get().starts_with('"') => {
                serde_json::from_str(json.get()).and_then(RawValue::from_string).map(Cow::Owned)
            }
            Self::Json(json) | Self::RowMember(json) => Ok(Cow::Borrowed(json)),
            Self::Cell(cell) => serde_json::from_str(cell).map(Cow::Borrowed),
        };
        json.map_err(|_| InvalidValue::WrongType { expected })
    }

    /// The value as a type of serde's.
    ///
    /// # Errors
    /// JSON of another type, or text that does not hold JSON; the error names the `expected` type.
    pub fn deserialize<T: DeserializeOwned>(self, expected: &'static str) -> Result<T, InvalidValue> {
        let json = self.json(expected)?;
        serde_json::from_str(json.get()).map_err(|_| InvalidValue::WrongType { expected })
    }

    /// The value as a scalar; `None` for an array, an object or a number that cannot be stored exactly.
    pub fn scalar(self) -> Option<Scalar<'a>> {
        match self {
            Self::Json(json) | Self::RowMember(json) => match json.get() {
                "true" => Some(Scalar::Boolean(true)),
                "false" => Some(Scalar::Boolean(false)),
                text if text.starts_with('"') => self.text().ok().map(Scalar::Text),
                number => Number::parse(number).ok().map(Scalar::Number),
            },
            Self::Cell(cell) => Some(Scalar::Text(Cow::Borrowed(cell))),
        }
    }
}
