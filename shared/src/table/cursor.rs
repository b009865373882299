//! Where a list goes on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::domain::Invalid;

/// The place after a row in a list. Opaque to clients, and worth nothing to them: it is a place in the order of ids, not
/// a key, so that no cursor can reach another organization's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub(super) Uuid);

impl Cursor {
    /// Reads a cursor from a link.
    ///
    /// # Errors
    /// What no list gave out.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        bytes.map(|bytes| Self(Uuid::from_bytes(bytes))).ok_or(Invalid("must be the cursor of a Link header"))
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is_one() {
        let cursor = Cursor(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001));
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
        for text in ["", "x", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAAA", "ORG#1"] {
            assert!(Cursor::parse(text).is_err(), "{text}");
        }
    }
}
