//! The budget of each operation: database calls, round trips and capacity units.
//!
//! Unless a test restarts the app, the caches hold the credentials, companies and imports that the operation needs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::TimeDelta;
use serde_json::json;
use shared::auth::{AuthError, Credentials, Principal};
use shared::domain::{
    Activity, ApiKey, ApiKeySecret, AuditEntry, AuditFilter, CampaignId, Company, CompanyFilter, CompanyKey, Contact,
    ContactFilter, ContactId, Import, ImportFilter, ImportId, ImportStatus, Lead, LeadFilter, NewApiKey,
    RequiredVersion, Scope, TimelineFilter, TimelinePage,
};
use shared::repositories::{IdempotencyKey, IdempotencyRecord, LastAdminKey};
use shared::system;
use shared::testing::{JWT_SECRET, TestApp, TestRequest, contact_patch, deadline, jane, new_contact, parse_body};
use shared::wire::NewActivities;
use shared::{Endpoint, RequestContext};

const PAGE: TimelinePage = TimelinePage { filter: TimelineFilter::Active, page: 0, limit: 50, after: None };

/// The cost of a request. Calls made in parallel are one round trip.
#[derive(Clone, Copy)]
struct Cost {
    calls: u32,
    rounds: u32,
    read_units: f64,
    write_units: f64,
}

/// Asserts what a request has cost. Capacity units are asserted on the embedded engine only, because DynamoDB Local
/// miscounts those of transactions.
#[track_caller]
fn assert_cost(test: &TestApp, ctx: &RequestContext, expected: Cost) {
    let Cost { calls, rounds, read_units, write_units } = expected;
    assert_calls(ctx, calls, rounds);
    if test.uses_embedded_engine() {
        let consumed = ctx.consumed_capacity();
        assert!(is_close(consumed.read_units, read_units), "{read_units} read units: {consumed:?}");
        assert!(is_close(consumed.write_units, write_units), "{write_units} write units: {consumed:?}");
    }
}

#[track_caller]
fn assert_calls(ctx: &RequestContext, calls: u32, rounds: u32) {
    let consumed = ctx.consumed_capacity();
    assert_eq!((consumed.calls, consumed.rounds), (calls, rounds), "calls and round trips: {consumed:?}");
}

#[track_caller]
fn assert_write_units(test: &TestApp, ctx: &RequestContext, expected: f64) {
    let consumed = ctx.consumed_capacity();
    if test.uses_embedded_engine() {
        assert!(is_close(consumed.write_units, expected), "{expected} write units: {consumed:?}");
    }
}

fn is_close(units: f64, expected: f64) -> bool {
    (units - expected).abs() < 1e-9
}

/// Jane Doe of the company Acme.
fn acme(email: &str) -> serde_json::Value {
    let mut body = jane(email);
    body["company"] = json!("Acme");
    body
}

/// Creates a contact, and returns the context that has counted the calls.
async fn create(test: &TestApp, body: serde_json::Value, import_id: Option<ImportId>) -> (RequestContext, ContactId) {
    let principal = test.principal(&test.org).await;
    let ctx = test.ctx();
    let contacts = ctx.contacts(&principal);
    let contact = contacts.draft(new_contact(body), import_id);
    contacts.create(&contact, None).await.unwrap();
    (ctx, contact.id)
}

#[tokio::test]
async fn creating_a_contact_is_one_transaction() {
    let test = TestApp::new().await;
    let (ctx, _) = create(&test, jane("a@example.com"), None).await;
    assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 0.0, write_units: 4.0 });
}

#[tokio::test]
async fn a_membership_adds_two_write_units_and_no_call() {
    let test = TestApp::new().await;
    let import = test.create_import(&test.org).await;
    let (ctx, _) = create(&test, jane("a@example.com"), Some(import)).await;
    assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 0.0, write_units: 6.0 });
}

