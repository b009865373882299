//! Writers at once: what one of them is told is true, whatever the others do.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::json;
use shared::domain::{
    ContactFilter, ContactId, ContactPatch, Email, Kind, RequiredVersion, TimelineFilter, TimelinePage,
};
use shared::dynamodb::Parent;
use shared::repositories::{Error, IdempotencyKey, IdempotencyRecord};
use shared::testing::fault::{Moment, Operation};
use shared::testing::{TestApp, deadline, jane, new_contact, patch, read};
use shared::wire::NewActivities;
use shared::worker::{Batch, process_batch};
use uuid::Uuid;

use crate::bulk::{patient, row, send, upload};

/// How many items of the table are of this type.
async fn count(test: &TestApp, kind: &str) -> usize {
    test.items().await.iter().filter(|item| item.contains(&format!("\"type\":\"{kind}\""))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_creates_of_one_address_make_one_contact() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let creates = (0..60).map(|_| async {
        let contacts = test.ctx().contacts(&principal);
        let contact = contacts.draft(new_contact(jane("jane@example.com")), None);
        contacts.create(&contact, None).await
    });
    let outcomes = join_all(creates).await;
    let taken = Err(Error::EmailTaken(Email::parse("jane@example.com").unwrap()));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == taken).count(), 59);
    assert_eq!((count(&test, "contact").await, count(&test, "email_lock").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_that_share_a_new_company_make_it_once() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let creates = (0..40).map(|n| {
        let (test, principal) = (&test, &principal);
        async move {
            let mut body = jane(&format!("{n}@example.com"));
            body["company"] = json!(if n % 2 == 0 { "Tech Corp" } else { " tech  CORP" });
            let contacts = test.ctx().contacts(principal);
            let contact = contacts.draft(new_contact(body), None);
            contacts.create(&contact, None).await
        }
    });
    assert!(join_all(creates).await.iter().all(Result::is_ok));
    assert_eq!((count(&test, "contact").await, count(&test, "company").await), (40, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_of_different_keys_all_win() {
    for nested in [false, true] {
        let test = TestApp::new().await;
        let principal = test.principal(&test.org).await;
        let contact = test.jane("jane@example.com").await;
        let writers = if nested { 40 } else { 60 };
        let updates = (0..writers).map(|n| {
            let (test, principal) = (&test, &principal);
            let members = json!({format!("key{n}"): n});
            let metadata = if nested { json!({"inner": members}) } else { members };
            async move {
                test.ctx().contacts(principal).update(contact.id, &patch(json!({"metadata": metadata})), None).await
            }
        });
        assert!(join_all(updates).await.iter().all(Result::is_ok));
        let stored = test.stored(contact.id).await.unwrap();
        let enrichment = serde_json::to_value(&stored.enrichment.object).unwrap();
        let keys = if nested { &enrichment["inner"] } else { &enrichment };
        let keys: BTreeSet<_> = keys.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, (0..writers).map(|n| format!("key{n}")).collect());
        assert_eq!(stored.version, writers + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_updates_that_require_one_version_one_wins() {
    for metadata in [json!({"key": 1}), json!({"key": {"inner": 1}})] {
        let test = TestApp::new().await;
        let principal = test.principal(&test.org).await;
        let contact = test.jane("jane@example.com").await;
        let updates = (0..20).map(|n| {
            let (test, principal, mut metadata) = (&test, &principal, metadata.clone());
            metadata["writer"] = json!(n);
            async move {
                let required = RequiredVersion::OneOf(vec![1]);
                test.ctx()
                    .contacts(principal)
                    .update(contact.id, &patch(json!({"metadata": metadata})), Some(&required))
                    .await
            }
        });
        let outcomes = join_all(updates).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Error::VersionMismatch)).count(), 19);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_addresses_leave_locks_and_contacts_one_to_one() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let mut contacts = Vec::new();
    for n in 0..5 {
        contacts.push(test.jane(&format!("{n}@example.com")).await.id);
    }
    let swaps = (0..70).map(|n| {
        let (test, principal, id) = (&test, &principal, contacts[n % 5]);
        // Seven addresses for five contacts, so that some moves succeed.
        let changes = patch(json!({"email": format!("{}@example.com", (n * 3) % 7)}));
        async move { test.ctx().contacts(principal).update(id, &changes, None).await }
    });
    for outcome in join_all(swaps).await {
        assert!(matches!(outcome, Ok(_) | Err(Error::EmailTaken(_))), "{outcome:?}");
    }
    assert_eq!((count(&test, "contact").await, count(&test, "email_lock").await), (5, 5));
    for id in contacts {
        let email = test.stored(id).await.unwrap().details.email;
        let filter = ContactFilter { email: Some(email), ..ContactFilter::default() };
        let found = test.ctx().contacts(&principal).list(&filter, 10, None).await.unwrap();
        assert_eq!(found.rows.iter().map(|contact| contact.id).collect::<Vec<_>>(), [id]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_deleted_under_an_update_stays_deleted() {
    for (operation, changes) in [
        (Operation::UpdateItem, json!({"full_name": "Jane Smith"})),
        (Operation::PutItem, json!({"metadata": {"a": {"b": 1}}})),
        (Operation::TransactWriteItems, json!({"email": "new@example.com"})),
    ] {
        let mut test = TestApp::new().await;
        let contact = test.jane("jane@example.com").await;
        let direct = test.app.clone();
        let proxy = test.behind_faults().await;
        let principal = test.principal(&test.org).await;
        let mut hold = proxy.hold(operation, Moment::Before);
        let changes: ContactPatch = patch(changes);
        let update = async { test.ctx().contacts(&principal).update(contact.id, &changes, None).await };
        let delete = async {
            hold.reached().await;
            let deadline = deadline();
            let deleted = direct.request_context(deadline).contacts(&principal).delete(contact.id, None).await;
            hold.release();
            deleted
        };
        let (updated, deleted) = tokio::join!(update, delete);
        assert_eq!(deleted, Ok(()));
        assert_eq!(updated, Err(Error::NotFound(Kind::Contact)), "{operation:?}");
        assert_eq!((count(&test, "contact").await, count(&test, "email_lock").await), (0, 0), "{operation:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_moved_under_a_delete_leaves_no_lock_behind() {
    let mut test = TestApp::new().await;
    let contact = test.jane("jane@example.com").await;
    let direct = test.app.clone();
    let proxy = test.behind_faults().await;
    let principal = test.principal(&test.org).await;
    let mut hold = proxy.hold(Operation::TransactWriteItems, Moment::Before);
    let delete = async { test.ctx().contacts(&principal).delete(contact.id, None).await };
    let update = async {
        hold.reached().await;
        let deadline = deadline();
        let changes = patch(json!({"email": "new@example.com"}));
        let updated = direct.request_context(deadline).contacts(&principal).update(contact.id, &changes, None).await;
        hold.release();
        updated
    };
    let (deleted, updated) = tokio::join!(delete, update);
    assert!(updated.is_ok() && deleted == Ok(()));
    assert_eq!((count(&test, "contact").await, count(&test, "email_lock").await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_of_one_contact_to_one_new_address_all_succeed() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.jane("jane@example.com").await;
    let changes = patch(json!({"email": "new@example.com"}));
    let updates = (0..10).map(|_| async { test.ctx().contacts(&principal).update(contact.id, &changes, None).await });
    for outcome in join_all(updates).await {
        assert_eq!(outcome.map(|contact| contact.details.email), Ok(Email::parse("new@example.com").unwrap()));
    }
    assert_eq!((count(&test, "contact").await, count(&test, "email_lock").await), (1, 1));
    assert_eq!(test.stored(contact.id).await.map(|contact| contact.version), Some(2), "one of them moved it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_races_the_delete_of_its_contact_is_never_seen_and_does_not_stay() {
    // Alone, and together with the answer to an Idempotency-Key.
    for operation in [Operation::PutItem, Operation::TransactWriteItems] {
        let mut test = TestApp::new().await;
        let contact = test.jane("jane@example.com").await;
        let direct = test.app.clone();
        let proxy = test.behind_faults().await;
        let principal = test.principal(&test.org).await;
        let deadline = deadline();
        let mut hold = proxy.hold(operation, Moment::Before);
        let idempotency_record = || {
            let idempotency_key = IdempotencyKey { method: "POST", path: "/x".to_owned(), key: "key".to_owned() };
            IdempotencyRecord { idempotency_key, fingerprint: "f".to_owned(), response: "a".to_owned() }
        };
        let activities = test.ctx().activities(&principal, contact.id);
        let NewActivities(new) = read(json!({"event_time": "2024-04-18T10:15:00Z", "event_type": "x"}));
        let drafted = activities.draft(new);
        let record = activities.record(&drafted, |_| (operation != Operation::PutItem).then(idempotency_record));
        let tombstone = Parent::Contact(contact.id).tombstone(test.org.org_id);
        let removed = |key: &shared::dynamodb::keys::Key| -> Batch {
            let keys = json!({"pk": {"S": key.pk}, "sk": {"S": key.sk}});
            let record = json!({"eventName": "REMOVE", "dynamodb": {"Keys": keys, "SequenceNumber": "1"}});
            serde_json::from_value(json!({"Records": [record]})).unwrap()
        };
        let delete = async {
            hold.reached().await;
            direct.request_context(deadline).contacts(&principal).delete(contact.id, None).await.unwrap();
            // The worker hears of the delete before the activity is there.
            let own = Parent::Contact(contact.id).key(test.org.org_id);
            process_batch(&direct, &removed(&own), deadline).await;
            hold.release();
        };
        let (recorded, ()) = tokio::join!(record, delete);
        assert!(recorded.is_ok(), "{operation:?}: it was there when the writer looked");
        assert_eq!(count(&test, "activity").await, 1, "{operation:?}: the late write");
        for filter in [TimelineFilter::Any, TimelineFilter::Active] {
            let page = TimelinePage { filter, page: 0, limit: 50, after: None };
            let read = test.ctx().contacts(&principal).get(contact.id, &page).await;
            assert_eq!(read, Err(Error::NotFound(Kind::Contact)), "{operation:?}");
        }
        let patch = read(json!({"metadata": {"opened": true}}));
        let updated = test.ctx().activities(&principal, contact.id).update(&drafted[0].id, &patch).await;
        assert_eq!(updated, Err(Error::NotFound(Kind::Contact)), "{operation:?}");
        process_batch(&direct, &removed(&tombstone), deadline).await;
        assert_eq!(count(&test, "activity").await, 0, "{operation:?}: gone after the tombstone's end");
    }
}

/// Three thousand contacts, a third of which go while they are paged through; and as many come.
#[tokio::test(flavor = "multi_thread")]
async fn paging_repeats_and_skips_nothing_while_others_create_and_delete() {
    const ALL: usize = 3_000;
    let test = TestApp::new().await;
    let import_id = test.import(&test.org).await;
    let principal = test.principal(&test.org).await;
    let rows = upload((0..ALL).map(row));
    assert_eq!(send(&test, &patient(&test), &rows, Some(import_id)).await, Ok((ALL, 0)));
    for import_id in [None, Some(import_id)] {
        let filter = ContactFilter { import_id, ..ContactFilter::default() };
        let pages = async |limit| {
            let (mut ids, mut cursor) = (Vec::new(), None);
            loop {
                let page = test.ctx().contacts(&principal).list(&filter, limit, cursor).await.unwrap();
                ids.extend(page.rows.into_iter().map(|contact| contact.id));
                cursor = page.next;
                if cursor.is_none() {
                    return ids;
                }
            }
        };
        let gone_before = test.count("tombstone").await;
        let there = pages(1000).await;
        let (going, staying): (Vec<_>, Vec<_>) = there.into_iter().partition(|id| Uuid::from(*id).as_u128() % 3 == 0);
        let done = AtomicBool::new(false);
        let still = |_: &&ContactId| !done.load(Ordering::Relaxed);
        let deletes = async {
            for id in going.iter().take_while(still) {
                test.ctx().contacts(&principal).delete(*id, None).await.unwrap();
            }
        };
        let creates = async {
            for _ in going.iter().take_while(still) {
                test.create(&test.org, jane(&format!("{}@example.com", Uuid::new_v4())), import_id).await;
            }
        };
        let reads = async {
            let seen = pages(37).await;
            done.store(true, Ordering::Relaxed);
            seen
        };
        let ((), (), seen) = tokio::join!(deletes, creates, reads);
        let distinct: BTreeSet<_> = seen.iter().copied().collect();
        assert_eq!(distinct.len(), seen.len(), "no contact comes twice");
        assert!(staying.iter().all(|id| distinct.contains(id)), "whoever was there all the time is seen");
        assert!(test.count("tombstone").await > gone_before + 20, "others were at it meanwhile");
    }
}
