//! Many concurrent writes. With `cargo xtask e2e --faults`, three in ten calls of the database fail meanwhile.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::{Response, concurrently, jane, new_email, new_import, post, put, rows_of_all_pages};

const CONTACTS: usize = 200;
/// The number of concurrent clients. Each sends one request after the other.
const CLIENTS: usize = 20;

/// Sends a request for each number below [`CONTACTS`] and returns the responses in order.
fn send_all(send: impl Fn(usize) -> Response + Sync) -> Vec<Response> {
    let responses_of_clients = concurrently(CLIENTS, |client| {
        let mut responses = Vec::new();
        for number in (client..CONTACTS).step_by(CLIENTS) {
            responses.push((number, send(number)));
        }
        responses
    });
    let mut responses: Vec<(usize, Response)> = responses_of_clients.into_iter().flatten().collect();
    responses.sort_by_key(|(number, _)| *number);
    responses.into_iter().map(|(_, response)| response).collect()
}

fn company(number: usize) -> String {
    format!("Company {}", number % 10)
}

/// The values of a text member, without duplicates.
fn distinct(rows: &[Value], member: &str) -> BTreeSet<String> {
    rows.iter().map(|row| row[member].as_str().unwrap().to_owned()).collect()
}

/// The version in an `ETag` of the form `"VERSION-…"`.
fn version(response: &Response) -> &str {
    let tag = response.header("etag").strip_prefix('"').unwrap();
    tag.split('-').next().unwrap()
}

#[test]
fn no_write_is_lost_repeated_or_wrongly_refused() {
    let import_id = new_import();
    let emails: Vec<String> = (0..CONTACTS).map(|_| new_email()).collect();

    let created = send_all(|number| {
        let mut body = jane(&emails[number]);
        body["company"] = json!(company(number));
        post("/contacts/", &body).header("x-import-id", &import_id).send().expect(201)
    });
    let updated = send_all(|number| {
        // The three ways of writing: without a read, after a read, and in a transaction.
        let body = match number % 3 {
            0 => json!({"metadata": {"number": number}}),
            1 => json!({"metadata": {"nested": {"number": number}}}),
            _ => json!({"email": new_email(), "metadata": {"number": number}}),
        };
        put(&format!("/contacts/{}", created[number].id()), &body).send().expect(200)
    });

    let stored = rows_of_all_pages(&format!("/contacts/?import_id={import_id}&limit=37"));
    assert_eq!(stored.len(), CONTACTS);
    assert_eq!(distinct(&stored, "id"), created.iter().map(Response::id).collect());
    assert_eq!(distinct(&stored, "email").len(), CONTACTS, "no two contacts have the same email");
    for (number, updated) in updated.iter().enumerate() {
        let stored = stored.iter().find(|row| row["id"] == json!(updated.id())).unwrap();
        assert_eq!(*stored, updated.json(), "the response is what is stored");
        assert_eq!(stored["company"], json!(company(number)));
        assert_eq!((version(&created[number]), version(updated)), ("1", "2"), "each request wrote once");
    }
    // The emails that were replaced are free, the others are taken.
    for (number, email) in emails.iter().enumerate().take(9) {
        let status = if number % 3 == 2 { 201 } else { 409 };
        post("/contacts/", &jane(email)).send().expect(status);
    }
}
