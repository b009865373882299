//! The API as an import calls it: what is retried, how long the client waits, and what an error means for the user.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::domain::{CampaignId, Id, ImportId};
use ureq::http::{self, Uri};
use ureq::{Agent, Error, Proxy};
use uuid::Uuid;

use super::connection::{base_url, tls};
use super::journal::{Chunk, Linked};
use super::response::{Response, Verdict, backoff, describe, one_line, verdict};
use super::stop::Stop;
use crate::operator::inform;

/// The time limit of a request: twice that of API Gateway.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// The most times that a request is sent.
const MAX_ATTEMPTS: u32 = 12;
/// How long linking is repeated: each call links another part of a large import before its deadline.
const LINK_TIME_LIMIT: Duration = Duration::from_hours(1);
/// The most pages of campaigns that are searched, 1,000 campaigns each.
const MAX_PAGES: usize = 1_000;

/// An error that the same load would meet again, however often it is repeated.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Permanent(pub(super) String);

/// Waits this long, or until the run is stopped.
type Pause = Box<dyn Fn(&Stop, Duration) + Send + Sync>;

/// A client of an API, with the credentials of one organization. It has no `Debug` form, which would show the key.
pub(super) struct Api {
    agent: Agent,
    /// Without a slash at its end.
    base: String,
    key: String,
    /// Waits between two attempts, or until the run is stopped.
    pause: Pause,
    /// Tells the user why the client waits.
    pub(super) tell: Box<dyn Fn(&str) + Send + Sync>,
    /// Set when the run has failed or is interrupted, so that no more requests are sent.
    pub(super) stop: Arc<Stop>,
    link_time_limit: Duration,
}

/// A request.
struct Call<'a> {
    method: &'static str,
    path: String,
    body: Option<String>,
    import: Option<ImportId>,
    idempotency_key: Option<&'a str>,
    limit: Limit,
}

/// When a request that fails is not sent again.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Attempts(u32),
    Time(Duration),
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

impl<'a> Call<'a> {
    fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: None,
            import: None,
            idempotency_key: None,
            limit: Limit::Attempts(MAX_ATTEMPTS),
        }
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
    pub(super) fn new(url: &str, key: &str, connections: usize) -> Result<Self> {
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
            pause: Box::new(Stop::wait),
            tell: Box::new(inform),
            stop: Arc::default(),
            link_time_limit: LINK_TIME_LIMIT,
        })
    }

    /// The URL of the API, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Fails unless the API can be reached and the key may load contacts: a dry run without rows needs the same scope.
    pub(super) fn check_access(&self) -> Result<()> {
        let call = Call::new("POST", "/contacts/bulk?dry_run=true").body("[]".to_owned());
        let response = self.send(&call).map_err(|error| {
            anyhow!(
                "cannot reach the API at {} ({}): check the URL and the network; for a local API start `cargo dev`",
                self.base,
                describe(&error)
            )
        })?;
        // An API that is busy now may take the rows later.
        if matches!(response.status, 200..=299 | 429 | 503) { Ok(()) } else { Err(self.refusal(&response)) }
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
        let mut pages = HashSet::new();
        while let Some(path) = next {
            ensure!(
                pages.len() < MAX_PAGES && pages.insert(path.clone()),
                "the API at {} has pages of campaigns without end: pass the id of the campaign instead of its name",
                self.base
            );
            let response = self.call(&Call::new("GET", path))?;
            let page: Vec<Campaign> = self.read(&response, 200)?;
            found.extend(page.into_iter().filter(|campaign| campaign.name == id_or_name).map(|campaign| campaign.id));
            next = response.link.as_deref().map_or(Ok(None), |link| self.next_path(link))?;
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

    /// `PUT /imports/{import_id}`: the import is in progress again. `false` if the organization of the key has no such import.
    /// A key that may write may not be able to read the import.
    pub(super) fn reopen_import(&self, import: ImportId) -> Result<bool> {
        let body = json!({"status": "processing"}).to_string();
        let response = self.call(&Call::new("PUT", format!("/imports/{import}")).body(body))?;
        if response.status == 404 {
            return Ok(false);
        }
        self.read::<Created>(&response, 200).map(|_| true)
    }

    /// `PUT /imports/{import_id}`: the import is completed.
    pub(super) fn complete_import(&self, import: ImportId, rows: u64) -> Result<()> {
        let body = json!({"status": "completed", "total_rows": rows}).to_string();
        let response = self.call(&Call::new("PUT", format!("/imports/{import}")).body(body))?;
        self.read::<Created>(&response, 200).map(drop)
    }

    /// `POST /campaign-imports/{campaign_id}/imports`, which is repeated until all contacts are linked.
    pub(super) fn link(&self, campaign: CampaignId, import: ImportId, key: &str) -> Result<Linked> {
        let body = json!({"import_ids": [import]}).to_string();
        let path = format!("/campaign-imports/{campaign}/imports");
        let call = Call::new("POST", path).body(body).key(key);
        let response = self.call(&Call { limit: Limit::Time(self.link_time_limit), ..call })?;
        let linked = self.read::<Linked>(&response, 201)?;
        Ok(Linked { several_calls: response.attempts > 1, ..linked })
    }

    /// `POST /contacts/bulk`: uploads rows, each with its number and its JSON. If they are too much for one call, each half is
    /// uploaded. A single row that the API does not take is refused.
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
            400 | 413 => {
                let refused = BTreeMap::from([(*first, response.detail())]);
                return Ok(Chunk { first: *first, last: *last, created: 0, updated: 0, refused });
            }
            207 => bail!(Permanent(format!("the import {import} was deleted"))),
            _ => {}
        }
        let report: UploadReport = self.read(&response, 201)?;
        let mut refused = BTreeMap::new();
        for Skipped { row, detail } in report.skipped {
            let (number, _) =
                row.checked_sub(1).and_then(|index| rows.get(index)).context("a row that was not sent")?;
            refused.insert(*number, one_line(detail.trim_start_matches("Validation error: ")));
        }
        let counted = report.created.checked_add(report.updated).and_then(|sum| sum.checked_add(report.skipped_count));
        ensure!(
            counted == Some(rows.len() as u64) && report.skipped_count == refused.len() as u64,
            Permanent(format!(
                "the API has reported {} created, {} updated and {} skipped rows of {}: this is an error of the API",
                report.created,
                report.updated,
                refused.len(),
                rows.len(),
            ))
        );
        Ok(Chunk { first: *first, last: *last, created: report.created, updated: report.updated, refused })
    }
}

