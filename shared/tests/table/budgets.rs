//! What each operation may cost with credentials, companies and imports known: calls, round trips, capacity units.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::TimeDelta;
use serde_json::json;
use shared::RequestContext;
use shared::auth::{AuthError, Credentials};
use shared::domain::{
    ApiKeySecret, CompanyFilter, CompanyKey, ContactFilter, ContactId, ImportFilter, ImportStatus, LeadFilter, Linked,
    NewApiKey, RequiredVersion, Scope, TimelineFilter, TimelinePage,
};
use shared::repositories::{IdempotencyKey, IdempotencyRecord};
use shared::testing::{TestApp, jane, new_contact, patch, read};
use shared::wire::NewActivities;

const PAGE: TimelinePage = TimelinePage { filter: TimelineFilter::Active, page: 0, limit: 50, after: None };

/// Holds what a request did to its budget. Units are held on the embedded engine only: DynamoDB Local counts those of
/// transactions wrongly.
#[track_caller]
fn assert_cost(test: &TestApp, ctx: &RequestContext, calls: u32, rounds: u32, read_units: f64, write_units: f64) {
    let consumed_capacity = ctx.consumed_capacity();
    assert_eq!(
        (consumed_capacity.calls, consumed_capacity.rounds),
        (calls, rounds),
        "calls and rounds: {consumed_capacity:?}"
    );
    if test.counts_units() {
        let close = |counted: f64, budget: f64| (counted - budget).abs() < 1e-9;
        assert!(
            close(consumed_capacity.read_units, read_units) && close(consumed_capacity.write_units, write_units),
            "units: {consumed_capacity:?}"
        );
    }
}

fn acme(email: &str) -> serde_json::Value {
    let mut body = jane(email);
    body["company"] = json!("Acme");
    body
}

async fn create(test: &TestApp, body: serde_json::Value, import: bool) -> (RequestContext, ContactId) {
    let principal = test.principal(&test.org).await;
    let import_id = if import { Some(test.import(&test.org).await) } else { None };
    let ctx = test.ctx();
    let contacts = ctx.contacts(&principal);
    let contact = contacts.draft(new_contact(body), import_id);
    contacts.create(&contact, None).await.unwrap();
    (ctx, contact.id)
}

#[tokio::test]
async fn a_create_is_one_transaction() {
    let test = TestApp::new().await;
    let (ctx, _) = create(&test, jane("a@example.com"), false).await;
    assert_cost(&test, &ctx, 1, 1, 0.0, 4.0);
}

#[tokio::test]
async fn a_membership_costs_two_units_more_and_no_call() {
    let test = TestApp::new().await;
    let (ctx, _) = create(&test, jane("a@example.com"), true).await;
    assert_cost(&test, &ctx, 1, 1, 0.0, 6.0);
}

#[tokio::test]
async fn a_company_is_looked_up_once_and_then_known() {
    let test = TestApp::new().await;
    let (ctx, _) = create(&test, acme("a@example.com"), false).await;
    assert_cost(&test, &ctx, 2, 2, 1.0, 6.0);
    let (ctx, _) = create(&test, acme("b@example.com"), false).await;
    assert_cost(&test, &ctx, 1, 1, 0.0, 4.0);
}

#[tokio::test]
async fn an_import_and_a_company_are_looked_up_in_one_round() {
    let mut test = TestApp::new().await;
    let import_id = test.import(&test.org).await;
    test.restart();
    let principal = test.principal(&test.org).await;
    let ctx = test.ctx();
    let contacts = ctx.contacts(&principal);
    let contact = contacts.draft(new_contact(acme("a@example.com")), Some(import_id));
    contacts.create(&contact, None).await.unwrap();
    assert_cost(&test, &ctx, 3, 2, 2.0, 8.0);
}

#[tokio::test]
async fn a_kept_answer_costs_two_units_a_kilobyte() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let ctx = test.ctx();
    let contacts = ctx.contacts(&principal);
    let contact = contacts.draft(new_contact(jane("a@example.com")), None);
    let idempotency_key = IdempotencyKey { method: "POST", path: "/contacts".to_owned(), key: "key".to_owned() };
    let idempotency_record =
        IdempotencyRecord { idempotency_key, fingerprint: "f".to_owned(), response: "a".repeat(500) };
    contacts.create(&contact, Some(&idempotency_record)).await.unwrap();
    assert_cost(&test, &ctx, 1, 1, 0.0, 6.0);
}

