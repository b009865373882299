//! API keys: the secret that a client holds, and the hash and metadata that the platform stores.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};

use super::text::{choice, text_schema};
use super::{ApiKeyId, InvalidValue, Line, OrgId, RateLimit};

choice! {
    /// A permission of a credential.
    Scope {
        /// Read data.
        Read = "read",
        /// Create, change and delete data.
        Write = "write",
        /// Read and write data, and manage API keys.
        Admin = "admin",
    }
}

/// The scopes of a credential. `admin` includes the others. `read` and `write` do not include each other, so that a script that
/// only loads contacts needs no access to the stored ones.
///
/// ```
/// # use shared::domain::{Scope, Scopes};
/// let scopes = Scopes::try_from(vec!["write".to_owned(), "write".to_owned()])?;
/// assert!(scopes.allow(Scope::Write));
/// assert!(!scopes.allow(Scope::Read));
///
/// assert!(Scopes::try_from(vec!["owner".to_owned()]).is_err());
/// # Ok::<_, shared::domain::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// `true` if these scopes allow actions that need the scope `needed`.
    pub fn allow(&self, needed: Scope) -> bool {
        self.0.contains(&needed) || self.0.contains(&Scope::Admin)
    }

    /// `true` if these scopes allow everything that `others` allow. A key grants at most the scopes of its creator.
    pub fn include(&self, others: &Self) -> bool {
        others.iter().all(|scope| self.allow(scope))
    }

    /// The scopes.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

/// Parses scopes; duplicates count once.
impl TryFrom<Vec<String>> for Scopes {
    type Error = InvalidValue;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue =
            InvalidValue::Rule("must hold at least one of read write admin, and nothing else");
        let scopes: Result<BTreeSet<Scope>, _> = texts.iter().map(|text| text.parse()).collect();
        match scopes {
            Ok(scopes) if !scopes.is_empty() => Ok(Self(scopes)),
            _ => Err(INVALID),
        }
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// The plaintext of an API key. It is returned once, when the key is created, and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeySecret(String);

/// The SHA-256 hash of an API key's plaintext, in lower-case hexadecimal, as it is stored.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKeyHash(String);

impl ApiKeySecret {
    pub(crate) const LIVE: &str = "sk_live_";
    pub(crate) const TEST: &str = "sk_test_";
    const RANDOM_BYTES: usize = 24;
    const CHECKSUM_CHARS: usize = 8;
    const LENGTH: usize = Self::LIVE.len() + 2 * Self::RANDOM_BYTES + Self::CHECKSUM_CHARS;

    /// A key that consists of a prefix, 192 random bits and a checksum.
    pub fn new(live: bool, random: [u8; Self::RANDOM_BYTES]) -> Self {
        let prefix = if live { Self::LIVE } else { Self::TEST };
        let body = format!("{prefix}{}", hex::encode(random));
        let checksum = Self::checksum(&body);
        Self(body + &checksum)
    }

    /// Parses a sent key; `None` for an unknown prefix, or a wrong checksum in a key of the generated length. Keys of another
    /// length were created elsewhere and imported by their hash, so they have no checksum.
    pub fn parse(text: &str) -> Option<Self> {
        const MAX_LENGTH: usize = 256;
        let has_prefix = text.starts_with(Self::LIVE) || text.starts_with(Self::TEST);
        if !has_prefix || text.len() > MAX_LENGTH || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        if text.len() == Self::LENGTH {
            let (body, checksum) = text.split_at(text.len() - Self::CHECKSUM_CHARS);
            if checksum != Self::checksum(body) {
                return None;
            }
        }
        Some(Self(text.to_owned()))
    }

    /// The plaintext, for the response that creates the key only.
    pub fn in_clear(&self) -> &str {
        &self.0
    }

    /// The hash by which the key is stored and looked up.
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash(hex::encode(digest(&SHA256, self.0.as_bytes())))
    }

    /// The first characters, by which people distinguish their keys.
    pub fn display_prefix(&self) -> &str {
        let end = Self::LIVE.len() + 4;
        self.0.get(..end).unwrap_or(&self.0)
    }

    fn checksum(body: &str) -> String {
        hex::encode(&digest(&SHA256, body.as_bytes()).as_ref()[..Self::CHECKSUM_CHARS / 2])
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

/// Parses a hash in hexadecimal, in either case.
impl FromStr for ApiKeyHash {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue = InvalidValue::Rule("must be a SHA-256 hash: 64 hexadecimal digits");
        let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash { Ok(Self(text.to_ascii_lowercase())) } else { Err(INVALID) }
    }
}

text_schema!(ApiKeyHash, |schema| schema);

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
    /// The permissions of the key.
    pub scopes: Scopes,
    /// The expiry, if there is one.
    pub valid_until: Option<DateTime<Utc>>,
    /// `true` for a live key, `false` for a test key.
    pub live: bool,
    /// The limit of the key's requests, if it has one beside its organization's.
    pub rate_limit: Option<RateLimit>,
}

