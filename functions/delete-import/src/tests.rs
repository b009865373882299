//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::json;
use shared::Endpoint;
use shared::domain::{ImportId, Kind};
use shared::dynamodb::Parent;
use shared::repositories::Error;
use shared::testing::{TestApp, TestRequest, TestResponse, jane, new_contact};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::DeleteImport;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

async fn delete(app: &TestApp, id: ImportId) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(format!("/imports/{id}"))).await
}

#[tokio::test]
async fn an_import_goes_its_contacts_stay_and_a_tombstone_is_left() {
    let app = TestApp::new().await;
    let [id, stays] = [app.create_import(&app.org).await, app.create_import(&app.org).await];
    let contact = app.create_contact(&app.org, jane("jane@example.com"), Some(id)).await;
    app.create_contact(&app.org, jane("john@example.com"), Some(stays)).await;
    let mut expected = app.items().await;
    let key = Parent::Import(id).key(app.org.org_id);
    expected.retain(|item| !item.contains(&format!(r#""sk":"{}""#, key.sk)));
    let answer = delete(&app, id).await;
    let message = format!(r#"{{"message":"Import {id} eliminado"}}"#);
    assert_eq!((answer.status, &answer.text), (200, &message));
    assert_eq!(answer.header("content-type"), "application/json");
    let mut after = app.items().await;
    let tombstone = after.iter().position(|item| item.contains(r#""type":"tombstone""#)).unwrap();
    let tombstone = after.remove(tombstone);
    let key = Parent::Import(id).tombstone(app.org.org_id);
    assert!(tombstone.contains(&key.pk) && tombstone.contains("expires_at"), "{tombstone}");
    assert_eq!(after, expected, "nothing else is gone; the memberships are the worker's to clear up");
    assert_eq!(app.stored_contact(contact.id).await, Some(contact));
}

#[tokio::test]
async fn what_is_gone_is_not_found_and_stays_so() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;
    assert_eq!(delete(&app, id).await.status, 200);
    let before = app.items().await;
    let again = delete(&app, id).await;
    assert_eq!((again.status, again.detail()), (404, "Import not found".to_owned()));
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_process_that_knew_the_import_forgets_it() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;
    app.create_contact(&app.org, jane("jane@example.com"), Some(id)).await;
    assert_eq!(delete(&app, id).await.status, 200);
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    let contact = contacts.draft(new_contact(jane("john@example.com")), Some(id));
    assert_eq!(contacts.create(&contact, None).await, Err(Error::NotFound(Kind::Import)));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_deletes_at_once_one_wins() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;
    let answers = futures_util::future::join_all((0..10).map(|_| delete(&app, id))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200].as_slice(), &[404; 9]].concat());
}

#[tokio::test]
async fn a_body_and_an_idempotency_key_mean_nothing_here() {
    let app = TestApp::new().await;
    for (name, value) in [("content-type", "text/plain"), ("idempotency-key", ""), ("if-match", "x")] {
        let id = app.create_import_from(&app.org, json!({"source": "csv"})).await.id;
        let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/imports/{id}"));
        let answer = app.send(ENDPOINT, handle, &request.header(name, value).text("{")).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
    }
}
