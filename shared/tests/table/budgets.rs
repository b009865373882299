//! What changes the [declared cost](shared::testing::costs) of an operation, and what does not: caches, filters, sizes, other
//! campaigns.

use serde_json::json;
use shared::RequestContext;
use shared::domain::{
    Activity, CampaignId, Company, CompanyFilter, CompanyKey, Contact, ContactFilter, Import, ImportFilter,
    ImportStatus, Lead, LeadFilter, RequiredVersion, Scope, TimelineFilter, TimelinePage,
};
use shared::repositories::LastAdminKey;
use shared::testing::costs::{Cost, CostCase};
use shared::testing::{TestApp, contact_patch, jane, parse_body};
use shared::wire::NewActivities;

use crate::costs::{acme, activities_of_realistic_size, assert_cost, create_contact};

const PAGE: TimelinePage = TimelinePage { filter: TimelineFilter::Active, page: 0, limit: 50, after: None };

#[track_caller]
pub(crate) fn assert_calls(ctx: &RequestContext, calls: u32, rounds: u32) {
    let consumed = ctx.consumed_capacity();
    assert_eq!((consumed.calls, consumed.rounds), (calls, rounds), "calls and round trips: {consumed:?}");
}

#[track_caller]
pub(crate) fn assert_units(test: &TestApp, ctx: &RequestContext, read_units: f64, write_units: f64) {
    if test.uses_embedded_engine() {
        let consumed = ctx.consumed_capacity();
        assert!(is_close(consumed.read_units, read_units), "{read_units} read units: {consumed:?}");
        assert!(is_close(consumed.write_units, write_units), "{write_units} write units: {consumed:?}");
    }
}

#[track_caller]
pub(crate) fn assert_write_units(test: &TestApp, ctx: &RequestContext, expected: f64) {
    assert_units(test, ctx, ctx.consumed_capacity().read_units, expected);
}

fn is_close(units: f64, expected: f64) -> bool {
    (units - expected).abs() < 1e-9
}

#[tokio::test]
async fn a_company_is_read_once_and_then_cached() {
    let test = TestApp::new().await;
    let ctx = create_contact(&test, acme("a@example.com"), None).await;
    assert_cost(&test, &ctx, CostCase::CreateContactWithNewCompany);
    let ctx = create_contact(&test, acme("b@example.com"), None).await;
    assert_cost(&test, &ctx, CostCase::CreateContact);
}

#[tokio::test]
async fn reading_a_contact_with_fifty_activities_takes_no_more_calls() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_jane("a@example.com").await;
    let campaign = test.create_campaign(json!({"name": "Q1"})).await;
    let activities = test.ctx().activities(&principal, contact.id);
    let NewActivities(new) = parse_body(activities_of_realistic_size(50));
    activities.record(&activities.draft(new), |_| None).await.unwrap();
    let mut timeline_units = Vec::new();
    for (filter, units_of_contact_and_campaigns) in
        [(TimelineFilter::Any, 1.0), (TimelineFilter::Active, 2.0), (TimelineFilter::Campaign(campaign.id), 2.0)]
    {
        let ctx = test.ctx();
        ctx.contacts(&principal).get::<Activity>(contact.id, &TimelinePage { filter, ..PAGE }).await.unwrap();
        assert_calls(&ctx, 2, 1);
        timeline_units.push(ctx.consumed_capacity().read_units - units_of_contact_and_campaigns);
    }
    if test.uses_embedded_engine() {
        // A read unit is 4 KB: ten for 50 activities of 0.8 KB, and a few for the names of their attributes.
        for units in &timeline_units {
            assert!((10.0..=15.0).contains(units), "{timeline_units:?}");
            assert!(is_close(*units, timeline_units[0]), "{timeline_units:?}");
        }
    }
}

