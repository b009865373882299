//! A mark in everything that a client can send, on success and on every refusal. `cargo xtask e2e` names the mark and
//! searches the functions' output for it afterwards.

use std::sync::LazyLock;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Request, delete, get, new_import, patch, post, put, until_listed};

static CANARY: LazyLock<String> =
    LazyLock::new(|| std::env::var("E2E_CANARY").unwrap_or_else(|_| format!("canary{}", Uuid::new_v4().simple())));

/// A new address, marked in its domain: a local part takes 64 characters only.
fn new_email() -> String {
    format!("{}@{}.example", Uuid::new_v4().simple(), *CANARY)
}

/// A contact with the mark in every field.
fn marked(email: &str) -> Value {
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

/// An activity with the mark in every field.
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

/// A campaign with the mark in every text.
fn campaign() -> Value {
    let canary = &*CANARY;
    let lead_magnet =
        json!({"name": canary, "url": format!("https://{canary}.example/?{canary}"), "content_type": "pdf"});
    json!({"name": canary, "description": canary, "seller_name": canary, "lead_magnet": lead_magnet, canary: canary})
}

/// With the mark in headers that the API reads, and in some that it does not.
fn mark(request: Request) -> Request {
    let canary = &*CANARY;
    let request = request.header("user-agent", canary).header("cookie", &format!("{canary}={canary}"));
    request.header("x-forwarded-for", canary).header(&format!("x-{canary}"), canary)
}

#[test]
fn every_way_a_request_can_end() {
    let canary = &*CANARY;
    let email = format!("{canary}@example.com");
    let import_id = new_import();
    let key = format!("{canary}-{}", Uuid::new_v4());
    let create = mark(post(&format!("/contacts?{canary}={canary}"), &marked(&email)))
        .header("idempotency-key", &key)
        .header("x-import-id", &import_id);
    let created = create.send().expect(201);
    let contact = format!("/contacts/{}", created.id());
    let tag = format!("\"{canary}\"");
    let nobody = format!("/contacts/{}", Uuid::now_v7());

    for (status, request) in [
        (201, create.clone()),
        (422, create.clone().json(&marked("jane@example.com"))),
        (409, post("/contacts", &marked(&email))),
        (409, put(&contact, &json!({"email": other_contact()}))),
        (404, post("/contacts", &marked(&new_email())).header("x-import-id", &Uuid::now_v7().to_string())),
        (400, post("/contacts", &marked(canary))),
        (400, post("/contacts", &json!({"full_name": [canary], "linkedin_profile": canary, "timezone": canary}))),
        (400, post("/contacts", &json!(canary))),
        (400, post("/contacts", &Value::Null).body(format!("{{\"{canary}"))),
        (400, post("/contacts", &marked(&email)).header("x-import-id", canary)),
        (400, post("/contacts", &marked(&email)).header("idempotency-key", &format!("{canary} {canary}"))),
        (413, post("/contacts", &Value::Null).body(canary.repeat(20_000))),
        (415, post("/contacts", &marked(&email)).header("content-type", &format!("text/{canary}"))),
        (401, post("/contacts", &marked(&email)).key(canary)),
        (401, post("/contacts", &marked(&email)).key(&format!("sk_live_{canary}"))),
        (401, get(&contact).bearer(canary)),
        (401, get(&contact).bearer(&format!("{canary}.{canary}.{canary}"))),
        (200, get(&format!("{contact}?{canary}={canary}"))),
        (200, get(&contact).header("if-none-match", &tag)),
        (400, get(&contact).header("if-none-match", canary)),
        (400, get(&format!("{contact}?campaign_id={canary}&page={canary}"))),
        (400, get(&format!("/contacts/{canary}"))),
        (404, get(&format!("{nobody}?{canary}"))),
        (200, put(&contact, &json!({"full_name": canary, "metadata": {canary: canary}}))),
        (200, put(&contact, &json!({"email": new_email(), "metadata": {canary: {"more": canary}}}))),
        (412, put(&contact, &json!({"full_name": canary})).header("if-match", &tag)),
        (404, put(&nobody, &marked(&email))),
        (200, get(&format!("/contacts?email={email}&company={canary}"))),
        (400, get(&format!("/contacts?cursor={canary}"))),
        (400, get(&format!("/contacts?email={canary}&import_id={canary}&created_after={canary}"))),
        (201, post("/imports", &json!({"source": canary, "file_name": canary, "mapping_json": {canary: canary}}))),
        (400, post("/imports", &json!({"source": canary, "status": canary, "campaign_id": canary}))),
        (200, get(&format!("/companies?name={canary}"))),
        (400, get(&format!("/companies?cursor={canary}&name="))),
        (412, delete(&contact).header("if-match", &tag)),
        (200, delete(&format!("{contact}?{canary}"))),
        (404, delete(&contact)),
    ] {
        mark(request).send().expect(status);
    }
}

#[test]
fn every_way_a_request_about_activities_and_campaigns_can_end() {
    let canary = &*CANARY;
    let contact = format!("/contacts/{}", post("/contacts", &marked(&new_email())).send().expect(201).id());
    let activities = format!("{contact}/activities");
    let path = format!("/campaigns/{}", post("/campaigns", &campaign()).send().expect(201).id());
    for (status, request) in [
        (201, post(&format!("{activities}?{canary}"), &json!([activity()]))),
        (201, post(&activities, &activity()).header("idempotency-key", &format!("{canary}-{}", Uuid::new_v4()))),
        (400, post(&activities, &json!({"id": format!("/{canary}"), "event_time": canary, "direction": canary}))),
        (400, post(&activities, &json!([canary]))),
        (404, post(&format!("/contacts/{}/activities", Uuid::now_v7()), &activity())),
        (200, patch(&format!("{activities}/{canary}"), &json!({"metadata": {canary: [canary]}}))),
        (400, patch(&format!("{activities}/{canary}"), &json!({"event_time": canary, "metadata": canary}))),
        (404, patch(&format!("{activities}/{canary}-other"), &json!({"metadata": {canary: canary}}))),
        (200, get(&contact)),
        (400, post("/campaigns", &json!({"name": "", "status": canary, "lead_magnet": canary}))),
        (400, get(&format!("/campaigns?status={canary}&icp_profile_id={canary}&cursor={canary}"))),
        (400, get(&format!("/campaigns/{canary}"))),
        (200, get(&path)),
        (200, put(&path, &json!({"name": format!("{canary} again"), "description": canary}))),
        (400, put(&path, &json!({"status": canary}))),
        (200, delete(&path)),
        (404, delete(&path)),
        // The worker's lines are searched too.
        (200, delete(&contact)),
    ] {
        mark(request).send().expect(status);
    }
}

#[test]
fn every_way_a_request_about_imports_can_end() {
    let canary = &*CANARY;
    let path = format!("/imports/{}", new_import());
    let changes = json!({"source": canary, "file_name": canary, "mapping_json": {canary: canary}, canary: canary});
    for (status, request) in [
        (200, put(&format!("{path}?{canary}"), &changes)),
        (400, put(&path, &json!({"source": "", "status": canary, "campaign_id": canary, "mapping_json": canary}))),
        (400, put(&path, &Value::Null).body(format!("{{\"{canary}"))),
        (200, get(&format!("{path}?{canary}={canary}"))),
        (200, get(&format!("/imports?{canary}={canary}"))),
        (400, get(&format!("/imports?status={canary}&campaign_id={canary}&cursor={canary}"))),
        (400, get(&format!("/imports/{canary}"))),
        (200, delete(&format!("{path}?{canary}"))),
        (404, delete(&path)),
    ] {
        mark(request).send().expect(status);
    }
}

#[test]
fn every_way_a_request_about_api_keys_can_end() {
    let canary = &*CANARY;
    let create = post(&format!("/api-keys?{canary}"), &json!({"name": canary, "scopes": ["read"], "live": true}));
    let create = mark(create).header("idempotency-key", &format!("{canary}-{}", Uuid::new_v4()));
    let id = create.send().expect(201).id();
    until_listed(&id);
    let path = format!("/api-keys/{id}");
    for (status, request) in [
        (409, create.clone()),
        (422, create.clone().json(&json!({"name": canary}))),
        (400, post("/api-keys", &json!({"name": [canary], "scopes": [canary], "expires_at": canary, "live": canary}))),
        (400, post("/api-keys", &Value::Null).body(format!("{{\"{canary}"))),
        (200, get(&format!("/api-keys?{canary}={canary}"))),
        (400, get(&format!("/api-keys?cursor={canary}&limit={canary}"))),
        (400, delete(&format!("/api-keys/{canary}"))),
        (404, delete(&format!("/api-keys/{}", Uuid::now_v7()))),
        (200, delete(&format!("{path}?{canary}"))),
    ] {
        mark(request).send().expect(status);
    }
}

/// The address of another contact.
fn other_contact() -> String {
    let email = new_email();
    post("/contacts", &marked(&email)).send().expect(201);
    email
}
