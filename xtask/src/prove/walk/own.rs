//! The steps of a writer on what it has for itself, where the model knows the outcome exactly.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::domain::{CampaignId, ContactFilter, ContactId, Email, ImportId, Kind, LeadFilter};
use shared::repositories::Error;

use super::choices::EMAILS;
use super::model::{CampaignModel, ContactModel};
use super::writer::Writer;
use crate::prove::client::NO_RESPONSE;

/// The most imports, and the most campaigns, of one writer.
const MAX_PARENTS: usize = 4;

/// Steps on contacts.
impl Writer<'_> {
    pub(super) async fn create_own(&mut self) {
        let (email, import) = (self.own_email(), self.own_import_or_none());
        let body = self.body(&email);
        let holder = self.model.contact_with(&email);
        let is_keyed = self.rng.bool();
        self.client.gives_up = self.rng.u8(..4) == 0;
        let sent = if is_keyed {
            self.client.create_contact_once(&body, import).await
        } else {
            self.client.create_contact(&body, import).await
        };
        self.client.gives_up = false;
        let is_taken = matches!(&sent.response, Err(Error::EmailTaken(_)));
        match (holder, &sent.response) {
            (Some(_), Err(NO_RESPONSE)) => {}
            (None, Err(NO_RESPONSE)) => {
                if let Some(id) = self.find_by_email(&email).await {
                    self.insert(id, ContactModel::new(&body, import)).await;
                }
            }
            (Some(_), _) if is_taken => {}
            (None, Ok(id)) => self.insert(*id, ContactModel::new(&body, import)).await,
            // The first send was carried out, and only a key would tell the repeat.
            (None, _) if is_taken && sent.is_repeat && !is_keyed => match self.find_by_email(&email).await {
                Some(id) => self.insert(id, ContactModel::new(&body, import)).await,
                None => self.violated(format!("{email} is taken by no contact")),
            },
            (holder, response) => self.violated(format!("create of {email}, held by {holder:?}: {response:?}")),
        }
    }

    pub(super) async fn update_own(&mut self) {
        let Some(id) = self.own_contact() else { return self.create_own().await };
        let patch = self.patch();
        self.update_with(id, &patch).await;
    }

    /// Changes an email to a free one, or to one of another contact.
    pub(super) async fn change_own_email(&mut self) {
        let Some(id) = self.own_contact() else { return self.create_own().await };
        let email = self.own_email();
        let mut patch = json!({"email": email});
        if self.rng.bool() {
            patch["metadata"] = self.metadata();
        }
        if self.model.contact_with(&email).is_none_or(|holder| holder == id) {
            return self.update_with(id, &patch).await;
        }
        let response = self.client.update_contact(id, &patch, None).await.response;
        if !matches!(response, Err(Error::EmailTaken(_))) {
            self.violated(format!("change of {id} to the email of another contact: {response:?}"));
        }
    }

    /// Reads a contact after an update without a response: it is as it was before, or as it should be afterwards.
    async fn check_either(&mut self, id: ContactId, next: ContactModel) {
        let found = self.client.get_contact(id).await;
        if let Ok((contact, timeline)) = &found
            && next.difference(contact, Some(&timeline.activities)).is_none()
        {
            self.model.contacts.insert(id, next);
        }
        self.check_contact(id).await;
    }

    async fn update_with(&mut self, id: ContactId, patch: &Value) {
        let Some(contact) = self.model.contacts.get(&id) else { return };
        let (required, next) = (contact.version, contact.updated(patch));
        let is_stale = self.rng.u8(..8) == 0;
        let version = match self.rng.u8(..3) {
            _ if is_stale => Some(required + 1),
            0 => Some(required),
            _ => None,
        };
        self.client.gives_up = self.rng.u8(..4) == 0;
        let sent = self.client.update_contact(id, patch, version).await;
        self.client.gives_up = false;
        match &sent.response {
            Err(NO_RESPONSE) if is_stale => return self.check_contact(id).await,
            Err(NO_RESPONSE) => return self.check_either(id, next).await,
            Err(Error::VersionMismatch) if is_stale => return,
            // The first send was carried out.
            Err(Error::VersionMismatch) if sent.is_repeat && version.is_some() => {}
            Ok(found) if !is_stale => {
                let difference = next.difference(found, None);
                self.world.expect_none(format!("response to the update of {id} with {patch}"), difference);
                self.world.observe(found);
            }
            response => {
                return self.violated(format!("update of {id} with {patch}, version {version:?}: {response:?}"));
            }
        }
        self.model.contacts.insert(id, next);
        self.check_contact(id).await;
    }

    pub(super) async fn delete_own(&mut self) {
        let Some(id) = self.own_contact() else { return self.create_own().await };
        self.client.gives_up = self.rng.u8(..4) == 0;
        let sent = self.client.delete_contact(id).await;
        self.client.gives_up = false;
        if sent.response == Err(NO_RESPONSE) && self.client.get_contact(id).await.is_ok() {
            // It is not deleted, so nothing of it is missing.
            self.check_contact(id).await;
            return self.check_leads(id).await;
        }
        if !sent.is_deleted(Kind::Contact) && sent.response != Err(NO_RESPONSE) {
            return self.violated(format!("delete of {id}: {:?}", sent.response));
        }
        self.model.delete_contact(id);
        let response = self.client.get_contact(id).await;
        if response != Err(Error::NotFound(Kind::Contact)) {
            self.violated(format!("get of {id} after its delete: {response:?}"));
        }
    }

    /// Uploads rows of new, stored and repeated emails.
    pub(super) async fn upload_own(&mut self) {
        let import = self.own_import_or_none();
        let mut rows = Vec::new();
        for _ in 0..self.rng.usize(1..=2 * EMAILS) {
            let email = self.own_email();
            rows.push(self.body(&email));
        }
        self.client.gives_up = self.rng.u8(..4) == 0;
        let sent = self.client.upload(&rows, import).await;
        self.client.gives_up = false;
        let mut outcomes = match sent.response {
            Ok(outcomes) if outcomes.len() == rows.len() => outcomes.into_iter().map(Some).collect(),
            Err(NO_RESPONSE) => vec![None; rows.len()],
            response => return self.violated(format!("upload of {} rows: {response:?}", rows.len())),
        };
        let emails: BTreeSet<_> = rows.iter().filter_map(|row| row["email"].as_str()).collect();
        for email in emails {
            let of_email: Vec<_> = (0..rows.len()).filter(|index| rows[*index]["email"] == email).collect();
            let contact_rows: Vec<_> = of_email.iter().map(|index| &rows[*index]).collect();
            let holder = self.model.contact_with(email);
            let next = match holder.and_then(|id| self.model.contacts.get(&id)) {
                Some(contact) => contact.uploaded(&contact_rows, import),
                None => ContactModel::created_by(&contact_rows, import),
            };
            match outcomes[of_email[0]].take() {
                Some((is_created, found)) => {
                    if is_created == holder.is_some() && !sent.is_repeat {
                        self.violated(format!("upload of {email}, held by {holder:?}: created: {is_created}"));
                    }
                    self.world.observe(&found);
                    self.world.expect_none(format!("outcome of the upload of {email}"), next.difference(&found, None));
                    self.model.contacts.insert(found.id, next);
                }
                None => self.check_uploaded(email, holder, next).await,
            }
        }
    }

    /// Reads the contact of an email after an upload without a response: it is as before, or as it should be afterwards.
    async fn check_uploaded(&mut self, email: &str, holder: Option<ContactId>, next: ContactModel) {
        match holder {
            Some(id) => self.check_either(id, next).await,
            None => {
                if let Some(id) = self.find_by_email(email).await {
                    self.insert(id, next).await;
                }
            }
        }
    }

    pub(super) async fn record_own(&mut self) {
        let Some(id) = self.own_contact() else { return self.create_own().await };
        let mut activities = Vec::new();
        for _ in 0..self.rng.usize(1..=5) {
            activities.push(self.activity());
        }
        let sent = self.client.record_activities(id, &Value::from(activities.clone())).await;
        if let Err(error) = &sent.response {
            return self.violated(format!("record of activities of {id}: {error:?}"));
        }
        if let Some(contact) = self.model.contacts.get_mut(&id) {
            for activity in &activities {
                contact.record(activity);
            }
        }
        self.check_contact(id).await;
    }

    async fn insert(&mut self, id: ContactId, contact: ContactModel) {
        self.model.contacts.insert(id, contact);
        self.check_contact(id).await;
    }

    /// Reads a contact: what a 2xx wrote, the next read shows.
    async fn check_contact(&mut self, id: ContactId) {
        let Some(expected) = self.model.contacts.get(&id) else { return };
        match self.client.get_contact(id).await {
            Ok((contact, timeline)) => {
                self.world.observe(&contact);
                let difference = expected.difference(&contact, Some(&timeline.activities));
                self.world.expect_none(format!("contact {id} of writer {}", self.number), difference);
            }
            Err(error) => self.violated(format!("get of {id}: {error:?}")),
        }
    }

    async fn find_by_email(&mut self, email: &str) -> Option<ContactId> {
        let filter = ContactFilter { email: Email::parse(email).ok(), ..ContactFilter::default() };
        match self.client.list_contacts(&filter, 10).await {
            Ok(contacts) => contacts.first().map(|contact| contact.id),
            Err(error) => {
                self.violated(format!("list of {email}: {error:?}"));
                None
            }
        }
    }
}

