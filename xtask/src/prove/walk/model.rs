//! The model: what the table should hold of the contacts that one writer has for itself. Plain JSON, and a merge of its own,
//! so that it shares no mistake with the code under test.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use shared::domain::{Activity, CampaignId, Contact, ContactId, ImportId};
use shared::wire::ContactView;

/// The fields of a contact that clients write, but for its metadata.
const FIELDS: [&str; 6] = ["full_name", "email", "linkedin_profile", "company", "locale", "timezone"];

/// A contact as it should be stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ContactModel {
    fields: Map<String, Value>,
    enrichment: Value,
    pub(super) version: u64,
    pub(super) import_ids: BTreeSet<ImportId>,
    /// The type of each activity by its time and id.
    activities: BTreeMap<(String, String), String>,
}

/// A campaign as it should be stored.
#[derive(Debug, Clone)]
pub(super) struct CampaignModel {
    pub(super) is_active: bool,
    /// Whether it is sent from the writer's one account.
    pub(super) has_account: bool,
}

/// All that one writer has for itself.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) contacts: BTreeMap<ContactId, ContactModel>,
    pub(super) deleted: Vec<ContactId>,
    pub(super) imports: BTreeSet<ImportId>,
    pub(super) campaigns: BTreeMap<CampaignId, CampaignModel>,
    pub(super) leads: BTreeSet<(CampaignId, ContactId)>,
}

impl ContactModel {
    /// The contact that this body creates.
    pub(super) fn new(body: &Value, import: Option<ImportId>) -> Self {
        let fields = FIELDS.map(|field| (field.to_owned(), body[field].clone())).into_iter().collect();
        let mut enrichment = json!({});
        merge(&mut enrichment, body.get("metadata").unwrap_or(&json!({})));
        let import_ids = import.into_iter().collect();
        Self { fields, enrichment, version: 1, import_ids, activities: BTreeMap::new() }
    }

    /// The contact that these rows of one email create.
    pub(super) fn created_by(rows: &[&Value], import: Option<ImportId>) -> Self {
        let first = Self::new(rows[0], import);
        Self { version: 1, ..first.uploaded(rows, None) }
    }

    /// The contact after an update with this body. Its version changes if anything else does.
    #[must_use]
    pub(super) fn updated(&self, body: &Value) -> Self {
        let mut next = self.clone();
        next.apply(body);
        next.version += u64::from(next != *self);
        next
    }

    /// The contact after an upload with these rows. Its version changes once, however many rows it has.
    #[must_use]
    pub(super) fn uploaded(&self, rows: &[&Value], import: Option<ImportId>) -> Self {
        let mut next = self.clone();
        next.import_ids.extend(import);
        for row in rows {
            next.apply(row);
        }
        next.version += u64::from(next != *self);
        next
    }

    fn apply(&mut self, body: &Value) {
        for field in FIELDS {
            if let Some(value) = body.get(field) {
                self.fields[field] = value.clone();
            }
        }
        match body.get("metadata") {
            Some(Value::Null) => self.enrichment = json!({}),
            Some(metadata) => merge(&mut self.enrichment, metadata),
            None => {}
        }
    }

    pub(super) fn email(&self) -> &str {
        self.fields["email"].as_str().unwrap_or_default()
    }

    /// Adds an activity, unless there is one of this time and id.
    pub(super) fn record(&mut self, activity: &Value) {
        let text = |name: &str| activity[name].as_str().unwrap_or_default().to_owned();
        self.activities.entry((text("event_time"), text("id"))).or_insert_with(|| text("event_type"));
    }

