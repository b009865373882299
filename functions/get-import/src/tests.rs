//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::Utc;
use serde_json::{Value, json};
use shared::domain::{ImportId, time};
use shared::dynamodb::keys;
use shared::system;
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json, jane};
use shared::{Endpoint, Response};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

async fn get(app: &TestApp, id: ImportId) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(format!("/imports/{id}"))).await
}

async fn contacts_count(app: &TestApp, id: ImportId) -> Value {
    get(app, id).await.json()["contacts_count"].clone()
}

#[tokio::test]
async fn an_import_is_returned_as_it_was_created_with_its_count_at_the_end() {
    let app = TestApp::new().await;
    let import = app.create_import_from(&app.org, TestRequest::example(Endpoint::CreateImport).body()).await;

    let response = get(&app, import.id).await;

    let (id, org_id) = (import.id, import.org_id);
    let created_at = time::to_seconds(import.created_at);
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "campaign_id":null,
            "source":"csv",
            "file_name":"leads.csv",
            "status":"processing",
            "total_rows":0,
            "created_at":"{created_at}",
            "updated_at":"{created_at}",
            "contacts_count":0
        }}"#
    );
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("location"), "");
}

#[tokio::test]
async fn the_location_header_of_a_new_import_is_its_path() {
    let app = TestApp::new().await;
    let import = app.create_import_from(&app.org, json!({"source": "csv"})).await;
    let location = Response::created(&import).with_location(ENDPOINT, import.id).header("location").unwrap().to_owned();

    let response = app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(location)).await;

    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(response.json()["id"], json!(import.id));
}

#[tokio::test]
async fn the_count_is_of_the_contacts_of_this_import() {
    let app = TestApp::new().await;
    let [import, other] = [app.create_import(&app.org).await, app.create_import(&app.org).await];
    for n in 0..3 {
        app.create_contact(&app.org, jane(&format!("{n}@example.com")), Some(import)).await;
    }
    app.create_contact(&app.org, jane("other@example.com"), Some(other)).await;
    app.create_jane("none@example.com").await;

    assert_eq!(contacts_count(&app, import).await, 3);
    assert_eq!(contacts_count(&app, other).await, 1);
}

#[tokio::test]
async fn a_deleted_contact_is_not_counted() {
    let app = TestApp::new().await;
    let [import, other] = [app.create_import(&app.org).await, app.create_import(&app.org).await];
    app.create_contact(&app.org, jane("jane@example.com"), Some(import)).await;
    app.create_contact(&app.org, jane("other@example.com"), Some(other)).await;
    let deleted = app.create_contact(&app.org, jane("john@example.com"), Some(import)).await;
    app.ctx().contacts(&app.principal(&app.org).await).delete(deleted.id, None).await.unwrap();

    assert_eq!(contacts_count(&app, import).await, 1);
    assert_eq!(contacts_count(&app, other).await, 1);
}

#[tokio::test]
async fn the_count_goes_on_past_the_one_megabyte_of_a_query() {
    let app = TestApp::new().await;
    let import = app.create_import(&app.org).await;
    let large_membership = json!({"type": {"S": "membership"}, "padding": {"S": "x".repeat(300_000)}});
    for _ in 0..9 {
        let contact = system::rng().uuid_v7(Utc::now()).into();
        app.put_item(&keys::membership(app.org.org_id, import, contact), large_membership.clone()).await;
    }

    assert_eq!(contacts_count(&app, import).await, 9);

    let ctx = app.ctx();
    ctx.imports(&app.principal(&app.org).await).get(import).await.unwrap();
    let consumed = ctx.consumed_capacity();
    assert!(consumed.calls > 2, "the memberships must need more than one query: {consumed:?}");
}

#[tokio::test]
async fn an_unreadable_import_is_a_500_without_details() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;
    let key = keys::import(app.org.org_id, id);
    for unreadable in [
        json!({"type": {"S": "import"}, "id": {"S": "canary"}}),
        json!({"type": {"S": "import"}, "mapping": {"S": "canary"}}),
    ] {
        app.put_item(&key, unreadable.clone()).await;
        let response = get(&app, id).await;
        assert_eq!(response.status, 500, "{unreadable}: {}", response.text);
        assert_eq!(response.detail(), "Internal server error", "{unreadable}");
    }
}
