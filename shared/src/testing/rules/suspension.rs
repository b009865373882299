//! A suspended organization: its credentials are valid, and may do nothing.

use chrono::TimeDelta;
use serde_json::json;

use super::credentials::bearer;
use super::{FORBIDDEN, TOO_MANY_REQUESTS, success, valid_request};
use crate::dynamodb::keys;
use crate::endpoint::Endpoint;
use crate::http::Handler;
use crate::testing::{TestApp, TestRequest};

/// The documented time within which a suspension takes effect, and its end.
const CACHED_FOR: TimeDelta = TimeDelta::seconds(60);

/// Every request of a suspended organization is refused with 403, but beyond a rate limit with 429, and those of other
/// organizations are not. Once it is resumed, its requests are served again.
pub async fn suspension(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    app.stop_clock();
    let limited_key = app.create_limited_key(1, 1).await;
    let admin_token = bearer(&app.org, &json!({"scope": "admin"}));
    let by_key = Box::pin(valid_request(&app, endpoint)).await;
    let by_token = Box::pin(valid_request(&app, endpoint)).await;
    let by_token = by_token.without_header("x-api-key").header("authorization", &admin_token);
    let organization = app.organization();
    organization.create("Acme".parse().expect("the name is valid")).await.expect("the profile can be stored");

    organization.suspend().await.expect("the organization can be suspended");
    app.advance_clock(CACHED_FOR);

    for request in [&by_key, &by_token] {
        let refused = app.send(endpoint, handle, request).await;
        assert_eq!((refused.status, refused.detail()), (403, FORBIDDEN.to_owned()));
    }
    let limited = by_key.clone().header("x-api-key", limited_key.in_clear());
    for (status, detail) in [(403, FORBIDDEN), (429, TOO_MANY_REQUESTS)] {
        let refused = app.send(endpoint, handle, &limited).await;
        assert_eq!((refused.status, refused.detail()), (status, detail.to_owned()));
    }
    let of_other = app.send(endpoint, handle, &TestRequest::to(endpoint, &app.other)).await;
    assert_ne!(of_other.status, 403, "{}", of_other.text);

    organization.resume().await.expect("the organization can be resumed");
    app.advance_clock(CACHED_FOR);

    for request in [&by_key, &by_token] {
        let served = app.send(endpoint, handle, request).await;
        assert_eq!(served.status, success(endpoint), "{}", served.text);
    }
    an_unreadable_profile_fails_closed(&app, endpoint, handle, &by_key).await;
}

/// An organization whose profile cannot be read may be a suspended one.
async fn an_unreadable_profile_fails_closed(
    app: &TestApp,
    endpoint: Endpoint,
    handle: impl Handler,
    request: &TestRequest,
) {
    app.put_item(&keys::profile(app.org.org_id), json!({"type": {"S": "organization"}, "name": {"S": "canary"}})).await;
    app.advance_clock(CACHED_FOR);

    let failed = app.send(endpoint, handle, request).await;

    assert_eq!((failed.status, failed.text.as_str()), (500, r#"{"detail":"Internal server error"}"#));
}
