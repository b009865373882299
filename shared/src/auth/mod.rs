//! Authentication: an API key or a JSON Web Token becomes a [`Principal`], which nothing else can construct.

mod crypto;
mod jwks;
mod jwt;
mod keys;
mod secret;

#[cfg(feature = "testing")]
pub(crate) use crypto::install as install_crypto;
pub use keys::UNREADABLE_KEYS_ALARM;

use aws_types::SdkConfig;
use chrono::TimeDelta;

use crate::config;
#[cfg(feature = "operator")]
use crate::domain::ContactPartitions;
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{
    ActorType, ApiKey, ApiKeyId, ApiKeySecret, AuditActor, Clock, OrgId, Placement, RateLimit, Scope, Scopes,
};
use crate::dynamodb::{TableClient, TtlCache};
use crate::repositories::{self, api_keys, organizations};

/// How long a key is cached: how long a revoked key may still work.
const KEY_LIFETIME: TimeDelta = TimeDelta::seconds(60);
/// How long the state of an organization is cached: how long a suspended one may still be served, how long lists may lack the first
/// migrated items, and how long a change of its contacts' partitions may be unknown (see `domain::contact_partitions`).
const ORGANIZATION_LIFETIME: TimeDelta = TimeDelta::seconds(60);
/// How long it is cached that there is no such key: how long a new key that was tried too early may still be refused.
const NO_KEY_LIFETIME: TimeDelta = TimeDelta::seconds(5);

/// An authenticated caller. The caller can reach the data of its organization and of no other.
#[derive(Debug, Clone)]
pub struct Principal {
    identity: Identity,
    organization: OrganizationState,
}

/// What every request has to know of its organization.
#[derive(Debug, Clone, Default)]
struct OrganizationState {
    is_suspended: bool,
    placement: Placement,
}

/// What a valid credential tells.
#[derive(Debug, Clone)]
struct Identity {
    org_id: OrgId,
    scopes: Scopes,
    actor: Actor,
}

/// The key or the user behind a request, as logs name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An API key.
    ApiKey {
        /// The id of the key.
        id: ApiKeyId,
        /// The limit of its requests, if it has one.
        rate_limit: Option<RateLimit>,
    },
    /// The user of a token.
    Token {
        /// A hash of the organization and the token's subject, which may be an email or a name.
        subject_hash: String,
    },
    /// An operator of the platform, whose commands send no request.
    Operator {
        /// A hash of the organization and the operator's identity, which may hold an email or a name.
        identity_hash: String,
    },
}

/// The actor as the audit log names it.
impl From<&Actor> for AuditActor {
    fn from(actor: &Actor) -> Self {
        let (actor_type, id) = match actor {
            Actor::ApiKey { id, .. } => (ActorType::ApiKey, id.to_string()),
            Actor::Token { subject_hash } => (ActorType::Token, subject_hash.clone()),
            Actor::Operator { identity_hash } => (ActorType::Operator, identity_hash.clone()),
        };
        Self { actor_type, id }
    }
}

impl Principal {
    /// An operator, who may do everything within an organization, suspended or not. `identity` tells operators apart; it is
    /// hashed like the subject of a token.
    #[cfg(feature = "operator")]
    pub fn operator(org_id: OrgId, identity: &str) -> Self {
        let identity_hash = jwt::subject_hash(org_id, identity);
        let scopes = [Scope::Admin].into_iter().collect();
        let identity = Identity { org_id, scopes, actor: Actor::Operator { identity_hash } };
        // A list without migrated items ends with one more read; one that lacks them would be wrong.
        let placement = Placement { has_migrated_items: true, ..Placement::default() };
        Self { identity, organization: OrganizationState { is_suspended: false, placement } }
    }

    /// An operator whose lists read contacts from these partitions.
    #[cfg(feature = "operator")]
    #[must_use]
    pub fn with_contact_partitions(mut self, partitions: ContactPartitions) -> Self {
        self.organization.placement.contact_partitions = partitions;
        self
    }

    /// The caller's organization.
    pub fn org_id(&self) -> OrgId {
        self.identity.org_id
    }

    /// The key or the user that sent the request.
    pub fn actor(&self) -> &Actor {
        &self.identity.actor
    }

    /// Whether the caller may use an endpoint of this scope. The callers of a suspended organization may use none.
    pub fn may(&self, needed: Scope) -> bool {
        !self.organization.is_suspended && self.identity.scopes.allow(needed)
    }

    /// Where the data of the caller's organization is stored.
    pub(crate) fn placement(&self) -> &Placement {
        &self.organization.placement
    }

    /// Whether the caller may create a key with these scopes.
    pub fn may_grant(&self, scopes: &Scopes) -> bool {
        self.identity.scopes.include(scopes)
    }
}

