//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use shared::auth::Credentials;
use shared::domain::{ApiKeySecret, AuditAction, Scope, time};
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies
);

async fn send(app: &TestApp, request: &TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, request).await
}

async fn post(app: &TestApp, body: &Value) -> TestResponse {
    send(app, &TestRequest::to(ENDPOINT, &app.org).json(body)).await
}

/// A valid request with an `Idempotency-Key`.
fn keyed(app: &TestApp, idempotency_key: &str) -> TestRequest {
    let body = json!({"name": "a", "scopes": ["read"], "live": true});
    TestRequest::to(ENDPOINT, &app.org).json(&body).header("idempotency-key", idempotency_key)
}

/// The secret that the response shows.
fn secret(response: &TestResponse) -> ApiKeySecret {
    assert_eq!(response.status, 201, "{}", response.text);
    ApiKeySecret::parse(response.json()["key"].as_str().unwrap()).unwrap()
}

/// The scopes that a key grants in its organization; none if the key is refused.
async fn granted_scopes(app: &TestApp, key: &ApiKeySecret) -> Vec<Scope> {
    let credentials = Credentials { api_key: Some(key.in_clear()), authorization: None };
    let Ok(principal) = app.ctx().authenticate(credentials).await else { return Vec::new() };
    assert_eq!(principal.org_id(), app.org.org_id);
    Scope::ALL.iter().copied().filter(|scope| principal.may(*scope)).collect()
}

#[tokio::test]
async fn the_response_shows_the_secret_and_every_field_of_the_key() {
    let app = TestApp::new().await;

    let response =
        post(&app, &json!({"name": " Lead loader ", "scopes": ["write", "read", "write"], "live": true})).await;

    let secret = secret(&response);
    let key = response.json();
    let (id, org_id) = (key["id"].as_str().unwrap(), app.org.org_id);
    let (in_clear, display_prefix) = (secret.in_clear(), &secret.in_clear()[.."sk_live_1234".len()]);
    let created_at = key["created_at"].as_str().unwrap();
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "name":"Lead loader",
            "display_prefix":"{display_prefix}",
            "scopes":["read","write"],
            "live":true,
            "created_at":"{created_at}",
            "expires_at":null,
            "revoked_at":null,
            "rate_limit":null,
            "last_used_at":null,
            "key":"{in_clear}"
        }}"#
    );
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("location"), "");
    assert!(in_clear.starts_with("sk_live_"), "{in_clear}");
}

