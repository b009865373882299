//! Identifiers. Those of version 7, and those of contacts that name a partition, sort by creation time.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::InvalidValue;

/// An identifier of one kind of entity. The types are distinct, so that a contact's id is never mistaken for an import's.
///
/// ```
/// # use shared::domain::ContactId;
/// let id: ContactId = "550E8400-E29B-41D4-A716-446655440000".parse()?;
/// assert_eq!(id.to_string(), "550e8400-e29b-41d4-a716-446655440000");
///
/// assert!("550e8400e29b41d4a716446655440000".parse::<ContactId>().is_err());
/// # Ok::<_, shared::domain::InvalidValue>(())
/// ```
pub trait Id: Copy + From<Uuid> + Into<Uuid> + fmt::Display {
    /// The name of the id in paths and bodies: `contact_id`.
    const NAME: &'static str;

    /// Parses the hyphenated form of RFC 9562 §4, in either case.
    ///
    /// # Errors
    /// Any other text. The braced, URN and unhyphenated forms are refused too: an id has one spelling in a URL.
    fn parse(text: &str) -> Result<Self, InvalidValue> {
        parse_uuid(text).map(Self::from)
    }
}

/// The error for text that is not a hyphenated UUID.
pub const INVALID_UUID: InvalidValue = InvalidValue::Rule("must be a valid UUID");

/// Parses a UUID by the rules of [`Id::parse`].
///
/// # Errors
/// Text that is not a hyphenated UUID.
pub fn parse_uuid(text: &str) -> Result<Uuid, InvalidValue> {
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return Err(INVALID_UUID);
    }
    Uuid::try_parse(text).map_err(|_| INVALID_UUID)
}

/// Parses UUIDs by the rules of [`Id::parse`].
///
/// # Errors
/// At least one text is not a hyphenated UUID.
pub fn parse_uuids(texts: &[String]) -> Result<Vec<Uuid>, InvalidValue> {
    let uuids: Result<_, _> = texts.iter().map(|text| parse_uuid(text)).collect();
    uuids.map_err(|_| InvalidValue::Rule("must hold valid UUIDs"))
}

/// Declares id types, each with its name and, if it has one, the example in OpenAPI.
macro_rules! ids {
    ($($(#[$meta:meta])* $id:ident = $name:literal $(, $example:literal)?;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $id(Uuid);

        impl Id for $id {
            const NAME: &'static str = $name;
        }

        impl From<Uuid> for $id {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$id> for Uuid {
            fn from(id: $id) -> Self {
                id.0
            }
        }

        impl std::str::FromStr for $id {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                Self::parse(text)
            }
        }

        $crate::domain::text::text_schema!($id, |schema| {
            let schema =
                schema.format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Uuid)));
            schema$(.examples([$example]))?
        });

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    )*};
}

ids! {
    /// An organization, which is the tenant. It comes from the credential, never from a parameter or a body.
    OrgId = "org_id", "123e4567-e89b-12d3-a456-426614174000";
    /// A contact. Version 7, or version 8 if it names a partition, so that ids sort by creation time.
    ContactId = "contact_id", "550e8400-e29b-41d4-a716-446655440000";
    /// An import of contacts. Version 7.
    ImportId = "import_id", "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    /// A campaign.
    CampaignId = "campaign_id";
    /// A company that contacts work for. Version 7.
    CompanyId = "company_id";
    /// A lead. Version 5, derived from its campaign and its contact.
    LeadId = "lead_id";
    /// A lead magnet of a campaign.
    LeadMagnetId = "lead_magnet_id";
    /// An API key, by which its owner revokes it. Not the secret.
    ApiKeyId = "key_id";
    /// An entry of the audit log. Version 7.
    AuditEntryId = "audit_entry_id";
}

/// `true` for an id of version 7, which sorts by creation time.
pub fn is_version_7(id: Uuid) -> bool {
    id.get_version_num() == uuid::Version::SortRand as usize
}

/// The time in an id that begins with it, to the millisecond.
pub fn timestamp(id: Uuid) -> DateTime<Utc> {
    let millis = i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The smallest version 7 UUID of this millisecond, which is the start of a range of creation times.
pub fn first_uuid_at(instant: DateTime<Utc>) -> Uuid {
    let mut bytes = [0; 16];
    let millis = u64::try_from(instant.timestamp_millis()).unwrap_or(0);
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    uuid::Builder::from_bytes(bytes)
        .with_version(uuid::Version::SortRand)
        .with_variant(uuid::Variant::RFC4122)
        .into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_accepted() {
        let id = ContactId::parse("550E8400-e29b-41d4-a716-446655440000").unwrap();
        assert_eq!(id.to_string(), "550e8400-e29b-41d4-a716-446655440000");
        for text in [
            "",
            "550e8400e29b41d4a716446655440000",
            "{550e8400-e29b-41d4-a716-446655440000}",
            "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
            "550e8400-e29b-41d4-a716-44665544000g",
            "550e8400-e29b-41d4-a716-44665544000\u{e9}",
            " 550e8400-e29b-41d4-a716-446655440000",
        ] {
            assert_eq!(ContactId::parse(text), Err(InvalidValue::Rule("must be a valid UUID")), "{text}");
        }
    }

    #[test]
    fn the_first_id_of_a_millisecond_is_after_those_of_the_millisecond_before() {
        let early = DateTime::parse_from_rfc3339("2024-10-06T12:00:00.123Z").unwrap().to_utc();
        let late = early + chrono::TimeDelta::milliseconds(1);
        let id = uuid::Builder::from_unix_timestamp_millis(1_728_216_000_123, &[0xff; 10]).into_uuid();
        assert!(first_uuid_at(early) <= id);
        assert!(id < first_uuid_at(late));
    }
}