#[tokio::test]
async fn updating_a_contact_is_one_write_without_a_read() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_contact(&test.org, acme("a@example.com"), None).await;
    for body in [
        json!({"locale": "es-ES", "timezone": "Europe/Madrid"}),
        json!({"metadata": {"updated_source": "crm_sync", "score": 1}}),
        // A client sends back the contact that it has read: the email is unchanged, the company is cached.
        json!({"full_name": "Jane Smith", "email": "A@example.com", "company": "ACME", "locale": null}),
        json!({"metadata": null}),
    ] {
        let ctx = test.ctx();
        ctx.contacts(&principal).update(contact.id, &contact_patch(body.clone()), None).await.unwrap();
        assert_cost(&test, &ctx, CostCase::UpdateContact);
    }
    let ctx = test.ctx();
    let required = RequiredVersion::OneOf(vec![5]);
    ctx.contacts(&principal)
        .update(contact.id, &contact_patch(json!({"full_name": "Jane"})), Some(&required))
        .await
        .unwrap();
    assert_cost(&test, &ctx, CostCase::UpdateContact);
}

#[tokio::test]
async fn an_update_without_a_change_is_one_call_whose_condition_fails() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_contact(&test.org, acme("a@example.com"), None).await;
    let ctx = test.ctx();
    ctx.contacts(&principal).update(contact.id, &contact_patch(acme("a@example.com")), None).await.unwrap();
    assert_calls(&ctx, 1, 1);
}

#[tokio::test]
async fn a_new_email_among_other_fields_is_found_by_the_write_that_fails() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_jane("a@example.com").await;
    let ctx = test.ctx();
    let changes = contact_patch(json!({"email": "b@example.com", "locale": "es"}));
    ctx.contacts(&principal).update(contact.id, &changes, None).await.unwrap();
    // The failed write returns the contact, which replaces the read. Engines report no units for it.
    let Cost { calls, rounds, write_units, .. } = CostCase::UpdateContactEmail.cost();
    assert_calls(&ctx, calls, rounds);
    assert_units(&test, &ctx, 0.0, write_units);
}

#[tokio::test]
async fn a_page_of_a_list_is_one_call() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    for n in 0..5 {
        test.create_jane(&format!("{n}@example.com")).await;
    }
    for limit in [3, 5, 1000] {
        let ctx = test.ctx();
        let page =
            ctx.contacts(&principal).list::<Contact>(&ContactFilter::default(), Some(limit), None).await.unwrap();
        assert_eq!(page.rows.len(), limit.min(5));
        assert_eq!(page.next.is_some(), limit < 5);
        assert_calls(&ctx, 1, 1);
    }
}

#[tokio::test]
async fn a_list_without_a_limit_is_one_query_per_megabyte() {
    const MEMBERS: usize = 6_001;
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import_id = test.create_import(&test.org).await;
    test.put_contacts(import_id, MEMBERS).await;

    let ctx = test.ctx();
    let page = ctx.contacts(&principal).list::<Contact>(&ContactFilter::default(), None, None).await.unwrap();
    assert_eq!(page.rows.len(), MEMBERS);
    // Contacts of 0.4 KB.
    assert_calls(&ctx, 3, 3);

    let ctx = test.ctx();
    let filter = ContactFilter { import_id: Some(import_id), ..ContactFilter::default() };
    let page = ctx.contacts(&principal).list::<Contact>(&filter, None, None).await.unwrap();
    assert_eq!(page.rows.len(), MEMBERS);
    // The memberships beside a check that the import exists, then 61 batches of 100 members: 1, 2, 4, and then 8 in parallel.
    assert_calls(&ctx, 2 + 61, 1 + 3 + 7);
}

