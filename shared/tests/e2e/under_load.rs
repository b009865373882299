//! Many writes, also while calls of the database fail (`cargo xtask e2e --faults`): nothing is lost, done twice or
//! wrongly refused.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::{Answer, at_once, get, jane, new_email, new_import, post, put};

const CONTACTS: usize = 200;
/// Clients at a time; each sends its next request when the last one is answered.
const CLIENTS: usize = 20;

/// Sends a request for each number below [`CONTACTS`].
fn each(send: impl Fn(usize) -> Answer + Sync) -> Vec<Answer> {
    let shares = at_once(CLIENTS, |client| {
        (client..CONTACTS).step_by(CLIENTS).map(|number| (number, send(number))).collect::<Vec<_>>()
    });
    let mut answers: Vec<_> = shares.into_iter().flatten().collect();
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Every contact of an import, over all pages.
fn members(import_id: &str) -> Vec<Value> {
    let mut next = Some(format!("/contacts/?import_id={import_id}&limit=37"));
    let mut members = Vec::new();
    while let Some(path) = next {
        let page = get(&path).send().expect(200);
        members.extend(page.json().as_array().unwrap().iter().cloned());
        next = page.header("link").strip_prefix('<').and_then(|link| link.split('>').next()).map(str::to_owned);
    }
    members
}

#[test]
fn no_write_is_lost_doubled_or_wrongly_refused() {
    let import_id = new_import();
    let emails: Vec<String> = (0..CONTACTS).map(|_| new_email()).collect();
    let company = |number: usize| format!("Company {}", number % 10);

    let created = each(|number| {
        let mut body = jane(&emails[number]);
        body["company"] = json!(company(number));
        post("/contacts/", &body).header("x-import-id", &import_id).send().expect(201)
    });
    let ids: BTreeSet<String> = created.iter().map(Answer::id).collect();
    let updated = each(|number| {
        let path = format!("/contacts/{}", created[number].id());
        // Every way of writing: blindly, after a read, and with a new address.
        let body = match number % 3 {
            0 => json!({"metadata": {"number": number}}),
            1 => json!({"metadata": {"nested": {"number": number}}}),
            _ => json!({"email": new_email(), "metadata": {"number": number}}),
        };
        put(&path, &body).send().expect(200)
    });

    let members = members(&import_id);
    assert_eq!(members.len(), CONTACTS, "no more and no fewer than were created");
    let of = |name: &str| members.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(of("id"), ids);
    assert_eq!(of("email").len(), CONTACTS, "no address twice");
    for (number, answer) in updated.iter().enumerate() {
        let stored = members.iter().find(|row| row["id"] == json!(answer.id())).unwrap();
        assert_eq!(*stored, answer.json(), "what was answered is what is stored");
        assert_eq!(stored["company"], json!(company(number)));
        let versions =
            [&created[number], answer].map(|answer| answer.header("etag").split('-').next().unwrap().to_owned());
        assert_eq!(versions, ["\"1", "\"2"], "one write each");
    }
    // The addresses that were given up are free, the others are not.
    for (number, email) in emails.iter().enumerate().take(9) {
        let status = if number % 3 == 2 { 201 } else { 409 };
        post("/contacts/", &jane(email)).send().expect(status);
    }
}
