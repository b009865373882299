//! A field of a request body: whether it was sent, and what it should become.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::InvalidValue;
use super::json::Number;

/// A field as it arrived. Reading one never fails, so that one wrong field does not hide another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Not in the body.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// A value of the right JSON type.
    Sent(T),
    /// A value of another JSON type; holds what was expected.
    Mistyped(InvalidValue),
}

impl<T> Field<T> {
    /// The field, `null` being as good as nothing: where there is a default, that is what a client means.
    #[must_use]
    pub fn or_absent(self) -> Self {
        if matches!(self, Self::Null) { Self::Absent } else { self }
    }
}

/// A JSON type a field can have on the wire.
pub trait Wire: DeserializeOwned {
    /// What to say of a value that is not of it.
    const EXPECTED: InvalidValue;
}

impl Wire for String {
    const EXPECTED: InvalidValue = InvalidValue("must be a string");
}

impl Wire for u64 {
    const EXPECTED: InvalidValue = InvalidValue("must be an integer of at least 0");
}

impl Wire for bool {
    const EXPECTED: InvalidValue = InvalidValue("must be true or false");
}

impl Wire for Number {
    const EXPECTED: InvalidValue =
        InvalidValue("must be a number of at most 38 significant digits between 1e-130 and 1e126");
}

impl Wire for Vec<String> {
    const EXPECTED: InvalidValue = InvalidValue("must be an array of strings");
}

impl Wire for Box<RawValue> {
    const EXPECTED: InvalidValue = InvalidValue("must be a JSON value");
}

impl<'de, T: Wire> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match raw.get() {
            "null" => Self::Null,
            text => serde_json::from_str(text).map_or(Self::Mistyped(T::EXPECTED), Self::Sent),
        })
    }
}

/// What a partial update does to one field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field was not sent: it stays.
    #[default]
    Keep,
    /// `null` was sent.
    Clear,
    /// A new value was sent.
    Set(T),
}

impl<T> Patch<T> {
    /// The new value, if there is one.
    pub fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// The new value itself, if there is one.
    pub fn into_set(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// Applies the change to an optional field.
    pub fn apply(&self, field: &mut Option<T>)
    where
        T: Clone,
    {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value.clone()),
        }
    }
}
