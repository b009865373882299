//! JSON Web Tokens (RFC 7519), signed with a shared secret or with a key of a JWKS.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use uuid::Uuid;

use super::Principal;
use crate::config::{Asymmetric, Jwt, JwtKeys};
use crate::domain::{Clock, Scope, Scopes};

/// How often a JWKS is read again at most, when a token names a key that is not in it: the pace of a key rotation.
const REREAD: TimeDelta = TimeDelta::seconds(10);
/// How long a JWKS is used without reading it again: how long a withdrawn key still works.
const LIFETIME: TimeDelta = TimeDelta::minutes(5);
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

struct Jwks {
    path: String,
    read: Mutex<Option<Read>>,
}

/// A JWKS as it was at a moment.
#[derive(Clone)]
struct Read {
    at: DateTime<Utc>,
    keys: Vec<(Option<String>, DecodingKey)>,
}

/// A JWKS whose keys are read one by one: one that is not understood does not spoil the others (RFC 7517 §5).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
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
            Some(JwtKeys::Jwks { algorithm, path }) => {
                let algorithm = match algorithm {
                    Asymmetric::Rs256 => Algorithm::RS256,
                    Asymmetric::Es256 => Algorithm::ES256,
                    Asymmetric::EdDsa => Algorithm::EdDSA,
                };
                (Some(Keys::Jwks(Jwks { path: path.clone(), read: Mutex::default() })), algorithm)
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

    /// Who a token speaks for; `None` for whatever reason it does not.
    pub(super) fn verify(&self, token: &str) -> Option<Principal> {
        let now = self.clock.now();
        let claims = match self.keys.as_ref()? {
            Keys::Shared(key) => self.claims(token, key)?,
            Keys::Jwks(jwks) => {
                let kid = decode_header(token).ok()?.kid;
                jwks.candidates(kid.as_deref(), now).iter().find_map(|key| self.claims(token, key))?
            }
        };
        let now = Duration::from_secs(u64::try_from(now.timestamp()).ok()?);
        let (exp, nbf) = (since_epoch(claims.exp)?, since_epoch(claims.nbf.unwrap_or(0.0))?);
        let in_time = now < exp.saturating_add(LEEWAY) && nbf.saturating_sub(LEEWAY) <= now;
        let org_id = Uuid::try_parse(&claims.org_id).ok().filter(|_| in_time)?.into();
        // A scope of another platform is not ours to refuse: it allows nothing here.
        let scopes: Scopes = match &claims.scope {
            None => [Scope::Read, Scope::Write].into_iter().collect(),
            Some(scope) => scope.split(' ').filter_map(|scope| Scope::parse(scope).ok()).collect(),
        };
        Some(Principal { org_id, scopes })
    }

    fn claims(&self, token: &str, key: &DecodingKey) -> Option<Claims> {
        let token = decode::<Claims>(token, key, &self.validation).ok()?;
        // None of the extensions that a token may insist on is understood here (RFC 7515 §4.1.11).
        Some(token.claims).filter(|_| token.header.crit.is_none())
    }
}

/// A `NumericDate`, which may have a fraction (RFC 7519 §2); `None` before 1970 and beyond all time.
fn since_epoch(numeric_date: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(numeric_date).ok()
}

impl Jwks {
    /// The keys that may have signed a token: the one it names, or all where it names none.
    fn candidates(&self, kid: Option<&str>, now: DateTime<Utc>) -> Vec<DecodingKey> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let pick = |read: &Option<Read>| -> Vec<DecodingKey> {
            let keys = read.iter().flat_map(|read| &read.keys);
            keys.filter(|(known, _)| kid.is_none() || known.as_deref() == kid).map(|(_, key)| key.clone()).collect()
        };
        let age = read.as_ref().map(|read| now - read.at);
        let outdated = age.is_none_or(|age| age >= LIFETIME);
        let rotated = pick(&read).is_empty() && age.is_none_or(|age| age >= REREAD);
        if outdated || rotated {
            if let Some(keys) = self.load() {
                *read = Some(Read { at: now, keys });
            } else {
                // What was read before is better than nobody being let in.
                tracing::error!("JWT_JWKS cannot be read: put a JWKS at the path it names");
            }
        }
        pick(&read)
    }

    fn load(&self) -> Option<Vec<(Option<String>, DecodingKey)>> {
        let set: KeySet = serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()?;
        let keys = set.keys.into_iter().filter_map(|key| {
            let jwk: Jwk = serde_json::from_value(key).ok()?;
            Some((jwk.common.key_id.clone(), DecodingKey::from_jwk(&jwk).ok()?))
        });
        Some(keys.collect())
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

#[cfg(test)]
mod tests;
