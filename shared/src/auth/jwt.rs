//! JSON Web Tokens (RFC 7519), signed with a shared secret or with a key of a JWKS.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use uuid::Uuid;

use super::jwks::{Jwks, NoKeys};
use super::{AuthError, Principal};
use crate::config::{Asymmetric, Jwt, JwtKeys};
use crate::domain::{Clock, Scope, Scopes};

/// How far the issuer's clock may be off.
const LEEWAY: Duration = Duration::from_mins(1);

/// Checks tokens.
pub(super) struct Verifier {
    keys: Option<Keys>,
    validation: Validation,
    clock: Clock,
}

enum Keys {
    Shared(DecodingKey),
    Jwks(Jwks),
}

#[derive(Deserialize)]
struct Claims {
    org_id: String,
    exp: f64,
    nbf: Option<f64>,
    scope: Option<String>,
}

impl Verifier {
    pub(super) fn new(config: &Jwt, clock: Clock) -> Self {
        let Jwt { keys, issuer, audience } = config;
        let (keys, algorithm) = match keys {
            None => (None, Algorithm::HS256),
            Some(JwtKeys::Shared(secret)) => {
                (Some(Keys::Shared(DecodingKey::from_secret(secret.reveal().as_bytes()))), Algorithm::HS256)
            }
            Some(JwtKeys::Jwks { algorithm, source }) => {
                let algorithm = match algorithm {
                    Asymmetric::Rs256 => Algorithm::RS256,
                    Asymmetric::Es256 => Algorithm::ES256,
                    Asymmetric::EdDsa => Algorithm::EdDSA,
                };
                (Some(Keys::Jwks(Jwks::new(source.clone(), clock.clone()))), algorithm)
            }
        };
        let mut validation = Validation::new(algorithm);
        let mut required = vec!["exp", "sub"];
        // The times are checked below, by the clock that was passed in.
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

    /// Reads the public keys before the first token comes.
    pub(super) async fn warm_up(&self) {
        if let Some(Keys::Jwks(jwks)) = &self.keys {
            // Whether it worked shows at the first token.
            let _ = jwks.candidates(None).await;
        }
    }

    /// Who a token speaks for.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] for whatever reason it does not, or [`AuthError::NoKeys`].
    pub(super) async fn verify(&self, token: &str) -> Result<Principal, AuthError> {
        let now = self.clock.now();
        let claims = match &self.keys {
            None => None,
            Some(Keys::Shared(key)) => self.claims(token, key),
            Some(Keys::Jwks(jwks)) => {
                let kid = decode_header(token).map_err(|_| AuthError::Unauthenticated)?.kid;
                let candidates = jwks.candidates(kid.as_deref()).await.map_err(|NoKeys| AuthError::NoKeys)?;
                candidates.iter().find_map(|key| self.claims(token, key))
            }
        };
        claims.and_then(|claims| claims.principal_at(now)).ok_or(AuthError::Unauthenticated)
    }

    fn claims(&self, token: &str, key: &DecodingKey) -> Option<Claims> {
        let token = decode::<Claims>(token, key, &self.validation).ok()?;
        // None of the extensions that a token may insist on is understood here (RFC 7515 §4.1.11).
        Some(token.claims).filter(|_| token.header.crit.is_none())
    }
}

impl Claims {
    fn principal_at(self, now: DateTime<Utc>) -> Option<Principal> {
        let now = Duration::from_secs(u64::try_from(now.timestamp()).ok()?);
        let (exp, nbf) = (since_epoch(self.exp)?, since_epoch(self.nbf.unwrap_or(0.0))?);
        let in_time = now < exp.saturating_add(LEEWAY) && nbf.saturating_sub(LEEWAY) <= now;
        let org_id = Uuid::try_parse(&self.org_id).ok().filter(|_| in_time)?.into();
        // A scope of another platform is not ours to refuse: it allows nothing here.
        let scopes: Scopes = match &self.scope {
            None => [Scope::Read, Scope::Write].into_iter().collect(),
            Some(scope) => scope.split(' ').filter_map(|scope| scope.parse::<Scope>().ok()).collect(),
        };
        Some(Principal { org_id, scopes })
    }
}

/// A `NumericDate`, which may have a fraction (RFC 7519 §2); `None` before 1970 and beyond all time.
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
