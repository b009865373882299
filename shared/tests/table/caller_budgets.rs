//! What finding out who calls costs: the look-up of keys and organizations, the use of keys, and rate limits.

use chrono::TimeDelta;
use shared::RequestContext;
use shared::auth::{AuthError, Credentials, Principal};
use shared::domain::{ApiKeySecret, Import, ImportFilter, NewApiKey, Scope};
use shared::repositories::LastAdminKey;
use shared::system;
use shared::testing::{JWT_SECRET, TestApp, deadline};

use crate::budgets::{assert_calls, assert_units, assert_write_units};

#[tokio::test]
async fn authentication_caches_api_keys_and_never_reads_a_mistyped_one() {
    let test = TestApp::new().await;
    let secret = ApiKeySecret::new(true, system::rng().bytes().unwrap());
    // Whether the key is accepted, and with how many database calls.
    let authenticate = async |key: &str| {
        let ctx = test.ctx();
        let credentials = Credentials { api_key: Some(key), ..Credentials::default() };
        let accepted = match ctx.authenticate(credentials).await {
            Ok(_) => true,
            Err(AuthError::Unauthenticated) => false,
            Err(error) => panic!("{error:?}"),
        };
        (accepted, ctx.consumed_capacity().calls)
    };

    let key = secret.in_clear();
    let mistyped = with_one_character_replaced(key);
    assert_eq!(authenticate(&mistyped).await, (false, 0), "the checksum is wrong");

    assert_eq!(authenticate(key).await, (false, 1), "no such key");
    assert_eq!(authenticate(key).await, (false, 0), "no such key, cached");

    let scopes = [Scope::Read].into_iter().collect();
    let new = NewApiKey { name: "a".parse().unwrap(), scopes, valid_until: None, live: true, rate_limit: None };
    let keys = test.ctx().api_keys(&test.principal(&test.org).await);
    let created = keys.draft(new, &secret);
    keys.create(&secret.hash(), &created, None).await.unwrap();
    test.advance_clock(TimeDelta::seconds(4));
    assert_eq!(authenticate(key).await, (false, 0), "an unknown key is cached for five seconds");
    test.advance_clock(TimeDelta::seconds(1));
    assert_eq!(authenticate(key).await, (true, 1));
    assert_eq!(authenticate(key).await, (true, 0), "a known key is cached");

    keys.revoke(created.id, LastAdminKey::Keep).await.unwrap();
    test.advance_clock(TimeDelta::seconds(59));
    assert_eq!(
        authenticate(key).await,
        (true, 1),
        "a known key is cached for a minute; the organization was read earlier"
    );
    test.advance_clock(TimeDelta::seconds(1));
    assert_eq!(authenticate(key).await, (false, 1));
}

fn with_one_character_replaced(key: &str) -> String {
    let index = 12;
    let replacement = if key[index..].starts_with('0') { "1" } else { "0" };
    [&key[..index], replacement, &key[index + 1..]].concat()
}

#[tokio::test]
async fn the_use_of_a_key_is_one_write_per_hour_and_process() {
    let test = TestApp::new().await;
    test.stop_clock();
    let principal = test.principal(&test.org).await;
    for _ in 0..3 {
        let ctx = test.ctx();
        let imports = ctx.imports(&principal);
        let filter = ImportFilter::default();
        let (page, ()) = tokio::join!(imports.list::<Import>(&filter, None, None), ctx.record_key_use(&principal));
        page.unwrap();
        assert_calls(&ctx, 2, 1);
        assert_write_units(&test, &ctx, 1.0);
        for _ in 0..59 {
            test.advance_clock(TimeDelta::minutes(1));
            let ctx = test.ctx();
            ctx.record_key_use(&principal).await;
            assert_calls(&ctx, 0, 0);
        }
        test.advance_clock(TimeDelta::minutes(1));
    }
    // Another process at the same time, whose write may be refused.
    test.ctx().record_key_use(&principal).await;
    let ctx = test.start_plain_process().request_context(deadline(), "test");
    ctx.record_key_use(&principal).await;
    assert_calls(&ctx, 1, 1);
}

