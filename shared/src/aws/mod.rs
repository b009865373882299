//! What the clients of AWS's services share: the region, the credentials, the HTTP client and the trace of a call. Configured by
//! hand, because the default provider chain would read files and call services for what the environment variables already say.

mod http_client;

#[cfg(feature = "testing")]
pub(crate) use http_client::AMAZON_ROOTS;
pub(crate) use http_client::Connector;
pub use http_client::{http_client, tls_config};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents, SharedCredentialsProvider,
};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_types::SdkConfig;

use crate::config::Database;
use crate::trace::{self, Trace};

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

/// Passes the current trace on with each call.
#[derive(Debug)]
pub(crate) struct PassTrace;

#[dyn_dispatch_hint]
impl Intercept for PassTrace {
    fn name(&self) -> &'static str {
        "PassTrace"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(trace) = Trace::current() {
            context.request_mut().headers_mut().insert(trace::HEADER, trace.header().to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;
    use crate::config::Secret;
    use crate::dynamodb::{CapacityMeter, RetryPolicy, Table, keys};

    /// Receives one call per connection, and returns the values of their tracing headers.
    async fn traces_of(listener: TcpListener, calls: usize) -> Vec<Option<String>> {
        let mut traces = Vec::new();
        for _ in 0..calls {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let values = head.lines().filter_map(|line| line.strip_prefix("x-amzn-trace-id: "));
            traces.push(values.map(str::to_owned).next());
            connection.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await.unwrap();
        }
        traces
    }

    #[tokio::test]
    async fn a_call_carries_the_trace_of_its_own_invocation() {
        const TIMEOUT: Duration = Duration::from_secs(10);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let database = Database {
            table: "contacts".to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: "local".to_owned(),
            secret_access_key: Secret::new("local"),
            session_token: None,
            endpoint: Some(format!("http://{}", listener.local_addr().unwrap())),
        };
        let table = Table::new(&database, RetryPolicy::default());
        let client = table.client(Instant::now() + TIMEOUT, CapacityMeter::default()).with_single_attempt(TIMEOUT);
        let key = keys::contact(Uuid::nil().into(), Uuid::nil().into());
        let header = |number: u8| format!("Root=1-5759e988-bd862e3fe1be46a9942727{number:02x};Sampled=0");
        let invocation = |number: u8| trace::in_scope(Trace::parse(&header(number)), client.get(&key));

        let (mut traces, ..) = tokio::join!(traces_of(listener, 3), invocation(1), invocation(2), client.get(&key));

        traces.sort();
        assert_eq!(traces, [None, Some(header(1)), Some(header(2))]);
    }
}
