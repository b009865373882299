//! The audit log: who did what, in which request.

use chrono::{DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::domain::time;
use uuid::Uuid;

use crate::client::{
    API, delete, get, new_api_key, new_campaign, new_contact, new_import, post, rows, wait_until_listed,
};

const FORBIDDEN: &str = "You do not have permission to access this resource";

/// What an entry tells beside its id and its time.
fn summary(entry: &Value) -> Value {
    let mut summary = entry.clone();
    let summary_members = summary.as_object_mut().unwrap();
    assert!(summary_members.remove("id").is_some() && summary_members.remove("at").is_some(), "{entry}");
    summary
}

/// An administrator with a key of its own, so that the log has its entries alone under that actor.
struct Admin {
    key_id: String,
    key: String,
    /// The expected entries, newest first.
    entries: Vec<Value>,
}

impl Admin {
    fn new() -> Self {
        let created = new_api_key(&["admin"]).json();
        let text = |name: &str| created[name].as_str().unwrap().to_owned();
        Self { key_id: text("id"), key: text("key"), entries: Vec::new() }
    }

    /// A new request id, under which an entry is expected.
    fn expect_entry(&mut self, action: &str, subject: (&str, &str)) -> String {
        let request_id = Uuid::new_v4().to_string();
        let (subject_type, id) = subject;
        let entry = json!({
            "actor": {"type": "api_key", "id": self.key_id},
            "action": action,
            "subject": {"type": subject_type, "id": id},
            "request_id": request_id,
        });
        self.entries.insert(0, entry);
        request_id
    }

    /// Deletes a resource, and again without effect.
    fn delete(&mut self, path: &str, action: &str, subject: (&str, &str), again: u16) {
        let request_id = self.expect_entry(action, subject);
        let request = delete(&format!("{path}{}", subject.1)).key(&self.key);
        request.clone().header("x-request-id", &request_id).send().expect(200);
        request.send().expect(again);
    }
}

#[test]
fn what_an_administrator_does_is_in_the_audit_log() {
    let mut admin = Admin::new();
    let request_id = Uuid::new_v4().to_string();
    let body = json!({"name": "a test's", "scopes": ["read"], "live": false});
    let create = post("/api-keys/", &body).key(&admin.key).header("x-request-id", &request_id);
    let created = create.header("idempotency-key", &request_id).send().expect(201).id();
    admin.expect_entry("api_key.created", ("api_key", &created));
    admin.entries[0]["request_id"] = json!(request_id);
    wait_until_listed(&created);
    admin.delete("/api-keys/", "api_key.revoked", ("api_key", &created), 200);
    admin.delete("/contacts/", "contact.deleted", ("contact", &new_contact()), 404);
    admin.delete("/imports/", "import.deleted", ("import", &new_import()), 404);
    admin.delete("/campaigns/", "campaign.deleted", ("campaign", &new_campaign("active")), 404);

    let log = rows(&format!("/audit-log/?actor={}", admin.key_id));

    assert_eq!(log.iter().map(summary).collect::<Vec<_>>(), admin.entries);
    pages_and_filters_agree_with_the_log(&admin, &log);
    others_see_nothing(&admin);
    the_key_of_the_administrator_is_in_use_and_can_be_revoked(&admin);
}

fn pages_and_filters_agree_with_the_log(admin: &Admin, log: &[Value]) {
    let actor = format!("/audit-log/?actor={}", admin.key_id);
    let (mut paged, mut next) = (Vec::new(), Some(get(&format!("{actor}&limit=2"))));
    while let Some(request) = next {
        let page = request.send().expect(200);
        let rows = page.json().as_array().unwrap().clone();
        assert!(rows.len() <= 2, "{page:?}");
        paged.extend(rows);
        next = page.next_page();
    }
    assert_eq!(paged, log);

    let at = log[2]["at"].as_str().unwrap();
    assert_eq!(rows(&format!("{actor}&action=contact.deleted")), log[2..3]);
    assert_eq!(rows(&format!("{actor}&from={at}")), log[..3]);
    assert_eq!(rows(&format!("{actor}&to={at}")), log[3..]);
}

fn others_see_nothing(admin: &Admin) {
    let path = format!("/audit-log/?actor={}", admin.key_id);
    let of_other = get(&path).key(&API.other.admin_key).send().expect(200);
    assert_eq!(of_other.text, "[]");
    get(&path).key(&API.org.read_key).send().expect_error(403, FORBIDDEN);
    get(&path).bearer(&API.org.jwt).send().expect_error(403, FORBIDDEN);
}

fn the_key_of_the_administrator_is_in_use_and_can_be_revoked(admin: &Admin) {
    let used = wait_until_listed(&admin.key_id)["last_used_at"].clone();
    let hour = Utc::now().duration_trunc(TimeDelta::hours(1)).unwrap();
    let hours = [hour, hour - TimeDelta::hours(1)].map(|hour| json!(time::to_seconds(hour)));
    assert!(hours.contains(&used), "{used}");

    // Another admin key of the organization is left.
    delete(&format!("/api-keys/{}", admin.key_id)).send().expect(200);
    let revocations = rows("/audit-log/?action=api_key.revoked&limit=1000");
    let revocation = revocations.iter().find(|entry| entry["subject"]["id"] == json!(admin.key_id)).unwrap();
    assert_ne!(revocation["actor"]["id"], json!(admin.key_id));
}
