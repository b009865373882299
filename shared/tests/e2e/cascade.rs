//! What hangs on a deleted thing is gone for every caller at once, and soon after for good.

use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::client::{API, at_once, delete, get, new_contact, patch, post};

const ACTIVITIES: usize = 2_000;
const AT_ONCE: usize = 50;
/// Within which the worker has cleared up.
const SOON: Duration = Duration::from_secs(30);

fn body(number: usize) -> Value {
    let event_time = DateTime::UNIX_EPOCH + TimeDelta::minutes(i64::try_from(number).unwrap());
    json!({"id": format!("act_{number}"), "event_time": event_time.to_rfc3339(), "event_type": "message_sent"})
}

/// The items of a local table in which this text stands, but for tombstones: those have a quarter of an hour to go.
fn items_with(text: &str) -> Option<Vec<String>> {
    let table = API.local_table.as_ref()?;
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let items = runtime.block_on(table.dump()).unwrap();
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

    // Of a deployed table, only its worker's log can tell.
    let deadline = Instant::now() + SOON;
    while let Some(left) = items_with(&id).filter(|left| !left.is_empty()) {
        assert!(Instant::now() < deadline, "{} items are left after {SOON:?}, one is {}", left.len(), left[0]);
        thread::sleep(Duration::from_millis(200));
    }
}