/// Sending.
impl Api {
    /// Sends a request until there is a response to act on.
    ///
    /// # Errors
    /// The request cannot succeed, it has failed too often, or the run is stopped.
    fn call(&self, call: &Call<'_>) -> Result<Response> {
        let begun_at = Instant::now();
        let mut attempt = 1;
        loop {
            self.stop.ensure_running()?;
            let (reason, asked) = match verdict(self.send(call)) {
                Verdict::Done(response) => return Ok(Response { attempts: attempt, ..response }),
                Verdict::Failed(reason) => bail!("{} {}: {reason}", call.method, call.path),
                Verdict::Again(reason, asked) => (reason, asked),
            };
            self.stop.ensure_running()?;
            let is_last = match call.limit {
                Limit::Attempts(most) => attempt >= most,
                Limit::Time(longest) => begun_at.elapsed() >= longest,
            };
            ensure!(!is_last, "{} {}: {reason}, {attempt} times", call.method, call.path);
            let pause = asked.unwrap_or_else(|| backoff(attempt, fastrand::f64()));
            if !pause.is_zero() {
                (self.tell)(&format!("{reason}; trying again in {:.1} s", pause.as_secs_f64()));
            }
            (self.pause)(&self.stop, pause);
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
        Ok(Response { status, retry_after, link, body: response.body_mut().read_to_string()?, attempts: 1 })
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
                "the API refuses this (403, {detail}): the key lacks the scope write, or read to find a campaign, or the \
                 organization is suspended: ask your administrator"
            ),
            404 if detail.is_empty() || detail == "Not found" => {
                anyhow!("there is no contacts API at {} (404): check the URL", self.base)
            }
            _ => anyhow!(Permanent(format!("the API refuses the request ({status}): {detail}"))),
        }
    }

    /// The path of the next page. `Link` has the path from the host on, which begins with that of the base URL.
    ///
    /// # Errors
    /// The page is not below the base URL: the key would be sent to another server.
    fn next_path(&self, link: &str) -> Result<Option<String>> {
        let Some((target, parameters)) = link.trim().strip_prefix('<').and_then(|link| link.split_once('>')) else {
            return Ok(None);
        };
        if !parameters.contains("rel=\"next\"") {
            return Ok(None);
        }
        let base: Uri = self.base.parse()?;
        let path = target.strip_prefix(base.path().trim_end_matches('/')).unwrap_or_default();
        let next: Option<Uri> = format!("{}{path}", self.base).parse().ok();
        ensure!(
            path.starts_with('/')
                && !path.starts_with("//")
                && next.is_some_and(|next| next.scheme() == base.scheme() && next.authority() == base.authority()),
            "the API at {} names a next page that is not below its URL: pass the id of the campaign instead of its name",
            self.base
        );
        Ok(Some(path.to_owned()))
    }
}

