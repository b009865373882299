//! What the clients of AWS's services share: the region, the credentials and the HTTP client. Configured by hand, because the
//! default provider chain would read files and call services for what the environment variables already say.

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;

use crate::config::Database;

/// The certificate authorities that sign AWS's endpoints (Amazon Trust Services). Reading the system's whole bundle would
/// slow down every cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// The configuration that every client begins with. Opens no connection.
pub(crate) fn sdk_config(database: &Database) -> SdkConfig {
    let Database { region, access_key_id, secret_access_key, session_token, .. } = database;
    let credentials = Credentials::new(
        access_key_id,
        secret_access_key.reveal(),
        session_token.as_ref().map(|token| token.reveal().to_owned()),
        None,
        "environment",
    );
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client())
        // Attempts and time limits are the callers' matter: those of the table are in `dynamodb::retry`.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .build()
}

/// The configuration of an operator's profile, for callers that make attempts and limit time themselves.
#[cfg(feature = "operator")]
pub(crate) fn without_retries(sdk_config: &SdkConfig) -> SdkConfig {
    let builder = sdk_config.to_builder().retry_config(RetryConfig::disabled());
    builder.timeout_config(TimeoutConfig::disabled()).build()
}

/// The HTTP client of AWS's services.
pub fn http_client() -> SharedHttpClient {
    let trust = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    #[expect(clippy::expect_used, reason = "the only input is compiled in, and a test makes a client of it")]
    let tls = TlsContext::builder().with_trust_store(trust).build().expect("Amazon's certificates are well-formed");
    // `ring`, because aws-lc spends 20 ms of CPU gathering entropy before the first connection.
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https()
}
