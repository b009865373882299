//! Requests that are sent again under their `Idempotency-Key`.

use chrono::TimeDelta;
use serde_json::json;

use super::{NamedResource, success, valid_request};
use crate::app::RequestContext;
use crate::dynamodb::keys;
use crate::endpoint::{Endpoint, Header};
use crate::http::{ApiError, Handler, Request, Response};
use crate::testing::{TestApp, TestRequest};

const KEY_REUSED: &str = "Idempotency-Key was already used for a different request";

/// A repeated request gets the response of the first one for 24 hours and has no further effect
/// ([`Repeat::Replayed`](crate::endpoint::Repeat::Replayed)).
pub async fn idempotency(endpoint: Endpoint, handle: impl Handler) {
    repeats_are_replayed_for_24_hours(endpoint, handle).await;
    a_repeat_gets_the_location_for_its_own_base_url(endpoint, handle).await;
    other_requests_with_the_same_key_are_refused(endpoint, handle).await;
    a_key_belongs_to_one_organization_and_path(endpoint, handle).await;
    only_successes_are_stored(endpoint, handle).await;
    malformed_keys_are_refused(endpoint, handle).await;
    an_unreadable_record_is_an_internal_error(endpoint, handle).await;
}

async fn repeats_are_replayed_for_24_hours(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let keyed = valid_request(&app, endpoint).await.header("idempotency-key", "key-1");
    let path = keyed.event().raw_path;
    let first = app.send(endpoint, handle, &keyed).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""), "{}", first.text);
    let items = app.items().await;

    app.advance_clock(TimeDelta::hours(24) - TimeDelta::minutes(1));
    let without_slash = keyed.clone().path(path.trim_end_matches('/'));
    let other_spelling = keyed.clone().path(with_ids_respelled(endpoint, &path));
    for repeat in [keyed.clone(), without_slash, other_spelling, keyed.clone().without_header("content-type")] {
        let again = app.send(endpoint, handle, &repeat).await;

        assert_eq!((again.status, &again.text), (201, &first.text));
        assert_eq!(again.header("idempotent-replayed"), "true");
        let mut headers = again.headers.clone();
        headers.as_object_mut().expect("headers are an object").remove("idempotent-replayed");
        assert_eq!(headers, first.headers);
    }
    assert_eq!(app.items().await, items);

    app.advance_clock(TimeDelta::minutes(1));
    let next_day = app.send(endpoint, handle, &keyed).await;

    assert_eq!(next_day.header("idempotent-replayed"), "", "a response is stored for 24 hours");
}

async fn a_repeat_gets_the_location_for_its_own_base_url(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let keyed = valid_request(&app, endpoint).await.header("idempotency-key", "key-1");
    let at_stage = |stage: &str| keyed.clone().stage(stage);
    let first = app.send(endpoint, handle, &at_stage("v1")).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let location = first.header("location").trim_start_matches("/v1");
    for (repeat, base_path) in [(at_stage("v1"), "/v1"), (at_stage("v2"), "/v2"), (keyed.clone(), "")] {
        let again = app.send(endpoint, handle, &repeat).await;

        assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &first.text));
        let expected = if location.is_empty() { String::new() } else { format!("{base_path}{location}") };
        assert_eq!(again.header("location"), expected);
    }
}

/// The path with its ids in upper case, and the first character of each percent-encoded.
fn with_ids_respelled(endpoint: Endpoint, path: &str) -> String {
    let values = endpoint.path_values(path).expect("the path is the endpoint's");
    let respelled = values.map(|_, id| {
        let id = id.to_uppercase();
        format!("%{:X}{}", id.as_bytes()[0], &id[1..])
    });
    endpoint.path_with(|name| respelled.get(name).unwrap_or_default())
}

async fn other_requests_with_the_same_key_are_refused(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let keyed = valid_request(&app, endpoint).await.header("idempotency-key", "key-1");
    assert_eq!(app.send(endpoint, handle, &keyed).await.status, 201);
    let items = app.items().await;
    let body = keyed.event().take_body();
    let with_space = keyed.clone().text(format!("{} ", String::from_utf8_lossy(&body)));
    for other in [keyed.clone().query("a=b"), with_space, keyed.clone().text("{")] {
        let response = app.send(endpoint, handle, &other).await;

        assert_eq!((response.status, response.detail()), (422, KEY_REUSED.to_owned()));
    }
    assert_eq!(app.items().await, items);
}

async fn a_key_belongs_to_one_organization_and_path(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let first = valid_request(&app, endpoint).await.header("idempotency-key", "key-1");
    assert_eq!(app.send(endpoint, handle, &first).await.status, 201);
    // A resource in the path is one organization's, so there the same key is sent for another resource.
    let second = if NamedResource::of(endpoint).is_none() {
        first.header("x-api-key", app.other.admin_key.in_clear())
    } else {
        valid_request(&app, endpoint).await.header("idempotency-key", "key-1")
    };

    let response = app.send(endpoint, handle, &second).await;

    assert_eq!((response.status, response.header("idempotent-replayed")), (201, ""));
}

async fn only_successes_are_stored(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await.header("idempotency-key", "key-1");
    let invalid = good.clone().text("{");

    assert_eq!(app.send(endpoint, handle, &invalid).await.status, 400);
    assert_eq!(app.send(endpoint, handle, &good).await.status, 201, "the 400 is not stored");
    let unauthenticated = app.send(endpoint, handle, &good.without_header("x-api-key")).await;
    assert_eq!(unauthenticated.status, 401, "a stored response is for authenticated callers");
}

