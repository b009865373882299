//! The demo data: two organizations with credentials of every kind, an import and some contacts.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::app::{App, Process};
use shared::auth::{Credentials, Principal};
use shared::domain::{ApiKey, ApiKeySecret, Contact, Id, ImportId, NewContact, NewImport, OrgId, Scope, ids};
use shared::http::{ContactForm, ImportForm};
use shared::table::Table;
use shared::testing::Tenant;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

/// The key in the files of `events/`, which is the first organization's too.
const EXAMPLE_KEY: &str = "sk_test_example";
/// The contact in the files of `events/`, the first organization's.
pub(crate) const EXAMPLE_CONTACT: &str = "01924dd1-4a80-7000-8000-000000000001";
/// Contacts per organization.
const CONTACTS: u32 = 3;

/// The demo data's credentials, as they are kept beside a database that knows only their hashes.
#[derive(Serialize, Deserialize)]
pub(crate) struct Demo {
    pub(crate) jwt_secret: String,
    orgs: Vec<StoredOrg>,
}

#[derive(Serialize, Deserialize)]
struct StoredOrg {
    org_id: OrgId,
    import_id: ImportId,
    admin_key: String,
    read_key: String,
    revoked_key: String,
}

/// What `session.json` tells clients of a running API.
#[derive(Serialize)]
pub(crate) struct Session {
    pub(crate) base_url: String,
    pub(crate) dynamodb_url: String,
    pub(crate) orgs: Vec<Org>,
    jwt_secret: String,
}

/// An organization and a credential of every kind.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names that clients know")]
pub(crate) struct Org {
    org_id: OrgId,
    pub(crate) admin_key: String,
    read_key: String,
    revoked_key: String,
    jwt: String,
    expired_jwt: String,
    pub(crate) import_id: ImportId,
}

/// A secret to sign tokens with.
pub(crate) fn new_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

impl Demo {
    /// The credentials kept in a file, if it has any that can be read.
    pub(crate) fn load(file: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
    }

