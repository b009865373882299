//! The one way a text value of the domain is declared.

/// Declares a newtype over a text that `parse` has normalized.
///
/// `pii` types show nothing of themselves in `Debug`, so that no log line can carry a person's data by accident.
macro_rules! text_value {
    ($(#[$meta:meta])* $name:ident, pii) => {
        text_value!(@type $(#[$meta])* $name);
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
    ($(#[$meta:meta])* $name:ident, public) => {
        text_value!(@type #[derive(Debug)] $(#[$meta])* $name);
    };
    (@type $(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The normalized text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        /// A stored value passes the same gate as a sent one.
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use text_value;

/// Declares an enumeration of texts: what a field may hold and how each value is written.
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

            /// How it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            /// Reads it as it is written, to the letter.
            ///
            /// # Errors
            /// Any other text.
            pub fn parse(text: &str) -> Result<Self, $crate::domain::InvalidValue> {
                const FAULT: &str = concat!("must be one of", $(" ", $text),+);
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::domain::InvalidValue(FAULT)),
                }
            }
        }

        // Not derived: the derive does not see a `rename` that comes out of a macro.
        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let schema = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String);
                schema.enum_values(Some([$($text),+])).into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}

pub(crate) use choice;

/// Reads a text of which a blank one is none.
///
/// # Errors
/// Those of `parse`.
pub(crate) fn non_blank(
    text: &str,
    parse: impl FnOnce(&str) -> Result<String, super::InvalidValue>,
) -> Result<Option<String>, super::InvalidValue> {
    if text.trim().is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// Reads a line of free text: outer white space trimmed, 1 to `max` characters.
///
/// # Errors
/// Blank, too long, or with a control character, which no name or title has.
pub(crate) fn line(text: &str, max: usize, too_long: &'static str) -> Result<String, super::InvalidValue> {
    let text = text.trim();
    if text.is_empty() {
        Err(super::InvalidValue("must not be blank"))
    } else if text.chars().count() > max {
        Err(super::InvalidValue(too_long))
    } else if text.contains(char::is_control) {
        Err(super::InvalidValue("must not contain control characters"))
    } else {
        Ok(text.to_owned())
    }
}
