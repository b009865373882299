//! The demo data of an organization: an import, campaigns, and contacts with timelines. The first organization also has
//! the objects that the example events in `events/` name.

use anyhow::{Context, Result, anyhow};
use chrono::{TimeDelta, Utc};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use shared::app::RequestContext;
use shared::auth::Principal;
use shared::domain::activity::MAX_BATCH;
use shared::domain::{
    ApiKey, ApiKeyId, ApiKeySecret, Campaign, CampaignId, CampaignStatus, Contact, ContactId, Id, Import, ImportId,
    NewApiKey, NewContact, NewImport, OrgId, Scope, time,
};
use shared::dynamodb::Table;
use shared::repositories::api_keys;
use shared::repositories::{self, Error};
use shared::system;
use shared::wire::{FromBody, NewActivities, NewCampaign};

/// The API key of the example events.
pub(super) const EXAMPLE_KEY: &str = "sk_test_example";
/// The contact of the example events.
pub(super) const EXAMPLE_CONTACT: &str = "01924dd1-4a80-7000-8000-000000000001";
/// The campaign of the example events.
const EXAMPLE_CAMPAIGN: &str = "01924dd1-4a80-7000-8000-000000000002";
/// The import of the example events.
const EXAMPLE_IMPORT: &str = "01924dd1-4a80-7000-8000-000000000003";
/// The id of the API key that an example event revokes. It is the revoked key's, so that the event changes nothing.
const EXAMPLE_KEY_ID: &str = "01924dd1-4a80-7000-8000-000000000004";

/// The ids of a contact, an import and a campaign that look migrated from another platform: random ones (version 4). The
/// end-to-end tests look for them at the end of the lists.
const MIGRATED_CONTACT: &str = "3c7a1f52-9d0e-4b6a-8f21-5e4d3c2b1a01";
const MIGRATED_IMPORT: &str = "3c7a1f52-9d0e-4b6a-8f21-5e4d3c2b1a02";
const MIGRATED_CAMPAIGN: &str = "3c7a1f52-9d0e-4b6a-8f21-5e4d3c2b1a03";
/// The time of their creation, years before the platform.
const MIGRATED_AT: &str = "2021-03-03T11:01:02.003Z";

/// The statuses of the campaigns, one campaign each.
const CAMPAIGN_STATUSES: [CampaignStatus; 3] =
    [CampaignStatus::Active, CampaignStatus::Paused, CampaignStatus::Archived];
/// The number of contacts, without the example contact.
const CONTACTS: u32 = 3;
/// The number of activities of each of them.
const ACTIVITIES: u32 = 40;
/// The number of activities of the example contact: more than two pages.
const EXAMPLE_ACTIVITIES: u32 = 120;
/// The time of the first activity of a timeline.
const FIRST_EVENT_TIME: &str = "2024-04-18T10:15:00Z";
const MINUTES_BETWEEN_EVENTS: u32 = 47;

/// Writes the demo data of one organization.
pub(crate) struct Seeder<'a> {
    pub(crate) ctx: &'a RequestContext,
    pub(crate) principal: &'a Principal,
}