/// The reason why a request is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The request has no valid credential. Unknown, revoked, expired and malformed ones are not distinguished.
    #[error("the request has no valid credential")]
    Unauthenticated,
    /// The table could not be read.
    #[error(transparent)]
    Table(#[from] repositories::Error),
    /// The keys that verify tokens could not be read.
    #[error("the keys that verify tokens could not be read")]
    KeysUnavailable,
}

/// The credentials of a request, as they were sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The header `X-API-Key`.
    pub api_key: Option<&'a str>,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
}

/// The result of a look-up in the table, as it is cached.
#[derive(Debug, Clone)]
enum CachedKey {
    Found(ApiKey),
    NotFound,
}

/// Authenticates the requests of a process.
#[derive(Debug)]
pub struct Authenticator {
    keys: TtlCache<ApiKeyHash, CachedKey>,
    organizations: TtlCache<OrgId, OrganizationState>,
    tokens: jwt::Verifier,
    clock: Clock,
}

impl Authenticator {
    /// Accepts the API keys in the table and the tokens of the configured issuer.
    pub(crate) fn new(config: &config::Jwt, sdk_config: SdkConfig, clock: Clock) -> Self {
        let tokens = jwt::Verifier::new(config, sdk_config, clock.clone());
        Self { keys: TtlCache::default(), organizations: TtlCache::default(), tokens, clock }
    }

    /// Reads the public keys of the token issuer before the first token arrives.
    pub(crate) async fn warm_up(&self) {
        self.tokens.warm_up().await;
    }

    /// Authenticates a request. If both credentials are sent, the API key decides.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`], or the error that prevented the check.
    pub(crate) async fn authenticate(
        &self,
        credentials: Credentials<'_>,
        client: &TableClient,
    ) -> Result<Principal, AuthError> {
        let identity = match credentials {
            Credentials { api_key: Some(key), .. } => self.authenticate_key(key, client).await?,
            Credentials { authorization: Some(header), .. } => {
                self.tokens.verify(bearer_token(header).ok_or(AuthError::Unauthenticated)?).await?
            }
            Credentials { api_key: None, authorization: None } => return Err(AuthError::Unauthenticated),
        };
        let organization = self.organization(identity.org_id, client).await?;
        Ok(Principal { identity, organization })
    }

    async fn authenticate_key(&self, key: &str, client: &TableClient) -> Result<Identity, AuthError> {
        let hash = ApiKeySecret::parse(key).ok_or(AuthError::Unauthenticated)?.hash();
        match self.find_key(hash, client).await? {
            CachedKey::Found(key) if key.is_valid_at(self.clock.now()) => {
                let actor = Actor::ApiKey { id: key.id, rate_limit: key.rate_limit };
                Ok(Identity { org_id: key.org_id, scopes: key.scopes, actor })
            }
            CachedKey::Found(_) | CachedKey::NotFound => Err(AuthError::Unauthenticated),
        }
    }

    /// Finds a key in the cache or the table.
    async fn find_key(&self, hash: ApiKeyHash, client: &TableClient) -> Result<CachedKey, AuthError> {
        let now = self.clock.now();
        if let Some(cached) = self.keys.get(&hash, now) {
            return Ok(cached);
        }
        let (result, lifetime) = match api_keys::find(client, &hash).await? {
            Some(key) => (CachedKey::Found(key), KEY_LIFETIME),
            None => (CachedKey::NotFound, NO_KEY_LIFETIME),
        };
        self.keys.insert(hash, result.clone(), now, lifetime);
        Ok(result)
    }

    /// Caches that an organization is in use, for tests without a table.
    #[cfg(feature = "testing")]
    pub(crate) fn assume_in_use(&self, org: OrgId) {
        self.organizations.insert(org, OrganizationState::default(), self.clock.now(), ORGANIZATION_LIFETIME);
    }

    /// The state of an organization, from the cache or the table. One without a profile is in use.
    async fn organization(&self, org: OrgId, client: &TableClient) -> Result<OrganizationState, AuthError> {
        let now = self.clock.now();
        if let Some(cached) = self.organizations.get(&org, now) {
            return Ok(cached);
        }
        let state = match organizations::find(client, org).await? {
            Some(found) => OrganizationState { is_suspended: found.is_suspended(), placement: found.placement },
            None => OrganizationState::default(),
        };
        self.organizations.insert(org, state.clone(), now, ORGANIZATION_LIFETIME);
        Ok(state)
    }
}

/// The token of an `Authorization` header with the scheme `Bearer` in any case (RFC 9110 §11.1).
fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { Some(token.trim()) } else { None }
}
