//! Who is asking: an API key or a token becomes a [`Principal`], which nothing else can make.

mod jwks;
mod jwt;

use chrono::TimeDelta;

use crate::config;
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{ApiKey, ApiKeySecret, Clock, OrgId, Scope, Scopes};
use crate::dynamodb::{self, TableClient, TtlCache};
use crate::repositories::api_keys;

/// How long a known key is believed without asking the table again: how long a revoked one may still work.
const KNOWN: TimeDelta = TimeDelta::seconds(60);
/// How long an unknown key is refused without asking: how soon a new one works that was tried too early.
const UNKNOWN: TimeDelta = TimeDelta::seconds(5);

/// An authenticated caller. Its organization is the only one whose data the caller can reach.
#[derive(Debug, Clone)]
pub struct Principal {
    org_id: OrgId,
    scopes: Scopes,
}

impl Principal {
    /// The caller's organization.
    pub fn org_id(&self) -> OrgId {
        self.org_id
    }

    /// Whether the caller may do what needs this scope.
    pub fn may(&self, needed: Scope) -> bool {
        self.scopes.allow(needed)
    }

    /// Whether the caller may give these scopes to another.
    pub fn may_grant(&self, scopes: &Scopes) -> bool {
        self.scopes.include(scopes)
    }
}

/// Why a caller is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthError {
    /// No credential, or one that is unknown, revoked, expired or malformed: all alike.
    Unauthenticated,
    /// The table could not be asked.
    Table(dynamodb::Error),
    /// The public keys that tokens are signed with could not be read.
    NoKeys,
}

/// The credentials of a request, as they were sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// `X-API-Key`
    pub api_key: Option<&'a str>,
    /// `Authorization`
    pub authorization: Option<&'a str>,
}

/// Decides who is asking, for the life of the process.
#[derive(Debug)]
pub struct Authenticator {
    keys: TtlCache<ApiKeyHash, Option<ApiKey>>,
    tokens: jwt::Verifier,
    clock: Clock,
}

impl Authenticator {
    /// Believes the keys in the table, and the tokens that the configuration names.
    pub fn new(config: &config::Jwt, clock: Clock) -> Self {
        Self { keys: TtlCache::default(), tokens: jwt::Verifier::new(config, clock.clone()), clock }
    }

    /// Reads the public keys of tokens before the first one comes.
    pub(crate) async fn warm_up(&self) {
        self.tokens.warm_up().await;
    }

    /// Decides who is asking. If both credentials are sent the API key decides.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`], or what was lacking to decide.
    pub(crate) async fn authenticate(
        &self,
        credentials: Credentials<'_>,
        client: &TableClient,
    ) -> Result<Principal, AuthError> {
        match credentials {
            Credentials { api_key: Some(key), .. } => self.by_key(key, client).await,
            Credentials { authorization: Some(header), .. } => {
                self.tokens.verify(bearer(header).ok_or(AuthError::Unauthenticated)?).await
            }
            Credentials { api_key: None, authorization: None } => Err(AuthError::Unauthenticated),
        }
    }

    async fn by_key(&self, key: &str, client: &TableClient) -> Result<Principal, AuthError> {
        let hash = ApiKeySecret::parse(key).ok_or(AuthError::Unauthenticated)?.hash();
        let now = self.clock.now();
        let found = if let Some(remembered) = self.keys.get(&hash, now) {
            remembered
        } else {
            let found = api_keys::find(client, &hash).await.map_err(AuthError::Table)?;
            let lifetime = if found.is_some() { KNOWN } else { UNKNOWN };
            self.keys.put(hash, found.clone(), now, lifetime);
            found
        };
        let valid = found.filter(|key| key.is_valid_at(now)).ok_or(AuthError::Unauthenticated)?;
        Ok(Principal { org_id: valid.org_id, scopes: valid.scopes })
    }
}

/// The token of an `Authorization` header; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
