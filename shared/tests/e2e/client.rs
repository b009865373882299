//! An HTTP client of the API, and the entities that most tests need.

use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use shared::config::{Database, Secret};
use shared::dynamodb::{RetryPolicy, Table};
use shared::testing::http_client;
use tokio::runtime::{Builder, Runtime};
use ureq::Agent;
use ureq::http::{self, HeaderMap};
use uuid::Uuid;

/// The limit of concurrent requests over all tests: the local gateway hangs above 100.
const MAX_CONCURRENT_REQUESTS: usize = 60;

/// The timeout of a request, longer than the API's own.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);

/// The time within which an index and the worker have caught up with the table. An emulated cloud on two cores is slow while
/// other tests load it.
pub(crate) const PROPAGATION_TIMEOUT: Duration = Duration::from_mins(2);

/// The API under test.
pub(crate) static API: LazyLock<Api> = LazyLock::new(Api::from_env);

/// An API and two of its organizations.
pub(crate) struct Api {
    /// The URL without a trailing slash.
    pub(crate) base_url: String,
    /// The URL of Lambda's API, if it takes unsigned requests, as the local gateway does.
    pub(crate) lambda_url: Option<String>,
    /// The organization that a test acts as.
    pub(crate) org: Org,
    /// Another organization.
    pub(crate) other: Org,
    /// The table, if it lies on a local engine.
    local_table: Option<Table>,
    agent: Agent,
    permits: Permits,
}

/// The credentials of an organization.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the session file")]
pub(crate) struct Org {
    pub(crate) org_id: String,
    pub(crate) admin_key: String,
    pub(crate) read_key: String,
    pub(crate) revoked_key: String,
    pub(crate) jwt: String,
    /// Empty if the API has no previous secret.
    #[serde(default)]
    pub(crate) previous_jwt: String,
    pub(crate) expired_jwt: String,
}

/// The file in which `cargo dev` describes the API that it runs.
#[derive(Deserialize)]
struct Session {
    base_url: String,
    lambda_url: Option<String>,
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
        let Session { base_url, lambda_url, dynamodb_url, table_name, orgs: [org, other] } =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let base_url = std::env::var("API_URL").unwrap_or(base_url).trim_end_matches('/').to_owned();
        let agent = http_client(REQUEST_TIMEOUT, MAX_CONCURRENT_REQUESTS);
        let is_local = dynamodb_url.starts_with("http://");
        let local_table = if is_local { Some(local_table(dynamodb_url, table_name)) } else { None };
        let permits = Permits::new(MAX_CONCURRENT_REQUESTS);
        Self { base_url, lambda_url, org, other, local_table, agent, permits }
    }
}

impl Api {
    /// The URL before the paths in `Location` and `Link`: scheme and host of the base URL. On the emulated cloud, an API has a
    /// path in place of a host, to which the stage `$default` belongs.
    fn origin(&self) -> &str {
        const EMULATED_HOST: &str = "/_aws/execute-api/";
        let url = self.base_url.as_str();
        if url.ends_with("/$default") {
            return url;
        }
        let before_host = ["://", EMULATED_HOST].into_iter().filter_map(|end| Some(url.find(end)? + end.len())).max();
        let host = before_host.unwrap_or_default();
        let length = url[host..].find('/').unwrap_or(url.len() - host);
        &url[..host + length]
    }

    /// The path of the base URL: blank, or like `/v1`.
    pub(crate) fn base_path(&self) -> &str {
        &self.base_url[self.origin().len()..]
    }
}

/// A blocking semaphore, which the standard library lacks.
struct Permits {
    available: Mutex<usize>,
    released: Condvar,
}

impl Permits {
    fn new(count: usize) -> Self {
        Self { available: Mutex::new(count), released: Condvar::new() }
    }

    /// Waits for a permit and holds it during `work`.
    fn hold_during<T>(&self, work: impl FnOnce() -> T) -> T {
        let available = self.available.lock().unwrap_or_else(PoisonError::into_inner);
        let none_available = |available: &mut usize| *available == 0;
        *self.released.wait_while(available, none_available).unwrap_or_else(PoisonError::into_inner) -= 1;
        let result = work();
        *self.available.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.released.notify_one();
        result
    }
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

/// Works with the table directly, if it lies on a local engine; `None` for a deployed table.
pub(crate) fn with_local_table<T>(work: impl AsyncFnOnce(&Table) -> Result<T, String>) -> Option<T> {
    // One runtime for all tests: the connections of the table's client live in it.
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());
    let table = API.local_table.as_ref()?;
    Some(RUNTIME.block_on(work(table)).unwrap())
}

/// A request with the admin key of [`Api::org`], unless the test replaces it.
#[derive(Clone)]
pub(crate) struct Request {
    method: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

pub(crate) fn get(path: &str) -> Request {
    Request::new("GET", path)
}

/// Reads the path in a `Location` or `Link`, as a client resolves it (RFC 3986 §5.2).
pub(crate) fn follow(path: &str) -> Request {
    Request::to("GET", format!("{}{path}", API.origin()))
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
    /// A request to a path below the base URL.
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self::to(method, format!("{}{path}", API.base_url))
    }

