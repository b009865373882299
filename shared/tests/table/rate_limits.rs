//! Rate limits over several processes of one table, whose clock stands still unless a test advances it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::json;
use shared::auth::{Actor, Principal};
use shared::domain::RateLimit;
use shared::dynamodb::keys;
use shared::testing::fault::{Fault, Operation, ThrottlingError};
use shared::testing::tenant::sign_jwt;
use shared::testing::{JWT_SECRET, TestApp, TestRequest, deadline};
use shared::{ApiError, App, Endpoint, Request, RequestContext, Response};

/// The outcome of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcome {
    admitted: bool,
    /// Database calls of the request.
    calls: u32,
}

const ADMITTED: Outcome = Outcome { admitted: true, calls: 0 };
const REPORTED: Outcome = Outcome { admitted: true, calls: 1 };
const REFUSED: Outcome = Outcome { admitted: false, calls: 0 };

/// Sends one request of this caller to a process.
async fn send(app: &App, principal: &Principal) -> Outcome {
    let ctx = app.request_context(deadline(), "test");
    let admitted = ctx.admit(principal).retry_after.is_none();
    ctx.report_usage(principal).await;
    Outcome { admitted, calls: ctx.consumed_capacity().calls }
}

async fn send_many(app: &App, principal: &Principal, count: usize) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for _ in 0..count {
        outcomes.push(send(app, principal).await);
    }
    outcomes
}

/// An API with a stopped clock, and the caller of a limited key.
async fn limited(requests_per_second: u32, burst: u32) -> (TestApp, Principal) {
    let test = TestApp::new().await;
    test.stop_clock();
    let key = test.create_limited_key(requests_per_second, burst).await;
    let principal = test.principal_of(&key).await;
    (test, principal)
}

/// A small generator of numbers, so that a run can be repeated (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }
}

/// The log of one process of a simulation.
#[derive(Default)]
struct Process {
    reported_at: Option<i32>,
    /// Requests since the last report, and between the two reports before it, one of which may have been refused.
    admitted: [u32; 2],
    most_between_reports: u32,
}

impl Process {
    fn record(&mut self, millis: i32, outcome: Outcome, seed: u64) {
        assert!(outcome.calls <= 1, "seed {seed}: {outcome:?}");
        self.admitted[0] += u32::from(outcome.admitted);
        self.most_between_reports = self.most_between_reports.max(self.admitted.iter().sum());
        if outcome.calls == 1 {
            let is_early = self.reported_at.is_some_and(|reported_at| millis - reported_at < 1_000);
            assert!(!is_early, "seed {seed}: two writes within a second, at {millis} ms");
            self.reported_at = Some(millis);
            self.admitted = [0, self.admitted[0]];
        }
    }

    /// Whether it has used more than its free share without a report, for a second or more since the last one.
    fn is_overdue(&self, millis: i32, free_share: f64) -> bool {
        let may_report = self.reported_at.is_none_or(|reported_at| millis - reported_at >= 1_000);
        may_report && f64::from(self.admitted[0]) > free_share + 0.5
    }
}

/// Sends requests to processes at random, and asserts the bound that `rate_limiter.rs` states.
async fn simulate(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (rate, burst) = ([1, 5, 20, 50][random.index(4)], [1, 10, 40][random.index(3)]);
    let (test, principal) = limited(rate, burst).await;
    let count = u32::try_from(1 + random.below(4)).unwrap();
    let apps: Vec<App> = (0..count).map(|_| test.start_plain_process()).collect();
    let mut processes: Vec<Process> = apps.iter().map(|_| Process::default()).collect();
    let pause = [5, 40, 300][random.index(3)];
    let (mut millis, mut admitted) = (0, 0);
    for _ in 0..300 {
        let index = random.index(apps.len());
        let outcome = send(&apps[index], &principal).await;
        processes[index].record(millis, outcome, seed);
        let is_overdue = processes[index].is_overdue(millis, f64::from(burst) / 20.0);
        assert!(!is_overdue || !outcome.admitted, "seed {seed}: no write at {millis} ms");
        admitted += u32::from(outcome.admitted);
        let gap = i32::try_from(random.below(pause)).unwrap();
        test.advance_clock(TimeDelta::milliseconds(gap.into()));
        millis += gap;
    }
    let (rate, burst, seconds, count) =
        (f64::from(rate), f64::from(burst), f64::from(millis) / 1_000.0, f64::from(count));
    let between_reports: u32 = processes.iter().map(|process| process.most_between_reports).sum();
    // A single process knows its own requests at once.
    let unseen = if apps.len() == 1 { 0.0 } else { 2.0 * f64::from(between_reports) + 2.0 * rate };
    let free_share = count * (burst / 20.0 + seconds * rate / 1_000.0);
    let bound = burst + rate * seconds + unseen + free_share;
    assert!(f64::from(admitted) <= bound, "seed {seed}: {admitted} admitted, at most {bound} by {rate}/s and {burst}");
}

