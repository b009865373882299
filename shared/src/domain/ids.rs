//! Identifiers, and the moment that is in them.

use std::fmt;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

use super::InvalidValue;

/// An identifier of one kind of thing, so that a contact's id cannot be passed where an import's is meant.
pub trait Id: Copy + From<Uuid> + Into<Uuid> + fmt::Display {
    /// The name it has in paths and bodies: `contact_id`.
    const NAME: &'static str;

    /// Reads the hyphenated form of RFC 9562 §4, in either case.
    ///
    /// # Errors
    /// Anything else: the braced, URN and unhyphenated spellings too, since one id has one spelling in a URL.
    fn parse(text: &str) -> Result<Self, InvalidValue> {
        parse_uuid(text).map(Self::from)
    }
}

/// The error of a text that is not a UUID.
pub const INVALID_UUID: InvalidValue = InvalidValue::Rule("must be a valid UUID");

/// Reads a UUID of any kind of thing, as [`Id::parse`] does.
///
/// # Errors
/// As there.
pub fn parse_uuid(text: &str) -> Result<Uuid, InvalidValue> {
    let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
    Uuid::try_parse(text).ok().filter(|_| hyphenated).ok_or(INVALID_UUID)
}

/// Reads UUIDs, each as [`parse_uuid`] does.
///
/// # Errors
/// One that is none.
pub fn parse_uuids(texts: &[String]) -> Result<Vec<Uuid>, InvalidValue> {
    texts
        .iter()
        .map(|text| parse_uuid(text))
        .collect::<Result<_, _>>()
        .map_err(|_| InvalidValue::Rule("must hold valid UUIDs"))
}

macro_rules! ids {
    ($($(#[$meta:meta])* $id:ident = $name:literal;)*) => {$(
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

        $crate::domain::text::text_schema!(@strict $id, |schema| {
            schema.format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Uuid)))
        });

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    )*};
}

ids! {
    /// An organization: the tenant. It comes from a credential, never from a request.
    OrgId = "org_id";
    /// A contact. Version 7, so that the order of ids is the order of creation.
    ContactId = "contact_id";
    /// An import: the cohort that contacts were loaded with. Version 7.
    ImportId = "import_id";
    /// A campaign.
    CampaignId = "campaign_id";
    /// A company that contacts work for. Version 7.
    CompanyId = "company_id";
    /// A lead. Version 5, of its campaign and its contact.
    LeadId = "lead_id";
    /// What a campaign offers its leads.
    LeadMagnetId = "lead_magnet_id";
    /// An API key, as its owner sees and revokes it; not the secret.
    ApiKeyId = "key_id";
}

/// A new version 7 UUID (RFC 9562 §5.7) of this moment, to the millisecond.
pub fn uuid_at(now: DateTime<Utc>) -> Uuid {
    Uuid::new_v7(timestamp(now))
}

/// The smallest version 7 UUID of this millisecond: where a range of creation times begins.
pub fn first_uuid_at(instant: DateTime<Utc>) -> Uuid {
    let mut bytes = [0; 16];
    let millis = u64::try_from(instant.timestamp_millis()).unwrap_or(0);
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    uuid::Builder::from_bytes(bytes)
        .with_version(uuid::Version::SortRand)
        .with_variant(uuid::Variant::RFC4122)
        .into_uuid()
}

/// The moment a version 7 UUID was made, to the millisecond; the epoch for any other UUID.
pub fn moment_of(uuid: Uuid) -> DateTime<Utc> {
    uuid.get_timestamp()
        .and_then(|timestamp| {
            let (seconds, nanos) = timestamp.to_unix();
            DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
        })
        .unwrap_or_default()
        .trunc_subsecs(3)
}

fn timestamp(now: DateTime<Utc>) -> Timestamp {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
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
    fn an_id_tells_its_moment_and_sorts_by_it() {
        let early = DateTime::parse_from_rfc3339("2024-10-06T12:00:00.123Z").unwrap().to_utc();
        let late = early + chrono::TimeDelta::milliseconds(1);
        let id = uuid_at(early);
        assert_eq!(moment_of(id), early);
        assert!(first_uuid_at(early) <= id);
        assert!(id < first_uuid_at(late));
    }
}
