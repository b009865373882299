//! The change of one field by an update.

use serde::ser::{Error, Serialize, Serializer};

/// The change of an optional field by an update.
///
/// Serializes as the new value, or as `null` if the field is cleared. A field that keeps its value has to be skipped
/// (`skip_serializing_if = "Patch::is_keep"`): it would clear the stored value, so it is an error.
///
/// ```
/// # use shared::domain::Patch;
/// assert_eq!(serde_json::to_string(&Patch::Set("es-ES"))?, r#""es-ES""#);
/// assert_eq!(serde_json::to_string(&Patch::<&str>::Clear)?, "null");
/// assert!(serde_json::to_string(&Patch::<&str>::Keep).is_err());
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field was not sent: it keeps its value.
    #[default]
    Keep,
    /// The field is cleared.
    Clear,
    /// The field gets a new value.
    Set(T),
}

impl<T> Patch<T> {
    /// `true` if the field keeps its value.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// The new value.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// The new value, consuming the patch.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// The field after the update.
    ///
    /// ```
    /// # use shared::domain::Patch;
    /// assert_eq!(Patch::Keep.applied_to(&Some(1)), Some(1));
    /// assert_eq!(Patch::Clear.applied_to(&Some(1)), None);
    /// assert_eq!(Patch::Set(2).applied_to(&Some(1)), Some(2));
    /// ```
    #[must_use]
    pub fn applied_to(&self, current: &Option<T>) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Keep => current.clone(),
            Self::Clear => None,
            Self::Set(value) => Some(value.clone()),
        }
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep => Err(S::Error::custom("a field that keeps its value is not a change")),
            Self::Clear => serializer.serialize_none(),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}
