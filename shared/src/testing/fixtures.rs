//! Entities for tests, stored through the repositories as their endpoints store them.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Tenant, TestApp, TestRequest};
use crate::auth::Principal;
use crate::domain::{
    Activity, ApiKey, ApiKeySecret, AuditAction, AuditEntry, AuditFilter, Campaign, CampaignId, Contact, ContactId,
    ContactPatch, Import, ImportId, Lead, LeadFilter, Linked, NewApiKey, NewContact, NewImport, RateLimit, Scope,
    TimelineFilter, TimelinePage,
};
use crate::endpoint::Endpoint;
use crate::repositories::Organizations;
use crate::wire::{FromBody, NewActivities, NewCampaign};

/// Contacts and their activities.
impl TestApp {
    /// Stores a contact of `tenant` from a body of `POST /contacts/`.
    pub async fn create_contact(&self, tenant: &Tenant, body: Value, import_id: Option<ImportId>) -> Contact {
        self.store_contact(tenant, new_contact(body), import_id).await
    }

    /// Stores a contact from the text of a body, which keeps the order of the metadata's members. A [`Value`] sorts them.
    pub async fn create_contact_from_json(&self, body: &str) -> Contact {
        let body = serde_json::from_str(body).expect("the body is JSON");
        let new = NewContact::from_body(body).expect("the body is a valid contact");
        self.store_contact(&self.org, new, None).await
    }

    /// Stores John Doe, the contact of the documentation and of the example event.
    pub async fn create_john(&self) -> Contact {
        let body = TestRequest::example(Endpoint::CreateContact).event().take_body();
        self.create_contact_from_json(std::str::from_utf8(&body).expect("the example's body is text")).await
    }

    /// Stores Jane Doe with this email.
    pub async fn create_jane(&self, email: &str) -> Contact {
        self.create_contact(&self.org, jane(email), None).await
    }

    async fn store_contact(&self, tenant: &Tenant, new: NewContact, import_id: Option<ImportId>) -> Contact {
        let contacts = self.ctx().contacts(&self.principal(tenant).await);
        let contact = contacts.draft(new, import_id);
        contacts.create(&contact, None).await.expect("the contact can be stored");
        contact
    }

    /// Reads a contact; `None` if it does not exist.
    pub async fn stored_contact(&self, id: ContactId) -> Option<Contact> {
        let contacts = self.ctx().contacts(&self.principal(&self.org).await);
        let page = TimelinePage { filter: TimelineFilter::Any, page: 0, limit: 1, after: None };
        contacts.get::<Activity>(id, &page).await.ok().map(|(contact, _)| contact)
    }

    /// Stores an activity of a contact from a body of `POST /contacts/{contact_id}/activities`.
    pub async fn record_activity(&self, contact: ContactId, body: Value) -> Activity {
        let activities = self.ctx().activities(&self.principal(&self.org).await, contact);
        let drafted = activities.draft(parse_body::<NewActivities>(body).0);
        let stored = activities.record(&drafted, |_| None).await.expect("the activity can be stored");
        stored.into_iter().next().expect("the body has one activity")
    }
}

/// Imports, campaigns and leads.
impl TestApp {
    /// Stores an import of `tenant`.
    pub async fn create_import(&self, tenant: &Tenant) -> ImportId {
        self.create_import_from(tenant, json!({"source": "csv"})).await.id
    }

    /// Stores an import of `tenant` from a body of `POST /imports/`.
    pub async fn create_import_from(&self, tenant: &Tenant, body: Value) -> Import {
        let imports = self.ctx().imports(&self.principal(tenant).await);
        let import = imports.draft(parse_body::<NewImport>(body));
        imports.create(&import, None).await.expect("the import can be stored");
        import
    }

    /// Stores a campaign from a body of `POST /campaigns/`.
    pub async fn create_campaign(&self, body: Value) -> Campaign {
        let NewCampaign { details, lead_magnet } = parse_body(body);
        let campaigns = self.ctx().campaigns(&self.principal(&self.org).await);
        let campaign = campaigns.draft(details, lead_magnet.as_ref());
        campaigns.create(&campaign, lead_magnet.as_ref(), None).await.expect("the campaign can be stored");
        campaign
    }