#[tokio::test]
async fn a_token_has_no_use_to_record() {
    let test = TestApp::new().await;
    let token = format!("Bearer {}", test.org.jwt(JWT_SECRET, TimeDelta::hours(1)));
    let credentials = Credentials { api_key: None, authorization: Some(&token) };
    let principal = test.ctx().authenticate(credentials).await.unwrap();
    let ctx = test.ctx();
    ctx.record_key_use(&principal).await;
    assert_calls(&ctx, 0, 0);
}

#[tokio::test]
async fn whether_an_organization_is_suspended_is_one_read_per_minute_and_process() {
    let test = TestApp::new().await;
    test.stop_clock();
    let token = format!("Bearer {}", test.org.jwt(JWT_SECRET, TimeDelta::hours(2)));
    let by_key = |key| Credentials { api_key: Some(key), authorization: None };
    let by_token = Credentials { api_key: None, authorization: Some(&token) };
    let [admin, read] = [&test.org.admin_key, &test.org.read_key].map(ApiKeySecret::in_clear);
    let calls = async |credentials: Credentials<'_>| {
        let ctx = test.ctx();
        ctx.authenticate(credentials).await.unwrap();
        ctx.consumed_capacity().calls
    };
    for _ in 0..2 {
        assert_eq!(calls(by_token).await, 1, "the organization");
        assert_eq!(calls(by_key(admin)).await, 1, "the key");
        assert_eq!(calls(by_key(read)).await, 1, "the other key");
        test.advance_clock(TimeDelta::seconds(59));
        assert_eq!(calls(by_key(admin)).await + calls(by_key(read)).await + calls(by_token).await, 0, "cached");
        test.advance_clock(TimeDelta::seconds(1));
    }
}

/// The API with a stopped clock, and a caller whose key has this limit.
async fn with_limited_key(requests_per_second: u32, burst: u32) -> (TestApp, Principal) {
    let test = TestApp::new().await;
    test.stop_clock();
    let key = test.create_limited_key(requests_per_second, burst).await;
    let principal = test.principal_of(&key).await;
    (test, principal)
}

/// Counts a request of the caller, and returns the context that has counted the calls.
async fn limited_request(test: &TestApp, principal: &Principal) -> RequestContext {
    let ctx = test.ctx();
    assert_eq!(ctx.admit(principal).retry_after, None);
    ctx.report_usage(principal).await;
    ctx
}

#[tokio::test]
async fn a_caller_without_a_rate_limit_causes_no_call_and_no_header() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    for _ in 0..100 {
        let ctx = limited_request(&test, &principal).await;
        assert_calls(&ctx, 0, 0);
    }
    assert_eq!(test.ctx().admit(&principal).quotas, []);
}

#[tokio::test]
async fn a_caller_far_below_its_rate_limit_causes_no_call() {
    let (test, principal) = with_limited_key(1_000, 10_000).await;
    for _ in 0..600 {
        let ctx = limited_request(&test, &principal).await;
        assert_calls(&ctx, 0, 0);
        test.advance_clock(TimeDelta::seconds(1));
    }
}

#[tokio::test]
async fn a_caller_near_its_rate_limit_causes_one_write_per_second() {
    let (test, principal) = with_limited_key(10, 10).await;
    for _ in 0..10 {
        let ctx = limited_request(&test, &principal).await;
        assert_calls(&ctx, 1, 1);
        assert_units(&test, &ctx, 0.0, 1.0);
        for _ in 0..9 {
            test.advance_clock(TimeDelta::milliseconds(100));
            let ctx = limited_request(&test, &principal).await;
            assert_calls(&ctx, 0, 0);
        }
        test.advance_clock(TimeDelta::milliseconds(100));
    }
}
