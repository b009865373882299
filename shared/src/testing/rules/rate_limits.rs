//! The rate limit of a caller: its headers in every response, and the refusal beyond it.

use chrono::TimeDelta;

use super::failures::panicking;
use super::{TOO_MANY_REQUESTS, success, valid_request};
use crate::domain::ApiKeySecret;
use crate::endpoint::{Endpoint, Header, Repeat};
use crate::http::Handler;
use crate::testing::{TestApp, TestRequest, TestResponse};

/// Every response to a limited key has its quota, and beyond its limit a request is refused until `Retry-After`.
pub async fn rate_limits(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    app.stop_clock();
    let key = app.create_limited_key(1, 3).await;
    let limited = || valid_request_of(&app, endpoint, &key);

    assert_quota(&app.send(endpoint, handle, &limited().await).await, success(endpoint), r#""key";r=2;t=1"#);
    assert_quota(&app.send(endpoint, panicking, &limited().await).await, 500, r#""key";r=1;t=2"#);
    let forged = limited().await.header("authorization", "Bearer ignored");
    assert_quota(&app.send(endpoint, handle, &forged).await, success(endpoint), r#""key";r=0;t=1"#);

    let again = limited().await;
    let refused = app.send(endpoint, handle, &again).await;
    assert_quota(&refused, 429, r#""key";r=0;t=1"#);
    assert_eq!((refused.detail().as_str(), refused.header("retry-after")), (TOO_MANY_REQUESTS, "1"));

    app.advance_clock(TimeDelta::seconds(1));
    assert_quota(&app.send(endpoint, handle, &again).await, success(endpoint), r#""key";r=0;t=1"#);

    let unlimited = app.send(endpoint, handle, &Box::pin(valid_request(&app, endpoint)).await).await;
    assert_eq!((unlimited.header("ratelimit"), unlimited.header("ratelimit-policy")), ("", ""));
    assert_eq!(unlimited.status, success(endpoint));

    short_responses(&app, endpoint, handle).await;
}

/// A valid request with this key.
async fn valid_request_of(app: &TestApp, endpoint: Endpoint, key: &ApiKeySecret) -> TestRequest {
    // On the heap, or the state of the rule becomes too large for the compiler.
    Box::pin(valid_request(app, endpoint)).await.header("x-api-key", key.in_clear())
}

/// Responses that do not come from the handler have the quota of their own request: a replay, a 304.
async fn short_responses(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let key = app.create_limited_key(1, 3).await;
    let request = valid_request_of(app, endpoint, &key).await;
    if endpoint.spec().repeat() == Some(Repeat::Replayed) {
        let request = request.header("idempotency-key", "key-1");
        assert_quota(&app.send(endpoint, handle, &request).await, success(endpoint), r#""key";r=2;t=1"#);
        let replayed = app.send(endpoint, handle, &request).await;
        assert_eq!(replayed.header("idempotent-replayed"), "true");
        assert_quota(&replayed, success(endpoint), r#""key";r=1;t=2"#);
    } else if endpoint.spec().headers.contains(&Header::IfNoneMatch) {
        let read = app.send(endpoint, handle, &request).await;
        let request = request.header("if-none-match", read.header("etag"));
        assert_quota(&app.send(endpoint, handle, &request).await, 304, r#""key";r=1;t=2"#);
    }
}

#[track_caller]
fn assert_quota(response: &TestResponse, status: u64, quota: &str) {
    assert_eq!(response.status, status, "{}", response.text);
    assert_eq!(response.header("ratelimit-policy"), r#""key";q=3;w=3"#, "{}", response.headers);
    assert_eq!(response.header("ratelimit"), quota, "{}", response.headers);
}
