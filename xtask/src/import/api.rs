//! The API as an import calls it: what is retried, how long the client waits, and what an error means for the user.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustls::crypto::ring;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::domain::{CampaignId, Id, ImportId};
use ureq::http::{self, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Error, Proxy};
use uuid::Uuid;

use super::journal::{Chunk, Linked};

/// The time limit of a request: twice that of API Gateway.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The most times that a request is sent.
const MAX_ATTEMPTS: u32 = 12;
/// The longest pause that the client chooses, and the longest that it lets the API choose.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// The most characters of an error that are shown.
const MAX_SHOWN: usize = 300;

/// A client of an API, with the credentials of one organization. It has no `Debug` form, which would show the key.
pub(super) struct Api {
    agent: Agent,
    /// Without a slash at its end.
    base: String,
    key: String,
    /// Waits between two attempts.
    pause: Box<dyn Fn(Duration) + Send + Sync>,
    /// Tells the user why the client waits.
    tell: Box<dyn Fn(&str) + Send + Sync>,
    /// Set when the run has failed, so that no request is sent again.
    pub(super) is_stopped: AtomicBool,
}

/// A request.
struct Call<'a> {
    method: &'static str,
    path: String,
    body: Option<String>,
    import: Option<ImportId>,
    idempotency_key: Option<&'a str>,
}

/// A response.
#[derive(Debug, Clone, Default)]
struct Response {
    status: u16,
    retry_after: Option<String>,
    link: Option<String>,
    body: String,
}

/// The report of an upload.
#[derive(Deserialize)]
struct UploadReport {
    created: u64,
    updated: u64,
    skipped: Vec<Skipped>,
    skipped_count: u64,
}

#[derive(Deserialize)]
struct Skipped {
    row: usize,
    detail: String,
}

#[derive(Deserialize)]
struct Created {
    id: Uuid,
}

#[derive(Deserialize)]
struct Campaign {
    id: Uuid,
    name: String,
}

/// What to do after an attempt.
#[derive(Debug)]
enum Verdict {
    /// There is a response to act on.
    Done(Response),
    /// Send the same request again: why, and the pause that the API asks for.
    Again(String, Option<Duration>),
    /// The request will not succeed.
    Failed(String),
}

impl<'a> Call<'a> {
    fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, import: None, idempotency_key: None }
    }

    fn body(self, body: String) -> Self {
        Self { body: Some(body), ..self }
    }

    fn key(self, key: &'a str) -> Self {
        Self { idempotency_key: Some(key), ..self }
    }
}

