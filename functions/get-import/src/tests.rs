//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::json;
use shared::Endpoint;
use shared::domain::{ImportId, ids, time};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, TestResponse, jane};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::GetImport;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

async fn get(app: &TestApp, id: ImportId) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(format!("/imports/{id}"))).await
}

async fn count(app: &TestApp, id: ImportId) -> serde_json::Value {
    get(app, id).await.json()["contacts_count"].clone()
}

#[tokio::test]
async fn an_import_is_answered_as_it_was_when_created_with_its_count_at_the_end() {
    let app = TestApp::new().await;
    let import = app.create_import_from(&app.org, TestRequest::example(Endpoint::CreateImport).body()).await;
    let answer = get(&app, import.id).await;
    let (id, org_id, at) = (import.id, import.org_id, time::to_seconds(import.created_at));
    let expected = format!(
        r#"{{"id":"{id}","org_id":"{org_id}","campaign_id":null,"source":"csv","file_name":"leads.csv","status":"processing","total_rows":0,"created_at":"{at}","updated_at":"{at}","contacts_count":0}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!((answer.header("content-type"), answer.header("location")), ("application/json", ""));
}

#[tokio::test]
async fn the_location_of_a_new_import_is_where_it_can_be_read() {
    let app = TestApp::new().await;
    let import = app.create_import_from(&app.org, json!({"source": "csv"})).await;
    let location = shared::Response::created(&import).header("location").unwrap().to_owned();
    let answer = app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(location)).await;
    assert_eq!((answer.status, &answer.json()["id"]), (200, &json!(import.id)));
}

#[tokio::test]
async fn the_contacts_that_belong_to_it_now_are_counted() {
    let app = TestApp::new().await;
    let [import, other] = [app.create_import(&app.org).await, app.create_import(&app.org).await];
    let mut members = Vec::new();
    for n in 0..3 {
        members.push(app.create_contact(&app.org, jane(&format!("{n}@example.com")), Some(import)).await.id);
    }
    app.create_contact(&app.org, jane("other@example.com"), Some(other)).await;
    app.create_jane("none@example.com").await;
    assert_eq!((count(&app, import).await, count(&app, other).await), (json!(3), json!(1)));
    app.ctx().contacts(&app.principal(&app.org).await).delete(members[1], None).await.unwrap();
    assert_eq!((count(&app, import).await, count(&app, other).await), (json!(2), json!(1)));
}

#[tokio::test]
async fn more_contacts_than_one_read_finds_are_counted_on() {
    let app = TestApp::new().await;
    let import = app.create_import(&app.org).await;
    // One read ends at 1 MB.
    let large = json!({"type": {"S": "membership"}, "padding": {"S": "x".repeat(300_000)}});
    for _ in 0..9 {
        let contact = ids::uuid_at(chrono::Utc::now()).into();
        app.put_item(&keys::membership(app.org.org_id, import, contact), large.clone()).await;
    }
    assert_eq!(count(&app, import).await, json!(9));
    let request = app.ctx();
    request.imports(&app.principal(&app.org).await).get(import).await.unwrap();
    assert!(
        request.consumed_capacity().calls > 2,
        "the test is about several reads: {:?}",
        request.consumed_capacity()
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_a_fault_and_says_nothing() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;
    let key = keys::import(app.org.org_id, id);
    for broken in [json!({"id": {"S": "canary"}}), json!({"mapping": {"S": "canary"}})] {
        let mut item = broken;
        item["type"] = json!({"S": "import"});
        app.put_item(&key, item).await;
        let answer = get(&app, id).await;
        assert_eq!((answer.status, answer.text.as_str()), (500, r#"{"detail":"Internal server error"}"#));
    }
}