async fn malformed_keys_are_refused(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await;
    for key in ["", " ", "two words", "\u{e9}", &"k".repeat(256)] {
        let response = app.send(endpoint, handle, &good.clone().header("idempotency-key", key)).await;

        let detail = "Validation error: Idempotency-Key must be 1 to 255 visible ASCII characters";
        assert_eq!((response.status, response.detail().as_str()), (400, detail), "{key}");
    }

    let longest = app.send(endpoint, handle, &good.header("idempotency-key", &"k".repeat(255))).await;

    assert_eq!(longest.status, 201);
}

async fn an_unreadable_record_is_an_internal_error(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let request = valid_request(&app, endpoint).await.header("idempotency-key", "key-1");
    let path = request.event().raw_path;
    let record = keys::idempotency(app.org.org_id, "POST", path.trim_end_matches('/'), "key-1");
    app.put_item(&record, json!({"type": {"S": "idempotency"}, "response": {"S": "canary"}})).await;

    let response = app.send(endpoint, handle, &request).await;

    assert_eq!((response.status, response.detail()), (500, "Internal server error".to_owned()));
}

/// A request whose repeats run again holds a lock on its key while it is in progress, and no longer
/// ([`Repeat::Run`](crate::endpoint::Repeat::Run)).
pub async fn idempotency_locks(endpoint: Endpoint, handle: impl Handler) {
    repeats_run_again(endpoint, handle).await;
    failures_release_the_lock(endpoint, handle).await;
    a_locked_key_refuses_repeats(endpoint, handle).await;
}

async fn repeats_run_again(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let keyed = valid_request(&app, endpoint).await.header("idempotency-key", "key-1");
    for time in ["first", "second"] {
        let response = app.send(endpoint, handle, &keyed).await;

        assert_eq!(response.status, success(endpoint), "{time}: {}", response.text);
        assert_eq!(response.header("idempotent-replayed"), "", "{time}");
        assert_eq!(app.count_items("idempotency_lock").await, 0, "{time}");
    }
}

async fn unavailable(_: RequestContext, _: Request) -> Result<Response, ApiError> {
    Err(ApiError::Unavailable)
}

async fn failures_release_the_lock(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let keyed = valid_request(&app, endpoint).await.header("idempotency-key", "key-1");

    assert_eq!(app.send(endpoint, handle, &keyed.clone().text("{")).await.status, 400);
    assert_eq!(app.send(endpoint, unavailable, &keyed).await.status, 503);

    assert_eq!(app.count_items("idempotency_lock").await, 0);
}

/// Runs inside a handler, where the key of the handler's request is locked.
async fn a_locked_key_refuses_repeats(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let unkeyed = valid_request(&app, endpoint).await;
    let keyed = unkeyed.clone().header("idempotency-key", "key-1");
    let meanwhile = |_: RequestContext, _: Request| async {
        let send = async |request: &TestRequest| app.send(endpoint, handle, request).await;

        let repeat = send(&keyed).await;
        let detail = "A request with this Idempotency-Key is in progress";
        assert_eq!((repeat.status, repeat.detail().as_str()), (409, detail));
        let seconds: u32 = repeat.header("retry-after").parse().expect("a number of seconds");
        assert!((1..=60).contains(&seconds), "{seconds}");

        let respelled = send(&keyed.clone().path(with_ids_respelled(endpoint, &keyed.event().raw_path))).await;
        assert_eq!(respelled.status, 409, "{}", respelled.text);

        for other in different_requests(endpoint, &keyed) {
            let response = send(&other).await;
            assert_eq!((response.status, response.detail().as_str()), (422, KEY_REUSED), "{:?}", other.event());
        }

        let other_key = unkeyed.clone().header("idempotency-key", "key-2");
        let other_organization = keyed.clone().header("x-api-key", app.other.admin_key.in_clear());
        assert_eq!(send(&unkeyed).await.status, success(endpoint), "a request without a key needs no lock");
        assert_eq!(send(&other_key).await.status, success(endpoint), "another key is not locked");
        assert_ne!(send(&other_organization).await.status, 409, "a key belongs to one organization");

        app.advance_clock(TimeDelta::seconds(61));
        assert_eq!(send(&keyed).await.status, success(endpoint), "the lock of a dead process expires after a minute");
        Err(ApiError::NoRoute)
    };

    let response = app.send(endpoint, meanwhile, &keyed).await;

    // The handler's own error: none of its assertions failed.
    assert_eq!((response.status, response.detail()), (404, "Not found".to_owned()), "{}", response.text);
}

/// Requests with the key of this one that differ from it: in the body, a query parameter, or a header.
fn different_requests(endpoint: Endpoint, keyed: &TestRequest) -> Vec<TestRequest> {
    let spec = endpoint.spec();
    let mut others = vec![keyed.clone().text("{}")];
    if let Some(param) = spec.query.first() {
        others.push(keyed.clone().query(&format!("{}=", param.name)));
    }
    if spec.headers.contains(&Header::ImportId) {
        others.push(keyed.clone().header("x-import-id", "7c9e6679-7425-40de-944b-e07fc1f90ae7"));
    }
    others
}
