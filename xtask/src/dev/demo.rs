//! The demo data: two organizations with credentials of every kind, an import, campaigns, and contacts with timelines.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use shared::app::{App, RequestContext};
use shared::auth::{Credentials, Principal};
use shared::domain::{
    ApiKey, ApiKeySecret, Campaign, CampaignId, CampaignStatus, Contact, ContactId, Id, Import, ImportId, NewApiKey,
    NewContact, NewImport, OrgId, Scope, ids, time,
};
use shared::dynamodb::Table;
use shared::repositories::api_keys;
use shared::testing::Tenant;
use shared::wire::{FromBody, NewActivities, NewCampaign};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

/// The key in the files of `events/`, which is the first organization's too.
const EXAMPLE_KEY: &str = "sk_test_example";
/// The contact in the files of `events/`, the first organization's.
pub(crate) const EXAMPLE_CONTACT: &str = "01924dd1-4a80-7000-8000-000000000001";
/// The campaign in the files of `events/`, the first organization's.
const EXAMPLE_CAMPAIGN: &str = "01924dd1-4a80-7000-8000-000000000002";
/// The import in the files of `events/`, the first organization's.
const EXAMPLE_IMPORT: &str = "01924dd1-4a80-7000-8000-000000000003";
/// The API key in the files of `events/`: the first organization's revoked one, which another revocation leaves as it is.
const EXAMPLE_KEY_ID: &str = "01924dd1-4a80-7000-8000-000000000004";
/// Contacts per organization, beside the example.
const CONTACTS: u32 = 3;
/// The activities of each.
const ACTIVITIES: u32 = 40;
/// The activities of the example contact: more than two pages.
const ACTIVITIES_OF_EXAMPLE: u32 = 120;
/// The campaigns of an organization, by their status.
const CAMPAIGNS: [CampaignStatus; 3] = [CampaignStatus::Active, CampaignStatus::Paused, CampaignStatus::Archived];

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
    table_name: &'static str,
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
    pub(crate) async fn is_in(&self, app: &App) -> bool {
        let ctx = ctx(app);
        for org in &self.orgs {
            if ctx.authenticate(Credentials { api_key: Some(&org.admin_key), authorization: None }).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Puts two new organizations into the table, with the key of the example events if that is wanted.
    pub(crate) async fn seed(jwt_secret: String, table: &Table, app: &App, example_key: bool) -> Result<Self> {
        let ctx = ctx(app);
        let mut orgs = Vec::new();
        for tenant in [Tenant::new(), Tenant::new()] {
            let token = tenant.token(&jwt_secret, TimeDelta::minutes(1));
            let credentials = Credentials { api_key: None, authorization: Some(&format!("Bearer {token}")) };
            let Ok(principal) = ctx.authenticate(credentials).await else {
                return Err(anyhow!("the demo organization's token is refused: unset JWT_ISSUER and JWT_AUDIENCE"));
            };
            let is_example = orgs.is_empty();
            let import_id = import(&ctx, &principal, is_example).await?;
            let campaigns = campaigns(&ctx, &principal, is_example).await?;
            contacts(&ctx, &principal, import_id, &campaigns).await?;
            if is_example {
                example(&ctx, &principal, import_id, &campaigns).await?;
                if example_key {
                    put_example_key(table, &principal).await?;
                }
            }
            for (secret, mut key) in tenant.keys() {
                if is_example && key.revoked_at.is_some() {
                    key.id = id(EXAMPLE_KEY_ID)?;
                }
                api_keys::store(table, &secret.hash(), &key).await.map_err(failed)?;
            }
            orgs.push(StoredOrg::new(&tenant, import_id));
        }
        Ok(Self { jwt_secret, orgs })
    }

    /// Puts back what the example events name, since some of them delete it.
    pub(crate) async fn restore_example(&self, app: &App) -> Result<()> {
        let Some(org) = self.orgs.first() else { return Ok(()) };
        let ctx = ctx(app);
        let credentials = Credentials { api_key: Some(&org.admin_key), authorization: None };
        let Ok(principal) = ctx.authenticate(credentials).await else { return Ok(()) };
        // Refused where it is still there, or where another contact has its address by now.
        let _ = ctx.imports(&principal).create(&example_import(&ctx, &principal)?, None).await;
        let _ = ctx.campaigns(&principal).create(&example_campaign(&ctx, &principal)?, None, None).await;
        let _ = ctx.contacts(&principal).create(&example_contact(&principal, org.import_id)?, None).await;
        let (contact, campaign) = (id(EXAMPLE_CONTACT)?, id(EXAMPLE_CAMPAIGN)?);
        let _ = activities(&ctx, &principal, contact, ACTIVITIES_OF_EXAMPLE, &[campaign]).await;
        let _ = ctx.leads(&principal).link(campaign, &[org.import_id].into()).await;
        Ok(())
    }

    /// What clients are told.
    pub(crate) fn session(self, base_url: String, dynamodb_url: String, table_name: &'static str) -> Session {
        let Self { jwt_secret, orgs } = self;
        let orgs = orgs.into_iter().map(|org| org.with_tokens(&jwt_secret)).collect();
        Session { base_url, dynamodb_url, table_name, orgs, jwt_secret }
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

/// An import; the example events' where it is to be.
async fn import(ctx: &RequestContext, principal: &Principal, is_example: bool) -> Result<ImportId> {
    let import = if is_example { example_import(ctx, principal)? } else { draft_import(ctx, principal)? };
    ctx.imports(principal).create(&import, None).await.map_err(failed)?;
    Ok(import.id)
}

fn draft_import(ctx: &RequestContext, principal: &Principal) -> Result<Import> {
    let body = json!({"source": "csv", "file_name": "leads.csv", "status": "processing"});
    Ok(ctx.imports(principal).draft(read::<NewImport>(&body)?))
}

/// A campaign of each status; the first is the example events' where it is to be.
async fn campaigns(ctx: &RequestContext, principal: &Principal, with_example: bool) -> Result<Vec<CampaignId>> {
    let campaigns = ctx.campaigns(principal);
    let mut created = Vec::new();
    for status in CAMPAIGNS {
        let campaign = if with_example && created.is_empty() {
            example_campaign(ctx, principal)?
        } else {
            draft_campaign(ctx, principal, status)?
        };
        campaigns.create(&campaign, None, None).await.map_err(failed)?;
        created.push(campaign.id);
    }
    Ok(created)
}

fn draft_campaign(ctx: &RequestContext, principal: &Principal, status: CampaignStatus) -> Result<Campaign> {
    let body = json!({
        "name": format!("The {} one", status.as_str()),
        "status": status.as_str(),
        "availability_data": {"start_working": "09:00", "end_working": "18:00"},
    });
    let NewCampaign { settings, .. } = read(&body)?;
    Ok(ctx.campaigns(principal).draft(settings, None))
}

async fn contacts(
    ctx: &RequestContext,
    principal: &Principal,
    import_id: ImportId,
    campaigns: &[CampaignId],
) -> Result<()> {
    let contacts = ctx.contacts(principal);
    for number in 1..=CONTACTS {
        let contact = contacts.draft(lead(number)?, Some(import_id));
        contacts.create(&contact, None).await.map_err(failed)?;
        activities(ctx, principal, contact.id, ACTIVITIES, campaigns).await?;
    }
    Ok(())
}

/// A timeline: the campaigns by turns, and now and then an activity of none.
async fn activities(
    ctx: &RequestContext,
    principal: &Principal,
    contact: ContactId,
    count: u32,
    campaigns: &[CampaignId],
) -> Result<()> {
    // As many as an array may have.
    const AT_ONCE: usize = 50;
    let start = time::parse("2024-04-18T10:15:00Z").context("the first activity's time is none")?;
    let mut campaigns = campaigns.iter().copied().map(Some).chain([None]).cycle();
    let bodies: Vec<_> = (0..count)
        .map(|number| {
            let event_time =
                time::to_millis(start + TimeDelta::minutes(47) * i32::try_from(number).unwrap_or_default());
            let campaign_id = campaigns.next().flatten();
            let id = format!("act_{}", 123 + number);
            if number % 3 == 2 {
                json!({
                    "id": id, "event_time": event_time, "campaign_id": campaign_id, "channel": "email",
                    "event_type": "replied", "direction": "inbound", "event_text": {"message": "Hablemos mañana"},
                    "metadata": {"delivered": true, "opened": true, "clicked": true, "replied": true},
                })
            } else {
                json!({
                    "id": id, "event_time": event_time, "campaign_id": campaign_id, "channel": "linkedin",
                    "event_type": "message_sent", "direction": "outbound", "sdr_agent_id": "usr_abc",
                    "event_text": [{"message": "Hola Jane, ¿comentamos?"}],
                    "metadata": {"delivered": true, "opened": number % 2 == 0},
                })
            }
        })
        .collect();
    let activities = ctx.activities(principal, contact);
    for bodies in bodies.chunks(AT_ONCE) {
        let NewActivities(new) = read(&json!(bodies))?;
        activities.record(&activities.draft(new), |_| None).await.map_err(failed)?;
    }
    Ok(())
}

/// What the files of `events/` name.
async fn example(
    ctx: &RequestContext,
    principal: &Principal,
    import_id: ImportId,
    campaigns: &[CampaignId],
) -> Result<()> {
    let contact = example_contact(principal, import_id)?;
    ctx.contacts(principal).create(&contact, None).await.map_err(failed)?;
    activities(ctx, principal, contact.id, ACTIVITIES_OF_EXAMPLE, campaigns).await?;
    ctx.leads(principal).link(id(EXAMPLE_CAMPAIGN)?, &[import_id].into()).await.map(drop).map_err(failed)
}

async fn put_example_key(table: &Table, principal: &Principal) -> Result<()> {
    let secret = ApiKeySecret::parse(EXAMPLE_KEY).context("the key in the example events is not one")?;
    let scopes = [Scope::Admin].into_iter().collect();
    let new = NewApiKey { name: "example events".to_owned(), scopes, valid_until: None, live: false };
    let key = ApiKey::new(ids::uuid_at(Utc::now()).into(), principal.org_id(), new, &secret);
    api_keys::store(table, &secret.hash(), &key).await.map_err(failed)
}

fn example_contact(principal: &Principal, import_id: ImportId) -> Result<Contact> {
    Ok(Contact::new(id(EXAMPLE_CONTACT)?, principal.org_id(), Some(import_id), lead(0)?))
}

fn example_import(ctx: &RequestContext, principal: &Principal) -> Result<Import> {
    Ok(Import { id: id(EXAMPLE_IMPORT)?, ..draft_import(ctx, principal)? })
}

fn example_campaign(ctx: &RequestContext, principal: &Principal) -> Result<Campaign> {
    let [status, ..] = CAMPAIGNS;
    Ok(Campaign { id: id(EXAMPLE_CAMPAIGN)?, ..draft_campaign(ctx, principal, status)? })
}

fn id<T: Id>(text: &str) -> Result<T> {
    T::parse(text).map_err(|fault| anyhow!("{text} {fault}"))
}

fn lead(number: u32) -> Result<NewContact> {
    read(&json!({
        "full_name": format!("Lead {number:02}"),
        "email": format!("lead-{number:02}@example.com"),
        "linkedin_profile": format!("https://www.linkedin.com/in/lead-{number:02}"),
        "company": "Tech Corp",
        "locale": "en-US",
        "timezone": "America/New_York",
        "metadata": {"source": "demo"},
    }))
}

/// What a function makes of this body.
fn read<T: FromBody>(body: &Value) -> Result<T> {
    T::from_body(&to_raw_value(body)?).map_err(|faults| anyhow!("{faults}"))
}

fn ctx(app: &App) -> RequestContext {
    const LONGEST: Duration = Duration::from_secs(25);
    app.request_context(Instant::now() + LONGEST)
}

fn failed(error: shared::repositories::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("cannot seed the table")
}

#[cfg(test)]
mod tests {
    use shared::Endpoint;
    use shared::domain::LeadKey;
    use shared::testing::TestRequest;

    use super::*;

    #[test]
    fn the_example_events_name_what_is_seeded() {
        for endpoint in Endpoint::ALL {
            let event = TestRequest::example(*endpoint).event();
            assert_eq!(event.header("x-api-key"), Some(EXAMPLE_KEY), "{endpoint:?}");
            let values = endpoint.path_values(&event.raw_path).unwrap();
            let (campaign_id, contact_id) = (id(EXAMPLE_CAMPAIGN).unwrap(), id(EXAMPLE_CONTACT).unwrap());
            let lead_id = LeadKey { campaign_id, contact_id }.lead_id().to_string();
            for (name, value) in values.iter() {
                let seeded = match name {
                    "contact_id" => EXAMPLE_CONTACT,
                    "lead_id" => &lead_id,
                    "campaign_id" => EXAMPLE_CAMPAIGN,
                    "import_id" => EXAMPLE_IMPORT,
                    "key_id" => EXAMPLE_KEY_ID,
                    _ => "act_123",
                };
                assert_eq!(value, seeded, "{endpoint:?}");
            }
        }
    }
}