#[tokio::test]
async fn a_company_is_read_once_and_then_cached() {
    let test = TestApp::new().await;
    let (ctx, _) = create(&test, acme("a@example.com"), None).await;
    assert_cost(&test, &ctx, Cost { calls: 2, rounds: 2, read_units: 1.0, write_units: 6.0 });
    let (ctx, _) = create(&test, acme("b@example.com"), None).await;
    assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 0.0, write_units: 4.0 });
}

#[tokio::test]
async fn an_uncached_import_and_company_are_read_in_one_round_trip() {
    let mut test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    test.restart();
    let principal = test.principal(&test.org).await;
    let ctx = test.ctx();
    let contacts = ctx.contacts(&principal);
    let contact = contacts.draft(new_contact(acme("a@example.com")), Some(import_id));
    contacts.create(&contact, None).await.unwrap();
    assert_cost(&test, &ctx, Cost { calls: 3, rounds: 2, read_units: 2.0, write_units: 8.0 });
}

#[tokio::test]
async fn a_stored_response_costs_two_write_units_per_kilobyte() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let ctx = test.ctx();
    let contacts = ctx.contacts(&principal);
    let contact = contacts.draft(new_contact(jane("a@example.com")), None);
    let idempotency_key = IdempotencyKey { method: "POST", path: "/contacts".to_owned(), key: "key".to_owned() };
    let idempotency_record =
        IdempotencyRecord { idempotency_key, fingerprint: "f".to_owned(), response: "a".repeat(500) };
    contacts.create(&contact, Some(&idempotency_record)).await.unwrap();
    assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 0.0, write_units: 6.0 });
}

#[tokio::test]
async fn reading_a_contact_is_two_calls_in_one_round_trip() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_jane("a@example.com").await;
    let ctx = test.ctx();
    ctx.contacts(&principal).get::<Activity>(contact.id, &PAGE).await.unwrap();
    assert_calls(&ctx, 2, 1);
    // The contact, the active campaigns, and the query of an empty timeline.
    let consumed = ctx.consumed_capacity();
    assert!(!test.uses_embedded_engine() || consumed.read_units <= 3.0, "{consumed:?}");
}

/// Fifty activities of a realistic size: with a text and flags, below 1 KB.
fn fifty_activities() -> Vec<serde_json::Value> {
    let example = TestRequest::example(Endpoint::RecordActivities).body()[0].clone();
    let mut activities = vec![example; 50];
    for (n, activity) in activities.iter_mut().enumerate() {
        activity["id"] = json!(format!("act_{n}"));
        activity["event_text"] = json!([{"message": "x".repeat(500)}]);
    }
    activities
}

#[tokio::test]
async fn recording_is_two_round_trips_and_one_write_unit_per_activity() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_jane("a@example.com").await;
    let all = fifty_activities();
    for (body, calls, write_units) in [(json!(all[0]), 2, 1.0), (json!(all[1..]), 50, 49.0)] {
        let ctx = test.ctx();
        let activities = ctx.activities(&principal, contact.id);
        let NewActivities(new) = parse_body(body);
        activities.record(&activities.draft(new), |_| None).await.unwrap();
        assert_cost(&test, &ctx, Cost { calls, rounds: 2, read_units: 1.0, write_units });
    }
}

#[tokio::test]
async fn reading_a_contact_with_fifty_activities_takes_no_more_calls() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_jane("a@example.com").await;
    let campaign = test.create_campaign(json!({"name": "Q1"})).await;
    let activities = test.ctx().activities(&principal, contact.id);
    let NewActivities(new) = parse_body(json!(fifty_activities()));
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
        assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 0.0, write_units: 1.0 });
    }
    let ctx = test.ctx();
    let required = RequiredVersion::OneOf(vec![5]);
    ctx.contacts(&principal)
        .update(contact.id, &contact_patch(json!({"full_name": "Jane"})), Some(&required))
        .await
        .unwrap();
    assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 0.0, write_units: 1.0 });
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
async fn an_update_of_nested_metadata_is_one_read_and_one_write() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_jane("a@example.com").await;
    let ctx = test.ctx();
    ctx.contacts(&principal)
        .update(contact.id, &contact_patch(json!({"metadata": {"a": {"b": 1}}})), None)
        .await
        .unwrap();
    assert_cost(&test, &ctx, Cost { calls: 2, rounds: 2, read_units: 1.0, write_units: 1.0 });
}

