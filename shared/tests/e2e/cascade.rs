//! The children of a deleted parent: invisible at once, removed by the worker soon after.

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use crate::client::{
    PROPAGATION_TIMEOUT, concurrently, delete, eventually, get, jane, new_contact, new_email, new_import, patch, post,
    put, rows, with_local_table,
};

/// Many batches of deletes, and few enough for an emulated cloud that other tests load.
const ACTIVITIES: usize = 500;
const ACTIVITIES_PER_REQUEST: usize = 50;
const MEMBERS: usize = 40;

fn activity(number: usize) -> Value {
    let event_time = DateTime::UNIX_EPOCH + TimeDelta::minutes(i64::try_from(number).unwrap());
    json!({
        "id": format!("act_{number}"),
        "event_time": event_time.to_rfc3339(),
        "event_type": "message_sent",
    })
}

/// The items of a local table that contain this text; `None` for a deployed table. Tombstones are left out, because they
/// stay for a quarter of an hour, and entries of the audit log, which stay for longer.
fn items_containing(text: &str) -> Option<Vec<String>> {
    let mut items = with_local_table(async |table| table.dump().await)?;
    let stays = |item: &str| item.contains("\"TOMBSTONE\"") || item.contains("#AUDIT\"");
    items.retain(|item| item.contains(text) && !stays(item));
    Some(items)
}

/// Waits until the worker has removed every item that contains this text. A deployed table cannot be read; there, only
/// the worker's log can tell.
fn wait_until_removed(text: &str) {
    eventually(PROPAGATION_TIMEOUT, || match items_containing(text).unwrap_or_default().as_slice() {
        [] => Ok(()),
        items => Err(format!("{} items are left, among them {}", items.len(), items[0])),
    });
}

#[test]
fn the_activities_of_a_deleted_contact_are_removed() {
    let id = new_contact();
    let contact = format!("/contacts/{id}");
    concurrently(ACTIVITIES / ACTIVITIES_PER_REQUEST, |request| {
        let first = request * ACTIVITIES_PER_REQUEST;
        let activities: Vec<Value> = (first..first + ACTIVITIES_PER_REQUEST).map(activity).collect();
        post(&format!("{contact}/activities"), &json!(activities)).send().expect(201);
    });
    if let Some(items) = items_containing(&id) {
        assert!(items.len() > ACTIVITIES, "the contact and its activities: {}", items.len());
    }

    delete(&contact).send().expect(200);

    get(&format!("{contact}?campaign_id=any")).send().expect_error(404, "Contact not found");
    post(&format!("{contact}/activities"), &activity(0)).send().expect_error(404, "Contact not found");
    let flags = json!({"metadata": {"opened": true}});
    patch(&format!("{contact}/activities/act_0"), &flags).send().expect_error(404, "Contact not found");
    wait_until_removed(&id);
}

#[test]
fn the_memberships_of_a_deleted_import_are_removed_and_its_contacts_stay() {
    let id = new_import();
    let import = format!("/imports/{id}");
    let contacts = concurrently(MEMBERS, |_| {
        post("/contacts/", &jane(&new_email())).header("x-import-id", &id).send().expect(201).id()
    });
    assert_eq!(get(&import).send().expect(200).json()["contacts_count"], json!(MEMBERS));
    assert_eq!(rows(&format!("/contacts/?import_id={id}")).len(), MEMBERS);

    delete(&import).send().expect(200);

    for request in [get(&import), put(&import, &json!({"status": "failed"})), delete(&import)] {
        request.send().expect_error(404, "Import not found");
    }
    assert_eq!(rows(&format!("/contacts/?import_id={id}")).len(), 0);
    let contact = format!("/contacts/{}", contacts[0]);
    get(&contact).send().expect(200);
    delete(&contact).send().expect(200);
    // The contacts still contain the import's id, so the text to look for is the key of its memberships.
    wait_until_removed(&format!("IMPORT#{id}"));
    get(&format!("/contacts/{}", contacts[1])).send().expect(200);
}