    /// A request to any URL.
    pub(crate) fn to(method: &'static str, url: String) -> Self {
        let headers = vec![("x-api-key".to_owned(), API.org.admin_key.clone())];
        Self { method, url, headers, body: Vec::new() }
    }

    /// Sets the query.
    pub(crate) fn query(mut self, query: &str) -> Self {
        self.url = format!("{}?{query}", self.url);
        self
    }

    /// Sets a header; a header of the same name is replaced.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        let mut request = self.without_header(name);
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    }

    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| header != name);
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("x-api-key", key)
    }

    pub(crate) fn anonymous(self) -> Self {
        self.without_header("x-api-key")
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

    /// Sends the request. A failed connection or a timeout fails the test.
    pub(crate) fn send(&self) -> Response {
        let request = format!("{} {}", self.method, self.url);
        let (status, headers, text) =
            API.permits.hold_during(|| self.exchange()).unwrap_or_else(|error| panic!("{request}: {error}"));
        Response { request, status, headers, text }
    }

    fn exchange(&self) -> Result<(u16, HeaderMap, String), ureq::Error> {
        let mut request = http::Request::builder().method(self.method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = if self.body.is_empty() {
            API.agent.run(request.body(()).unwrap())
        } else {
            API.agent.run(request.body(self.body.as_slice()).unwrap())
        }?;
        let text = response.body_mut().read_to_string()?;
        Ok((response.status().as_u16(), response.headers().clone(), text))
    }
}

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    #[expect(dead_code, reason = "a failed assertion prints it")]
    request: String,
    pub(crate) status: u16,
    headers: HeaderMap,
    /// The body as it was sent.
    pub(crate) text: String,
}

impl Response {
    /// The value of a header; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The member `id` of the body.
    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {self:?}")).to_owned()
    }

    /// Fails the test unless the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Fails the test unless this is an error response with this sentence and nothing else.
    #[track_caller]
    pub(crate) fn expect_error(&self, status: u16, detail: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.text, json!({"detail": detail}).to_string(), "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        assert_ne!(self.header("x-request-id"), "", "{self:?}");
    }

    /// The request for the next page, from the `Link` header; `None` on the last page.
    pub(crate) fn next_page(&self) -> Option<Request> {
        let link = self.header("link");
        if link.is_empty() {
            return None;
        }
        let path = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(r#">; rel="next""#));
        Some(follow(path.unwrap_or_else(|| panic!("another link than to the next page: {self:?}"))))
    }
}

/// The body that creates Jane Doe with this email.
pub(crate) fn jane(email: &str) -> Value {
    json!({"full_name": "Jane Doe", "email": email, "linkedin_profile": "https://linkedin.com/in/janedoe"})
}

/// An email that no contact has.
pub(crate) fn new_email() -> String {
    format!("jane.{}@example.com", Uuid::new_v4().simple())
}

/// Creates a contact and returns its id.
pub(crate) fn new_contact() -> String {
    post("/contacts/", &jane(&new_email())).send().expect(201).id()
}

/// Creates an import and returns its id.
pub(crate) fn new_import() -> String {
    post("/imports/", &json!({"source": "csv"})).send().expect(201).id()
}

/// Creates a campaign and returns its id.
pub(crate) fn new_campaign(status: &str) -> String {
    post("/campaigns/", &json!({"name": "Q1-2024", "status": status})).send().expect(201).id()
}

/// Creates an API key.
pub(crate) fn new_api_key(scopes: &[&str]) -> Response {
    post("/api-keys/", &json!({"name": "a test's", "scopes": scopes, "live": false})).send().expect(201)
}

/// Repeats `find` until it succeeds. Its error, which says what was found instead, fails the test after `timeout`.
pub(crate) fn eventually<T>(timeout: Duration, find: impl Fn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        match find() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < deadline, "still after {timeout:?}: {instead}"),
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until an API key appears in the list, and returns it. In a deployed table the index lags behind the table.
pub(crate) fn wait_until_listed(key_id: &str) -> Value {
    eventually(PROPAGATION_TIMEOUT, || {
        let keys = rows("/api-keys/");
        let listed = keys.iter().find(|key| key["id"] == key_id).cloned();
        listed.ok_or_else(|| format!("{key_id} is not in {keys:?}"))
    })
}

/// The rows of one page of a list.
pub(crate) fn rows(path: &str) -> Vec<Value> {
    let response = get(path).send().expect(200);
    response.json().as_array().unwrap_or_else(|| panic!("not a list: {response:?}")).clone()
}

/// The rows of a list over all pages.
pub(crate) fn rows_of_all_pages(path: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = Some(get(path));
    while let Some(request) = next {
        let page = request.send().expect(200);
        all.extend(page.json().as_array().unwrap().iter().cloned());
        next = page.next_page();
    }
    all
}

/// The ids of the contacts with this email: at most one.
pub(crate) fn ids_by_email(email: &str) -> Vec<String> {
    let rows = rows(&format!("/contacts/?email={email}"));
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Runs `work` for each number below `count`, each on a thread of its own, and returns the results in order.
pub(crate) fn concurrently<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || work(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
