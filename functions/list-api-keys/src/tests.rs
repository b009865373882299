//! `handle` behind the whole way of a request, on a table of its own.

use chrono::TimeDelta;
use serde_json::json;
use shared::Endpoint;
use shared::domain::{ApiKey, ApiKeySecret, NewApiKey, OrgId, Scope, ids};
use shared::dynamodb::keys;
use shared::testing::TestApp;
use uuid::Uuid;

use super::handle;

const ENDPOINT: Endpoint = Endpoint::ListApiKeys;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, lists
);

/// The ids of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(|page| page.values_of("id")).collect()
}

/// Stores a key of this organization made at a moment that no other key has.
async fn key(app: &TestApp, org: OrgId, hours_ago: i64) -> (ApiKeySecret, ApiKey) {
    let secret = ApiKeySecret::generate(true).unwrap();
    let made = chrono::Utc::now() - TimeDelta::hours(hours_ago);
    let scopes = [Scope::Write, Scope::Read].into_iter().collect();
    let new = NewApiKey { name: format!("{hours_ago} h old").parse().unwrap(), scopes, valid_until: None, live: true };
    let key = ApiKey::new(ids::uuid_at(made).into(), org, new, &secret, made);
    app.put_api_key(&secret, &key).await;
    (secret, key)
}

/// An organization with an admin key and no other.
async fn alone(app: &mut TestApp) -> ApiKey {
    app.org.org_id = Uuid::new_v4().into();
    let (secret, key) = key(app, app.org.org_id, 0).await;
    let key = ApiKey { scopes: [Scope::Admin].into_iter().collect(), ..key };
    app.put_api_key(&secret, &key).await;
    app.org.admin_key = secret;
    key
}

#[tokio::test]
async fn keys_are_listed_newest_first_and_never_shown() {
    let app = TestApp::new().await;
    let org = app.org.org_id;
    let (secret, old) = key(&app, org, 2).await;
    let (ended_secret, ended) = key(&app, org, 1).await;
    let moment = chrono::DateTime::from_timestamp(1_712_345_678, 120_000_000).unwrap();
    let ended = ApiKey { valid_until: Some(moment), revoked_at: Some(moment), ..ended };
    app.put_api_key(&ended_secret, &ended).await;
    let answer = app.list(ENDPOINT, handle, "").await;
    assert_eq!((answer.status, answer.header("content-type"), answer.header("link")), (200, "application/json", ""));
    let rows = answer.json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), app.org.api_keys().len() + 2, "every key of the organization");
    let mut names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names.split_off(4), ["1 h old", "2 h old"]);
    names.sort_unstable();
    assert_eq!(names, ["admin", "expired", "read only", "revoked"]);

    let (id, at, prefix) = (old.id, shared::domain::time::to_seconds(old.created_at), secret.display_prefix());
    let shown = format!(
        r#"{{"id":"{id}","org_id":"{org}","name":"2 h old","display_prefix":"{prefix}","scopes":["read","write"],"live":true,"created_at":"{at}","expires_at":null,"revoked_at":null}}]"#
    );
    assert!(answer.text.ends_with(&shown), "{}", answer.text);
    assert_eq!(rows[4]["expires_at"], json!("2024-04-05T19:34:38.120Z"));
    assert_eq!(rows[4]["revoked_at"], json!("2024-04-05T19:34:38Z"));
    for secret in app.org.api_keys().into_iter().map(|(secret, _)| secret).chain([&secret, &ended_secret]) {
        assert!(!answer.text.contains(secret.in_clear()) && !answer.text.contains(secret.hash().as_str()));
    }
}

#[tokio::test]
async fn a_list_goes_on_where_its_page_ended() {
    let mut app = TestApp::new().await;
    let mut expected = vec![alone(&mut app).await.id.to_string()];
    let org = app.org.org_id;
    for hours_ago in 1..=8 {
        expected.push(key(&app, org, hours_ago).await.1.id.to_string());
    }
    assert_eq!(pages(&app, "limit=4").await.concat(), expected);
    // What others make between two pages neither skips nor repeats a row.
    let first = app.list(ENDPOINT, handle, "limit=4").await;
    let cursor = first.next_page_query(ENDPOINT).unwrap();
    key(&app, org, -1).await;
    assert_eq!(app.list(ENDPOINT, handle, &cursor).await.values_of("id"), expected[4..8]);
}

#[tokio::test]
async fn more_keys_than_one_read_takes_are_all_shown() {
    let mut app = TestApp::new().await;
    alone(&mut app).await;
    for hours_ago in 1..=120 {
        key(&app, app.org.org_id, hours_ago).await;
    }
    let ids = app.list(ENDPOINT, handle, "").await.values_of("id");
    assert!(ids.len() == 121 && ids.is_sorted_by(|newer, older| newer > older), "{}", ids.len());
}

#[tokio::test]
async fn what_the_index_names_is_read_from_the_table() {
    let mut app = TestApp::new().await;
    let expected = alone(&mut app).await.id.to_string();
    let (secret, named) = key(&app, app.org.org_id, 1).await;
    let place = keys::api_key(&secret.hash());
    let [(index_pk, pk), (index_sk, sk)] = keys::api_key_in_index(app.org.org_id, named.id);
    let mut entry = json!({
        "type": {"S": "api_key"}, index_pk: {"S": pk}, index_sk: {"S": sk}, "id": {"S": named.id.to_string()},
        "org_id": {"S": app.other.org_id.to_string()}, "display_prefix": {"S": "sk_live_1234"},
        "scopes": {"SS": ["read"]}, "name": {"S": "another's"},
    });
    app.put_item(&place, entry.clone()).await;
    assert_eq!(app.list(ENDPOINT, handle, "").await.values_of("id"), [expected]);
    entry["scopes"] = json!({"S": "canary"});
    app.put_item(&place, entry).await;
    let answer = app.list(ENDPOINT, handle, "").await;
    assert_eq!((answer.status, answer.detail()), (500, "Internal server error".to_owned()));
}