impl Api {
    /// A client of the API at this URL.
    ///
    /// # Errors
    /// The URL is not one of HTTPS or of this machine, the key cannot be sent, or there are no root certificates.
    pub(super) fn new(url: &str, key: &str, connections: usize, tell: Box<dyn Fn(&str) + Send + Sync>) -> Result<Self> {
        let (base, is_local) = base_url(url)?;
        ensure!(
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()),
            "the API key is empty, or has characters that no key has: copy it again"
        );
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_TIMEOUT))
            // A redirect would pass the key on.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections);
        if is_local {
            config = config.proxy(None::<Proxy>);
        } else {
            config = config.tls_config(tls()?);
        }
        Ok(Self {
            agent: config.build().into(),
            base,
            key: key.to_owned(),
            pause: Box::new(thread::sleep),
            tell,
            is_stopped: AtomicBool::new(false),
        })
    }

    /// The URL of the API, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Fails unless the API can be reached and accepts the key.
    pub(super) fn check_access(&self) -> Result<()> {
        let response = self
            .send(&Call::new("GET", "/imports/?limit=1"))
            .map_err(|error| anyhow!("cannot reach the API at {}: {}", self.base, describe(&error)))?;
        // A key that may not read may write.
        if matches!(response.status, 200 | 403 | 429 | 503) { Ok(()) } else { Err(self.refusal(&response)) }
    }

    /// The campaign with this id or name.
    pub(super) fn find_campaign(&self, id_or_name: &str) -> Result<CampaignId> {
        if let Ok(id) = CampaignId::parse(id_or_name) {
            let response = self.call(&Call::new("GET", format!("/campaigns/{id}")))?;
            return match response.status {
                // A key that may not read may link.
                200 | 403 => Ok(id),
                404 => bail!("there is no campaign with the id {id}: look it up with GET /campaigns/"),
                _ => Err(self.refusal(&response)),
            };
        }
        let mut found = Vec::new();
        let mut next = Some("/campaigns/?limit=1000".to_owned());
        while let Some(path) = next {
            let response = self.call(&Call::new("GET", path))?;
            let page: Vec<Campaign> = self.read(&response, 200)?;
            found.extend(page.into_iter().filter(|campaign| campaign.name == id_or_name).map(|campaign| campaign.id));
            next = response.link.as_deref().and_then(|link| self.next_path(link));
        }
        match found[..] {
            [id] => Ok(id.into()),
            [] => bail!("there is no campaign named \"{id_or_name}\": pass the id of a campaign, or another name"),
            _ => {
                let ids: Vec<_> = found.iter().map(ToString::to_string).collect();
                bail!("several campaigns are named \"{id_or_name}\": pass the id of one of them: {}", ids.join(", "))
            }
        }
    }

    /// `POST /imports/`.
    pub(super) fn create_import(&self, body: &Value, key: &str) -> Result<ImportId> {
        let response = self.call(&Call::new("POST", "/imports/").body(body.to_string()).key(key))?;
        self.read::<Created>(&response, 201).map(|created| created.id.into())
    }

    /// `PUT /imports/{import_id}`: the import is completed.
    pub(super) fn complete_import(&self, import: ImportId, rows: u64) -> Result<()> {
        let body = json!({"status": "completed", "total_rows": rows}).to_string();
        let response = self.call(&Call::new("PUT", format!("/imports/{import}")).body(body))?;
        self.read::<Created>(&response, 200).map(drop)
    }

    /// `POST /campaign-imports/{campaign_id}/imports`.
    pub(super) fn link(&self, campaign: CampaignId, import: ImportId, key: &str) -> Result<Linked> {
        let body = json!({"import_ids": [import]}).to_string();
        let path = format!("/campaign-imports/{campaign}/imports");
        let response = self.call(&Call::new("POST", path).body(body).key(key))?;
        self.read(&response, 201)
    }

    /// `POST /contacts/bulk`: uploads rows, each with its number and its JSON. If they are too much for one call, each half is
    /// uploaded.
    pub(super) fn upload(&self, import: ImportId, key: &str, rows: &[(u64, String)]) -> Result<Chunk> {
        let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else { bail!("a chunk without rows") };
        let body = rows.iter().map(|(_, json)| json.as_str()).collect::<Vec<_>>().join(",");
        let chunk_key = format!("{key}-{first}-{last}");
        let call = Call::new("POST", "/contacts/bulk?on_error=skip").body(format!("[{body}]")).key(&chunk_key);
        let response = self.call(&Call { import: Some(import), ..call })?;
        match response.status {
            400 | 413 if rows.len() > 1 => {
                let (left, right) = rows.split_at(rows.len() / 2);
                let (left, right) = (self.upload(import, key, left)?, self.upload(import, key, right)?);
                return Ok(left.joined(right));
            }
            207 => bail!("the import {import} does not exist any more: remove the journal to load from the start"),
            _ => {}
        }
        let report: UploadReport = self.read(&response, 201)?;
        let mut refused = BTreeMap::new();
        for Skipped { row, detail } in report.skipped {
            let (number, _) =
                row.checked_sub(1).and_then(|index| rows.get(index)).context("a row that was not sent")?;
            refused.insert(*number, detail.trim_start_matches("Validation error: ").to_owned());
        }
        ensure!(
            report.created + report.updated + report.skipped_count == rows.len() as u64
                && report.skipped_count == refused.len() as u64,
            "the API has reported {} created, {} updated and {} skipped rows of {}: this is an error of the API",
            report.created,
            report.updated,
            refused.len(),
            rows.len(),
        );
        Ok(Chunk { first: *first, last: *last, created: report.created, updated: report.updated, refused })
    }
}

/// Sending.
impl Api {
    /// Sends a request until there is a response to act on.
    ///
    /// # Errors
    /// The request cannot succeed, or it has failed too often.
    fn call(&self, call: &Call<'_>) -> Result<Response> {
        let mut attempt = 1;
        loop {
            let (reason, asked) = match verdict(self.send(call)) {
                Verdict::Done(response) => return Ok(response),
                Verdict::Failed(reason) => bail!("{} {}: {reason}", call.method, call.path),
                Verdict::Again(reason, asked) => (reason, asked),
            };
            ensure!(!self.is_stopped.load(Ordering::Relaxed), "stopped after {reason}");
            ensure!(attempt < MAX_ATTEMPTS, "{} {}: {reason}, {attempt} times", call.method, call.path);
            let pause = asked.unwrap_or_else(|| backoff(attempt, fastrand::f64()));
            if !pause.is_zero() {
                (self.tell)(&format!("{reason}; trying again in {:.1} s", pause.as_secs_f64()));
            }
            (self.pause)(pause);
            attempt += 1;
        }
    }

