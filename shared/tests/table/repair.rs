//! Repair: every orphan is found and deleted, and nothing else is touched, also while others write.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::json;
use shared::domain::{ActivityId, CampaignId, Contact, ContactId, Email, ImportId, LeadKey, OrgId};
use shared::dynamodb::keys::{self, Key};
use shared::dynamodb::{self, Parent};
use shared::repositories::Error;
use shared::repositories::repair::{Orphan, OrphanKind, Pause, Repair, RepairLimits, batches};
use shared::testing::fault::{Fault, HoldPoint, Operation};
use shared::testing::{TestApp, contact_patch, jane, new_contact};
use uuid::Uuid;

use crate::faults::transient_faults;

const LIMITS: RepairLimits =
    RepairLimits { units_per_second: NonZeroU32::new(100).unwrap(), call_timeout: Duration::from_secs(25) };

/// A repair that does not pause.
fn repair(test: &TestApp) -> Repair {
    test.app.repair(None, LIMITS).with_pause(no_pause())
}

fn no_pause() -> Pause {
    Box::new(|_| Box::pin(async {}))
}

/// The findings of a whole scan.
#[derive(Debug, Default)]
struct Findings {
    scanned: usize,
    orphans: Vec<Orphan>,
    pending: Vec<OrphanKind>,
    unreadable: Vec<String>,
}

impl Findings {
    /// The kinds of the orphans, in the order of reports.
    fn kinds(&self) -> Vec<OrphanKind> {
        let mut kinds: Vec<_> = self.orphans.iter().map(|orphan| orphan.kind).collect();
        kinds.sort();
        kinds
    }

    fn is_empty(&self) -> bool {
        self.orphans.is_empty() && self.pending.is_empty() && self.unreadable.is_empty()
    }
}

async fn find(repair: &mut Repair) -> Findings {
    let mut findings = Findings::default();
    while let Some(page) = repair.next_page().await.unwrap() {
        findings.scanned += page.scanned;
        findings.orphans.extend(page.orphans);
        findings.pending.extend(page.pending);
        findings.unreadable.extend(page.unreadable.iter().map(ToString::to_string));
    }
    findings
}

/// Mends these orphans and returns the number of deleted items.
async fn mend(repair: &mut Repair, mut orphans: Vec<Orphan>) -> usize {
    let mut deleted = 0;
    for batch in batches(&mut orphans) {
        deleted += repair.mend(batch).await.unwrap();
    }
    deleted
}

