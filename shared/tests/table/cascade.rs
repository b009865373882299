//! The worker that clears up: all of what hung on a thing that is gone, and nothing else, however often it is stopped.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::{CampaignId, ContactFilter, ContactId, Email, ImportFilter, Kind, LeadFilter, LeadKey};
use shared::dynamodb::Parent;
use shared::dynamodb::keys::{self, Key};
use shared::repositories::Error;
use shared::testing::fault::{self, Fault, FaultProxy, Moment, Operation};
use shared::testing::{TestApp, jane, patch, read};
use shared::wire::NewActivities;
use shared::worker::{Batch, Outcome, process_batch};
use tokio::time::Instant;

/// Longer than any test takes.
fn later() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// What the stream says of an item that is gone.
fn removed(key: &Key, number: u32) -> Value {
    json!({
        "eventID": "1", "eventName": "REMOVE", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1, "SequenceNumber": number.to_string(), "SizeBytes": 1,
            "StreamViewType": "NEW_AND_OLD_IMAGES", "Keys": {"pk": {"S": key.pk}, "sk": {"S": key.sk}},
            "OldImage": {"pk": {"S": key.pk}, "expires_at": {"N": "1"}},
        },
    })
}

fn batch(records: &[Value]) -> Batch {
    serde_json::from_value(json!({"Records": records})).unwrap()
}

/// Lets the worker hear of the removal of what lay at this key.
pub(crate) async fn clear(test: &TestApp, key: &Key) {
    assert_eq!(failed_at(&process_batch(&test.app, &batch(&[removed(key, 1)]), later()).await), done());
}

fn failed_at(outcome: &Outcome) -> Value {
    serde_json::to_value(outcome).unwrap()
}

/// The answer that sends the batch again from the record of this number.
fn again_from(number: u32) -> Value {
    json!({"batchItemFailures": [{"itemIdentifier": number.to_string()}]})
}

fn done() -> Value {
    json!({"batchItemFailures": []})
}

/// The key of a contact of the test's organization, and that of its tombstone.
fn keys_of(test: &TestApp, contact: ContactId) -> [Key; 2] {
    let parent = Parent::Contact(contact);
    [parent.key(test.org.org_id), parent.tombstone(test.org.org_id)]
}

/// Jane with this address and so many activities.
async fn with_activities(test: &TestApp, email: &str, count: usize) -> ContactId {
    let id = test.create(&test.org, jane(email), None).await.id;
    let repository = test.ctx().activities(&test.principal(&test.org).await, id);
    let one = |n| json!({"id": format!("act_{n}"), "event_time": "2024-04-18T10:15:00Z", "event_type": "x"});
    for chunk in (0..count).collect::<Vec<_>>().chunks(50) {
        let NewActivities(new) = read(chunk.iter().map(one).collect());
        repository.record(&repository.draft(new), |_| None).await.unwrap();
    }
    id
}

async fn delete(test: &TestApp, contact: ContactId) {
    test.ctx().contacts(&test.principal(&test.org).await).delete(contact, None).await.unwrap();
}

/// Three hundred activities whose contact is gone, behind a proxy, and the batch that tells of it.
async fn three_hundred() -> (TestApp, FaultProxy, Batch) {
    let mut test = TestApp::new().await;
    let id = with_activities(&test, "jane@example.com", 300).await;
    delete(&test, id).await;
    assert_eq!(test.count("activity").await, 300);
    let proxy = test.behind_faults().await;
    let batch = batch(&[removed(&keys_of(&test, id)[0], 1)]);
    (test, proxy, batch)
}