    /// The difference of a contact and its timeline, if it was read, from this model.
    pub(super) fn difference(&self, contact: &Contact, timeline: Option<&[Activity]>) -> Option<String> {
        let shown = shown(contact);
        let mut expected = json!({
            "enrichment": if self.enrichment == json!({}) { Value::Null } else { self.enrichment.clone() },
            "version": self.version,
            "import_ids": self.import_ids,
        });
        let mut found = json!({
            "enrichment": shown["enrichment"],
            "version": contact.version,
            "import_ids": contact.import_ids,
        });
        for field in FIELDS {
            expected[field] = self.fields[field].clone();
            found[field] = shown[field].clone();
        }
        if let Some(activities) = timeline {
            let entry = |((time, id), event_type): (&(String, String), &String)| json!([time, id, event_type]);
            expected["activities"] = self.activities.iter().map(entry).collect();
            found["activities"] = activities.iter().map(activity_entry).collect();
        }
        if expected == found { None } else { Some(format!("expected {expected}, found {found}")) }
    }
}

impl Model {
    /// The members of these imports.
    pub(super) fn members(&self, imports: &BTreeSet<ImportId>) -> Vec<ContactId> {
        let is_member = |contact: &ContactModel| !contact.import_ids.is_disjoint(imports);
        self.contacts.iter().filter(|(_, contact)| is_member(contact)).map(|(id, _)| *id).collect()
    }

    /// Creates leads of a campaign for the contacts of these imports, and returns their number. A contact is left out if it
    /// has an open lead of another active campaign with the same account; all leads of the model are open.
    pub(super) fn link(&mut self, campaign: CampaignId, imports: &BTreeSet<ImportId>) -> usize {
        let has_account = self.campaigns.get(&campaign).is_some_and(|campaign| campaign.has_account);
        let competing = |(id, other): &(&CampaignId, &CampaignModel)| {
            **id != campaign && has_account && other.has_account && other.is_active
        };
        let competing: Vec<_> = self.campaigns.iter().filter(competing).map(|(id, _)| *id).collect();
        let mut inserted = 0;
        for contact in self.members(imports) {
            if !competing.iter().any(|other| self.leads.contains(&(*other, contact))) {
                inserted += usize::from(self.leads.insert((campaign, contact)));
            }
        }
        inserted
    }

    pub(super) fn delete_contact(&mut self, id: ContactId) {
        self.contacts.remove(&id);
        self.leads.retain(|(_, contact)| *contact != id);
        self.deleted.push(id);
    }

    pub(super) fn delete_campaign(&mut self, id: CampaignId) {
        self.campaigns.remove(&id);
        self.leads.retain(|(campaign, _)| *campaign != id);
    }

    /// The contact with this email.
    pub(super) fn contact_with(&self, email: &str) -> Option<ContactId> {
        self.contacts.iter().find(|(_, contact)| contact.email() == email).map(|(id, _)| *id)
    }
}

/// A contact as responses show it.
pub(super) fn shown(contact: &Contact) -> Value {
    serde_json::to_value(ContactView::of(contact)).unwrap_or_default()
}

/// An activity as the model has it: its time, id and type.
fn activity_entry(activity: &Activity) -> Value {
    let time = activity.event_time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!([time, activity.id.as_str(), activity.details.event_type.as_str()])
}

/// Merges a JSON Merge Patch (RFC 7396 §2).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_merged_as_in_the_example_of_the_rfc() {
        let mut document = json!({
            "title": "Goodbye!",
            "author": {"givenName": "John", "familyName": "Doe"},
            "tags": ["example", "sample"],
            "content": "This will be unchanged",
        });
        let patch = json!({
            "title": "Hello!",
            "phoneNumber": "+01-123-456-7890",
            "author": {"familyName": null},
            "tags": ["example"],
        });
        merge(&mut document, &patch);
        let expected = json!({
            "title": "Hello!",
            "author": {"givenName": "John"},
            "tags": ["example"],
            "content": "This will be unchanged",
            "phoneNumber": "+01-123-456-7890",
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn the_version_changes_with_the_content_only() {
        let contact = ContactModel::new(&json!({"email": "a@example.com", "metadata": {"a": 1}}), None);
        assert_eq!(contact.updated(&json!({"metadata": {"a": 1, "b": null}})).version, 1);
        assert_eq!(contact.updated(&json!({"metadata": {"a": 2}})).version, 2);
        let (row, other) = (json!({"company": "Acme"}), json!({"company": "Other"}));
        assert_eq!(contact.uploaded(&[&row, &other], None).version, 2);
    }
}
