//! The HTTP client of AWS's services and of the token issuer.
//!
//! **Problem.** The client that comes with the SDK also speaks HTTP/2 and goes through proxies, which no function does. It
//! decodes the certificates of its authorities from text, in constant time, and does so once to validate each service's
//! configuration and once to use it.
//!
//! **Approach.** The same libraries (`hyper`, `rustls` with `ring`) and the same TLS settings behind the SDK's interface,
//! [`HttpClient`]: HTTP/1.1, a pool of connections, and the time limits that a service's configuration sets. A connection is
//! closed when the SDK calls its response a transient failure.
//!
//! **If this is changed.** The pool is per client: a second client opens connections of its own.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use hyper::Uri;
use hyper_rustls::HttpsConnector;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector as TcpConnector, capture_connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
#[cfg(bench_root)]
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

/// The certificate authorities that sign AWS's endpoints (Amazon Trust Services, <https://www.amazontrust.com/repository/>).
/// Reading the system's whole bundle would slow down every cold start.
pub(crate) const AMAZON_ROOTS: [&[u8]; 5] = [
    include_bytes!("roots/amazon-root-ca-1.der"),
    include_bytes!("roots/amazon-root-ca-2.der"),
    include_bytes!("roots/amazon-root-ca-3.der"),
    include_bytes!("roots/amazon-root-ca-4.der"),
    include_bytes!("roots/starfield-services-root-ca-g2.der"),
];

/// The certificate authority of a local TLS server, in PEM, on which `cargo xtask bench` measures and `cargo xtask pgo` trains
/// functions. They compile them with `--cfg=bench_root`; a deployed function never is. Not a feature: the symbols of a crate
/// with another set of features have other names, and a profile belongs to the names.
#[cfg(bench_root)]
const BENCH_ROOT: Option<&str> = option_env!("BENCH_ROOT_PEM");

/// The longest body of a response. A `BatchGetItem` returns at most 16 MB (AWS, "Quotas in Amazon DynamoDB"), and its JSON is longer
/// than what DynamoDB counts.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// The HTTP client of AWS's services. Opens no connection.
pub fn http_client() -> SharedHttpClient {
    SharedHttpClient::new(PooledClient { tls: tls_config(), connectors: Mutex::default() })
}

/// The TLS settings for AWS's services, which trust Amazon's certificate authorities.
pub fn tls_config() -> Arc<ClientConfig> {
    tls(amazon_roots())
}

fn amazon_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(AMAZON_ROOTS.map(CertificateDer::from_slice));
    #[cfg(bench_root)]
    roots.add_parsable_certificates(BENCH_ROOT.and_then(|root| CertificateDer::from_pem_slice(root.as_bytes()).ok()));
    roots
}

/// A client with a connector for each set of time limits, of which a function has one.
#[derive(Debug)]
struct PooledClient {
    tls: Arc<ClientConfig>,
    connectors: Mutex<Vec<(TimeLimits, SharedHttpConnector)>>,
}

/// The time limits of a service's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct TimeLimits {
    connect: Option<Duration>,
    read: Option<Duration>,
}

impl HttpClient for PooledClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let limits = TimeLimits { connect: settings.connect_timeout(), read: settings.read_timeout() };
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = connectors.iter().find(|(of, _)| *of == limits) {
            return connector.clone();
        }
        let connector = SharedHttpConnector::new(Connector::new(self.tls.clone(), limits));
        connectors.push((limits, connector.clone()));
        connector
    }
}

/// Sends requests over a pool of connections.
pub(crate) struct Connector {
    client: Client<LimitedConnector, SdkBody>,
    read_timeout: Option<Duration>,
}

impl Connector {
    fn new(tls: Arc<ClientConfig>, limits: TimeLimits) -> Self {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = LimitedConnector { https: (tcp, tls).into(), limit: limits.connect };
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Self { client, read_timeout: limits.read }
    }

    /// A connector to servers whose certificate one of the system's authorities has signed.
    pub(crate) fn trusting_system() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::new(tls(roots), TimeLimits::default())
    }
}

/// Opens connections within a time limit: name resolution, TCP and TLS together.
#[derive(Clone)]
struct LimitedConnector {
    https: HttpsConnector<TcpConnector>,
    limit: Option<Duration>,
}

impl Service<Uri> for LimitedConnector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let (connection, limit) = (self.https.call(server), self.limit);
        Box::pin(async move {
            match limit {
                None => connection.await,
                Some(limit) => timeout(limit, connection).await?,
            }
        })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || Some(closable(connection.clone())));
        }
        let (response, read_timeout) = (self.client.request(request), self.read_timeout);
        HttpConnectorFuture::new(async move {
            let response = match read_timeout {
                None => response.await,
                Some(limit) => timeout(limit, response).await.map_err(|error| ConnectorError::timeout(error.into()))?,
            };
            let limited = |body| SdkBody::from_body_1_x(Limited::new(body, MAX_BODY));
            let response = response.map_err(connector_error)?.map(limited);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// The connection of a request, for the SDK to close.
fn closable(connection: CaptureConnection) -> ConnectionMetadata {
    let close = move || {
        if let Some(connection) = connection.connection_metadata().as_ref() {
            connection.poison();
        }
    };
    ConnectionMetadata::builder().proxied(false).poison_fn(close).build()
}

/// Every failure is one of the connection, and transient, unless the request is malformed.
fn connector_error(error: Error) -> ConnectorError {
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<hyper::Error>());
    if source.is_some_and(hyper::Error::is_user) {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

/// TLS 1.2 and 1.3, and HTTP/1.1 on top. `ring`, because aws-lc spends 20 ms of CPU gathering entropy before the first
/// connection.
fn tls(roots: RootCertStore) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    #[expect(
        clippy::expect_used,
        reason = "the provider has cipher suites of both versions, and every test makes a client"
    )]
    let builder = builder.with_safe_default_protocol_versions().expect("ring supports TLS 1.2 and 1.3");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector(…)")
    }
}

#[cfg(test)]
mod tests;
