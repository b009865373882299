//! API keys: what a client holds, and what the platform keeps of it.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::text::choice;
use super::{ApiKeyId, InvalidValue, Line, OrgId};

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

    /// Whether they allow all that the others do: nobody grants more than they have.
    pub fn include(&self, others: &Self) -> bool {
        others.iter().all(|scope| self.allow(scope))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

/// A scope that is named twice counts once.
impl TryFrom<Vec<String>> for Scopes {
    type Error = InvalidValue;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue =
            InvalidValue::Rule("must hold at least one of read write admin, and nothing else");
        let scopes: Self = texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(|_| INVALID)?;
        if scopes.0.is_empty() { Err(INVALID) } else { Ok(scopes) }
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
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKeyHash(String);

/// The system has no randomness to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RngError;

impl ApiKeySecret {
    const LIVE: &str = "sk_live_";
    const TEST: &str = "sk_test_";
    const RANDOM_BYTES: usize = 24;
    const CHECKSUM_CHARS: usize = 8;
    const LENGTH: usize = Self::LIVE.len() + 2 * Self::RANDOM_BYTES + Self::CHECKSUM_CHARS;

    /// A key that nobody has yet.
    ///
    /// # Errors
    /// [`RngError`]: then there is no key, rather than a weak one.
    pub fn generate(live: bool) -> Result<Self, RngError> {
        Self::from_source(live, |random| getrandom::fill(random).map_err(|_| RngError))
    }

    fn from_source(live: bool, fill: impl FnOnce(&mut [u8]) -> Result<(), RngError>) -> Result<Self, RngError> {
        let mut random = [0; Self::RANDOM_BYTES];
        fill(&mut random)?;
        Ok(Self::new(live, random))
    }

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

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyHash(…)")
    }
}

impl ApiKeyHash {
    /// The hash, in hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An API key to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// The owner's name for the key.
    pub name: Line<100>,
    /// What the key is to allow.
    pub scopes: Scopes,
    /// The expiry, if the key is to have one.
    pub valid_until: Option<DateTime<Utc>>,
    /// `true` for a live key, `false` for a test key.
    pub live: bool,
}

/// An API key as it is stored: without the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The id by which the owner revokes the key.
    pub id: ApiKeyId,
    /// The organization that the key belongs to.
    pub org_id: OrgId,
    /// The owner's name for the key.
    pub name: Line<100>,
    /// The first characters of the key.
    pub display_prefix: String,
    /// What the key allows.
    pub scopes: Scopes,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// The expiry, if there is one.
    pub valid_until: Option<DateTime<Utc>>,
    /// The time of the revocation, if the key was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// A new key. Of the secret it holds only the first characters.
    pub fn new(id: ApiKeyId, org_id: OrgId, new: NewApiKey, secret: &ApiKeySecret, now: DateTime<Utc>) -> Self {
        let NewApiKey { name, scopes, valid_until, live: _ } = new;
        let display_prefix = secret.display_prefix().to_owned();
        Self { id, org_id, name, display_prefix, scopes, created_at: now, valid_until, revoked_at: None }
    }

    /// `true` for a live key, `false` for a test key.
    pub fn is_live(&self) -> bool {
        self.display_prefix.starts_with(ApiKeySecret::LIVE)
    }

    /// `true` if the key is neither revoked nor expired.
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
    fn a_generated_key_is_new_and_sound() {
        let [one, two] = [true, false].map(|live| ApiKeySecret::generate(live).unwrap());
        assert!(one.in_clear().starts_with("sk_live_") && two.in_clear().starts_with("sk_test_"));
        assert_ne!(one.in_clear()["sk_live_".len()..], two.in_clear()["sk_test_".len()..]);
        for key in [one, two] {
            assert_eq!(ApiKeySecret::parse(key.in_clear()), Some(key.clone()));
            assert!(!key.in_clear().contains(&"0".repeat(24)));
        }
    }

    #[test]
    fn without_randomness_there_is_no_key() {
        assert_eq!(ApiKeySecret::from_source(true, |_| Err(RngError)), Err(RngError));
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let secret = ApiKeySecret::new(true, [7; 24]);
        let printed = format!("{secret:?} {:?}", secret.hash());
        assert_eq!(printed, "ApiKeySecret(…) ApiKeyHash(…)");
    }

    #[test]
    fn nobody_grants_more_than_they_have() {
        let of = |scopes: &[Scope]| scopes.iter().copied().collect::<Scopes>();
        let (read, write, admin) = (of(&[Scope::Read]), of(&[Scope::Write]), of(&[Scope::Admin]));
        let both = of(&[Scope::Read, Scope::Write]);
        for (granting, granted, may) in [
            (&admin, of(Scope::ALL), true),
            (&both, both.clone(), true),
            (&both, read.clone(), true),
            (&both, admin.clone(), false),
            (&both, of(Scope::ALL), false),
            (&read, write.clone(), false),
            (&read, both.clone(), false),
            (&write, read.clone(), false),
            (&of(&[]), read.clone(), false),
        ] {
            assert_eq!(granting.include(&granted), may, "{granting:?} {granted:?}");
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
