use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{RwLock, RwLockWriteGuard};
use tokio::time::{Instant, timeout};

use super::*;
use crate::app::App;
use crate::auth::{AuthError, Credentials};
use crate::config::{BasePath, Config, Database, Jwt, JwtKeys, Secret, SecretArn};
use crate::domain::{ApiKeySecret, Clock};
use crate::dynamodb::Table;
use crate::system;
use crate::testing::engine::Engine;
use crate::testing::tenant::sign_jwt;
use crate::testing::{Log, RETRY_POLICY};
use crate::trace::{self, Trace};

const ARN: &str = "arn:aws:secretsmanager:eu-west-3:123456789012:secret:contacts/jwt-a1B2c3";
/// `JWT_SECRET_CACHE_SECONDS`
const CACHE_SECONDS: i64 = 300;
/// The time at which each test begins, in epoch seconds.
const START: i64 = 1_728_216_000;
const CANARY: &str = "canary";

/// The secrets of a test, in the order in which they are current.
const FIRST: &str = "the canary's first secret, long enough";
const SECOND: &str = "the canary's second secret, long enough";
const THIRD: &str = "the canary's third secret, long enough";
const FOURTH: &str = "the canary's fourth secret, long enough";

/// What Secrets Manager says of one version.
#[derive(Clone)]
enum Version {
    String(String),
    Binary,
    Error(u16, &'static str),
    /// A body that is no JSON.
    Garbage,
}

/// A call as it arrived.
#[derive(Clone)]
struct Call {
    headers: HeaderMap,
    body: Value,
}

/// A Secrets Manager of one secret, which records its calls.
struct SecretsManager {
    url: String,
    state: Arc<State>,
}

struct State {
    current: Mutex<Version>,
    previous: Mutex<Version>,
    calls: Mutex<Vec<Call>>,
    gate: RwLock<()>,
}

impl Version {
    /// The refusal of a label that no version has, and of a secret that does not exist.
    const MISSING: Self = Self::Error(400, "ResourceNotFoundException");

    fn response(&self) -> Response<Full<Bytes>> {
        let (status, body) = match self {
            Self::String(secret) => (200, json!({"SecretString": secret}).to_string()),
            Self::Binary => (200, json!({"SecretBinary": "AAAA"}).to_string()),
            Self::Error(status, code) => (*status, json!({"__type": code, "Message": "canary"}).to_string()),
            Self::Garbage => (200, "canary".to_owned()),
        };
        Response::builder().status(status).body(Full::from(body)).unwrap()
    }
}

impl From<&str> for Version {
    fn from(secret: &str) -> Self {
        Self::String(secret.to_owned())
    }
}

impl SecretsManager {
    async fn start(current: impl Into<Version>, previous: impl Into<Version>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            current: Mutex::new(current.into()),
            previous: Mutex::new(previous.into()),
            calls: Mutex::default(),
            gate: RwLock::default(),
        });
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let state = shared.clone();
                let service = service_fn(move |request| state.clone().respond(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
            }
        });
        Self { url, state }
    }

    fn store(&self, current: impl Into<Version>, previous: impl Into<Version>) {
        *self.state.current.lock().unwrap() = current.into();
        *self.state.previous.lock().unwrap() = previous.into();
    }

    /// Holds all responses until the guard is dropped. Their content is that of the time of the call.
    async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.state.gate.write().await
    }

    fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().unwrap().clone()
    }

    /// The number of times that the secret was read.
    fn reads(&self) -> usize {
        self.calls().iter().filter(|call| call.body["VersionStage"] == CURRENT).count()
    }
}

impl State {
    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body: Value = serde_json::from_slice(&body.collect().await?.to_bytes()).unwrap();
        let version = match body["VersionStage"].as_str() {
            Some(CURRENT) => &self.current,
            Some(PREVIOUS) => &self.previous,
            label => panic!("no version has the label {label:?}"),
        };
        let response = version.lock().unwrap().response();
        self.calls.lock().unwrap().push(Call { headers: head.headers, body });
        let _held = self.gate.read().await;
        Ok(response)
    }
}

