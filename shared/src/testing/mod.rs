//! What tests and the developer's tools stand on. Never part of a function.
//!
//! A test has a [`TestApp`]: a table of its own on the embedded engine, or on the engine that `TEST_DYNAMODB_URL`
//! names, with two organizations and their credentials. It sends a [`TestRequest`], made from the endpoint's example event,
//! through [`serve`], and reads the [`TestResponse`].
#![expect(clippy::missing_panics_doc, clippy::expect_used, reason = "what a test stands on fails by panicking")]

pub mod engine;
mod exchange;
pub mod fault;
pub mod rules;
pub mod tenant;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::value::RawValue;
use tokio::time::Instant;
use uuid::Uuid;

pub use exchange::{TestRequest, TestResponse};
pub use tenant::Tenant;

use crate::app::{App, RequestContext};
use crate::auth::{Credentials, Principal};
use crate::config::{Config, Database, Jwt, JwtKeys, Secret};
use crate::domain::{
    Activity, ApiKey, ApiKeySecret, Campaign, CampaignId, Clock, Contact, ContactId, ContactPatch, Import, ImportId,
    Lead, LeadFilter, Linked, NewApiKey, NewContact, NewImport, Scope,
};
use crate::dynamodb::keys::{self, Key, PK, SK};
use crate::dynamodb::{RetryPolicy, Table};
use crate::endpoint::Endpoint;
use crate::http::{Handler, serve};
use crate::repositories::api_keys;
use crate::wire::{FromBody, NewActivities, NewCampaign};

/// The secret that test tokens are signed with.
pub const JWT_SECRET: &str = "a shared secret for tests, long enough for HS256";

/// How long a process behind faults waits: short, so that a test of many faults ends soon. How long is no part of any test.
pub const RETRY_POLICY: RetryPolicy =
    RetryPolicy { attempt_timeout: Duration::from_secs(1), max_backoff: Duration::from_millis(50) };

/// An API with a table of its own.
pub struct TestApp {
    /// The organization that a test acts as.
    pub org: Tenant,
    /// Another organization, which must never be seen.
    pub other: Tenant,
    /// What the functions would have.
    pub app: App,
    config: Config,
    retry_policy: RetryPolicy,
    clock: Arc<AtomicI64>,
    engine: Option<engine::Engine>,
}

impl TestApp {
    /// An API on an empty table.
    pub async fn new() -> Self {
        let external = std::env::var("TEST_DYNAMODB_URL").ok();
        let engine = match external {
            Some(_) => None,
            None => Some(engine::Engine::in_memory().await.expect("the embedded engine starts")),
        };
        let url = external.or_else(|| engine.as_ref().map(engine::Engine::url)).expect("one of them is there");
        let config = config(&url);
        let table = Table::new(&config.database, RetryPolicy::default());
        table.create_if_missing(None).await.expect("the table can be made");
        let (org, other) = (Tenant::new(), Tenant::new());
        for (secret, key) in org.keys().into_iter().chain(other.keys()) {
            api_keys::store(&table, &secret.hash(), &key).await.expect("a key can be stored");
        }
        let clock = Arc::new(AtomicI64::new(0));
        let retry_policy = RetryPolicy::default();
        let app = app(&config, &clock, retry_policy);
        Self { org, other, app, config, retry_policy, clock, engine }
    }

    /// The same API with its database behind a proxy that makes faults.
    pub async fn behind_faults(&mut self) -> fault::FaultProxy {
        let upstream = self.config.database.endpoint.clone().expect("a test's engine has an address");
        let proxy = fault::FaultProxy::start(&upstream).await.expect("the proxy starts");
        self.config.database.endpoint = Some(proxy.endpoint());
        self.retry_policy = RETRY_POLICY;
        self.restart();
        proxy
    }

    /// Another process on the same table: nothing remembered.
    pub fn restart(&mut self) {
        self.app = app(&self.config, &self.clock, self.retry_policy);
    }

    /// Lets time pass.
    pub fn pass(&self, time: TimeDelta) {
        self.clock.fetch_add(time.num_milliseconds(), Ordering::Relaxed);
    }

    /// Whether the engine counts capacity units as the service does. DynamoDB Local counts those of transactions wrongly.
    pub fn counts_units(&self) -> bool {
        self.engine.is_some()
    }

    /// Answers a request as the endpoint's function would.
    pub async fn send(&self, endpoint: Endpoint, handle: impl Handler, request: &TestRequest) -> TestResponse {
        self.send_by(deadline(), endpoint, handle, request).await
    }

    /// Answers a request that has until then.
    pub async fn send_by(
        &self,
        deadline: Instant,
        endpoint: Endpoint,
        handle: impl Handler,
        request: &TestRequest,
    ) -> TestResponse {
        let response = Box::pin(serve(&self.app, endpoint, handle, request.event(), deadline)).await;
        TestResponse::new(&response)
    }