impl Seeder<'_> {
    /// Creates everything, with the example objects if `with_example`. Returns the id of the import.
    pub(crate) async fn seed(&self, with_example: bool) -> Result<ImportId> {
        let import = if with_example { self.example_import()? } else { self.draft_import()? };
        self.ctx.imports(self.principal).create(&import, None).await?;
        let campaigns = self.create_campaigns(with_example).await?;
        self.create_contacts(import.id, &campaigns).await?;
        if with_example {
            let contact = self.example_contact(import.id)?;
            self.ctx.contacts(self.principal).create(&contact, None).await?;
            self.record_activities(contact.id, EXAMPLE_ACTIVITIES, &campaigns).await?;
            self.ctx.leads(self.principal).link(parse_id(EXAMPLE_CAMPAIGN)?, &[import.id].into()).await?;
        } else {
            // Not in the first organization: an emulated cloud searches an index item by item, which most tests would wait for.
            self.create_migrated().await?;
        }
        Ok(import.id)
    }

    /// Gives the organization a profile, and creates what looks migrated from another platform.
    async fn create_migrated(&self) -> Result<()> {
        let organizations = self.ctx.organizations(self.principal);
        organizations.create("Demo".parse()?).await?;
        organizations.expect_migrated_items().await?;
        let created_at = time::parse(MIGRATED_AT)?;
        let (org, new) = (self.principal.org_id(), new_contact(99)?);
        let import = self.draft_import()?;
        let import = Import { id: parse_id(MIGRATED_IMPORT)?, created_at, updated_at: created_at, ..import };
        self.ctx.imports(self.principal).create(&import, None).await?;
        let contact = Contact::new(parse_id(MIGRATED_CONTACT)?, org, Some(import.id), new, created_at);
        self.ctx.contacts(self.principal).create(&contact, None).await?;
        let campaign = self.draft_campaign(CampaignStatus::Archived)?;
        let campaign = Campaign { id: parse_id(MIGRATED_CAMPAIGN)?, created_at, updated_at: created_at, ..campaign };
        self.ctx.campaigns(self.principal).create(&campaign, None, None).await?;
        Ok(())
    }

    /// Creates the missing ones of the example objects, because some of the example events delete them.
    pub(super) async fn restore_example(&self, import_id: ImportId) -> Result<()> {
        let imports = self.ctx.imports(self.principal);
        if is_missing(&imports.get(parse_id(EXAMPLE_IMPORT)?).await) {
            imports.create(&self.example_import()?, None).await?;
        }
        let campaigns = self.ctx.campaigns(self.principal);
        let campaign_id = parse_id(EXAMPLE_CAMPAIGN)?;
        if is_missing(&campaigns.get(campaign_id).await) {
            campaigns.create(&self.example_campaign()?, None, None).await?;
        }
        let contact = self.example_contact(import_id)?;
        let recorded = self.record_activities(contact.id, EXAMPLE_ACTIVITIES, &[campaign_id]).await;
        if is_contact_missing(&recorded) {
            self.ctx.contacts(self.principal).create(&contact, None).await?;
            self.record_activities(contact.id, EXAMPLE_ACTIVITIES, &[campaign_id]).await?;
        } else {
            recorded?;
        }
        self.ctx.leads(self.principal).link(campaign_id, &[import_id].into()).await?;
        Ok(())
    }

    /// One campaign of each status. The first one is the example campaign if `with_example`.
    async fn create_campaigns(&self, with_example: bool) -> Result<Vec<CampaignId>> {
        let mut created = Vec::new();
        for status in CAMPAIGN_STATUSES {
            let is_example = with_example && created.is_empty();
            let campaign = if is_example { self.example_campaign()? } else { self.draft_campaign(status)? };
            self.ctx.campaigns(self.principal).create(&campaign, None, None).await?;
            created.push(campaign.id);
        }
        Ok(created)
    }

    async fn create_contacts(&self, import_id: ImportId, campaigns: &[CampaignId]) -> Result<()> {
        let contacts = self.ctx.contacts(self.principal);
        for number in 1..=CONTACTS {
            let contact = contacts.draft(new_contact(number)?, Some(import_id));
            contacts.create(&contact, None).await?;
            self.record_activities(contact.id, ACTIVITIES, campaigns).await?;
        }
        Ok(())
    }

    /// Records a timeline: activities of each campaign in turn, and then one without a campaign. Activities that are
    /// recorded already stay as they are.
    async fn record_activities(&self, contact_id: ContactId, count: u32, campaigns: &[CampaignId]) -> Result<()> {
        let mut campaign_ids = campaigns.iter().map(Some).chain([None]).cycle();
        let bodies = (0..count)
            .map(|number| activity(number, campaign_ids.next().flatten().copied()))
            .collect::<Result<Vec<_>>>()?;
        let activities = self.ctx.activities(self.principal, contact_id);
        for bodies in bodies.chunks(MAX_BATCH) {
            let NewActivities(new) = parse_body(&json!(bodies))?;
            activities.record(&activities.draft(new), |_| None).await?;
        }
        Ok(())
    }

    fn draft_import(&self) -> Result<Import> {
        let body = json!({"source": "csv", "file_name": "leads.csv", "status": "processing"});
        Ok(self.ctx.imports(self.principal).draft(parse_body::<NewImport>(&body)?))
    }

    fn draft_campaign(&self, status: CampaignStatus) -> Result<Campaign> {
        let body = json!({
            "name": format!("Demo campaign ({})", status.as_str()),
            "status": status.as_str(),
            "availability_data": {"start_working": "09:00", "end_working": "18:00"},
        });
        let NewCampaign { details, .. } = parse_body(&body)?;
        Ok(self.ctx.campaigns(self.principal).draft(details, None))
    }

    fn example_import(&self) -> Result<Import> {
        Ok(Import { id: parse_id(EXAMPLE_IMPORT)?, ..self.draft_import()? })
    }

    fn example_campaign(&self) -> Result<Campaign> {
        Ok(Campaign { id: parse_id(EXAMPLE_CAMPAIGN)?, ..self.draft_campaign(CampaignStatus::Active)? })
    }

    fn example_contact(&self, import_id: ImportId) -> Result<Contact> {
        Ok(Contact::new(
            parse_id(EXAMPLE_CONTACT)?,
            self.principal.org_id(),
            Some(import_id),
            new_contact(0)?,
            Utc::now(),
        ))
    }
}

