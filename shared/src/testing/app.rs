//! The application under test.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::types::StreamSpecification;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::engine::Engine;
use super::fault::FaultProxy;
use super::rules::assert_common_headers;
use super::{Tenant, TestRequest, TestResponse};
use crate::app::{App, RequestContext};
use crate::auth::{Credentials, Principal};
use crate::config::{BasePath, Config, Database, Jwt, JwtKeys, Secret};
use crate::domain::{ApiKeySecret, Clock, RateLimit};
use crate::dynamodb::{RetryPolicy, Table, schema};
use crate::endpoint::Endpoint;
use crate::http::{Handler, serve};
use crate::invocation::Invocation;
use crate::repositories::{MAX_RESPONSE_BYTES, api_keys};
use crate::system::{self, Rng, RngError};
use crate::trace::Trace;

/// The secret that signs test tokens.
pub const JWT_SECRET: &str = "a shared secret for tests, long enough for HS256";

/// Lambda's id of each request.
pub(crate) const LAMBDA_REQUEST_ID: &str = "5a4b3c2d-1e0f-4a5b-8c7d-6e5f4a3b2c1d";

/// The id of the requests that call repositories directly.
const REQUEST_ID: &str = "test";

/// Lambda's tracing header of each request. A client may have written the field `Name`.
pub(crate) const TRACE_HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Name=canary";

/// The retry policy behind a fault proxy. Its durations are short so that a test of many faults ends soon; no test
/// depends on their exact length.
pub const RETRY_POLICY: RetryPolicy =
    RetryPolicy { attempt_timeout: Duration::from_secs(1), max_backoff: Duration::from_millis(50) };

/// The API with a table of its own, a clock that can be advanced, and two organizations.
pub struct TestApp {
    /// The organization that a test acts as.
    pub org: Tenant,
    /// Another organization, whose data must stay invisible to the first.
    pub other: Tenant,
    /// The state that the functions of one process share.
    pub app: App,
    config: Config,
    retry_policy: RetryPolicy,
    clock: TestClock,
    engine: Option<Engine>,
}

/// A clock that can be advanced, and stopped.
#[derive(Clone, Default)]
struct TestClock {
    offset_millis: Arc<AtomicI64>,
    stopped_at: Arc<OnceLock<DateTime<Utc>>>,
}

impl TestClock {
    fn now(&self) -> DateTime<Utc> {
        let base = self.stopped_at.get().copied().unwrap_or_else(Utc::now);
        base + TimeDelta::milliseconds(self.offset_millis.load(Ordering::Relaxed))
    }
}

/// Set-up.
impl TestApp {
    /// Creates an API on an empty table, with the API keys of both organizations.
    pub async fn new() -> Self {
        Self::with_stream(None).await
    }

    /// Creates an API like [`TestApp::new`] whose table has a stream, which [`TestApp::read_stream`] reads.
    pub async fn with_table_stream() -> Self {
        Self::with_stream(Some(schema::stream())).await
    }

    async fn with_stream(stream: Option<StreamSpecification>) -> Self {
        let (engine, url) = if let Ok(url) = std::env::var("TEST_DYNAMODB_URL") {
            (None, url)
        } else {
            let engine = Engine::in_memory().await.expect("the embedded engine starts");
            let url = engine.url();
            (Some(engine), url)
        };
        let config = config(&url);
        let table = Table::new(&config.database, RetryPolicy::default());
        table.create_if_missing(stream).await.expect("the table can be created");
        let (org, other) = (Tenant::new(), Tenant::new());
        for (secret, key) in org.api_keys().into_iter().chain(other.api_keys()) {
            api_keys::store(&table, &secret.hash(), &key).await.expect("an API key can be stored");
        }
        let clock = TestClock::default();
        let retry_policy = RetryPolicy::default();
        let app = app(&config, &clock, system::rng(), retry_policy);
        Self { org, other, app, config, retry_policy, clock, engine }
    }