    /// Links imports to a campaign.
    pub async fn link_imports(&self, campaign: CampaignId, imports: &[ImportId]) -> Linked {
        let leads = self.ctx().leads(&self.principal(&self.org).await);
        leads.link(campaign, &imports.iter().copied().collect()).await.expect("the imports can be linked")
    }

    /// Stores a lead, together with a contact, an import and a campaign of its own.
    pub async fn create_lead(&self) -> Lead {
        let import = self.create_import(&self.org).await;
        let body = jane(&format!("{}@example.com", Uuid::new_v4()));
        let contact = self.create_contact(&self.org, body, Some(import)).await.id;
        let campaign = self.create_campaign(json!({"name": "Q1"})).await.id;
        self.link_imports(campaign, &[import]).await;
        self.leads_of_contact(contact).await.pop().expect("the contact became a lead")
    }

    /// Reads the leads of a contact, the one of the newest campaign first.
    pub async fn leads_of_contact(&self, contact: ContactId) -> Vec<Lead> {
        let filter = LeadFilter { contact_id: Some(contact), ..LeadFilter::default() };
        let leads = self.ctx().leads(&self.principal(&self.org).await);
        leads.list(&filter, None, None).await.expect("the leads can be read").rows
    }
}

/// API keys.
impl TestApp {
    /// Stores a new API key.
    pub async fn create_api_key(&self, scopes: &[Scope]) -> (ApiKeySecret, ApiKey) {
        self.store_api_key(scopes, None).await
    }

    /// Stores a new API key with every scope and a limit of its requests.
    pub async fn create_limited_key(&self, requests_per_second: u32, burst: u32) -> ApiKeySecret {
        let limit = RateLimit::new(requests_per_second, Some(burst)).expect("the limit is valid");
        self.store_api_key(Scope::ALL, Some(limit)).await.0
    }

    /// Stores a new API key, with a limit of its requests if there is one.
    pub async fn store_api_key(&self, scopes: &[Scope], rate_limit: Option<RateLimit>) -> (ApiKeySecret, ApiKey) {
        let secret = ApiKeySecret::new(false, self.ctx().random_bytes().expect("the system provides random bytes"));
        let scopes = scopes.iter().copied().collect();
        let name = "a key".parse().expect("the name is valid");
        let new = NewApiKey { name, scopes, valid_until: None, live: false, rate_limit };
        let keys = self.ctx().api_keys(&self.principal(&self.org).await);
        let key = keys.draft(new, &secret);
        keys.create(&secret.hash(), &key, None).await.expect("the key can be stored");
        (secret, key)
    }
}

/// Audit log and organizations.
impl TestApp {
    /// Reads the audit log of [`TestApp::org`], newest first.
    pub async fn audit_log(&self) -> Vec<AuditEntry> {
        let audit_log = self.ctx().audit_log(&self.principal(&self.org).await);
        audit_log.list(&AuditFilter::default(), None, None).await.expect("the audit log can be read").rows
    }

    /// The actions of the audit log with their subjects and the ids of their requests, newest first.
    pub async fn audited(&self) -> Vec<(AuditAction, String, String)> {
        let entries = self.audit_log().await.into_iter();
        entries.map(|entry| (entry.action, entry.subject_id, entry.request_id)).collect()
    }

    /// [`TestApp::org`] for its operator.
    pub fn organization(&self) -> Organizations {
        self.ctx().organizations(&Principal::operator(self.org.org_id, "test"))
    }
}

/// Parses a request body that is valid.
#[expect(clippy::needless_pass_by_value, reason = "tests write the body in place")]
pub fn parse_body<T: FromBody>(body: Value) -> T {
    let body = RawValue::from_string(body.to_string()).expect("a `Value` prints as JSON");
    T::from_body(&body).unwrap_or_else(|errors| panic!("the body is invalid: {errors}"))
}

/// Parses a body of `POST /contacts/`.
pub fn new_contact(body: Value) -> NewContact {
    parse_body(body)
}

/// Parses a body of `PUT /contacts/{contact_id}`.
pub fn contact_patch(body: Value) -> ContactPatch {
    parse_body(body)
}

/// The body that creates Jane Doe with this email.
pub fn jane(email: &str) -> Value {
    json!({
        "full_name": "Jane Doe",
        "email": email,
        "linkedin_profile": "https://linkedin.com/in/janedoe",
    })
}
