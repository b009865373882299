//! Every fault of DynamoDB in every call of an operation: no write is lost, repeated or wrongly refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use shared::auth::{AuthError, Credentials};
use shared::domain::{
    Activity, ApiKey, ApiKeySecret, AuditAction, Contact, ContactFilter, Email, ImportStatus, Lead, LeadFilter,
    LeadStatus, NewApiKey, RequiredVersion, Scope, TimelineFilter, TimelinePage,
};
use shared::dynamodb;
use shared::repositories::Error;
use shared::repositories::{IdempotencyKey, IdempotencyRecord, LastAdminKey};
use shared::system;
use shared::testing::fault::{CancellationReason, Fault, FaultKind, Operation, RecordedCall, ThrottlingError};
use shared::testing::{TestApp, contact_patch, jane, new_contact, parse_body};
use tokio::time::Instant;

const PAGE: TimelinePage = TimelinePage { filter: TimelineFilter::Any, page: 0, limit: 1, after: None };

/// Longer than the timeout of an attempt ([`shared::testing::RETRY_POLICY`]).
const LONGER_THAN_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_100);

/// The faults of an operation that a retry survives.
pub(crate) fn transient_faults(operation: Operation) -> Vec<Fault> {
    let all = [
        Fault::InternalServerError,
        Fault::Throttled(ThrottlingError::ProvisionedThroughputExceeded),
        Fault::Throttled(ThrottlingError::RequestLimitExceeded),
        Fault::Throttled(ThrottlingError::Throttling),
        Fault::TransactionConflict,
        Fault::TransactionCanceled(vec![CancellationReason::ThrottlingError]),
        Fault::TransactionCanceled(vec![CancellationReason::None, CancellationReason::ProvisionedThroughputExceeded]),
        Fault::TransactionCanceled(vec![
            CancellationReason::ConditionalCheckFailed,
            CancellationReason::TransactionConflict,
        ]),
        Fault::TransactionCanceled(vec![
            CancellationReason::TransactionConflict,
            CancellationReason::ConditionalCheckFailed,
        ]),
        Fault::TransactionInProgress,
        Fault::RequestLost,
        Fault::ResponseLost,
        Fault::Delayed(LONGER_THAN_ATTEMPT_TIMEOUT),
        Fault::Unprocessed,
        Fault::MalformedResponse,
    ];
    all.into_iter().filter(|fault| fault.kind().applies_to(operation)).collect()
}

/// The contacts of the organization, newest first.
async fn listed(test: &TestApp) -> Vec<Contact> {
    let contacts = test.ctx().contacts(&test.principal(&test.org).await);
    contacts.list::<Contact>(&ContactFilter::default(), Some(1000), None).await.unwrap().rows
}

/// Asserts that this many contacts are stored, and one email lock for each.
async fn assert_consistent(test: &TestApp, contacts: usize) {
    assert_eq!(test.count_items("contact").await, contacts);
    assert_eq!(test.count_items("email_lock").await, contacts);
}

#[tokio::test]
async fn creating_a_contact_survives_every_fault() {
    for fault in transient_faults(Operation::TransactWriteItems) {
        let mut test = TestApp::new().await;
        let proxy = test.start_fault_proxy().await;
        let principal = test.principal(&test.org).await;
        proxy.take_calls();
        proxy.inject(Operation::TransactWriteItems, fault.clone());
        let contacts = test.ctx().contacts(&principal);
        let contact = contacts.draft(new_contact(jane("a@example.com")), None);
        assert_eq!(contacts.create(&contact, None).await, Ok(()), "{fault:?}");
        let calls = proxy.take_calls();
        assert!(calls.len() >= 2, "{fault:?}: the call is retried");
        let tokens = [&calls[0], &calls[1]].map(client_request_token);
        assert_eq!(tokens[0], tokens[1], "{fault:?}: a retry has the same client request token");
        assert_consistent(&test, 1).await;
    }
}