    /// Puts a fault proxy between the API and its engine, and restarts the API.
    pub async fn start_fault_proxy(&mut self) -> FaultProxy {
        let engine = self.config.database.endpoint.clone().expect("a test's engine has a URL");
        let proxy = FaultProxy::start(&engine).await.expect("the proxy starts");
        self.config.database.endpoint = Some(proxy.endpoint());
        self.retry_policy = RETRY_POLICY;
        self.restart();
        proxy
    }

    /// Starts a further process on the same table, with caches and a fault proxy of its own.
    pub async fn start_process(&self) -> (App, FaultProxy) {
        let mut config = self.config.clone();
        let engine = config.database.endpoint.expect("a test's engine has a URL");
        let proxy = FaultProxy::start(&engine).await.expect("the proxy starts");
        config.database.endpoint = Some(proxy.endpoint());
        let retry_policy = RetryPolicy { max_backoff: RETRY_POLICY.max_backoff, ..RetryPolicy::default() };
        (app(&config, &self.clock, system::rng(), retry_policy), proxy)
    }

    /// Starts a further process on the same table, with caches of its own.
    pub fn start_plain_process(&self) -> App {
        app(&self.config, &self.clock, system::rng(), self.retry_policy)
    }

    /// Limits the requests of each organization, and restarts the API.
    pub fn limit_organizations(&mut self, requests_per_second: u32, burst: u32) {
        let limit = RateLimit::new(requests_per_second, Some(burst)).expect("the limit is valid");
        self.config.rate_limit = Some(limit);
        self.restart();
    }

    /// Gives API keys that are created without an expiry this lifetime, and restarts the API.
    pub fn set_api_key_lifetime(&mut self, lifetime: TimeDelta) {
        self.config.api_key_lifetime = Some(lifetime);
        self.restart();
    }

    /// Replaces the process by a new one on the same table: all caches are empty.
    pub fn restart(&mut self) {
        self.restart_with(system::rng());
    }

    /// Replaces the process by one that serves this path of a custom domain.
    pub fn restart_with_base_path(&mut self, key: &str) {
        self.config.base_path = key.parse().expect("the key of an API mapping");
        self.restart();
    }

    /// Replaces the process by a new one whose source of randomness fails.
    pub fn restart_without_randomness(&mut self) {
        self.restart_with(Rng::new(|_| Err(RngError)));
    }

    fn restart_with(&mut self, rng: Rng) {
        self.app = app(&self.config, &self.clock, rng, self.retry_policy);
    }

    /// Advances the API's clock.
    pub fn advance_clock(&self, by: TimeDelta) {
        self.clock.offset_millis.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }

    /// Stops the API's clock at the beginning of the hour, so that only [`TestApp::advance_clock`] moves it.
    pub fn stop_clock(&self) {
        self.clock.stopped_at.get_or_init(|| {
            let now = Utc::now();
            now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now)
        });
    }

    /// Whether the table lies on the embedded engine, which counts capacity units as DynamoDB does. DynamoDB Local
    /// miscounts those of transactions, and is about ten times slower.
    pub fn uses_embedded_engine(&self) -> bool {
        self.engine.is_some()
    }

    /// Reads the next records of the table's stream, in the JSON of Lambda's events. `iterator` is the position in the
    /// stream: `None` before the first read.
    pub fn read_stream(&self, iterator: &mut Option<String>) -> Vec<Value> {
        let engine = self.engine.as_ref().expect("only the embedded engine's stream is read");
        engine.read_stream(&self.config.database.table, iterator).expect("the stream can be read")
    }

    /// Removes the items whose time to live is over.
    pub async fn remove_expired(&self) {
        let engine = self.engine.as_ref().expect("only the embedded engine's items are removed");
        engine.remove_expired().await.expect("expired items can be removed");
    }

    /// The table and the URL of its engine, for a process beside this one.
    pub fn database(&self) -> &Database {
        &self.config.database
    }

    /// A client of the table beside the API.
    pub(super) fn table(&self) -> Table {
        Table::new(&self.config.database, RetryPolicy::default())
    }
}

