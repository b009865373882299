//! The public keys of the token issuer: a JWKS (RFC 7517) in a file or at a URL, which is read again as keys rotate.

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use bytes::Bytes;
use chrono::TimeDelta;
use http_body_util::{BodyExt, Limited};
use jsonwebtoken::jwk::{CommonParameters, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::keys::KeySource;
use crate::aws::Connector;
use crate::config::JwksSource;
use crate::dynamodb::error_chain;
use crate::trace::{self, Trace};

/// How long a JWKS is used without reading it again. A withdrawn key is accepted for at most twice as long.
pub(super) const LIFETIME: TimeDelta = TimeDelta::seconds(150);
/// The largest JWKS that is accepted from a URL, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// The reason why a JWKS cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum JwksError {
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("the URL is malformed: {0}")]
    Url(String),
    #[error("the request failed: {0}")]
    Request(String),
    #[error("the response has status {0}")]
    Status(u16),
    #[error("the content is not a JWKS")]
    Malformed,
}

/// Reads a JWKS.
pub(super) struct JwksReader {
    source: JwksSource,
    algorithm: KeyAlgorithm,
}

/// A key of a JWKS.
pub(super) struct PublicKey {
    id: Option<String>,
    key: DecodingKey,
}

/// A JWKS whose keys are not parsed yet. A key that cannot be parsed or is for another purpose is left out (RFC 7517 §5).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

impl JwksReader {
    /// A reader of the keys at this source that verify signatures of this algorithm. Reads nothing yet.
    pub(super) fn new(source: JwksSource, algorithm: Algorithm) -> Self {
        Self { source, algorithm: algorithm.into() }
    }
}

impl KeySource for JwksReader {
    type Key = PublicKey;
    type Error = JwksError;
    const FAILURE: &'static str = "JWT_JWKS cannot be read: make sure that it names a JWKS";
    /// An outage of the issuer, which is another service, does not reject valid tokens.
    const KEEPS_LAST_KEYS: bool = true;

    async fn read(&self) -> Result<Vec<PublicKey>, JwksError> {
        let content = match &self.source {
            JwksSource::File(path) => std::fs::read(path)?.into(),
            JwksSource::Url(url) => fetch(url).await?,
        };
        let set: KeySet = serde_json::from_slice(&content).map_err(|_| JwksError::Malformed)?;
        Ok(set.keys.into_iter().filter_map(|key| PublicKey::parse(key, self.algorithm)).collect())
    }
}

impl PublicKey {
    /// The key itself if it may have signed a token that names `kid`; any key may have signed a token that names none.
    pub(super) fn for_token(&self, kid: Option<&str>) -> Option<&DecodingKey> {
        if kid.is_none() || self.id.as_deref() == kid { Some(&self.key) } else { None }
    }

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
    let mut request = HttpRequest::get(url).map_err(|error| JwksError::Url(error.to_string()))?;
    if let Some(trace) = Trace::current() {
        // Its id only: the issuer is another company's, and the other fields are for AWS.
        request.headers_mut().insert(trace::HEADER, format!("Root={}", trace.id()));
    }
    // The issuer's certificate may be signed by any authority, so this client trusts those of the system.
    let response =
        Connector::trusting_system().call(request).await.map_err(|error| JwksError::Request(error_chain(&error)))?;
    if !response.status().is_success() {
        return Err(JwksError::Status(response.status().as_u16()));
    }
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
    Ok(body.map_err(|error| JwksError::Request(error_chain(&*error)))?.to_bytes())
}
