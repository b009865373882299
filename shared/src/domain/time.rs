//! Moments as text: RFC 3339, always in UTC with `Z`.

use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Utc};

use super::InvalidValue;

/// To the second, as contacts show their times.
pub fn to_seconds(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// To the second, and to the millisecond where there is a fraction: what a client may send back to name the moment.
pub fn to_exact(instant: DateTime<Utc>) -> String {
    if instant.timestamp_subsec_millis() == 0 { to_seconds(instant) } else { to_millis(instant) }
}

/// To the millisecond, as times are stored. The text has one width, so that it sorts as the moments do.
pub fn to_millis(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads a moment with its offset (RFC 3339 §5.6).
///
/// # Errors
/// Another format, no offset, or a year that UTC would not write with four digits.
pub fn parse(text: &str) -> Result<DateTime<Utc>, InvalidValue> {
    DateTime::parse_from_rfc3339(text)
        .map(|instant| instant.to_utc())
        .ok()
        // A leap second, which few clients could read back, is the second after it.
        .and_then(|instant| match instant.timestamp_subsec_nanos() {
            0..1_000_000_000 => Some(instant),
            _ => DateTime::from_timestamp(instant.timestamp() + 1, 0),
        })
        .filter(|instant| (1..=9999).contains(&instant.year()))
        .ok_or(InvalidValue::Rule("must be an RFC 3339 time with its offset"))
}

/// Reads a moment as [`parse`] does, and cuts it to the millisecond, as it is stored.
///
/// # Errors
/// As there.
pub fn parse_to_millis(text: &str) -> Result<DateTime<Utc>, InvalidValue> {
    parse(text).map(|instant| instant.trunc_subsecs(3))
}

/// Stores a moment as [`to_millis`] writes it.
pub mod millis {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// See [`super::to_millis`].
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(instant: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_millis(*instant))
    }

    /// See [`super::parse`].
    ///
    /// # Errors
    /// What is no moment.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        super::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Stores a moment that may be missing; where it is, the attribute is left out.
pub mod optional_millis {
    use chrono::{DateTime, Utc};
    use serde::{Deserializer, Serializer};

    /// See [`super::millis`].
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(instant: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
        match instant {
            Some(instant) => super::millis::serialize(instant, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// See [`super::millis`].
    ///
    /// # Errors
    /// What is no moment.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
        super::millis::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_offset_and_writes_utc() {
        let instant = parse("2024-10-06T14:00:00.1239+02:00").unwrap();
        assert_eq!(to_seconds(instant), "2024-10-06T12:00:00Z");
        assert_eq!(to_millis(instant), "2024-10-06T12:00:00.123Z");
        assert_eq!(to_exact(instant), "2024-10-06T12:00:00.123Z");
        assert_eq!(to_exact(parse("2024-10-06T12:00:00.0009Z").unwrap()), "2024-10-06T12:00:00Z");
    }

    #[test]
    fn a_leap_second_is_the_next_second() {
        assert_eq!(parse("2016-12-31T23:59:60.5Z"), parse("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn refuses_what_is_no_moment() {
        for text in [
            "",
            "2024-10-06",
            "2024-10-06T12:00:00",
            "1728216000",
            "2024-13-06T12:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
