//! Stores a sequence of strings as a set: `#[serde(with = "string_set")]`. DynamoDB refuses an empty set, so such a field is
//! left out (`skip_serializing_if`). In records only: `serde_dynamo`, which encodes patches, would make a list of it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of the type as which a set is serialized.
pub(super) const NAME: &str = "StringSet";

/// Serializes a sequence of strings as a set.
pub(crate) fn serialize<T: Serialize, S: Serializer>(strings: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(NAME, strings)
}

/// Deserializes a set, which is read as a sequence.
pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(deserializer)
}
