//! What hangs on a deleted thing is gone for every caller at once, and soon after for good.

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::client::{
    API, SOON, at_once, delete, eventually, get, jane, new_contact, new_email, new_import, patch, post, put, rows,
};

const ACTIVITIES: usize = 2_000;
const AT_ONCE: usize = 50;
const MEMBERS: usize = 40;

fn body(number: usize) -> Value {
    let event_time = DateTime::UNIX_EPOCH + TimeDelta::minutes(i64::try_from(number).unwrap());
    json!({"id": format!("act_{number}"), "event_time": event_time.to_rfc3339(), "event_type": "message_sent"})
}

/// The items of a local table in which this text stands, but for tombstones: those have a quarter of an hour to go.
fn items_with(text: &str) -> Option<Vec<String>> {
    // One for all tests: the table's connections live in it.
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());
    let table = API.local_table.as_ref()?;
    let items = RUNTIME.block_on(table.dump()).unwrap();
    Some(items.into_iter().filter(|item| item.contains(text) && !item.contains("\"TOMBSTONE\"")).collect())
}

#[test]
fn a_contact_goes_with_all_its_activities() {
    let id = new_contact();
    let contact = format!("/contacts/{id}");
    at_once(ACTIVITIES / AT_ONCE, |part| {
        let activities: Vec<_> = (part * AT_ONCE..(part + 1) * AT_ONCE).map(body).collect();
        post(&format!("{contact}/activities"), &json!(activities)).send().expect(201);
    });
    assert!(items_with(&id).is_none_or(|items| items.len() > ACTIVITIES));

    delete(&contact).send().expect(200);
    get(&format!("{contact}?campaign_id=any")).send().refused(404, "Contact not found");
    post(&format!("{contact}/activities"), &body(0)).send().refused(404, "Contact not found");
    let flags = json!({"metadata": {"opened": true}});
    patch(&format!("{contact}/activities/act_0"), &flags).send().refused(404, "Contact not found");

    await_removal_of(&id);
}

#[test]
fn an_import_goes_with_all_its_memberships_and_its_contacts_stay() {
    let id = new_import();
    let import = format!("/imports/{id}");
    let create = |_| post("/contacts/", &jane(&new_email())).header("x-import-id", &id).send().expect(201).id();
    let contacts = at_once(MEMBERS, create);
    assert_eq!(get(&import).send().expect(200).json()["contacts_count"], json!(MEMBERS));
    assert_eq!(rows(&format!("/contacts/?import_id={id}")).len(), MEMBERS);

    delete(&import).send().expect(200);
    for request in [get(&import), put(&import, &json!({"status": "failed"})), delete(&import)] {
        request.send().refused(404, "Import not found");
    }
    assert_eq!(rows(&format!("/contacts/?import_id={id}")).len(), 0);
    let contact = format!("/contacts/{}", contacts[0]);
    get(&contact).send().expect(200);
    delete(&contact).send().expect(200);

    // The contacts themselves may name it still.
    await_removal_of(&format!("IMPORT#{id}"));
    get(&format!("/contacts/{}", contacts[1])).send().expect(200);
}

/// Waits until the worker has removed every item that names this. Of a deployed table, only its worker's log can tell.
fn await_removal_of(text: &str) {
    eventually(SOON, || {
        let left = items_with(text).unwrap_or_default();
        left.first().map_or(Ok(()), |one| Err(format!("{} items are left, one is {one}", left.len())))
    });
}