impl Chunk {
    /// This chunk and the one that follows it.
    fn joined(mut self, next: Self) -> Self {
        self.refused.extend(next.refused);
        let (created, updated) = (self.created.saturating_add(next.created), self.updated.saturating_add(next.updated));
        Self { last: next.last, created, updated, ..self }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::Mutex;
    use std::thread::{self, JoinHandle};

    use super::*;
    use crate::import::response::{MAX_RETRY_AFTER, MAX_SHOWN};

    const IMPORT: Uuid = Uuid::from_u128(7);
    const KEY: &str = "sk_test_secret";

    /// A request that a server has received.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Received {
        line: String,
        headers: BTreeMap<String, String>,
        body: String,
    }

    /// A client, the pauses that it makes, and a server that sends these responses; it drops the connection instead of an empty
    /// one.
    pub(in super::super) struct Served {
        pub(in super::super) api: Api,
        pauses: Arc<Mutex<Vec<Duration>>>,
        server: JoinHandle<Vec<Received>>,
    }

    impl Served {
        pub(in super::super) fn new(responses: &[(u16, &'static str, &str)]) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/base/", listener.local_addr().unwrap());
            let responses: Vec<_> =
                responses.iter().map(|(status, header, body)| (*status, *header, (*body).to_owned())).collect();
            let server = thread::spawn(move || responses.iter().map(|response| respond(&listener, response)).collect());
            let mut api = Api::new(&url, KEY, 1).unwrap();
            let pauses = Arc::new(Mutex::new(Vec::new()));
            let made = pauses.clone();
            api.tell = Box::new(|_| ());
            api.pause = Box::new(move |_, pause| made.lock().unwrap().push(pause));
            Self { api, pauses, server }
        }

        fn pauses(&self) -> Vec<u64> {
            self.pauses.lock().unwrap().iter().map(Duration::as_secs).collect()
        }

        fn received(self) -> Vec<Received> {
            self.server.join().unwrap()
        }
    }

    fn respond(listener: &TcpListener, (status, header, body): &(u16, &str, String)) -> Received {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let mut lines = reader.by_ref().lines().map(Result::unwrap);
        let line = lines.next().unwrap();
        let headers: BTreeMap<_, _> = lines
            .take_while(|line| !line.is_empty())
            .map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())).unwrap())
            .collect();
        let mut received = vec![0; headers.get("content-length").map_or(0, |len| len.parse().unwrap())];
        reader.read_exact(&mut received).unwrap();
        if *status > 0 {
            let len = body.len();
            write!(&stream, "HTTP/1.1 {status} x\r\n{header}content-length: {len}\r\nconnection: close\r\n\r\n{body}")
                .unwrap();
        }
        Received { line, headers, body: String::from_utf8(received).unwrap() }
    }

    fn rows(count: u64) -> Vec<(u64, String)> {
        (1..=count).map(|number| (number * 10, format!("{{\"row\":{number}}}"))).collect()
    }

    fn report(created: u64, updated: u64, skipped: &str) -> String {
        let count = skipped.matches("\"row\"").count();
        format!(r#"{{"created":{created},"updated":{updated},"skipped":[{skipped}],"skipped_count":{count}}}"#)
    }

    fn upload(served: &Served, count: u64) -> Result<Chunk> {
        served.api.upload(IMPORT.into(), "load", &rows(count))
    }

    #[test]
    fn an_upload_names_its_import_and_the_rows_that_are_refused() {
        let skipped = r#"{"row":2,"email":null,"detail":"Validation error: metadata would grow the contact"}"#;
        let served = Served::new(&[(201, "", &report(1, 1, skipped))]);

        let chunk = upload(&served, 3).unwrap();

        let refused = BTreeMap::from([(20, "metadata would grow the contact".to_owned())]);
        assert_eq!(chunk, Chunk { first: 10, last: 30, created: 1, updated: 1, refused });
        let received = &served.received()[0];
        assert_eq!(received.line, "POST /base/contacts/bulk?on_error=skip HTTP/1.1");
        assert_eq!(received.body, r#"[{"row":1},{"row":2},{"row":3}]"#);
        for (name, value) in [
            ("x-api-key", KEY),
            ("x-import-id", &IMPORT.to_string()),
            ("idempotency-key", "load-10-30"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(received.headers[name], value);
        }
    }

    #[test]
    fn a_request_that_may_succeed_later_is_sent_again_when_the_api_says_with_the_same_key() {
        let served = Served::new(&[
            (429, "retry-after: 7\r\n", r#"{"detail":"Too many requests"}"#),
            (503, "retry-after: 1\r\n", ""),
            (409, "retry-after: 40\r\n", ""),
            (0, "", ""),
            (502, "", "<html>"),
            (429, "retry-after: 9999\r\n", ""),
            (201, "", &report(1, 0, "")),
        ]);

        upload(&served, 1).unwrap();

        let pauses = served.pauses();
        assert_eq!((&pauses[..3], pauses[5]), (&[7, 1, 40][..], MAX_RETRY_AFTER.as_secs()));
        assert!((4..=8).contains(&pauses[3]) && (8..=16).contains(&pauses[4]), "{pauses:?}");
        let received = served.received();
        assert_eq!(received.len(), 7);
        assert!(received.iter().all(|request| *request == received[0]), "{received:?}");
    }

    #[test]
    fn a_request_is_not_sent_for_ever_and_not_after_another_has_failed() {
        let served = Served::new(&[(503, "retry-after: 0\r\n", r#"{"detail":"try again"}"#); MAX_ATTEMPTS as usize]);
        let error = upload(&served, 1).unwrap_err().to_string();
        assert_eq!(error, "POST /contacts/bulk?on_error=skip: the API is not available (503, try again), 12 times");
        served.received();

        let served = Served::new(&[]);
        served.api.stop.stop();
        assert_eq!(upload(&served, 1).unwrap_err().to_string(), "stopped by a signal");
    }

    #[test]
    fn a_pause_ends_when_the_run_is_stopped() {
        let mut served = Served::new(&[(503, "retry-after: 300\r\n", "")]);
        let stop = served.api.stop.clone();
        served.api.pause = Box::new(Stop::wait);
        // What is told comes just before the pause.
        served.api.tell = Box::new(move |_| stop.stop());

        assert_eq!(upload(&served, 1).unwrap_err().to_string(), "stopped by a signal");
        assert_eq!(served.received().len(), 1);
    }

    #[test]
    fn linking_is_repeated_for_a_time_and_says_that_its_numbers_are_of_the_last_call() {
        const NUMBERS: &str = r#"{"considered_contacts":5,"excluded_contacts":3,"inserted_leads":2}"#;
        let busy = (503, "retry-after: 0\r\n", r#"{"detail":"try again"}"#);
        let link = |served: &Served| served.api.link(IMPORT.into(), IMPORT.into(), "load");

        for unfinished in [0, MAX_ATTEMPTS as usize] {
            let responses = [vec![busy; unfinished], vec![(201, "", NUMBERS)]].concat();
            let served = Served::new(&responses);
            let linked = link(&served).unwrap();
            assert_eq!((linked.inserted_leads, linked.several_calls), (2, unfinished > 0));
            served.received();
        }

        let mut served = Served::new(&[busy]);
        served.api.link_time_limit = Duration::ZERO;
        let error = link(&served).unwrap_err().to_string();
        assert!(error.ends_with("the API is not available (503, try again), 1 times"), "{error}");
        served.received();
    }

    #[test]
    fn an_import_of_another_organization_is_not_reopened() {
        for (status, body, expected) in [
            (200, format!(r#"{{"id":"{IMPORT}"}}"#), true),
            (404, r#"{"detail":"Import not found"}"#.to_owned(), false),
        ] {
            let served = Served::new(&[(status, "", &body)]);
            assert_eq!(served.api.reopen_import(IMPORT.into()).unwrap(), expected);
            let received = &served.received()[0];
            assert_eq!(received.line, format!("PUT /base/imports/{IMPORT} HTTP/1.1"));
            assert_eq!(received.body, r#"{"status":"processing"}"#);
        }
    }

    #[test]
    fn a_single_row_that_the_api_does_not_take_is_refused() {
        for status in [400, 413] {
            let served = Served::new(&[
                (status, "", r#"{"detail":"too long"}"#),
                (status, "", "{\"detail\":\"too\\nlong\"}"),
                (201, "", &report(1, 0, "")),
            ]);
            let chunk = upload(&served, 2).unwrap();
            let refused = BTreeMap::from([(10, "too long".to_owned())]);
            assert_eq!(chunk, Chunk { first: 10, last: 20, created: 1, updated: 0, refused });
            served.received();
        }
    }

    #[test]
    fn rows_that_are_too_much_for_one_call_are_sent_in_halves() {
        let too_large = r#"{"detail":"Request body must be at most 4000000 bytes"}"#;
        let served = Served::new(&[
            (413, "", too_large),
            (201, "", &report(1, 0, "")),
            (400, "", too_large),
            (201, "", &report(0, 1, "")),
            (201, "", &report(0, 0, r#"{"row":1,"detail":"x"}"#)),
        ]);

        let chunk = upload(&served, 3).unwrap();

        let refused = BTreeMap::from([(30, "x".to_owned())]);
        assert_eq!(chunk, Chunk { first: 10, last: 30, created: 1, updated: 1, refused });
        let keys: Vec<_> =
            served.received().into_iter().map(|mut request| request.headers.remove("idempotency-key")).collect();
        let expected = ["load-10-30", "load-10-10", "load-20-30", "load-20-20", "load-30-30"];
        assert_eq!(keys.into_iter().flatten().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_response_that_is_no_success_says_what_to_do_and_not_the_key() {
        for (status, body, expected) in [
            (401, r#"{"detail":"Invalid"}"#, "the API does not accept the key (401): check --key, or CONTACTS_API_KEY"),
            (301, "", "redirects (301): pass its final URL with --api"),
            (403, r#"{"detail":"You do not have permission"}"#, "(403, You do not have permission): the key lacks"),
            (404, r#"{"message":"Not found"}"#, "there is no contacts API at http://127.0.0.1"),
            (422, "{\"detail\":\"a\u{1b}[31m\"}", "the API refuses the request (422): "),
            (207, "", "the import 00000000-0000-0000-0000-000000000007 was deleted"),
            (201, "<html>", "responds with unknown JSON: check its URL"),
            (201, &report(0, 0, ""), "0 created, 0 updated and 0 skipped rows of 1: this is an error of the API"),
        ] {
            let served = Served::new(&[(status, "location: http://127.0.0.1:1/\r\n", body)]);
            let error = format!("{:#}", upload(&served, 1).unwrap_err());
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains(KEY) && !error.contains(char::is_control), "{error}");
            served.received();
        }
    }

    #[test]
    fn a_key_without_the_scope_write_fails_before_the_file_is_checked() {
        let check = |status, body| {
            let served = Served::new(&[(status, "", body)]);
            let checked = served.api.check_access().map_err(|error| error.to_string());
            (checked, served.received().remove(0))
        };

        let (accepted, received) = check(200, "{}");
        assert_eq!((accepted, received.body.as_str()), (Ok(()), "[]"));
        assert_eq!(received.line, "POST /base/contacts/bulk?dry_run=true HTTP/1.1");
        for busy in [429, 503] {
            assert_eq!(check(busy, "{}").0, Ok(()));
        }
        let (refused, _) = check(403, r#"{"detail":"API key lacks the scope"}"#);
        assert!(refused.unwrap_err().contains("the key lacks the scope write, or"));
    }

    #[test]
    fn an_error_that_comes_again_is_told_from_one_that_may_pass() {
        for (status, body, is_permanent) in [
            (207, "", true),
            (404, r#"{"detail":"Import not found"}"#, true),
            (409, r#"{"detail":"The key was used for another request"}"#, true),
            (401, r#"{"detail":"Invalid"}"#, false),
            (403, r#"{"detail":"Suspended"}"#, false),
        ] {
            let served = Served::new(&[(status, "", body)]);
            assert_eq!(upload(&served, 1).unwrap_err().is::<Permanent>(), is_permanent, "{status}");
            served.received();
        }
        let served = Served::new(&[(503, "retry-after: 0\r\n", ""); MAX_ATTEMPTS as usize]);
        assert!(!upload(&served, 1).unwrap_err().is::<Permanent>());
        served.received();
    }

    #[test]
    fn a_campaign_is_found_by_its_name_on_any_page_or_by_its_id() {
        let page = |name: &str, id: u128| format!(r#"[{{"id":"{}","name":"{name}"}}]"#, Uuid::from_u128(id));
        let next = "link: </base/campaigns/?limit=1000&cursor=c>; rel=\"next\"\r\n";
        let found = |responses: &[(u16, &'static str, &str)], name: &str| {
            let served = Served::new(responses);
            let found = served.api.find_campaign(name).map_err(|error| error.to_string());
            (found, served.received().into_iter().map(|request| request.line).collect::<Vec<_>>())
        };

        let (id, lines) = found(&[(200, next, &page("Q1", 1)), (200, "", &page("Q2", 2))], "Q2");
        assert_eq!(id, Ok(Uuid::from_u128(2).into()));
        assert_eq!(lines[1], "GET /base/campaigns/?limit=1000&cursor=c HTTP/1.1");
        let (twice, _) = found(&[(200, next, &page("Q2", 1)), (200, "", &page("Q2", 2))], "Q2");
        assert!(twice.unwrap_err().starts_with("several campaigns are named \"Q2\": pass the id of one of them: 0000"));
        let (none, _) = found(&[(200, "", "[]")], "Q2");
        assert!(none.unwrap_err().starts_with("there is no campaign named \"Q2\""));
        let id = IMPORT.to_string();
        assert_eq!(found(&[(200, "", "{}")], &id).0, Ok(IMPORT.into()));
        assert!(found(&[(404, "", "{}")], &id).0.unwrap_err().starts_with("there is no campaign with the id"));
    }

    #[test]
    fn a_key_that_cannot_be_sent_is_an_error_without_the_key() {
        for key in ["", "sk test", "sk_test\n", "sk_tést"] {
            let error = Api::new("http://localhost", key, 1).err().unwrap().to_string();
            assert!(error.starts_with("the API key is empty, or has characters"), "{error}");
        }
    }

    /// What finding a campaign ends with, when the first page names this target as the next one.
    fn next_page(target: &str) -> String {
        let header: &'static str = format!("link: <{target}>; rel=\"next\"\r\n").leak();
        let served = Served::new(&[(200, header, "[]")]);
        let error = served.api.find_campaign("Q1").unwrap_err().to_string();
        assert_eq!(served.received().len(), 1);
        error
    }

    #[test]
    fn the_key_is_sent_to_no_other_authority_that_a_next_page_names() {
        for target in [
            "/base@127.0.0.1:1/steal",
            "/base.example.com/",
            "/base//example.com/",
            "//example.com/",
            "/other/?cursor=c",
        ] {
            let error = next_page(target);
            assert!(error.contains("names a next page that is not below its URL"), "{target}: {error}");
            assert!(!error.contains("example.com"), "{error}");
        }
    }

    #[test]
    fn counts_that_overflow_are_an_error() {
        for counts in [(u64::MAX, 1), (u64::MAX, 2), (u64::MAX - 1, 1)] {
            let served = Served::new(&[(201, "", &report(counts.0, counts.1, ""))]);
            let error = upload(&served, 1).unwrap_err().to_string();
            assert!(error.ends_with("rows of 1: this is an error of the API"), "{error}");
            served.received();
        }
    }

    #[test]
    fn a_reason_is_one_line_of_limited_length_without_control_characters() {
        let detail = format!("a\\u001b[31m\\n{}", "x".repeat(MAX_SHOWN));
        let served = Served::new(&[(201, "", &report(0, 0, &format!(r#"{{"row":1,"detail":"{detail}"}}"#)))]);
        let reason = upload(&served, 1).unwrap().refused.remove(&10).unwrap();
        assert!(reason.starts_with("a [31m x"), "{reason:?}");
        assert_eq!(reason.chars().count(), MAX_SHOWN);
        served.received();
    }

    #[test]
    fn pages_that_come_again_are_an_error() {
        let next = "link: </base/campaigns/?cursor=c>; rel=\"next\"\r\n";
        let served = Served::new(&[(200, next, "[]"), (200, next, "[]")]);
        let error = served.api.find_campaign("Q1").unwrap_err().to_string();
        assert!(error.contains("has pages of campaigns without end"), "{error}");
        served.received();
    }
}
