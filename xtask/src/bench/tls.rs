//! A TLS server in front of the engine, with a certificate authority of its own.
//!
//! The functions trust Amazon's certificate authorities alone. The ones that are measured are built with one more
//! (`--cfg=bench_root`): the certificate of this authority is made once, before the build, and kept beside the programs.
//! A deployed function cannot have it: nothing but [`Authority::trust`] sets the flag, and a contract test checks it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// The name of the server.
const HOST: &str = "localhost";

/// A certificate authority, kept in files.
pub(super) struct Authority {
    /// The certificate in PEM.
    pub(super) certificate: String,
    /// The file with the certificate.
    pub(super) file: PathBuf,
    key: KeyPair,
}

/// A TLS server that forwards to another one without TLS. Dropping it closes its port.
pub(super) struct TlsFront {
    pub(super) url: String,
    accepting: AbortHandle,
}

impl Authority {
    /// Reads the authority of this directory, or makes one.
    pub(super) fn load_or_create(directory: &Path) -> Result<Self> {
        let (file, key_file) = (directory.join("root.pem"), directory.join("root.key"));
        if let (Ok(certificate), Ok(key)) = (fs::read_to_string(&file), fs::read_to_string(&key_file)) {
            let key = KeyPair::from_pem(&key).with_context(|| format!("cannot read {}", key_file.display()))?;
            return Ok(Self { certificate, file, key });
        }
        let key = KeyPair::generate()?;
        let certificate = params()?.self_signed(&key)?.pem();
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        fs::write(&key_file, key.serialize_pem()).with_context(|| format!("cannot write {}", key_file.display()))?;
        fs::write(&file, &certificate).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Self { certificate, file, key })
    }

    /// Lets the functions that a command builds trust this authority, and gives the compiler more flags. `RUSTFLAGS` would replace
    /// these, and with cargo-lambda the processor to compile for.
    pub(super) fn trust(&self, cargo: &mut Command, flags: &[&str]) {
        let flags = [&["--cfg=bench_root"], flags].concat().join(" ");
        cargo.env("CARGO_BUILD_RUSTFLAGS", flags).env_remove("RUSTFLAGS").env("BENCH_ROOT_PEM", &self.certificate);
    }

    /// The configuration of a server with a certificate of this authority.
    fn server_config(&self) -> Result<ServerConfig> {
        let params = params()?;
        let issuer = Issuer::from_params(&params, &self.key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([HOST.to_owned()])?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(config)
    }
}

/// The authority's certificate before it is signed, which is the same every time but for its key.
fn params() -> Result<CertificateParams> {
    let mut params = CertificateParams::new([])?;
    params.distinguished_name.push(DnType::CommonName, "cargo xtask bench");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

impl TlsFront {
    /// Starts a server that forwards to `upstream`, given as `http://HOST:PORT`.
    pub(super) async fn start(authority: &Authority, upstream: &str) -> Result<Self> {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config()?));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen on a local port")?;
        let url = format!("https://{HOST}:{}", listener.local_addr()?.port());
        let accepting = tokio::spawn(accept_connections(listener, acceptor, upstream)).abort_handle();
        Ok(Self { url, accepting })
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept_connections(listener: TcpListener, acceptor: TlsAcceptor, upstream: String) {
    // Dropped with this task, which ends the connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(forward(stream, acceptor.clone(), upstream.clone()));
    }
}

/// Forwards one connection. A client that fails notices it by itself.
async fn forward(stream: TcpStream, acceptor: TlsAcceptor, upstream: String) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let mut upstream = TcpStream::connect(upstream).await?;
    upstream.set_nodelay(true)?;
    copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::TempDir;

    #[test]
    fn an_authority_is_made_once() {
        let directory = TempDir::new("bench-authority");
        let first = Authority::load_or_create(&directory.0).unwrap();
        let second = Authority::load_or_create(&directory.0).unwrap();
        assert_eq!(first.certificate, second.certificate);
        assert!(second.server_config().is_ok());
    }

    #[test]
    fn a_build_that_trusts_an_authority_has_its_certificate_and_every_flag() {
        let directory = TempDir::new("bench-trust");
        let authority = Authority::load_or_create(&directory.0).unwrap();
        let mut cargo = Command::new("cargo");
        authority.trust(&mut cargo, &["-Cprofile-generate=counted"]);
        let value = |name: &str| cargo.get_envs().find(|(known, _)| *known == name).map(|(_, value)| value);
        assert_eq!(value("BENCH_ROOT_PEM"), Some(Some(authority.certificate.as_ref())));
        assert_eq!(value("CARGO_BUILD_RUSTFLAGS"), Some(Some("--cfg=bench_root -Cprofile-generate=counted".as_ref())));
        // Removed: Cargo takes no flags of the other variable where this one is set.
        assert_eq!(value("RUSTFLAGS"), Some(None));
    }
}
