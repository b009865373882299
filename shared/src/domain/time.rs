//! Timestamps as RFC 3339 text, always written in UTC with `Z`.

use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Utc};

use super::InvalidValue;

/// Formats to the second, as in the JSON of a contact.
pub fn to_seconds(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Formats to the second, or to the millisecond if there is a fraction, so that a client can send the exact timestamp back.
pub fn to_exact(instant: DateTime<Utc>) -> String {
    if instant.timestamp_subsec_millis() == 0 { to_seconds(instant) } else { to_millis(instant) }
}

/// Formats to the millisecond, as timestamps are stored. The text has a fixed width, so that it sorts by time.
pub fn to_millis(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Parses a timestamp with an offset (RFC 3339 §5.6). A leap second, which few clients can parse, becomes the next second.
///
/// # Errors
/// Another format, a missing offset, or a year in UTC outside 1 to 9999.
pub fn parse(text: &str) -> Result<DateTime<Utc>, InvalidValue> {
    const INVALID: InvalidValue = InvalidValue::Rule("must be an RFC 3339 time with its offset");
    let mut instant = DateTime::parse_from_rfc3339(text).map_err(|_| INVALID)?.to_utc();
    let is_leap_second = instant.timestamp_subsec_nanos() >= 1_000_000_000;
    if is_leap_second {
        instant = DateTime::from_timestamp(instant.timestamp() + 1, 0).ok_or(INVALID)?;
    }
    if (1..=9999).contains(&instant.year()) { Ok(instant) } else { Err(INVALID) }
}

/// Parses a timestamp by the rules of [`parse`] and truncates it to the millisecond, as it is stored.
///
/// # Errors
/// The errors of [`parse`].
pub fn parse_to_millis(text: &str) -> Result<DateTime<Utc>, InvalidValue> {
    parse(text).map(|instant| instant.trunc_subsecs(3))
}

/// Serializes a timestamp in the format of [`to_millis`].
pub mod millis {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Serializes in the format of [`super::to_millis`].
    ///
    /// # Errors
    /// The errors of the serializer.
    pub fn serialize<S: Serializer>(instant: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_millis(*instant))
    }

    /// Deserializes a stored timestamp of any year.
    ///
    /// # Errors
    /// Text that is not in the format of RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        let instant = DateTime::parse_from_rfc3339(&String::deserialize(deserializer)?);
        Ok(instant.map_err(D::Error::custom)?.to_utc())
    }
}

/// Serializes an optional timestamp in the format of [`to_millis`]; without one, the attribute is left out.
pub mod optional_millis {
    use chrono::{DateTime, Utc};
    use serde::{Deserializer, Serializer};

    /// Serializes in the format of [`super::to_millis`].
    ///
    /// # Errors
    /// The errors of the serializer.
    pub fn serialize<S: Serializer>(instant: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
        match instant {
            Some(instant) => super::millis::serialize(instant, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Deserializes a stored timestamp of any year.
    ///
    /// # Errors
    /// Text that is not in the format of RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
        super::millis::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_is_converted_to_utc() {
        let instant = parse("2024-10-06T14:00:00.1239+02:00").unwrap();
        assert_eq!(to_seconds(instant), "2024-10-06T12:00:00Z");
        assert_eq!(to_millis(instant), "2024-10-06T12:00:00.123Z");
        assert_eq!(to_exact(instant), "2024-10-06T12:00:00.123Z");
        assert_eq!(to_exact(parse("2024-10-06T12:00:00.0009Z").unwrap()), "2024-10-06T12:00:00Z");
    }

    #[test]
    fn a_leap_second_becomes_the_next_second() {
        assert_eq!(parse("2016-12-31T23:59:60.5Z"), parse("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn other_text_is_refused() {
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