    /// A page of the list of the organization that a test acts as.
    pub async fn list(&self, endpoint: Endpoint, handle: impl Handler, query: &str) -> TestResponse {
        self.send(endpoint, handle, &TestRequest::to(endpoint, &self.org).query(query)).await
    }

    /// Every page of that list from this query on.
    pub async fn pages(&self, endpoint: Endpoint, handle: impl Handler, query: &str) -> Vec<TestResponse> {
        let mut pages = vec![self.list(endpoint, handle, query).await];
        while let Some(next) = pages.last().and_then(|page| page.next(endpoint)) {
            pages.push(self.list(endpoint, handle, &next).await);
        }
        pages
    }

    /// One request's view of the API, to reach the table and to see what that costs.
    pub fn ctx(&self) -> RequestContext {
        self.app.request_context(deadline())
    }

    /// The caller that an organization's admin key makes.
    pub async fn principal(&self, tenant: &Tenant) -> Principal {
        let credentials = Credentials { api_key: Some(tenant.admin_key.in_clear()), authorization: None };
        self.ctx().authenticate(credentials).await.expect("the key is known")
    }

    /// Stores a contact of this organization from a body, as `POST /contacts/` takes it.
    pub async fn create(&self, tenant: &Tenant, body: serde_json::Value, import_id: Option<ImportId>) -> Contact {
        self.create_new(tenant, new_contact(body), import_id).await
    }

    /// Stores John Doe of the pages: the example event's body to the letter, whose metadata is in another order than the
    /// alphabetical one that a parsed body has.
    pub async fn john(&self) -> Contact {
        let body = TestRequest::example(Endpoint::CreateContact).event().body();
        self.create_from(std::str::from_utf8(&body).expect("the example's body is text")).await
    }

    /// Stores a contact of this organization from a body to the letter.
    pub async fn create_from(&self, body: &str) -> Contact {
        let body = serde_json::from_str(body).expect("the body is JSON");
        self.create_new(&self.org, NewContact::from_body(body).expect("and a valid contact"), None).await
    }

    async fn create_new(&self, tenant: &Tenant, new: NewContact, import_id: Option<ImportId>) -> Contact {
        let contacts = self.ctx().contacts(&self.principal(tenant).await);
        let contact = contacts.draft(new, import_id);
        contacts.create(&contact, None).await.expect("the contact can be stored");
        contact
    }

    /// Stores Jane Doe with this address.
    pub async fn jane(&self, email: &str) -> Contact {
        self.create(&self.org, jane(email), None).await
    }

    /// Stores an activity of a contact from a body, as its endpoint takes it.
    pub async fn activity(&self, contact: ContactId, body: serde_json::Value) -> Activity {
        let activities = self.ctx().activities(&self.principal(&self.org).await, contact);
        let drafted = activities.draft(read::<NewActivities>(body).0);
        let stored = activities.record(&drafted, |_| None).await.expect("the activity can be stored");
        stored.into_iter().next().expect("one was sent")
    }

    /// Stores a campaign from a body, as its endpoint takes it.
    pub async fn campaign(&self, body: serde_json::Value) -> Campaign {
        let NewCampaign { details, lead_magnet } = read(body);
        let campaigns = self.ctx().campaigns(&self.principal(&self.org).await);
        let campaign = campaigns.draft(details, lead_magnet.as_ref());
        campaigns.create(&campaign, lead_magnet.as_ref(), None).await.expect("the campaign can be stored");
        campaign
    }

    /// Stores an import of this organization.
    pub async fn import(&self, tenant: &Tenant) -> ImportId {
        self.import_from(tenant, serde_json::json!({"source": "csv"})).await.id
    }

    /// Stores an import of this organization from a body, as its endpoint takes it.
    pub async fn import_from(&self, tenant: &Tenant, body: serde_json::Value) -> Import {
        let imports = self.ctx().imports(&self.principal(tenant).await);
        let import = imports.draft(read::<NewImport>(body));
        imports.create(&import, None).await.expect("the import can be stored");
        import
    }

    /// Links imports of this organization to a campaign of it.
    pub async fn link(&self, campaign: CampaignId, imports: &[ImportId]) -> Linked {
        let leads = self.ctx().leads(&self.principal(&self.org).await);
        leads.link(campaign, &imports.iter().copied().collect()).await.expect("the imports can be linked")
    }

    /// A new lead of this organization: a contact of its own of a campaign of its own.
    pub async fn lead(&self) -> Lead {
        let import = self.import(&self.org).await;
        let contact = self.create(&self.org, jane(&format!("{}@example.com", Uuid::new_v4())), Some(import)).await.id;
        let campaign = self.campaign(serde_json::json!({"name": "Q1"})).await.id;
        self.link(campaign, &[import]).await;
        self.leads_of(contact).await.pop().expect("the lead is there")
    }

