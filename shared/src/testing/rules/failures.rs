//! Failures that are not the client's: bugs, unreadable items, and a database that is down.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{success, valid_request};
use crate::app::RequestContext;
use crate::dynamodb::keys;
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Handler, Request, Response};
use crate::testing::{TestApp, fault};

pub(super) async fn panicking(_: RequestContext, _: Request) -> Result<Response, ApiError> {
    assert_eq!(1, 2, "canary");
    Err(ApiError::NoRoute)
}

async fn failing(_: RequestContext, _: Request) -> Result<Response, ApiError> {
    Err(ApiError::Internal("canary".to_owned()))
}

/// A bug is a 500 that discloses nothing.
pub async fn bugs(endpoint: Endpoint, handle: impl Handler) {
    const BUG: &str = r#"{"detail":"Internal server error"}"#;
    let mut app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await.header("x-request-id", "id-of-a-bug");

    for response in [app.send(endpoint, panicking, &good).await, app.send(endpoint, failing, &good).await] {
        assert_eq!((response.status, response.text.as_str()), (500, BUG));
        assert_eq!(response.header("x-request-id"), "id-of-a-bug");
    }

    // The item of the caller's API key cannot be read.
    let key = keys::api_key(&app.org.admin_key.hash());
    app.put_item(&key, json!({"type": {"S": "api_key"}, "id": {"S": "canary"}})).await;
    app.restart();
    let response = app.send(endpoint, handle, &good).await;

    assert_eq!((response.status, response.text.as_str()), (500, BUG));
}

/// A database that is down is a 503 with `Retry-After`, whichever call the endpoint was about to make.
pub async fn unavailable(endpoint: Endpoint, handle: impl Handler) {
    const TIME_LIMIT: Duration = Duration::from_millis(200);
    let mut app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await;
    let proxy = app.start_fault_proxy().await;
    // Caches the caller's API key, so that the fault meets the endpoint's own call.
    let _ = app.principal(&app.org).await;
    proxy.inject_randomly(0, 1.0, &[fault::FaultKind::InternalServerError]);

    let response = app.send_with_deadline(Instant::now() + TIME_LIMIT, endpoint, handle, &good).await;

    let detail = r#"{"detail":"Service temporarily unavailable, try again"}"#;
    assert_eq!((response.status, response.text.as_str()), (503, detail));
    assert_eq!(response.header("retry-after"), "1");

    proxy.clear_faults();
    assert_eq!(app.send(endpoint, handle, &good).await.status, success(endpoint));
}
