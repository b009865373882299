//! Macros that declare text values, and the text types that several entities share.

use std::str::FromStr;

use super::InvalidValue;
use super::characters::{is_blank, trim};

/// A value that is one string in JSON.
pub trait TextValue: FromStr<Err = InvalidValue> {
    /// The OpenAPI schema.
    #[cfg(feature = "openapi")]
    fn text_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema>;

    /// The component that the schema refers to, if it is a reference.
    #[cfg(feature = "openapi")]
    fn component() -> Option<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)> {
        None
    }
}

/// Declares a newtype over a string that its `parse` has normalized.
///
/// `FromStr` parses what a client sends; `Deserialize` reads stored items only, and trusts them: a rule that was tightened, or
/// a newer table of Unicode, must not make a stored item unreadable.
///
/// The last argument completes the OpenAPI schema of a string. The `Debug` form of a `pii` type omits the text, so that no log
/// line contains personal data by accident.
macro_rules! text_value {
    ($(#[$meta:meta])* $name:ident, pii, $describe:expr) => {
        text_value!(@type $(#[$meta])* $name, $describe);
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
    ($(#[$meta:meta])* $name:ident, public, $describe:expr) => {
        text_value!(@type #[derive(Debug)] $(#[$meta])* $name, $describe);
    };
    (@type $(#[$meta:meta])* $name:ident, $describe:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Stored text. It was parsed when it was written, perhaps by other rules than today's, and is not parsed again.
            pub(crate) fn from_stored(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The normalized text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::InvalidValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        /// Reads stored text. A client's text is parsed (`FromStr`).
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer).map(Self::from_stored)
            }
        }

        $crate::domain::text::text_schema!($name, $describe);
    };
}

pub(crate) use text_value;

/// Describes a type as a string in OpenAPI; the closure completes the schema.
macro_rules! text_schema {
    (@generics [$($generics:tt)*] $name:ty, $describe:expr) => {
        $crate::domain::text::text_schema!(@impl [$($generics)*] $name, $describe);
    };
    ($name:ty, $describe:expr) => {
        $crate::domain::text::text_schema!(@impl [] $name, $describe);
    };
    (@impl [$($generics:tt)*] $name:ty, $describe:expr) => {
        impl<$($generics)*> $crate::domain::text::TextValue for $name {
            #[cfg(feature = "openapi")]
            fn text_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                use utoipa::openapi::{ObjectBuilder, Type};
                let describe: fn(ObjectBuilder) -> ObjectBuilder = $describe;
                describe(ObjectBuilder::new().schema_type(Type::String)).into()
            }
        }

        #[cfg(feature = "openapi")]
        impl<$($generics)*> utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                <Self as $crate::domain::text::TextValue>::text_schema()
            }
        }

        #[cfg(feature = "openapi")]
        impl<$($generics)*> utoipa::ToSchema for $name {}
    };
}

pub(crate) use text_schema;

/// The description of an enumeration: its name and its JSON spellings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The name of the type.
    pub name: &'static str,
    /// The JSON spelling of each value, in the documented order.
    pub values: &'static [&'static str],
}

#[cfg(feature = "openapi")]
impl Choice {
    /// The OpenAPI schema.
    pub fn schema(self) -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ObjectBuilder, Type};
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(self.values.iter().copied())).into()
    }
}

/// Declares an enumeration of text values with the JSON spelling of each.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every value, in the documented order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The description, for query parameters and OpenAPI.
            pub const CHOICE: $crate::domain::text::Choice =
                $crate::domain::text::Choice { name: stringify!($name), values: &[$($text),+] };

            /// The JSON spelling.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        /// Parses the exact JSON spelling.
        impl std::str::FromStr for $name {
            type Err = $crate::domain::InvalidValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                const VALUES: &str = $crate::domain::text::joined!($($text),+);
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::domain::InvalidValue::NotOneOf { values: VALUES }),
                }
            }
        }

        impl $crate::domain::text::TextValue for $name {
            #[cfg(feature = "openapi")]
            fn text_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::Ref::from_schema_name(<Self as utoipa::ToSchema>::name()).into()
            }

            #[cfg(feature = "openapi")]
            fn component() -> Option<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)> {
                Some((<Self as utoipa::ToSchema>::name().into_owned(), <Self as utoipa::PartialSchema>::schema()))
            }
        }

        // Not derived: the derive does not see a `rename` that comes from a macro.
        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                Self::CHOICE.schema()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                Self::CHOICE.name.into()
            }
        }
    };
}

