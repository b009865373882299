//! Where the key may be sent to: a URL of HTTPS, whose certificate this machine trusts, or this machine itself.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustls::crypto::ring;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::dev::Session;
use crate::operator::inform;

/// The URL without its last slash, and whether it is one of this machine. No error shows the URL: it may have a password in it.
pub(super) fn base_url(url: &str) -> Result<(String, bool)> {
    let base = url.trim().trim_end_matches('/');
    let uri: Uri = base.parse().ok().context("the URL of the API is not valid: write https://HOST")?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    ensure!(
        uri.query().is_none() && !base.contains(['@', '#']),
        "the URL of the API has a user, a query or a fragment: write https://HOST, and pass the key as CONTACTS_API_KEY"
    );
    match uri.scheme_str() {
        Some("https") => Ok((base.to_owned(), false)),
        Some("http") if is_local => Ok((base.to_owned(), true)),
        Some("http") => bail!("http:// would send the API key unencrypted: write https://"),
        _ => bail!("the URL of the API has another scheme than https: write https://HOST"),
    }
}

/// Trusts the root certificates of this machine, which include those of a company's own proxy.
pub(super) fn tls() -> Result<TlsConfig> {
    let found = rustls_native_certs::load_native_certs();
    ensure!(
        !found.certs.is_empty(),
        "this machine has no root certificates: install them (ca-certificates), or name their file in SSL_CERT_FILE"
    );
    let roots = found.certs.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .build())
}

/// The URL and an API key of the API that `cargo dev` runs.
pub(super) fn local_api(root: &Path) -> Result<(String, String)> {
    const ADVICE: &str = "set CONTACTS_API_URL and CONTACTS_API_KEY, or start `cargo dev` to load into a local API";
    let session = Session::of_dev(root)?.with_context(|| format!("no API is given: {ADVICE}"))?;
    let org = session.orgs.into_iter().next().context("the API of `cargo dev` has no organization: restart it")?;
    inform(&format!("no API is given: using the one of `cargo dev` at {}", session.base_url));
    Ok((session.base_url, org.admin_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_sent_over_https_or_to_this_machine_only() {
        for (url, expected) in [
            ("https://api.example.com/", Some(("https://api.example.com", false))),
            (" https://api.example.com/crm/v2 ", Some(("https://api.example.com/crm/v2", false))),
            ("http://localhost:9000", Some(("http://localhost:9000", true))),
            ("http://127.0.0.1:9000/", Some(("http://127.0.0.1:9000", true))),
            ("http://[::1]:9000", Some(("http://[::1]:9000", true))),
            ("http://api.example.com", None),
            ("http://localhost.example.com", None),
            ("https://user:secret@api.example.com", None),
            ("https://api.example.com/?key=secret", None),
            ("api.example.com", None),
            ("ftp://api.example.com", None),
            ("https://user:secret@ho st", None),
            ("ftp://api.example.com/secret", None),
            ("api.example.com/secret", None),
            ("", None),
        ] {
            let found = base_url(url);
            assert_eq!(found.as_ref().ok().map(|(base, is_local)| (base.as_str(), *is_local)), expected, "{url}");
            if let Err(error) = found {
                assert!(!error.to_string().contains("secret"), "{error}");
            }
        }
    }

    #[test]
    fn this_machine_has_root_certificates() {
        assert!(tls().is_ok());
    }
}
