//! Requests through `serve` and `handle`. Each test has a table of its own.

use serde_json::json;
use shared::Endpoint;
use shared::domain::{AuditAction, ContactId};
use shared::dynamodb::Parent;
use shared::dynamodb::keys::{self, Key};
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

fn request(app: &TestApp, id: ContactId) -> TestRequest {
    TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{id}"))
}

async fn send(app: &TestApp, request: &TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, request).await
}

#[tokio::test]
async fn the_response_names_the_deleted_contact() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;

    let response = send(&app, &request(&app, id)).await;

    assert_eq!(response.status, 200);
    assert_eq!(response.text, format!(r#"{{"message":"Contacto {id} eliminado"}}"#));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("etag"), "");
}

#[tokio::test]
async fn a_contact_is_deleted_with_its_lock_its_memberships_and_its_leads() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let other = app.create_jane("jane@example.com").await;
    let john = TestRequest::example(Endpoint::CreateContact).body();
    let contact = app.create_contact(&app.org, john, Some(import_id)).await;
    let leads = keys::leads(app.org.org_id, contact.id);
    for index in 0..10 {
        let key = Key { pk: leads.pk.clone(), sk: format!("LEAD#{index}") };
        app.put_item(&key, json!({"type": {"S": "lead"}})).await;
    }

    let response = send(&app, &request(&app, contact.id)).await;

    assert_eq!(response.status, 200, "{}", response.text);
    assert!(app.stored_contact(contact.id).await.is_none());
    assert!(app.stored_contact(other.id).await.is_some());
    for (kind, count) in [
        // What the other contact has stays.
        ("contact", 1),
        ("email_lock", 1),
        // What only the deleted contact had is deleted.
        ("membership", 0),
        ("lead", 0),
        // What contacts share stays.
        ("import", 1),
        ("company", 1),
    ] {
        assert_eq!(app.count_items(kind).await, count, "{kind}");
    }
}

#[tokio::test]
async fn a_tombstone_with_an_expiry_is_the_only_new_item_beside_the_audit_entry() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let id = app.create_jane("jane@example.com").await.id;

    send(&app, &request(&app, id)).await;

    let mut new = app.items().await;
    new.retain(|item| !before.contains(item) && !item.contains(r#""type":"audit_entry""#));
    let [tombstone] = new.as_slice() else { panic!("expected the tombstone alone: {new:?}") };
    assert!(tombstone.contains(r#""type":"tombstone""#), "{tombstone}");
    assert!(tombstone.contains(&Parent::Contact(id).tombstone(app.org.org_id).pk), "{tombstone}");
    assert!(tombstone.contains("expires_at"), "{tombstone}");
}

#[tokio::test]
async fn a_deleted_contact_cannot_be_deleted_again() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    assert_eq!(send(&app, &request(&app, id)).await.status, 200);
    let before = app.items().await;

    let response = send(&app, &request(&app, id)).await;

    assert_eq!(response.status, 404);
    assert_eq!(response.detail(), "Contact not found");
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn a_deleted_contact_is_in_the_audit_log_once() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;

    for status in [200, 404] {
        let request = request(&app, id).header("x-request-id", &format!("id-of-the-{status}"));
        assert_eq!(app.send(ENDPOINT, handle, &request).await.status, status);
    }

    assert_eq!(app.audited().await, [(AuditAction::ContactDeleted, id.to_string(), "id-of-the-200".to_owned())]);
}

#[tokio::test]
async fn the_email_of_a_deleted_contact_is_free_for_a_new_contact() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let john = TestRequest::example(Endpoint::CreateContact).body();
    let deleted = app.create_contact(&app.org, john.clone(), Some(import_id)).await;
    assert_eq!(send(&app, &request(&app, deleted.id)).await.status, 200);

    let new = app.create_contact(&app.org, john, Some(import_id)).await;

    assert_ne!(new.id, deleted.id);
    assert_eq!(send(&app, &request(&app, deleted.id)).await.status, 404);
    assert!(app.stored_contact(new.id).await.is_some());
}

#[tokio::test]
async fn if_match_of_another_version_is_a_412_and_nothing_is_deleted() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let before = app.items().await;
    for tags in ["\"2-a\"", "W/\"1-a\"", "\"abc\""] {
        let response = send(&app, &request(&app, id).header("if-match", tags)).await;
        assert_eq!(response.status, 412, "{tags}: {}", response.text);
        assert_eq!(response.detail(), "Contact has changed since it was read", "{tags}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_malformed_if_match_is_a_validation_error_and_nothing_is_deleted() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let before = app.items().await;
    for tags in ["1-a", ""] {
        let response = send(&app, &request(&app, id).header("if-match", tags)).await;
        assert_eq!(response.status, 400, "{tags}: {}", response.text);
        let detail = "Validation error: If-Match must be * or a list of quoted entity tags";
        assert_eq!(response.detail(), detail, "{tags}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn if_match_of_the_stored_version_or_of_any_version_deletes() {
    let app = TestApp::new().await;
    for tags in ["\"7-a\", \"1-any\"", "*"] {
        let id = app.create_jane("jane@example.com").await.id;
        let response = send(&app, &request(&app, id).header("if-match", tags)).await;
        assert_eq!(response.status, 200, "{tags}: {}", response.text);
    }
}

#[tokio::test]
async fn if_match_of_any_version_is_a_404_for_a_deleted_contact() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    assert_eq!(send(&app, &request(&app, id)).await.status, 200);

    let response = send(&app, &request(&app, id).header("if-match", "*")).await;

    assert_eq!(response.status, 404, "{}", response.text);
}

#[tokio::test]
async fn a_body_and_the_headers_of_other_endpoints_are_ignored() {
    let app = TestApp::new().await;
    for (name, value) in [("content-type", "text/plain"), ("idempotency-key", ""), ("x-import-id", "x")] {
        let id = app.create_jane("jane@example.com").await.id;
        let response = send(&app, &request(&app, id).header(name, value).text("{")).await;
        assert_eq!(response.status, 200, "{name}: {}", response.text);
    }
}

#[tokio::test]
async fn an_unreadable_contact_is_a_500_and_stays() {
    let app = TestApp::new().await;
    let contact = app.create_jane("jane@example.com").await;
    let key = keys::contact(app.org.org_id, contact.id);
    app.put_item(&key, json!({"type": {"S": "contact"}, "email": {"S": "canary"}})).await;
    let before = app.items().await;

    let response = send(&app, &request(&app, contact.id)).await;

    assert_eq!(response.status, 500);
    assert_eq!(response.detail(), "Internal server error");
    assert_eq!(app.items().await, before);
}