#[tokio::test]
async fn changing_the_email_is_two_round_trips() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_jane("a@example.com").await;
    let ctx = test.ctx();
    ctx.contacts(&principal).update(contact.id, &contact_patch(json!({"email": "b@example.com"})), None).await.unwrap();
    assert_cost(&test, &ctx, Cost { calls: 2, rounds: 2, read_units: 1.0, write_units: 6.0 });
    // With other fields beside the email, the write whose condition fails returns the contact and replaces the read.
    // DynamoDB reports no read units for it.
    let ctx = test.ctx();
    let changes = contact_patch(json!({"email": "c@example.com", "locale": "es"}));
    ctx.contacts(&principal).update(contact.id, &changes, None).await.unwrap();
    assert_cost(&test, &ctx, Cost { calls: 2, rounds: 2, read_units: 0.0, write_units: 6.0 });
}

#[tokio::test]
async fn deleting_a_contact_is_two_round_trips() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.create_import(&test.org).await;
    let (_, id) = create(&test, jane("a@example.com"), Some(import)).await;
    let ctx = test.ctx();
    ctx.contacts(&principal).delete(id, None).await.unwrap();
    assert_calls(&ctx, 3, 2);
    assert_write_units(&test, &ctx, 10.0);
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
async fn reading_an_import_and_the_count_of_its_contacts_is_one_round_trip() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.create_import(&test.org).await;
    for n in 0..15 {
        test.create_contact(&test.org, jane(&format!("{n}@example.com")), Some(import)).await;
    }
    let ctx = test.ctx();
    assert_eq!(ctx.imports(&principal).get(import).await.unwrap().1, 15);
    // A membership is below 0.27 KB, so one unit reads fifteen.
    assert_cost(&test, &ctx, Cost { calls: 2, rounds: 1, read_units: 2.0, write_units: 0.0 });
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
    for (body, read_units, write_units) in [
        (all_fields, 0.0, 1.0),
        (json!({"file_name": null, "campaign_id": null, "mapping_json": null}), 0.0, 1.0),
        (json!({}), 1.0, 0.0),
    ] {
        let ctx = test.ctx();
        ctx.imports(&principal).update(import, &parse_body(body)).await.unwrap();
        assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units, write_units });
    }
    // An update without a change is one call whose condition fails.
    let ctx = test.ctx();
    ctx.imports(&principal).update(import, &parse_body(json!({"source": "crm", "file_name": null}))).await.unwrap();
    assert_calls(&ctx, 1, 1);
}

#[tokio::test]
async fn deleting_an_import_is_one_transaction_for_any_number_of_contacts() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.create_import(&test.org).await;
    for n in 0..5 {
        test.create_contact(&test.org, jane(&format!("{n}@example.com")), Some(import)).await;
    }
    let ctx = test.ctx();
    ctx.imports(&principal).delete(import).await.unwrap();
    assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 0.0, write_units: 6.0 });
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
        assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 1.0, write_units: 0.0 });
        let ctx = test.ctx();
        let page =
            ctx.companies(&principal).list::<Company>(&CompanyFilter::default(), Some(limit), None).await.unwrap();
        assert_eq!((page.rows.len(), page.next.is_some()), (limit.min(5), limit < 5));
        assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 1.0, write_units: 0.0 });
    }
    // Rows that a filter excludes cost no further calls.
    for (status, limit, rows) in [(ImportStatus::Completed, 1, 0), (ImportStatus::Pending, 2, 2)] {
        let ctx = test.ctx();
        let filter = ImportFilter { status: Some(status), ..ImportFilter::default() };
        assert_eq!(ctx.imports(&principal).list::<Import>(&filter, Some(limit), None).await.unwrap().rows.len(), rows);
        assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 1.0, write_units: 0.0 });
    }
    let ctx = test.ctx();
    let filter = CompanyFilter { name: Some(CompanyKey::parse("company 3").unwrap()) };
    assert_eq!(ctx.companies(&principal).list::<Company>(&filter, Some(1000), None).await.unwrap().rows.len(), 1);
    assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 1.0, write_units: 0.0 });
}

