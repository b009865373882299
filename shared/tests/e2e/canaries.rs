//! Requests with a mark, the canary, in everything that a client can send, with success and with every error.
//!
//! Nothing that a client sends may appear in the logs. `cargo xtask e2e` chooses the canary, runs these tests, and then
//! searches the output of the functions for it.

use std::sync::LazyLock;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Request, delete, get, new_import, patch, post, put, wait_until_listed};

static CANARY: LazyLock<String> =
    LazyLock::new(|| std::env::var("E2E_CANARY").unwrap_or_else(|_| format!("canary{}", Uuid::new_v4().simple())));

/// A new email with the canary in its domain, because a local part is limited to 64 characters.
fn new_email() -> String {
    format!("{}@{}.example", Uuid::new_v4().simple(), *CANARY)
}

/// A contact with the canary in every text, and as an unknown field.
fn contact(email: &str) -> Value {
    let canary = &*CANARY;
    json!({
        "full_name": format!("Jane {canary}"),
        "email": email,
        "linkedin_profile": format!("https://linkedin.com/in/{canary}?{canary}#{canary}"),
        "company": canary,
        "locale": "en-US",
        "timezone": "Europe/Madrid",
        "metadata": {canary: {canary: [canary]}},
        canary: canary,
    })
}

/// An activity with the canary in every text, and as an unknown field.
fn activity() -> Value {
    let canary = &*CANARY;
    json!({
        "id": canary,
        "event_time": "2024-04-18T10:15:00Z",
        "channel": canary,
        "event_type": canary,
        "sdr_agent_id": canary,
        "event_text": {canary: canary},
        "metadata": {canary: canary},
        canary: canary,
    })
}

/// A campaign with the canary in every text, and as an unknown field.
fn campaign() -> Value {
    let canary = &*CANARY;
    json!({
        "name": canary,
        "description": canary,
        "seller_name": canary,
        "lead_magnet": {
            "name": canary,
            "url": format!("https://{canary}.example/?{canary}"),
            "content_type": "pdf",
        },
        canary: canary,
    })
}

/// Adds the canary to headers that the API reads, and to some that it ignores.
fn with_canary_headers(request: Request) -> Request {
    let canary = &*CANARY;
    request
        .header("user-agent", canary)
        .header("cookie", &format!("{canary}={canary}"))
        .header("x-forwarded-for", canary)
        .header(&format!("x-{canary}"), canary)
}

/// Sends each request with the canary in its headers too, and expects its status.
fn send_all(requests: impl IntoIterator<Item = (u16, Request)>) {
    for (status, request) in requests {
        with_canary_headers(request).send().expect(status);
    }
}

fn new_idempotency_key() -> String {
    format!("{}-{}", *CANARY, Uuid::new_v4())
}

/// Creates a contact and returns its path and its email.
fn new_contact() -> (String, String) {
    let email = new_email();
    let id = post("/contacts", &contact(&email)).send().expect(201).id();
    (format!("/contacts/{id}"), email)
}

#[test]
fn creations_of_contacts_with_every_status() {
    let canary = &*CANARY;
    let email = format!("{canary}@example.com");
    let create = with_canary_headers(post(&format!("/contacts?{canary}={canary}"), &contact(&email)))
        .header("idempotency-key", &new_idempotency_key())
        .header("x-import-id", &new_import());
    let unknown_import = Uuid::now_v7().to_string();
    let invalid_fields = json!({"full_name": [canary], "linkedin_profile": canary, "timezone": canary});
    send_all([
        (201, create.clone()),
        (201, create.clone()),
        (422, create.json(&contact("jane@example.com"))),
        (409, post("/contacts", &contact(&email))),
        (404, post("/contacts", &contact(&new_email())).header("x-import-id", &unknown_import)),
        (400, post("/contacts", &contact(canary))),
        (400, post("/contacts", &invalid_fields)),
        (400, post("/contacts", &json!(canary))),
        (400, post("/contacts", &Value::Null).body(format!("{{\"{canary}"))),
        (400, post("/contacts", &contact(&email)).header("x-import-id", canary)),
        (400, post("/contacts", &contact(&email)).header("idempotency-key", &format!("{canary} {canary}"))),
        (413, post("/contacts", &Value::Null).body(canary.repeat(20_000))),
        (415, post("/contacts", &contact(&email)).header("content-type", &format!("text/{canary}"))),
        (401, post("/contacts", &contact(&email)).key(canary)),
        (401, post("/contacts", &contact(&email)).key(&format!("sk_live_{canary}"))),
    ]);
}

#[test]
fn reads_and_writes_of_a_contact_with_every_status() {
    let canary = &*CANARY;
    let (contact_path, email) = new_contact();
    let (_, email_of_another) = new_contact();
    let unknown_contact = format!("/contacts/{}", Uuid::now_v7());
    let tag = format!("\"{canary}\"");
    send_all([
        (401, get(&contact_path).bearer(canary)),
        (401, get(&contact_path).bearer(&format!("{canary}.{canary}.{canary}"))),
        (200, get(&format!("{contact_path}?{canary}={canary}"))),
        (200, get(&contact_path).header("if-none-match", &tag)),
        (400, get(&contact_path).header("if-none-match", canary)),
        (400, get(&format!("{contact_path}?campaign_id={canary}&page={canary}"))),
        (400, get(&format!("/contacts/{canary}"))),
        (404, get(&format!("{unknown_contact}?{canary}"))),
        (409, put(&contact_path, &json!({"email": email_of_another}))),
        (200, put(&contact_path, &json!({"full_name": canary, "metadata": {canary: canary}}))),
        (200, put(&contact_path, &json!({"email": new_email(), "metadata": {canary: {"more": canary}}}))),
        (412, put(&contact_path, &json!({"full_name": canary})).header("if-match", &tag)),
        (404, put(&unknown_contact, &contact(&email))),
        (412, delete(&contact_path).header("if-match", &tag)),
        (200, delete(&format!("{contact_path}?{canary}"))),
        (404, delete(&contact_path)),
    ]);
}

