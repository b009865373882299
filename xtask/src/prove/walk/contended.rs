//! The steps of a writer on what all writers write. The outcome of a step is not known in advance, but it has to be possible, and
//! what a response has shown must be true at the end.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::domain::{ContactId, Kind};
use shared::repositories::Error;

use super::world::row;
use super::writer::Writer;

/// Fewer emails than writers, so that they meet.
const EMAILS: usize = 12;
/// The most imports, and the most campaigns, that all writers write.
const MAX_PARENTS: usize = 3;

impl Writer<'_> {
    pub(super) async fn create_shared(&mut self) {
        let (key, import) = (self.new_key(), self.shared_import());
        let mut body = row(&self.shared_email());
        body["metadata"] = json!({&key: 1});
        let sent = self.client.create_contact_once(&body, import).await;
        match sent.response {
            Ok(id) => self.note_written(id, true, &key),
            Err(Error::EmailTaken(_)) => {}
            Err(Error::NotFound(Kind::Import)) if import.is_some() => {}
            Err(error) => self.violated(format!("create of a contact: {error:?}")),
        }
    }

    pub(super) async fn update_shared(&mut self) {
        let key = self.new_key();
        let metadata = if self.rng.bool() { json!({&key: 1}) } else { json!({"inner": {&key: 1}}) };
        self.change_shared(&key, json!({"metadata": metadata})).await;
    }

    pub(super) async fn change_shared_email(&mut self) {
        let key = self.new_key();
        let email = self.shared_email();
        self.change_shared(&key, json!({"email": email, "metadata": {&key: 1}})).await;
    }

    /// Updates a contact with a new key of its metadata.
    async fn change_shared(&mut self, key: &str, patch: Value) {
        let Some(id) = self.shared_contact() else { return self.create_shared().await };
        match self.client.update_contact(id, &patch, None).await.response {
            Ok(contact) => {
                self.world.observe(&contact);
                self.note_written(id, false, key);
            }
            Err(Error::EmailTaken(_)) if patch.get("email").is_some() => {}
            Err(error) => self.expect_deleted(id, "update", &error),
        }
    }

    pub(super) async fn delete_shared(&mut self) {
        let Some(id) = self.shared_contact() else { return self.create_shared().await };
        self.world.shared().delete_sent.insert(id);
        match self.client.delete_contact(id).await.response {
            Ok(()) => {
                if !self.world.shared().deleted.insert(id) {
                    self.violated(format!("two deletes of contact {id} succeeded"));
                }
            }
            Err(Error::NotFound(Kind::Contact)) => {}
            Err(error) => self.violated(format!("delete of contact {id}: {error:?}")),
        }
    }

    pub(super) async fn upload_shared(&mut self) {
        let import = self.shared_import();
        let (mut rows, mut keys) = (Vec::new(), Vec::new());
        for _ in 0..self.rng.usize(1..=EMAILS) {
            let (key, mut row) = (self.new_key(), row(&self.shared_email()));
            row["metadata"] = json!({&key: 1});
            rows.push(row);
            keys.push(key);
        }
        match self.client.upload(&rows, import).await.response {
            Ok(outcomes) if outcomes.len() == rows.len() => {
                for ((is_created, contact), key) in outcomes.iter().zip(&keys) {
                    self.world.observe(contact);
                    self.note_written(contact.id, *is_created, key);
                }
            }
            response => self.violated(format!("upload of {} rows: {response:?}", rows.len())),
        }
    }

    pub(super) async fn record_shared(&mut self) {
        let Some(id) = self.shared_contact() else { return self.create_shared().await };
        let activity = self.activity();
        if let Err(error) = self.client.record_activities(id, &activity).await.response {
            self.expect_deleted(id, "record of an activity", &error);
        }
    }

    pub(super) async fn link_shared(&mut self) {
        let (campaign, import) = {
            let shared = self.world.shared();
            (self.rng.choice(&shared.campaigns).copied(), self.rng.choice(&shared.imports).copied())
        };
        let (Some(campaign), Some(import)) = (campaign, import) else { return self.change_shared_parents().await };
        match self.client.link(campaign, &BTreeSet::from([import])).await.response {
            Ok(_) | Err(Error::NotFound(Kind::Campaign | Kind::Import)) => {}
            Err(error) => self.violated(format!("link of {campaign} and {import}: {error:?}")),
        }
    }

    /// Creates an import and a campaign, or deletes them if there are enough.
    pub(super) async fn change_shared_parents(&mut self) {
        if self.world.shared().imports.len() < MAX_PARENTS {
            match (
                self.client.create_import().await,
                self.client.create_campaign(&json!({"name": "Q2", "status": "active"})).await,
            ) {
                (Ok(import), Ok(campaign)) => {
                    let mut shared = self.world.shared();
                    shared.imports.push(import);
                    shared.campaigns.push(campaign);
                }
                outcome => self.violated(format!("create of an import and a campaign: {outcome:?}")),
            }
            return;
        }
        let (import, campaign) = {
            let mut shared = self.world.shared();
            let index = self.rng.usize(..shared.imports.len());
            (shared.imports.swap_remove(index), shared.campaigns.swap_remove(index))
        };
        let is_import_deleted = self.client.delete_import(import).await.is_deleted(Kind::Import);
        let is_campaign_deleted = self.client.delete_campaign(campaign).await.is_deleted(Kind::Campaign);
        if !is_import_deleted || !is_campaign_deleted {
            self.violated(format!("import {import} or campaign {campaign} could not be deleted"));
        }
    }

    /// Notes what a response has shown.
    fn note_written(&self, id: ContactId, is_created: bool, key: &str) {
        let mut shared = self.world.shared();
        if is_created {
            shared.created.insert(id);
        }
        shared.written(id, key);
    }

    /// A contact may be missing only if somebody has deleted it.
    fn expect_deleted(&self, id: ContactId, what: &str, error: &Error) {
        let is_delete_sent = self.world.shared().delete_sent.contains(&id);
        if *error != Error::NotFound(Kind::Contact) || !is_delete_sent {
            self.violated(format!("{what} of contact {id}, delete sent: {is_delete_sent}: {error:?}"));
        }
    }

    fn shared_contact(&mut self) -> Option<ContactId> {
        self.world.shared().contact(&mut self.rng)
    }

    fn shared_email(&mut self) -> String {
        format!("shared-{}@example.com", self.rng.usize(..EMAILS))
    }

    fn shared_import(&mut self) -> Option<shared::domain::ImportId> {
        let shared = self.world.shared();
        if self.rng.bool() { self.rng.choice(&shared.imports).copied() } else { None }
    }

    /// A key of metadata that no other request writes.
    fn new_key(&mut self) -> String {
        self.keys += 1;
        format!("{}-{}", self.number, self.keys)
    }
}
