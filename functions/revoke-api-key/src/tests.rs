//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::TimeDelta;
use serde_json::json;
use shared::domain::{ApiKey, ApiKeyId, ApiKeySecret, AuditAction, Scope};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, TestResponse};
use uuid::Uuid;

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

/// Revokes a key with the credentials of another one, or of the same one.
async fn revoke_as(app: &TestApp, secret: &ApiKeySecret, id: ApiKeyId) -> TestResponse {
    let request = TestRequest::example(ENDPOINT).header("x-api-key", secret.in_clear()).path(format!("/api-keys/{id}"));
    app.send(ENDPOINT, handle, &request).await
}

async fn revoke(app: &TestApp, id: ApiKeyId) -> TestResponse {
    revoke_as(app, &app.org.admin_key, id).await
}

/// Every stored key of the organization, without its last use.
async fn stored_keys(app: &TestApp) -> Vec<ApiKey> {
    let keys = app.ctx().api_keys(&app.principal(&app.org).await);
    let rows = keys.list::<ApiKey>(Some(1000), None).await.unwrap().rows;
    rows.into_iter().map(|key| ApiKey { last_used_at: None, ..key }).collect()
}

async fn stored_key(app: &TestApp, id: ApiKeyId) -> ApiKey {
    stored_keys(app).await.into_iter().find(|key| key.id == id).unwrap()
}

#[tokio::test]
async fn the_response_names_the_revoked_key() {
    let app = TestApp::new().await;
    let (_, key) = app.create_api_key(Scope::ALL).await;

    let response = revoke(&app, key.id).await;

    assert_eq!(response.status, 200);
    assert_eq!(response.text, format!(r#"{{"message":"API key {} revocada"}}"#, key.id));
    assert_eq!(response.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_revoked_key_stays_in_the_list_with_the_time_of_its_revocation() {
    let app = TestApp::new().await;
    let (_, key) = app.create_api_key(Scope::ALL).await;
    let mut expected = stored_keys(&app).await;

    revoke(&app, key.id).await;

    let revoked_at = stored_key(&app, key.id).await.revoked_at;
    assert!(revoked_at.is_some_and(|time| time >= key.created_at), "{revoked_at:?}");
    expected.iter_mut().find(|expected| expected.id == key.id).unwrap().revoked_at = revoked_at;
    assert_eq!(stored_keys(&app).await, expected, "nothing else has changed");
}

#[tokio::test]
async fn revoking_a_key_again_keeps_the_first_time() {
    let app = TestApp::new().await;
    let (_, key) = app.create_api_key(Scope::ALL).await;
    let first = revoke(&app, key.id).await;
    let before = app.items().await;
    app.advance_clock(TimeDelta::hours(1));

    let second = revoke(&app, key.id).await;

    assert_eq!(second, first);
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_process_that_has_cached_a_revoked_key_refuses_it_within_a_minute() {
    let app = TestApp::new().await;
    let (secret, key) = app.create_api_key(&[Scope::Admin]).await;
    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 200, "a key can revoke itself");

    app.advance_clock(TimeDelta::seconds(30));
    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 200);
    app.advance_clock(TimeDelta::seconds(30));
    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 401);
}

#[tokio::test]
async fn a_new_process_refuses_a_revoked_key_at_once() {
    let mut app = TestApp::new().await;
    let (secret, key) = app.create_api_key(&[Scope::Admin]).await;
    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 200);

    app.restart();

    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 401);
}

#[tokio::test]
async fn a_process_that_has_not_cached_a_revoked_key_refuses_it_at_once() {
    let app = TestApp::new().await;
    let (secret, key) = app.create_api_key(&[Scope::Admin]).await;

    assert_eq!(revoke(&app, key.id).await.status, 200);

    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 401);
}

#[tokio::test]
async fn an_expired_key_can_be_revoked() {
    let app = TestApp::new().await;
    let expired = stored_keys(&app).await.into_iter().find(|key| key.valid_until.is_some()).unwrap();

    let response = revoke(&app, expired.id).await;

    assert_eq!(response.status, 200, "{}", response.text);
    let revoked = stored_key(&app, expired.id).await;
    assert!(revoked.revoked_at.is_some());
    assert_eq!(revoked.valid_until, expired.valid_until);
}