/// A stored API key, without its plaintext.
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
    /// The permissions of the key.
    pub scopes: Scopes,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// The expiry, if there is one.
    pub valid_until: Option<DateTime<Utc>>,
    /// The time of the revocation, if the key is revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The limit of the key's requests, if it has one beside its organization's.
    pub rate_limit: Option<RateLimit>,
    /// The hour of the last use; `None` for a key that was not used yet. Stored apart from the key, and read by the list only.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// A newly created key. Only the first characters of the secret are stored.
    pub fn new(id: ApiKeyId, org_id: OrgId, new: NewApiKey, secret: &ApiKeySecret, now: DateTime<Utc>) -> Self {
        let NewApiKey { name, scopes, valid_until, live: _, rate_limit } = new;
        let display_prefix = secret.display_prefix().to_owned();
        Self {
            id,
            org_id,
            name,
            display_prefix,
            scopes,
            created_at: now,
            valid_until,
            revoked_at: None,
            rate_limit,
            last_used_at: None,
        }
    }

    /// `true` for a live key, `false` for a test key.
    pub fn is_live(&self) -> bool {
        self.display_prefix.starts_with(ApiKeySecret::LIVE)
    }

    /// `true` if the key is neither revoked nor expired.
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.valid_until.is_none_or(|expiry| now < expiry)
    }

    /// `true` for a key by which an administrator can manage the organization's keys at this time.
    pub fn is_admin_key_at(&self, now: DateTime<Utc>) -> bool {
        self.is_valid_at(now) && self.scopes.allow(Scope::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(scopes: &[Scope]) -> Scopes {
        scopes.iter().copied().collect()
    }

    #[test]
    fn a_key_with_a_typing_error_is_refused() {
        let key = ApiKeySecret::new(false, [7; 24]);
        assert_eq!(ApiKeySecret::parse(key.in_clear()), Some(key.clone()));
        assert_eq!(key.display_prefix(), "sk_test_0707");
        let typo = key.in_clear().replacen("07", "70", 1);
        assert_eq!(ApiKeySecret::parse(&typo), None);
    }

    #[test]
    fn a_key_of_another_length_needs_no_checksum() {
        for text in ["sk_live_1234567890abcdef", "sk_test_x", "sk_live_"] {
            assert!(ApiKeySecret::parse(text).is_some(), "{text}");
        }
        for text in ["", "sk_", "pk_live_1234567890abcdef", "sk_live_a b", "sk_live_\u{e9}", "SK_LIVE_1"] {
            assert!(ApiKeySecret::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_new_key_has_a_prefix_of_its_kind_and_is_valid() {
        for (live, prefix) in [(true, "sk_live_"), (false, "sk_test_")] {
            let key = ApiKeySecret::new(live, [7; 24]);
            assert!(key.in_clear().starts_with(prefix), "{live}");
            assert_eq!(ApiKeySecret::parse(key.in_clear()), Some(key.clone()), "{live}");
        }
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let secret = ApiKeySecret::new(true, [7; 24]);
        let printed = format!("{secret:?} {:?}", secret.hash());
        assert_eq!(printed, "ApiKeySecret(…) ApiKeyHash(…)");
    }

    #[test]
    fn scopes_include_only_the_scopes_that_they_allow() {
        let (read, write, admin) = (scopes(&[Scope::Read]), scopes(&[Scope::Write]), scopes(&[Scope::Admin]));
        let both = scopes(&[Scope::Read, Scope::Write]);
        for (granting, granted, expected) in [
            (&admin, scopes(Scope::ALL), true),
            (&both, both.clone(), true),
            (&both, read.clone(), true),
            (&both, admin.clone(), false),
            (&both, scopes(Scope::ALL), false),
            (&read, write.clone(), false),
            (&read, both.clone(), false),
            (&write, read.clone(), false),
            (&scopes(&[]), read.clone(), false),
        ] {
            assert_eq!(granting.include(&granted), expected, "{granting:?} {granted:?}");
        }
    }

    #[test]
    fn admin_allows_every_scope_and_the_others_only_themselves() {
        for scope in Scope::ALL {
            assert!(scopes(&[Scope::Admin]).allow(*scope));
            assert!(scopes(&[*scope]).allow(*scope));
            assert!(!scopes(&[]).allow(*scope));
        }
        assert!(!scopes(&[Scope::Read]).allow(Scope::Write));
        assert!(!scopes(&[Scope::Write]).allow(Scope::Read));
    }
}
