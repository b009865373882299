//! An organization with credentials of every kind.

use chrono::{TimeDelta, Utc};
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use uuid::Uuid;

use crate::domain::{ApiKey, ApiKeySecret, NewApiKey, OrgId, Scope, ids};

/// An organization and its keys in clear.
pub struct Tenant {
    /// Whose they are.
    pub org_id: OrgId,
    /// May do everything.
    pub admin_key: ApiKeySecret,
    /// May read.
    pub read_key: ApiKeySecret,
    /// Was revoked.
    pub revoked_key: ApiKeySecret,
    /// Has come to its end.
    pub expired_key: ApiKeySecret,
}

impl Tenant {
    /// A new organization with new keys, not yet stored.
    #[expect(clippy::expect_used, reason = "a machine that has no randomness runs no tests")]
    pub fn new() -> Self {
        let key = || ApiKeySecret::generate(false).expect("the machine has randomness");
        Self {
            org_id: Uuid::new_v4().into(),
            admin_key: key(),
            read_key: key(),
            revoked_key: key(),
            expired_key: key(),
        }
    }

    /// Each key with what the table keeps of it.
    pub fn keys(&self) -> Vec<(&ApiKeySecret, ApiKey)> {
        let now = Utc::now();
        let yesterday = now - TimeDelta::days(1);
        let key = |secret: &ApiKeySecret, name: &str, scopes: &[Scope]| {
            let scopes = scopes.iter().copied().collect();
            let new = NewApiKey { name: name.parse().expect("a valid name"), scopes, valid_until: None, live: false };
            ApiKey::new(ids::uuid_at(now).into(), self.org_id, new, secret, now)
        };
        vec![
            (&self.admin_key, key(&self.admin_key, "admin", Scope::ALL)),
            (&self.read_key, key(&self.read_key, "read only", &[Scope::Read])),
            (
                &self.revoked_key,
                ApiKey { revoked_at: Some(yesterday), ..key(&self.revoked_key, "revoked", Scope::ALL) },
            ),
            (
                &self.expired_key,
                ApiKey { valid_until: Some(yesterday), ..key(&self.expired_key, "expired", Scope::ALL) },
            ),
        ]
    }

    /// A token for this organization that ends after so long.
    pub fn token(&self, secret: &str, lifetime: TimeDelta) -> String {
        token(secret, &json!({"sub": "user", "org_id": self.org_id, "exp": (Utc::now() + lifetime).timestamp()}))
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self::new()
    }
}

/// A token with any header and claims, signed with HS256 whatever the header says.
#[expect(clippy::expect_used, reason = "HS256 signs whatever it is given")]
pub fn forged(secret: &str, header: &serde_json::Value, claims: &serde_json::Value) -> String {
    use base64::Engine as _;
    let encode = |part: &serde_json::Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = sign(message.as_bytes(), &key, Algorithm::HS256).expect("a message can be signed");
    format!("{message}.{signature}")
}

/// A token with any claims.
#[expect(clippy::expect_used, reason = "HS256 signs whatever it is given")]
pub fn token(secret: &str, claims: &serde_json::Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("claims can be signed")
}
