//! Requests through `serve` and `handle`. Each test has a table of its own.

use serde_json::json;
use shared::domain::{AuditAction, ImportId, Kind};
use shared::dynamodb::Parent;
use shared::repositories::Error;
use shared::testing::{TestApp, TestRequest, TestResponse, jane, new_contact};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

fn request(app: &TestApp, id: ImportId) -> TestRequest {
    TestRequest::to(ENDPOINT, &app.org).path(format!("/imports/{id}"))
}

async fn delete(app: &TestApp, id: ImportId) -> TestResponse {
    app.send(ENDPOINT, handle, &request(app, id)).await
}

#[tokio::test]
async fn the_response_names_the_deleted_import() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;

    let response = delete(&app, id).await;

    assert_eq!(response.status, 200);
    assert_eq!(response.text, format!(r#"{{"message":"Import {id} eliminado"}}"#));
    assert_eq!(response.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_tombstone_replaces_the_import_and_its_contacts_stay() {
    let app = TestApp::new().await;
    let [id, other] = [app.create_import(&app.org).await, app.create_import(&app.org).await];
    let contact = app.create_contact(&app.org, jane("jane@example.com"), Some(id)).await;
    app.create_contact(&app.org, jane("john@example.com"), Some(other)).await;
    let sort_key = format!(r#""sk":"{}""#, Parent::Import(id).key(app.org.org_id).sk);
    let mut expected = app.items().await;
    expected.retain(|item| !item.contains(&sort_key));

    delete(&app, id).await;

    let mut items = app.items().await;
    items.retain(|item| !item.contains(r#""type":"audit_entry""#));
    let (tombstones, others): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| item.contains(r#""type":"tombstone""#));
    assert_eq!(others, expected, "cascade-delete removes the memberships later");
    assert_eq!(tombstones.len(), 1, "{tombstones:?}");
    assert!(tombstones[0].contains(&Parent::Import(id).tombstone(app.org.org_id).pk), "{tombstones:?}");
    assert!(tombstones[0].contains("expires_at"), "{tombstones:?}");
    assert_eq!(app.stored_contact(contact.id).await, Some(contact));
}

#[tokio::test]
async fn a_deleted_import_cannot_be_deleted_again() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;
    assert_eq!(delete(&app, id).await.status, 200);
    let before = app.items().await;

    let response = delete(&app, id).await;

    assert_eq!(response.status, 404);
    assert_eq!(response.detail(), "Import not found");
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn a_deleted_import_is_in_the_audit_log_once() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;

    for status in [200, 404] {
        let request = request(&app, id).header("x-request-id", &format!("id-of-the-{status}"));
        assert_eq!(app.send(ENDPOINT, handle, &request).await.status, status);
    }

    assert_eq!(app.audited().await, [(AuditAction::ImportDeleted, id.to_string(), "id-of-the-200".to_owned())]);
}

#[tokio::test]
async fn a_deleted_import_is_removed_from_the_cache_of_the_process() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;
    app.create_contact(&app.org, jane("jane@example.com"), Some(id)).await;
    assert_eq!(delete(&app, id).await.status, 200);

    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    let contact = contacts.draft(new_contact(jane("john@example.com")), Some(id));
    let created = contacts.create(&contact, None).await;

    assert_eq!(created, Err(Error::NotFound(Kind::Import)));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_deletes_one_succeeds() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;

    let responses = futures_util::future::join_all((0..10).map(|_| delete(&app, id))).await;

    let mut statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404, 404, 404, 404, 404, 404, 404, 404]);
}

#[tokio::test]
async fn a_body_and_the_headers_of_other_endpoints_are_ignored() {
    let app = TestApp::new().await;
    for (name, value) in [("content-type", "text/plain"), ("idempotency-key", ""), ("if-match", "x")] {
        let id = app.create_import_from(&app.org, json!({"source": "csv"})).await.id;
        let response = app.send(ENDPOINT, handle, &request(&app, id).header(name, value).text("{")).await;
        assert_eq!(response.status, 200, "{name}: {}", response.text);
    }
}
