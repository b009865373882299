//! `handle` behind the whole way of a request, on a table of its own.

use chrono::TimeDelta;
use serde_json::json;
use shared::Endpoint;
use shared::domain::{ApiKey, ApiKeyId, ApiKeySecret, Scope};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, TestResponse};
use uuid::Uuid;

use super::handle;

const ENDPOINT: Endpoint = Endpoint::RevokeApiKey;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

async fn revoke_as(app: &TestApp, key: &ApiKeySecret, id: ApiKeyId) -> TestResponse {
    let request = TestRequest::example(ENDPOINT).header("x-api-key", key.in_clear()).path(format!("/api-keys/{id}"));
    app.send(ENDPOINT, handle, &request).await
}

async fn revoke(app: &TestApp, id: ApiKeyId) -> TestResponse {
    revoke_as(app, &app.org.admin_key, id).await
}

/// The organization's keys as they are stored.
async fn stored(app: &TestApp) -> Vec<ApiKey> {
    app.ctx().api_keys(&app.principal(&app.org).await).list(1000, None).await.unwrap().rows
}

#[tokio::test]
async fn a_key_is_revoked_once_and_stays_in_the_list() {
    let app = TestApp::new().await;
    let (_, key) = app.create_api_key(Scope::ALL).await;
    let mut before = stored(&app).await;
    let answer = revoke(&app, key.id).await;
    let message = format!(r#"{{"message":"API key {} revocada"}}"#, key.id);
    assert_eq!((answer.status, &answer.text), (200, &message));
    assert_eq!(answer.header("content-type"), "application/json");
    let items = app.items().await;
    let after = stored(&app).await;
    let revoked_at = after.iter().find(|listed| listed.id == key.id).unwrap().revoked_at;
    assert!(revoked_at.is_some_and(|moment| moment >= key.created_at), "{revoked_at:?}");
    before.iter_mut().find(|listed| listed.id == key.id).unwrap().revoked_at = revoked_at;
    assert_eq!(after, before, "nothing else has changed");

    app.advance_clock(TimeDelta::hours(1));
    let again = revoke(&app, key.id).await;
    assert_eq!((again.status, &again.text), (200, &message));
    assert_eq!(app.items().await, items, "the first moment stays");
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_a_fresh_process_at_once_and_by_a_warm_one_within_a_minute() {
    let mut app = TestApp::new().await;
    let (secret, key) = app.create_api_key(&[Scope::Admin]).await;
    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 200, "a key may revoke itself");
    app.advance_clock(TimeDelta::seconds(30));
    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 200, "this process has seen it");
    app.advance_clock(TimeDelta::seconds(30));
    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 401);

    let (secret, key) = app.create_api_key(&[Scope::Admin]).await;
    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 200);
    app.restart();
    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 401);

    let (secret, key) = app.create_api_key(&[Scope::Admin]).await;
    assert_eq!(revoke(&app, key.id).await.status, 200);
    assert_eq!(revoke_as(&app, &secret, key.id).await.status, 401, "nor has it been seen before");
}

#[tokio::test]
async fn an_expired_key_can_be_revoked_too() {
    let app = TestApp::new().await;
    let expired = stored(&app).await.into_iter().find(|key| key.valid_until.is_some()).unwrap();
    assert_eq!(revoke(&app, expired.id).await.status, 200);
    let revoked = stored(&app).await.into_iter().find(|key| key.id == expired.id).unwrap();
    assert!(revoked.revoked_at.is_some() && revoked.valid_until == expired.valid_until);
}

#[tokio::test]
async fn what_is_no_key_of_the_organization_is_not_found() {
    let app = TestApp::new().await;
    let (secret, key) = app.create_api_key(&[Scope::Read]).await;
    // Whatever the index says, a key is the organization's that is in it.
    let [(index_pk, pk), (index_sk, sk)] = keys::api_key_in_index(app.org.org_id, key.id);
    let another = json!({
        "type": {"S": "api_key"}, index_pk: {"S": pk}, index_sk: {"S": sk}, "id": {"S": key.id.to_string()},
        "org_id": {"S": app.other.org_id.to_string()}, "display_prefix": {"S": "sk_live_1234"},
        "scopes": {"SS": ["read"]}, "name": {"S": "another's"},
    });
    app.put_item(&keys::api_key(&secret.hash()), another).await;
    let before = app.items().await;
    for id in [Uuid::new_v4().into(), Uuid::nil().into(), Uuid::max().into(), key.id] {
        let answer = revoke(&app, id).await;
        assert_eq!((answer.status, answer.detail()), (404, "API key not found".to_owned()), "{id}");
    }
    assert_eq!(app.items().await, before);
}
