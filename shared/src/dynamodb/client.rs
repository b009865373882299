//! The SDK's client, configured by hand: the default provider chain would read files and call services for what the
//! environment variables already say.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use crate::config::Database;

/// The certificate authorities that sign AWS's endpoints (Amazon Trust Services). Reading the system's whole bundle would
/// slow down every cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// The client of the configured database. Opens no connection.
pub(super) fn new(database: &Database) -> Client {
    let Database { region, access_key_id, secret_access_key, session_token, endpoint, .. } = database;
    let credentials = Credentials::new(
        access_key_id,
        secret_access_key.reveal(),
        session_token.as_ref().map(|token| token.reveal().to_owned()),
        None,
        "environment",
    );
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.clone()))
        .credentials_provider(credentials)
        // The only policy of attempts and time limits is that of `retry`.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled());
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    let trust = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    #[expect(clippy::expect_used, reason = "the only input is compiled in, and a test makes a client of it")]
    let tls = TlsContext::builder().with_trust_store(trust).build().expect("Amazon's certificates are well-formed");
    // `ring`, because aws-lc spends 20 ms of CPU gathering entropy before the first connection.
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https();
    Client::from_conf(config.http_client(http).build())
}
