//! Many clients at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, at_once, get, ids_by_email, jane, new_contact, new_email, post, put};

fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for answer in answers {
        *statuses.entry(answer.status).or_default() += 1;
    }
    statuses
}

#[test]
fn of_many_creates_with_one_address_one_wins() {
    let email = new_email();
    let answers = at_once(60, |_| post("/contacts/", &jane(&email)).send());
    assert_eq!(statuses(&answers), [(201, 1), (409, 59)].into());
    for loser in answers.iter().filter(|answer| answer.status == 409) {
        loser.refused(409, &format!("Contact with email '{email}' already exists"));
    }
    let winner = answers.iter().find(|answer| answer.status == 201).unwrap().id();
    assert_eq!(ids_by_email(&email), [winner]);
}

/// Lets `count` clients send one update each, and returns the enrichment that comes of it.
fn updates(count: usize, metadata: impl Fn(usize) -> Value + Sync) -> Value {
    let path = format!("/contacts/{}", new_contact());
    let answers = at_once(count, |number| put(&path, &json!({"metadata": metadata(number)})).send());
    assert_eq!(statuses(&answers), [(200, count)].into());
    get(&path).send().expect(200).json()["enrichment"].clone()
}

fn numbered(count: usize) -> Value {
    (0..count).map(|number| (format!("key{number}"), json!(number))).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn no_update_of_another_key_is_lost() {
    let enrichment = updates(60, |number| json!({format!("key{number}"): number}));
    assert_eq!(enrichment, numbered(60));
}

#[test]
fn no_update_inside_one_object_is_lost() {
    let enrichment = updates(40, |number| json!({"nested": {format!("key{number}"): number}}));
    assert_eq!(enrichment, json!({"nested": numbered(40)}));
}

#[test]
fn however_addresses_are_swapped_each_has_one_contact() {
    // Two more addresses than contacts, so that there is somewhere to go.
    let emails: Vec<String> = (0..7).map(|_| new_email()).collect();
    let paths: Vec<String> = emails[..5]
        .iter()
        .map(|email| format!("/contacts/{}", post("/contacts/", &jane(email)).send().expect(201).id()))
        .collect();
    let answers = at_once(70, |number| {
        let wanted = &emails[(number * 3 + number / 7) % emails.len()];
        put(&paths[number % paths.len()], &json!({"email": wanted})).send()
    });
    let statuses = statuses(&answers);
    assert!(statuses.keys().all(|status| [200, 409].contains(status)), "{statuses:?}");
    assert!(statuses.contains_key(&200), "{statuses:?}");

    let held: BTreeSet<String> = paths
        .iter()
        .map(|path| {
            let contact = get(path).send().expect(200).json();
            let email = contact["email"].as_str().unwrap().to_owned();
            assert_eq!(ids_by_email(&email), [contact["id"].as_str().unwrap()]);
            email
        })
        .collect();
    assert_eq!(held.len(), paths.len(), "two contacts have one address");
    for email in &emails {
        // A lock left behind would refuse the address, a missing one would let it be taken twice.
        let status = if held.contains(email) { 409 } else { 201 };
        post("/contacts/", &jane(email)).send().expect(status);
    }
}

#[test]
fn one_idempotency_key_has_one_effect_and_one_answer() {
    let (email, key) = (new_email(), Uuid::new_v4().to_string());
    let answers = at_once(50, |_| post("/contacts/", &jane(&email)).header("idempotency-key", &key).send());
    let distinct: BTreeSet<_> = answers
        .iter()
        .map(|answer| (answer.status, &answer.text, answer.header("location"), answer.header("etag")))
        .collect();
    assert_eq!(distinct.len(), 1, "{distinct:?}");
    assert_eq!(answers[0].status, 201, "{:?}", answers[0]);
    let first = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_empty()).count();
    assert_eq!(first, 1, "one answer is the original");
    assert_eq!(ids_by_email(&email), [answers[0].id()]);
}