/// Makes sure that the table has no orphan, nothing pending and nothing broken.
async fn assert_nothing_is_found(test: &TestApp) {
    let findings = find(&mut repair(test)).await;
    assert!(findings.is_empty(), "{findings:?}");
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// An activity of this contact.
fn activity_key(org: OrgId, contact: ContactId, id: &str) -> Key {
    keys::activity(org, contact, DateTime::UNIX_EPOCH, &ActivityId::parse(id).unwrap())
}

async fn put(test: &TestApp, key: &Key, item_type: &str) {
    test.put_item(key, json!({"type": {"S": item_type}})).await;
}

async fn put_lock(test: &TestApp, address: &str, contact: ContactId) -> Key {
    let key = keys::email_lock(test.org.org_id, &email(address));
    test.put_item(&key, json!({"type": {"S": "email_lock"}, "contact_id": {"S": contact}})).await;
    key
}

/// Stores items of every type that are as they should be, in both organizations.
async fn populate(test: &TestApp) -> Contact {
    let import = test.create_import(&test.org).await;
    let mut body = jane("kept@example.com");
    body["company"] = json!("Tech Corp");
    let contact = test.create_contact(&test.org, body, Some(import)).await;
    test.record_activity(contact.id, json!([{"id": "a", "event_time": "2024-04-18T10:15:00Z", "event_type": "x"}]))
        .await;
    let magnet =
        json!({"name": "Guide", "description": "d", "url": "https://example.com/g.pdf", "content_type": "pdf"});
    let campaign = test.create_campaign(json!({"name": "Q1", "status": "active", "lead_magnet": magnet})).await.id;
    assert_eq!(test.link_imports(campaign, &[import]).await.inserted, 1);
    let other_import = test.create_import(&test.other).await;
    test.create_contact(&test.other, jane("kept@example.com"), Some(other_import)).await;
    put(test, &keys::org_rate_limit(test.org.org_id), "rate_limit").await;
    put(test, &keys::idempotency(test.org.org_id, "POST", "/contacts/", "k"), "idempotency").await;
    put(test, &keys::idempotency(test.org.org_id, "POST", "/contacts/bulk", "k"), "idempotency_lock").await;
    // A contact may name an import that has been deleted, with the tombstone and the memberships gone.
    let deleted = test.create_import(&test.org).await;
    let member = test.create_contact(&test.org, jane("member@example.com"), Some(deleted)).await.id;
    test.ctx().imports(&test.principal(&test.org).await).delete(deleted).await.unwrap();
    test.delete_item(&Parent::Import(deleted).tombstone(test.org.org_id)).await;
    test.delete_item(&keys::membership(test.org.org_id, deleted, member)).await;
    contact
}

/// A contact, an import and a campaign that have been deleted, with a child of each kind per parent that the worker has
/// never heard of: the records of the stream are lost, and the tombstones have expired.
struct Lost {
    contact: ContactId,
    import: ImportId,
    campaign: CampaignId,
    /// What the children need.
    orphans: Vec<(OrphanKind, Parent)>,
}

async fn lose_parents(test: &TestApp) -> Lost {
    let org = test.org.org_id;
    let import = test.create_import(&test.org).await;
    let campaign = test.create_campaign(json!({"name": "Lost"})).await.id;
    let kept = test.create_contact(&test.org, jane("of-lost@example.com"), Some(import)).await.id;
    let contact = test.create_contact(&test.org, jane("lost@example.com"), Some(import)).await.id;
    assert_eq!(test.link_imports(campaign, &[import]).await.inserted, 2);
    test.record_activity(contact, json!([{"id": "a", "event_time": "2024-04-18T10:15:00Z", "event_type": "x"}])).await;
    let (ctx, principal) = (test.ctx(), test.principal(&test.org).await);
    ctx.contacts(&principal).delete(contact, None).await.unwrap();
    ctx.imports(&principal).delete(import).await.unwrap();
    ctx.campaigns(&principal).delete(campaign).await.unwrap();
    for parent in [Parent::Contact(contact), Parent::Import(import), Parent::Campaign(campaign)] {
        test.delete_item(&parent.tombstone(org)).await;
    }
    // The deletion of the contact took them along; a late writer has stored them again.
    let other_import = test.create_import(&test.org).await;
    let campaign_id = test.create_campaign(json!({"name": "Kept"})).await.id;
    put(test, &keys::membership(org, other_import, contact), "membership").await;
    put(test, &keys::lead(org, LeadKey { campaign_id, contact_id: contact }), "lead").await;
    let orphans = vec![
        (OrphanKind::Membership, Parent::Contact(contact)),
        (OrphanKind::Membership, Parent::Import(import)),
        (OrphanKind::Lead, Parent::Contact(contact)),
        (OrphanKind::Lead, Parent::Campaign(campaign)),
        (OrphanKind::Activity, Parent::Contact(contact)),
    ];
    assert!(test.stored_contact(kept).await.is_some());
    Lost { contact, import, campaign, orphans }
}

#[tokio::test]
async fn a_table_without_orphans_has_no_findings() {
    let test = TestApp::new().await;
    populate(&test).await;
    let before = test.items().await;

    let findings = find(&mut repair(&test)).await;

    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(findings.scanned, before.len());
    assert_eq!(test.items().await, before);
}

#[tokio::test]
async fn the_children_that_the_worker_has_missed_are_found_and_then_deleted_and_nothing_else() {
    let test = TestApp::new().await;
    populate(&test).await;
    let lost = lose_parents(&test).await;
    let with_orphans = test.items().await;

    let mut repair = repair(&test);
    let findings = find(&mut repair).await;

    let mut found: Vec<_> = findings.orphans.iter().map(|orphan| (orphan.kind, orphan.parent)).collect();
    found.sort();
    assert_eq!(found, lost.orphans);
    assert_eq!((findings.pending, findings.unreadable), (vec![], vec![]));
    assert_eq!(test.items().await, with_orphans, "a scan changes nothing");

    assert_eq!(mend(&mut repair, findings.orphans).await, lost.orphans.len());

    let gone = [lost.contact.to_string(), lost.import.to_string(), lost.campaign.to_string()];
    let is_orphan = |item: &&String| {
        let item: serde_json::Value = serde_json::from_str(item).unwrap();
        let key = format!("{} {}", item["pk"], item["sk"]);
        gone.iter().any(|id| key.contains(id))
    };
    assert_eq!(with_orphans.iter().filter(is_orphan).count(), lost.orphans.len());
    let expected: Vec<_> = with_orphans.iter().filter(|item| !is_orphan(item)).cloned().collect();
    assert_eq!(test.items().await, expected);
    assert_nothing_is_found(&test).await;
}

#[tokio::test]
async fn the_lock_of_a_contact_that_does_not_exist_is_deleted_and_its_email_is_free() {
    let test = TestApp::new().await;
    populate(&test).await;
    let before = test.items().await;
    let contact = test.create_jane("jane@example.com").await;
    test.delete_item(&keys::contact(test.org.org_id, contact.id)).await;

    let mut repair = repair(&test);
    let findings = find(&mut repair).await;

    let [orphan] = &findings.orphans[..] else { panic!("{findings:?}") };
    assert_eq!(
        (orphan.kind, orphan.org, orphan.parent),
        (OrphanKind::EmailLock, test.org.org_id, Parent::Contact(contact.id))
    );
    let hash = orphan.email_hash().unwrap();
    assert!(keys::email_lock(test.org.org_id, &contact.details.email).pk.ends_with(hash));
    assert_eq!(mend(&mut repair, findings.orphans).await, 1);
    assert_eq!(test.items().await, before);
    assert_nothing_is_found(&test).await;
    test.create_jane("jane@example.com").await;
}

#[tokio::test]
async fn the_lock_of_an_email_that_its_contact_does_not_have_is_deleted_and_the_contact_keeps_its_own() {
    let test = TestApp::new().await;
    let contact = populate(&test).await;
    let before = test.items().await;
    put_lock(&test, "former@example.com", contact.id).await;

    let mut repair = repair(&test);
    let findings = find(&mut repair).await;

    assert_eq!(findings.kinds(), [OrphanKind::EmailLock]);
    assert_eq!(mend(&mut repair, findings.orphans).await, 1);
    assert_eq!(test.items().await, before);
    assert_nothing_is_found(&test).await;
}

#[tokio::test]
async fn a_lock_without_a_contact_is_an_orphan_even_if_the_contact_has_a_tombstone() {
    let test = TestApp::new().await;
    let contact = test.create_jane("jane@example.com").await.id;
    test.ctx().contacts(&test.principal(&test.org).await).delete(contact, None).await.unwrap();
    assert_eq!(test.count_items("tombstone").await, 1);
    put_lock(&test, "jane@example.com", contact).await;

    let mut repair = repair(&test);
    let findings = find(&mut repair).await;

    assert_eq!(findings.kinds(), [OrphanKind::EmailLock]);
    assert_eq!(mend(&mut repair, findings.orphans).await, 1);
    assert_eq!(test.count_items("email_lock").await, 0);
}

#[tokio::test]
async fn children_that_the_worker_will_delete_are_pending_and_kept() {
    let test = TestApp::new().await;
    let import = test.create_import(&test.org).await;
    let campaign = test.create_campaign(json!({"name": "Q1"})).await.id;
    let contact = test.create_contact(&test.org, jane("jane@example.com"), Some(import)).await.id;
    test.create_contact(&test.org, jane("john@example.com"), Some(import)).await;
    test.link_imports(campaign, &[import]).await;
    test.record_activity(contact, json!([{"id": "a", "event_time": "2024-04-18T10:15:00Z", "event_type": "x"}])).await;
    let (ctx, principal) = (test.ctx(), test.principal(&test.org).await);
    ctx.contacts(&principal).delete(contact, None).await.unwrap();
    ctx.imports(&principal).delete(import).await.unwrap();
    ctx.campaigns(&principal).delete(campaign).await.unwrap();
    let before = test.items().await;

    let mut repair = repair(&test);
    let mut findings = find(&mut repair).await;

    findings.pending.sort();
    assert_eq!(findings.pending, [OrphanKind::Membership, OrphanKind::Lead, OrphanKind::Activity]);
    assert_eq!((findings.orphans, findings.unreadable), (vec![], vec![]));
    assert_eq!(test.items().await, before);
}

#[tokio::test]
async fn children_that_become_pending_after_the_scan_are_kept() {
    let test = TestApp::new().await;
    let lost = lose_parents(&test).await;
    let mut repair = repair(&test);
    let findings = find(&mut repair).await;
    for parent in [Parent::Contact(lost.contact), Parent::Import(lost.import), Parent::Campaign(lost.campaign)] {
        put(&test, &parent.tombstone(test.org.org_id), "tombstone").await;
    }
    let before = test.items().await;

    assert_eq!(mend(&mut repair, findings.orphans).await, 0);

    assert_eq!(test.items().await, before);
}

#[tokio::test]
async fn items_that_cannot_be_read_are_reported_and_kept_and_hide_no_orphan() {
    let test = TestApp::new().await;
    let org = test.org.org_id;
    let absent = ContactId::from(Uuid::from_u128(0xabc));
    let children = Parent::Contact(absent).tombstone(org).pk;
    let unreadable = [
        (Key { pk: children.clone(), sk: "ACTIVITY#yesterday#a".to_owned() }, json!({"type": {"S": "activity"}})),
        (Key { pk: children.clone(), sk: "LEAD#1".to_owned() }, json!({"type": {"S": "lead"}})),
        (
            Key { pk: children.to_uppercase(), sk: activity_key(org, absent, "a").sk },
            json!({"type": {"S": "activity"}}),
        ),
        (Key { pk: children.clone(), sk: "NOTE#1".to_owned() }, json!({"type": {"S": "note"}})),
        (activity_key(org, absent, "typeless"), json!({})),
        // A type under the key of another one.
        (activity_key(org, absent, "lead"), json!({"type": {"S": "lead"}})),
        (keys::membership(org, Uuid::nil().into(), absent), json!({"type": {"S": "activity"}})),
        (keys::email_lock(org, &email("1@example.com")), json!({"type": {"S": "email_lock"}})),
        (
            keys::email_lock(org, &email("2@example.com")),
            json!({"type": {"S": "email_lock"}, "contact_id": {"S": "x"}}),
        ),
    ];
    for (key, attributes) in &unreadable {
        test.put_item(key, attributes.clone()).await;
    }
    // Whether a lock is an orphan depends on the email of its contact.
    let nameless = ContactId::from(Uuid::from_u128(0xdef));
    put(&test, &keys::contact(org, nameless), "contact").await;
    put_lock(&test, "3@example.com", nameless).await;
    let before = test.items().await;
    let orphan = activity_key(org, absent, "orphan");
    put(&test, &orphan, "activity").await;

    let mut repair = repair(&test);
    let findings = find(&mut repair).await;

    assert_eq!(findings.unreadable.len(), unreadable.len() + 1, "{findings:#?}");
    for text in &findings.unreadable {
        assert!(text.starts_with("a stored item of type ") && !text.contains("example.com"), "{text}");
    }
    assert_eq!(findings.kinds(), [OrphanKind::Activity]);
    assert_eq!(mend(&mut repair, findings.orphans).await, 1);
    assert_eq!(test.items().await, before);
}

#[tokio::test]
async fn a_repair_of_one_organization_leaves_the_others_alone() {
    let test = TestApp::new().await;
    let absent = ContactId::from(Uuid::from_u128(1));
    for org in [test.org.org_id, test.other.org_id] {
        put(&test, &activity_key(org, absent, "a"), "activity").await;
        put(&test, &Key { sk: "LEAD#1".to_owned(), ..activity_key(org, absent, "a") }, "lead").await;
    }

    let mut repair = test.app.repair(Some(test.other.org_id), LIMITS).with_pause(no_pause());
    let findings = find(&mut repair).await;

    assert_eq!(findings.orphans.iter().map(|orphan| orphan.org).collect::<Vec<_>>(), [test.other.org_id]);
    assert!(matches!(&findings.unreadable[..], [text] if text.contains(&test.other.org_id.to_string())));
    assert_eq!(mend(&mut repair, findings.orphans).await, 1);
    assert_eq!(test.count_items("activity").await, 1);
}

#[tokio::test]
async fn an_interrupted_repair_is_completed_by_the_next() {
    const MEMBERS: usize = 300;
    let test = TestApp::new().await;
    let import = test.create_import(&test.org).await;
    test.put_contacts(import, MEMBERS).await;
    test.delete_item(&keys::import(test.org.org_id, import)).await;

    let mut first = repair(&test);
    let mut orphans = find(&mut first).await.orphans;
    assert_eq!(orphans.len(), MEMBERS);
    let batch = batches(&mut orphans).next().unwrap();
    let deleted = first.mend(batch).await.unwrap();
    assert!(deleted > 0 && deleted < MEMBERS, "{deleted}");
    drop(first);

    let mut second = repair(&test);
    let orphans = find(&mut second).await.orphans;
    assert_eq!(orphans.len(), MEMBERS - deleted);
    assert_eq!(mend(&mut second, orphans).await, MEMBERS - deleted);
    assert_eq!((test.count_items("membership").await, test.count_items("contact").await), (0, MEMBERS));
    assert_nothing_is_found(&test).await;
}

#[tokio::test]
async fn a_read_of_parents_that_fails_ends_the_run_and_finds_nothing() {
    // The read of the parents, and that of their tombstones.
    for reads_before in [0, 1] {
        let mut test = TestApp::new().await;
        lose_parents(&test).await;
        let before = test.items().await;
        let proxy = test.start_fault_proxy().await;
        for _ in 0..reads_before {
            proxy.inject(Operation::BatchGetItem, Fault::Delayed(Duration::ZERO));
        }
        // More than are sent until the timeout.
        for _ in 0..1_000 {
            proxy.inject(Operation::BatchGetItem, Fault::InternalServerError);
        }
        let limits = RepairLimits { call_timeout: Duration::from_millis(300), ..LIMITS };
        let mut repair = test.app.repair(None, limits).with_pause(no_pause());

        assert_eq!(repair.next_page().await.unwrap_err(), dynamodb::Error::Unavailable);

        proxy.clear_faults();
        assert_eq!(test.items().await, before);
        let findings = find(&mut repair).await;
        assert_eq!(findings.orphans.len(), 5, "the page is read again");
    }
}

#[tokio::test]
async fn no_fault_of_the_database_changes_what_is_found_and_deleted() {
    for operation in [Operation::Scan, Operation::BatchGetItem, Operation::TransactWriteItems] {
        let mut test = TestApp::new().await;
        populate(&test).await;
        let before = test.items().await;
        let proxy = test.start_fault_proxy().await;
        for fault in transient_faults(operation) {
            let absent = ContactId::from(Uuid::now_v7());
            put(&test, &activity_key(test.org.org_id, absent, "a"), "activity").await;
            put_lock(&test, "jane@example.com", absent).await;
            proxy.inject(operation, fault.clone());

            let mut repair = repair(&test);
            let orphans = find(&mut repair).await.orphans;

            assert_eq!(orphans.len(), 2, "{fault:?} of {operation:?}");
            assert_eq!(mend(&mut repair, orphans).await, 2, "{fault:?} of {operation:?}");
            assert_eq!(test.items().await, before, "{fault:?} of {operation:?}");
        }
    }
}

/// A restore, or the import of another platform's data, puts parents in place that were absent.
#[tokio::test]
async fn the_children_and_the_lock_of_a_parent_that_is_restored_after_the_scan_are_kept() {
    let test = TestApp::new().await;
    let org = test.org.org_id;
    let lost = lose_parents(&test).await;
    let contact = test.create_jane("jane@example.com").await.id;
    test.delete_item(&keys::contact(org, contact)).await;
    let mut repair = repair(&test);
    let findings = find(&mut repair).await;
    assert_eq!(findings.orphans.len(), lost.orphans.len() + 1);

    for parent in [Parent::Contact(lost.contact), Parent::Import(lost.import), Parent::Campaign(lost.campaign)] {
        put(&test, &parent.key(org), "restored").await;
    }
    let restored = json!({"type": {"S": "contact"}, "email": {"S": "jane@example.com"}});
    test.put_item(&keys::contact(org, contact), restored).await;
    let before = test.items().await;

    assert_eq!(mend(&mut repair, findings.orphans).await, 0);
    assert_eq!(test.items().await, before);
}

/// The contact is restored between the read of the contact and the transaction that deletes the lock.
#[tokio::test]
async fn the_lock_of_a_contact_that_appears_during_the_deletion_is_kept() {
    let mut test = TestApp::new().await;
    let key = keys::contact(test.org.org_id, Uuid::from_u128(1).into());
    put_lock(&test, "jane@example.com", Uuid::from_u128(1).into()).await;
    let proxy = test.start_fault_proxy().await;
    let mut repair = repair(&test);
    let orphans = find(&mut repair).await.orphans;
    assert_eq!(orphans.len(), 1);

    let mut hold = proxy.hold(Operation::TransactWriteItems, HoldPoint::BeforeExecution);
    let restore = async {
        hold.reached().await;
        test.put_item(&key, json!({"type": {"S": "contact"}, "email": {"S": "jane@example.com"}})).await;
        hold.release();
    };
    let (deleted, ()) = tokio::join!(mend(&mut repair, orphans), restore);

    assert_eq!(deleted, 0);
    assert_eq!((test.count_items("email_lock").await, test.count_items("contact").await), (1, 1));
}

#[tokio::test]
async fn a_lock_that_a_new_contact_has_taken_since_the_scan_is_kept() {
    let test = TestApp::new().await;
    let lock = put_lock(&test, "jane@example.com", Uuid::from_u128(1).into()).await;
    let mut repair = repair(&test);
    let orphans = find(&mut repair).await.orphans;
    assert_eq!(orphans.len(), 1);
    test.delete_item(&lock).await;
    test.create_jane("jane@example.com").await;
    let before = test.items().await;

    assert_eq!(mend(&mut repair, orphans).await, 0);

    assert_eq!(test.items().await, before);
}

/// The lock becomes valid in between: the contact gets the email of the lock, before or after the contact is read
/// again.
#[tokio::test]
async fn a_lock_that_its_contact_has_needed_again_since_the_scan_is_kept() {
    for point in [HoldPoint::BeforeExecution, HoldPoint::AfterExecution] {
        let mut test = TestApp::new().await;
        let contact = test.create_jane("new@example.com").await.id;
        let lock = put_lock(&test, "jane@example.com", contact).await;
        let contacts = test.ctx().contacts(&test.principal(&test.org).await);
        let proxy = test.start_fault_proxy().await;
        let mut repair = repair(&test);
        let orphans = find(&mut repair).await.orphans;
        assert_eq!(orphans.len(), 1);

        let mut hold = proxy.hold(Operation::BatchGetItem, point);
        let change = async {
            hold.reached().await;
            test.delete_item(&lock).await;
            contacts.update(contact, &contact_patch(json!({"email": "jane@example.com"})), None).await.unwrap();
            hold.release();
        };
        let (deleted, ()) = tokio::join!(mend(&mut repair, orphans), change);

        assert_eq!(deleted, 0, "{point:?}");
        assert_eq!(test.count_items("email_lock").await, 1, "{point:?}");
        assert_nothing_is_found(&test).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_lose_nothing_to_repairs_that_run_all_the_time() {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 12;
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let is_done = AtomicBool::new(false);
    let import = test.create_import(&test.org).await;
    let writes = (0..WRITERS).map(|writer| {
        let (test, principal) = (&test, &principal);
        async move {
            for round in 0..ROUNDS {
                let contacts = test.ctx().contacts(principal);
                // The same email in every round, of another contact.
                let contact = contacts.draft(new_contact(jane(&format!("{writer}@example.com"))), Some(import));
                contacts.create(&contact, None).await.unwrap();
                for address in [format!("{writer}-{round}@example.com"), format!("{writer}@example.com")] {
                    let patch = contact_patch(json!({"email": address}));
                    contacts.update(contact.id, &patch, None).await.unwrap();
                }
                if round + 1 < ROUNDS {
                    contacts.delete(contact.id, None).await.unwrap();
                }
            }
        }
    });
    let write = async {
        join_all(writes).await;
        is_done.store(true, Ordering::Relaxed);
    };
    let repairs = async {
        while !is_done.load(Ordering::Relaxed) {
            let mut repair = repair(&test);
            let orphans = find(&mut repair).await.orphans;
            mend(&mut repair, orphans).await;
        }
    };
    tokio::join!(write, repairs);

    let counts = [test.count_items("contact"), test.count_items("email_lock"), test.count_items("membership")];
    assert_eq!(join_all(counts).await, [WRITERS; 3]);
    let contacts = test.ctx().contacts(&principal);
    for writer in 0..WRITERS {
        let duplicate = contacts.draft(new_contact(jane(&format!("{writer}@example.com"))), None);
        assert!(matches!(contacts.create(&duplicate, None).await, Err(Error::EmailTaken(_))), "{writer}");
    }
}

#[tokio::test]
async fn no_more_units_are_consumed_than_the_time_allows() {
    // One call: the reads of a hundred parents, or a transaction of a hundred items.
    const LARGEST_CALL: f64 = 200.0;
    let test = TestApp::new().await;
    let import = test.create_import(&test.org).await;
    test.put_contacts(import, 300).await;
    test.delete_item(&keys::import(test.org.org_id, import)).await;
    put_lock(&test, "jane@example.com", Uuid::nil().into()).await;
    // A clock that stands still but for the pauses.
    let clock: Arc<Mutex<Duration>> = Arc::default();
    let paused = Arc::clone(&clock);
    let pause: Pause = Box::new(move |duration| {
        *paused.lock().unwrap() += duration;
        Box::pin(async {})
    });
    let units_per_second = NonZeroU32::new(7).unwrap();
    let mut repair = test.app.repair(None, RepairLimits { units_per_second, ..LIMITS }).with_pause(pause);
    // The units consumed beyond those that the time allows.
    let excess = |repair: &Repair| {
        let capacity = repair.consumed_capacity();
        let allowed = clock.lock().unwrap().as_secs_f64() * f64::from(units_per_second.get());
        capacity.read_units + capacity.write_units - allowed
    };

    let mut orphans = Vec::new();
    while let Some(page) = repair.next_page().await.unwrap() {
        assert!(excess(&repair) <= LARGEST_CALL, "{} units too many", excess(&repair));
        orphans.extend(page.orphans);
    }
    assert_eq!(orphans.len(), 301);
    for batch in batches(&mut orphans) {
        repair.mend(batch).await.unwrap();
        assert!(excess(&repair) <= LARGEST_CALL, "{} units too many", excess(&repair));
    }

    // With another call, all units are paid for. DynamoDB Local counts too few for transactions.
    repair.approximate_item_count().await.unwrap();
    assert!(repair.consumed_capacity().read_units > 300.0, "{:?}", repair.consumed_capacity());
    assert!(excess(&repair).abs() < 0.01, "{} units too many", excess(&repair));
}

/// Random parents, some of which are missing, with random children and locks.
#[tokio::test]
async fn what_is_found_in_a_random_table_is_what_was_planted() {
    for seed in 0..8 {
        let test = TestApp::new().await;
        let mut rng = Rng::with_seed(seed);
        let planted = plant(&test, &mut rng).await;
        let before = test.items().await;

        let mut repair = repair(&test);
        let findings = find(&mut repair).await;
        let mut found: Vec<_> = findings.orphans.iter().map(|orphan| (orphan.kind, orphan.parent)).collect();
        found.sort();
        assert_eq!(found, planted.orphans, "seed {seed}");
        assert_eq!(findings.pending.len(), planted.pending, "seed {seed}");
        assert_eq!(mend(&mut repair, findings.orphans).await, planted.orphans.len(), "seed {seed}");
        assert_eq!(test.items().await.len(), before.len() - planted.orphans.len(), "seed {seed}");
        let again = find(&mut self::repair(&test)).await;
        assert_eq!((again.orphans.len(), again.pending.len()), (0, planted.pending), "seed {seed}");
    }
}

/// What a random table should be judged as.
#[derive(Default)]
struct Planted {
    /// Each orphan with the first parent that it lacks.
    orphans: Vec<(OrphanKind, Parent)>,
    pending: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Exists,
    HasTombstone,
    Gone,
}

async fn plant(test: &TestApp, rng: &mut Rng) -> Planted {
    let org = test.org.org_id;
    let mut parents = Vec::new();
    for n in 0..15 {
        let id = Uuid::from_u128(rng.u128(..));
        let parent = [Parent::Contact(id.into()), Parent::Import(id.into()), Parent::Campaign(id.into())][n % 3];
        let state = rng.choice([State::Exists, State::Exists, State::HasTombstone, State::Gone]).unwrap();
        match (state, parent) {
            (State::Exists, Parent::Contact(id)) => {
                let contact = json!({"type": {"S": "contact"}, "email": {"S": format!("{id}@example.com")}});
                test.put_item(&parent.key(org), contact).await;
            }
            (State::Exists, _) => put(test, &parent.key(org), "parent").await,
            (State::HasTombstone, _) => put(test, &parent.tombstone(org), "tombstone").await,
            (State::Gone, _) => {}
        }
        parents.push((parent, state));
    }
    let mut planted = Planted::default();
    for (contact_parent, contact_state) in &parents {
        let Parent::Contact(contact) = *contact_parent else { continue };
        if rng.bool() {
            put(test, &activity_key(org, contact, "a"), "activity").await;
            planted.add(OrphanKind::Activity, &[(*contact_parent, *contact_state)]);
        }
        for address in [format!("{contact}@example.com"), format!("{contact}@example.org")] {
            if rng.bool() {
                put_lock(test, &address, contact).await;
                if *contact_state != State::Exists || address.ends_with("org") {
                    planted.orphans.push((OrphanKind::EmailLock, *contact_parent));
                }
            }
        }
        for (other, state) in &parents {
            let (kind, key) = match *other {
                Parent::Contact(_) => continue,
                Parent::Import(import) => (OrphanKind::Membership, keys::membership(org, import, contact)),
                Parent::Campaign(campaign_id) => {
                    (OrphanKind::Lead, keys::lead(org, LeadKey { campaign_id, contact_id: contact }))
                }
            };
            if rng.bool() {
                put(test, &key, kind.name()).await;
                planted.add(kind, &[(*contact_parent, *contact_state), (*other, *state)]);
            }
        }
    }
    planted.orphans.sort();
    planted
}

impl Planted {
    /// Adds a child of these parents, as it should be judged.
    fn add(&mut self, kind: OrphanKind, parents: &[(Parent, State)]) {
        let missing = parents.iter().find(|(_, state)| *state != State::Exists);
        if parents.iter().any(|(_, state)| *state == State::HasTombstone) {
            self.pending += 1;
        } else if let Some((parent, _)) = missing {
            self.orphans.push((kind, *parent));
        }
    }
}