#[tokio::test]
async fn processes_together_keep_to_the_documented_bound() {
    for seed in 1..=40 {
        Box::pin(simulate(seed)).await;
    }
}

#[tokio::test]
async fn the_long_run_rate_of_several_processes_is_that_of_the_limit() {
    const SECONDS: usize = 60;
    let (test, principal) = limited(10, 10).await;
    let apps: Vec<App> = (0..4).map(|_| test.start_plain_process()).collect();

    let mut admitted_per_minute = Vec::new();
    for _ in 0..2 {
        let mut admitted = 0;
        for step in 0..SECONDS * 50 {
            admitted += usize::from(send(&apps[step % apps.len()], &principal).await.admitted);
            test.advance_clock(TimeDelta::milliseconds(20));
        }
        admitted_per_minute.push(admitted);
    }

    // 4 processes × 0.1 % of the rate are free. The first minute has the burst, and what the processes did not know yet.
    let [first, second] = admitted_per_minute[..] else { panic!("{admitted_per_minute:?}") };
    assert!((600..=680).contains(&first), "{first}");
    assert!((560..=630).contains(&second), "{second}");
}

#[tokio::test]
async fn a_new_process_learns_of_the_others_with_its_first_report() {
    let (test, principal) = limited(1, 5).await;
    assert_eq!(send_many(&test.app, &principal, 6).await, [REPORTED, ADMITTED, ADMITTED, ADMITTED, ADMITTED, REFUSED]);
    test.advance_clock(TimeDelta::seconds(1));
    assert_eq!(send_many(&test.app, &principal, 2).await, [REPORTED, REFUSED]);

    let other = test.start_plain_process();

    assert_eq!(send_many(&other, &principal, 2).await, [REPORTED, REFUSED]);
    // Its own request was not added yet, because it expected a full bucket. It is added with the next one.
    test.advance_clock(TimeDelta::seconds(2));
    assert_eq!(send_many(&other, &principal, 2).await, [REPORTED, REFUSED]);
    let third = test.start_plain_process();
    assert_eq!(send_many(&third, &principal, 2).await, [REPORTED, REFUSED]);
}

#[tokio::test]
async fn requests_beyond_the_limit_are_paid_back() {
    let (test, principal) = limited(1, 2).await;
    let other = test.start_plain_process();
    // Each process admits a whole burst before it knows of the other.
    assert_eq!(send_many(&test.app, &principal, 3).await, [REPORTED, ADMITTED, REFUSED]);
    assert_eq!(send_many(&other, &principal, 2).await, [REPORTED, REFUSED]);

    let mut admitted = 3;
    for _ in 0..20 {
        test.advance_clock(TimeDelta::seconds(1));
        for app in [&test.app, &other] {
            admitted += usize::from(send(app, &principal).await.admitted);
        }
    }

    // One request of the last second is not known to the other process yet.
    assert!((2 + 20..=2 + 20 + 1).contains(&admitted), "{admitted}");
}

#[tokio::test]
async fn concurrent_requests_of_a_process_do_not_exceed_the_limit() {
    let (test, principal) = limited(1, 10).await;

    let outcomes = join_all((0..40).map(|_| send(&test.app, &principal))).await;

    assert_eq!(outcomes.iter().filter(|outcome| outcome.admitted).count(), 10);
    assert_eq!(outcomes.iter().map(|outcome| outcome.calls).sum::<u32>(), 1);
}

