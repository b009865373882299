//! The space of a response, and the only place that measures what takes it.
//!
//! The function returns its response to Lambda as one JSON object of limited length, and the body is a string in it: JSON
//! inside JSON, in which every quotation mark and every backslash of the body takes two bytes. A response that is longer is
//! lost, and the client gets a 5xx. So whatever has no other bound ends before: pages of lists, timelines, and the invalid rows
//! of a bulk report.

use std::io;

use serde::Serialize;

/// The most bytes of a response (AWS, "Lambda quotas", synchronous invocations).
pub const MAX_RESPONSE_BYTES: usize = 6_291_556;

/// The part of a response that is reserved for its status and headers, and for what is around the rows in its body. The longest
/// header links to the next page: it repeats the query, of which a gateway takes 10 KB, with three bytes for each.
const RESERVED: usize = 64 * 1024;

/// The space that a response's body has left.
#[derive(Debug)]
pub struct ResponseSpace {
    left: usize,
}

impl ResponseSpace {
    /// The space of a whole body.
    pub fn of_body() -> Self {
        Self { left: MAX_RESPONSE_BYTES - RESERVED }
    }

    /// The space without these bytes.
    #[must_use]
    pub fn less(self, bytes: usize) -> Self {
        Self { left: self.left.saturating_sub(bytes) }
    }

    /// The bytes that are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Takes the space of a value of this length and of a comma. `false`, and nothing is taken, if that is not left.
    pub fn take(&mut self, escaped_len: usize) -> bool {
        match self.left.checked_sub(escaped_len.saturating_add(1)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// The bytes that the JSON of a value takes in a response.
pub fn escaped_len(value: &impl Serialize) -> usize {
    let mut len = EscapedLen(0);
    // Counting does not fail. A value that cannot be serialized, which no view is, counts as too long.
    match serde_json::to_writer(&mut len, value) {
        Ok(()) => len.0,
        Err(_) => usize::MAX,
    }
}

/// Counts the bytes of JSON that is written to it, as they are inside a JSON string.
struct EscapedLen(usize);

impl io::Write for EscapedLen {
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        // JSON has no control characters outside of escapes.
        let escaped = json.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        self.0 += json.len() + escaped;
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_escaped_length_is_that_of_json_inside_a_json_string(text in any::<String>(), number in any::<i64>()) {
            let value = serde_json::json!({"text": text, "nested": [{text.as_str(): number}, "\"\\\n\u{1}é"]});
            let body = value.to_string();
            let in_response = serde_json::to_string(&body).unwrap();
            prop_assert_eq!(escaped_len(&value), in_response.len() - "\"\"".len());
        }
    }

    #[test]
    fn what_does_not_fit_takes_no_space() {
        let mut space = ResponseSpace { left: 10 };
        assert!(space.take(8));
        assert!(!space.take(1));
        assert!(space.take(0));
        assert_eq!(space.left(), 0);
    }
}