#[tokio::test]
async fn a_get_is_two_calls_in_one_round() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.jane("a@example.com").await;
    let ctx = test.ctx();
    ctx.contacts(&principal).get(contact.id, &PAGE).await.unwrap();
    let consumed_capacity = ctx.consumed_capacity();
    assert_eq!((consumed_capacity.calls, consumed_capacity.rounds), (2, 1));
    // The contact and the active campaigns, and the Query of a timeline without an entry.
    assert!(!test.counts_units() || consumed_capacity.read_units <= 3.0, "{consumed_capacity:?}");
}

/// Fifty activities as a sender has them: with a text and flags, below 1 KB.
fn fifty() -> Vec<serde_json::Value> {
    let example = shared::testing::TestRequest::example(shared::Endpoint::RecordActivities).body()[0].clone();
    let one = |n: usize| {
        let mut activity = example.clone();
        activity["id"] = json!(format!("act_{n}"));
        activity["event_text"] = json!([{"message": "x".repeat(500)}]);
        activity
    };
    (0..50).map(one).collect()
}

#[tokio::test]
async fn recording_is_two_rounds_and_a_unit_an_activity() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.jane("a@example.com").await;
    for (sent, calls, write_units) in [(json!(fifty()[0]), 2, 1.0), (json!(fifty()[1..]), 50, 49.0)] {
        let ctx = test.ctx();
        let activities = ctx.activities(&principal, contact.id);
        let NewActivities(new) = read(sent);
        activities.record(&activities.draft(new), |_| None).await.unwrap();
        assert_cost(&test, &ctx, calls, 2, 1.0, write_units);
    }
}

#[tokio::test]
async fn fifty_activities_cost_the_get_no_call_more() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.jane("a@example.com").await;
    let campaign = test.campaign(json!({"name": "Q1"})).await;
    let activities = test.ctx().activities(&principal, contact.id);
    let NewActivities(new) = read(json!(fifty()));
    activities.record(&activities.draft(new), |_| None).await.unwrap();
    // A timeline of 50 × 0.8 KB is read in units of 4 KB: ten of them, or a little more with the attributes' names.
    let page = 10.0..=15.0;
    let mut counted = Vec::new();
    for (filter, beside) in
        [(TimelineFilter::Any, 1.0), (TimelineFilter::Active, 2.0), (TimelineFilter::Campaign(campaign.id), 2.0)]
    {
        let ctx = test.ctx();
        ctx.contacts(&principal).get(contact.id, &TimelinePage { filter, ..PAGE }).await.unwrap();
        let consumed_capacity = ctx.consumed_capacity();
        assert_eq!((consumed_capacity.calls, consumed_capacity.rounds), (2, 1), "{filter:?}");
        counted.push(consumed_capacity.read_units - beside);
    }
    if test.counts_units() {
        assert!(counted.iter().all(|units| page.contains(units) && (units - counted[0]).abs() < 1e-9), "{counted:?}");
    }
}

#[tokio::test]
async fn an_update_is_one_write_and_no_read() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create(&test.org, acme("a@example.com"), None).await;
    for body in [
        json!({"locale": "es-ES", "timezone": "Europe/Madrid"}),
        json!({"metadata": {"updated_source": "crm_sync", "score": 1}}),
        // As a client sends a contact back that it has read: the address unchanged, the company known.
        json!({"full_name": "Jane Smith", "email": "A@example.com", "company": "ACME", "locale": null}),
        json!({"metadata": null}),
    ] {
        let ctx = test.ctx();
        ctx.contacts(&principal).update(contact.id, &patch(body.clone()), None).await.unwrap();
        assert_cost(&test, &ctx, 1, 1, 0.0, 1.0);
    }
    let ctx = test.ctx();
    let required = RequiredVersion::OneOf(vec![5]);
    ctx.contacts(&principal).update(contact.id, &patch(json!({"full_name": "Jane"})), Some(&required)).await.unwrap();
    assert_cost(&test, &ctx, 1, 1, 0.0, 1.0);
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_one_refused_call() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create(&test.org, acme("a@example.com"), None).await;
    let ctx = test.ctx();
    ctx.contacts(&principal).update(contact.id, &patch(acme("a@example.com")), None).await.unwrap();
    let consumed_capacity = ctx.consumed_capacity();
    assert_eq!((consumed_capacity.calls, consumed_capacity.rounds), (1, 1));
}

