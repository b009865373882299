//! The client of everything that calls a running API over HTTP: the black-box tests, and the developer's tools.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::aws::AMAZON_ROOTS;

/// Creates a client that keeps this many connections open. A status such as 429 is a response and no error; a response that
/// takes longer than `timeout` is an error.
pub fn http_client(timeout: Duration, connections: usize) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(timeout))
        .proxy(None)
        .max_idle_connections(connections)
        .max_idle_connections_per_host(connections)
        .tls_config(tls());
    config.build().into()
}

/// Trusts the certificate of a deployed API, which Amazon has signed.
fn tls() -> TlsConfig {
    let roots = AMAZON_ROOTS.map(Certificate::from_der);
    TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots.into())))
        .build()
}