#[tokio::test]
async fn a_key_is_stored_as_its_hash() {
    let app = TestApp::new().await;
    let before = app.items().await;

    let secret = secret(&post(&app, &json!({"name": "Lead loader", "scopes": ["read"], "live": true})).await);

    let mut stored = app.items().await;
    stored.retain(|item| !before.contains(item) && !item.contains(r#""type":"audit_entry""#));
    let [item] = stored.as_slice() else { panic!("expected one new item beside the audit entry: {stored:?}") };
    let hidden = secret.in_clear().strip_prefix(secret.display_prefix()).unwrap();
    for part in [secret.hash().as_str(), secret.display_prefix(), "Lead loader"] {
        assert!(item.contains(part), "{part}: {item}");
    }
    assert!(!item.contains(hidden), "{item}");
}

#[tokio::test]
async fn a_key_grants_its_scopes() {
    let app = TestApp::new().await;
    for (scopes, granted) in [
        (json!(["read"]), vec![Scope::Read]),
        (json!(["write"]), vec![Scope::Write]),
        (json!(["write", "read"]), vec![Scope::Read, Scope::Write]),
        (json!(["admin"]), Scope::ALL.to_vec()),
        (json!(["admin", "admin", "read"]), Scope::ALL.to_vec()),
    ] {
        let response = post(&app, &json!({"name": "a", "scopes": scopes, "live": true})).await;
        assert_eq!(granted_scopes(&app, &secret(&response)).await, granted, "{scopes}");
    }
}

#[tokio::test]
async fn a_test_key_has_the_prefix_of_test_keys() {
    let app = TestApp::new().await;

    let response = post(&app, &json!({"name": "a", "scopes": ["read"], "live": false})).await;

    assert!(secret(&response).in_clear().starts_with("sk_test_"), "{}", response.text);
    assert_eq!(response.json()["live"], false);
}

#[tokio::test]
async fn a_key_grants_nothing_once_it_has_expired() {
    let app = TestApp::new().await;
    let expires_at = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let body = json!({"name": "a", "scopes": ["read"], "expires_at": expires_at, "live": true});
    let key = secret(&post(&app, &body).await);

    assert_eq!(granted_scopes(&app, &key).await, [Scope::Read]);
    app.advance_clock(TimeDelta::minutes(59));
    assert_eq!(granted_scopes(&app, &key).await, [Scope::Read]);
    app.advance_clock(TimeDelta::minutes(1));
    assert_eq!(granted_scopes(&app, &key).await, []);
}

#[tokio::test]
async fn the_expiry_is_returned_in_utc() {
    let app = TestApp::new().await;
    for (sent, shown) in [
        (json!(null), json!(null)),
        (json!("2999-01-01T01:00:00+02:00"), json!("2998-12-31T23:00:00Z")),
        (json!("2999-01-01T00:00:00.1239Z"), json!("2999-01-01T00:00:00.123Z")),
    ] {
        let response = post(&app, &json!({"name": "a", "scopes": ["read"], "expires_at": sent, "live": true})).await;
        assert_eq!(response.status, 201, "{sent}: {}", response.text);
        assert_eq!(response.json()["expires_at"], shown, "{sent}");
    }
}

#[tokio::test]
async fn a_key_without_an_expiry_gets_the_default_lifetime() {
    let mut app = TestApp::new().await;
    app.stop_clock();
    app.set_api_key_lifetime(TimeDelta::days(90));
    let default = json!(time::to_exact(app.ctx().now() + TimeDelta::days(90)));
    let sent = "2999-01-01T00:00:00Z";
    for (body, shown) in [
        (json!({"name": "a", "scopes": ["read"], "live": true}), &default),
        (with("expires_at", json!(null)), &default),
        (with("expires_at", json!(sent)), &json!(sent)),
    ] {
        let response = post(&app, &body).await;
        assert_eq!((response.status, &response.json()["expires_at"]), (201, shown), "{body}");
    }
}

#[tokio::test]
async fn a_created_key_is_in_the_audit_log_once() {
    let app = TestApp::new().await;
    let request = keyed(&app, "key-1").header("x-request-id", "id-of-the-request");

    let created = send(&app, &request).await;
    assert_eq!(send(&app, &request).await.status, 409);
    assert_eq!(post(&app, &with("scopes", json!([]))).await.status, 400);

    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(app.audited().await, [(AuditAction::ApiKeyCreated, id, "id-of-the-request".to_owned())]);
}

#[tokio::test]
async fn a_rate_limit_is_stored_with_the_key() {
    let app = TestApp::new().await;
    app.stop_clock();
    for (sent, shown, policy) in [
        (json!(null), json!(null), ""),
        (json!({"requests_per_second": 2}), json!({"requests_per_second": 2, "burst": 20}), r#""key";q=20;w=10"#),
        (
            json!({"requests_per_second": "2", "burst": 3, "unknown": 1}),
            json!({"requests_per_second": 2, "burst": 3}),
            r#""key";q=3;w=2"#,
        ),
    ] {
        let body = json!({"name": "a", "scopes": ["admin"], "live": true, "rate_limit": sent});
        let created = post(&app, &body).await;
        let key = secret(&created);
        assert_eq!(created.json()["rate_limit"], shown, "{sent}");

        let limited = TestRequest::to(ENDPOINT, &app.org).header("x-api-key", key.in_clear());
        assert_eq!(send(&app, &limited).await.header("ratelimit-policy"), policy, "{sent}");
    }
}

#[tokio::test]
async fn an_invalid_rate_limit_is_a_validation_error() {
    let app = TestApp::new().await;
    for (sent, error) in [
        (json!(5), "rate_limit must be a JSON object"),
        (json!({}), "rate_limit requests_per_second field is required"),
        (json!({"requests_per_second": 0}), "rate_limit requests_per_second must be an integer from 1 to 10000"),
        (
            json!({"requests_per_second": 1.5, "burst": 100_001}),
            "rate_limit requests_per_second must be an integer from 1 to 10000; \
             rate_limit burst must be an integer from 1 to 100000",
        ),
    ] {
        let body = json!({"name": "a", "scopes": ["read"], "live": true, "rate_limit": sent});
        let response = post(&app, &body).await;
        assert_eq!((response.status, response.detail()), (400, format!("Validation error: {error}")), "{sent}");
    }
}

#[tokio::test]
async fn equal_requests_create_different_keys() {
    let app = TestApp::new().await;
    let body = json!({"name": "a", "scopes": ["read"], "live": true});

    let (one, two) = (post(&app, &body).await, post(&app, &body).await);

    assert_ne!(secret(&one).in_clear(), secret(&two).in_clear());
    assert_ne!(one.json()["id"], two.json()["id"]);
}

#[tokio::test]
async fn a_repeat_under_an_idempotency_key_is_a_conflict_without_the_secret() {
    let app = TestApp::new().await;
    let request = keyed(&app, "key-1");
    secret(&send(&app, &request).await);
    let before = app.items().await;
    app.advance_clock(TimeDelta::hours(24) - TimeDelta::minutes(1));
    for same in [request.clone(), request.clone().path("/api-keys"), request.without_header("content-type")] {
        let response = send(&app, &same).await;
        assert_eq!(response.status, 409, "{}", response.text);
        assert_eq!(response.detail(), "API key already created");
        assert_eq!(response.header("idempotent-replayed"), "");
    }
    assert_eq!(app.items().await, before, "no key is created");
}

#[tokio::test]
async fn a_different_request_under_an_idempotency_key_is_refused() {
    let app = TestApp::new().await;
    let request = keyed(&app, "key-1");
    secret(&send(&app, &request).await);
    let before = app.items().await;
    let another_name = json!({"name": "b", "scopes": ["read"], "live": true});
    for different in [request.clone().json(&another_name), request.clone().query("a=b"), request.clone().text("{")] {
        let response = send(&app, &different).await;
        assert_eq!(response.status, 422, "{}", response.text);
        assert_eq!(response.detail(), "Idempotency-Key was already used for a different request");
    }
    assert_eq!(app.items().await, before, "no key is created");
}

#[tokio::test]
async fn the_idempotency_record_holds_neither_the_secret_nor_its_hash() {
    let app = TestApp::new().await;

    let secret = secret(&send(&app, &keyed(&app, "key-1")).await);

    let hidden = secret.in_clear().strip_prefix(secret.display_prefix()).unwrap();
    for item in app.items().await {
        assert!(!item.contains(hidden), "{item}");
        if !item.contains("\"type\":\"api_key\"") {
            assert!(!item.contains(secret.display_prefix()), "{item}");
            assert!(!item.contains(secret.hash().as_str()), "{item}");
        }
    }
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_one_organization() {
    let app = TestApp::new().await;
    let request = keyed(&app, "key-1");
    secret(&send(&app, &request).await);

    let of_other_org = send(&app, &request.header("x-api-key", app.other.admin_key.in_clear())).await;

    assert_eq!(of_other_org.status, 201, "{}", of_other_org.text);
}

#[tokio::test]
async fn an_idempotency_key_expires_after_a_day() {
    let app = TestApp::new().await;
    let request = keyed(&app, "key-1");
    let first = secret(&send(&app, &request).await);

    app.advance_clock(TimeDelta::hours(24));
    let second = secret(&send(&app, &request).await);

    assert_ne!(first, second);
}

#[tokio::test]
async fn an_idempotency_key_is_free_after_an_error() {
    let app = TestApp::new().await;
    assert_eq!(send(&app, &keyed(&app, "key-2").text("{")).await.status, 400);

    let corrected = send(&app, &keyed(&app, "key-2")).await;

    assert_eq!(corrected.status, 201, "{}", corrected.text);
}

#[tokio::test]
async fn a_malformed_idempotency_key_is_a_validation_error() {
    let app = TestApp::new().await;
    for malformed in ["", "two words", &"k".repeat(256)] {
        let response = send(&app, &keyed(&app, malformed)).await;
        assert_eq!(response.status, 400, "{malformed}: {}", response.text);
        let detail = "Validation error: Idempotency-Key must be 1 to 255 visible ASCII characters";
        assert_eq!(response.detail(), detail, "{malformed}");
    }
}

#[tokio::test]
async fn of_concurrent_requests_under_an_idempotency_key_one_creates_a_key() {
    let app = TestApp::new().await;
    let before = app.count_items("api_key").await;
    let request = keyed(&app, "key-1");

    let (one, two, three) = tokio::join!(send(&app, &request), send(&app, &request), send(&app, &request));

    let mut statuses = [one.status, two.status, three.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    assert_eq!(app.count_items("api_key").await, before + 1);
}

/// A valid body with this field replaced.
fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"name": "a", "scopes": ["read"], "live": true});
    body[field] = value;
    body
}

#[tokio::test]
async fn validation_errors_name_each_field_in_the_documented_order() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let all_missing = "name field is required; scopes field is required; live field is required";
    let scopes = "scopes must hold at least one of read write admin, and nothing else";
    let expires_at = "expires_at must be an RFC 3339 time with its offset";
    let all_fields = "name must not be blank; \
                      scopes must hold at least one of read write admin, and nothing else; \
                      expires_at must be in the future; live must be true or false";
    for (body, detail) in [
        // Required fields.
        (json!({}), all_missing),
        (json!({"name": null, "scopes": null, "expires_at": null, "live": null}), all_missing),
        // name
        (with("name", json!(" ")), "name must not be blank"),
        (with("name", json!("x".repeat(101))), "name must be at most 100 characters"),
        (with("name", json!("a\tb")), "name must not contain control characters"),
        (with("name", json!(1)), "name must be a string"),
        // scopes
        (with("scopes", json!([])), scopes),
        (with("scopes", json!(["Read"])), scopes),
        (with("scopes", json!(["read", "delete"])), scopes),
        (with("scopes", json!("read")), "scopes must be an array of strings"),
        (with("scopes", json!(["read", null])), "scopes must be an array of strings"),
        // expires_at
        (with("expires_at", json!("2999-01-01")), expires_at),
        (with("expires_at", json!("2999-01-01T00:00:00")), expires_at),
        (with("expires_at", json!("")), expires_at),
        (with("expires_at", json!(4_102_444_800_u64)), "expires_at must be a string"),
        (with("expires_at", json!("2024-01-01T00:00:00Z")), "expires_at must be in the future"),
        // name
        (with("name", json!("\u{200B}")), "name must not be blank"),
        (with("name", json!("Jos\u{FFFD}")), "name must not contain the replacement character U+FFFD"),
        // live
        (with("live", json!("live")), "live must be true or false"),
        // Every field at once.
        (json!({"live": 2, "expires_at": "2024-01-01T00:00:00Z", "scopes": [], "name": ""}), all_fields),
    ] {
        let response = post(&app, &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn a_name_of_one_hundred_characters_is_valid() {
    let app = TestApp::new().await;

    let response = post(&app, &with("name", json!("x".repeat(100)))).await;

    assert_eq!(response.status, 201, "{}", response.text);
}

#[tokio::test]
async fn without_randomness_no_key_is_created() {
    let mut app = TestApp::new().await;
    let before = app.items().await;
    app.restart_without_randomness();

    let response = post(&app, &json!({"name": "a", "scopes": ["read"], "live": true})).await;

    assert_eq!((response.status, response.detail()), (500, "Internal server error".to_owned()));
    assert_eq!(app.items().await, before);
}