/// Steps on imports, campaigns and leads.
impl Writer<'_> {
    /// Creates an import, or deletes one if there are enough.
    pub(super) async fn change_own_imports(&mut self) {
        if self.model.imports.len() < MAX_PARENTS {
            match self.client.create_import().await {
                Ok(id) => _ = self.model.imports.insert(id),
                Err(error) => self.violated(format!("create of an import: {error:?}")),
            }
        } else if let Some(id) = self.own_import() {
            let sent = self.client.delete_import(id).await;
            if sent.is_deleted(Kind::Import) {
                self.model.imports.remove(&id);
            } else {
                self.violated(format!("delete of import {id}: {:?}", sent.response));
            }
        }
    }

    /// Creates or changes a campaign, or deletes one if there are enough.
    pub(super) async fn change_own_campaigns(&mut self) {
        let existing = self.own_campaign();
        match existing {
            Some(id) if self.rng.bool() => self.set_status(id).await,
            Some(id) if self.model.campaigns.len() >= MAX_PARENTS => {
                let sent = self.client.delete_campaign(id).await;
                if sent.is_deleted(Kind::Campaign) {
                    self.model.delete_campaign(id);
                } else {
                    self.violated(format!("delete of campaign {id}: {:?}", sent.response));
                }
            }
            _ => self.create_own_campaign().await,
        }
    }

    async fn create_own_campaign(&mut self) {
        let campaign = CampaignModel { is_active: self.rng.bool(), has_account: self.rng.bool() };
        let mut body = json!({"name": "Q1", "status": if campaign.is_active { "active" } else { "draft" }});
        if campaign.has_account {
            body["provider_account_id"] = json!([format!("00000000-0000-4000-8000-{:012}", self.number)]);
        }
        if self.rng.bool() {
            body["lead_magnet"] = json!({"name": "Guide", "url": "https://example.com/guide", "content_type": "pdf"});
        }
        match self.client.create_campaign(&body).await {
            Ok(id) => _ = self.model.campaigns.insert(id, campaign),
            Err(error) => self.violated(format!("create of a campaign: {error:?}")),
        }
    }

    async fn set_status(&mut self, id: CampaignId) {
        let is_active = self.rng.bool();
        let body = json!({"status": if is_active { "active" } else { "paused" }});
        if let Err(error) = self.client.update_campaign(id, &body).await {
            return self.violated(format!("update of campaign {id}: {error:?}"));
        }
        if let Some(campaign) = self.model.campaigns.get_mut(&id) {
            campaign.is_active = is_active;
        }
    }

    pub(super) async fn link_own(&mut self) {
        let Some(campaign) = self.own_campaign() else { return self.change_own_campaigns().await };
        let imports: BTreeSet<_> = [self.own_import(), self.own_import()].into_iter().flatten().collect();
        if imports.is_empty() {
            return self.change_own_imports().await;
        }
        let sent = self.client.link(campaign, &imports).await;
        let (members, inserted) = (self.model.members(&imports).len(), self.model.link(campaign, &imports));
        match sent.response {
            // A repeat counts only its own leads.
            Ok(linked) if linked.contacts == members && (linked.inserted == inserted || sent.is_repeat) => {}
            response => self.violated(format!(
                "link of {campaign} and {imports:?}: expected {members} members, {inserted} leads, found {response:?}"
            )),
        }
    }
}

