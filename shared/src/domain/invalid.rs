//! What is wrong with a value.

use std::fmt;

/// What is wrong with a value, worded so that it follows the field's name: `must be a valid email address`.
///
/// The text never repeats the value: it goes into answers and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidValue(pub &'static str);

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidValue {}
