//! Lenient parsing of integers, numbers and booleans, as the platform does it whose clients this API takes over.
//!
//! The platform validates by pydantic in its lax mode (docs.pydantic.dev, "Conversion Table"), so its clients may send `"500"`
//! for 500 and `"true"` for `true`. Underscores in numbers are not accepted.

use super::fields::{Input, Scalar};
use crate::domain::json::Number;

/// Reads an integer of at least 0: a number without a fraction, a boolean, or text with such an integer.
pub(super) fn integer(input: Input<'_>) -> Option<u64> {
    match input.scalar()? {
        Scalar::Boolean(value) => Some(value.into()),
        // Its canonical form has a fraction only if the number has one, and an exponent only from 1e38 on.
        Scalar::Number(number) => number.as_str().parse().ok(),
        Scalar::Text(text) => integer_of_text(text.trim()),
    }
}

/// Digits after an optional sign, and a fraction of zeros.
fn integer_of_text(text: &str) -> Option<u64> {
    let (integer, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.contains(|c| c != '0') {
        return None;
    }
    integer.parse::<i64>().ok()?.try_into().ok()
}

/// Reads a number, or text with a number.
pub(super) fn number(input: Input<'_>) -> Option<Number> {
    match input.scalar()? {
        Scalar::Boolean(_) => None,
        Scalar::Number(number) => Some(number),
        Scalar::Text(text) => Number::parse(text.trim()).ok(),
    }
}

/// Reads a boolean, 0 or 1, or a word in any case.
pub(super) fn boolean(input: Input<'_>) -> Option<bool> {
    let text = match input.scalar()? {
        Scalar::Boolean(value) => return Some(value),
        Scalar::Number(number) => number.as_str().to_owned(),
        Scalar::Text(text) => text.to_ascii_lowercase(),
    };
    match text.as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Some(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn read<T>(read: fn(Input<'_>) -> Option<T>, json: &str) -> Option<T> {
        read(Input::Json(serde_json::from_str::<&RawValue>(json).unwrap()))
    }

    #[test]
    fn integers_are_read_as_by_pydantic() {
        let accepted = [
            ("500", 500),
            ("500.0", 500),
            ("5e2", 500),
            ("-0", 0),
            ("true", 1),
            ("false", 0),
            (r#""500""#, 500),
            (r#"" 500 ""#, 500),
            (r#""\t5\n""#, 5),
            (r#""\u00a05""#, 5),
            (r#""+500""#, 500),
            (r#""-0""#, 0),
            (r#""0500""#, 500),
            (r#""500.0""#, 500),
            (r#""500.00""#, 500),
            ("9007199254740993", 9_007_199_254_740_993),
        ];
        for (json, expected) in accepted {
            assert_eq!(read(integer, json), Some(expected), "{json}");
        }
        for json in [
            "500.5",
            "-1",
            "1e400",
            "1e38",
            "[]",
            "[1]",
            "{}",
            r#""500.5""#,
            r#""""#,
            r#"" ""#,
            r#""-5""#,
            r#""500.""#,
            r#"".0""#,
            r#""5e2""#,
            r#""5.0e1""#,
            r#""500 .0""#,
            r#""+ 5""#,
            r#""--5""#,
            r#""true""#,
            r#""0x10""#,
            r#""١٢""#,
            r#""5 0""#,
            r#""5,0""#,
            r#""\ud800""#,
        ] {
            assert_eq!(read(integer, json), None, "{json}");
        }
    }

    #[test]
    fn booleans_are_read_as_by_pydantic() {
        for (json, expected) in
            [("true", true), ("false", false), ("1", true), ("0", false), ("1.0", true), ("1e0", true), ("-0", false)]
        {
            assert_eq!(read(boolean, json), Some(expected), "{json}");
        }
        for (words, expected) in
            [(["true", "t", "yes", "y", "on", "1"], true), (["false", "f", "no", "n", "off", "0"], false)]
        {
            for word in words {
                for json in [format!(r#""{word}""#), format!(r#""{}""#, word.to_uppercase())] {
                    assert_eq!(read(boolean, &json), Some(expected), "{json}");
                }
            }
        }
        for json in [
            "2",
            "-1",
            "0.5",
            "[]",
            "[true]",
            "{}",
            r#""""#,
            r#"" true ""#,
            r#""2""#,
            r#""1.0""#,
            r#""null""#,
            r#""si""#,
        ] {
            assert_eq!(read(boolean, json), None, "{json}");
        }
    }

    #[test]
    fn numbers_are_read_from_text_too() {
        for (json, expected) in [("87.50", "87.5"), (r#""87.50""#, "87.5"), (r#"" -1e3 ""#, "-1000")] {
            assert_eq!(
                read(number, json).map(|number| number.as_str().to_owned()).as_deref(),
                Some(expected),
                "{json}"
            );
        }
        for json in ["true", "[1]", r#""""#, r#""NaN""#, r#""1,5""#, "1e126"] {
            assert_eq!(read(number, json), None, "{json}");
        }
    }
}
