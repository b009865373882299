//! A client of the API.

use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use shared::config::{Database, Secret};
use shared::dynamodb::{RetryPolicy, Table};
use ureq::Agent;
use ureq::http::{self, HeaderMap};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use uuid::Uuid;

/// The most requests under way at once, over all tests: the local gateway stands still for good above 100 of them.
const IN_FLIGHT: usize = 60;
/// The longest a request may take: longer than the API's own limit.
const LONGEST: Duration = Duration::from_secs(40);

/// The API under test.
pub(crate) static API: LazyLock<Api> = LazyLock::new(Api::from_env);

/// An API and two organizations of it.
pub(crate) struct Api {
    /// Its address, without a slash at the end.
    pub(crate) base_url: String,
    /// The organization that a test acts as.
    pub(crate) org: Org,
    /// Another organization.
    pub(crate) other: Org,
    /// Its table, where that is a local engine's.
    pub(crate) local_table: Option<Table>,
    agent: Agent,
    free: (Mutex<usize>, Condvar),
}

/// An organization's credentials.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the session file's names")]
pub(crate) struct Org {
    pub(crate) org_id: String,
    pub(crate) admin_key: String,
    pub(crate) read_key: String,
    pub(crate) revoked_key: String,
    pub(crate) jwt: String,
    pub(crate) expired_jwt: String,
}

#[derive(Deserialize)]
struct Session {
    base_url: String,
    #[serde(default)]
    dynamodb_url: String,
    #[serde(default)]
    table_name: String,
    orgs: [Org; 2],
}

impl Api {
    fn from_env() -> Self {
        let file = std::env::var("E2E_SESSION").expect("set E2E_SESSION to a file like target/dev/session.json");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let Session { base_url, dynamodb_url, table_name, orgs: [org, other] } =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let base_url = std::env::var("API_URL").unwrap_or(base_url).trim_end_matches('/').to_owned();
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(LONGEST)).proxy(None);
        let agent = config.max_idle_connections_per_host(IN_FLIGHT).tls_config(tls()).build().into();
        let local_table = dynamodb_url.starts_with("http://").then(|| local_table(dynamodb_url, table_name));
        Self { base_url, org, other, local_table, agent, free: (Mutex::new(IN_FLIGHT), Condvar::new()) }
    }

    /// Waits for its turn.
    fn in_turn<T>(&self, send: impl FnOnce() -> T) -> T {
        let (free, changed) = &self.free;
        let lock = free.lock().unwrap_or_else(PoisonError::into_inner);
        *changed.wait_while(lock, |free| *free == 0).unwrap_or_else(PoisonError::into_inner) -= 1;
        let answer = send();
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        changed.notify_one();
        answer
    }
}

/// For a deployed API, whose certificate Amazon has signed.
fn tls() -> TlsConfig {
    let pem = include_bytes!("../../src/dynamodb/amazon-roots.pem");
    let roots = parse_pem(pem).filter_map(|item| match item.unwrap() {
        PemItem::Certificate(root) => Some(root),
        _ => None,
    });
    TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
        .build()
}