#[tokio::test]
async fn an_api_key_is_created_in_one_call_and_revoked_in_three() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let secret = ApiKeySecret::new(true, system::rng().bytes().unwrap());
    let scopes = [Scope::Read].into_iter().collect();
    let new = NewApiKey { name: "a".parse().unwrap(), scopes, valid_until: None, live: true, rate_limit: None };
    let ctx = test.ctx();
    let keys = ctx.api_keys(&principal);
    let key = keys.draft(new, &secret);
    keys.create(&secret.hash(), &key, None).await.unwrap();
    assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 0.0, write_units: 5.0 });

    let ctx = test.ctx();
    assert_eq!(ctx.api_keys(&principal).list::<ApiKey>(Some(1000), None).await.unwrap().rows.len(), 5);
    // The keys and their last uses are one batch.
    assert_cost(&test, &ctx, Cost { calls: 2, rounds: 2, read_units: 10.5, write_units: 0.0 });

    for (calls, write_units) in [(3, 4.0), (2, 0.0)] {
        let ctx = test.ctx();
        ctx.api_keys(&principal).revoke(key.id, LastAdminKey::Keep).await.unwrap();
        assert_cost(&test, &ctx, Cost { calls, rounds: calls, read_units: 1.5, write_units });
    }

    // That of an admin key reads the others, in one batch of a hundred, and checks one of them.
    let (_, admin) = test.create_api_key(&[Scope::Admin]).await;
    let ctx = test.ctx();
    ctx.api_keys(&principal).revoke(admin.id, LastAdminKey::Keep).await.unwrap();
    assert_calls(&ctx, 5, 5);
    assert_write_units(&test, &ctx, 6.0);
}

#[tokio::test]
async fn the_use_of_a_key_is_one_write_per_hour_and_process_beside_the_request() {
    let test = TestApp::new().await;
    test.stop_clock();
    let principal = test.principal(&test.org).await;
    let none = Cost { calls: 0, rounds: 0, read_units: 0.0, write_units: 0.0 };
    for _ in 0..3 {
        let ctx = test.ctx();
        let imports = ctx.imports(&principal);
        let filter = ImportFilter::default();
        let (page, ()) = tokio::join!(imports.list::<Import>(&filter, None, None), ctx.record_key_use(&principal));
        page.unwrap();
        assert_calls(&ctx, 2, 1);
        assert_write_units(&test, &ctx, 1.0);
        for _ in 0..59 {
            test.advance_clock(TimeDelta::minutes(1));
            let ctx = test.ctx();
            ctx.record_key_use(&principal).await;
            assert_cost(&test, &ctx, none);
        }
        test.advance_clock(TimeDelta::minutes(1));
    }
    // Another process at the same time, whose write may be refused.
    test.ctx().record_key_use(&principal).await;
    let ctx = test.start_plain_process().request_context(deadline(), "test");
    ctx.record_key_use(&principal).await;
    assert_calls(&ctx, 1, 1);
}

