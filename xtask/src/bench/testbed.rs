//! The database that is measured against: the embedded engine with the contacts of one organization, and an empty one.
//!
//! Every section of a run starts with an engine of its own, since the engine slows down after a hundred thousand writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use shared::domain::ContactId;
use shared::testing::{Tenant, TestApp, parse_body};
use shared::wire::{NewActivities, NewCampaign};
use uuid::Uuid;

use super::event::EventTemplate;
use super::function::{Function, Start};
use super::runtime_api::{TimedResponse, excerpt};
use super::variant::{Operation, Variant};

/// The contacts of the organization: as many as a list shows.
pub(super) const CONTACTS: usize = 100;
/// The activities of one of them: a page.
const ACTIVITIES: usize = 50;

/// A database with the contacts of an organization.
pub(super) struct Testbed {
    pub(super) app: TestApp,
    /// The contacts, of which the first has activities and the second has none.
    pub(super) contacts: Vec<String>,
    root: PathBuf,
    /// The directory for files of functions.
    directory: PathBuf,
    /// Different in every request of the run.
    number: AtomicU64,
    run: u64,
}

/// A request that is sent again and again, and the database that the functions use.
pub(super) struct Scene<'a> {
    testbed: &'a Testbed,
    pub(super) operation: Operation,
    /// The organization that sends it.
    tenant: &'a Tenant,
    template: EventTemplate,
    contacts: Vec<String>,
    environment: Vec<(String, String)>,
    /// The rows of each bulk upload.
    pub(super) rows: usize,
}

impl Testbed {
    /// Starts an engine and stores the contacts.
    pub(super) async fn start(root: &Path, directory: &Path) -> Result<Self> {
        let app = TestApp::new().await;
        let contacts = seed(&app, &app.org).await?;
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(Self {
            app,
            contacts,
            root: root.to_owned(),
            directory: directory.to_owned(),
            number: AtomicU64::new(0),
            run: u64::from_be_bytes(*Uuid::new_v4().as_bytes().first_chunk().unwrap_or(&[0; 8])),
        })
    }

    /// The URL of the engine.
    pub(super) fn url(&self) -> &str {
        self.app.database().endpoint.as_deref().unwrap_or_default()
    }

    /// Requests of one kind by the organization with the contacts.
    pub(super) fn scene(&self, operation: Operation) -> Result<Scene<'_>> {
        self.scene_of(operation, &self.app.org, &self.contacts)
    }

    /// Requests of one kind by an organization with these contacts.
    pub(super) fn scene_of<'a>(
        &'a self,
        operation: Operation,
        tenant: &'a Tenant,
        contacts: &[String],
    ) -> Result<Scene<'a>> {
        let template = EventTemplate::read(&self.root, operation, tenant.admin_key.in_clear())?;
        let contacts = match operation {
            Operation::Get50 => contacts.iter().take(1).cloned().collect(),
            Operation::Get0 => contacts.iter().skip(1).take(1).cloned().collect(),
            Operation::Create | Operation::Update | Operation::List | Operation::Bulk => contacts.to_vec(),
        };
        let environment = vec![("TABLE_NAME".to_owned(), self.app.database().table.clone())];
        let scene = Scene { testbed: self, operation, tenant, template, contacts, environment, rows: 1 };
        Ok(scene.with_database(self.url()))
    }

    fn next_number(&self) -> u128 {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        // The rows of an upload take the numbers after its own.
        (u128::from(self.run) << 64) | (u128::from(number) << 16)
    }
}

