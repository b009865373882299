//! Concurrent writers: each gets a true result, and the table stays consistent.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::json;
use shared::domain::{
    Activity, ApiKey, ApiKeyId, AuditAction, Contact, ContactFilter, ContactPatch, Email, Kind, RequiredVersion, Scope,
    TimelineFilter, TimelinePage,
};
use shared::dynamodb::Parent;
use shared::repositories::Error;
use shared::repositories::{IdempotencyKey, IdempotencyRecord, LastAdminKey};
use shared::testing::fault::{Fault, HoldPoint, Operation};
use shared::testing::{TestApp, contact_patch, deadline, invocation, jane, new_contact, parse_body};
use shared::wire::NewActivities;
use shared::worker::{Batch, process_batch};
use uuid::Uuid;

use crate::bulk::{row, send, unhurried_ctx, upload};

/// The number of contacts and of email locks.
async fn contacts_and_locks(test: &TestApp) -> (usize, usize) {
    (test.count_items("contact").await, test.count_items("email_lock").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_concurrent_creates_with_one_email_create_one_contact() {
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
    assert_eq!(contacts_and_locks(&test).await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creates_with_a_new_company_create_it_once() {
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
    assert_eq!((test.count_items("contact").await, test.count_items("company").await), (40, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_of_different_metadata_keys_are_all_stored() {
    for nested in [false, true] {
        let test = TestApp::new().await;
        let principal = test.principal(&test.org).await;
        let contact = test.create_jane("jane@example.com").await;
        let writers = if nested { 40 } else { 60 };
        let updates = (0..writers).map(|n| {
            let (test, principal) = (&test, &principal);
            let members = json!({format!("key{n}"): n});
            let metadata = if nested { json!({"inner": members}) } else { members };
            async move {
                test.ctx()
                    .contacts(principal)
                    .update(contact.id, &contact_patch(json!({"metadata": metadata})), None)
                    .await
            }
        });
        assert!(join_all(updates).await.iter().all(Result::is_ok));
        let stored = test.stored_contact(contact.id).await.unwrap();
        let enrichment = serde_json::to_value(&stored.enrichment.object).unwrap();
        let keys = if nested { &enrichment["inner"] } else { &enrichment };
        let keys: BTreeSet<_> = keys.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, (0..writers).map(|n| format!("key{n}")).collect());
        assert_eq!(stored.version, writers + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_updates_that_require_the_same_version_succeeds() {
    for metadata in [json!({"key": 1}), json!({"key": {"inner": 1}})] {
        let test = TestApp::new().await;
        let principal = test.principal(&test.org).await;
        let contact = test.create_jane("jane@example.com").await;
        let updates = (0..20).map(|n| {
            let (test, principal, mut metadata) = (&test, &principal, metadata.clone());
            metadata["writer"] = json!(n);
            async move {
                let required = RequiredVersion::OneOf(vec![1]);
                test.ctx()
                    .contacts(principal)
                    .update(contact.id, &contact_patch(json!({"metadata": metadata})), Some(&required))
                    .await
            }
        });
        let outcomes = join_all(updates).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Error::VersionMismatch)).count(), 19);
    }
}

/// The response to a conditional update is lost, and others write before it is repeated.
#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_update_recognizes_itself_after_the_writes_of_others() {
    for (operation, changes) in [
        (Operation::UpdateItem, json!({"full_name": "Jane Smith"})),
        (Operation::PutItem, json!({"full_name": "Jane Smith", "metadata": {"a": {"b": 1}}})),
    ] {
        let mut test = TestApp::new().await;
        let id = test.create_jane("jane@example.com").await.id;
        let direct = test.app.clone();
        let proxy = test.start_fault_proxy().await;
        let principal = test.principal(&test.org).await;
        proxy.inject(operation, Fault::ResponseLost);
        let mut hold = proxy.hold(operation, HoldPoint::BeforeExecution);
        let required = |version| RequiredVersion::OneOf(vec![version]);
        let (ctx, changes, first) = (test.ctx(), contact_patch(changes), required(1));
        let update = async { ctx.contacts(&principal).update(id, &changes, Some(&first)).await };
        let others = async {
            hold.reached().await;
            let others = direct.request_context(deadline(), "test").contacts(&principal);
            let mut row = jane("jane@example.com");
            row["locale"] = json!("es");
            let rows = upload([row]);
            others.carry_out(others.plan(&rows.valid, None).await.unwrap()).await.unwrap();
            for (body, required) in [
                (json!({"timezone": "UTC"}), None),
                (json!({"metadata": {"c": {"d": 1}}}), None),
                (json!({"email": "new@example.com"}), None),
                (json!({"timezone": null}), Some(required(6))),
                (json!({"metadata": {"e": {"f": 1}}}), Some(required(7))),
                (json!({"metadata": {"g": 1}}), Some(required(8))),
            ] {
                others.update(id, &contact_patch(body), required.as_ref()).await.unwrap();
            }
            hold.release();
        };
        let (updated, ()) = tokio::join!(update, others);
        let updated = updated.unwrap_or_else(|error| panic!("{operation:?}: {error:?}"));
        assert_eq!(updated.version, 9, "{operation:?}: one write of its own, seven of others");
        assert_eq!(Some(updated), test.stored_contact(id).await, "{operation:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_email_changes_leave_one_lock_per_contact() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let mut contacts = Vec::new();
    for n in 0..5 {
        contacts.push(test.create_jane(&format!("{n}@example.com")).await.id);
    }
    let updates = (0..70).map(|n| {
        let (test, principal, id) = (&test, &principal, contacts[n % 5]);
        // Seven emails for five contacts, so that some changes find a free one.
        let changes = contact_patch(json!({"email": format!("{}@example.com", (n * 3) % 7)}));
        async move { test.ctx().contacts(principal).update(id, &changes, None).await }
    });
    for outcome in join_all(updates).await {
        assert!(matches!(outcome, Ok(_) | Err(Error::EmailTaken(_))), "{outcome:?}");
    }
    assert_eq!(contacts_and_locks(&test).await, (5, 5));
    for id in contacts {
        let email = test.stored_contact(id).await.unwrap().details.email;
        let filter = ContactFilter { email: Some(email), ..ContactFilter::default() };
        let found = test.ctx().contacts(&principal).list::<Contact>(&filter, Some(10), None).await.unwrap();
        assert_eq!(found.rows.iter().map(|contact| contact.id).collect::<Vec<_>>(), [id]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_deleted_during_an_update_stays_deleted() {
    for (operation, changes) in [
        (Operation::UpdateItem, json!({"full_name": "Jane Smith"})),
        (Operation::PutItem, json!({"metadata": {"a": {"b": 1}}})),
        (Operation::TransactWriteItems, json!({"email": "new@example.com"})),
    ] {
        let mut test = TestApp::new().await;
        let contact = test.create_jane("jane@example.com").await;
        let direct = test.app.clone();
        let proxy = test.start_fault_proxy().await;
        let principal = test.principal(&test.org).await;
        let mut hold = proxy.hold(operation, HoldPoint::BeforeExecution);
        let changes: ContactPatch = contact_patch(changes);
        let update = async { test.ctx().contacts(&principal).update(contact.id, &changes, None).await };
        let delete = async {
            hold.reached().await;
            let deadline = deadline();
            let deleted = direct.request_context(deadline, "test").contacts(&principal).delete(contact.id, None).await;
            hold.release();
            deleted
        };
        let (updated, deleted) = tokio::join!(update, delete);
        assert_eq!(deleted, Ok(()));
        assert_eq!(updated, Err(Error::NotFound(Kind::Contact)), "{operation:?}");
        assert_eq!(contacts_and_locks(&test).await, (0, 0), "{operation:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_changed_during_a_delete_leaves_no_lock() {
    let mut test = TestApp::new().await;
    let contact = test.create_jane("jane@example.com").await;
    let direct = test.app.clone();
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    let mut hold = proxy.hold(Operation::TransactWriteItems, HoldPoint::BeforeExecution);
    let delete = async { test.ctx().contacts(&principal).delete(contact.id, None).await };
    let update = async {
        hold.reached().await;
        let deadline = deadline();
        let changes = contact_patch(json!({"email": "new@example.com"}));
        let updated =
            direct.request_context(deadline, "test").contacts(&principal).update(contact.id, &changes, None).await;
        hold.release();
        updated
    };
    let (deleted, updated) = tokio::join!(delete, update);
    assert!(updated.is_ok(), "{updated:?}");
    assert_eq!(deleted, Ok(()));
    assert_eq!(contacts_and_locks(&test).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_of_one_contact_to_one_new_email_all_succeed() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_jane("jane@example.com").await;
    let changes = contact_patch(json!({"email": "new@example.com"}));
    let updates = (0..10).map(|_| async { test.ctx().contacts(&principal).update(contact.id, &changes, None).await });
    for outcome in join_all(updates).await {
        assert_eq!(outcome.map(|contact| contact.details.email), Ok(Email::parse("new@example.com").unwrap()));
    }
    assert_eq!(contacts_and_locks(&test).await, (1, 1));
    assert_eq!(
        test.stored_contact(contact.id).await.map(|contact| contact.version),
        Some(2),
        "one update changed the email, the others changed nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_recorded_during_the_delete_of_its_contact_is_never_visible_and_is_removed() {
    // A write of the activity alone, and a transaction with the response of an idempotency key.
    for operation in [Operation::PutItem, Operation::TransactWriteItems] {
        let mut test = TestApp::new().await;
        let contact = test.create_jane("jane@example.com").await;
        let direct = test.app.clone();
        let proxy = test.start_fault_proxy().await;
        let principal = test.principal(&test.org).await;
        let deadline = deadline();
        let mut hold = proxy.hold(operation, HoldPoint::BeforeExecution);
        let idempotency_record = || {
            let idempotency_key = IdempotencyKey { method: "POST", path: "/x".to_owned(), key: "key".to_owned() };
            IdempotencyRecord { idempotency_key, fingerprint: "f".to_owned(), response: "a".to_owned() }
        };
        let activities = test.ctx().activities(&principal, contact.id);
        let NewActivities(new) = parse_body(json!({"event_time": "2024-04-18T10:15:00Z", "event_type": "x"}));
        let drafted = activities.draft(new);
        let record = activities.record(&drafted, |_| match operation {
            Operation::PutItem => None,
            _ => Some(idempotency_record()),
        });
        let tombstone = Parent::Contact(contact.id).tombstone(test.org.org_id);
        let removed = |key: &shared::dynamodb::keys::Key| -> Batch {
            let keys = json!({"pk": {"S": key.pk}, "sk": {"S": key.sk}});
            let record = json!({"eventName": "REMOVE", "dynamodb": {"Keys": keys, "SequenceNumber": "1"}});
            serde_json::from_value(json!({"Records": [record]})).unwrap()
        };
        let delete = async {
            hold.reached().await;
            direct.request_context(deadline, "test").contacts(&principal).delete(contact.id, None).await.unwrap();
            // The worker processes the deletion before the activity is written.
            let own = Parent::Contact(contact.id).key(test.org.org_id);
            process_batch(&direct, &removed(&own), invocation(deadline)).await;
            hold.release();
        };
        let (recorded, ()) = tokio::join!(record, delete);
        assert!(recorded.is_ok(), "{operation:?}: the contact existed when it was read");
        assert_eq!(test.count_items("activity").await, 1, "{operation:?}: written after the deletion");
        for filter in [TimelineFilter::Any, TimelineFilter::Active] {
            let page = TimelinePage { filter, page: 0, limit: 50, after: None };
            let read = test.ctx().contacts(&principal).get::<Activity>(contact.id, &page).await;
            assert_eq!(read, Err(Error::NotFound(Kind::Contact)), "{operation:?}");
        }
        let patch = parse_body(json!({"metadata": {"opened": true}}));
        let updated = test.ctx().activities(&principal, contact.id).update(&drafted[0].id, &patch).await;
        assert_eq!(updated, Err(Error::NotFound(Kind::Contact)), "{operation:?}");
        process_batch(&direct, &removed(&tombstone), invocation(deadline)).await;
        assert_eq!(test.count_items("activity").await, 0, "{operation:?}: removed when the tombstone expires");
    }
}

/// The ids of the organization's admin keys that are neither revoked nor expired.
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
async fn admin_keys(test: &TestApp) -> Vec<ApiKeyId> {
    let (ctx, principal) = (test.ctx(), test.principal(&test.org).await);
    let keys = ctx.api_keys(&principal).list::<ApiKey>(None, None).await.unwrap().rows;
    keys.into_iter().filter(|key| key.is_admin_key_at(ctx.now())).map(|key| key.id).collect()
}

/// Two administrators revoke each other's key. The second revocation has found its witness before the first one takes it.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_revocations_of_the_last_two_admin_keys_one_is_refused() {
    for (policy, left) in [(LastAdminKey::Keep, 1), (LastAdminKey::Allow, 0)] {
        let mut test = TestApp::new().await;
        test.create_api_key(&[Scope::Admin]).await;
        let [first, second] = admin_keys(&test).await.try_into().unwrap();
        let direct = test.app.clone();
        let proxy = test.start_fault_proxy().await;
        let principal = test.principal(&test.org).await;
        let mut hold = proxy.hold(Operation::TransactWriteItems, HoldPoint::BeforeExecution);
        let (ctx, other_ctx) = (test.ctx(), direct.request_context(deadline(), "other"));
        let revocation = async { ctx.api_keys(&principal).revoke(first, policy).await };
        let other_revocation = async {
            hold.reached().await;
            let revoked = other_ctx.api_keys(&principal).revoke(second, LastAdminKey::Keep).await;
            hold.release();
            revoked
        };

        let (revoked, other_revoked) = tokio::join!(revocation, other_revocation);

        assert_eq!(other_revoked, Ok(()), "{policy:?}: the first key was left");
        let expected = if policy == LastAdminKey::Keep { Err(Error::LastAdminKey) } else { Ok(()) };
        assert_eq!((revoked, admin_keys(&test).await.len()), (expected, left), "{policy:?}");
        let entries = test.audit_log().await;
        let revocations = entries.iter().filter(|entry| entry.action == AuditAction::ApiKeyRevoked).count();
        assert_eq!(revocations, 2 - left, "{policy:?}: a refused revocation has no entry");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_revocations_of_all_admin_keys_one_is_refused() {
    const KEYS: usize = 8;
    let test = TestApp::new().await;
    for _ in 1..KEYS {
        test.create_api_key(&[Scope::Admin]).await;
    }
    let (principal, ids) = (test.principal(&test.org).await, admin_keys(&test).await);

    let revocations = ids.iter().map(|id| {
        let (test, principal) = (&test, &principal);
        async move { test.ctx().api_keys(principal).revoke(*id, LastAdminKey::Keep).await }
    });
    let outcomes = join_all(revocations).await;

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), KEYS - 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Error::LastAdminKey)).count(), 1, "{outcomes:?}");
    assert_eq!(admin_keys(&test).await.len(), 1);
}

/// A revocation takes the key as its witness that never expires. That one is revoked before the transaction, and a key that
/// expires is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_whose_witness_is_gone_finds_another() {
    let mut test = TestApp::new().await;
    let [own] = admin_keys(&test).await.try_into().unwrap();
    let (_, lasting) = test.create_api_key(&[Scope::Admin]).await;
    let (secret, expiring) = test.create_api_key(&[Scope::Admin]).await;
    let valid_until = Some(test.ctx().now() + TimeDelta::hours(1));
    test.put_api_key(&secret, &ApiKey { valid_until, ..expiring.clone() }).await;
    let direct = test.app.clone();
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    let mut hold = proxy.hold(Operation::TransactWriteItems, HoldPoint::BeforeExecution);
    let (ctx, other_ctx) = (test.ctx(), direct.request_context(deadline(), "other"));
    let revocation = async { ctx.api_keys(&principal).revoke(own, LastAdminKey::Keep).await };
    let other_revocation = async {
        hold.reached().await;
        other_ctx.api_keys(&principal).revoke(lasting.id, LastAdminKey::Keep).await.unwrap();
        hold.release();
    };

    let (revoked, ()) = tokio::join!(revocation, other_revocation);

    assert_eq!((revoked, admin_keys(&test).await), (Ok(()), vec![expiring.id]));
    let commits = proxy.take_calls().iter().filter(|call| call.operation == Operation::TransactWriteItems).count();
    assert_eq!(commits, 2, "the first one was refused");
}

/// Pages through three thousand contacts while a third of them are deleted and others are created.
#[tokio::test(flavor = "multi_thread")]
async fn paging_repeats_and_skips_nothing_during_creates_and_deletes() {
    const ALL: usize = 3_000;
    let test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    let principal = test.principal(&test.org).await;
    let rows = upload((0..ALL).map(row));
    assert_eq!(send(&test, &unhurried_ctx(&test), &rows, Some(import_id)).await, Ok((ALL, 0)));
    for import_id in [None, Some(import_id)] {
        let filter = ContactFilter { import_id, ..ContactFilter::default() };
        let pages = async |limit| {
            let (mut ids, mut cursor) = (Vec::new(), None);
            loop {
                let page = test.ctx().contacts(&principal).list::<Contact>(&filter, Some(limit), cursor).await.unwrap();
                ids.extend(page.rows.into_iter().map(|contact| contact.id));
                cursor = page.next;
                if cursor.is_none() {
                    return ids;
                }
            }
        };
        let deleted_before = test.count_items("tombstone").await;
        let existing = pages(1000).await;
        let (to_delete, to_keep): (Vec<_>, Vec<_>) =
            existing.into_iter().partition(|id| Uuid::from(*id).as_u128() % 3 == 0);
        let done = AtomicBool::new(false);
        let deletes = async {
            for id in &to_delete {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                test.ctx().contacts(&principal).delete(*id, None).await.unwrap();
            }
        };
        let creates = async {
            for _ in &to_delete {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let body = jane(&format!("{}@example.com", Uuid::new_v4()));
                test.create_contact(&test.org, body, import_id).await;
            }
        };
        let reads = async {
            let seen = pages(37).await;
            done.store(true, Ordering::Relaxed);
            seen
        };
        let ((), (), seen) = tokio::join!(deletes, creates, reads);
        let distinct: BTreeSet<_> = seen.iter().copied().collect();
        assert_eq!(distinct.len(), seen.len(), "no contact is listed twice");
        assert!(to_keep.iter().all(|id| distinct.contains(id)), "every contact that existed throughout is listed");
        let deleted = test.count_items("tombstone").await - deleted_before;
        assert!(deleted > 20, "contacts were deleted meanwhile: {deleted}");
    }
}