#[tokio::test]
async fn the_usage_of_a_failed_report_is_in_the_next_one() {
    for fault in [Fault::InternalServerError, Fault::Throttled(ThrottlingError::Throttling), Fault::RequestLost] {
        let (mut test, principal) = limited(1, 5).await;
        let proxy = test.start_fault_proxy().await;
        proxy.inject(Operation::UpdateItem, fault.clone());
        assert_eq!(send_many(&test.app, &principal, 3).await, [REPORTED, ADMITTED, ADMITTED], "{fault:?}");
        test.advance_clock(TimeDelta::seconds(1));
        assert_eq!(send(&test.app, &principal).await, REPORTED, "{fault:?}");

        // Of 5 requests and one that was regained, 4 are used.
        let other = test.start_plain_process();
        assert_eq!(send_many(&other, &principal, 3).await, [REPORTED, ADMITTED, REFUSED], "{fault:?}");
    }
}

#[tokio::test]
async fn a_request_is_served_although_its_usage_cannot_be_reported() {
    const ENDPOINT: Endpoint = Endpoint::ListCompanies;
    let mut test = TestApp::new().await;
    test.stop_clock();
    let key = test.create_limited_key(1, 5).await;
    let proxy = test.start_fault_proxy().await;
    test.ctx().record_key_use(&test.principal_of(&key).await).await;
    proxy.take_calls();
    let request = TestRequest::to(ENDPOINT, &test.org).header("x-api-key", key.in_clear());
    for fault in [
        Fault::InternalServerError,
        Fault::ResponseLost,
        Fault::MalformedResponse,
        Fault::Delayed(Duration::from_millis(600)),
    ] {
        proxy.inject(Operation::UpdateItem, fault.clone());
        let response = test.send(ENDPOINT, handle, &request).await;
        assert_eq!((response.status, response.text.as_str()), (200, r#"{"message":"served"}"#), "{fault:?}");
        // The process goes on with its own count: what it has used is regained within the second.
        assert_eq!(response.header("ratelimit"), r#""key";r=4;t=1"#, "{fault:?}");
        let reports = proxy.take_calls().iter().filter(|call| call.operation == Operation::UpdateItem).count();
        assert_eq!(reports, 1, "{fault:?}: a report is not sent twice");
        test.advance_clock(TimeDelta::seconds(1));
    }
}

#[tokio::test]
async fn a_refused_request_reports_what_was_admitted_before_it() {
    const ENDPOINT: Endpoint = Endpoint::ListCompanies;
    let mut test = TestApp::new().await;
    test.stop_clock();
    let key = test.create_limited_key(1, 5).await;
    let principal = test.principal_of(&key).await;
    let others_used = test.ctx().now() + TimeDelta::seconds(20);
    put_bucket(&test, &principal, others_used.timestamp_micros()).await;
    let proxy = test.start_fault_proxy().await;
    test.ctx().record_key_use(&principal).await;
    proxy.take_calls();
    let request = TestRequest::to(ENDPOINT, &test.org).header("x-api-key", key.in_clear());

    // The report of the first one is refused by its condition, and shows what others have used.
    for (status, reports) in [(200, 1), (429, 1), (429, 0)] {
        assert_eq!(test.send(ENDPOINT, handle, &request).await.status, status);
        let calls = proxy.take_calls();
        assert_eq!(calls.iter().filter(|call| call.operation == Operation::UpdateItem).count(), reports, "{status}");
        test.advance_clock(TimeDelta::seconds(1));
    }
}

#[tokio::test]
async fn the_buckets_of_a_key_and_of_its_organization_take_turns() {
    let mut test = TestApp::new().await;
    test.stop_clock();
    test.limit_organizations(2, 4);
    let key = test.create_limited_key(1, 4).await;
    let principal = test.principal_of(&key).await;

    for _ in 0..2 {
        assert_eq!(send(&test.app, &principal).await, REPORTED);
        assert_eq!(send(&test.app, &principal).await, ADMITTED);
        test.advance_clock(TimeDelta::seconds(1));
    }

    assert_eq!(test.count_items("rate_limit").await, 2);
}

#[tokio::test]
async fn no_client_is_refused_for_longer_than_a_minute_and_a_request() {
    let (test, principal) = limited(1, 2).await;
    let longest_debt = test.ctx().now() + TimeDelta::seconds(62);
    put_bucket(&test, &principal, longest_debt.timestamp_micros()).await;
    assert_eq!(send_many(&test.app, &principal, 2).await, [REPORTED, REFUSED]);

    let wait = test.ctx().admit(&principal).retry_after.unwrap();
    assert_eq!(wait, TimeDelta::seconds(61));
    test.advance_clock(wait);

    assert_eq!(send_many(&test.app, &principal, 2).await, [REPORTED, REFUSED]);
}

#[tokio::test]
async fn a_stored_number_that_no_requests_explain_counts_as_a_minute_and_is_replaced() {
    for full_at in ["9223372036854775807", "4102444800000000", "1e125"] {
        let (test, principal) = limited(1, 2).await;
        put_bucket(&test, &principal, full_at).await;
        assert_eq!(send_many(&test.app, &principal, 2).await, [REPORTED, REFUSED], "{full_at}");
        test.advance_clock(TimeDelta::seconds(1));
        assert_eq!(send(&test.app, &principal).await, Outcome { admitted: false, calls: 1 }, "{full_at}");

        // Another process learns of what replaced the number.
        let other = test.start_plain_process();
        test.advance_clock(TimeDelta::minutes(1));
        for app in [&test.app, &other] {
            assert_eq!(send_many(app, &principal, 2).await, [REPORTED, REFUSED], "{full_at}");
        }
    }
}

#[tokio::test]
async fn a_stored_number_of_the_past_is_a_full_bucket() {
    for full_at in ["-9223372036854775808", "-1e125", "0", "1.5"] {
        let (test, principal) = limited(1, 2).await;
        put_bucket(&test, &principal, full_at).await;

        assert_eq!(send_many(&test.app, &principal, 3).await, [REPORTED, ADMITTED, REFUSED], "{full_at}");
    }
}

#[tokio::test]
async fn a_key_of_a_small_burst_does_not_keep_the_bucket_of_its_organization_from_being_reported() {
    let mut test = TestApp::new().await;
    test.stop_clock();
    test.limit_organizations(20, 40);
    let key = test.create_limited_key(10_000, 1).await;
    let principal = test.principal_of(&key).await;

    // A request every 50 ms is what the organization may send.
    for _ in 0..60 {
        assert!(send(&test.app, &principal).await.admitted);
        test.advance_clock(TimeDelta::milliseconds(50));
    }

    assert_eq!(test.count_items("rate_limit").await, 2);
}

#[tokio::test]
async fn a_stored_value_of_another_type_is_replaced() {
    for value in [json!({"S": "abc"}), json!({"BOOL": true}), json!({"L": []})] {
        let (test, principal) = limited(1, 2).await;
        let key = keys::api_key_rate_limit(principal.org_id(), key_id(&principal));
        test.put_item(&key, json!({"full_at": value})).await;
        for app in [&test.app, &test.start_plain_process()] {
            assert_eq!(send_many(app, &principal, 3).await, [REPORTED, ADMITTED, REFUSED], "{value}");
            test.advance_clock(TimeDelta::minutes(1));
        }
        let other = test.start_plain_process();
        assert_eq!(send_many(&test.app, &principal, 3).await, [REPORTED, ADMITTED, REFUSED], "{value}");
        assert_eq!(send_many(&other, &principal, 2).await, [REPORTED, REFUSED], "{value}: the bucket is not repaired");
    }
}

/// Stores a bucket of the caller's key that is full at this time.
async fn put_bucket(test: &TestApp, principal: &Principal, full_at: impl ToString) {
    let key = keys::api_key_rate_limit(principal.org_id(), key_id(principal));
    test.put_item(&key, json!({"full_at": {"N": full_at.to_string()}})).await;
}

fn key_id(principal: &Principal) -> shared::domain::ApiKeyId {
    match principal.actor() {
        Actor::ApiKey { id, .. } => *id,
        actor @ (Actor::Token { .. } | Actor::Operator { .. }) => panic!("{actor:?}"),
    }
}

async fn handle(_: RequestContext, _: Request) -> Result<Response, ApiError> {
    Ok(Response::message("served".to_owned()))
}

#[tokio::test]
async fn an_organization_is_limited_over_all_its_credentials_and_no_other_organization_is() {
    const ENDPOINT: Endpoint = Endpoint::ListCompanies;
    let mut test = TestApp::new().await;
    test.stop_clock();
    test.limit_organizations(2, 2);
    let key = test.create_limited_key(1, 1).await;
    let expires_at = test.ctx().now().timestamp() + 600;
    let token = sign_jwt(JWT_SECRET, &json!({"sub": "user", "org_id": test.org.org_id, "exp": expires_at}));
    let by_token =
        TestRequest::example(ENDPOINT).without_header("x-api-key").header("authorization", &format!("Bearer {token}"));
    let by_key = TestRequest::to(ENDPOINT, &test.org).header("x-api-key", key.in_clear());

    for (request, status, policy, quota) in [
        (&by_key, 200, r#""key";q=1;w=1, "organization";q=2;w=1"#, r#""key";r=0;t=1, "organization";r=1;t=1"#),
        (&by_key, 429, r#""key";q=1;w=1, "organization";q=2;w=1"#, r#""key";r=0;t=1, "organization";r=1;t=1"#),
        (&by_token, 200, r#""organization";q=2;w=1"#, r#""organization";r=0;t=1"#),
        (&by_token, 429, r#""organization";q=2;w=1"#, r#""organization";r=0;t=1"#),
        (&TestRequest::to(ENDPOINT, &test.org), 429, r#""organization";q=2;w=1"#, r#""organization";r=0;t=1"#),
        (&TestRequest::to(ENDPOINT, &test.other), 200, r#""organization";q=2;w=1"#, r#""organization";r=1;t=1"#),
    ] {
        let response = test.send(ENDPOINT, handle, request).await;
        assert_eq!(response.status, status, "{}", response.text);
        assert_eq!(response.header("ratelimit-policy"), policy);
        assert_eq!(response.header("ratelimit"), quota);
    }
}

#[tokio::test]
async fn the_default_limit_of_a_stack_is_reported_by_no_client_that_is_far_below_it() {
    let mut test = TestApp::new().await;
    test.stop_clock();
    let limit = RateLimit::new(200, None).unwrap();
    test.limit_organizations(limit.requests_per_second(), limit.burst());
    let principal = test.principal(&test.org).await;

    // A batch of 90 requests, and a request every five seconds for an hour.
    assert!(send_many(&test.app, &principal, 90).await.iter().all(|outcome| *outcome == ADMITTED));
    for _ in 0..720 {
        assert_eq!(send(&test.app, &principal).await, ADMITTED);
        test.advance_clock(TimeDelta::seconds(5));
    }
    assert_eq!(test.count_items("rate_limit").await, 0);
}

/// As slow requests come: each process serves one after the other, and is far below the limit for itself.
#[tokio::test]
async fn many_slow_processes_are_held_to_the_limit_together() {
    const PROCESSES: usize = 150;
    const SECONDS: usize = 40;
    let (test, principal) = limited(100, 100).await;
    let apps: Vec<App> = (0..PROCESSES).map(|_| test.start_plain_process()).collect();

    let mut admitted = 0;
    for _ in 0..SECONDS {
        for app in &apps {
            admitted += usize::from(send(app, &principal).await.admitted);
            test.advance_clock(TimeDelta::microseconds(1_000_000 / 150));
        }
    }

    // Of 6,000 requests: the burst, the rate, and 5 requests of each process before it learns of the others.
    let bound = 100 + 100 * SECONDS + 5 * PROCESSES;
    assert!(admitted <= bound, "{admitted} admitted, at most {bound}");
}
