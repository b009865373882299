//! The declared cost of every operation is what the engine counts.
//!
//! Each case has a table of its own. Its function stores what the operation needs, performs it, and returns the context that
//! has counted the operation's calls.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use shared::auth::Principal;
use shared::domain::{
    Activity, ApiKey, ApiKeySecret, AuditEntry, AuditFilter, Campaign, CampaignFilter, Company, CompanyFilter, Contact,
    ContactFilter, Import, ImportFilter, ImportId, Lead, LeadFilter, NewApiKey, Scope, TimelineFilter, TimelinePage,
};
use shared::repositories::{IdempotencyKey, IdempotencyRecord, LastAdminKey};
use shared::testing::costs::{Cost, CostCase, LOG_LINE_BYTES};
use shared::testing::{Log, TestApp, TestRequest, contact_patch, jane, new_contact, parse_body};
use shared::wire::{NewActivities, NewCampaign};
use shared::{ApiError, Endpoint, Request, RequestContext, Response, system};

use crate::bulk::{row, send, upload};

/// The number of rows of a short list.
const PAGE: usize = 5;

#[tokio::test]
async fn every_operation_costs_what_is_declared() {
    let mut wrong = Vec::new();
    for case in CostCase::ALL {
        let mut test = TestApp::new().await;
        let ctx = perform(*case, &mut test).await;
        let found = cost(&test, &ctx, *case);
        if found != case.cost() {
            wrong.push(format!("{case:?} costs {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "shared/src/testing/costs.rs: declare the cost\n{}", wrong.join("\n"));
}

/// Asserts that a request has cost what is declared for a case.
#[track_caller]
pub(crate) fn assert_cost(test: &TestApp, ctx: &RequestContext, case: CostCase) {
    assert_eq!(cost(test, ctx, case), case.cost(), "{case:?}");
}

/// What a request has cost. Capacity units are counted on the embedded engine only, because DynamoDB Local miscounts those of
/// transactions; there they are the declared ones.
fn cost(test: &TestApp, ctx: &RequestContext, case: CostCase) -> Cost {
    let consumed = ctx.consumed_capacity();
    let (calls, rounds) = (consumed.calls, consumed.rounds);
    if test.uses_embedded_engine() {
        Cost { calls, rounds, read_units: consumed.read_units, write_units: consumed.write_units }
    } else {
        Cost { calls, rounds, ..case.cost() }
    }
}

/// Performs the operation of a case on an empty table.
async fn perform(case: CostCase, test: &mut TestApp) -> RequestContext {
    match case {
        CostCase::CreateContact => create_contact(test, jane("a@example.com"), None).await,
        CostCase::CreateContactInImport => create_contact_in_import(test).await,
        CostCase::CreateContactWithNewCompany => create_contact(test, acme("a@example.com"), None).await,
        CostCase::CreateContactUncached => create_contact_uncached(test).await,
        CostCase::CreateContactIdempotent => create_contact_with_idempotency_key(test).await,
        CostCase::GetContact => get_contact(test, 0).await,
        CostCase::GetContactWithTimeline => get_contact(test, 50).await,
        CostCase::UpdateContact => update_contact(test, json!({"locale": "es-ES"})).await,
        CostCase::UpdateContactMetadata => update_contact(test, json!({"metadata": {"a": {"b": 1}}})).await,
        CostCase::UpdateContactEmail => update_contact(test, json!({"email": "b@example.com"})).await,
        CostCase::DeleteContact => delete_contact(test, None).await,
        CostCase::DeleteContactInImport => delete_contact(test, Some(test.create_import(&test.org).await)).await,
        CostCase::ListContacts => list_contacts(test).await,
        CostCase::UploadNewRows => upload_new_rows(test, None).await,
        CostCase::UploadNewRowsOfImport => upload_new_rows(test, Some(test.create_import(&test.org).await)).await,
        CostCase::UploadChangedRows => upload_known_rows(test, Some("es-ES")).await,
        CostCase::UploadKnownRows => upload_known_rows(test, None).await,
        CostCase::CreateImport => create_import(test).await,
        CostCase::ListImports => list_imports(test).await,
        CostCase::GetImport => get_import(test).await,
        CostCase::UpdateImport => update_import(test).await,
        CostCase::DeleteImport => delete_import(test).await,
        CostCase::RecordActivity => record_activities(test, 1).await,
        CostCase::RecordActivities => record_activities(test, 50).await,
        CostCase::UpdateActivity => update_activity(test).await,
        CostCase::CreateCampaign => create_campaign(test, json!({"name": "Q1"})).await,
        CostCase::CreateActiveCampaign => create_campaign(test, active_campaign_with_lead_magnet()).await,
        CostCase::ListCampaigns => list_campaigns(test).await,
        CostCase::GetCampaign => get_campaign(test).await,
        CostCase::UpdateCampaign => update_campaign(test).await,
        CostCase::DeleteCampaign => delete_campaign(test).await,
        CostCase::LinkImports => link_imports(test, 100).await,
        CostCase::ListLeads => list_leads(test).await,
        CostCase::GetLead => get_lead(test).await,
        CostCase::UpdateLead => update_lead(test).await,
        CostCase::ListCompanies => list_companies(test).await,
        CostCase::CreateApiKey => create_api_key(test).await,
        CostCase::ListApiKeys => list_api_keys(test).await,
        CostCase::RevokeApiKey => revoke_api_key(test, Scope::Read).await,
        CostCase::RevokeAdminKey => revoke_api_key(test, Scope::Admin).await,
        CostCase::ListAuditLog => list_audit_log(test).await,
    }
}

/// A context that has counted no call yet, and the caller.
async fn request(test: &TestApp) -> (RequestContext, Principal) {
    let principal = test.principal(&test.org).await;
    (test.ctx(), principal)
}

/// Jane Doe of the company Acme.
pub(crate) fn acme(email: &str) -> Value {
    let mut body = jane(email);
    body["company"] = json!("Acme");
    body
}

pub(crate) async fn create_contact(test: &TestApp, body: Value, import_id: Option<ImportId>) -> RequestContext {
    let (ctx, principal) = request(test).await;
    let contacts = ctx.contacts(&principal);
    contacts.create(&contacts.draft(new_contact(body), import_id), None).await.unwrap();
    ctx
}

async fn create_contact_in_import(test: &TestApp) -> RequestContext {
    let import = test.create_import(&test.org).await;
    create_contact(test, jane("a@example.com"), Some(import)).await
}

async fn create_contact_uncached(test: &mut TestApp) -> RequestContext {
    let import = test.create_import(&test.org).await;
    test.restart();
    create_contact(test, acme("a@example.com"), Some(import)).await
}

async fn create_contact_with_idempotency_key(test: &TestApp) -> RequestContext {
    let (ctx, principal) = request(test).await;
    let contacts = ctx.contacts(&principal);
    let contact = contacts.draft(new_contact(jane("a@example.com")), None);
    let idempotency_key = IdempotencyKey { method: "POST", path: "/contacts".to_owned(), key: "key".to_owned() };
    let response = "a".repeat(500);
    let record = IdempotencyRecord { idempotency_key, fingerprint: "f".to_owned(), response };
    contacts.create(&contact, Some(&record)).await.unwrap();
    ctx
}

async fn get_contact(test: &TestApp, activities: usize) -> RequestContext {
    let contact = test.create_jane("a@example.com").await;
    test.create_campaign(json!({"name": "Q1", "status": "active"})).await;
    if activities > 0 {
        let (ctx, principal) = request(test).await;
        let timeline = ctx.activities(&principal, contact.id);
        let NewActivities(new) = parse_body(activities_of_realistic_size(activities));
        timeline.record(&timeline.draft(new), |_| None).await.unwrap();
    }
    let (ctx, principal) = request(test).await;
    let page = TimelinePage { filter: TimelineFilter::Active, page: 0, limit: 50, after: None };
    ctx.contacts(&principal).get::<Activity>(contact.id, &page).await.unwrap();
    ctx
}

/// Activities with a text and flags, of 0.8 KB.
pub(crate) fn activities_of_realistic_size(count: usize) -> Value {
    let example = TestRequest::example(Endpoint::RecordActivities).body()[0].clone();
    let activities = (0..count).map(|n| {
        let mut activity = example.clone();
        activity["id"] = json!(format!("act_{n}"));
        activity["event_text"] = json!([{"message": "x".repeat(500)}]);
        activity
    });
    activities.collect()
}

async fn update_contact(test: &TestApp, patch: Value) -> RequestContext {
    let contact = test.create_jane("a@example.com").await;
    let (ctx, principal) = request(test).await;
    ctx.contacts(&principal).update(contact.id, &contact_patch(patch), None).await.unwrap();
    ctx
}

async fn delete_contact(test: &TestApp, import: Option<ImportId>) -> RequestContext {
    let contact = test.create_contact(&test.org, jane("a@example.com"), import).await;
    let (ctx, principal) = request(test).await;
    ctx.contacts(&principal).delete(contact.id, None).await.unwrap();
    ctx
}

async fn list_contacts(test: &TestApp) -> RequestContext {
    let import = test.create_import(&test.org).await;
    test.put_contacts(import, 101).await;
    let (ctx, principal) = request(test).await;
    ctx.contacts(&principal).list::<Contact>(&ContactFilter::default(), Some(100), None).await.unwrap();
    ctx
}

async fn upload_new_rows(test: &TestApp, import: Option<ImportId>) -> RequestContext {
    create_contact(test, row(0), None).await;
    let (ctx, _) = request(test).await;
    send(test, &ctx, &upload((1..=100).map(row)), import).await.unwrap();
    ctx
}

/// Uploads 100 rows twice, the second time with a locale if there is one.
async fn upload_known_rows(test: &TestApp, locale: Option<&str>) -> RequestContext {
    send(test, &test.ctx(), &upload((0..100).map(row)), None).await.unwrap();
    let (ctx, _) = request(test).await;
    let rows = (0..100).map(|n| {
        let mut row = row(n);
        row["locale"] = json!(locale);
        row
    });
    send(test, &ctx, &upload(rows), None).await.unwrap();
    ctx
}

async fn create_import(test: &TestApp) -> RequestContext {
    let (ctx, principal) = request(test).await;
    let imports = ctx.imports(&principal);
    imports.create(&imports.draft(parse_body(json!({"source": "csv"}))), None).await.unwrap();
    ctx
}

async fn list_imports(test: &TestApp) -> RequestContext {
    for _ in 0..PAGE {
        test.create_import(&test.org).await;
    }
    let (ctx, principal) = request(test).await;
    ctx.imports(&principal).list::<Import>(&ImportFilter::default(), Some(PAGE), None).await.unwrap();
    ctx
}

async fn get_import(test: &TestApp) -> RequestContext {
    let import = test.create_import(&test.org).await;
    test.put_memberships(import, 15).await;
    let (ctx, principal) = request(test).await;
    assert_eq!(ctx.imports(&principal).get(import).await.unwrap().1, 15);
    ctx
}

async fn update_import(test: &TestApp) -> RequestContext {
    let import = test.create_import(&test.org).await;
    let (ctx, principal) = request(test).await;
    ctx.imports(&principal).update(import, &parse_body(json!({"status": "completed"}))).await.unwrap();
    ctx
}

async fn delete_import(test: &TestApp) -> RequestContext {
    let import = test.create_import(&test.org).await;
    test.put_contacts(import, PAGE).await;
    let (ctx, principal) = request(test).await;
    ctx.imports(&principal).delete(import).await.unwrap();
    ctx
}

async fn record_activities(test: &TestApp, count: usize) -> RequestContext {
    let contact = test.create_jane("a@example.com").await;
    let (ctx, principal) = request(test).await;
    let timeline = ctx.activities(&principal, contact.id);
    let NewActivities(new) = parse_body(activities_of_realistic_size(count));
    timeline.record(&timeline.draft(new), |_| None).await.unwrap();
    ctx
}

async fn update_activity(test: &TestApp) -> RequestContext {
    let contact = test.create_jane("a@example.com").await;
    let activity = test.record_activity(contact.id, activities_of_realistic_size(1)).await;
    let (ctx, principal) = request(test).await;
    let patch = parse_body(json!({"metadata": {"seen": true}, "event_time": activity.event_time.to_rfc3339()}));
    ctx.activities(&principal, contact.id).update(&activity.id, &patch).await.unwrap();
    ctx
}

fn active_campaign_with_lead_magnet() -> Value {
    json!({
        "name": "Q1",
        "status": "active",
        "lead_magnet": {"name": "Guide", "url": "https://example.com/guide.pdf", "content_type": "pdf"},
    })
}

async fn create_campaign(test: &TestApp, body: Value) -> RequestContext {
    let NewCampaign { details, lead_magnet } = parse_body(body);
    let (ctx, principal) = request(test).await;
    let campaigns = ctx.campaigns(&principal);
    let campaign = campaigns.draft(details, lead_magnet.as_ref());
    campaigns.create(&campaign, lead_magnet.as_ref(), None).await.unwrap();
    ctx
}

async fn list_campaigns(test: &TestApp) -> RequestContext {
    for _ in 0..PAGE {
        test.create_campaign(json!({"name": "Q1"})).await;
    }
    let (ctx, principal) = request(test).await;
    ctx.campaigns(&principal).list::<Campaign>(&CampaignFilter::default(), Some(PAGE), None).await.unwrap();
    ctx
}

async fn get_campaign(test: &TestApp) -> RequestContext {
    let campaign = test.create_campaign(json!({"name": "Q1"})).await;
    let (ctx, principal) = request(test).await;
    ctx.campaigns(&principal).get(campaign.id).await.unwrap();
    ctx
}

async fn update_campaign(test: &TestApp) -> RequestContext {
    let campaign = test.create_campaign(json!({"name": "Q1"})).await;
    let (ctx, principal) = request(test).await;
    ctx.campaigns(&principal).update(campaign.id, &parse_body(json!({"name": "Q2"}))).await.unwrap();
    ctx
}

async fn delete_campaign(test: &TestApp) -> RequestContext {
    let campaign = test.create_campaign(json!({"name": "Q1"})).await;
    let (ctx, principal) = request(test).await;
    ctx.campaigns(&principal).delete(campaign.id).await.unwrap();
    ctx
}

async fn link_imports(test: &TestApp, members: usize) -> RequestContext {
    let import = test.create_import(&test.org).await;
    test.put_memberships(import, members).await;
    let campaign = test.create_campaign(json!({"name": "Q1", "status": "active"})).await;
    let (ctx, principal) = request(test).await;
    let linked = ctx.leads(&principal).link(campaign.id, &[import].into()).await.unwrap();
    assert_eq!(linked.inserted, members);
    ctx
}

async fn list_leads(test: &TestApp) -> RequestContext {
    let import = test.create_import(&test.org).await;
    test.put_contacts(import, PAGE).await;
    let campaign = test.create_campaign(json!({"name": "Q1"})).await;
    test.link_imports(campaign.id, &[import]).await;
    let (ctx, principal) = request(test).await;
    let filter = LeadFilter { campaign_id: Some(campaign.id), ..LeadFilter::default() };
    let page = ctx.leads(&principal).list::<Lead>(&filter, Some(PAGE), None).await.unwrap();
    assert_eq!(page.rows.len(), PAGE);
    ctx
}

async fn get_lead(test: &TestApp) -> RequestContext {
    let lead = test.create_lead().await;
    let (ctx, principal) = request(test).await;
    ctx.leads(&principal).get(lead.id()).await.unwrap();
    ctx
}

async fn update_lead(test: &TestApp) -> RequestContext {
    let lead = test.create_lead().await;
    let (ctx, principal) = request(test).await;
    ctx.leads(&principal).update(lead.id(), &parse_body(json!({"lead_status": "ended"}))).await.unwrap();
    ctx
}

async fn list_companies(test: &TestApp) -> RequestContext {
    for n in 0..PAGE {
        let mut body = jane(&format!("{n}@example.com"));
        body["company"] = json!(format!("Company {n}"));
        test.create_contact(&test.org, body, None).await;
    }
    let (ctx, principal) = request(test).await;
    ctx.companies(&principal).list::<Company>(&CompanyFilter::default(), Some(PAGE), None).await.unwrap();
    ctx
}

async fn create_api_key(test: &TestApp) -> RequestContext {
    let secret = ApiKeySecret::new(true, system::rng().bytes().unwrap());
    let scopes = [Scope::Read].into_iter().collect();
    let new = NewApiKey { name: "a".parse().unwrap(), scopes, valid_until: None, live: true, rate_limit: None };
    let (ctx, principal) = request(test).await;
    let keys = ctx.api_keys(&principal);
    keys.create(&secret.hash(), &keys.draft(new, &secret), None).await.unwrap();
    ctx
}

/// Beside the new key, the organization has those of [`TestApp`].
async fn list_api_keys(test: &TestApp) -> RequestContext {
    test.create_api_key(&[Scope::Read]).await;
    let (ctx, principal) = request(test).await;
    let page = ctx.api_keys(&principal).list::<ApiKey>(Some(1000), None).await.unwrap();
    assert_eq!(page.rows.len(), PAGE);
    ctx
}

async fn revoke_api_key(test: &TestApp, scope: Scope) -> RequestContext {
    let (_, key) = test.create_api_key(&[scope]).await;
    let (ctx, principal) = request(test).await;
    ctx.api_keys(&principal).revoke(key.id, LastAdminKey::Keep).await.unwrap();
    ctx
}

async fn list_audit_log(test: &TestApp) -> RequestContext {
    for _ in 0..PAGE {
        test.create_api_key(&[Scope::Read]).await;
    }
    let (ctx, principal) = request(test).await;
    let page = ctx.audit_log(&principal).list::<AuditEntry>(&AuditFilter::default(), Some(PAGE), None).await.unwrap();
    assert_eq!(page.rows.len(), PAGE);
    ctx
}

async fn succeed(_: RequestContext, _: Request) -> Result<Response, ApiError> {
    Ok(Response::message("done".to_owned()))
}

#[tokio::test]
async fn a_request_logs_one_line_of_the_declared_length() {
    let test = TestApp::new().await;
    let request = TestRequest::to(Endpoint::DeleteContact, &test.org);
    let log = Log::start();

    test.send(Endpoint::DeleteContact, succeed, &request).await;

    let line = log.take();
    assert_eq!(line.lines().count(), 1, "{line}");
    let declared = LOG_LINE_BYTES - 100..=LOG_LINE_BYTES;
    assert!(declared.contains(&u32::try_from(line.len()).unwrap()), "{} bytes: {line}", line.len());
}