#[tokio::test]
async fn updating_an_import_is_one_write_without_a_read() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.create_import(&test.org).await;
    let all_fields = json!({
        "source": "crm",
        "file_name": "a.csv",
        "campaign_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "status": "completed",
        "total_rows": 1,
        "mapping_json": {"Name": "full_name"},
    });
    let write = CostCase::UpdateImport.cost().write_units;
    for (body, read_units, write_units) in [
        (all_fields, 0.0, write),
        (json!({"file_name": null, "campaign_id": null, "mapping_json": null}), 0.0, write),
        (json!({}), 1.0, 0.0),
    ] {
        let ctx = test.ctx();
        ctx.imports(&principal).update(import, &parse_body(body)).await.unwrap();
        assert_calls(&ctx, 1, 1);
        assert_units(&test, &ctx, read_units, write_units);
    }
    // An update without a change is one call whose condition fails.
    let ctx = test.ctx();
    ctx.imports(&principal).update(import, &parse_body(json!({"source": "crm", "file_name": null}))).await.unwrap();
    assert_calls(&ctx, 1, 1);
}

#[tokio::test]
async fn a_page_of_imports_and_of_companies_is_one_call() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    for n in 0..5 {
        test.create_import(&test.org).await;
        let mut body = jane(&format!("{n}@example.com"));
        body["company"] = json!(format!("Company {n}"));
        test.create_contact(&test.org, body, None).await;
    }
    for limit in [3, 5, 1000] {
        let ctx = test.ctx();
        let page = ctx.imports(&principal).list::<Import>(&ImportFilter::default(), Some(limit), None).await.unwrap();
        assert_eq!((page.rows.len(), page.next.is_some()), (limit.min(5), limit < 5));
        assert_cost(&test, &ctx, CostCase::ListImports);
        let ctx = test.ctx();
        let page =
            ctx.companies(&principal).list::<Company>(&CompanyFilter::default(), Some(limit), None).await.unwrap();
        assert_eq!((page.rows.len(), page.next.is_some()), (limit.min(5), limit < 5));
        assert_cost(&test, &ctx, CostCase::ListCompanies);
    }
    // Rows that a filter excludes cost no further calls.
    for (status, limit, rows) in [(ImportStatus::Completed, 1, 0), (ImportStatus::Pending, 2, 2)] {
        let ctx = test.ctx();
        let filter = ImportFilter { status: Some(status), ..ImportFilter::default() };
        assert_eq!(ctx.imports(&principal).list::<Import>(&filter, Some(limit), None).await.unwrap().rows.len(), rows);
        assert_cost(&test, &ctx, CostCase::ListImports);
    }
    let ctx = test.ctx();
    let filter = CompanyFilter { name: Some(CompanyKey::parse("company 3").unwrap()) };
    assert_eq!(ctx.companies(&principal).list::<Company>(&filter, Some(1000), None).await.unwrap().rows.len(), 1);
    assert_cost(&test, &ctx, CostCase::ListCompanies);
}

#[tokio::test]
async fn revoking_a_revoked_key_writes_nothing() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let (_, key) = test.create_api_key(&[Scope::Read]).await;
    test.ctx().api_keys(&principal).revoke(key.id, LastAdminKey::Keep).await.unwrap();
    let ctx = test.ctx();
    ctx.api_keys(&principal).revoke(key.id, LastAdminKey::Keep).await.unwrap();
    assert_calls(&ctx, 2, 2);
    assert_units(&test, &ctx, 1.5, 0.0);
}

