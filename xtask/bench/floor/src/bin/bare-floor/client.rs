//! A client of DynamoDB without the SDK: connections that are kept open, and Signature Version 4 by `ring`.

use std::env;
use std::sync::{Mutex as StdMutex, PoisonError};

use bench_floor::variable;
use bytes::Bytes;
use chrono::Utc;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use lambda_runtime::Error;
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

/// The service's name in a signature.
const SERVICE: &str = "dynamodb";

/// Open connections to the endpoint, and the credentials.
pub(crate) struct Client {
    connections: Vec<Mutex<SendRequest<Full<Bytes>>>>,
    host: String,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    /// The date of the last call, and the key that signs on it.
    signing_key: StdMutex<Option<(String, hmac::Key)>>,
}

impl Client {
    /// Opens this many connections to the endpoint of the environment.
    pub(crate) async fn connect(connections: usize) -> Result<Self, Error> {
        let url = variable("AWS_ENDPOINT_URL_DYNAMODB")?;
        let (scheme, host) = url.split_once("://").ok_or("AWS_ENDPOINT_URL_DYNAMODB is not a URL")?;
        let opened = try_join_all((0..connections).map(|_| open(scheme == "https", host))).await?;
        Ok(Self {
            connections: opened.into_iter().map(Mutex::new).collect(),
            host: host.to_owned(),
            region: variable("AWS_REGION")?,
            access_key_id: variable("AWS_ACCESS_KEY_ID")?,
            secret_access_key: variable("AWS_SECRET_ACCESS_KEY")?,
            session_token: env::var("AWS_SESSION_TOKEN").ok(),
            signing_key: StdMutex::default(),
        })
    }

    /// Makes a call, and returns the body of its response.
    pub(crate) async fn call(&self, connection: usize, operation: &str, body: String) -> Result<Bytes, Error> {
        let target = format!("DynamoDB_20120810.{operation}");
        let time = Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
        let authorization = self.sign(&time, &target, &body);
        let mut request = Request::post("/")
            .header("host", &self.host)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-date", time)
            .header("x-amz-target", target)
            .header("authorization", authorization);
        if let Some(token) = &self.session_token {
            request = request.header("x-amz-security-token", token);
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        let connection = self.connections.get(connection).ok_or("there is no such connection")?;
        let mut connection = connection.lock().await;
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status.is_success() {
            Ok(body)
        } else {
            Err(format!("{operation}: {status}: {}", String::from_utf8_lossy(&body)).into())
        }
    }

    /// The `Authorization` header of a call (AWS Signature Version 4).
    fn sign(&self, time: &str, target: &str, body: &str) -> String {
        let date = &time[..8];
        let (token, signed) = match &self.session_token {
            Some(token) => {
                (format!("x-amz-security-token:{token}\n"), "host;x-amz-date;x-amz-security-token;x-amz-target")
            }
            None => (String::new(), "host;x-amz-date;x-amz-target"),
        };
        let body_hash = hex::encode(digest(&SHA256, body.as_bytes()));
        let host = &self.host;
        let canonical =
            format!("POST\n/\n\nhost:{host}\nx-amz-date:{time}\n{token}x-amz-target:{target}\n\n{signed}\n{body_hash}");
        let scope = format!("{date}/{}/{SERVICE}/aws4_request", self.region);
        let canonical_hash = hex::encode(digest(&SHA256, canonical.as_bytes()));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical_hash}");
        let signature = hex::encode(hmac::sign(&self.signing_key(date), to_sign.as_bytes()));
        let id = &self.access_key_id;
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}")
    }

    /// The signing key of a date, which is derived once.
    fn signing_key(&self, date: &str) -> hmac::Key {
        let mut cached = self.signing_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cached_date, key)) = &*cached
            && cached_date == date
        {
            return key.clone();
        }
        let mut key = hmac::Key::new(HMAC_SHA256, format!("AWS4{}", self.secret_access_key).as_bytes());
        for part in [date, &self.region, SERVICE, "aws4_request"] {
            key = hmac::Key::new(HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        *cached = Some((date.to_owned(), key.clone()));
        key
    }
}

/// Opens a connection to `host`, with its port.
async fn open(tls: bool, host: &str) -> Result<SendRequest<Full<Bytes>>, Error> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    if !tls {
        return drive(TokioIo::new(stream)).await;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned();
    let stream = TlsConnector::from(shared::tls_config()).connect(ServerName::try_from(name)?, stream).await?;
    drive(TokioIo::new(stream)).await
}

/// Speaks HTTP on a connection, in a task of its own.
async fn drive(io: impl Read + Write + Unpin + Send + 'static) -> Result<SendRequest<Full<Bytes>>, Error> {
    let (sender, connection) = handshake(io).await?;
    tokio::spawn(connection);
    Ok(sender)
}