/// A process whose clock and Secrets Manager a test controls.
struct Bench {
    app: App,
    /// The organization of a token is looked up.
    _engine: Engine,
    manager: SecretsManager,
    seconds: Arc<AtomicI64>,
}

impl Bench {
    async fn new(current: impl Into<Version>, previous: impl Into<Version>) -> Self {
        let manager = SecretsManager::start(current, previous).await;
        let seconds = Arc::new(AtomicI64::new(START));
        let clock = Clock::new({
            let seconds = seconds.clone();
            move || DateTime::from_timestamp(seconds.load(Ordering::Relaxed), 0).unwrap()
        });
        let engine = Engine::in_memory().await.unwrap();
        let mut config = config(manager.url.clone());
        config.database.endpoint = Some(engine.url());
        Table::new(&config.database, RETRY_POLICY).create_if_missing(None).await.unwrap();
        let app = App::with(&config, clock, system::rng(), RETRY_POLICY);
        Self { app, _engine: engine, manager, seconds }
    }

    fn advance(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<(), AuthError> {
        let ctx = self.app.request_context(Instant::now() + Duration::from_secs(5), "test");
        ctx.authenticate(credentials).await.map(drop)
    }

    /// Authenticates by a token that is signed with this secret.
    async fn verify(&self, secret: &str) -> Result<(), AuthError> {
        let claims = json!({"sub": "user", "org_id": "123e4567-e89b-12d3-a456-426614174000", "exp": START + 1_000_000});
        let authorization = format!("Bearer {}", sign_jwt(secret, &claims));
        self.authenticate(Credentials { api_key: None, authorization: Some(&authorization) }).await
    }

    /// Whether tokens of these secrets are accepted.
    async fn accepts<const N: usize>(&self, secrets: [&str; N]) -> [bool; N] {
        let mut accepted = [false; N];
        for (accepted, secret) in accepted.iter_mut().zip(secrets) {
            *accepted = match self.verify(secret).await {
                Ok(()) => true,
                Err(AuthError::Unauthenticated) => false,
                Err(error) => panic!("{secret}: {error:?}"),
            };
        }
        accepted
    }

    /// Waits for a read behind a request to begin, as the second of a process.
    async fn until_second_read(&self) {
        until(async || self.manager.reads() == 2).await;
    }

    /// Waits for a read behind a request to end, which refuses a secret.
    async fn until_refused(&self, secret: &str) {
        until(async || self.verify(secret).await.is_err()).await;
    }
}

/// Waits for something that happens behind a request.
async fn until(condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.expect("a read behind the request");
}

fn config(endpoint: String) -> Config {
    let stored = StoredSecret {
        arn: SecretArn::parse(ARN.to_owned()).unwrap(),
        cache_time: TimeDelta::seconds(CACHE_SECONDS),
        endpoint: Some(endpoint),
    };
    let database = Database {
        table: "contacts".to_owned(),
        region: "us-east-1".to_owned(),
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Secret::new("canary"),
        session_token: Some(Secret::new("session")),
        endpoint: Some("http://127.0.0.1:1".to_owned()),
    };
    let jwt = Jwt { keys: Some(JwtKeys::Stored(stored)), ..Jwt::default() };
    Config {
        database,
        jwt,
        base_path: BasePath::default(),
        rate_limit: None,
        audit_retention: TimeDelta::days(400),
        api_key_lifetime: None,
        metrics_namespace: None,
    }
}

#[tokio::test]
async fn tokens_of_the_current_and_the_previous_secret_are_accepted() {
    let bench = Bench::new(SECOND, FIRST).await;

    assert_eq!(bench.accepts([SECOND, FIRST, THIRD]).await, [true, true, false]);
    assert_eq!(bench.manager.reads(), 1);
}

#[tokio::test]
async fn a_secret_that_was_never_rotated_has_no_previous_version() {
    let bench = Bench::new(FIRST, Version::MISSING).await;

    assert_eq!(bench.accepts([FIRST, SECOND]).await, [true, false]);
}

#[tokio::test]
async fn a_call_is_signed_for_the_region_of_the_secret_and_carries_the_trace() {
    const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0";
    let bench = Bench::new(SECOND, FIRST).await;
    trace::in_scope(Trace::parse(TRACE), bench.verify(SECOND)).await.unwrap();

    let calls = bench.manager.calls();
    let bodies: Vec<_> = calls.iter().map(|call| call.body.clone()).collect();
    let body = |label: &str| json!({"SecretId": ARN, "VersionStage": label});
    assert_eq!(bodies, [body("AWSCURRENT"), body("AWSPREVIOUS")]);
    for call in calls {
        let header = |name: &str| call.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-amz-target"), "secretsmanager.GetSecretValue");
        assert_eq!(header("content-type"), "application/x-amz-json-1.1");
        assert_eq!(header("x-amz-security-token"), "session");
        assert_eq!(header("x-amzn-trace-id"), TRACE);
        let authorization = header("authorization");
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
        assert!(authorization.contains("/eu-west-3/secretsmanager/aws4_request"), "{authorization}");
    }
}

#[tokio::test]
async fn requests_with_an_api_key_do_not_read_the_secret() {
    let bench = Bench::new(FIRST, Version::MISSING).await;
    let key = ApiKeySecret::new(false, [0; 24]);

    bench.app.warm_up(1).await;
    let with_key = Credentials { api_key: Some(key.in_clear()), authorization: Some("Bearer token") };
    assert_eq!(bench.authenticate(with_key).await, Err(AuthError::Unauthenticated), "the table has no key");
    assert_eq!(bench.authenticate(Credentials::default()).await, Err(AuthError::Unauthenticated));
    let malformed = Credentials { api_key: None, authorization: Some("Bearer token") };
    assert_eq!(bench.authenticate(malformed).await, Err(AuthError::Unauthenticated));

    assert_eq!(bench.manager.reads(), 0);
}

#[tokio::test]
async fn concurrent_first_tokens_cause_one_read() {
    let bench = Bench::new(SECOND, FIRST).await;

    let results = join_all([SECOND, FIRST, SECOND, FIRST, THIRD].map(|secret| bench.verify(secret))).await;

    let refused = Err(AuthError::Unauthenticated);
    assert_eq!(results, [Ok(()), Ok(()), Ok(()), Ok(()), refused]);
    assert_eq!(bench.manager.reads(), 1);
}

#[tokio::test]
async fn concurrent_tokens_share_a_failed_read() {
    let bench = Bench::new(Version::Error(500, "InternalServiceError"), FIRST).await;

    let results = join_all([FIRST; 5].map(|secret| bench.verify(secret))).await;

    assert_eq!(results, [const { Err(AuthError::KeysUnavailable) }; 5]);
    assert_eq!(bench.manager.reads(), 1);
}

#[tokio::test]
async fn a_rotated_secret_is_accepted_at_once() {
    let bench = Bench::new(SECOND, FIRST).await;
    assert_eq!(bench.accepts([SECOND, FIRST, THIRD]).await, [true, true, false]);

    bench.advance(10);
    bench.manager.store(THIRD, SECOND);

    assert_eq!(bench.accepts([THIRD, SECOND, FIRST]).await, [true, true, false]);
    assert_eq!(bench.manager.reads(), 2);
}

#[tokio::test]
async fn an_old_secret_is_refused_after_the_cache_time_and_a_request() {
    let bench = Bench::new(SECOND, FIRST).await;
    assert_eq!(bench.accepts([FIRST]).await, [true]);
    bench.manager.store(THIRD, SECOND);

    bench.advance(CACHE_SECONDS - 1);
    assert_eq!(bench.accepts([FIRST, SECOND]).await, [true, true]);
    assert_eq!(bench.manager.reads(), 1);

    bench.advance(1);
    assert_eq!(bench.accepts([FIRST]).await, [true], "its request starts the read");
    bench.until_refused(FIRST).await;
    assert_eq!(bench.accepts([THIRD, SECOND]).await, [true, true]);
    assert_eq!(bench.manager.reads(), 2);
}

#[tokio::test]
async fn an_old_secret_is_refused_at_once_after_twice_the_cache_time() {
    let bench = Bench::new(SECOND, FIRST).await;
    assert_eq!(bench.accepts([FIRST]).await, [true]);
    bench.manager.store(THIRD, SECOND);

    bench.advance(2 * CACHE_SECONDS);

    assert_eq!(bench.accepts([FIRST, SECOND, THIRD]).await, [false, true, true]);
    assert_eq!(bench.manager.reads(), 2);
}

#[tokio::test]
async fn no_request_waits_for_a_refresh() {
    let bench = Bench::new(SECOND, FIRST).await;
    bench.verify(SECOND).await.unwrap();
    bench.manager.store(THIRD, SECOND);
    let held = bench.manager.hold().await;

    bench.advance(CACHE_SECONDS);
    assert_eq!(bench.accepts([SECOND, FIRST]).await, [true, true]);
    bench.until_second_read().await;
    assert_eq!(bench.accepts([SECOND, FIRST]).await, [true, true], "while the read waits for its response");

    drop(held);
    bench.until_refused(FIRST).await;
    assert_eq!(bench.accepts([THIRD]).await, [true]);
    assert_eq!(bench.manager.reads(), 2, "one read for all requests");
}

#[tokio::test]
async fn a_response_that_a_frozen_process_gets_late_is_as_old_as_its_call() {
    let bench = Bench::new(SECOND, FIRST).await;
    bench.verify(SECOND).await.unwrap();
    let held = bench.manager.hold().await;
    bench.advance(CACHE_SECONDS);
    bench.verify(SECOND).await.unwrap();
    bench.until_second_read().await;

    bench.manager.store(FOURTH, THIRD);
    bench.advance(2 * CACHE_SECONDS);
    drop(held);

    assert_eq!(bench.accepts([SECOND, FOURTH]).await, [false, true]);
    assert_eq!(bench.manager.reads(), 3);
}

#[tokio::test]
async fn a_failure_that_a_frozen_process_gets_late_does_not_delay_the_next_read() {
    let bench = Bench::new(SECOND, FIRST).await;
    bench.verify(SECOND).await.unwrap();
    bench.manager.store(Version::Garbage, Version::Garbage);
    let held = bench.manager.hold().await;
    bench.advance(CACHE_SECONDS);
    bench.verify(SECOND).await.unwrap();
    bench.until_second_read().await;

    bench.manager.store(THIRD, SECOND);
    bench.advance(2 * CACHE_SECONDS);
    drop(held);

    assert_eq!(bench.accepts([FIRST, SECOND]).await, [false, true]);
    assert_eq!(bench.manager.reads(), 3);
}

#[tokio::test]
async fn without_secrets_manager_a_cached_secret_is_used_up_to_twice_the_cache_time() {
    let bench = Bench::new(SECOND, FIRST).await;
    bench.verify(SECOND).await.unwrap();
    bench.manager.store(Version::Error(500, "InternalServiceError"), FIRST);

    bench.advance(2 * CACHE_SECONDS - 1);
    assert_eq!(bench.accepts([SECOND, FIRST]).await, [true, true]);

    bench.advance(11);
    assert_eq!(bench.verify(SECOND).await, Err(AuthError::KeysUnavailable));
    let reads = bench.manager.reads();
    assert_eq!(bench.verify(SECOND).await, Err(AuthError::KeysUnavailable));
    assert_eq!(bench.manager.reads(), reads, "no second read within a second");

    bench.manager.store(THIRD, SECOND);
    bench.advance(1);
    assert_eq!(bench.accepts([SECOND, FIRST]).await, [true, false]);
}

#[tokio::test]
async fn tokens_of_an_unknown_secret_cause_a_read_at_most_every_ten_seconds() {
    let bench = Bench::new(SECOND, FIRST).await;
    bench.verify(SECOND).await.unwrap();

    for second in 1..=30 {
        bench.advance(1);
        let results = join_all([THIRD; 5].map(|secret| bench.verify(secret))).await;
        assert_eq!(results, [const { Err(AuthError::Unauthenticated) }; 5]);
        assert_eq!(bench.manager.reads(), 1 + second / 10, "after {second} s");
    }
}

#[tokio::test]
async fn a_token_of_a_known_secret_with_refused_claims_causes_no_read() {
    let bench = Bench::new(SECOND, FIRST).await;
    bench.verify(SECOND).await.unwrap();

    bench.advance(10);
    for claims in [json!({"sub": "user", "exp": START}), json!({"aud": "other"}), json!({})] {
        let authorization = format!("Bearer {}", sign_jwt(SECOND, &claims));
        let credentials = Credentials { api_key: None, authorization: Some(&authorization) };
        assert_eq!(bench.authenticate(credentials).await, Err(AuthError::Unauthenticated), "{claims}");
    }

    assert_eq!(bench.manager.reads(), 1);
}

#[tokio::test]
async fn a_short_or_binary_version_is_not_accepted_and_leaves_the_other_in_place() {
    let short = &FIRST[..31];
    let log = Log::start();
    for (current, previous, accepted, message) in [
        (
            Version::from(short),
            Version::from(SECOND),
            [false, true],
            "the version AWSCURRENT of JWT_SECRET_ARN is not accepted",
        ),
        (SECOND.into(), short.into(), [false, true], "the version AWSPREVIOUS of JWT_SECRET_ARN is not accepted"),
        (Version::Binary, SECOND.into(), [false, true], "it is binary: store the secret as a string"),
    ] {
        let bench = Bench::new(current, previous).await;

        assert_eq!(bench.accepts([short, SECOND]).await, accepted, "{message}");

        let lines = log.take();
        assert_eq!(lines.lines().count(), 1, "{lines}");
        assert!(lines.contains(message) && !lines.contains(CANARY), "{lines}");
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_no_fault_of_the_token_and_is_logged_without_its_value() {
    let log = Log::start();
    for (current, previous, reason) in [
        (Version::MISSING, Version::MISSING, "Secrets Manager refused the call: ResourceNotFoundException"),
        (Version::Error(400, "AccessDeniedException"), SECOND.into(), "the call: AccessDeniedException"),
        (Version::from(FIRST), Version::Error(400, "ThrottlingException"), "the call: ThrottlingException"),
        (Version::Garbage, SECOND.into(), "the response cannot be read"),
        (Version::Binary, Version::MISSING, "no version of it can be used"),
    ] {
        let bench = Bench::new(current, previous).await;

        assert_eq!(bench.verify(FIRST).await, Err(AuthError::KeysUnavailable), "{reason}");
        assert_eq!(bench.verify(FIRST).await, Err(AuthError::KeysUnavailable), "{reason}");

        let lines = log.take();
        let failures: Vec<_> = lines.lines().filter(|line| line.contains("JWT_SECRET_ARN cannot be read")).collect();
        assert_eq!(failures.len(), 1, "{lines}");
        assert!(failures[0].contains(reason) && !lines.contains(CANARY), "{lines}");
        assert!(failures[0].contains(r#""alarm":"unreadable-keys""#), "{lines}");

        bench.manager.store(SECOND, FIRST);
        bench.advance(1);
        assert_eq!(bench.accepts([FIRST]).await, [true], "{reason}");
    }
}

#[tokio::test]
async fn an_unreachable_or_silent_service_is_no_fault_of_the_token() {
    let bench = Bench::new(FIRST, Version::MISSING).await;
    let _held = bench.manager.hold().await;
    assert_eq!(bench.verify(FIRST).await, Err(AuthError::KeysUnavailable), "no response");

    let nowhere = config("http://127.0.0.1:1".to_owned());
    let app = App::with(&nowhere, system::clock(), system::rng(), RETRY_POLICY);
    let ctx = app.request_context(Instant::now() + Duration::from_secs(1), "test");
    let authorization = format!("Bearer {}", sign_jwt(FIRST, &json!({})));
    let credentials = Credentials { api_key: None, authorization: Some(&authorization) };
    assert_eq!(ctx.authenticate(credentials).await.map(drop), Err(AuthError::KeysUnavailable), "no connection");
}