    /// Whether the table has this data.
    pub(crate) async fn is_in(&self, process: &Process) -> bool {
        let app = app(process);
        for org in &self.orgs {
            if app.authenticate(Credentials { api_key: Some(&org.admin_key), authorization: None }).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Puts two new organizations into the table.
    pub(crate) async fn seed(jwt_secret: String, table: &Table, process: &Process) -> Result<Self> {
        let app = app(process);
        let mut orgs = Vec::new();
        for tenant in [Tenant::new(), Tenant::new()] {
            let token = tenant.token(&jwt_secret, TimeDelta::minutes(1));
            let credentials = Credentials { api_key: None, authorization: Some(&format!("Bearer {token}")) };
            let Ok(principal) = app.authenticate(credentials).await else {
                return Err(anyhow!("the demo organization's token is refused: unset JWT_ISSUER and JWT_AUDIENCE"));
            };
            let import_id = import(&app, &principal).await?;
            contacts(&app, &principal, import_id).await?;
            if orgs.is_empty() {
                example(&app, &principal, table, import_id).await?;
            }
            for (secret, key) in tenant.keys() {
                table.put_api_key(&secret.hash(), &key).await.map_err(failed)?;
            }
            orgs.push(StoredOrg::new(&tenant, import_id));
        }
        Ok(Self { jwt_secret, orgs })
    }

    /// Puts the example events' contact back, which one of those events deletes.
    pub(crate) async fn restore_example(&self, process: &Process) -> Result<()> {
        let Some(org) = self.orgs.first() else { return Ok(()) };
        let app = app(process);
        let credentials = Credentials { api_key: Some(&org.admin_key), authorization: None };
        let Ok(principal) = app.authenticate(credentials).await else { return Ok(()) };
        // Refused where it is still there, or where another contact has its address by now.
        let _ = app.contacts(&principal).create(&example_contact(&principal, org.import_id)?, None).await;
        Ok(())
    }

    /// What clients are told.
    pub(crate) fn session(self, base_url: String, dynamodb_url: String) -> Session {
        let Self { jwt_secret, orgs } = self;
        let orgs = orgs.into_iter().map(|org| org.with_tokens(&jwt_secret)).collect();
        Session { base_url, dynamodb_url, orgs, jwt_secret }
    }
}

impl Org {
    /// All of them.
    pub(crate) fn credentials(&self) -> [&str; 5] {
        [&self.admin_key, &self.read_key, &self.revoked_key, &self.jwt, &self.expired_jwt]
    }
}

impl StoredOrg {
    fn new(tenant: &Tenant, import_id: ImportId) -> Self {
        let in_clear = |key: &ApiKeySecret| key.in_clear().to_owned();
        Self {
            org_id: tenant.org_id,
            import_id,
            admin_key: in_clear(&tenant.admin_key),
            read_key: in_clear(&tenant.read_key),
            revoked_key: in_clear(&tenant.revoked_key),
        }
    }

    /// With tokens made now: one that lives longer than any session, and one that has ended.
    fn with_tokens(self, jwt_secret: &str) -> Org {
        let Self { org_id, import_id, admin_key, read_key, revoked_key } = self;
        let tenant = Tenant { org_id, ..Tenant::new() };
        let jwt = tenant.token(jwt_secret, TimeDelta::days(30));
        let expired_jwt = tenant.token(jwt_secret, TimeDelta::hours(-1));
        Org { org_id, admin_key, read_key, revoked_key, jwt, expired_jwt, import_id }
    }
}

async fn import(app: &App, principal: &Principal) -> Result<ImportId> {
    let form: ImportForm = serde_json::from_value(json!({"source": "csv", "file_name": "leads.csv"}))?;
    let imports = app.imports(principal);
    let import = imports.draft(NewImport::try_from(form).map_err(|faults| anyhow!("{faults}"))?);
    imports.create(&import, None).await.map_err(failed)?;
    Ok(import.id)
}

async fn contacts(app: &App, principal: &Principal, import_id: ImportId) -> Result<()> {
    let contacts = app.contacts(principal);
    for number in 1..=CONTACTS {
        let contact = contacts.draft(lead(number)?, Some(import_id));
        contacts.create(&contact, None).await.map_err(failed)?;
    }
    Ok(())
}

/// What the files of `events/` name.
async fn example(app: &App, principal: &Principal, table: &Table, import_id: ImportId) -> Result<()> {
    app.contacts(principal).create(&example_contact(principal, import_id)?, None).await.map_err(failed)?;

    let secret = ApiKeySecret::parse(EXAMPLE_KEY).context("the key in the example events is not one")?;
    let key = ApiKey {
        id: ids::uuid_at(Utc::now()).into(),
        org_id: principal.org_id(),
        name: "example events".to_owned(),
        display_prefix: secret.display_prefix().to_owned(),
        scopes: [Scope::Admin].into_iter().collect(),
        valid_until: None,
        revoked_at: None,
    };
    table.put_api_key(&secret.hash(), &key).await.map_err(failed)
}

fn example_contact(principal: &Principal, import_id: ImportId) -> Result<Contact> {
    let id = Id::parse(EXAMPLE_CONTACT).map_err(|fault| anyhow!("{EXAMPLE_CONTACT} {fault}"))?;
    Ok(Contact::new(id, principal.org_id(), Some(import_id), lead(0)?))
}

fn lead(number: u32) -> Result<NewContact> {
    let body: Value = json!({
        "full_name": format!("Lead {number:02}"),
        "email": format!("lead-{number:02}@example.com"),
        "linkedin_profile": format!("https://www.linkedin.com/in/lead-{number:02}"),
        "company": "Tech Corp",
        "locale": "en-US",
        "timezone": "America/New_York",
        "metadata": {"source": "demo"},
    });
    let form: ContactForm = serde_json::from_value(body)?;
    NewContact::try_from(form).map_err(|faults| anyhow!("{faults}"))
}

fn app(process: &Process) -> App {
    const LONGEST: Duration = Duration::from_secs(25);
    process.app(Instant::now() + LONGEST)
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes it so")]
fn failed(error: shared::table::Error) -> anyhow::Error {
    anyhow!("cannot seed the table: {error:?}")
}

#[cfg(test)]
mod tests {
    use shared::Endpoint;
    use shared::testing::Request;

    use super::*;

    #[test]
    fn the_example_events_name_what_is_seeded() {
        for endpoint in Endpoint::ALL {
            let event = Request::example(*endpoint).event();
            assert_eq!(event.header("x-api-key"), Some(EXAMPLE_KEY), "{endpoint:?}");
            let id = endpoint.path_values(&event.raw_path).unwrap().get("contact_id").map(str::to_owned);
            assert!(id.is_none_or(|id| id == EXAMPLE_CONTACT), "{endpoint:?}");
        }
    }
}