pub(crate) use choice;

/// Joins literals with spaces.
macro_rules! joined {
    ($first:literal $(, $rest:literal)*) => { concat!($first $(, " ", $rest)*) };
}

pub(crate) use joined;

/// One line of text: trimmed, 1 to `MAX` characters, no control characters.
///
/// ```
/// # use shared::domain::{InvalidValue, Line};
/// assert_eq!(" Lead loader ".parse::<Line<100>>()?.as_str(), "Lead loader");
///
/// assert_eq!("Lead loader".parse::<Line<5>>(), Err(InvalidValue::TooLong { max: 5 }));
/// # Ok::<_, shared::domain::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Line<const MAX: usize>(String);

impl<const MAX: usize> Line<MAX> {
    /// The trimmed text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> FromStr for Line<MAX> {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        trimmed(text, MAX, char::is_control).map(Self)
    }
}

text_schema!(@generics [const MAX: usize] Line<MAX>, |schema| schema.min_length(Some(1)).max_length(Some(MAX)));

/// Text of several lines: trimmed, 1 to `MAX` characters, no control characters but line breaks and tabs.
///
/// ```
/// # use shared::domain::{InvalidValue, Paragraphs};
/// assert_eq!("First line\nSecond line\n".parse::<Paragraphs<100>>()?.as_str(), "First line\nSecond line");
///
/// assert_eq!("First\0".parse::<Paragraphs<100>>(), Err(InvalidValue::ControlCharacters));
/// # Ok::<_, shared::domain::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Paragraphs<const MAX: usize>(String);

impl<const MAX: usize> Paragraphs<MAX> {
    /// The trimmed text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> FromStr for Paragraphs<MAX> {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        trimmed(text, MAX, |c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')).map(Self)
    }
}

text_schema!(@generics [const MAX: usize] Paragraphs<MAX>, |schema| schema.max_length(Some(MAX)));

/// Trims a text, also of invisible marks, and checks its length and its characters.
fn trimmed(text: &str, max: usize, is_forbidden: fn(char) -> bool) -> Result<String, InvalidValue> {
    let text = trim(text);
    if is_blank(text) {
        Err(InvalidValue::Blank)
    } else if text.chars().count() > max {
        Err(InvalidValue::TooLong { max })
    } else if text.contains(is_forbidden) {
        Err(InvalidValue::ControlCharacters)
    } else if text.contains(char::REPLACEMENT_CHARACTER) {
        Err(InvalidValue::ReplacementCharacter)
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_visible_characters_is_blank() {
        for blank in ["", " ", "\t\n", "\u{A0}", "\u{200B}", "\u{FEFF} \u{200D}", "\u{202E}\u{202C}", "\u{2060}"] {
            assert_eq!(blank.parse::<Line<9>>(), Err(InvalidValue::Blank), "{blank:?}");
            assert_eq!(blank.parse::<Paragraphs<9>>(), Err(InvalidValue::Blank), "{blank:?}");
        }
    }

    #[test]
    fn invisible_marks_around_a_text_are_trimmed_and_joiners_inside_it_stay() {
        for (given, expected) in
            [("\u{FEFF}Lead loader\u{200B}", "Lead loader"), (" نامه\u{200C}ای ", "نامه\u{200C}ای")]
        {
            assert_eq!(given.parse::<Line<20>>().unwrap().as_str(), expected, "{given:?}");
            assert_eq!(given.parse::<Paragraphs<20>>().unwrap().as_str(), expected, "{given:?}");
        }
    }

    #[test]
    fn a_replacement_character_is_refused() {
        assert_eq!("Jos\u{FFFD}".parse::<Line<9>>(), Err(InvalidValue::ReplacementCharacter));
        assert_eq!("Jos\u{FFFD}\n".parse::<Paragraphs<9>>(), Err(InvalidValue::ReplacementCharacter));
    }
}