impl Scene<'_> {
    /// The same requests with the database at another URL.
    pub(super) fn with_database(self, url: &str) -> Self {
        self.with_variable("AWS_ENDPOINT_URL_DYNAMODB", url)
    }

    /// The same requests with the database behind TLS, under a certificate of this authority.
    pub(super) fn with_certificate_authority(self, file: &Path) -> Self {
        let file = file.display().to_string();
        self.with_variable("AWS_CA_BUNDLE", &file).with_variable("NODE_EXTRA_CA_CERTS", &file)
    }

    /// Uploads of this many rows.
    pub(super) fn with_rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts a function.
    pub(super) async fn start(&self, variant: &Variant) -> Result<Function> {
        let mut environment = self.environment.clone();
        let floor = [
            ("FLOOR_OPERATION", self.operation.name().to_owned()),
            ("FLOOR_ORG", self.tenant.org_id.to_string()),
            ("FLOOR_CONTACTS", self.contacts.join(",")),
            ("FLOOR_ROWS", self.rows.to_string()),
            ("FLOOR_RESPONSE_FILE", self.response_file().display().to_string()),
        ];
        environment.extend(floor.map(|(name, value)| (name.to_owned(), value)));
        let start = Start { operation: self.operation, environment: &environment, logs: &self.testbed.directory };
        Function::start(variant, &start).await
    }

    /// The event of the next request.
    pub(super) fn event(&self) -> Vec<u8> {
        let number = self.testbed.next_number();
        if self.operation == Operation::Bulk {
            return self.template.bulk(self.rows, number);
        }
        let index = usize::try_from(number >> 16 & 0xffff_ffff).unwrap_or_default() % self.contacts.len().max(1);
        let contact = self.contacts.get(index).map_or("", String::as_str);
        self.template.event(self.operation, contact, number)
    }

    /// Sends the next request. A response of failure is an error, because it costs less than one of success.
    pub(super) async fn invoke(&self, function: &mut Function) -> Result<TimedResponse> {
        let response = function.invoke(self.event()).await?;
        let failure = || format!("{} does not {}: {}", function.name, self.operation.name(), excerpt(&response.body));
        ensure!(is_success(&response.body), failure());
        Ok(response)
    }

    /// Sends many requests, which are not measured.
    pub(super) async fn warm_up(&self, function: &mut Function, requests: usize) -> Result<()> {
        for _ in 0..requests {
            self.invoke(function).await?;
        }
        Ok(())
    }

    /// Keeps a response as the one of the floors, whose responses are not their own.
    pub(super) fn keep_response(&self, body: &[u8]) -> Result<()> {
        let file = self.response_file();
        fs::write(&file, body).with_context(|| format!("cannot write {}", file.display()))
    }

    fn response_file(&self) -> PathBuf {
        self.testbed.directory.join(format!("{}.response.json", self.operation.name()))
    }
}

/// Stores the contacts of an organization and an active campaign, and returns the ids of the contacts.
pub(super) async fn seed(app: &TestApp, tenant: &Tenant) -> Result<Vec<String>> {
    let mut contacts = Vec::with_capacity(CONTACTS);
    for number in 0..CONTACTS {
        let contact = json!({
            "full_name": format!("Lead {number:02}"),
            "email": format!("lead-{number:02}@example.com"),
            "linkedin_profile": format!("https://www.linkedin.com/in/lead-{number:02}"),
            "company": "Tech Corp",
            "locale": "en-US",
            "timezone": "America/New_York",
            "metadata": {"source": "website", "campaign": "Q1-2024"},
        });
        contacts.push(app.create_contact(tenant, contact, None).await.id);
    }
    if let Some(first) = contacts.first() {
        record_activities(app, tenant, *first).await?;
    }
    Ok(contacts.iter().map(ToString::to_string).collect())
}

/// Stores the activities of a contact, all of an active campaign.
async fn record_activities(app: &TestApp, tenant: &Tenant, contact: ContactId) -> Result<()> {
    let (ctx, principal) = (app.ctx(), app.principal(tenant).await);
    let NewCampaign { details, .. } = parse_body(json!({"name": "Demo", "status": "active"}));
    let campaigns = ctx.campaigns(&principal);
    let campaign = campaigns.draft(details, None);
    campaigns.create(&campaign, None, None).await?;
    let mut bodies = Vec::with_capacity(ACTIVITIES);
    for number in 0..ACTIVITIES {
        bodies.push(json!({
            "id": format!("act_{}", 123 + number),
            "event_time": format!("2024-04-18T{:02}:{:02}:00Z", number / 4, 10 + number % 4),
            "campaign_id": campaign.id,
            "channel": "linkedin",
            "event_type": "message_sent",
            "direction": "outbound",
            "sdr_agent_id": "usr_abc",
            "event_text": [{"message": "Hola Jane, ¿comentamos?"}],
            "metadata": {"delivered": true, "opened": number.is_multiple_of(2)},
        }));
    }
    let NewActivities(new) = parse_body(json!(bodies));
    let activities = ctx.activities(&principal, contact);
    activities.record(&activities.draft(new), |_| None).await?;
    Ok(())
}

/// Whether a response has a status of success: the spelling of JSON differs from language to language.
fn is_success(response: &[u8]) -> bool {
    let name = br#""statusCode":"#;
    let Some(at) = response.windows(name.len()).position(|window| window == name) else { return false };
    response[at + name.len()..].trim_ascii_start().first() == Some(&b'2')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_is_recognized_with_and_without_a_space() {
        assert!(is_success(br#"{"statusCode":201,"headers":{}}"#));
        assert!(is_success(br#"{"headers": {}, "statusCode": 200}"#));
        assert!(!is_success(br#"{"statusCode":409}"#));
        assert!(!is_success(br#"{"errorMessage":"2"}"#));
    }
}
