//! Where a list goes on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::domain::{CompanyKey, InvalidValue, LeadKey};

/// The place after a row in a list. Opaque to clients, and worth nothing to them: it is a place in the list's order, not
/// a key, so that no cursor can reach another organization's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<P = Uuid>(pub(crate) P);

/// A place in the order of a list.
pub trait SortPosition: Clone {
    /// The place as bytes.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads a place back; `None` for bytes that are none.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// In lists by id.
impl SortPosition for Uuid {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

/// In the list of companies.
impl SortPosition for CompanyKey {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        Self::parse(text).ok().filter(|key| key.as_str() == text)
    }
}

/// In the list of leads.
impl SortPosition for LeadKey {
    fn to_bytes(&self) -> Vec<u8> {
        [Uuid::from(self.campaign_id), Uuid::from(self.contact_id)].map(Uuid::into_bytes).concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (campaign, contact) = bytes.split_at_checked(size_of::<Uuid>())?;
        Some(Self {
            campaign_id: Uuid::from_slice(campaign).ok()?.into(),
            contact_id: Uuid::from_slice(contact).ok()?.into(),
        })
    }
}

impl<P: SortPosition> Cursor<P> {
    /// Reads a cursor from a link.
    ///
    /// # Errors
    /// What no list of this kind gave out.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        bytes
            .and_then(|bytes| P::from_bytes(&bytes))
            .map(Self)
            .ok_or(InvalidValue::Rule("must be the cursor of a Link header"))
    }
}

impl<P: SortPosition> std::fmt::Display for Cursor<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.to_bytes()))
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
            assert!(Cursor::<Uuid>::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_among_leads_is_two_ids() {
        let place = LeadKey { campaign_id: Uuid::from_u128(1).into(), contact_id: Uuid::from_u128(2 << 64).into() };
        assert_eq!(Cursor::parse(&Cursor(place).to_string()), Ok(Cursor(place)));
        for length in [0, 15, 16, 17, 31, 33] {
            let text = URL_SAFE_NO_PAD.encode(vec![0; length]);
            assert!(Cursor::<LeadKey>::parse(&text).is_err(), "{length}");
        }
    }

    #[test]
    fn a_place_among_companies_is_a_key_and_no_name() {
        let cursor = Cursor(CompanyKey::parse("Société Générale").unwrap());
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
        for bytes in [&b""[..], b"acme", b"AC ME", b"\xff"] {
            let text = URL_SAFE_NO_PAD.encode(bytes);
            assert!(Cursor::<CompanyKey>::parse(&text).is_err(), "{bytes:?}");
        }
    }
}
