//! Organizations with credentials of every kind, and the tokens of their users.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::install_crypto;
use crate::domain::{ApiKey, ApiKeySecret, NewApiKey, OrgId, Scope};
use crate::system;

/// An organization and its API keys in clear.
pub struct Tenant {
    /// The organization's id.
    pub org_id: OrgId,
    /// A key with every scope.
    pub admin_key: ApiKeySecret,
    /// A key with the scope `read`.
    pub read_key: ApiKeySecret,
    /// A revoked key.
    pub revoked_key: ApiKeySecret,
    /// An expired key.
    pub expired_key: ApiKeySecret,
}

impl Tenant {
    /// Generates an organization and its keys, which are not yet stored.
    pub fn new() -> Self {
        let secret = || ApiKeySecret::new(false, system::rng().bytes().expect("the system provides random bytes"));
        Self {
            org_id: Uuid::new_v4().into(),
            admin_key: secret(),
            read_key: secret(),
            revoked_key: secret(),
            expired_key: secret(),
        }
    }

    /// Every key with its entity, as it is stored.
    pub fn api_keys(&self) -> Vec<(&ApiKeySecret, ApiKey)> {
        let now = Utc::now();
        let yesterday = now - TimeDelta::days(1);
        let admin = self.api_key(&self.admin_key, "admin", Scope::ALL, now);
        let read = self.api_key(&self.read_key, "read only", &[Scope::Read], now);
        let mut revoked = self.api_key(&self.revoked_key, "revoked", Scope::ALL, now);
        revoked.revoked_at = Some(yesterday);
        let mut expired = self.api_key(&self.expired_key, "expired", Scope::ALL, now);
        expired.valid_until = Some(yesterday);
        vec![
            (&self.admin_key, admin),
            (&self.read_key, read),
            (&self.revoked_key, revoked),
            (&self.expired_key, expired),
        ]
    }

    fn api_key(&self, secret: &ApiKeySecret, name: &str, scopes: &[Scope], now: DateTime<Utc>) -> ApiKey {
        let scopes = scopes.iter().copied().collect();
        let name = name.parse().expect("the name is valid");
        let new = NewApiKey { name, scopes, valid_until: None, live: false, rate_limit: None };
        ApiKey::new(system::rng().uuid_v7(now).into(), self.org_id, new, secret, now)
    }

    /// Signs a token of a user of this organization.
    pub fn jwt(&self, secret: &str, lifetime: TimeDelta) -> String {
        let expires_at = (Utc::now() + lifetime).timestamp();
        sign_jwt(secret, &json!({"sub": "user", "org_id": self.org_id, "exp": expires_at}))
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self::new()
    }
}

/// Signs a token with these claims.
pub fn sign_jwt(secret: &str, claims: &Value) -> String {
    install_crypto();
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).expect("HS256 signs any claims")
}

/// Signs a token with this header and these claims, always with HS256, even if the header names another algorithm.
pub fn forge_jwt(secret: &str, header: &Value, claims: &Value) -> String {
    use base64::Engine as _;
    let encode = |part: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = jwt_signature(secret, &message);
    format!("{message}.{signature}")
}

/// The signature of a token by HS256. The message is all of the token before its last dot.
pub fn jwt_signature(secret: &str, message: &str) -> String {
    install_crypto();
    let key = EncodingKey::from_secret(secret.as_bytes());
    sign(message.as_bytes(), &key, Algorithm::HS256).expect("HS256 signs any message")
}