/// The check at the end.
impl Writer<'_> {
    /// Compares all that the writer has for itself with the model.
    pub(super) async fn check_own(&mut self) {
        for id in self.model.contacts.keys().copied().collect::<Vec<_>>() {
            self.check_contact(id).await;
            self.check_leads(id).await;
        }
        for id in self.model.deleted.clone() {
            if self.client.get_contact(id).await != Err(Error::NotFound(Kind::Contact)) {
                self.violated(format!("contact {id} exists after its delete"));
            }
        }
        for import in self.model.imports.clone() {
            self.check_members(import).await;
        }
    }

    async fn check_leads(&mut self, id: ContactId) {
        let filter = LeadFilter { contact_id: Some(id), ..LeadFilter::default() };
        let leads = match self.client.list_leads(&filter).await {
            Ok(leads) => leads,
            Err(error) => return self.violated(format!("list of the leads of contact {id}: {error:?}")),
        };
        let found: BTreeSet<_> = leads.iter().map(|lead| (lead.key.campaign_id, lead.key.contact_id)).collect();
        let expected: BTreeSet<_> = self.model.leads.iter().filter(|(_, contact)| *contact == id).copied().collect();
        if found != expected {
            self.violated(format!("leads of contact {id}: expected {expected:?}, found {found:?}"));
        }
    }

    async fn check_members(&mut self, import: ImportId) {
        let expected = self.model.members(&BTreeSet::from([import]));
        let filter = ContactFilter { import_id: Some(import), ..ContactFilter::default() };
        let contacts = match self.client.list_contacts(&filter, 100).await {
            Ok(contacts) => contacts,
            Err(error) => return self.violated(format!("list of the members of import {import}: {error:?}")),
        };
        let mut found: Vec<_> = contacts.iter().map(|contact| contact.id).collect();
        found.sort();
        let count = self.client.count_members(import).await;
        if found != expected || count != Ok(expected.len() as u64) {
            self.violated(format!("members of import {import}: expected {expected:?}, found {found:?}, {count:?}"));
        }
    }
}
