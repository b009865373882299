//! JSON Web Tokens (RFC 7519), signed with a shared secret or with a key of a JWKS.
//!
//! The header is checked before the signature, so that a token that is refused anyway causes no read of a JWKS. The JSON
//! parser refuses a header or claims that repeat a name that is read here (RFC 7519 §4).

use std::fmt;
use std::time::Duration;

use aws_types::SdkConfig;
use chrono::{DateTime, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::crypto;
use super::jwks::{self, JwksReader};
use super::keys::RefreshedKeys;
use super::secret::SecretReader;
use super::{Actor, AuthError, Identity};
use crate::config::{Asymmetric, Jwt, JwtKeys};
use crate::domain::{Clock, Id, OrgId, Scope, Scopes};

/// How far the issuer's clock may differ from the system's.
const LEEWAY: Duration = Duration::from_mins(1);

/// Verifies tokens.
pub(super) struct Verifier {
    keys: Option<Keys>,
    validation: Validation,
    clock: Clock,
}

enum Keys {
    /// The current secret, and the previous one during a rotation.
    Shared(Vec<DecodingKey>),
    Stored(RefreshedKeys<SecretReader>),
    Jwks(RefreshedKeys<JwksReader>),
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    org_id: String,
    /// Checked by the library if an audience is configured.
    aud: Option<IgnoredAny>,
    exp: f64,
    nbf: Option<f64>,
    scope: Option<String>,
}

impl Verifier {
    /// A verifier of tokens that are signed with the configured keys. `sdk_config` is for keys that AWS stores.
    pub(super) fn new(config: &Jwt, sdk_config: SdkConfig, clock: Clock) -> Self {
        crypto::install();
        let Jwt { keys, issuer, audience } = config;
        let (keys, algorithm) = match keys {
            None => (None, Algorithm::HS256),
            Some(JwtKeys::Shared { current, previous }) => {
                let secrets = [current].into_iter().chain(previous);
                let keys = secrets.map(|secret| DecodingKey::from_secret(secret.reveal().as_bytes()));
                (Some(Keys::Shared(keys.collect())), Algorithm::HS256)
            }
            Some(JwtKeys::Stored(secret)) => {
                let reader = SecretReader::new(secret.clone(), sdk_config);
                (Some(Keys::Stored(RefreshedKeys::new(reader, secret.cache_time, clock.clone()))), Algorithm::HS256)
            }
            Some(JwtKeys::Jwks { algorithm, source }) => {
                let algorithm = match algorithm {
                    Asymmetric::Rs256 => Algorithm::RS256,
                    Asymmetric::Es256 => Algorithm::ES256,
                    Asymmetric::EdDsa => Algorithm::EdDSA,
                };
                let reader = JwksReader::new(source.clone(), algorithm);
                (Some(Keys::Jwks(RefreshedKeys::new(reader, jwks::LIFETIME, clock.clone()))), algorithm)
            }
        };
        let mut validation = Validation::new(algorithm);
        let mut required = vec!["exp", "sub"];
        // The times are checked in `principal_at`, by the clock that was passed in.
        validation.validate_exp = false;
        validation.validate_aud = audience.is_some();
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        Self { keys, validation, clock }
    }

    /// Reads the public keys before the first token arrives.
    pub(super) async fn warm_up(&self) {
        if let Some(Keys::Jwks(keys)) = &self.keys {
            // A failure is logged, and the first token tries again.
            let _ = keys.find(|_| Some(())).await;
        }
    }

    /// The identity that a valid token tells.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] for any other token, or [`AuthError::KeysUnavailable`].
    pub(super) async fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        let now = self.clock.now();
        let header = decode_header(token).map_err(|_| AuthError::Unauthenticated)?;
        if !self.accepts(&header) {
            return Err(AuthError::Unauthenticated);
        }
        let verified = match &self.keys {
            None => None,
            Some(Keys::Shared(keys)) => keys.iter().find_map(|key| self.claims(token, key)),
            Some(Keys::Stored(keys)) => keys.find(|key| self.claims(token, key)).await?,
            Some(Keys::Jwks(keys)) => {
                let kid = header.kid.as_deref();
                keys.find(|key| key.for_token(kid).and_then(|key| self.claims(token, key))).await?
            }
        };
        let claims = verified.ok_or(AuthError::Unauthenticated)??;
        claims.identity_at(now).ok_or(AuthError::Unauthenticated)
    }

    /// Whether the header is that of a token for this API.
    fn accepts(&self, header: &Header) -> bool {
        self.validation.algorithms.contains(&header.alg)
            && header.typ.as_deref().is_none_or(is_access_token)
            // A token with critical extensions is refused, because none is supported (RFC 7515 §4.1.11).
            && header.crit.is_none()
    }

    /// The claims of a token that was signed with this key; `None` if it was signed with another one.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] for a token that was signed with this key and whose claims are refused.
    fn claims(&self, token: &str, key: &DecodingKey) -> Option<Result<Claims, AuthError>> {
        match decode::<Claims>(token, key, &self.validation) {
            // A token for an audience is refused by a recipient that has none (RFC 7519 §4.1.3).
            Ok(token) if token.claims.aud.is_some() && self.validation.aud.is_none() => {
                Some(Err(AuthError::Unauthenticated))
            }
            Ok(token) => Some(Ok(token.claims)),
            Err(error) if is_about_claims(error.kind()) => Some(Err(AuthError::Unauthenticated)),
            Err(_) => None,
        }
    }
}