#[tokio::test]
async fn what_hung_on_a_contact_goes_and_nothing_else_does() {
    let test = TestApp::new().await;
    let stays = with_activities(&test, "john@example.com", 30).await;
    test.campaign(json!({"name": "Q1", "status": "active"})).await;
    let before = test.items().await;
    let id = with_activities(&test, "jane@example.com", 300).await;
    let lead = Key { sk: "LEAD#1".to_owned(), ..keys_of(&test, id)[1].clone() };
    delete(&test, id).await;
    // A lead that a late writer left.
    test.put_item(&lead, json!({"type": {"S": "lead"}})).await;
    let outcome = process_batch(&test.app, &batch(&[removed(&keys_of(&test, id)[0], 1)]), later()).await;
    assert_eq!(failed_at(&outcome), done());
    let mut after = test.items().await;
    assert_eq!(test.count("tombstone").await, 1, "it goes by itself, later");
    after.retain(|item| !item.contains(r#""type":"tombstone""#));
    assert_eq!(after, before);
    assert!(test.stored(stays).await.is_some());
}

#[tokio::test]
async fn the_memberships_of_an_import_go_with_it_and_its_contacts_stay() {
    let test = TestApp::new().await;
    let [import, stays] = [test.import(&test.org).await, test.import(&test.org).await];
    let mut members = Vec::new();
    for n in 0..60 {
        members.push(test.create(&test.org, jane(&format!("{n}@example.com")), Some(import)).await.id);
    }
    let kept = test.create(&test.org, jane("kept@example.com"), Some(stays)).await;
    let ctx = test.ctx();
    let principal = test.principal(&test.org).await;
    let (contacts, imports) = (ctx.contacts(&principal), ctx.imports(&principal));
    imports.delete(import).await.unwrap();
    // A writer that knew the import and is late.
    let late = keys::membership(test.org.org_id, import, kept.id);
    test.put_item(&late, json!({"type": {"S": "membership"}})).await;
    assert_eq!(test.count("membership").await, 62);

    let of_import = ContactFilter { import_id: Some(import), ..ContactFilter::default() };
    let of_both = ContactFilter { email: Some(Email::parse("0@example.com").unwrap()), ..of_import.clone() };
    let assert_nothing_is_reachable = async || {
        for filter in [&of_import, &of_both] {
            assert_eq!(contacts.list(filter, 1000, None).await.unwrap().rows, []);
        }
        assert_eq!(imports.get(import).await, Err(Error::NotFound(Kind::Import)));
        assert_eq!(imports.list(&ImportFilter::default(), 1000, None).await.unwrap().rows.len(), 1);
    };
    assert_nothing_is_reachable().await;
    // Its contacts name it still, and can be changed and deleted before the worker came and after.
    contacts.update(members[0], &patch(json!({"full_name": "Jane Smith"})), None).await.unwrap();
    delete(&test, members[0]).await;
    assert_eq!(test.count("membership").await, 61);

    let parent = Parent::Import(import);
    let [gone, stone] = [parent.key(test.org.org_id), parent.tombstone(test.org.org_id)];
    for key in [gone, stone] {
        assert_eq!(failed_at(&process_batch(&test.app, &batch(&[removed(&key, 1)]), later()).await), done());
        assert_eq!(test.count("membership").await, 1, "that of the import that stays");
        test.put_item(&late, json!({"type": {"S": "membership"}})).await;
        assert_nothing_is_reachable().await;
    }
    assert_eq!(test.count("contact").await, 60);
    contacts.update(members[1], &patch(json!({"email": "new@example.com"})), None).await.unwrap();
    delete(&test, members[1]).await;
    let of_stays = ContactFilter { import_id: Some(stays), ..ContactFilter::default() };
    assert_eq!(contacts.list(&of_stays, 1000, None).await.unwrap().rows, [kept]);
}

#[tokio::test]
async fn nothing_of_a_thing_that_is_there_is_touched() {
    let test = TestApp::new().await;
    let id = with_activities(&test, "jane@example.com", 30).await;
    let campaign = test.campaign(json!({"name": "Q1"})).await.id;
    let import = test.import(&test.org).await;
    let org = test.org.org_id;
    test.put_item(&keys::membership(org, import, id), json!({"type": {"S": "membership"}})).await;
    let before = test.items().await;
    let parents = [Parent::Contact(id), Parent::Campaign(campaign), Parent::Import(import)];
    let records: Vec<_> = parents
        .iter()
        .flat_map(|parent| [parent.key(org), parent.tombstone(org)])
        .map(|key| removed(&key, 1))
        .collect();
    assert_eq!(failed_at(&process_batch(&test.app, &batch(&records), later()).await), done());
    assert_eq!(test.items().await, before);
}

#[tokio::test]
async fn records_may_come_twice_and_in_any_order() {
    let test = TestApp::new().await;
    let [one, two] =
        [with_activities(&test, "1@example.com", 30).await, with_activities(&test, "2@example.com", 30).await];
    delete(&test, one).await;
    delete(&test, two).await;
    let [[contact_one, stone_one], [contact_two, stone_two]] = [keys_of(&test, one), keys_of(&test, two)];
    let records = [&stone_two, &contact_one, &contact_one, &stone_one, &contact_two, &stone_two];
    let records: Vec<_> = records.into_iter().map(|key| removed(key, 1)).collect();
    for _ in 0..2 {
        assert_eq!(failed_at(&process_batch(&test.app, &batch(&records), later()).await), done());
        assert_eq!(test.count("activity").await, 0);
    }
    assert_eq!(test.count("tombstone").await, 2);
}

#[tokio::test]
async fn a_worker_that_is_killed_is_taken_up_by_the_next() {
    let (test, proxy, batch) = Box::pin(three_hundred()).await;
    let mut left = 300;
    for kill in 0..5 {
        // Alternately before a part is deleted and after.
        let moment = if kill % 2 == 0 { Moment::Before } else { Moment::After };
        for _ in 0..=kill % 2 {
            proxy.inject(Operation::BatchWriteItem, Fault::Slow(Duration::ZERO));
        }
        let mut hold = proxy.hold(Operation::BatchWriteItem, moment);
        tokio::select! {
            outcome = process_batch(&test.app, &batch, later()) => panic!("kill {kill}: it was not held: {outcome:?}"),
            () = hold.reached() => {}
        }
        let now = test.count("activity").await;
        assert!(now > 0 && now < left, "kill {kill}: {now} of {left} are left");
        left = now;
    }
    proxy.calm();
    assert_eq!(failed_at(&process_batch(&test.app, &batch, later()).await), done());
    assert_eq!(test.count("activity").await, 0);
}

#[tokio::test]
async fn a_worker_whose_time_is_up_hands_the_rest_back() {
    let (test, proxy, batch) = Box::pin(three_hundred()).await;
    for round in 0..4 {
        proxy.inject(Operation::BatchWriteItem, Fault::Slow(Duration::ZERO));
        let hold = proxy.hold(Operation::BatchWriteItem, Moment::Before);
        let soon = Instant::now() + Duration::from_millis(300);
        assert_eq!(failed_at(&process_batch(&test.app, &batch, soon).await), again_from(1), "round {round}");
        hold.release();
    }
    proxy.calm();
    assert_eq!(failed_at(&process_batch(&test.app, &batch, later()).await), done());
    assert_eq!(test.count("activity").await, 0);
}

#[tokio::test]
async fn faults_of_the_database_leave_nothing_behind() {
    for fault in [Fault::Unavailable, Fault::Unprocessed, Fault::ResetBefore, Fault::ResetAfter, Fault::Garbage] {
        let (test, proxy, batch) = Box::pin(three_hundred()).await;
        for operation in [Operation::GetItem, Operation::Query, Operation::BatchWriteItem] {
            for _ in 0..2 {
                if fault.kind().applies_to(operation) {
                    proxy.inject(operation, fault.clone());
                }
            }
        }
        assert_eq!(failed_at(&process_batch(&test.app, &batch, later()).await), done(), "{fault:?}");
        assert_eq!(test.count("activity").await, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn the_first_record_that_fails_is_handed_back_with_all_that_follow() {
    let mut test = TestApp::new().await;
    let mut records = Vec::new();
    for n in 1..=3 {
        let id = with_activities(&test, &format!("{n}@example.com"), 5).await;
        delete(&test, id).await;
        records.push(removed(&keys_of(&test, id)[0], n));
    }
    let proxy = test.behind_faults().await;
    proxy.inject(Operation::BatchWriteItem, Fault::Slow(Duration::ZERO));
    // One for each attempt until the time is up, which is long enough for the first record.
    let holds = [(); 10].map(|()| proxy.hold(Operation::BatchWriteItem, Moment::Before));
    let soon = Instant::now() + Duration::from_secs(2);
    let outcome = process_batch(&test.app, &batch(&records), soon).await;
    assert_eq!(failed_at(&outcome), again_from(2));
    assert_eq!(test.count("activity").await, 10, "the first is done, the third was not begun");
    drop(holds);
}

#[tokio::test]
async fn what_is_no_removal_of_a_parent_is_passed_over() {
    let test = TestApp::new().await;
    let id = with_activities(&test, "jane@example.com", 5).await;
    delete(&test, id).await;
    let before = test.items().await;
    let [contact, stone] = keys_of(&test, id);
    let with = |pointer: &str, value: Value| {
        let mut record = removed(&contact, 1);
        *record.pointer_mut(pointer).unwrap() = value;
        record
    };
    let child = Key { sk: "ACTIVITY#2024".to_owned(), ..stone };
    let records = [
        json!({}),
        json!({"eventName": "REMOVE"}),
        json!({"eventName": "REMOVE", "dynamodb": {}}),
        with("/eventName", json!("INSERT")),
        with("/eventName", json!("MODIFY")),
        with("/eventName", json!("")),
        with("/dynamodb/Keys", json!({})),
        with("/dynamodb/Keys/pk", json!({"N": "1"})),
        with("/dynamodb/Keys/pk/S", json!("ORG#x")),
        with("/dynamodb/Keys/pk/S", json!("")),
        with("/dynamodb/Keys/sk/S", json!("CONTACT#x")),
        with("/dynamodb/Keys/sk/S", json!("\u{e9}")),
        with("/dynamodb/Keys/sk/S", json!("TOMBSTONE")),
        removed(&child, 1),
    ];
    assert_eq!(failed_at(&process_batch(&test.app, &batch(&records), later()).await), done());
    for nothing in [json!({}), json!({"Records": []}), json!({"other": 1})] {
        let batch: Batch = serde_json::from_value(nothing).unwrap();
        assert_eq!(failed_at(&process_batch(&test.app, &batch, later()).await), done());
    }
    assert_eq!(test.items().await, before);
    // And the garbage keeps no good record that follows from being worked off.
    let mut records = records.to_vec();
    records.push(removed(&contact, 2));
    assert_eq!(failed_at(&process_batch(&test.app, &batch(&records), later()).await), done());
    assert_eq!(test.count("activity").await, 0);
}

/// A campaign with so many leads, whose contacts are all but one no more than named; gives that one.
async fn with_leads(test: &TestApp, count: usize) -> (CampaignId, ContactId) {
    let import = test.import(&test.org).await;
    let contact = test.create(&test.org, jane("lead@example.com"), Some(import)).await.id;
    test.members(import, count - 1).await;
    let campaign = test.campaign(json!({"name": "Q1", "status": "active"})).await.id;
    test.link(campaign, &[import]).await;
    (campaign, contact)
}

#[tokio::test]
async fn the_leads_of_a_campaign_are_hidden_with_it_and_go() {
    let test = TestApp::new().await;
    let (campaign, contact) = with_leads(&test, 60).await;
    let stays = test.lead().await;
    let id = test.leads_of(contact).await[0].id();
    let principal = test.principal(&test.org).await;
    test.ctx().campaigns(&principal).delete(campaign).await.unwrap();
    assert_eq!(test.count("lead").await, 61);
    let leads = test.ctx().leads(&principal);
    assert_eq!(leads.get(id).await, Err(Error::NotFound(Kind::Lead)));
    let ended = read(json!({"lead_status": "ended"}));
    assert_eq!(leads.update(id, &ended).await, Err(Error::NotFound(Kind::Lead)));
    let of_campaign = LeadFilter { campaign_id: Some(campaign), ..LeadFilter::default() };
    let of_contact = LeadFilter { contact_id: Some(contact), ..LeadFilter::default() };
    for (filter, seen) in [(of_campaign, vec![]), (of_contact, vec![]), (LeadFilter::default(), vec![stays.clone()])] {
        assert_eq!(leads.list(&filter, 100, None).await.unwrap().rows, seen, "{filter:?}");
    }
    clear(&test, &Parent::Campaign(campaign).key(test.org.org_id)).await;
    assert_eq!(test.count("lead").await, 1);
    assert_eq!(leads.get(stays.id()).await, Ok(stays));
}

#[tokio::test]
async fn what_the_index_did_not_name_yet_goes_with_the_tombstone() {
    let test = TestApp::new().await;
    let (campaign, _) = with_leads(&test, 3).await;
    let parent = Parent::Campaign(campaign);
    test.ctx().campaigns(&test.principal(&test.org).await).delete(campaign).await.unwrap();
    clear(&test, &parent.key(test.org.org_id)).await;
    // A call that had begun before the delete, and the index a moment behind it.
    let late = LeadKey { campaign_id: campaign, contact_id: uuid::Uuid::now_v7().into() };
    let mut item = json!({"type": {"S": "lead"}});
    for (name, value) in keys::lead_in_indexes(test.org.org_id, late) {
        item[name] = json!({"S": value});
    }
    test.put_item(&keys::lead(test.org.org_id, late), item).await;
    clear(&test, &parent.tombstone(test.org.org_id)).await;
    assert_eq!(test.count("lead").await, 0);
}

#[tokio::test]
async fn a_worker_that_is_killed_among_leads_is_taken_up_by_the_next() {
    let mut test = TestApp::new().await;
    let (campaign, _) = with_leads(&test, 200).await;
    test.ctx().campaigns(&test.principal(&test.org).await).delete(campaign).await.unwrap();
    let proxy = test.behind_faults().await;
    let batch = batch(&[removed(&Parent::Campaign(campaign).key(test.org.org_id), 1)]);
    for kill in 1..=3 {
        proxy.inject(Operation::BatchWriteItem, Fault::Unprocessed);
        let mut hold = proxy.hold(Operation::BatchWriteItem, Moment::After);
        tokio::select! {
            outcome = process_batch(&test.app, &batch, later()) => panic!("kill {kill}: it was not held: {outcome:?}"),
            () = hold.reached() => {}
        }
        assert_eq!(test.count("lead").await, 200 - kill * 25, "kill {kill}");
    }
    proxy.randomly(1, 0.3, fault::Kind::ALL);
    assert_eq!(failed_at(&process_batch(&test.app, &batch, later()).await), done());
    proxy.calm();
    assert_eq!(test.count("lead").await, 0);
}
