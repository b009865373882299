//! The public keys of the token issuer: a JWKS (RFC 7517) in a file or at a URL, which is read again as keys rotate.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::{BodyExt, Limited};
use jsonwebtoken::jwk::{CommonParameters, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::config::JwksSource;
use crate::domain::Clock;
use crate::dynamodb::error_chain;

/// The shortest time between two reads of a JWKS, if a token names a key that is not in it or the last read failed. A new
/// key is accepted at the latest after this time.
const REFRESH_INTERVAL: TimeDelta = TimeDelta::seconds(10);
/// How long a JWKS is used without reading it again: how long a withdrawn key is still accepted.
const LIFETIME: TimeDelta = TimeDelta::minutes(5);
/// The shortest time between two reads as long as all of them failed.
const RETRY_INTERVAL: TimeDelta = TimeDelta::seconds(1);
/// The time limit of a request to a URL.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// The largest JWKS that is accepted from a URL, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// The public keys have never been read, and cannot be read now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeysUnavailable;

/// The reason why a JWKS cannot be read.
#[derive(Debug, thiserror::Error)]
enum JwksError {
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("the URL is malformed: {0}")]
    Url(String),
    #[error("the request failed: {0}")]
    Request(String),
    #[error("the response has status {0}")]
    Status(u16),
    #[error("the response did not arrive in time")]
    Timeout,
    #[error("the content is not a JWKS")]
    Malformed,
}

/// The public keys, shared by all requests of a process.
pub(super) struct Jwks {
    source: JwksSource,
    algorithm: KeyAlgorithm,
    clock: Clock,
    last_read: RwLock<Option<Arc<ReadKeys>>>,
    /// The time of the last failed read. Locked during a read, so that concurrent requests wait for one read.
    last_failure: Mutex<Option<DateTime<Utc>>>,
}

/// The keys as they were read.
struct ReadKeys {
    at: DateTime<Utc>,
    keys: Vec<PublicKey>,
}

struct PublicKey {
    id: Option<String>,
    key: DecodingKey,
}

/// A JWKS whose keys are not parsed yet. A key that cannot be parsed or is for another purpose is left out (RFC 7517 §5).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    /// The keys at this source that verify signatures of this algorithm. Reads nothing yet.
    pub(super) fn new(source: JwksSource, algorithm: Algorithm, clock: Clock) -> Self {
        Self {
            source,
            algorithm: algorithm.into(),
            clock,
            last_read: RwLock::default(),
            last_failure: Mutex::default(),
        }
    }

    /// The keys that may have signed a token: those with the id that the token names, or all keys if it names none.
    ///
    /// # Errors
    /// [`KeysUnavailable`] as long as the keys have never been read. After a failed read the last keys are used on.
    pub(super) async fn candidates(&self, kid: Option<&str>) -> Result<Vec<DecodingKey>, KeysUnavailable> {
        let last_read = self.last_read();
        let known = last_read.as_ref().map(|read| read.candidates(kid)).unwrap_or_default();
        if self.suffices(last_read.as_deref(), kid) {
            return Ok(known);
        }
        let mut last_failure = match self.last_failure.try_lock() {
            Ok(last_failure) => last_failure,
            // Another request is reading. A request whose keys are only old need not wait for it.
            Err(_) if !known.is_empty() => return Ok(known),
            Err(_) => self.last_failure.lock().await,
        };
        // The keys may have been read while this request waited for the lock.
        let last_read = self.last_read();
        if !self.suffices(last_read.as_deref(), kid) {
            let interval = if last_read.is_some() { REFRESH_INTERVAL } else { RETRY_INTERVAL };
            if last_failure.is_none_or(|failure| self.clock.now() - failure >= interval) {
                self.refresh(&mut last_failure).await;
            }
        }
        self.last_read().map(|read| read.candidates(kid)).ok_or(KeysUnavailable)
    }

    /// Whether the keys are new enough for a token that names this key.
    fn suffices(&self, read: Option<&ReadKeys>, kid: Option<&str>) -> bool {
        let Some(read) = read else { return false };
        let age = self.clock.now() - read.at;
        age < REFRESH_INTERVAL || (age < LIFETIME && !read.candidates(kid).is_empty())
    }

    fn last_read(&self) -> Option<Arc<ReadKeys>> {
        self.last_read.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the keys again, and notes the time if that fails.
    async fn refresh(&self, last_failure: &mut Option<DateTime<Utc>>) {
        match self.load().await {
            Ok(keys) => {
                let read = Arc::new(ReadKeys { at: self.clock.now(), keys });
                *self.last_read.write().unwrap_or_else(PoisonError::into_inner) = Some(read);
            }
            Err(error) => {
                tracing::error!(reason = %error, "JWT_JWKS cannot be read: make sure that it names a JWKS");
                *last_failure = Some(self.clock.now());
            }
        }
    }

    async fn load(&self) -> Result<Vec<PublicKey>, JwksError> {
        let content = match &self.source {
            JwksSource::File(path) => std::fs::read(path)?.into(),
            JwksSource::Url(url) => timeout(FETCH_TIMEOUT, fetch(url)).await.map_err(|_| JwksError::Timeout)??,
        };
        let set: KeySet = serde_json::from_slice(&content).map_err(|_| JwksError::Malformed)?;
        Ok(set.keys.into_iter().filter_map(|key| PublicKey::parse(key, self.algorithm)).collect())
    }
}

impl ReadKeys {
    fn candidates(&self, kid: Option<&str>) -> Vec<DecodingKey> {
        let is_named = |key: &&PublicKey| kid.is_none() || key.id.as_deref() == kid;
        self.keys.iter().filter(is_named).map(|known| known.key.clone()).collect()
    }
}

impl PublicKey {
    /// Parses a key of a JWKS; `None` for a key that does not verify signatures of this algorithm.
    fn parse(key: serde_json::Value, algorithm: KeyAlgorithm) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        if is_for(&jwk.common, algorithm) {
            Some(Self { key: DecodingKey::from_jwk(&jwk).ok()?, id: jwk.common.key_id })
        } else {
            None
        }
    }
}

/// Whether the issuer has published a key to verify signatures of this algorithm: `use`, `key_ops` and `alg` are optional,
/// and each that is present has to allow it (RFC 7517 §4.2–4.4).
fn is_for(key: &CommonParameters, algorithm: KeyAlgorithm) -> bool {
    let CommonParameters { public_key_use, key_operations, key_algorithm, .. } = key;
    public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
        && key_algorithm.is_none_or(|key_algorithm| key_algorithm == algorithm)
}

/// The content at a URL. Fetched so rarely that no connection is kept.
async fn fetch(url: &str) -> Result<Bytes, JwksError> {
    let request = HttpRequest::get(url).map_err(|error| JwksError::Url(error.to_string()))?;
    // The issuer's certificate may be signed by any authority, so this client trusts those of the system.
    let connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
    let response = connector.call(request).await.map_err(|error| JwksError::Request(error_chain(&error)))?;
    if !response.status().is_success() {
        return Err(JwksError::Status(response.status().as_u16()));
    }
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
    Ok(body.map_err(|error| JwksError::Request(error_chain(&*error)))?.to_bytes())
}
