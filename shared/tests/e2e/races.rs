//! Concurrent clients.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::client::{Response, concurrently, get, ids_by_email, jane, new_contact, new_email, post, put};

/// The number of responses with each status.
fn count_by_status(responses: &[Response]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for response in responses {
        *counts.entry(response.status).or_default() += 1;
    }
    counts
}

#[test]
fn one_of_many_concurrent_creates_with_one_email_succeeds() {
    let email = new_email();

    let responses = concurrently(60, |_| post("/contacts/", &jane(&email)).send());

    assert_eq!(count_by_status(&responses), [(201, 1), (409, 59)].into());
    let (created, conflicts): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.status == 201);
    for conflict in conflicts {
        conflict.expect_error(409, &format!("Contact with email '{email}' already exists"));
    }
    assert_eq!(ids_by_email(&email), [created[0].id()]);
}

/// Lets `count` clients concurrently update one contact with the metadata of their number, and returns its enrichment.
fn update_metadata_concurrently(count: usize, metadata: impl Fn(usize) -> Value + Sync) -> Value {
    let path = format!("/contacts/{}", new_contact());
    let responses = concurrently(count, |number| put(&path, &json!({"metadata": metadata(number)})).send());
    assert_eq!(count_by_status(&responses), [(200, count)].into());
    get(&path).send().expect(200).json()["enrichment"].clone()
}

/// `{"key0": 0, "key1": 1, …}`
fn numbered_members(count: usize) -> Value {
    let members: Map<String, Value> = (0..count).map(|number| (format!("key{number}"), json!(number))).collect();
    Value::Object(members)
}

#[test]
fn concurrent_updates_of_different_metadata_keys_are_all_stored() {
    let enrichment = update_metadata_concurrently(60, |number| json!({format!("key{number}"): number}));
    assert_eq!(enrichment, numbered_members(60));
}

#[test]
fn concurrent_updates_inside_one_metadata_object_are_all_stored() {
    let enrichment = update_metadata_concurrently(40, |number| json!({"nested": {format!("key{number}"): number}}));
    assert_eq!(enrichment, json!({"nested": numbered_members(40)}));
}

#[test]
fn concurrent_changes_of_emails_leave_each_email_to_one_contact() {
    // Two emails more than contacts, so that some changes find a free one.
    let emails: Vec<String> = (0..7).map(|_| new_email()).collect();
    let mut paths = Vec::new();
    for email in &emails[..5] {
        let id = post("/contacts/", &jane(email)).send().expect(201).id();
        paths.push(format!("/contacts/{id}"));
    }

    let responses = concurrently(70, |number| {
        let path = &paths[number % paths.len()];
        let email = &emails[(number * 3 + number / 7) % emails.len()];
        put(path, &json!({"email": email})).send()
    });

    let counts = count_by_status(&responses);
    assert!(counts.keys().all(|status| [200, 409].contains(status)), "{counts:?}");
    assert!(counts.contains_key(&200), "{counts:?}");
    let mut taken = BTreeSet::new();
    for path in &paths {
        let contact = get(path).send().expect(200).json();
        let email = contact["email"].as_str().unwrap();
        assert_eq!(ids_by_email(email), [contact["id"].as_str().unwrap()]);
        taken.insert(email.to_owned());
    }
    assert_eq!(taken.len(), paths.len(), "two contacts have the same email");
    for email in &emails {
        // A lock that was left behind would refuse a free email; a lost lock would accept one that is taken.
        let status = if taken.contains(email) { 409 } else { 201 };
        post("/contacts/", &jane(email)).send().expect(status);
    }
}

#[test]
fn concurrent_requests_with_one_idempotency_key_have_one_effect_and_one_response() {
    let (email, key) = (new_email(), Uuid::new_v4().to_string());

    let responses = concurrently(50, |_| post("/contacts/", &jane(&email)).header("idempotency-key", &key).send());

    let distinct: BTreeSet<_> = responses
        .iter()
        .map(|response| (response.status, &response.text, response.header("location"), response.header("etag")))
        .collect();
    assert_eq!(distinct.len(), 1, "{distinct:?}");
    assert_eq!(responses[0].status, 201, "{:?}", responses[0]);
    let originals = responses.iter().filter(|response| response.header("idempotent-replayed").is_empty()).count();
    assert_eq!(originals, 1, "all responses but one are replays");
    assert_eq!(ids_by_email(&email), [responses[0].id()]);
}