    /// The leads of a contact of this organization, those of the newest campaign first.
    pub async fn leads_of(&self, contact: ContactId) -> Vec<Lead> {
        let filter = LeadFilter { contact_id: Some(contact), ..LeadFilter::default() };
        let leads = self.ctx().leads(&self.principal(&self.org).await);
        leads.list(&filter, 1000, None).await.expect("the leads can be read").rows
    }

    /// Stores so many memberships of an import, without their contacts.
    pub async fn members(&self, import: ImportId, count: usize) -> Vec<ContactId> {
        let contacts: Vec<_> = (0..count).map(|_| ContactId::from(Uuid::now_v7())).collect();
        let item = |contact: &ContactId| {
            let Key { pk, sk } = keys::membership(self.org.org_id, import, *contact);
            serde_json::json!({PK: {"S": pk}, SK: {"S": sk}, "type": {"S": "membership"}})
        };
        let table = Table::new(&self.config.database, RetryPolicy::default());
        table.put_items(contacts.iter().map(item).collect()).await.expect("the items can be stored");
        contacts
    }

    /// The contact as it is stored, if it is.
    pub async fn stored(&self, id: ContactId) -> Option<Contact> {
        let page =
            crate::domain::TimelinePage { filter: crate::domain::TimelineFilter::Any, page: 0, limit: 1, after: None };
        self.ctx().contacts(&self.principal(&self.org).await).get(id, &page).await.ok().map(|(contact, _)| contact)
    }

    /// Stores any item over what lies there, in DynamoDB's JSON.
    pub async fn put_item(&self, key: &Key, attributes: serde_json::Value) {
        let mut item = attributes;
        item[PK] = serde_json::json!({"S": key.pk});
        item[SK] = serde_json::json!({"S": key.sk});
        let table = Table::new(&self.config.database, RetryPolicy::default());
        table.put_item(item).await.expect("the item can be stored");
    }

    /// Stores a new API key of this organization.
    pub async fn api_key(&self, scopes: &[Scope]) -> (ApiKeySecret, ApiKey) {
        let secret = ApiKeySecret::generate(false).expect("the machine has randomness");
        let scopes = scopes.iter().copied().collect();
        let new = NewApiKey { name: "a key".parse().expect("a valid name"), scopes, valid_until: None, live: false };
        let keys = self.ctx().api_keys(&self.principal(&self.org).await);
        let key = keys.draft(new, &secret);
        keys.create(&secret.hash(), &key, None).await.expect("the key can be stored");
        (secret, key)
    }

    /// Stores an API key over what is known of it.
    pub async fn put_api_key(&self, secret: &ApiKeySecret, key: &ApiKey) {
        let table = Table::new(&self.config.database, RetryPolicy::default());
        api_keys::store(&table, &secret.hash(), key).await.expect("a key can be stored");
    }

    /// How many items of this type the table has.
    pub async fn count(&self, kind: &str) -> usize {
        let kind = format!("\"type\":\"{kind}\"");
        self.items().await.iter().filter(|item| item.contains(&kind)).count()
    }

    /// Every item of the table, as JSON per item: what a test may count, and grep.
    pub async fn items(&self) -> Vec<String> {
        Table::new(&self.config.database, RetryPolicy::default()).dump().await.expect("the table can be read")
    }
}

/// The value of a body.
#[expect(clippy::needless_pass_by_value, reason = "tests write the body in place")]
pub fn read<T: FromBody>(body: serde_json::Value) -> T {
    let body = RawValue::from_string(body.to_string()).expect("a body is JSON");
    T::from_body(&body).unwrap_or_else(|errors| panic!("a valid body: {errors}"))
}

/// The contact of a body.
pub fn new_contact(body: serde_json::Value) -> NewContact {
    read(body)
}

/// The changes of a body.
pub fn patch(body: serde_json::Value) -> ContactPatch {
    read(body)
}

/// The body of Jane Doe with this address.
pub fn jane(email: &str) -> serde_json::Value {
    serde_json::json!({"full_name": "Jane Doe", "email": email, "linkedin_profile": "https://linkedin.com/in/janedoe"})
}

fn config(url: &str) -> Config {
    Config {
        database: Database {
            table: format!("test-{}", Uuid::new_v4()),
            region: "us-east-1".to_owned(),
            access_key_id: "local".to_owned(),
            secret_access_key: Secret::new("local"),
            session_token: None,
            endpoint: Some(url.to_owned()),
        },
        jwt: Jwt { keys: Some(JwtKeys::Shared(Secret::new(JWT_SECRET))), issuer: None, audience: None },
    }
}

fn app(config: &Config, offset: &Arc<AtomicI64>, retry_policy: RetryPolicy) -> App {
    let offset = offset.clone();
    let clock =
        Clock::new(move || -> DateTime<Utc> { Utc::now() + TimeDelta::milliseconds(offset.load(Ordering::Relaxed)) });
    App::with(config, clock, crate::system::rng(), retry_policy)
}

/// The moment until which a request has, as a function has it.
pub fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(25)
}
