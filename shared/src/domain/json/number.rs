//! Decimal numbers without rounding.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::domain::InvalidValue;

/// A decimal number in canonical form, within the range that DynamoDB stores exactly: 38 significant digits between 1E-130 and
/// 9.99…E+125 (AWS, "Supported data types and naming rules").
///
/// ```
/// # use shared::domain::json::Number;
/// assert_eq!("1.50E2".parse::<Number>()?.as_str(), "150");
///
/// assert!("1e126".parse::<Number>().is_err());
/// # Ok::<_, shared::domain::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Number(String);

/// The maximum number of significant digits.
const MAX_DIGITS: usize = 38;
/// The type of a number in validation errors, with its range.
pub const DECIMAL: &str = "a number of at most 38 significant digits between 1e-130 and 1e126";
/// The error of a number outside that range, anywhere in a value.
const OUTSIDE_RANGE: InvalidValue =
    InvalidValue::Rule("must not hold numbers of more than 38 significant digits or outside 1e-130 to 1e126");

impl Number {
    /// Parses a number in the notation of JSON or DynamoDB.
    ///
    /// # Errors
    /// Text that is not a number, or a number that DynamoDB cannot store exactly.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        canonical(text).map(Self).ok_or(OUTSIDE_RANGE)
    }

    /// The canonical form, which both JSON and DynamoDB accept.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The upper bound of the stored size, in bytes: one per two digits, one for the exponent and one for the sign.
    pub(super) fn stored_len(&self) -> usize {
        self.0.len() / 2 + 3
    }
}

impl FromStr for Number {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::parse(text)
    }
}

/// Converts a number to its canonical form; `None` if it is invalid or out of range.
fn canonical(text: &str) -> Option<String> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = format!("{whole}{fraction}");
    if all_digits.is_empty() || !all_digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let without_trailing_zeros = all_digits.trim_end_matches('0');
    let digits = without_trailing_zeros.trim_start_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let trailing_zeros = i64::try_from(all_digits.len() - without_trailing_zeros.len()).ok()?;
    let fraction_digits = i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_add(trailing_zeros)?.checked_sub(fraction_digits)?;
    let magnitude = exponent.checked_add(i64::try_from(digits.len()).ok()? - 1)?;
    if digits.len() > MAX_DIGITS || !(-130..=125).contains(&magnitude) {
        return None;
    }
    Some(format!("{sign}{}", spell(digits, exponent, magnitude)?))
}

/// Writes `digits` × 10^`exponent`. `magnitude` is the power of ten of the first digit. Numbers of at most 38 digits before the
/// point and at least 1e-7 have no exponent.
fn spell(digits: &str, exponent: i64, magnitude: i64) -> Option<String> {
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    Some(if exponent >= 0 && magnitude < 38 {
        format!("{digits}{}", zeros(exponent))
    } else if exponent < 0 && magnitude >= 0 {
        let (whole, fraction) = digits.split_at(usize::try_from(magnitude + 1).ok()?);
        format!("{whole}.{fraction}")
    } else if (-7..0).contains(&magnitude) {
        format!("0.{}{digits}", zeros(-magnitude - 1))
    } else {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        format!("{first}{point}{rest}e{magnitude}")
    })
}

/// Reads the JSON text, so that no digit is lost in an `f64`.
impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Box::<RawValue>::deserialize(deserializer)?.get()).map_err(serde::de::Error::custom)
    }
}

/// Writes the canonical form as JSON text.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_numbers_have_the_same_spelling() {
        for (sent, expected) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("0e999999999999999999999999", "0"),
            ("1", "1"),
            ("1.0", "1"),
            ("-12.50", "-12.5"),
            ("1e3", "1000"),
            ("0.1", "0.1"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1.5E-3", "0.0015"),
            ("1e-7", "0.0000001"),
            ("1e-8", "1e-8"),
            ("12e-130", "1.2e-129"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
            ("1e37", "10000000000000000000000000000000000000"),
            ("1e38", "1e38"),
            ("9.9e125", "9.9e125"),
            ("1E+2", "100"),
        ] {
            assert_eq!(Number::parse(sent).map(|number| number.0), Ok(expected.to_owned()), "{sent}");
        }
    }

    #[test]
    fn numbers_that_cannot_be_stored_exactly_are_refused() {
        for sent in [
            "1e126",
            "1e-131",
            "123456789012345678901234567890123456789",
            "1e99999999999999999999",
            "NaN",
            "",
            "-",
            "+1",
        ] {
            assert!(Number::parse(sent).is_err(), "{sent}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent_and_preserves_the_value(text in "-?[0-9]{1,40}(\\.[0-9]{1,10})?([eE][+-]?[0-9]{1,3})?") {
            if let Ok(number) = Number::parse(&text) {
                prop_assert_eq!(Number::parse(number.as_str()), Ok(number.clone()));
                prop_assert!(serde_json::from_str::<&RawValue>(number.as_str()).is_ok());
                if let (Ok(sent), Ok(stored)) = (text.parse::<f64>(), number.as_str().parse::<f64>()) {
                    prop_assert!(sent.to_bits() == stored.to_bits() || sent == 0.0);
                }
            }
        }
    }
}