#[tokio::test]
async fn a_token_has_no_use_to_record() {
    let test = TestApp::new().await;
    let token = format!("Bearer {}", test.org.jwt(JWT_SECRET, TimeDelta::hours(1)));
    let credentials = Credentials { api_key: None, authorization: Some(&token) };
    let principal = test.ctx().authenticate(credentials).await.unwrap();
    let ctx = test.ctx();
    ctx.record_key_use(&principal).await;
    assert_calls(&ctx, 0, 0);
}

#[tokio::test]
async fn whether_an_organization_is_suspended_is_one_read_per_minute_and_process() {
    let test = TestApp::new().await;
    test.stop_clock();
    let token = format!("Bearer {}", test.org.jwt(JWT_SECRET, TimeDelta::hours(2)));
    let by_key = |key| Credentials { api_key: Some(key), authorization: None };
    let by_token = Credentials { api_key: None, authorization: Some(&token) };
    let [admin, read] = [&test.org.admin_key, &test.org.read_key].map(ApiKeySecret::in_clear);
    let calls = async |credentials: Credentials<'_>| {
        let ctx = test.ctx();
        ctx.authenticate(credentials).await.unwrap();
        ctx.consumed_capacity().calls
    };
    for _ in 0..2 {
        assert_eq!(calls(by_token).await, 1, "the organization");
        assert_eq!(calls(by_key(admin)).await, 1, "the key");
        assert_eq!(calls(by_key(read)).await, 1, "the other key");
        test.advance_clock(TimeDelta::seconds(59));
        assert_eq!(calls(by_key(admin)).await + calls(by_key(read)).await + calls(by_token).await, 0, "cached");
        test.advance_clock(TimeDelta::seconds(1));
    }
}

#[tokio::test]
async fn a_page_of_the_audit_log_is_one_call() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    for _ in 0..5 {
        test.create_api_key(&[Scope::Read]).await;
    }
    for limit in [3, 5, 1000] {
        let ctx = test.ctx();
        let filter = AuditFilter { from: Some(ctx.now() - TimeDelta::hours(1)), ..AuditFilter::default() };
        let page = ctx.audit_log(&principal).list::<AuditEntry>(&filter, Some(limit), None).await.unwrap();
        assert_eq!((page.rows.len(), page.next.is_some()), (limit.min(5), limit < 5));
        assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 1.0, write_units: 0.0 });
    }
}

#[tokio::test]
async fn authentication_caches_api_keys_and_never_reads_a_mistyped_one() {
    let test = TestApp::new().await;
    let secret = ApiKeySecret::new(true, system::rng().bytes().unwrap());
    // Whether the key is accepted, and with how many database calls.
    let authenticate = async |key: &str| {
        let ctx = test.ctx();
        let credentials = Credentials { api_key: Some(key), ..Credentials::default() };
        let accepted = match ctx.authenticate(credentials).await {
            Ok(_) => true,
            Err(AuthError::Unauthenticated) => false,
            Err(error) => panic!("{error:?}"),
        };
        (accepted, ctx.consumed_capacity().calls)
    };

    let key = secret.in_clear();
    let mistyped = with_one_character_replaced(key);
    assert_eq!(authenticate(&mistyped).await, (false, 0), "the checksum is wrong");

    assert_eq!(authenticate(key).await, (false, 1), "no such key");
    assert_eq!(authenticate(key).await, (false, 0), "no such key, cached");

    let scopes = [Scope::Read].into_iter().collect();
    let new = NewApiKey { name: "a".parse().unwrap(), scopes, valid_until: None, live: true, rate_limit: None };
    let keys = test.ctx().api_keys(&test.principal(&test.org).await);
    let created = keys.draft(new, &secret);
    keys.create(&secret.hash(), &created, None).await.unwrap();
    test.advance_clock(TimeDelta::seconds(4));
    assert_eq!(authenticate(key).await, (false, 0), "an unknown key is cached for five seconds");
    test.advance_clock(TimeDelta::seconds(1));
    assert_eq!(authenticate(key).await, (true, 1));
    assert_eq!(authenticate(key).await, (true, 0), "a known key is cached");

    keys.revoke(created.id, LastAdminKey::Keep).await.unwrap();
    test.advance_clock(TimeDelta::seconds(59));
    assert_eq!(authenticate(key).await, (true, 0), "a known key is cached for a minute");
    test.advance_clock(TimeDelta::seconds(1));
    assert_eq!(authenticate(key).await, (false, 1));
}

