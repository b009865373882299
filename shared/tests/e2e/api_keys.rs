//! The life cycle of an API key: created, returned once, used, listed, revoked.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use crate::client::{
    API, concurrently, delete, eventually, get, jane, new_api_key, new_email, post, rows, wait_until_listed,
};

/// Enough concurrent requests to reach several processes of one function.
const PROCESSES: usize = 8;

/// The documented time within which a revocation takes effect.
const CACHED_FOR: Duration = Duration::from_mins(1);
/// The time of the requests that observe it on a busy machine.
const REQUEST_TIME: Duration = Duration::from_secs(5);

const UNAUTHORIZED: &str = "Invalid or missing authentication credentials";
const FORBIDDEN: &str = "You do not have permission to access this resource";

#[test]
fn a_key_works_until_its_revocation_and_is_listed_without_its_secret() {
    let created = new_api_key(&["read", "write", "read"]).json();
    let id = created["id"].as_str().unwrap();
    let key = created["key"].as_str().unwrap();
    assert_eq!(created["org_id"], json!(API.org.org_id));
    assert_eq!(created["scopes"], json!(["read", "write"]));

    post("/contacts/", &jane(&new_email())).key(key).send().expect(201);
    get("/contacts/?limit=1").key(key).send().expect(200);
    get("/api-keys/").key(key).send().expect_error(403, FORBIDDEN);

    let mut expected = created.clone();
    expected.as_object_mut().unwrap().remove("key");
    let listed = wait_until_listed(id);
    // The key has been used by now, and was not when it was created.
    assert!(listed["last_used_at"].is_string() && expected["last_used_at"].is_null(), "{listed}");
    expected["last_used_at"] = listed["last_used_at"].clone();
    assert_eq!(listed, expected);
    let secret = key.strip_prefix(created["display_prefix"].as_str().unwrap()).unwrap();
    assert!(!json!(rows("/api-keys/")).to_string().contains(secret));

    let message = json!({"message": format!("API key {id} revocada")}).to_string();
    for _ in 0..2 {
        let revoked = delete(&format!("/api-keys/{id}")).send().expect(200);
        assert_eq!(revoked.text, message);
    }
    assert!(wait_until_listed(id)["revoked_at"].is_string());
    // A function that has used the key may accept it from its cache for another minute. This function has not.
    get("/campaigns/?limit=1").key(key).send().expect_error(401, UNAUTHORIZED);
}

#[test]
fn functions_that_know_a_key_refuse_it_within_a_minute_after_its_revocation() {
    let created = new_api_key(&["read"]).json();
    let key = created["key"].as_str().unwrap();
    // Not a list: an emulated cloud goes through all contacts for one row, and this test sends many requests.
    let contact = format!("/contacts/{}", Uuid::now_v7());
    let statuses = || concurrently(PROCESSES, |_| get(&contact).key(key).send().status);
    assert_eq!(statuses(), [404; PROCESSES]);

    delete(&format!("/api-keys/{}", created["id"].as_str().unwrap())).send().expect(200);

    eventually(CACHED_FOR + REQUEST_TIME, || match statuses() {
        statuses if statuses == [401; PROCESSES] => Ok(()),
        statuses => Err(format!("{statuses:?}")),
    });
}

#[test]
fn a_repeated_creation_creates_no_second_key_and_does_not_return_the_first_again() {
    let name = Uuid::new_v4().to_string();
    let body = json!({"name": name, "scopes": ["read"], "live": true});
    let create = post("/api-keys/", &body).header("idempotency-key", &name);

    let id = create.send().expect(201).id();
    create.send().expect_error(409, "API key already created");
    let other_body = json!({"name": "another", "scopes": ["read"], "live": true});
    let reused = create.json(&other_body).send();
    reused.expect_error(422, "Idempotency-Key was already used for a different request");

    wait_until_listed(&id);
    let keys = rows("/api-keys/");
    assert_eq!(keys.iter().filter(|key| key["name"] == name).count(), 1, "{keys:?}");
}