#[tokio::test]
async fn nested_metadata_is_read_and_written_once() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.jane("a@example.com").await;
    let ctx = test.ctx();
    ctx.contacts(&principal).update(contact.id, &patch(json!({"metadata": {"a": {"b": 1}}})), None).await.unwrap();
    assert_cost(&test, &ctx, 2, 2, 1.0, 1.0);
}

#[tokio::test]
async fn a_new_address_is_two_rounds() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.jane("a@example.com").await;
    let ctx = test.ctx();
    ctx.contacts(&principal).update(contact.id, &patch(json!({"email": "b@example.com"})), None).await.unwrap();
    assert_cost(&test, &ctx, 2, 2, 1.0, 6.0);
    // Beside other fields the refused attempt serves as the read; of it the service reports no units.
    let ctx = test.ctx();
    let changes = patch(json!({"email": "c@example.com", "locale": "es"}));
    ctx.contacts(&principal).update(contact.id, &changes, None).await.unwrap();
    assert_cost(&test, &ctx, 2, 2, 0.0, 6.0);
}

#[tokio::test]
async fn a_delete_is_two_rounds() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let (_, id) = create(&test, jane("a@example.com"), true).await;
    let ctx = test.ctx();
    ctx.contacts(&principal).delete(id, None).await.unwrap();
    let consumed_capacity = ctx.consumed_capacity();
    assert_eq!((consumed_capacity.calls, consumed_capacity.rounds), (3, 2));
    assert!(!test.counts_units() || (consumed_capacity.write_units - 8.0).abs() < 1e-9, "{consumed_capacity:?}");
}

#[tokio::test]
async fn a_page_of_a_list_is_one_call() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    for n in 0..5 {
        test.jane(&format!("{n}@example.com")).await;
    }
    for limit in [3, 5, 1000] {
        let ctx = test.ctx();
        let page = ctx.contacts(&principal).list(&ContactFilter::default(), limit, None).await.unwrap();
        assert_eq!(page.rows.len(), limit.min(5));
        assert_eq!(page.next.is_some(), limit < 5);
        let consumed_capacity = ctx.consumed_capacity();
        assert_eq!((consumed_capacity.calls, consumed_capacity.rounds), (1, 1), "limit {limit}");
    }
}

#[tokio::test]
async fn an_import_and_the_count_of_its_contacts_are_two_calls_in_one_round() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.import(&test.org).await;
    for n in 0..15 {
        test.create(&test.org, jane(&format!("{n}@example.com")), Some(import)).await;
    }
    let ctx = test.ctx();
    assert_eq!(ctx.imports(&principal).get(import).await.unwrap().1, 15);
    // A membership is below 0.27 KB: fifteen are read with one unit.
    assert_cost(&test, &ctx, 2, 1, 2.0, 0.0);
}

#[tokio::test]
async fn an_update_of_an_import_is_one_write_and_no_read() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.import(&test.org).await;
    let all = json!({
        "source": "crm", "file_name": "a.csv", "campaign_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "status": "completed", "total_rows": 1, "mapping_json": {"Name": "full_name"},
    });
    for (body, read_units, write_units) in [
        (all.clone(), 0.0, 1.0),
        (json!({"file_name": null, "campaign_id": null, "mapping_json": null}), 0.0, 1.0),
        (json!({}), 1.0, 0.0),
    ] {
        let ctx = test.ctx();
        ctx.imports(&principal).update(import, &read(body)).await.unwrap();
        assert_cost(&test, &ctx, 1, 1, read_units, write_units);
    }
    // What changes nothing is one refused call.
    let ctx = test.ctx();
    ctx.imports(&principal).update(import, &read(json!({"source": "crm", "file_name": null}))).await.unwrap();
    assert_eq!((ctx.consumed_capacity().calls, ctx.consumed_capacity().rounds), (1, 1));
}

#[tokio::test]
async fn a_delete_of_an_import_is_one_transaction_however_many_contacts_it_has() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.import(&test.org).await;
    for n in 0..5 {
        test.create(&test.org, jane(&format!("{n}@example.com")), Some(import)).await;
    }
    let ctx = test.ctx();
    ctx.imports(&principal).delete(import).await.unwrap();
    assert_cost(&test, &ctx, 1, 1, 0.0, 4.0);
}

