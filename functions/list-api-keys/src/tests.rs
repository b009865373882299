//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::domain::{ApiKey, ApiKeySecret, NewApiKey, OrgId, Scope, time};
use shared::dynamodb::keys;
use shared::system;
use shared::testing::{JWT_SECRET, TestApp, TestRequest, TestResponse, compact_json};
use uuid::Uuid;

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, lists
);

/// The ids of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(|page| page.values_of("id")).collect()
}

/// Stores a key of this organization, named after its age. No two keys of a test have the same age.
async fn store_key(app: &TestApp, org: OrgId, hours_old: i64) -> (ApiKeySecret, ApiKey) {
    let secret = ApiKeySecret::new(true, system::rng().bytes().unwrap());
    let created_at = Utc::now() - TimeDelta::hours(hours_old);
    let scopes = [Scope::Write, Scope::Read].into_iter().collect();
    let new = NewApiKey {
        name: format!("{hours_old} h old").parse().unwrap(),
        scopes,
        valid_until: None,
        live: true,
        rate_limit: None,
    };
    let key = ApiKey::new(system::rng().uuid_v7(created_at).into(), org, new, &secret, created_at);
    app.put_api_key(&secret, &key).await;
    (secret, key)
}

/// An app whose organization has one admin key and no other key; the id of that key.
async fn app_with_one_key() -> (TestApp, String) {
    let mut app = TestApp::new().await;
    app.org.org_id = Uuid::new_v4().into();
    let (secret, key) = store_key(&app, app.org.org_id, 0).await;
    let admin = ApiKey { scopes: [Scope::Admin].into_iter().collect(), ..key };
    app.put_api_key(&secret, &admin).await;
    app.org.admin_key = secret;
    (app, admin.id.to_string())
}

#[tokio::test]
async fn a_key_is_shown_with_its_prefix_instead_of_its_secret() {
    let app = TestApp::new().await;
    let org_id = app.org.org_id;
    let (secret, key) = store_key(&app, org_id, 2).await;

    let response = app.list(ENDPOINT, handle, "").await;

    let (id, display_prefix) = (key.id, secret.display_prefix());
    let created_at = time::to_seconds(key.created_at);
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "name":"2 h old",
            "display_prefix":"{display_prefix}",
            "scopes":["read","write"],
            "live":true,
            "created_at":"{created_at}",
            "expires_at":null,
            "revoked_at":null,
            "rate_limit":null,
            "last_used_at":null
        }}]"#
    );
    assert_eq!(response.status, 200);
    assert!(response.text.ends_with(&compact_json(&expected)), "{}", response.text);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("link"), "");
}

#[tokio::test]
async fn neither_secrets_nor_their_hashes_are_shown() {
    let app = TestApp::new().await;
    let (new_secret, _) = store_key(&app, app.org.org_id, 1).await;

    let response = app.list(ENDPOINT, handle, "").await;

    let mut secrets: Vec<_> = app.org.api_keys().into_iter().map(|(secret, _)| secret).collect();
    secrets.push(&new_secret);
    for secret in secrets {
        assert!(!response.text.contains(secret.in_clear()));
        assert!(!response.text.contains(secret.hash().as_str()));
    }
}

#[tokio::test]
async fn every_key_of_the_organization_is_listed_newest_first() {
    let app = TestApp::new().await;
    store_key(&app, app.org.org_id, 2).await;
    store_key(&app, app.org.org_id, 1).await;

    let response = app.list(ENDPOINT, handle, "").await;

    let mut names = response.values_of("name");
    let older = names.split_off(4);
    // The four keys of a test's organization are created together.
    names.sort_unstable();
    assert_eq!(names, ["admin", "expired", "read only", "revoked"]);
    assert_eq!(older, ["1 h old", "2 h old"]);
}

#[tokio::test]
async fn expiry_and_revocation_are_shown() {
    let app = TestApp::new().await;
    let (secret, key) = store_key(&app, app.org.org_id, 1).await;
    let timestamp = DateTime::from_timestamp(1_712_345_678, 120_000_000).unwrap();
    app.put_api_key(&secret, &ApiKey { valid_until: Some(timestamp), revoked_at: Some(timestamp), ..key }).await;

    let response = app.list(ENDPOINT, handle, "").await;

    let keys = response.json();
    let shown = keys.as_array().unwrap().iter().find(|key| key["name"] == "1 h old").unwrap();
    assert_eq!(shown["expires_at"], "2024-04-05T19:34:38.120Z");
    assert_eq!(shown["revoked_at"], "2024-04-05T19:34:38Z");
}

#[tokio::test]
async fn the_pages_together_are_the_list() {
    let (app, admin) = app_with_one_key().await;
    let mut expected = vec![admin];
    for hours_old in 1..=8 {
        expected.push(store_key(&app, app.org.org_id, hours_old).await.1.id.to_string());
    }

    let pages = pages(&app, "limit=4").await;

    assert_eq!(pages.concat(), expected);
}