fn local_table(endpoint: String, table: String) -> Table {
    let setting = |name: &str| std::env::var(name).ok();
    let database = Database {
        table,
        region: setting("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
        access_key_id: setting("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "local".to_owned()),
        secret_access_key: Secret::new("local"),
        session_token: None,
        endpoint: Some(endpoint),
    };
    Table::new(&database, RetryPolicy::default())
}

/// A request in the making: of the test's organization, unless it is told otherwise.
#[derive(Clone)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

pub(crate) fn get(path: &str) -> Request {
    Request::new("GET", path)
}

pub(crate) fn post(path: &str, body: &Value) -> Request {
    Request::new("POST", path).json(body)
}

pub(crate) fn put(path: &str, body: &Value) -> Request {
    Request::new("PUT", path).json(body)
}

pub(crate) fn patch(path: &str, body: &Value) -> Request {
    Request::new("PATCH", path).json(body)
}

pub(crate) fn delete(path: &str) -> Request {
    Request::new("DELETE", path)
}

impl Request {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        let headers = vec![("x-api-key".to_owned(), API.org.admin_key.clone())];
        Self { method, path: path.to_owned(), headers, body: Vec::new() }
    }

    /// With this query.
    pub(crate) fn query(mut self, query: &str) -> Self {
        self.path = format!("{}?{query}", self.path);
        self
    }

    /// With this header, instead of another of its name.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        let mut request = self.without(name);
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("x-api-key", key)
    }

    pub(crate) fn anonymous(self) -> Self {
        self.without("x-api-key")
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.anonymous().header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it. What does not come back as an answer fails the test.
    pub(crate) fn send(&self) -> Answer {
        let Self { method, path, headers, body } = self;
        let mut request = http::Request::builder().method(*method).uri(format!("{}{path}", API.base_url));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let (status, headers, text) = API
            .in_turn(|| {
                let mut response = if body.is_empty() {
                    API.agent.run(request.body(()).unwrap())
                } else {
                    API.agent.run(request.body(body.as_slice()).unwrap())
                }?;
                let text = response.body_mut().read_to_string()?;
                Ok::<_, ureq::Error>((response.status().as_u16(), response.headers().clone(), text))
            })
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        Answer { request: format!("{method} {path}"), status, headers, text }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    #[expect(dead_code, reason = "a failure shows it")]
    request: String,
    pub(crate) status: u16,
    headers: HeaderMap,
    /// The body, to the letter.
    pub(crate) text: String,
}

impl Answer {
    /// A header's value; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The id in the body.
    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {self:?}")).to_owned()
    }

    /// This very answer, or the test fails.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// An error with this sentence and nothing else.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, detail: &str) {
        assert_eq!((self.status, &*self.text), (status, &*json!({"detail": detail}).to_string()), "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        assert_ne!(self.header("x-request-id"), "", "{self:?}");
    }
}

/// The body of Jane Doe with this address.
pub(crate) fn jane(email: &str) -> Value {
    json!({"full_name": "Jane Doe", "email": email, "linkedin_profile": "https://linkedin.com/in/janedoe"})
}

/// An address that no contact has.
pub(crate) fn new_email() -> String {
    format!("jane.{}@example.com", Uuid::new_v4().simple())
}

/// A new contact's id.
pub(crate) fn new_contact() -> String {
    post("/contacts/", &jane(&new_email())).send().expect(201).id()
}

/// A new import's id.
pub(crate) fn new_import() -> String {
    post("/imports/", &json!({"source": "csv"})).send().expect(201).id()
}

/// A new campaign's id.
pub(crate) fn new_campaign(status: &str) -> String {
    post("/campaigns/", &json!({"name": "Q1-2024", "status": status})).send().expect(201).id()
}

/// A new API key, as the answer that made it shows it.
pub(crate) fn new_api_key(scopes: &[&str]) -> Answer {
    post("/api-keys/", &json!({"name": "a test's", "scopes": scopes, "live": false})).send().expect(201)
}

/// Within which what follows the table has followed: an index, the worker.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Asks until something is found, and gives that. `find` says what was there instead.
pub(crate) fn eventually<T>(within: Duration, find: impl Fn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + within;
    loop {
        match find() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < deadline, "still after {within:?}: {instead}"),
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// An API key as it is listed. A deployed table's index shows a new one a moment later.
pub(crate) fn until_listed(key_id: &str) -> Value {
    eventually(SOON, || {
        let listed = rows("/api-keys/");
        listed.iter().find(|key| key["id"] == key_id).cloned().ok_or_else(|| format!("{key_id} is none of {listed:?}"))
    })
}

/// The rows of a list.
pub(crate) fn rows(path: &str) -> Vec<Value> {
    let answer = get(path).send().expect(200);
    answer.json().as_array().unwrap_or_else(|| panic!("no list: {answer:?}")).clone()
}

/// The ids of the contacts with this address: one, or none.
pub(crate) fn ids_by_email(email: &str) -> Vec<String> {
    let rows = rows(&format!("/contacts/?email={email}"));
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Does something for each number below `count`, on as many threads as requests may be under way.
pub(crate) fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || work(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