#[test]
fn lists_with_every_status() {
    let canary = &*CANARY;
    let (_, email) = new_contact();
    send_all([
        (200, get(&format!("/contacts?email={email}&company={canary}"))),
        (400, get(&format!("/contacts?cursor={canary}"))),
        (400, get(&format!("/contacts?email={canary}&import_id={canary}&created_after={canary}"))),
        (200, get(&format!("/companies?name={canary}"))),
        (400, get(&format!("/companies?cursor={canary}&name="))),
    ]);
}

#[test]
fn requests_for_activities_with_every_status() {
    let canary = &*CANARY;
    let (contact_path, _) = new_contact();
    let activities = format!("{contact_path}/activities");
    let invalid_fields = json!({"id": format!("/{canary}"), "event_time": canary, "direction": canary});
    send_all([
        (201, post(&format!("{activities}?{canary}"), &json!([activity()]))),
        (201, post(&activities, &activity()).header("idempotency-key", &new_idempotency_key())),
        (400, post(&activities, &invalid_fields)),
        (400, post(&activities, &json!([canary]))),
        (404, post(&format!("/contacts/{}/activities", Uuid::now_v7()), &activity())),
        (200, patch(&format!("{activities}/{canary}"), &json!({"metadata": {canary: [canary]}}))),
        (400, patch(&format!("{activities}/{canary}"), &json!({"event_time": canary, "metadata": canary}))),
        (404, patch(&format!("{activities}/{canary}-other"), &json!({"metadata": {canary: canary}}))),
        (200, get(&contact_path)),
        // Makes the worker write log lines, which are searched too.
        (200, delete(&contact_path)),
    ]);
}

#[test]
fn requests_for_campaigns_with_every_status() {
    let canary = &*CANARY;
    let path = format!("/campaigns/{}", post("/campaigns", &campaign()).send().expect(201).id());
    send_all([
        (400, post("/campaigns", &json!({"name": "", "status": canary, "lead_magnet": canary}))),
        (400, get(&format!("/campaigns?status={canary}&icp_profile_id={canary}&cursor={canary}"))),
        (400, get(&format!("/campaigns/{canary}"))),
        (200, get(&path)),
        (200, put(&path, &json!({"name": format!("{canary} again"), "description": canary}))),
        (400, put(&path, &json!({"status": canary}))),
        (200, delete(&path)),
        (404, delete(&path)),
    ]);
}

#[test]
fn requests_for_imports_with_every_status() {
    let canary = &*CANARY;
    let path = format!("/imports/{}", new_import());
    let changes = json!({"source": canary, "file_name": canary, "mapping_json": {canary: canary}, canary: canary});
    let invalid_changes = json!({"source": "", "status": canary, "campaign_id": canary, "mapping_json": canary});
    send_all([
        (201, post("/imports", &json!({"source": canary, "file_name": canary, "mapping_json": {canary: canary}}))),
        (400, post("/imports", &json!({"source": canary, "status": canary, "campaign_id": canary}))),
        (200, put(&format!("{path}?{canary}"), &changes)),
        (400, put(&path, &invalid_changes)),
        (400, put(&path, &Value::Null).body(format!("{{\"{canary}"))),
        (200, get(&format!("{path}?{canary}={canary}"))),
        (200, get(&format!("/imports?{canary}={canary}"))),
        (400, get(&format!("/imports?status={canary}&campaign_id={canary}&cursor={canary}"))),
        (400, get(&format!("/imports/{canary}"))),
        (200, delete(&format!("{path}?{canary}"))),
        (404, delete(&path)),
    ]);
}

#[test]
fn requests_for_api_keys_with_every_status() {
    let canary = &*CANARY;
    let body = json!({"name": canary, "scopes": ["read"], "live": true});
    let create = post(&format!("/api-keys?{canary}"), &body).header("idempotency-key", &new_idempotency_key());
    let id = with_canary_headers(create.clone()).send().expect(201).id();
    wait_until_listed(&id);
    let invalid_fields = json!({"name": [canary], "scopes": [canary], "expires_at": canary, "live": canary});
    send_all([
        (409, create.clone()),
        (422, create.json(&json!({"name": canary}))),
        (400, post("/api-keys", &invalid_fields)),
        (400, post("/api-keys", &Value::Null).body(format!("{{\"{canary}"))),
        (200, get(&format!("/api-keys?{canary}={canary}"))),
        (400, get(&format!("/api-keys?cursor={canary}&limit={canary}"))),
        (400, delete(&format!("/api-keys/{canary}"))),
        (404, delete(&format!("/api-keys/{}", Uuid::now_v7()))),
        (200, delete(&format!("/api-keys/{id}?{canary}"))),
    ]);
}
