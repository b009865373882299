//! `handle` behind the whole way of a request, on a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::Endpoint;
use shared::auth::Credentials;
use shared::domain::{ApiKeySecret, Scope};
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::CreateApiKey;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies
);

async fn post(app: &TestApp, body: &Value) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).json(body)).await
}

/// The key in clear that an answer shows.
fn secret(answer: &TestResponse) -> ApiKeySecret {
    assert_eq!(answer.status, 201, "{}", answer.text);
    ApiKeySecret::parse(answer.json()["key"].as_str().unwrap()).unwrap()
}

/// The scopes that a key opens its organization with; none where it is refused.
async fn opens(app: &TestApp, key: &ApiKeySecret) -> Vec<Scope> {
    let credentials = Credentials { api_key: Some(key.in_clear()), authorization: None };
    let Ok(principal) = app.ctx().authenticate(credentials).await else { return Vec::new() };
    assert_eq!(principal.org_id(), app.org.org_id);
    Scope::ALL.iter().copied().filter(|scope| principal.may(*scope)).collect()
}

#[tokio::test]
async fn a_key_is_answered_once_and_stored_as_its_hash() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let answer =
        post(&app, &json!({"name": " Lead loader ", "scopes": ["write", "read", "write"], "live": true})).await;
    let (key, body) = (secret(&answer), answer.json());
    let (id, at, prefix) =
        (body["id"].as_str().unwrap(), body["created_at"].as_str().unwrap(), &key.in_clear()[.."sk_live_1234".len()]);
    let (org_id, in_clear) = (app.org.org_id, key.in_clear());
    let expected = format!(
        r#"{{"id":"{id}","org_id":"{org_id}","name":"Lead loader","display_prefix":"{prefix}","scopes":["read","write"],"live":true,"created_at":"{at}","expires_at":null,"revoked_at":null,"key":"{in_clear}"}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (201, expected.as_str()));
    assert_eq!((answer.header("content-type"), answer.header("location")), ("application/json", ""));
    assert!(in_clear.starts_with("sk_live_"), "{in_clear}");

    let stored: Vec<_> = app.items().await.into_iter().filter(|item| !before.contains(item)).collect();
    let [item] = stored.as_slice() else { panic!("one item more: {stored:?}") };
    assert!(item.contains(key.hash().as_str()) && item.contains(prefix) && item.contains("Lead loader"), "{item}");
    assert!(!item.contains(in_clear.strip_prefix(prefix).unwrap()), "{item}");
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_say_until_it_ends() {
    let app = TestApp::new().await;
    for (scopes, may) in [
        (json!(["read"]), vec![Scope::Read]),
        (json!(["write"]), vec![Scope::Write]),
        (json!(["write", "read"]), vec![Scope::Read, Scope::Write]),
        (json!(["admin"]), Scope::ALL.to_vec()),
        (json!(["admin", "admin", "read"]), Scope::ALL.to_vec()),
    ] {
        let answer = post(&app, &json!({"name": "a", "scopes": scopes, "live": false})).await;
        let key = secret(&answer);
        assert!(key.in_clear().starts_with("sk_test_") && answer.json()["live"] == json!(false), "{}", answer.text);
        assert_eq!(opens(&app, &key).await, may, "{scopes}");
    }
    let end = (chrono::Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let answer = post(&app, &json!({"name": "a", "scopes": ["read"], "expires_at": end, "live": true})).await;
    let key = secret(&answer);
    assert_eq!(opens(&app, &key).await, [Scope::Read]);
    app.advance_clock(TimeDelta::minutes(59));
    assert_eq!(opens(&app, &key).await, [Scope::Read]);
    app.advance_clock(TimeDelta::minutes(1));
    assert_eq!(opens(&app, &key).await, []);
}

#[tokio::test]
async fn an_end_is_answered_in_utc() {
    let app = TestApp::new().await;
    for (sent, shown) in [
        (json!(null), json!(null)),
        (json!("2999-01-01T01:00:00+02:00"), json!("2998-12-31T23:00:00Z")),
        (json!("2999-01-01T00:00:00.1239Z"), json!("2999-01-01T00:00:00.123Z")),
    ] {
        let answer = post(&app, &json!({"name": "a", "scopes": ["read"], "expires_at": sent, "live": true})).await;
        assert_eq!((answer.status, &answer.json()["expires_at"]), (201, &shown));
    }
}

#[tokio::test]
async fn every_key_is_another() {
    let app = TestApp::new().await;
    let body = json!({"name": "a", "scopes": ["read"], "live": true});
    let (one, two) = (post(&app, &body).await, post(&app, &body).await);
    assert_ne!(secret(&one).in_clear(), secret(&two).in_clear());
    assert_ne!(one.json()["id"], two.json()["id"]);
}

#[tokio::test]
async fn a_repeat_is_refused_and_shows_and_stores_no_secret() {
    const CREATED: (u64, &str) = (409, "API key already created");
    let app = TestApp::new().await;
    let good = TestRequest::to(ENDPOINT, &app.org).json(&json!({"name": "a", "scopes": ["read"], "live": true}));
    let keyed = good.clone().header("idempotency-key", "key-1");
    let send = async |request: &TestRequest| app.send(ENDPOINT, handle, request).await;

    let key = secret(&send(&keyed).await);
    let items = app.items().await;
    app.advance_clock(TimeDelta::hours(24) - TimeDelta::minutes(1));
    for same in [keyed.clone(), keyed.clone().path("/api-keys"), keyed.clone().without_header("content-type")] {
        let again = send(&same).await;
        assert_eq!((again.status, again.detail().as_str()), CREATED);
        assert_eq!(again.header("idempotent-replayed"), "");
    }
    let another = keyed.clone().json(&json!({"name": "b", "scopes": ["read"], "live": true}));
    for other in [another, keyed.clone().query("a=b"), keyed.clone().text("{")] {
        let answer = send(&other).await;
        let expected = (422, "Idempotency-Key was already used for a different request".to_owned());
        assert_eq!((answer.status, answer.detail()), expected);
    }
    assert_eq!(app.items().await, items, "a repeat makes no key");
    let hidden = &key.in_clear()[key.display_prefix().len()..];
    for item in &items {
        assert!(!item.contains(hidden), "{item}");
        let is_the_key = item.contains("\"type\":\"api_key\"");
        assert!(is_the_key || !(item.contains(key.display_prefix()) || item.contains(key.hash().as_str())), "{item}");
    }

    let theirs = keyed.clone().header("x-api-key", app.other.admin_key.in_clear());
    assert_eq!(send(&theirs).await.status, 201, "an Idempotency-Key is one organization's");
    app.advance_clock(TimeDelta::minutes(1));
    assert_ne!(secret(&send(&keyed).await), key, "and it is kept for a day");

    let wrong = good.clone().text("{").header("idempotency-key", "key-2");
    assert_eq!(send(&wrong).await.status, 400);
    assert_eq!(send(&good.clone().header("idempotency-key", "key-2")).await.status, 201, "only a success is kept");
    for wrong in ["", "two words", &"k".repeat(256)] {
        let answer = send(&good.clone().header("idempotency-key", wrong)).await;
        let detail = "Validation error: Idempotency-Key must be 1 to 255 visible ASCII characters";
        assert_eq!((answer.status, answer.detail().as_str()), (400, detail), "{wrong}");
    }
}

#[tokio::test]
async fn of_many_at_once_under_one_key_one_makes_an_api_key() {
    let app = TestApp::new().await;
    let before = app.count_items("api_key").await;
    let request = TestRequest::to(ENDPOINT, &app.org).header("idempotency-key", "key-1");
    let (one, two, three) = tokio::join!(
        app.send(ENDPOINT, handle, &request),
        app.send(ENDPOINT, handle, &request),
        app.send(ENDPOINT, handle, &request)
    );
    let mut statuses = [one.status, two.status, three.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    assert_eq!(app.count_items("api_key").await, before + 1);
}

#[tokio::test]
async fn every_fault_is_named_and_nothing_is_written() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let with = |name: &str, value: Value| {
        let mut body = json!({"name": "a", "scopes": ["read"], "live": true});
        body[name] = value;
        body
    };
    let scopes = "scopes must hold at least one of read write admin, and nothing else";
    let time = "expires_at must be an RFC 3339 time with its offset";
    for (body, detail) in [
        (json!({}), "name field is required; scopes field is required; live field is required"),
        (
            json!({"name": null, "scopes": null, "expires_at": null, "live": null}),
            "name field is required; scopes field is required; live field is required",
        ),
        (with("name", json!(" ")), "name must not be blank"),
        (with("name", json!("x".repeat(101))), "name must be at most 100 characters"),
        (with("name", json!("a\tb")), "name must not contain control characters"),
        (with("name", json!(1)), "name must be a string"),
        (with("scopes", json!([])), scopes),
        (with("scopes", json!(["Read"])), scopes),
        (with("scopes", json!(["read", "delete"])), scopes),
        (with("scopes", json!("read")), "scopes must be an array of strings"),
        (with("scopes", json!(["read", null])), "scopes must be an array of strings"),
        (with("expires_at", json!("2999-01-01")), time),
        (with("expires_at", json!("2999-01-01T00:00:00")), time),
        (with("expires_at", json!("")), time),
        (with("expires_at", json!(4_102_444_800_u64)), "expires_at must be a string"),
        (with("expires_at", json!("2024-01-01T00:00:00Z")), "expires_at must be in the future"),
        (with("live", json!("true")), "live must be true or false"),
        (
            json!({"live": 1, "expires_at": "2024-01-01T00:00:00Z", "scopes": [], "name": ""}),
            "name must not be blank; scopes must hold at least one of read write admin, and nothing else; expires_at must be in the future; live must be true or false",
        ),
    ] {
        let answer = post(&app, &body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    assert_eq!(app.items().await, before);
    assert_eq!(post(&app, &with("name", json!("x".repeat(100)))).await.status, 201);
}