fn with_one_character_replaced(key: &str) -> String {
    let index = 12;
    let replacement = if key[index..].starts_with('0') { "1" } else { "0" };
    [&key[..index], replacement, &key[index + 1..]].concat()
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
    let lead = test.leads_of_contact(contact).await.pop().unwrap();
    for (campaign_id, contact_id, rows) in
        [(None, None, 5), (Some(campaign), None, 5), (None, Some(contact), 1), (Some(campaign), Some(contact), 1)]
    {
        let ctx = test.ctx();
        let filter = LeadFilter { campaign_id, contact_id, status: None };
        let page = ctx.leads(&principal).list::<Lead>(&filter, Some(1000), None).await.unwrap();
        assert_eq!(page.rows.len(), rows);
        assert_calls(&ctx, 3, 2);
    }
    let ctx = test.ctx();
    ctx.leads(&principal).get(lead.id()).await.unwrap();
    assert_calls(&ctx, 3, 2);
    let ctx = test.ctx();
    ctx.leads(&principal).update(lead.id(), &parse_body(json!({"lead_status": "ended"}))).await.unwrap();
    assert_calls(&ctx, 4, 3);
    // The indexes project keys only, so an update of the lead writes nothing to them.
    assert_write_units(&test, &ctx, 1.0);
}

/// The API with a stopped clock, and a caller whose key has this limit.
async fn with_limited_key(requests_per_second: u32, burst: u32) -> (TestApp, Principal) {
    let test = TestApp::new().await;
    test.stop_clock();
    let key = test.create_limited_key(requests_per_second, burst).await;
    let principal = test.principal_of(&key).await;
    (test, principal)
}

/// Counts a request of the caller, and returns the context that has counted the calls.
async fn limited_request(test: &TestApp, principal: &Principal) -> RequestContext {
    let ctx = test.ctx();
    assert_eq!(ctx.admit(principal).retry_after, None);
    ctx.report_usage(principal).await;
    ctx
}

#[tokio::test]
async fn a_caller_without_a_rate_limit_causes_no_call_and_no_header() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    for _ in 0..100 {
        let ctx = limited_request(&test, &principal).await;
        assert_cost(&test, &ctx, Cost { calls: 0, rounds: 0, read_units: 0.0, write_units: 0.0 });
    }
    assert_eq!(test.ctx().admit(&principal).quotas, []);
}

#[tokio::test]
async fn a_caller_far_below_its_rate_limit_causes_no_call() {
    let (test, principal) = with_limited_key(1_000, 10_000).await;
    for _ in 0..600 {
        let ctx = limited_request(&test, &principal).await;
        assert_cost(&test, &ctx, Cost { calls: 0, rounds: 0, read_units: 0.0, write_units: 0.0 });
        test.advance_clock(TimeDelta::seconds(1));
    }
}

#[tokio::test]
async fn a_caller_near_its_rate_limit_causes_one_write_per_second() {
    let (test, principal) = with_limited_key(10, 10).await;
    for _ in 0..10 {
        let ctx = limited_request(&test, &principal).await;
        assert_cost(&test, &ctx, Cost { calls: 1, rounds: 1, read_units: 0.0, write_units: 1.0 });
        for _ in 0..9 {
            test.advance_clock(TimeDelta::milliseconds(100));
            let ctx = limited_request(&test, &principal).await;
            assert_cost(&test, &ctx, Cost { calls: 0, rounds: 0, read_units: 0.0, write_units: 0.0 });
        }
        test.advance_clock(TimeDelta::milliseconds(100));
    }
}