#[tokio::test]
async fn an_unknown_key_is_a_404_and_nothing_is_written() {
    let app = TestApp::new().await;
    let before = app.items().await;
    for id in [Uuid::new_v4().into(), Uuid::nil().into(), Uuid::max().into()] {
        let response = revoke(&app, id).await;
        assert_eq!(response.status, 404, "{id}: {}", response.text);
        assert_eq!(response.detail(), "API key not found", "{id}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_key_that_the_index_has_but_another_organization_owns_is_a_404() {
    let app = TestApp::new().await;
    let (secret, key) = app.create_api_key(&[Scope::Read]).await;
    let [(index_pk, pk), (index_sk, sk)] = keys::api_key_in_index(app.org.org_id, key.id);
    let item_of_other_org = json!({
        "type": {"S": "api_key"},
        index_pk: {"S": pk},
        index_sk: {"S": sk},
        "id": {"S": key.id.to_string()},
        "org_id": {"S": app.other.org_id.to_string()},
        "display_prefix": {"S": "sk_live_1234"},
        "scopes": {"SS": ["read"]},
        "name": {"S": "another's"},
        "created_at": {"S": "2024-04-18T10:15:00Z"},
    });
    app.put_item(&keys::api_key(&secret.hash()), item_of_other_org).await;
    let before = app.items().await;

    let response = revoke(&app, key.id).await;

    assert_eq!(response.status, 404);
    assert_eq!(response.detail(), "API key not found");
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_revocation_is_in_the_audit_log_once() {
    let app = TestApp::new().await;
    let (_, key) = app.create_api_key(&[Scope::Read]).await;
    // Entries that are made in one millisecond have no order.
    app.advance_clock(TimeDelta::milliseconds(1));

    for attempt in ["first", "second"] {
        let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/api-keys/{}", key.id));
        let response = app.send(ENDPOINT, handle, &request.header("x-request-id", attempt)).await;
        assert_eq!(response.status, 200, "{attempt}: {}", response.text);
    }

    let id = key.id.to_string();
    let expected = [
        (AuditAction::ApiKeyRevoked, id.clone(), "first".to_owned()),
        (AuditAction::ApiKeyCreated, id, "test".to_owned()),
    ];
    let audited = app.audited().await;
    assert_eq!(audited, expected);
}

/// The id of the organization's own admin key.
async fn admin_key_id(app: &TestApp) -> ApiKeyId {
    stored_keys(app).await.into_iter().find(|key| key.name.as_str() == "admin").unwrap().id
}

#[tokio::test]
async fn the_last_admin_key_is_kept() {
    let app = TestApp::new().await;
    let id = admin_key_id(&app).await;
    let before = app.items().await;

    let response = revoke(&app, id).await;

    assert_eq!((response.status, response.detail()), (409, "The last admin key cannot be revoked".to_owned()));
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn only_valid_keys_with_the_scope_admin_are_admin_keys() {
    let app = TestApp::new().await;
    app.stop_clock();
    let id = admin_key_id(&app).await;
    let now = app.ctx().now();
    let valid_until = |hours| Some(now + TimeDelta::hours(hours));
    for (name, scopes, valid_until, revoked_at, status) in [
        ("no admin", &[Scope::Read, Scope::Write][..], None, None, 409),
        ("revoked", &[Scope::Admin], None, Some(now), 409),
        ("expired", &[Scope::Admin], valid_until(0), None, 409),
        ("expires later", &[Scope::Admin], valid_until(1), None, 200),
    ] {
        let (secret, key) = app.create_api_key(scopes).await;
        app.put_api_key(&secret, &ApiKey { valid_until, revoked_at, ..key }).await;
        let response = revoke(&app, id).await;
        assert_eq!(response.status, status, "{name}: {}", response.text);
    }
}

#[tokio::test]
async fn an_admin_key_among_two_hundred_keys_is_found() {
    let app = TestApp::new().await;
    let last = admin_key_id(&app).await;
    let (_, other) = app.create_api_key(&[Scope::Admin]).await;
    for _ in 0..200 {
        app.create_api_key(&[Scope::Read]).await;
    }

    assert_eq!(revoke(&app, other.id).await.status, 200);
    assert_eq!(revoke(&app, last).await.status, 409);
}