fn client_request_token(call: &RecordedCall) -> String {
    let request: serde_json::Value = serde_json::from_slice(&call.request).unwrap();
    request["ClientRequestToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn cancellation_reasons_are_attributed_by_index() {
    let condition_failed_at = |index: usize| {
        let mut reasons = vec![CancellationReason::None; index];
        reasons.push(CancellationReason::ConditionalCheckFailed);
        Fault::TransactionCanceled(reasons)
    };
    let mut body = jane("a@example.com");
    body["company"] = json!("Acme");
    // The transaction's items are the contact, the email lock and the company.
    let email_taken = Error::EmailTaken(Email::parse("a@example.com").unwrap());
    for (index, outcome) in [(1, Err(email_taken)), (2, Ok(()))] {
        let mut test = TestApp::new().await;
        let proxy = test.start_fault_proxy().await;
        proxy.inject(Operation::TransactWriteItems, condition_failed_at(index));
        let contacts = test.ctx().contacts(&test.principal(&test.org).await);
        let contact = contacts.draft(new_contact(body.clone()), None);
        assert_eq!(contacts.create(&contact, None).await, outcome, "condition failed at {index}");
        let companies = test.items().await.iter().filter(|item| item.contains("COMPANY#")).count();
        assert_eq!(
            companies, 0,
            "condition failed at {index}: another request created the company, or nothing was written"
        );
    }
    let mut test = TestApp::new().await;
    let proxy = test.start_fault_proxy().await;
    proxy.inject(Operation::TransactWriteItems, condition_failed_at(0));
    let contacts = test.ctx().contacts(&test.principal(&test.org).await);
    let contact = contacts.draft(new_contact(body), None);
    assert!(
        matches!(contacts.create(&contact, None).await, Err(Error::Table(dynamodb::Error::Unexpected(_)))),
        "the id of a new contact is unique"
    );
}

#[tokio::test]
async fn updating_a_contact_survives_every_fault_and_writes_once() {
    for required in [None, Some(RequiredVersion::OneOf(vec![1]))] {
        for (operation, body) in [
            (Operation::UpdateItem, json!({"full_name": "Jane Smith", "metadata": {"a": 1}})),
            (Operation::PutItem, json!({"metadata": {"a": {"b": 1}}})),
            (Operation::GetItem, json!({"metadata": {"a": {"b": 1}}})),
            (Operation::TransactWriteItems, json!({"email": "b@example.com"})),
        ] {
            for fault in transient_faults(operation) {
                let mut test = TestApp::new().await;
                let contact = test.create_jane("a@example.com").await;
                let proxy = test.start_fault_proxy().await;
                let principal = test.principal(&test.org).await;
                proxy.inject(operation, fault.clone());
                let contacts = test.ctx().contacts(&principal);
                let updated = contacts.update(contact.id, &contact_patch(body.clone()), required.as_ref()).await;
                let updated = updated.unwrap_or_else(|error| panic!("{operation:?} {fault:?} {required:?}: {error:?}"));
                assert_eq!(updated.version, 2, "{operation:?} {fault:?} {required:?}");
                assert_eq!(Some(updated), test.stored_contact(contact.id).await);
                assert_consistent(&test, 1).await;
            }
        }
    }
}

#[tokio::test]
async fn deleting_a_contact_survives_every_fault() {
    for operation in [Operation::GetItem, Operation::Query, Operation::TransactWriteItems] {
        for fault in transient_faults(operation) {
            let mut test = TestApp::new().await;
            let contact = test.create_jane("a@example.com").await;
            let proxy = test.start_fault_proxy().await;
            let principal = test.principal(&test.org).await;
            proxy.inject(operation, fault.clone());
            let deleted = test.ctx().contacts(&principal).delete(contact.id, None).await;
            assert_eq!(deleted, Ok(()), "{operation:?} {fault:?}");
            assert_consistent(&test, 0).await;
        }
    }
}

#[tokio::test]
async fn reading_updating_and_deleting_an_import_survives_every_fault() {
    for operation in [Operation::GetItem, Operation::Query, Operation::UpdateItem, Operation::TransactWriteItems] {
        for fault in transient_faults(operation) {
            let mut test = TestApp::new().await;
            let id = test.create_import(&test.org).await;
            test.create_contact(&test.org, jane("a@example.com"), Some(id)).await;
            let proxy = test.start_fault_proxy().await;
            let imports = test.ctx().imports(&test.principal(&test.org).await);
            proxy.inject(operation, fault.clone());
            let context = format!("{operation:?} {fault:?}");
            // After a lost response, the condition of the retry fails on the import that the first attempt updated.
            let updated =
                imports.update(id, &parse_body(json!({"status": "completed", "file_name": "a.csv"}))).await.unwrap();
            assert_eq!(updated.details.status, ImportStatus::Completed, "{context}");
            assert_eq!(imports.get(id).await, Ok((updated, 1)), "{context}");
            assert_eq!(imports.delete(id).await, Ok(()), "{context}");
            assert_eq!(imports.get(id).await, Err(Error::NotFound(shared::domain::Kind::Import)), "{context}");
            assert_eq!(test.count_items("tombstone").await, 1, "{context}");
        }
    }
}

#[tokio::test]
async fn reading_a_contact_survives_every_fault() {
    for operation in [Operation::BatchGetItem, Operation::Query] {
        for fault in transient_faults(operation) {
            let mut test = TestApp::new().await;
            let contact = test.create_jane("a@example.com").await;
            let proxy = test.start_fault_proxy().await;
            let principal = test.principal(&test.org).await;
            proxy.inject(operation, fault.clone());
            let read = test.ctx().contacts(&principal).get::<Activity>(contact.id, &PAGE).await;
            assert_eq!(read.map(|(contact, _)| contact), Ok(contact), "{operation:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn unprocessed_keys_are_read_again() {
    let mut test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    for n in 0..10 {
        test.create_contact(&test.org, jane(&format!("{n}@example.com")), Some(import_id)).await;
    }
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    for _ in 0..3 {
        proxy.inject(Operation::BatchGetItem, Fault::Unprocessed);
    }
    let filter = ContactFilter { import_id: Some(import_id), ..ContactFilter::default() };
    let page = test.ctx().contacts(&principal).list::<Contact>(&filter, Some(100), None).await.unwrap();
    assert_eq!(page.rows.len(), 10);
}

#[tokio::test]
async fn an_unreachable_database_is_unavailable_at_the_deadline() {
    let mut test = TestApp::new().await;
    let contact = test.create_jane("a@example.com").await;
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    proxy.inject_randomly(1, 1.0, &[FaultKind::InternalServerError]);
    let ctx = test.app.request_context(Instant::now() + Duration::from_millis(300), "test");
    assert_eq!(
        ctx.contacts(&principal).get::<Activity>(contact.id, &PAGE).await,
        Err(dynamodb::Error::Unavailable.into())
    );
    assert!(ctx.consumed_capacity().calls > 2, "the read is retried");
    let ctx = test.app.request_context(Instant::now(), "test");
    assert_eq!(
        ctx.contacts(&principal).delete(contact.id, None).await,
        Err(dynamodb::Error::Unavailable.into()),
        "the deadline is over"
    );
}

/// Makes 400 creates and updates while 30 % of all calls fail.
#[tokio::test(flavor = "multi_thread")]
async fn many_writes_under_random_faults_lose_and_repeat_nothing() {
    let mut test = TestApp::new().await;
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    proxy.take_calls();
    proxy.inject_randomly(20_241_006, 0.3, FaultKind::ALL);
    let (test, principal) = (&test, &principal);
    let work = stream::iter(0..200).map(|n| async move {
        let contacts = test.ctx().contacts(principal);
        let mut body = jane(&format!("{n}@example.com"));
        body["company"] = json!(format!("Company {}", n % 20));
        let contact = contacts.draft(new_contact(body), None);
        contacts.create(&contact, None).await.unwrap_or_else(|error| panic!("create {n}: {error:?}"));
        let changes = match n % 4 {
            0 => json!({"metadata": {"n": n}}),
            1 => json!({"metadata": {"nested": {"n": n}}}),
            2 => json!({"email": format!("new-{n}@example.com")}),
            _ => json!({"full_name": format!("Jane {n}"), "locale": "es-ES"}),
        };
        let ctx = test.ctx();
        let updated = ctx.contacts(principal).update(contact.id, &contact_patch(changes), None).await;
        updated.unwrap_or_else(|error| panic!("update {n}: {error:?}"))
    });
    let mut written: Vec<Contact> = work.buffer_unordered(20).collect().await;
    proxy.clear_faults();
    let faults: BTreeSet<FaultKind> =
        proxy.take_calls().iter().filter_map(|call| call.fault.as_ref()).map(Fault::kind).collect();
    // The writes make no batch calls.
    let expected = FaultKind::ALL.iter().copied().filter(|kind| *kind != FaultKind::Unprocessed).collect();
    assert_eq!(faults, expected, "every other kind of fault was injected");
    let mut stored = listed(test).await;
    stored.sort_by_key(|contact| contact.id);
    written.sort_by_key(|contact| contact.id);
    assert_eq!(stored, written, "each update returns what is stored");
    assert!(stored.iter().all(|contact| contact.version == 2), "each update wrote once");
    assert_consistent(test, 200).await;
    let companies = test.count_items("company").await;
    assert_eq!(companies, 20);
}

#[tokio::test]
async fn creating_an_api_key_survives_every_fault_and_happens_once() {
    for fault in transient_faults(Operation::TransactWriteItems) {
        let mut test = TestApp::new().await;
        let proxy = test.start_fault_proxy().await;
        let principal = test.principal(&test.org).await;
        let before = test.count_items("api_key").await;
        let secret = ApiKeySecret::new(true, system::rng().bytes().unwrap());
        let scopes = [Scope::Read].into_iter().collect();
        let new = NewApiKey { name: "a".parse().unwrap(), scopes, valid_until: None, live: true, rate_limit: None };
        let idempotency_key = IdempotencyKey { method: "POST", path: "/api-keys".to_owned(), key: "key-1".to_owned() };
        let idempotency_record =
            IdempotencyRecord { idempotency_key, fingerprint: "f".to_owned(), response: String::new() };
        proxy.inject(Operation::TransactWriteItems, fault.clone());
        let keys = test.ctx().api_keys(&principal);
        let key = keys.draft(new, &secret);
        assert_eq!(keys.create(&secret.hash(), &key, Some(&idempotency_record)).await, Ok(()), "{fault:?}");
        assert_eq!(test.count_items("api_key").await, before + 1, "{fault:?}");
        assert!(keys.create(&secret.hash(), &key, None).await.is_err(), "{fault:?}: a key is never overwritten");
        let other_secret = ApiKeySecret::new(true, system::rng().bytes().unwrap());
        let repeated = keys.create(&other_secret.hash(), &key, Some(&idempotency_record)).await;
        assert_eq!(repeated, Err(Error::AlreadyCompleted), "{fault:?}");
        assert_eq!(test.count_items("api_key").await, before + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn revoking_an_api_key_survives_every_fault_and_keeps_its_timestamp() {
    for operation in [Operation::Query, Operation::GetItem, Operation::BatchGetItem, Operation::TransactWriteItems] {
        for fault in transient_faults(operation) {
            let mut test = TestApp::new().await;
            let proxy = test.start_fault_proxy().await;
            let principal = test.principal(&test.org).await;
            let (secret, key) = test.create_api_key(&[Scope::Admin]).await;
            let mut timestamps = BTreeSet::new();
            for _ in 0..2 {
                // Entries of the audit log that are made in one millisecond have no order.
                test.advance_clock(TimeDelta::hours(1));
                proxy.inject(operation, fault.clone());
                let revoked = test.ctx().api_keys(&principal).revoke(key.id, LastAdminKey::Keep).await;
                assert_eq!(revoked, Ok(()), "{operation:?} {fault:?}");
                let keys = test.ctx().api_keys(&principal).list::<ApiKey>(Some(100), None).await.unwrap().rows;
                timestamps
                    .extend(keys.into_iter().filter(|listed| listed.id == key.id).map(|listed| listed.revoked_at));
            }
            assert!(timestamps.len() == 1 && !timestamps.contains(&None), "{operation:?} {fault:?}: {timestamps:?}");
            proxy.clear_faults();
            let actions: Vec<_> = test.audit_log().await.into_iter().map(|entry| entry.action).collect();
            assert_eq!(
                actions,
                [AuditAction::ApiKeyRevoked, AuditAction::ApiKeyCreated],
                "{operation:?} {fault:?}: one entry per change"
            );
            let credentials = Credentials { api_key: Some(secret.in_clear()), authorization: None };
            let error = test.ctx().authenticate(credentials).await.unwrap_err();
            assert_eq!(error, AuthError::Unauthenticated, "{operation:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn reading_and_updating_a_lead_survives_every_fault() {
    for operation in [Operation::Query, Operation::BatchGetItem, Operation::UpdateItem] {
        for fault in transient_faults(operation) {
            let mut test = TestApp::new().await;
            let lead = test.create_lead().await;
            let proxy = test.start_fault_proxy().await;
            let principal = test.principal(&test.org).await;
            let filter = LeadFilter { campaign_id: Some(lead.key.campaign_id), ..LeadFilter::default() };
            let leads = test.ctx().leads(&principal);
            if operation != Operation::UpdateItem {
                proxy.inject(operation, fault.clone());
                assert_eq!(leads.get(lead.id()).await, Ok(lead.clone()), "{operation:?} {fault:?}");
                proxy.inject(operation, fault.clone());
                assert_eq!(
                    leads.list::<Lead>(&filter, Some(10), None).await.unwrap().rows,
                    std::slice::from_ref(&lead),
                    "{operation:?} {fault:?}"
                );
            }
            proxy.inject(operation, fault.clone());
            let updated = leads.update(lead.id(), &parse_body(json!({"lead_status": "ended"}))).await.unwrap();
            assert_eq!(updated.details.lead_status, LeadStatus::Ended, "{operation:?} {fault:?}");
            assert_eq!(leads.get(lead.id()).await, Ok(updated), "{operation:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_throttled_call_is_counted() {
    let mut test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let contact = test.create_jane("jane@example.com").await;
    let proxy = test.start_fault_proxy().await;
    for operation in [Operation::BatchGetItem, Operation::Query, Operation::UpdateItem, Operation::TransactWriteItems] {
        for (number, fault) in transient_faults(operation).into_iter().enumerate() {
            proxy.inject(operation, fault.clone());
            let ctx = test.ctx();
            let contacts = ctx.contacts(&principal);
            match operation {
                Operation::UpdateItem => {
                    let patch = contact_patch(json!({"full_name": "Jane Roe"}));
                    contacts.update(contact.id, &patch, None).await.map(drop).unwrap();
                }
                Operation::TransactWriteItems => {
                    let draft = contacts.draft(new_contact(jane(&format!("{number}@example.com"))), None);
                    contacts.create(&draft, None).await.unwrap();
                }
                _ => drop(contacts.get::<Activity>(contact.id, &PAGE).await.unwrap()),
            }
            let is_throttled = match &fault {
                Fault::Throttled(_) | Fault::Unprocessed => true,
                Fault::TransactionCanceled(reasons) => !reasons.contains(&CancellationReason::TransactionConflict),
                _ => false,
            };
            assert_eq!(ctx.consumed_capacity().throttles, u32::from(is_throttled), "{operation:?} {fault:?}");
        }
    }
}
