//! The worker that deletes the children of deleted parents: all of them and nothing else, also after interruptions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::{
    CampaignId, Contact, ContactFilter, ContactId, Email, Id, Import, ImportFilter, ImportId, Kind, Lead, LeadFilter,
    LeadKey, OrgId,
};
use shared::dynamodb::Parent;
use shared::dynamodb::keys::{self, Key};
use shared::invocation::Invocation;
use shared::repositories::Error;
use shared::testing::fault::{self, Fault, FaultProxy, HoldPoint, Operation};
use shared::testing::{Log, TestApp, contact_patch, emf, invocation, jane, parse_body};
use shared::wire::NewActivities;
use shared::worker::{Batch, Outcome, process_batch};
use tokio::time::Instant;

/// An invocation with a deadline later than any test needs.
fn unhurried() -> Invocation {
    invocation(Instant::now() + Duration::from_mins(1))
}

/// The stream record of a removed item.
fn remove_record(key: &Key, sequence_number: u32) -> Value {
    json!({
        "eventID": "1",
        "eventName": "REMOVE",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1,
            "SequenceNumber": sequence_number.to_string(),
            "SizeBytes": 1,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            "Keys": {"pk": {"S": key.pk}, "sk": {"S": key.sk}},
            "OldImage": {"pk": {"S": key.pk}, "expires_at": {"N": "1"}},
        },
    })
}

fn batch(records: &[Value]) -> Batch {
    serde_json::from_value(json!({"Records": records})).unwrap()
}

/// Runs the worker on the removal of the item under this key.
pub(crate) async fn process_removal(test: &TestApp, key: &Key) {
    process(test, key, &[]).await;
}

/// Runs the worker on the removal of the item under this key, which named these imports.
pub(crate) async fn process(test: &TestApp, key: &Key, imports: &[ImportId]) {
    let mut record = remove_record(key, 1);
    record["dynamodb"]["OldImage"]["import_ids"] = json!({"SS": imports});
    assert_eq!(response(&process_batch(&test.app, &batch(&[record]), unhurried()).await), succeeded());
}

fn response(outcome: &Outcome) -> Value {
    serde_json::to_value(outcome).unwrap()
}

/// The response that makes Lambda send the batch again from the record with this sequence number.
fn failed_from(sequence_number: u32) -> Value {
    json!({"batchItemFailures": [{"itemIdentifier": sequence_number.to_string()}]})
}

/// The response that confirms the whole batch.
fn succeeded() -> Value {
    json!({"batchItemFailures": []})
}

/// The keys of a contact and of its tombstone.
fn contact_and_tombstone_keys(test: &TestApp, contact: ContactId) -> [Key; 2] {
    let parent = Parent::Contact(contact);
    [parent.key(test.org.org_id), parent.tombstone(test.org.org_id)]
}

/// Creates a contact with `count` activities.
async fn contact_with_activities(test: &TestApp, email: &str, count: usize) -> ContactId {
    let id = test.create_contact(&test.org, jane(email), None).await.id;
    let repository = test.ctx().activities(&test.principal(&test.org).await, id);
    let mut bodies = Vec::new();
    for n in 0..count {
        bodies.push(json!({"id": format!("act_{n}"), "event_time": "2024-04-18T10:15:00Z", "event_type": "x"}));
    }
    for bodies in bodies.chunks(50) {
        let NewActivities(new) = parse_body(json!(bodies));
        repository.record(&repository.draft(new), |_| None).await.unwrap();
    }
    id
}

async fn delete_contact(test: &TestApp, contact: ContactId) {
    test.ctx().contacts(&test.principal(&test.org).await).delete(contact, None).await.unwrap();
}

