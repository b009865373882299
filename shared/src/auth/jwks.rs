//! The public keys that tokens are signed with: a JWKS (RFC 7517) in a file or at an address, read again as keys rotate.

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
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::config::JwksSource;
use crate::domain::Clock;
use crate::dynamodb::error_chain;

/// How often a JWKS is read again at most, when a token names a key that is not in it or the last reading failed: the
/// pace of a key rotation.
const REREAD: TimeDelta = TimeDelta::seconds(10);
/// How long a JWKS is used without reading it again: how long a withdrawn key still works.
const LIFETIME: TimeDelta = TimeDelta::minutes(5);
/// How long nothing is read after a reading that failed, as long as there are no keys at all.
const PAUSE: TimeDelta = TimeDelta::seconds(1);
/// How long an address may take to answer.
const LONGEST: Duration = Duration::from_secs(2);
/// The largest JWKS that an address may answer with, in bytes.
const LARGEST: usize = 1 << 20;

/// The keys have never been read, and cannot be now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoKeys;

/// The public keys, for the life of the process.
pub(super) struct Jwks {
    source: JwksSource,
    clock: Clock,
    last_read: RwLock<Option<Arc<Read>>>,
    /// Held while the keys are read, so that requests at once wait for one reading: when one last failed.
    last_failure: Mutex<Option<DateTime<Utc>>>,
}

/// The keys as they were at a moment.
struct Read {
    at: DateTime<Utc>,
    keys: Vec<PublicKey>,
}

struct PublicKey {
    id: Option<String>,
    key: DecodingKey,
}

/// A JWKS whose keys are read one by one: one that is not understood does not spoil the others (RFC 7517 §5).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    pub(super) fn new(source: JwksSource, clock: Clock) -> Self {
        Self { source, clock, last_read: RwLock::default(), last_failure: Mutex::default() }
    }

    /// The keys that may have signed a token: the one it names, or all where it names none.
    ///
    /// # Errors
    /// [`NoKeys`] as long as they have never been read. After that, what was read is better than nobody being let in.
    pub(super) async fn candidates(&self, kid: Option<&str>) -> Result<Vec<DecodingKey>, NoKeys> {
        let suffices = |read: &Option<Arc<Read>>| {
            let now = self.clock.now();
            read.as_ref().is_some_and(|read| read.suffices(kid, now))
        };
        let mut read = self.last_read();
        let known = read.as_ref().map(|read| read.candidates(kid)).unwrap_or_default();
        if suffices(&read) {
            return Ok(known);
        }
        let mut last_failure = match self.last_failure.try_lock() {
            Ok(last_failure) => last_failure,
            // Whose keys are only old does not wait for another's reading.
            Err(_) if !known.is_empty() => return Ok(known),
            Err(_) => self.last_failure.lock().await,
        };
        read = self.last_read();
        let backoff = if read.is_some() { REREAD } else { PAUSE };
        if !suffices(&read) && last_failure.is_none_or(|failure| self.clock.now() - failure >= backoff) {
            match self.load().await {
                Ok(keys) => {
                    read = Some(Arc::new(Read { at: self.clock.now(), keys }));
                    self.last_read.write().unwrap_or_else(PoisonError::into_inner).clone_from(&read);
                }
                Err(reason) => {
                    tracing::error!(reason, "JWT_JWKS cannot be read: see that a JWKS is where it says");
                    *last_failure = Some(self.clock.now());
                }
            }
        }
        read.map(|read| read.candidates(kid)).ok_or(NoKeys)
    }

    fn last_read(&self) -> Option<Arc<Read>> {
        self.last_read.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn load(&self) -> Result<Vec<PublicKey>, String> {
        let text = match &self.source {
            JwksSource::File(path) => std::fs::read(path).map_err(|error| error.to_string())?.into(),
            JwksSource::Address(address) => {
                timeout(LONGEST, fetch(address)).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))?
            }
        };
        let set: KeySet = serde_json::from_slice(&text).map_err(|_| "it is no JWKS".to_owned())?;
        let keys = set.keys.into_iter().filter_map(|key| {
            let jwk: Jwk = serde_json::from_value(key).ok()?;
            Some(PublicKey { key: DecodingKey::from_jwk(&jwk).ok()?, id: jwk.common.key_id })
        });
        Ok(keys.collect())
    }
}

impl Read {
    /// Whether it is new enough for a token that names this key.
    fn suffices(&self, kid: Option<&str>, now: DateTime<Utc>) -> bool {
        let age = now - self.at;
        age < REREAD || (age < LIFETIME && !self.candidates(kid).is_empty())
    }

    fn candidates(&self, kid: Option<&str>) -> Vec<DecodingKey> {
        let may_be = |key: &&PublicKey| kid.is_none() || key.id.as_deref() == kid;
        self.keys.iter().filter(may_be).map(|known| known.key.clone()).collect()
    }
}

/// What is at an address. It is asked too seldom for a connection to be kept.
async fn fetch(address: &str) -> Result<Bytes, String> {
    let request = HttpRequest::get(address).map_err(|error| error.to_string())?;
    // The issuer's certificate may be anybody's, so the system's authorities are asked, as the table's client need not.
    let connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
    let answer = connector.call(request).await.map_err(|error| error_chain(&error))?;
    if !answer.status().is_success() {
        return Err(format!("it was answered with status {}", answer.status().as_u16()));
    }
    let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|error| error_chain(&*error))?;
    Ok(body.to_bytes())
}
