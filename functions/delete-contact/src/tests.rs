//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::json;
use shared::Endpoint;
use shared::domain::ContactId;
use shared::dynamodb::Parent;
use shared::dynamodb::keys::{self, Key};
use shared::testing::{TestApp, TestRequest, TestResponse, jane};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::DeleteContact;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

fn request(app: &TestApp, id: ContactId) -> TestRequest {
    TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{id}"))
}

async fn send(app: &TestApp, request: &TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, request).await
}

#[tokio::test]
async fn a_contact_goes_with_all_that_belongs_to_it() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let john = TestRequest::example(Endpoint::CreateContact).body();
    let stays = app.create_jane("jane@example.com").await;
    let before = app.items().await;
    let contact = app.create_contact(&app.org, john.clone(), Some(import_id)).await;
    // Another number of leads than one transaction takes.
    let leads = keys::leads(app.org.org_id, contact.id);
    for index in 0..110 {
        let key = Key { pk: leads.pk.clone(), sk: format!("LEAD#{index}") };
        app.put_item(&key, json!({"type": {"S": "lead"}})).await;
    }

    let answer = send(&app, &request(&app, contact.id)).await;
    let message = format!(r#"{{"message":"Contacto {} eliminado"}}"#, contact.id);
    assert_eq!((answer.status, &answer.text), (200, &message));
    assert_eq!((answer.header("content-type"), answer.header("etag")), ("application/json", ""));
    for (kind, count) in
        [("contact", 1), ("email_lock", 1), ("membership", 0), ("lead", 0), ("import", 1), ("company", 1)]
    {
        assert_eq!(app.count_items(kind).await, count, "{kind}");
    }
    let after = app.items().await;
    assert_eq!(after.len(), before.len() + 2, "its company and its tombstone");
    let tombstone = after.iter().find(|item| item.contains(r#""type":"tombstone""#)).unwrap();
    let key = Parent::Contact(contact.id).tombstone(app.org.org_id);
    assert!(tombstone.contains(&key.pk) && tombstone.contains("expires_at"), "{tombstone}");
    assert!(app.stored_contact(contact.id).await.is_none() && app.stored_contact(stays.id).await.is_some());

    let again = send(&app, &request(&app, contact.id)).await;
    assert_eq!((again.status, again.detail()), (404, "Contact not found".to_owned()));
    assert_eq!(app.items().await, after);
    let reborn = app.create_contact(&app.org, john, Some(import_id)).await;
    assert_ne!(reborn.id, contact.id, "the address is free at once");
    assert_eq!(send(&app, &request(&app, contact.id)).await.status, 404);
    assert!(app.stored_contact(reborn.id).await.is_some());
}

#[tokio::test]
async fn if_match_compares_the_version() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let before = app.items().await;
    let with = |tags: &str| request(&app, id).header("if-match", tags);
    for (tags, status, detail) in [
        ("\"2-a\"", 412, "Contact has changed since it was read"),
        ("W/\"1-a\"", 412, "Contact has changed since it was read"),
        ("\"abc\"", 412, "Contact has changed since it was read"),
        ("1-a", 400, "Validation error: If-Match must be * or a list of quoted entity tags"),
        ("", 400, "Validation error: If-Match must be * or a list of quoted entity tags"),
    ] {
        let answer = send(&app, &with(tags)).await;
        assert_eq!((answer.status, answer.detail().as_str()), (status, detail), "{tags}");
        assert_eq!(app.items().await, before, "{tags}");
    }
    assert_eq!(send(&app, &with("\"7-a\", \"1-whatever\"")).await.status, 200);
    assert_eq!(send(&app, &with("*")).await.status, 404, "what is not there has no version");
    let id = app.create_jane("jane@example.com").await.id;
    assert_eq!(send(&app, &request(&app, id).header("if-match", "*")).await.status, 200);
}

#[tokio::test]
async fn a_body_and_an_idempotency_key_mean_nothing_here() {
    let app = TestApp::new().await;
    for (name, value) in [("content-type", "text/plain"), ("idempotency-key", ""), ("x-import-id", "x")] {
        let id = app.create_contact(&app.org, jane("jane@example.com"), None).await.id;
        let answer = send(&app, &request(&app, id).header(name, value).text("{")).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_contact_that_cannot_be_read_is_a_fault_and_stays() {
    let app = TestApp::new().await;
    let contact = app.create_jane("jane@example.com").await;
    let key = keys::contact(app.org.org_id, contact.id);
    app.put_item(&key, json!({"type": {"S": "contact"}, "email": {"S": "canary"}})).await;
    let before = app.items().await;
    let answer = send(&app, &request(&app, contact.id)).await;
    assert_eq!((answer.status, answer.text.as_str()), (500, r#"{"detail":"Internal server error"}"#));
    assert_eq!(app.items().await, before);
}