#[tokio::test]
async fn a_page_of_imports_and_of_companies_is_one_call() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    for n in 0..5 {
        test.import(&test.org).await;
        let mut body = jane(&format!("{n}@example.com"));
        body["company"] = json!(format!("Company {n}"));
        test.create(&test.org, body, None).await;
    }
    for limit in [3, 5, 1000] {
        let ctx = test.ctx();
        let page = ctx.imports(&principal).list(&ImportFilter::default(), limit, None).await.unwrap();
        assert_eq!((page.rows.len(), page.next.is_some()), (limit.min(5), limit < 5));
        assert_cost(&test, &ctx, 1, 1, 1.0, 0.0);
        let ctx = test.ctx();
        let page = ctx.companies(&principal).list(&CompanyFilter::default(), limit, None).await.unwrap();
        assert_eq!((page.rows.len(), page.next.is_some()), (limit.min(5), limit < 5));
        assert_cost(&test, &ctx, 1, 1, 1.0, 0.0);
    }
    // A filter passes rows over, but needs no more calls for that.
    for (status, limit, rows) in [(ImportStatus::Completed, 1, 0), (ImportStatus::Pending, 2, 2)] {
        let ctx = test.ctx();
        let filter = ImportFilter { status: Some(status), ..ImportFilter::default() };
        assert_eq!(ctx.imports(&principal).list(&filter, limit, None).await.unwrap().rows.len(), rows);
        assert_cost(&test, &ctx, 1, 1, 1.0, 0.0);
    }
    let ctx = test.ctx();
    let filter = CompanyFilter { name: Some(CompanyKey::parse("company 3").unwrap()) };
    assert_eq!(ctx.companies(&principal).list(&filter, 1000, None).await.unwrap().rows.len(), 1);
    assert_cost(&test, &ctx, 1, 1, 1.0, 0.0);
}

#[tokio::test]
async fn an_api_key_is_made_in_one_call_found_through_the_index_and_revoked_in_two() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let secret = ApiKeySecret::generate(true).unwrap();
    let scopes = [Scope::Read].into_iter().collect();
    let new = NewApiKey { name: "a".parse().unwrap(), scopes, valid_until: None, live: true };
    let ctx = test.ctx();
    let keys = ctx.api_keys(&principal);
    let key = keys.draft(new, &secret);
    keys.create(&secret.hash(), &key, None).await.unwrap();
    assert_cost(&test, &ctx, 1, 1, 0.0, 3.0);

    let ctx = test.ctx();
    assert_eq!(ctx.api_keys(&principal).list(1000, None).await.unwrap().rows.len(), 5);
    assert_cost(&test, &ctx, 2, 2, 5.5, 0.0);

    for write_units in [1.0, 0.0] {
        let ctx = test.ctx();
        ctx.api_keys(&principal).revoke(key.id).await.unwrap();
        assert_cost(&test, &ctx, 2, 2, 0.5, write_units);
    }
}

#[tokio::test]
async fn an_api_key_is_looked_up_once_a_while_and_not_for_a_typing_error() {
    let test = TestApp::new().await;
    let secret = ApiKeySecret::generate(true).unwrap();
    let calls = async |key: &str| {
        let ctx = test.ctx();
        let credentials = Credentials { api_key: Some(key), ..Credentials::default() };
        let known = match ctx.authenticate(credentials).await {
            Ok(_) => true,
            Err(AuthError::Unauthenticated) => false,
            Err(refusal) => panic!("{refusal:?}"),
        };
        (known, ctx.consumed_capacity().calls)
    };
    let (place, typed) = (12, secret.in_clear());
    let other = if typed[place..].starts_with('0') { "1" } else { "0" };
    let mistyped = [&typed[..place], other, &typed[place + 1..]].concat();
    assert_eq!(calls(&mistyped).await, (false, 0));

    let none = [calls(typed).await, calls(typed).await];
    assert_eq!(none, [(false, 1), (false, 0)], "there is no such key, and it is not asked for each time");
    let scopes = [Scope::Read].into_iter().collect();
    let new = NewApiKey { name: "a".parse().unwrap(), scopes, valid_until: None, live: true };
    let keys = test.ctx().api_keys(&test.principal(&test.org).await);
    let key = keys.draft(new, &secret);
    keys.create(&secret.hash(), &key, None).await.unwrap();
    test.pass(TimeDelta::seconds(4));
    assert_eq!(calls(typed).await, (false, 0));
    test.pass(TimeDelta::seconds(1));
    assert_eq!([calls(typed).await, calls(typed).await], [(true, 1), (true, 0)], "five seconds after it was tried");

    keys.revoke(key.id).await.unwrap();
    test.pass(TimeDelta::seconds(59));
    assert_eq!(calls(typed).await, (true, 0));
    test.pass(TimeDelta::seconds(1));
    assert_eq!(calls(typed).await, (false, 1), "a minute after it was read");
}