/// Deletes a contact with three hundred activities, and returns the batch that reports it, with a fault proxy in place.
async fn deleted_contact_with_300_activities() -> (TestApp, FaultProxy, Batch) {
    let mut test = TestApp::new().await;
    let id = contact_with_activities(&test, "jane@example.com", 300).await;
    delete_contact(&test, id).await;
    assert_eq!(test.count_items("activity").await, 300);
    let proxy = test.start_fault_proxy().await;
    let batch = batch(&[remove_record(&contact_and_tombstone_keys(&test, id)[0], 1)]);
    (test, proxy, batch)
}

#[tokio::test]
async fn the_children_of_a_deleted_contact_are_deleted_and_nothing_else() {
    let test = TestApp::new().await;
    let kept = contact_with_activities(&test, "john@example.com", 30).await;
    test.create_campaign(json!({"name": "Q1", "status": "active"})).await;
    let before = test.items().await;
    let id = contact_with_activities(&test, "jane@example.com", 300).await;
    let lead = Key { sk: "LEAD#1".to_owned(), ..contact_and_tombstone_keys(&test, id)[1].clone() };
    delete_contact(&test, id).await;
    // A lead written after the deletion.
    test.put_item(&lead, json!({"type": {"S": "lead"}})).await;
    let outcome =
        process_batch(&test.app, &batch(&[remove_record(&contact_and_tombstone_keys(&test, id)[0], 1)]), unhurried())
            .await;
    assert_eq!(response(&outcome), succeeded());
    let mut after = test.items().await;
    assert_eq!(test.count_items("tombstone").await, 1, "it expires later");
    after.retain(|item| !item.contains(r#""type":"tombstone""#) && !item.contains(r#""type":"audit_entry""#));
    assert_eq!(after, before);
    assert!(test.stored_contact(kept).await.is_some());
}

#[tokio::test]
async fn the_memberships_of_a_deleted_import_are_deleted_and_its_contacts_stay() {
    let test = TestApp::new().await;
    let import = test.create_import(&test.org).await;
    let other_import = test.create_import(&test.org).await;
    let mut members = Vec::new();
    for n in 0..60 {
        members.push(test.create_contact(&test.org, jane(&format!("{n}@example.com")), Some(import)).await.id);
    }
    let other_contact = test.create_contact(&test.org, jane("kept@example.com"), Some(other_import)).await;
    let ctx = test.ctx();
    let principal = test.principal(&test.org).await;
    let (contacts, imports) = (ctx.contacts(&principal), ctx.imports(&principal));
    imports.delete(import).await.unwrap();
    // A membership written after the deletion, by a process that has cached the import.
    let late = keys::membership(test.org.org_id, import, other_contact.id);
    test.put_item(&late, json!({"type": {"S": "membership"}})).await;
    assert_eq!(test.count_items("membership").await, 62);

    let of_import = ContactFilter { import_id: Some(import), ..ContactFilter::default() };
    let of_both = ContactFilter { email: Some(Email::parse("0@example.com").unwrap()), ..of_import.clone() };
    let assert_nothing_is_reachable = async || {
        for filter in [&of_import, &of_both] {
            assert_eq!(contacts.list::<Contact>(filter, Some(1000), None).await.unwrap().rows, []);
        }
        assert_eq!(imports.get(import).await, Err(Error::NotFound(Kind::Import)));
        assert_eq!(imports.list::<Import>(&ImportFilter::default(), Some(1000), None).await.unwrap().rows.len(), 1);
    };
    assert_nothing_is_reachable().await;
    // Its contacts still contain its id. They can be updated and deleted before and after the worker runs.
    contacts.update(members[0], &contact_patch(json!({"full_name": "Jane Smith"})), None).await.unwrap();
    delete_contact(&test, members[0]).await;
    assert_eq!(test.count_items("membership").await, 61);

    let parent = Parent::Import(import);
    for key in [parent.key(test.org.org_id), parent.tombstone(test.org.org_id)] {
        assert_eq!(
            response(&process_batch(&test.app, &batch(&[remove_record(&key, 1)]), unhurried()).await),
            succeeded()
        );
        assert_eq!(test.count_items("membership").await, 1, "the membership of the other import");
        test.put_item(&late, json!({"type": {"S": "membership"}})).await;
        assert_nothing_is_reachable().await;
    }
    assert_eq!(test.count_items("contact").await, 60);
    contacts.update(members[1], &contact_patch(json!({"email": "new@example.com"})), None).await.unwrap();
    delete_contact(&test, members[1]).await;
    let of_other_import = ContactFilter { import_id: Some(other_import), ..ContactFilter::default() };
    assert_eq!(contacts.list::<Contact>(&of_other_import, Some(1000), None).await.unwrap().rows, [other_contact]);
}

#[tokio::test]
async fn the_children_of_an_existing_parent_are_kept() {
    let test = TestApp::new().await;
    let id = contact_with_activities(&test, "jane@example.com", 30).await;
    let campaign = test.create_campaign(json!({"name": "Q1"})).await.id;
    let import = test.create_import(&test.org).await;
    let org = test.org.org_id;
    test.put_item(&keys::membership(org, import, id), json!({"type": {"S": "membership"}})).await;
    let before = test.items().await;
    let mut records = Vec::new();
    for parent in [Parent::Contact(id), Parent::Campaign(campaign), Parent::Import(import)] {
        records.push(remove_record(&parent.key(org), 1));
        records.push(remove_record(&parent.tombstone(org), 1));
    }
    assert_eq!(response(&process_batch(&test.app, &batch(&records), unhurried()).await), succeeded());
    assert_eq!(test.items().await, before);
}

#[tokio::test]
async fn the_example_event_deletes_the_memberships_that_its_old_image_names() {
    let test = TestApp::new().await;
    let org = OrgId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap();
    let contact = ContactId::parse("01924dd1-4a80-7000-8000-000000000001").unwrap();
    let [named, other] = ["01924dd1-4a80-7000-8000-000000000002", "01924dd1-4a80-7000-8000-000000000003"];
    for import in [named, other] {
        let key = keys::membership(org, ImportId::parse(import).unwrap(), contact);
        test.put_item(&key, json!({"type": {"S": "membership"}})).await;
    }

    let event: Batch = serde_json::from_str(include_str!("../../../events/cascade-delete.json")).unwrap();
    assert_eq!(response(&process_batch(&test.app, &event, unhurried()).await), succeeded());

    let memberships = test.items().await.into_iter().filter(|item| item.contains(r#""type":"membership""#));
    let memberships: Vec<_> = memberships.collect();
    assert!(matches!(&memberships[..], [left] if left.contains(other)), "{memberships:?}");
}

#[tokio::test]
async fn records_may_be_repeated_and_in_any_order() {
    let test = TestApp::new().await;
    let [one, two] = [
        contact_with_activities(&test, "1@example.com", 30).await,
        contact_with_activities(&test, "2@example.com", 30).await,
    ];
    delete_contact(&test, one).await;
    delete_contact(&test, two).await;
    let [[contact_one, tombstone_one], [contact_two, tombstone_two]] =
        [contact_and_tombstone_keys(&test, one), contact_and_tombstone_keys(&test, two)];
    let keys = [&tombstone_two, &contact_one, &contact_one, &tombstone_one, &contact_two, &tombstone_two];
    let records: Vec<_> = keys.into_iter().map(|key| remove_record(key, 1)).collect();
    for _ in 0..2 {
        assert_eq!(response(&process_batch(&test.app, &batch(&records), unhurried()).await), succeeded());
        assert_eq!(test.count_items("activity").await, 0);
    }
    assert_eq!(test.count_items("tombstone").await, 2);
}

#[tokio::test]
async fn a_killed_worker_is_completed_by_the_next() {
    let (test, proxy, batch) = Box::pin(deleted_contact_with_300_activities()).await;
    let mut left = 300;
    for kill in 0..5 {
        // Alternately before and after the deletion of a batch.
        let point = if kill % 2 == 0 { HoldPoint::BeforeExecution } else { HoldPoint::AfterExecution };
        for _ in 0..=kill % 2 {
            proxy.inject(Operation::BatchWriteItem, Fault::Delayed(Duration::ZERO));
        }
        let mut hold = proxy.hold(Operation::BatchWriteItem, point);
        tokio::select! {
            outcome = process_batch(&test.app, &batch, unhurried()) => panic!("kill {kill}: no call was held: {outcome:?}"),
            () = hold.reached() => {}
        }
        let now = test.count_items("activity").await;
        assert!(now > 0 && now < left, "kill {kill}: {now} of {left} are left");
        left = now;
    }
    proxy.clear_faults();
    assert_eq!(response(&process_batch(&test.app, &batch, unhurried()).await), succeeded());
    assert_eq!(test.count_items("activity").await, 0);
}

#[tokio::test]
async fn a_worker_over_its_deadline_reports_the_rest_as_failed() {
    let (test, proxy, batch) = Box::pin(deleted_contact_with_300_activities()).await;
    for round in 0..4 {
        proxy.inject(Operation::BatchWriteItem, Fault::Delayed(Duration::ZERO));
        let hold = proxy.hold(Operation::BatchWriteItem, HoldPoint::BeforeExecution);
        let soon = Instant::now() + Duration::from_millis(300);
        assert_eq!(
            response(&process_batch(&test.app, &batch, invocation(soon)).await),
            failed_from(1),
            "round {round}"
        );
        hold.release();
    }
    proxy.clear_faults();
    assert_eq!(response(&process_batch(&test.app, &batch, unhurried()).await), succeeded());
    assert_eq!(test.count_items("activity").await, 0);
}

#[tokio::test]
async fn database_faults_leave_no_children_behind() {
    for fault in [
        Fault::InternalServerError,
        Fault::Unprocessed,
        Fault::RequestLost,
        Fault::ResponseLost,
        Fault::MalformedResponse,
    ] {
        let (test, proxy, batch) = Box::pin(deleted_contact_with_300_activities()).await;
        for operation in [Operation::GetItem, Operation::Query, Operation::BatchWriteItem] {
            for _ in 0..2 {
                if fault.kind().applies_to(operation) {
                    proxy.inject(operation, fault.clone());
                }
            }
        }
        assert_eq!(response(&process_batch(&test.app, &batch, unhurried()).await), succeeded(), "{fault:?}");
        assert_eq!(test.count_items("activity").await, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn a_batch_logs_one_line_with_its_metrics() {
    let test = TestApp::new().await;
    let mut records = Vec::new();
    for n in 1..=2 {
        let id = contact_with_activities(&test, &format!("{n}@example.com"), 5).await;
        delete_contact(&test, id).await;
        records.push(remove_record(&contact_and_tombstone_keys(&test, id)[0], n));
    }
    let log = Log::start();

    process_batch(&test.app, &batch(&records), unhurried()).await;

    let text = log.take();
    let line: Value = serde_json::from_str(&text).unwrap();
    let invocation = unhurried();
    for (name, value) in [
        ("level", json!("INFO")),
        ("operation", json!("cascade_delete")),
        ("lambda_request_id", json!(invocation.request_id)),
        ("trace_id", json!(invocation.trace.unwrap().id())),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    let [emf::Metrics { values, .. }] = &emf::extract(&text).unwrap()[..] else { panic!("{text}") };
    let counted = ["deleted_items", "failed_records", "throttles"].map(|name| values[name]);
    assert_eq!(json!(counted), json!([10.0, 0.0, 0.0]));
    for name in ["duration_ms", "read_units", "write_units"] {
        assert!(values[name] > 0.0, "{name}");
    }
}

#[tokio::test]
async fn a_failed_record_is_reported_with_all_that_follow() {
    let mut test = TestApp::new().await;
    let mut records = Vec::new();
    for n in 1..=3 {
        let id = contact_with_activities(&test, &format!("{n}@example.com"), 5).await;
        delete_contact(&test, id).await;
        records.push(remove_record(&contact_and_tombstone_keys(&test, id)[0], n));
    }
    let proxy = test.start_fault_proxy().await;
    proxy.inject(Operation::BatchWriteItem, Fault::Delayed(Duration::ZERO));
    // Holds every attempt at the second record until the deadline, which leaves enough time for the first record.
    let holds = [(); 10].map(|()| proxy.hold(Operation::BatchWriteItem, HoldPoint::BeforeExecution));
    let soon = Instant::now() + Duration::from_secs(2);
    let log = Log::start();
    let outcome = process_batch(&test.app, &batch(&records), invocation(soon)).await;
    assert_eq!(response(&outcome), failed_from(2));
    let line: Value = serde_json::from_str(&log.take()).unwrap();
    assert_eq!((&line["level"], &line["org_id"]), (&json!("ERROR"), &json!(test.org.org_id)));
    assert_eq!(line["error"], Error::from(shared::dynamodb::Error::Unavailable).to_string());
    assert_eq!((&line["deleted_items"], &line["failed_records"]), (&json!(5), &json!(1)));
    assert_eq!(test.count_items("activity").await, 10, "the first record is processed, the third is not begun");
    drop(holds);
}

#[tokio::test]
async fn a_record_that_is_not_the_removal_of_a_parent_is_ignored() {
    let test = TestApp::new().await;
    let id = contact_with_activities(&test, "jane@example.com", 5).await;
    delete_contact(&test, id).await;
    let before = test.items().await;
    let [contact, tombstone] = contact_and_tombstone_keys(&test, id);
    // The record of the contact's removal with one value replaced.
    let record_with = |pointer: &str, value: Value| {
        let mut record = remove_record(&contact, 1);
        *record.pointer_mut(pointer).unwrap() = value;
        record
    };
    let child = Key { sk: "ACTIVITY#2024".to_owned(), ..tombstone };
    let records = [
        json!({}),
        json!({"eventName": "REMOVE"}),
        json!({"eventName": "REMOVE", "dynamodb": {}}),
        record_with("/eventName", json!("INSERT")),
        record_with("/eventName", json!("MODIFY")),
        record_with("/eventName", json!("")),
        record_with("/dynamodb/Keys", json!({})),
        record_with("/dynamodb/Keys/pk", json!({"N": "1"})),
        record_with("/dynamodb/Keys/pk/S", json!("ORG#x")),
        record_with("/dynamodb/Keys/pk/S", json!("")),
        record_with("/dynamodb/Keys/sk/S", json!("CONTACT#x")),
        record_with("/dynamodb/Keys/sk/S", json!("\u{e9}")),
        record_with("/dynamodb/Keys/sk/S", json!("TOMBSTONE")),
        remove_record(&child, 1),
    ];
    assert_eq!(response(&process_batch(&test.app, &batch(&records), unhurried()).await), succeeded());
    for empty in [json!({}), json!({"Records": []}), json!({"other": 1})] {
        let batch: Batch = serde_json::from_value(empty).unwrap();
        assert_eq!(response(&process_batch(&test.app, &batch, unhurried()).await), succeeded());
    }
    assert_eq!(test.items().await, before);
    // Ignored records do not prevent a valid one after them from being processed.
    let mut records = records.to_vec();
    records.push(remove_record(&contact, 2));
    assert_eq!(response(&process_batch(&test.app, &batch(&records), unhurried()).await), succeeded());
    assert_eq!(test.count_items("activity").await, 0);
}

/// Creates a campaign with `count` leads, of which only the returned contact exists.
async fn campaign_with_leads(test: &TestApp, count: usize) -> (CampaignId, ContactId) {
    let import = test.create_import(&test.org).await;
    let contact = test.create_contact(&test.org, jane("lead@example.com"), Some(import)).await.id;
    test.put_memberships(import, count - 1).await;
    let campaign = test.create_campaign(json!({"name": "Q1", "status": "active"})).await.id;
    test.link_imports(campaign, &[import]).await;
    (campaign, contact)
}

#[tokio::test]
async fn the_leads_of_a_deleted_campaign_are_invisible_and_then_deleted() {
    let test = TestApp::new().await;
    let (campaign, contact) = campaign_with_leads(&test, 60).await;
    let other_lead = test.create_lead().await;
    let id = test.leads_of_contact(contact).await[0].id();
    let principal = test.principal(&test.org).await;
    test.ctx().campaigns(&principal).delete(campaign).await.unwrap();
    assert_eq!(test.count_items("lead").await, 61);
    let leads = test.ctx().leads(&principal);
    assert_eq!(leads.get(id).await, Err(Error::NotFound(Kind::Lead)));
    let ended = parse_body(json!({"lead_status": "ended"}));
    assert_eq!(leads.update(id, &ended).await, Err(Error::NotFound(Kind::Lead)));
    let of_campaign = LeadFilter { campaign_id: Some(campaign), ..LeadFilter::default() };
    let of_contact = LeadFilter { contact_id: Some(contact), ..LeadFilter::default() };
    let all = LeadFilter::default();
    for (filter, visible) in [(of_campaign, vec![]), (of_contact, vec![]), (all, vec![other_lead.clone()])] {
        assert_eq!(leads.list::<Lead>(&filter, Some(100), None).await.unwrap().rows, visible, "{filter:?}");
    }
    process_removal(&test, &Parent::Campaign(campaign).key(test.org.org_id)).await;
    assert_eq!(test.count_items("lead").await, 1);
    assert_eq!(leads.get(other_lead.id()).await, Ok(other_lead));
}

#[tokio::test]
async fn a_lead_that_the_index_did_not_contain_is_deleted_when_the_tombstone_expires() {
    let test = TestApp::new().await;
    let (campaign, _) = campaign_with_leads(&test, 3).await;
    let parent = Parent::Campaign(campaign);
    test.ctx().campaigns(&test.principal(&test.org).await).delete(campaign).await.unwrap();
    process_removal(&test, &parent.key(test.org.org_id)).await;
    // A lead of a call that began before the deletion, which the index contained too late for the worker's first run.
    let late = LeadKey { campaign_id: campaign, contact_id: uuid::Uuid::now_v7().into() };
    let mut item = json!({"type": {"S": "lead"}});
    for (name, value) in keys::lead_in_indexes(test.org.org_id, late) {
        item[name] = json!({"S": value});
    }
    test.put_item(&keys::lead(test.org.org_id, late), item).await;
    process_removal(&test, &parent.tombstone(test.org.org_id)).await;
    assert_eq!(test.count_items("lead").await, 0);
}

#[tokio::test]
async fn a_worker_killed_while_deleting_leads_is_completed_by_the_next() {
    let mut test = TestApp::new().await;
    let (campaign, _) = campaign_with_leads(&test, 200).await;
    test.ctx().campaigns(&test.principal(&test.org).await).delete(campaign).await.unwrap();
    let proxy = test.start_fault_proxy().await;
    let batch = batch(&[remove_record(&Parent::Campaign(campaign).key(test.org.org_id), 1)]);
    for kill in 1..=3 {
        proxy.inject(Operation::BatchWriteItem, Fault::Unprocessed);
        let mut hold = proxy.hold(Operation::BatchWriteItem, HoldPoint::AfterExecution);
        tokio::select! {
            outcome = process_batch(&test.app, &batch, unhurried()) => panic!("kill {kill}: no call was held: {outcome:?}"),
            () = hold.reached() => {}
        }
        assert_eq!(test.count_items("lead").await, 200 - kill * 25, "kill {kill}");
    }
    proxy.inject_randomly(1, 0.3, fault::FaultKind::ALL);
    assert_eq!(response(&process_batch(&test.app, &batch, unhurried()).await), succeeded());
    proxy.clear_faults();
    assert_eq!(test.count_items("lead").await, 0);
}
