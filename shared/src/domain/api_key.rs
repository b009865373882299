//! API keys: what a client holds, and what the platform keeps of it.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::text::choice;
use super::{ApiKeyId, OrgId};

choice! {
    /// What a credential allows.
    Scope {
        /// To see.
        Read = "read",
        /// To create, change and delete.
        Write = "write",
        /// To do everything, and to manage keys.
        Admin = "admin",
    }
}

/// The scopes of a credential. `admin` includes the others; `read` and `write` do not include each other, so that a
/// script that only loads leads need not be able to read them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Whether they allow what `needed` names.
    pub fn allow(&self, needed: Scope) -> bool {
        self.0.contains(&needed) || self.0.contains(&Scope::Admin)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// An API key in clear. It exists twice: in the answer that made it, and at its owner's.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeySecret(String);

/// The SHA-256 of an API key in clear, in lower-case hexadecimal: what the table knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ApiKeyHash(String);

impl ApiKeySecret {
    const LIVE: &str = "sk_live_";
    const TEST: &str = "sk_test_";
    const RANDOM_BYTES: usize = 24;
    const CHECKSUM_CHARS: usize = 8;
    const LENGTH: usize = Self::LIVE.len() + 2 * Self::RANDOM_BYTES + Self::CHECKSUM_CHARS;

    /// A key of 192 random bits with a checksum behind them.
    pub fn new(live: bool, random: [u8; Self::RANDOM_BYTES]) -> Self {
        let prefix = if live { Self::LIVE } else { Self::TEST };
        let body = format!("{prefix}{}", hex::encode(random));
        let checksum = Self::checksum(&body);
        Self(body + &checksum)
    }

    /// A sent key, unless it cannot be one: another prefix, or a typing error in a key of our own length. Keys of
    /// another length came from elsewhere by their hash and carry no checksum of ours.
    pub fn parse(text: &str) -> Option<Self> {
        const MAX_LENGTH: usize = 256;
        let known = text.starts_with(Self::LIVE) || text.starts_with(Self::TEST);
        let sane = text.len() <= MAX_LENGTH && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !known || !sane {
            return None;
        }
        let (body, checksum) = text.split_at(text.len() - Self::CHECKSUM_CHARS.min(text.len()));
        (text.len() != Self::LENGTH || checksum == Self::checksum(body)).then(|| Self(text.to_owned()))
    }

    /// The key itself: for the answer that makes it, and nothing else.
    pub fn in_clear(&self) -> &str {
        &self.0
    }

    /// What is stored and looked up.
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash(hex::encode(Sha256::digest(&self.0)))
    }

    /// The first characters, by which people tell their keys apart.
    pub fn display_prefix(&self) -> &str {
        let end = Self::LIVE.len() + 4;
        self.0.get(..end).unwrap_or(&self.0)
    }

    fn checksum(body: &str) -> String {
        hex::encode(&Sha256::digest(body)[..Self::CHECKSUM_CHARS / 2])
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeySecret(…)")
    }
}

impl ApiKeyHash {
    /// The hash, in hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the platform keeps of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What its owner calls it by when revoking it.
    pub id: ApiKeyId,
    /// Whose it is.
    pub org_id: OrgId,
    /// Its owner's name for it.
    pub name: String,
    /// Its first characters.
    pub display_prefix: String,
    /// What it allows.
    pub scopes: Scopes,
    /// When it ends by itself.
    pub valid_until: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// Whether it is neither revoked nor at its end.
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.valid_until.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_a_typing_error_is_not() {
        let key = ApiKeySecret::new(false, [7; 24]);
        assert_eq!(ApiKeySecret::parse(key.in_clear()), Some(key.clone()));
        assert_eq!(key.display_prefix(), "sk_test_0707");
        let typo = key.in_clear().replacen("07", "70", 1);
        assert_eq!(ApiKeySecret::parse(&typo), None);
    }

    #[test]
    fn a_key_from_elsewhere_needs_no_checksum() {
        for text in ["sk_live_1234567890abcdef", "sk_test_x", "sk_live_"] {
            assert!(ApiKeySecret::parse(text).is_some(), "{text}");
        }
        for text in ["", "sk_", "pk_live_1234567890abcdef", "sk_live_a b", "sk_live_\u{e9}", "SK_LIVE_1"] {
            assert!(ApiKeySecret::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn admin_allows_everything_and_the_others_themselves() {
        let of = |scopes: &[Scope]| scopes.iter().copied().collect::<Scopes>();
        for scope in Scope::ALL {
            assert!(of(&[Scope::Admin]).allow(*scope));
            assert!(of(&[*scope]).allow(*scope));
            assert!(!of(&[]).allow(*scope));
        }
        assert!(!of(&[Scope::Read]).allow(Scope::Write));
        assert!(!of(&[Scope::Write]).allow(Scope::Read));
    }
}
