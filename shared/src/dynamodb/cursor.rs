//! Cursors: where the next page of a list begins.
//!
//! **Problem.** A client reads a list page by page while others create and delete rows. The link to the next page must
//! neither repeat nor skip a row, must not reach another organization, and must stay valid for days.
//!
//! **Approach.** A cursor is the position of the last row of a page in the list's own order: an id, the creation time and
//! the id of a migrated item, a company's folded name, or a lead's two ids, in URL-safe base64 without padding. The next
//! page begins after that position, whether its row still exists or not. The partition is not in the cursor; it is derived
//! from the caller's organization in every request. A cursor is opaque to clients but neither secret nor signed: an invented
//! one is a position like any other in the caller's own list. `repositories::listing` reads the pages.
//!
//! **Rejected.**
//! - Page numbers and offsets: a row that is deleted meanwhile makes the next page skip one, and DynamoDB would read and
//!   charge everything before the page.
//! - DynamoDB's `LastEvaluatedKey`, encrypted: it holds partition keys, so it must be protected; the protection needs a key
//!   that is stored, rotated and shared by all functions; and it ties every client's link to the table's layout.
//! - A snapshot of the list on the server: state per client, for lists that hardly any client reads twice.
//!
//! **If this is changed.** Clients hold cursors, so every form that was ever handed out has to be read. A position has to
//! determine the order completely, or rows that share one are skipped. A position that a write can change (a timestamp of
//! the last update, say) lets a row move behind a client that has already passed, or in front of it once more.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike, Utc};
use uuid::Uuid;

use crate::domain::{CompanyKey, InvalidValue, LeadKey};

/// The position in a list after which the next page begins. Its text is URL-safe base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<P = Uuid>(pub(crate) P);

/// The position of a row in the order of its list.
pub trait SortPosition: Clone {
    /// The position as bytes.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads a position; `None` for bytes that [`SortPosition::to_bytes`] cannot have produced.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// The position in a list that is ordered by id.
impl SortPosition for Uuid {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

/// A position in a list by creation, newest first: contacts, imports, campaigns. Migrated items come after the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreationPosition {
    /// After the item with this id, in a range that is ordered by id.
    Id(Uuid),
    /// Before the first migrated item.
    Migrated,
    /// After a migrated item.
    AfterMigrated {
        /// Its time of creation, to the millisecond.
        created_at: DateTime<Utc>,
        /// Its id.
        id: Uuid,
    },
}

impl CreationPosition {
    /// The id of the item at the position; nil before the first migrated one.
    pub(crate) fn id(self) -> Uuid {
        match self {
            Self::Id(id) | Self::AfterMigrated { id, .. } => id,
            Self::Migrated => Uuid::nil(),
        }
    }
}

/// The bytes of [`CreationPosition::Migrated`], shorter than any other position.
const MIGRATED: [u8; 1] = [0];

impl SortPosition for CreationPosition {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Id(id) => id.to_bytes(),
            Self::Migrated => MIGRATED.to_vec(),
            Self::AfterMigrated { created_at, id } => {
                [created_at.timestamp_millis().to_be_bytes().as_slice(), id.as_bytes()].concat()
            }
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes == MIGRATED {
            return Some(Self::Migrated);
        }
        if let Some(id) = <Uuid as SortPosition>::from_bytes(bytes) {
            return Some(Self::Id(id));
        }
        let (millis, id) = bytes.split_first_chunk()?;
        let created_at = DateTime::from_timestamp_millis(i64::from_be_bytes(*millis))?;
        // The text of a time has a fixed width within these years only.
        let is_stored = (1..=9999).contains(&created_at.year());
        if is_stored { Some(Self::AfterMigrated { created_at, id: Uuid::from_slice(id).ok()? }) } else { None }
    }
}

/// The position in the list of companies.
impl SortPosition for CompanyKey {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        // As stored: the key of a company that was folded by an older table of Unicode is a position too.
        let text = std::str::from_utf8(bytes).ok()?;
        let is_key = (1..=Self::MAX_BYTES).contains(&text.len());
        if is_key { Some(Self::from_stored(text)) } else { None }
    }
}

/// The position in a list of leads.
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

/// Reads a cursor from the query of a link. Only a list of the same kind accepts it.
impl<P: SortPosition> FromStr for Cursor<P> {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let position = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| P::from_bytes(&bytes));
        position.map(Self).ok_or(InvalidValue::Rule("must be the cursor of a Link header"))
    }
}

impl<P: SortPosition> fmt::Display for Cursor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_by_id_is_read_back_and_other_texts_are_refused() {
        let cursor = Cursor(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "x", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAAA", "ORG#1"] {
            assert!(text.parse::<Cursor<Uuid>>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_by_creation_is_an_id_or_a_migrated_item() {
        let id = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);
        let created_at = crate::domain::time::parse("2021-03-04T05:06:07.089Z").unwrap();
        let migrated = CreationPosition::AfterMigrated { created_at, id: Uuid::new_v4() };
        for position in [CreationPosition::Id(id), CreationPosition::Migrated, migrated] {
            assert_eq!(Cursor(position).to_string().parse(), Ok(Cursor(position)));
        }
        // Clients hold cursors of before.
        assert_eq!(Cursor(id).to_string().parse(), Ok(Cursor(CreationPosition::Id(id))));
        for bytes in [vec![], vec![1], vec![0x7f; 24], vec![0; 17], vec![0; 25]] {
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            assert!(text.parse::<Cursor<CreationPosition>>().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_cursor_of_leads_is_two_ids() {
        let position = LeadKey { campaign_id: Uuid::from_u128(1).into(), contact_id: Uuid::from_u128(2 << 64).into() };
        assert_eq!(Cursor(position).to_string().parse(), Ok(Cursor(position)));
        for length in [0, 15, 16, 17, 31, 33] {
            let text = URL_SAFE_NO_PAD.encode(vec![0; length]);
            assert!(text.parse::<Cursor<LeadKey>>().is_err(), "{length}");
        }
    }

    #[test]
    fn a_cursor_of_companies_is_a_folded_name() {
        let cursor = Cursor(CompanyKey::parse("Société Générale").unwrap());
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bytes in [vec![], vec![0xff], vec![b'A'; 1001]] {
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            assert!(text.parse::<Cursor<CompanyKey>>().is_err(), "{bytes:?}");
        }
    }
}