#[tokio::test]
async fn a_key_created_between_two_pages_neither_skips_nor_repeats_a_row() {
    let (app, _) = app_with_one_key().await;
    let mut expected = Vec::new();
    for hours_old in 1..=8 {
        expected.push(store_key(&app, app.org.org_id, hours_old).await.1.id.to_string());
    }
    let first = app.list(ENDPOINT, handle, "limit=4").await;

    store_key(&app, app.org.org_id, -1).await;

    let second = app.list(ENDPOINT, handle, &first.next_page_query(ENDPOINT).unwrap()).await;
    assert_eq!(first.values_of("id")[1..], expected[..3]);
    assert_eq!(second.values_of("id"), expected[3..7]);
}

#[tokio::test]
async fn the_list_goes_on_past_the_one_hundred_keys_of_a_batch() {
    let (app, _) = app_with_one_key().await;
    for hours_old in 1..=120 {
        store_key(&app, app.org.org_id, hours_old).await;
    }

    let ids = app.list(ENDPOINT, handle, "").await.values_of("id");

    assert_eq!(ids.len(), 121);
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
}

/// Sends a request with a key, which records its use.
async fn use_key(app: &TestApp, secret: &ApiKeySecret) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).header("x-api-key", secret.in_clear())).await
}

/// The last use of each key of this name.
fn last_use(list: &TestResponse, name: &str) -> Value {
    let keys = list.json();
    keys.as_array().unwrap().iter().find(|key| key["name"] == name).unwrap()["last_used_at"].clone()
}

#[tokio::test]
async fn the_last_use_is_shown_to_the_hour_and_never_goes_back() {
    let mut app = TestApp::new().await;
    app.stop_clock();
    let hour = |hours| json!(time::to_seconds(app.ctx().now() + TimeDelta::hours(hours)));
    let [first, third] = [hour(0), hour(2)];
    let (secret, _) = store_key(&app, app.org.org_id, 1).await;
    let token = app.org.jwt(JWT_SECRET, TimeDelta::hours(1));
    let by_token = TestRequest::example(ENDPOINT).without_header("x-api-key");
    app.send(ENDPOINT, handle, &by_token.header("authorization", &format!("Bearer {token}"))).await;
    assert_eq!(last_use(&app.list(ENDPOINT, handle, "").await, "1 h old"), json!(null));

    app.advance_clock(TimeDelta::minutes(10));
    assert_eq!(use_key(&app, &secret).await.status, 403, "a refused request is a use, too");
    assert_eq!(last_use(&app.list(ENDPOINT, handle, "").await, "1 h old"), first);

    app.advance_clock(TimeDelta::minutes(149));
    use_key(&app, &secret).await;
    assert_eq!(last_use(&app.list(ENDPOINT, handle, "").await, "1 h old"), third);

    // A process whose clock is behind.
    app.restart();
    app.advance_clock(TimeDelta::minutes(-100));
    use_key(&app, &secret).await;
    assert_eq!(last_use(&app.list(ENDPOINT, handle, "").await, "1 h old"), third);
}

#[tokio::test]
async fn a_key_is_listed_although_its_last_use_cannot_be_read() {
    let app = TestApp::new().await;
    let (_, key) = store_key(&app, app.org.org_id, 1).await;
    let item = json!({"type": {"S": "api_key_use"}, "last_used_at": {"S": "canary"}});
    app.put_item(&keys::api_key_use(app.org.org_id, key.id), item).await;

    let response = app.list(ENDPOINT, handle, "").await;

    assert_eq!(last_use(&response, "1 h old"), json!(null));
}

/// An item of a key that this organization's index has but whose attributes name the other organization.
fn item_of_other_org(app: &TestApp, key: &ApiKey) -> Value {
    let [(index_pk, pk), (index_sk, sk)] = keys::api_key_in_index(app.org.org_id, key.id);
    json!({
        "type": {"S": "api_key"},
        index_pk: {"S": pk},
        index_sk: {"S": sk},
        "id": {"S": key.id.to_string()},
        "org_id": {"S": app.other.org_id.to_string()},
        "display_prefix": {"S": "sk_live_1234"},
        "scopes": {"SS": ["read"]},
        "name": {"S": "another's"},
        "created_at": {"S": "2024-04-18T10:15:00Z"},
    })
}

#[tokio::test]
async fn a_key_that_the_index_has_but_another_organization_owns_is_not_listed() {
    let (app, admin) = app_with_one_key().await;
    let (secret, key) = store_key(&app, app.org.org_id, 1).await;
    app.put_item(&keys::api_key(&secret.hash()), item_of_other_org(&app, &key)).await;

    let response = app.list(ENDPOINT, handle, "").await;

    assert_eq!(response.values_of("id"), [admin]);
}

#[tokio::test]
async fn an_unreadable_key_hides_no_other() {
    let (app, admin) = app_with_one_key().await;
    let (secret, key) = store_key(&app, app.org.org_id, 1).await;
    let mut unreadable = item_of_other_org(&app, &key);
    unreadable["scopes"] = json!({"S": "canary"});
    app.put_item(&keys::api_key(&secret.hash()), unreadable).await;

    let response = app.list(ENDPOINT, handle, "").await;

    assert_eq!(response.values_of("id"), [admin]);
}