#[tokio::test]
async fn linking_reads_in_batches_of_a_hundred_and_writes_one_lead_per_call() {
    const CONTACTS: u32 = 990;
    const BATCHES: u32 = CONTACTS.div_ceil(100);
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.create_import(&test.org).await;
    test.put_memberships(import, CONTACTS as usize).await;
    let link = async |campaign: CampaignId| {
        let ctx = test.ctx();
        let linked = ctx.leads(&principal).link(campaign, &[import].into()).await.unwrap();
        (linked.inserted, ctx)
    };
    // The campaign with the active ones and the import in one batch; the memberships.
    let prepare = 1 + 1;
    let update_import = 1;

    let campaign = test.create_campaign(json!({"name": "Q1", "status": "active"})).await.id;
    let (inserted, ctx) = link(campaign).await;
    assert_eq!(inserted, CONTACTS as usize);
    assert_eq!(ctx.consumed_capacity().calls, prepare + BATCHES + CONTACTS + update_import);
    // Three units per lead, which lies in two indexes, and one for the import.
    assert_write_units(&test, &ctx, f64::from(CONTACTS * 3 + 1));

    // All contacts are leads of the campaign: no lead is written.
    let (_, ctx) = link(campaign).await;
    assert_eq!(ctx.consumed_capacity().calls, prepare + BATCHES + update_import);

    // With an account, the other active campaigns are read; the first shares no account, so none of its leads.
    let read_active_campaigns = 1;
    let with_account = json!({
        "name": "Q2",
        "status": "active",
        "provider_account_id": ["7c9e6679-7425-40de-944b-e07fc1f90ae7"],
    });
    let second = test.create_campaign(with_account.clone()).await.id;
    let (_, ctx) = link(second).await;
    assert_eq!(ctx.consumed_capacity().calls, prepare + read_active_campaigns + BATCHES + CONTACTS + update_import);

    // The third campaign shares the account of the second, so the leads of both are read.
    let third = test.create_campaign(with_account).await.id;
    let (inserted, ctx) = link(third).await;
    assert_eq!(inserted, 0);
    assert_eq!(ctx.consumed_capacity().calls, prepare + read_active_campaigns + 2 * BATCHES + update_import);

    // Contacts that are leads of the campaign itself are not looked up in others, so a repeated call that continues an
    // interrupted one soon reaches the point of the interruption.
    let (_, ctx) = link(second).await;
    assert_eq!(ctx.consumed_capacity().calls, prepare + read_active_campaigns + BATCHES + update_import);
}

#[tokio::test]
async fn linking_among_many_competing_campaigns_reads_each_contact_once() {
    const CONTACTS: u32 = 120;
    const COMPETING: u32 = 130;
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let body = json!({
        "name": "Q1",
        "status": "active",
        "provider_account_id": ["7c9e6679-7425-40de-944b-e07fc1f90ae7"],
    });
    let import = test.create_import(&test.org).await;
    test.put_memberships(import, 1).await;
    let first = test.create_campaign(body.clone()).await.id;
    test.link_imports(first, &[import]).await;
    for _ in 1..COMPETING {
        test.create_campaign(body.clone()).await;
    }
    test.put_memberships(import, CONTACTS as usize - 1).await;
    let campaign = test.create_campaign(body).await.id;

    let ctx = test.ctx();
    let linked = ctx.leads(&principal).link(campaign, &[import].into()).await.unwrap();

    assert_eq!((linked.contacts, linked.inserted), (CONTACTS as usize, CONTACTS as usize - 1));
    // The campaign with the active ones and the import in one batch; the memberships; the active campaigns.
    let prepare = 1 + 1 + COMPETING.div_ceil(100);
    let (own_leads, leads_of_contacts, update_import) = ((CONTACTS + 1).div_ceil(100), CONTACTS, 1);
    let calls = prepare + own_leads + leads_of_contacts + (CONTACTS - 1) + update_import;
    assert_eq!(ctx.consumed_capacity().calls, calls);
}

#[tokio::test]
async fn leads_are_found_in_the_index_and_then_read() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.create_import(&test.org).await;
    let contact = test.create_contact(&test.org, jane("a@example.com"), Some(import)).await.id;
    for n in 0..4 {
        test.create_contact(&test.org, jane(&format!("{n}@example.com")), Some(import)).await;
    }
    let campaign = test.create_campaign(json!({"name": "Q1"})).await.id;
    test.link_imports(campaign, &[import]).await;
    for (campaign_id, contact_id, rows) in
        [(None, None, 5), (Some(campaign), None, 5), (None, Some(contact), 1), (Some(campaign), Some(contact), 1)]
    {
        let ctx = test.ctx();
        let filter = LeadFilter { campaign_id, contact_id, status: None };
        let page = ctx.leads(&principal).list::<Lead>(&filter, Some(1000), None).await.unwrap();
        assert_eq!(page.rows.len(), rows);
        assert_calls(&ctx, 3, 2);
    }
}
