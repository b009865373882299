//! The shared secret of HS256 in AWS Secrets Manager: the version that signs new tokens, and the one before.
//!
//! The current version is read first. If the labels move in between, the current one is missing from the result, and the
//! first token that it has signed causes another read. In the other order it would be the previous one, which most tokens in
//! use are signed with.

use std::sync::OnceLock;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Builder, Region};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::{GetSecretValueError, GetSecretValueOutput};
use aws_types::SdkConfig;
use jsonwebtoken::DecodingKey;

use super::keys::KeySource;
use crate::aws::PassTrace;
use crate::config::{MIN_SECRET_BYTES, StoredSecret};
use crate::dynamodb::error_chain;

/// The staging label of the version that signs new tokens.
const CURRENT: &str = "AWSCURRENT";
/// The staging label of the version that was current before. A secret that was never rotated has none.
const PREVIOUS: &str = "AWSPREVIOUS";

/// Reads a secret. The client is built at the first read, so that a process without tokens does not pay for it.
pub(super) struct SecretReader {
    secret: StoredSecret,
    sdk_config: SdkConfig,
    client: OnceLock<Client>,
}

/// The reason why a secret cannot be read. Holds what Secrets Manager calls the error and no more of its response.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("Secrets Manager refused the call: {0}")]
    Refused(String),
    #[error("the call failed: {0}")]
    Call(String),
    #[error("the response cannot be read")]
    Malformed,
    #[error("no version of it can be used")]
    NoUsableVersion,
}

/// The reason why a version of the secret cannot be used.
#[derive(Debug, thiserror::Error)]
enum UnusableVersion {
    #[error("it is binary: store the secret as a string")]
    Binary,
    #[error("it is shorter than {MIN_SECRET_BYTES} bytes")]
    Short,
}

impl SecretReader {
    /// A reader of this secret. Calls nothing yet.
    pub(super) fn new(secret: StoredSecret, sdk_config: SdkConfig) -> Self {
        Self { secret, sdk_config, client: OnceLock::new() }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let StoredSecret { arn, endpoint, .. } = &self.secret;
            let config = Builder::from(&self.sdk_config).region(Region::new(arn.region().to_owned()));
            let mut config = config.interceptor(PassTrace);
            config.set_endpoint_url(endpoint.clone());
            Client::from_conf(config.build())
        })
    }

    /// The key of the version with this label; `None` for a missing version, and for an unusable one, which is logged.
    async fn version(&self, label: &str) -> Result<Option<DecodingKey>, SecretError> {
        let call = self.client().get_secret_value().secret_id(self.secret.arn.as_str()).version_stage(label);
        let version = match call.send().await {
            Ok(version) => version,
            Err(SdkError::ServiceError(error))
                if label == PREVIOUS && error.err().is_resource_not_found_exception() =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        match key(&version) {
            Ok(key) => Ok(Some(key)),
            Err(reason) => {
                tracing::error!(reason = %reason, "the version {label} of JWT_SECRET_ARN is not accepted");
                Ok(None)
            }
        }
    }
}

impl KeySource for SecretReader {
    type Key = DecodingKey;
    type Error = SecretError;
    const FAILURE: &'static str =
        "JWT_SECRET_ARN cannot be read: make sure that the secret exists and that the function may read it";
    /// A secret may have been withdrawn because it leaked, so it is not used for longer than it may be cached.
    const KEEPS_LAST_KEYS: bool = false;

    async fn read(&self) -> Result<Vec<DecodingKey>, SecretError> {
        let current = self.version(CURRENT).await?;
        let previous = self.version(PREVIOUS).await?;
        let keys: Vec<_> = current.into_iter().chain(previous).collect();
        if keys.is_empty() { Err(SecretError::NoUsableVersion) } else { Ok(keys) }
    }
}

fn key(version: &GetSecretValueOutput) -> Result<DecodingKey, UnusableVersion> {
    let secret = version.secret_string().ok_or(UnusableVersion::Binary)?;
    if secret.len() < MIN_SECRET_BYTES {
        return Err(UnusableVersion::Short);
    }
    Ok(DecodingKey::from_secret(secret.as_bytes()))
}

impl<R> From<SdkError<GetSecretValueError, R>> for SecretError {
    fn from(error: SdkError<GetSecretValueError, R>) -> Self {
        match error {
            SdkError::ServiceError(error) => {
                error.err().code().map_or(Self::Malformed, |code| Self::Refused(code.to_owned()))
            }
            SdkError::DispatchFailure(error) => {
                Self::Call(error.as_connector_error().map_or_else(String::new, |error| error_chain(error)))
            }
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