/// Whether an error is one of a token's claims, which the library reads after it has verified the signature.
fn is_about_claims(error: &ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::ExpiredSignature
            | ErrorKind::ImmatureSignature
            | ErrorKind::InvalidAudience
            | ErrorKind::InvalidClaimFormat(_)
            | ErrorKind::InvalidIssuer
            | ErrorKind::InvalidSubject
            | ErrorKind::Json(_)
            | ErrorKind::MissingRequiredClaim(_)
    )
}

/// Whether a `typ` is that of an access token: the media type `application/jwt` or `application/at+jwt` (RFC 9068 §2.1), in
/// any case and with or without its prefix (RFC 7515 §4.1.9). Tokens for other purposes, such as a logout token, have other
/// types (RFC 8725 §3.11).
fn is_access_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

impl Claims {
    /// The identity that the claims tell if they are valid at `now`.
    fn identity_at(self, now: DateTime<Utc>) -> Option<Identity> {
        let now = Duration::from_secs(u64::try_from(now.timestamp()).ok()?);
        let (exp, nbf) = (since_epoch(self.exp)?, since_epoch(self.nbf.unwrap_or(0.0))?);
        if now >= exp.saturating_add(LEEWAY) || now < nbf.saturating_sub(LEEWAY) {
            return None;
        }
        if self.sub.trim().is_empty() {
            return None;
        }
        let org_id = OrgId::parse(&self.org_id).ok()?;
        let actor = Actor::Token { subject_hash: subject_hash(org_id, &self.sub) };
        // A scope that is not this API's (`openid`, say) allows nothing here, and is no reason to refuse the token.
        let scopes: Scopes = match &self.scope {
            None => [Scope::Read, Scope::Write].into_iter().collect(),
            Some(scope) => scope.split(' ').filter_map(|scope| scope.parse::<Scope>().ok()).collect(),
        };
        Some(Identity { org_id, scopes, actor })
    }
}

/// 16 hexadecimal digits that stand for a subject: enough to follow one user through the logs, and computed from the
/// organization too, so that a user has another hash in each organization.
pub(super) fn subject_hash(org: OrgId, subject: &str) -> String {
    let hash = digest(&SHA256, format!("{org}#{subject}").as_bytes());
    hex::encode(&hash.as_ref()[..8])
}

/// The time of a `NumericDate`, which may have a fraction (RFC 7519 §2); `None` for a negative or too large number.
fn since_epoch(numeric_date: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(numeric_date).ok()
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

#[cfg(test)]
mod tests;