/// Requests.
impl TestApp {
    /// Sends a request to the handler of an endpoint, as the endpoint's function does.
    pub async fn send(&self, endpoint: Endpoint, handle: impl Handler, request: &TestRequest) -> TestResponse {
        self.send_with_deadline(deadline(), endpoint, handle, request).await
    }

    /// Sends a request that has to be completed by `deadline`.
    pub async fn send_with_deadline(
        &self,
        deadline: Instant,
        endpoint: Endpoint,
        handle: impl Handler,
        request: &TestRequest,
    ) -> TestResponse {
        let response = Box::pin(serve(&self.app, endpoint, handle, request.event(), invocation(deadline))).await;
        let len = serde_json::to_vec(&response).expect("a response is JSON").len();
        assert!(len <= MAX_RESPONSE_BYTES, "Lambda takes no response of {len} bytes");
        let response = TestResponse::new(&response);
        assert_common_headers(&response);
        response
    }

    /// Reads one page of a list as [`TestApp::org`].
    pub async fn list(&self, endpoint: Endpoint, handle: impl Handler, query: &str) -> TestResponse {
        self.send(endpoint, handle, &TestRequest::to(endpoint, &self.org).query(query)).await
    }

    /// Reads a list page by page as [`TestApp::org`], following the links to the next page.
    pub async fn list_all_pages(&self, endpoint: Endpoint, handle: impl Handler, query: &str) -> Vec<TestResponse> {
        let mut pages = Vec::new();
        let mut next_query = Some(query.to_owned());
        while let Some(query) = next_query {
            let page = self.list(endpoint, handle, &query).await;
            next_query = page.next_page_query(endpoint);
            pages.push(page);
        }
        pages
    }

    /// A request's context, to call repositories directly and to read the capacity that the calls consumed.
    pub fn ctx(&self) -> RequestContext {
        self.app.request_context(deadline(), REQUEST_ID)
    }

    /// The caller that is authenticated by an organization's admin key.
    pub async fn principal(&self, tenant: &Tenant) -> Principal {
        self.principal_of(&tenant.admin_key).await
    }

    /// The caller that is authenticated by this key.
    pub async fn principal_of(&self, key: &ApiKeySecret) -> Principal {
        let credentials = Credentials { api_key: Some(key.in_clear()), authorization: None };
        self.ctx().authenticate(credentials).await.expect("the key is valid")
    }
}

/// The deadline of a request that begins now, as a function sets it.
pub fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(25)
}

/// An invocation that has to be completed by `deadline`, as the Lambda runtime describes it.
pub fn invocation(deadline: Instant) -> Invocation {
    Invocation { deadline, request_id: LAMBDA_REQUEST_ID.to_owned(), trace: Trace::parse(TRACE_HEADER) }
}

/// An API whose table cannot be reached, whose clock stands still, and whose ids are all equal: equal requests get equal
/// responses.
pub fn app_without_table(now: DateTime<Utc>) -> App {
    let rng = Rng::new(|bytes| {
        bytes.fill(0);
        Ok(())
    });
    App::with(&config("http://127.0.0.1:1"), Clock::new(move || now), rng, RETRY_POLICY)
}

fn config(engine_url: &str) -> Config {
    Config {
        database: Database {
            table: format!("test-{}", Uuid::new_v4()),
            region: "us-east-1".to_owned(),
            access_key_id: "local".to_owned(),
            secret_access_key: Secret::new("local"),
            session_token: None,
            endpoint: Some(engine_url.to_owned()),
        },
        jwt: Jwt { keys: Some(JwtKeys::Shared { current: Secret::new(JWT_SECRET), previous: None }), ..Jwt::default() },
        base_path: BasePath::default(),
        rate_limit: None,
        audit_retention: TimeDelta::days(400),
        api_key_lifetime: None,
        metrics_namespace: Some("test".to_owned()),
    }
}

fn app(config: &Config, clock: &TestClock, rng: Rng, retry_policy: RetryPolicy) -> App {
    let clock = clock.clone();
    App::with(config, Clock::new(move || clock.now()), rng, retry_policy)
}
