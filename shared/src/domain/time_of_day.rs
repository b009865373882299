//! A time of day.

use chrono::NaiveTime;

use super::InvalidValue;
use super::text::text_value;

text_value! {
    /// A time of day as `HH:MM`. The text has a fixed width, so that it sorts by time.
    ///
    /// ```
    /// # use shared::domain::TimeOfDay;
    /// assert!("09:30".parse::<TimeOfDay>()? < "17:00".parse::<TimeOfDay>()?);
    ///
    /// assert!("24:00".parse::<TimeOfDay>().is_err());
    /// # Ok::<_, shared::domain::InvalidValue>(())
    /// ```
    TimeOfDay, public, |schema| {
        schema.pattern(Some("^([01][0-9]|2[0-3]):[0-5][0-9]$")).examples(["09:00", "18:00"])
    }
}

impl TimeOfDay {
    /// Parses a time of day from `00:00` to `23:59`.
    ///
    /// # Errors
    /// Any other text, including a time with fewer or more digits.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        // `NaiveTime` alone would accept a space or a sign in place of a digit.
        let has_form = matches!(text.as_bytes(), [b'0'..=b'9', b'0'..=b'9', b':', b'0'..=b'9', b'0'..=b'9']);
        if has_form && NaiveTime::parse_from_str(text, "%H:%M").is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidValue::Rule("must be a time as HH:MM"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_two_digits_for_the_hour_and_two_for_the_minute() {
        assert!(TimeOfDay::parse("09:30").unwrap() < TimeOfDay::parse("10:00").unwrap());
        for text in [
            "",
            "9:30",
            "24:00",
            "09:60",
            "09:30:00",
            "09-30",
            "+9:30",
            "0é:0",
            " 9:30",
            "\t9:30",
            "09: 0",
            "09:+5",
            "٠٩:٣٠",
        ] {
            assert!(TimeOfDay::parse(text).is_err(), "{text}");
        }
    }
}