#[tokio::test]
async fn linking_reads_in_hundreds_and_writes_a_lead_a_call() {
    const CONTACTS: u32 = 990;
    const BATCHES: u32 = CONTACTS.div_ceil(100);
    let accounts = json!(["7c9e6679-7425-40de-944b-e07fc1f90ae7"]);
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.import(&test.org).await;
    test.members(import, CONTACTS as usize).await;
    let link = async |campaign: serde_json::Value| {
        let campaign = test.campaign(campaign).await.id;
        let ctx = test.ctx();
        let linked = ctx.leads(&principal).link(campaign, &[import].into()).await.unwrap();
        (linked, ctx.consumed_capacity(), campaign)
    };
    // The campaign, the active ones and the import; their members; the leads there are, and those that are made; the
    // import.
    let (Linked { inserted, .. }, consumed_capacity, campaign) = link(json!({"name": "Q1", "status": "active"})).await;
    assert_eq!((inserted, consumed_capacity.calls), (CONTACTS as usize, 1 + 1 + BATCHES + CONTACTS + 1));
    // A lead with its place in two indexes, and the import.
    assert!(
        !test.counts_units() || (consumed_capacity.write_units - f64::from(CONTACTS * 3 + 1)).abs() < 1e-9,
        "{consumed_capacity:?}"
    );
    // No lead, no write: only the import is asked whether it knows its campaign.
    let ctx = test.ctx();
    ctx.leads(&principal).link(campaign, &[import].into()).await.unwrap();
    assert_eq!(ctx.consumed_capacity().calls, 1 + 1 + BATCHES + 1);
    // Of a campaign with accounts the other active ones are looked at, and the leads of those that share one.
    let own = json!({"name": "Q2", "status": "active", "provider_account_id": accounts});
    let (_, consumed_capacity, own_campaign) = link(own.clone()).await;
    assert_eq!(
        consumed_capacity.calls,
        1 + 1 + 1 + BATCHES + CONTACTS + 1,
        "of the first, which shares none, no lead is read"
    );
    let (Linked { inserted, .. }, consumed_capacity, _) = link(own).await;
    assert_eq!((inserted, consumed_capacity.calls), (0, 1 + 1 + 1 + 2 * BATCHES + 1));
    // Whoever is a lead already is looked for once: a call that goes on comes soon to where the last one was stopped.
    let ctx = test.ctx();
    ctx.leads(&principal).link(own_campaign, &[import].into()).await.unwrap();
    assert_eq!(ctx.consumed_capacity().calls, 1 + 1 + 1 + BATCHES + 1);
}

#[tokio::test]
async fn leads_are_found_in_one_round_and_read_in_another() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let import = test.import(&test.org).await;
    let contact = test.create(&test.org, jane("a@example.com"), Some(import)).await.id;
    for n in 0..4 {
        test.create(&test.org, jane(&format!("{n}@example.com")), Some(import)).await;
    }
    let campaign = test.campaign(json!({"name": "Q1"})).await.id;
    test.link(campaign, &[import]).await;
    let lead = test.leads_of(contact).await.pop().unwrap();
    for (campaign_id, contact_id, rows) in
        [(None, None, 5), (Some(campaign), None, 5), (None, Some(contact), 1), (Some(campaign), Some(contact), 1)]
    {
        let ctx = test.ctx();
        let filter = LeadFilter { campaign_id, contact_id, status: None };
        let page = ctx.leads(&principal).list(&filter, 1000, None).await.unwrap();
        assert_eq!(page.rows.len(), rows);
        assert_eq!((ctx.consumed_capacity().calls, ctx.consumed_capacity().rounds), (3, 2), "{filter:?}");
    }
    let ctx = test.ctx();
    ctx.leads(&principal).get(lead.id()).await.unwrap();
    assert_eq!((ctx.consumed_capacity().calls, ctx.consumed_capacity().rounds), (3, 2));
    let ctx = test.ctx();
    ctx.leads(&principal).update(lead.id(), &read(json!({"lead_status": "ended"}))).await.unwrap();
    assert_eq!((ctx.consumed_capacity().calls, ctx.consumed_capacity().rounds), (4, 3));
    // The indexes hold no more than keys: a change of the lead costs nothing there.
    assert!(
        !test.counts_units() || (ctx.consumed_capacity().write_units - 1.0).abs() < 1e-9,
        "{:?}",
        ctx.consumed_capacity()
    );
}