    /// Sends a request once.
    fn send(&self, call: &Call<'_>) -> Result<Response, Error> {
        let request = http::Request::builder().method(call.method).uri(format!("{}{}", self.base, call.path));
        let mut request = request.header("x-api-key", &self.key).header("content-type", "application/json");
        if let Some(import) = call.import {
            request = request.header("x-import-id", import.to_string());
        }
        if let Some(key) = call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let mut response = match &call.body {
            Some(body) => self.agent.run(request.body(body.as_str())?),
            None => self.agent.run(request.body(())?),
        }?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (retry_after, link) = (header("retry-after"), header("link"));
        let status = response.status().as_u16();
        Ok(Response { status, retry_after, link, body: response.body_mut().read_to_string()? })
    }

    /// The JSON of a response with this status; any other status is an error.
    fn read<T: DeserializeOwned>(&self, response: &Response, status: u16) -> Result<T> {
        if response.status != status {
            return Err(self.refusal(response));
        }
        serde_json::from_str(&response.body)
            .with_context(|| format!("the API at {} responds with unknown JSON: check its URL", self.base))
    }

    /// What a response that is no success means for the user.
    fn refusal(&self, response: &Response) -> anyhow::Error {
        let (status, detail) = (response.status, response.detail());
        match status {
            300..=399 => anyhow!("the API at {} redirects ({status}): pass its final URL with --api", self.base),
            401 => anyhow!("the API does not accept the key (401): check --key, or CONTACTS_API_KEY"),
            403 => anyhow!(
                "the API key may not do this (403, {detail}): use a key with the scope write; finding a campaign by its \
                 name needs the scope read, too"
            ),
            404 if detail.is_empty() || detail == "Not found" => {
                anyhow!("there is no contacts API at {} (404): check the URL", self.base)
            }
            _ => anyhow!("the API refuses the request ({status}): {detail}"),
        }
    }

    /// The path of the next page. `Link` has the path from the host on, which may begin with that of the base URL.
    fn next_path(&self, link: &str) -> Option<String> {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let base_path = self.base.parse::<Uri>().ok()?.path().trim_end_matches('/').to_owned();
        if parameters.contains("rel=\"next\"") { target.strip_prefix(&base_path).map(str::to_owned) } else { None }
    }
}

impl Response {
    /// The error in one line, without control characters.
    fn detail(&self) -> String {
        #[derive(Deserialize)]
        struct Detail {
            #[serde(alias = "message")]
            detail: String,
        }
        let detail = serde_json::from_str(&self.body).map_or_else(|_| self.body.clone(), |Detail { detail }| detail);
        detail.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SHOWN).collect()
    }

    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.retry_after.as_deref()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
    }
}

impl Chunk {
    /// This chunk and the one that follows it.
    fn joined(mut self, next: Self) -> Self {
        self.refused.extend(next.refused);
        let (created, updated) = (self.created + next.created, self.updated + next.updated);
        Self { last: next.last, created, updated, ..self }
    }
}

/// Decides what to do after an attempt. What is sent again has the same effect twice: `docs/api.md`, "Retries".
fn verdict(sent: Result<Response, Error>) -> Verdict {
    match sent {
        Ok(response) => {
            let asked = response.retry_after();
            let reason = match response.status {
                429 => "the API has too many requests (429)".to_owned(),
                409 if asked.is_some() => "the same request is still running (409)".to_owned(),
                status @ 500.. => format!("the API is not available ({status}, {})", response.detail()),
                _ => return Verdict::Done(response),
            };
            Verdict::Again(reason, asked)
        }
        Err(
            error @ (Error::Io(_)
            | Error::Timeout(_)
            | Error::HostNotFound
            | Error::ConnectionFailed
            | Error::Protocol(_)),
        ) => Verdict::Again(format!("no response ({})", describe(&error)), None),
        Err(error) => Verdict::Failed(describe(&error)),
    }
}

/// The pause after this many attempts: twice as long each time, less up to one half at random.
fn backoff(attempts: u32, random: f64) -> Duration {
    let longest = Duration::from_secs(1).saturating_mul(1 << (attempts - 1).min(10)).min(MAX_BACKOFF);
    longest.mul_f64(1.0 - random / 2.0)
}

/// An error of the connection, in one line.
fn describe(error: &Error) -> String {
    error.to_string().replace('\n', " ")
}

/// The URL without its last slash, and whether it is one of this machine.
fn base_url(url: &str) -> Result<(String, bool)> {
    let base = url.trim().trim_end_matches('/');
    let uri: Uri = base.parse().ok().with_context(|| format!("{base} is no URL: write https://HOST"))?;
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
        _ => bail!("{base} is no URL of an API: write https://HOST"),
    }
}

/// Trusts the root certificates of this machine, which include those of a company's own proxy.
fn tls() -> Result<TlsConfig> {
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
