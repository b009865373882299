//! The random choices of a writer for what it has for itself.

use serde_json::{Value, json};
use shared::domain::{CampaignId, ContactId, ImportId};

use super::world::row;
use super::writer::Writer;

/// The emails of one writer.
pub(super) const EMAILS: usize = 8;
/// The companies that all writers name, in either spelling.
const COMPANIES: u8 = 40;

impl Writer<'_> {
    pub(super) fn own_email(&mut self) -> String {
        format!("writer-{}-{}@example.com", self.number, self.rng.usize(..EMAILS))
    }

    pub(super) fn own_contact(&mut self) -> Option<ContactId> {
        self.rng.choice(self.model.contacts.keys()).copied()
    }

    pub(super) fn own_import(&mut self) -> Option<ImportId> {
        self.rng.choice(&self.model.imports).copied()
    }

    pub(super) fn own_import_or_none(&mut self) -> Option<ImportId> {
        if self.rng.bool() { self.own_import() } else { None }
    }

    pub(super) fn own_campaign(&mut self) -> Option<CampaignId> {
        self.rng.choice(self.model.campaigns.keys()).copied()
    }

    /// The body of a new contact, or of a row.
    pub(super) fn body(&mut self, email: &str) -> Value {
        let mut body = row(email);
        body["full_name"] = json!(format!("Jane Doe {}", self.rng.u8(..4)));
        if self.rng.bool() {
            body["company"] = self.company();
        }
        if self.rng.bool() {
            body["metadata"] = self.new_metadata();
        }
        body
    }

    /// The body of an update: some fields, with `null` for some of those that can be cleared.
    pub(super) fn patch(&mut self) -> Value {
        let mut patch = json!({});
        if self.rng.bool() {
            patch["full_name"] = json!(format!("Jane Doe {}", self.rng.u8(..4)));
        }
        if self.rng.u8(..4) == 0 {
            patch["company"] = if self.rng.bool() { self.company() } else { Value::Null };
        }
        if self.rng.u8(..4) == 0 {
            patch["locale"] = self.rng.choice([json!("en-US"), json!("es-ES"), Value::Null]).unwrap_or_default();
        }
        match self.rng.u8(..8) {
            0 => patch["metadata"] = Value::Null,
            1..6 => patch["metadata"] = self.metadata(),
            _ => {}
        }
        patch
    }

    fn company(&mut self) -> Value {
        let name = format!("Company {}", self.rng.u8(..COMPANIES));
        if self.rng.bool() { json!(name.to_uppercase()) } else { json!(name) }
    }

    /// Metadata without `null`.
    fn new_metadata(&mut self) -> Value {
        let mut metadata = json!({format!("key{}", self.rng.u8(..5)): self.rng.u8(..3)});
        if self.rng.bool() {
            metadata["inner"] = json!({format!("key{}", self.rng.u8(..5)): "text"});
        }
        metadata
    }

    /// Metadata with or without nested objects and removals.
    pub(super) fn metadata(&mut self) -> Value {
        let mut metadata = self.new_metadata();
        if self.rng.bool() {
            metadata[format!("key{}", self.rng.u8(..5))] = Value::Null;
        }
        if self.rng.u8(..4) == 0 {
            metadata["inner"] = json!({format!("key{}", self.rng.u8(..5)): null});
        }
        metadata
    }

    pub(super) fn activity(&mut self) -> Value {
        json!({
            "id": format!("act-{:02}", self.rng.u8(..20)),
            "event_time": format!("2024-04-18T10:15:0{}Z", self.rng.u8(..3)),
            "event_type": format!("type-{}", self.rng.u8(..100)),
            "channel": "email",
        })
    }
}
