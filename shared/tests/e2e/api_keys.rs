//! A key's life: made, shown once, used, listed, revoked.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{API, delete, get, jane, new_api_key, new_email, post, rows, until_listed};

const UNAUTHORIZED: &str = "Invalid or missing authentication credentials";
const FORBIDDEN: &str = "You do not have permission to access this resource";

#[test]
fn a_key_works_is_listed_without_its_secret_and_ends_with_its_revocation() {
    let created = new_api_key(&["read", "write", "read"]).json();
    let (id, key) = (created["id"].as_str().unwrap(), created["key"].as_str().unwrap());
    assert_eq!(created["org_id"], json!(API.org.org_id));
    assert_eq!(created["scopes"], json!(["read", "write"]));

    post("/contacts/", &jane(&new_email())).key(key).send().expect(201);
    get("/contacts/?limit=1").key(key).send().expect(200);
    get("/api-keys/").key(key).send().refused(403, FORBIDDEN);

    let mut shown = created.clone();
    shown.as_object_mut().unwrap().remove("key");
    assert_eq!(until_listed(id), shown);
    let secret = key.strip_prefix(created["display_prefix"].as_str().unwrap()).unwrap();
    assert!(!json!(rows("/api-keys/")).to_string().contains(secret));

    let revoke = delete(&format!("/api-keys/{id}"));
    let message = json!({"message": format!("API key {id} revocada")}).to_string();
    for _ in 0..2 {
        assert_eq!(revoke.send().expect(200).text, message);
    }
    assert!(until_listed(id)["revoked_at"].is_string());
    // A function that has seen the key believes it for up to a minute more; this one has not.
    get("/campaigns/?limit=1").key(key).send().refused(401, UNAUTHORIZED);
}

#[test]
fn a_repeated_request_makes_no_second_key_and_shows_none_again() {
    let name = Uuid::new_v4().to_string();
    let body = json!({"name": name, "scopes": ["read"], "live": true});
    let create = post("/api-keys/", &body).header("idempotency-key", &name);
    let id = create.send().expect(201).id();
    create.send().refused(409, "API key already created");
    let another = create.json(&json!({"name": "another", "scopes": ["read"], "live": true}));
    another.send().refused(422, "Idempotency-Key was already used for a different request");
    until_listed(&id);
    let named: Vec<Value> = rows("/api-keys/").into_iter().filter(|key| key["name"] == name).collect();
    assert_eq!(named.len(), 1, "{named:?}");
}