/// Stores the API key of the example events for an organization.
pub(super) async fn store_example_key(table: &Table, org_id: OrgId) -> Result<()> {
    let secret = ApiKeySecret::parse(EXAMPLE_KEY).context("EXAMPLE_KEY is not an API key")?;
    let scopes = [Scope::Admin].into_iter().collect();
    let new = NewApiKey {
        name: "example events".parse().context("the name of the demo key is not valid")?,
        scopes,
        valid_until: None,
        live: false,
        rate_limit: None,
    };
    let key = ApiKey::new(system::rng().uuid_v7(Utc::now()).into(), org_id, new, &secret, Utc::now());
    Ok(api_keys::store(table, &secret.hash(), &key).await?)
}

/// The id of the API key that an example event revokes.
pub(super) fn example_key_id() -> Result<ApiKeyId> {
    parse_id(EXAMPLE_KEY_ID)
}

/// The body of an activity; every third one is a reply by email.
fn activity(number: u32, campaign_id: Option<CampaignId>) -> Result<Value> {
    let first = time::parse(FIRST_EVENT_TIME).context("FIRST_EVENT_TIME is not a timestamp")?;
    let event_time = time::to_millis(first + TimeDelta::minutes(i64::from(number * MINUTES_BETWEEN_EVENTS)));
    let id = format!("act_{}", 123 + number);
    if number % 3 == 2 {
        return Ok(json!({
            "id": id, "event_time": event_time, "campaign_id": campaign_id, "channel": "email",
            "event_type": "replied", "direction": "inbound", "event_text": {"message": "Hablemos mañana"},
            "metadata": {"delivered": true, "opened": true, "clicked": true, "replied": true},
        }));
    }
    Ok(json!({
        "id": id, "event_time": event_time, "campaign_id": campaign_id, "channel": "linkedin",
        "event_type": "message_sent", "direction": "outbound", "sdr_agent_id": "usr_abc",
        "event_text": [{"message": "Hola Jane, ¿comentamos?"}],
        "metadata": {"delivered": true, "opened": number.is_multiple_of(2)},
    }))
}

fn new_contact(number: u32) -> Result<NewContact> {
    parse_body(&json!({
        "full_name": format!("Lead {number:02}"),
        "email": format!("lead-{number:02}@example.com"),
        "linkedin_profile": format!("https://www.linkedin.com/in/lead-{number:02}"),
        "company": "Tech Corp",
        "locale": "en-US",
        "timezone": "America/New_York",
        "metadata": {"source": "demo"},
    }))
}

/// Parses and validates a body as a function does.
fn parse_body<T: FromBody>(body: &Value) -> Result<T> {
    T::from_body(&to_raw_value(body)?).map_err(|errors| anyhow!("the demo data is invalid: {errors}"))
}

fn parse_id<T: Id>(text: &str) -> Result<T> {
    T::parse(text).map_err(|error| anyhow!("{text}: {error}"))
}

fn is_missing<T>(found: &repositories::Result<T>) -> bool {
    matches!(found, Err(Error::NotFound(_)))
}

fn is_contact_missing(recorded: &Result<()>) -> bool {
    recorded.as_ref().is_err_and(|error| matches!(error.downcast_ref(), Some(Error::NotFound(_))))
}

#[cfg(test)]
mod tests {
    use shared::Endpoint;
    use shared::domain::LeadKey;
    use shared::testing::TestRequest;

    use super::*;

    #[test]
    fn the_example_events_name_objects_of_the_demo_data() {
        let (campaign_id, contact_id) = (parse_id(EXAMPLE_CAMPAIGN).unwrap(), parse_id(EXAMPLE_CONTACT).unwrap());
        let lead_id = LeadKey { campaign_id, contact_id }.lead_id().to_string();
        for endpoint in Endpoint::ALL {
            let event = TestRequest::example(*endpoint).event();
            assert_eq!(event.header("x-api-key"), Some(EXAMPLE_KEY), "{endpoint:?}");
            for (name, value) in endpoint.path_values(&event.raw_path).unwrap().iter() {
                let expected = match name {
                    "contact_id" => EXAMPLE_CONTACT,
                    "lead_id" => &lead_id,
                    "campaign_id" => EXAMPLE_CAMPAIGN,
                    "import_id" => EXAMPLE_IMPORT,
                    "key_id" => EXAMPLE_KEY_ID,
                    "activity_id" => "act_123",
                    other => panic!("{endpoint:?}: the demo data has no {other}"),
                };
                assert_eq!(value, expected, "{endpoint:?}");
            }
        }
    }
}
