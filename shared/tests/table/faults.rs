//! Every fault the database can make, at every call an operation sends: nothing is lost, doubled or wrongly refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use shared::auth::{AuthError, Credentials};
use shared::domain::{
    ApiKeySecret, Contact, ContactFilter, ImportStatus, LeadFilter, LeadStatus, NewApiKey, RequiredVersion, Scope,
    TimelineFilter, TimelinePage,
};
use shared::dynamodb;
use shared::repositories::{Error, IdempotencyKey, IdempotencyRecord};
use shared::testing::fault::{Fault, Kind, Operation, Reason, Throttling};
use shared::testing::{TestApp, jane, new_contact, patch, read};
use tokio::time::Instant;

const PAGE: TimelinePage = TimelinePage { filter: TimelineFilter::Any, page: 0, limit: 1, after: None };

/// Longer than a test's process waits for an answer ([`shared::testing::RETRY_POLICY`]).
const LONGER_THAN_PATIENCE: Duration = Duration::from_millis(1_100);

/// Every fault that another attempt survives.
pub(crate) fn survivable(operation: Operation) -> Vec<Fault> {
    let all = [
        Fault::Unavailable,
        Fault::Throttled(Throttling::ProvisionedThroughputExceeded),
        Fault::Throttled(Throttling::RequestLimitExceeded),
        Fault::Throttled(Throttling::Throttling),
        Fault::Conflict,
        Fault::Cancelled(vec![Reason::ThrottlingError]),
        Fault::Cancelled(vec![Reason::None, Reason::ProvisionedThroughputExceeded]),
        Fault::Cancelled(vec![Reason::ConditionalCheckFailed, Reason::TransactionConflict]),
        Fault::Cancelled(vec![Reason::TransactionConflict, Reason::ConditionalCheckFailed]),
        Fault::InProgress,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Slow(LONGER_THAN_PATIENCE),
        Fault::Unprocessed,
        Fault::Garbage,
    ];
    all.into_iter().filter(|fault| fault.kind().applies_to(operation)).collect()
}

/// The contacts of the organization, newest first.
async fn listed(test: &TestApp) -> Vec<Contact> {
    let contacts = test.ctx().contacts(&test.principal(&test.org).await);
    contacts.list(&ContactFilter::default(), 1000, None).await.unwrap().rows
}

/// Locks and contacts are one to one.
async fn assert_consistent(test: &TestApp, contacts: usize) {
    let items = test.items().await;
    let count = |kind: &str| items.iter().filter(|item| item.contains(&format!("\"type\":\"{kind}\""))).count();
    assert_eq!((count("contact"), count("email_lock")), (contacts, contacts));
}

#[tokio::test]
async fn a_create_survives_every_fault_of_its_transaction() {
    for fault in survivable(Operation::TransactWriteItems) {
        let mut test = TestApp::new().await;
        let proxy = test.behind_faults().await;
        let principal = test.principal(&test.org).await;
        proxy.take_calls();
        proxy.inject(Operation::TransactWriteItems, fault.clone());
        let contacts = test.ctx().contacts(&principal);
        let contact = contacts.draft(new_contact(jane("a@example.com")), None);
        assert_eq!(contacts.create(&contact, None).await, Ok(()), "{fault:?}");
        let calls = proxy.take_calls();
        assert!(calls.len() >= 2, "{fault:?}: tried again");
        let token = |call: &shared::testing::fault::Call| {
            let request: serde_json::Value = serde_json::from_slice(&call.request).unwrap();
            request["ClientRequestToken"].as_str().unwrap().to_owned()
        };
        assert_eq!(token(&calls[0]), token(&calls[1]), "{fault:?}: the same items keep their token");
        assert_consistent(&test, 1).await;
    }
}

#[tokio::test]
async fn reasons_are_read_by_their_index() {
    let refused = |index: usize| {
        let mut reasons = vec![Reason::None; index];
        reasons.push(Reason::ConditionalCheckFailed);
        Fault::Cancelled(reasons)
    };
    let mut body = jane("a@example.com");
    body["company"] = json!("Acme");
    // The order of the transaction: contact, lock, company.
    for (index, outcome) in
        [(1, Err(Error::EmailTaken(shared::domain::Email::parse("a@example.com").unwrap()))), (2, Ok(()))]
    {
        let mut test = TestApp::new().await;
        let proxy = test.behind_faults().await;
        proxy.inject(Operation::TransactWriteItems, refused(index));
        let contacts = test.ctx().contacts(&test.principal(&test.org).await);
        let contact = contacts.draft(new_contact(body.clone()), None);
        assert_eq!(contacts.create(&contact, None).await, outcome, "refused at {index}");
        let companies = test.items().await.iter().filter(|item| item.contains("COMPANY#")).count();
        assert_eq!(companies, 0, "refused at {index}: the company is somebody else's then, or nothing was written");
    }
    let mut test = TestApp::new().await;
    let proxy = test.behind_faults().await;
    proxy.inject(Operation::TransactWriteItems, refused(0));
    let contacts = test.ctx().contacts(&test.principal(&test.org).await);
    let contact = contacts.draft(new_contact(body), None);
    assert!(
        matches!(contacts.create(&contact, None).await, Err(Error::Table(dynamodb::Error::Unexpected(_)))),
        "an id is never taken"
    );
}

#[tokio::test]
async fn an_update_survives_every_fault_and_counts_once() {
    for required in [None, Some(RequiredVersion::OneOf(vec![1]))] {
        for (operation, body) in [
            (Operation::UpdateItem, json!({"full_name": "Jane Smith", "metadata": {"a": 1}})),
            (Operation::PutItem, json!({"metadata": {"a": {"b": 1}}})),
            (Operation::GetItem, json!({"metadata": {"a": {"b": 1}}})),
            (Operation::TransactWriteItems, json!({"email": "b@example.com"})),
        ] {
            for fault in survivable(operation) {
                let mut test = TestApp::new().await;
                let contact = test.jane("a@example.com").await;
                let proxy = test.behind_faults().await;
                let principal = test.principal(&test.org).await;
                proxy.inject(operation, fault.clone());
                let contacts = test.ctx().contacts(&principal);
                let updated = contacts.update(contact.id, &patch(body.clone()), required.as_ref()).await;
                let updated = updated.unwrap_or_else(|error| panic!("{operation:?} {fault:?} {required:?}: {error:?}"));
                assert_eq!(updated.version, 2, "{operation:?} {fault:?} {required:?}");
                assert_eq!(Some(updated), test.stored(contact.id).await);
                assert_consistent(&test, 1).await;
            }
        }
    }
}

#[tokio::test]
async fn a_delete_survives_every_fault() {
    for operation in [Operation::GetItem, Operation::Query, Operation::TransactWriteItems] {
        for fault in survivable(operation) {
            let mut test = TestApp::new().await;
            let contact = test.jane("a@example.com").await;
            let proxy = test.behind_faults().await;
            let principal = test.principal(&test.org).await;
            proxy.inject(operation, fault.clone());
            let deleted = test.ctx().contacts(&principal).delete(contact.id, None).await;
            assert_eq!(deleted, Ok(()), "{operation:?} {fault:?}");
            assert_consistent(&test, 0).await;
        }
    }
}

#[tokio::test]
async fn an_import_is_read_changed_and_deleted_through_every_fault() {
    for operation in [Operation::GetItem, Operation::Query, Operation::UpdateItem, Operation::TransactWriteItems] {
        for fault in survivable(operation) {
            let mut test = TestApp::new().await;
            let id = test.import(&test.org).await;
            test.create(&test.org, jane("a@example.com"), Some(id)).await;
            let proxy = test.behind_faults().await;
            let imports = test.ctx().imports(&test.principal(&test.org).await);
            proxy.inject(operation, fault.clone());
            let context = format!("{operation:?} {fault:?}");
            // Where the answer was lost, the import that refuses the second attempt is the changed one.
            let updated =
                imports.update(id, &read(json!({"status": "completed", "file_name": "a.csv"}))).await.unwrap();
            assert_eq!(updated.details.status, ImportStatus::Completed, "{context}");
            assert_eq!(imports.get(id).await, Ok((updated, 1)), "{context}");
            assert_eq!(imports.delete(id).await, Ok(()), "{context}");
            assert_eq!(imports.get(id).await, Err(Error::NotFound(shared::domain::Kind::Import)), "{context}");
            assert_eq!(test.count("tombstone").await, 1, "{context}");
        }
    }
}

#[tokio::test]
async fn a_read_survives_every_fault() {
    for operation in [Operation::BatchGetItem, Operation::Query] {
        for fault in survivable(operation) {
            let mut test = TestApp::new().await;
            let contact = test.jane("a@example.com").await;
            let proxy = test.behind_faults().await;
            let principal = test.principal(&test.org).await;
            proxy.inject(operation, fault.clone());
            let read = test.ctx().contacts(&principal).get(contact.id, &PAGE).await;
            assert_eq!(read.map(|(contact, _)| contact), Ok(contact), "{operation:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn what_is_left_unprocessed_is_read_again() {
    let mut test = TestApp::new().await;
    let import_id = test.import(&test.org).await;
    for n in 0..10 {
        test.create(&test.org, jane(&format!("{n}@example.com")), Some(import_id)).await;
    }
    let proxy = test.behind_faults().await;
    let principal = test.principal(&test.org).await;
    for _ in 0..3 {
        proxy.inject(Operation::BatchGetItem, Fault::Unprocessed);
    }
    let filter = ContactFilter { import_id: Some(import_id), ..ContactFilter::default() };
    let page = test.ctx().contacts(&principal).list(&filter, 100, None).await.unwrap();
    assert_eq!(page.rows.len(), 10);
}

#[tokio::test]
async fn a_database_that_stays_away_is_unavailable_at_the_deadline() {
    let mut test = TestApp::new().await;
    let contact = test.jane("a@example.com").await;
    let proxy = test.behind_faults().await;
    let principal = test.principal(&test.org).await;
    proxy.randomly(1, 1.0, &[Kind::Unavailable]);
    let ctx = test.app.request_context(Instant::now() + Duration::from_millis(300));
    assert_eq!(ctx.contacts(&principal).get(contact.id, &PAGE).await, Err(dynamodb::Error::Unavailable.into()));
    assert!(ctx.consumed_capacity().calls > 2, "it was tried more than once");
    let ctx = test.app.request_context(Instant::now());
    assert_eq!(
        ctx.contacts(&principal).delete(contact.id, None).await,
        Err(dynamodb::Error::Unavailable.into()),
        "no time at all"
    );
}

/// 400 creates and updates while 30 % of all calls fail in every way there is.
#[tokio::test(flavor = "multi_thread")]
async fn many_writes_under_many_faults_lose_and_double_nothing() {
    let mut test = TestApp::new().await;
    let proxy = test.behind_faults().await;
    let principal = test.principal(&test.org).await;
    proxy.take_calls();
    proxy.randomly(20_241_006, 0.3, Kind::ALL);
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
        let updated = ctx.contacts(principal).update(contact.id, &patch(changes), None).await;
        updated.unwrap_or_else(|error| panic!("update {n}: {error:?}"))
    });
    let mut written: Vec<Contact> = work.buffer_unordered(20).collect().await;
    proxy.calm();
    let faults: BTreeSet<Kind> =
        proxy.take_calls().iter().filter_map(|call| call.fault.as_ref()).map(Fault::kind).collect();
    // A write has no batch of keys that could be left unprocessed.
    let expected = Kind::ALL.iter().copied().filter(|kind| *kind != Kind::Unprocessed).collect();
    assert_eq!(faults, expected, "every kind of fault happened");
    let mut stored = listed(test).await;
    stored.sort_by_key(|contact| contact.id);
    written.sort_by_key(|contact| contact.id);
    assert_eq!(stored, written, "what was answered is what is stored");
    assert!(stored.iter().all(|contact| contact.version == 2), "every update counted once");
    assert_consistent(test, 200).await;
    let companies = test.items().await.iter().filter(|item| item.contains("\"type\":\"company\"")).count();
    assert_eq!(companies, 20);
}

#[tokio::test]
async fn an_api_key_is_made_once_whatever_becomes_of_its_transaction() {
    for fault in survivable(Operation::TransactWriteItems) {
        let mut test = TestApp::new().await;
        let proxy = test.behind_faults().await;
        let principal = test.principal(&test.org).await;
        let before = test.count("api_key").await;
        let secret = ApiKeySecret::generate(true).unwrap();
        let scopes = [Scope::Read].into_iter().collect();
        let said = NewApiKey { name: "a".parse().unwrap(), scopes, valid_until: None, live: true };
        let idempotency_key = IdempotencyKey { method: "POST", path: "/api-keys".to_owned(), key: "key-1".to_owned() };
        let idempotency_record =
            IdempotencyRecord { idempotency_key, fingerprint: "f".to_owned(), response: String::new() };
        proxy.inject(Operation::TransactWriteItems, fault.clone());
        let keys = test.ctx().api_keys(&principal);
        let key = keys.draft(said, &secret);
        assert_eq!(keys.create(&secret.hash(), &key, Some(&idempotency_record)).await, Ok(()), "{fault:?}");
        assert_eq!(test.count("api_key").await, before + 1, "{fault:?}");
        assert!(keys.create(&secret.hash(), &key, None).await.is_err(), "{fault:?}: no key is written over another");
        let another = ApiKeySecret::generate(true).unwrap();
        let again = keys.create(&another.hash(), &key, Some(&idempotency_record)).await;
        assert_eq!(again, Err(Error::AlreadyCompleted), "{fault:?}");
        assert_eq!(test.count("api_key").await, before + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_revocation_survives_every_fault_and_keeps_its_moment() {
    for operation in [Operation::Query, Operation::UpdateItem] {
        for fault in survivable(operation) {
            let mut test = TestApp::new().await;
            let proxy = test.behind_faults().await;
            let principal = test.principal(&test.org).await;
            let (secret, key) = test.api_key(&[Scope::Read]).await;
            let mut moments = BTreeSet::new();
            for _ in 0..2 {
                proxy.inject(operation, fault.clone());
                assert_eq!(test.ctx().api_keys(&principal).revoke(key.id).await, Ok(()), "{operation:?} {fault:?}");
                let keys = test.ctx().api_keys(&principal).list(100, None).await.unwrap().rows;
                moments.extend(keys.into_iter().filter(|listed| listed.id == key.id).map(|listed| listed.revoked_at));
                test.pass(TimeDelta::hours(1));
            }
            assert!(moments.len() == 1 && !moments.contains(&None), "{operation:?} {fault:?}: {moments:?}");
            let credentials = Credentials { api_key: Some(secret.in_clear()), authorization: None };
            let refused = test.ctx().authenticate(credentials).await.unwrap_err();
            assert_eq!(refused, AuthError::Unauthenticated, "{operation:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn leads_are_read_and_changed_whatever_fails_once() {
    for operation in [Operation::Query, Operation::BatchGetItem, Operation::UpdateItem] {
        for fault in survivable(operation) {
            let mut test = TestApp::new().await;
            let lead = test.lead().await;
            let proxy = test.behind_faults().await;
            let principal = test.principal(&test.org).await;
            let filter = LeadFilter { campaign_id: Some(lead.key.campaign_id), ..LeadFilter::default() };
            let leads = test.ctx().leads(&principal);
            if operation != Operation::UpdateItem {
                proxy.inject(operation, fault.clone());
                assert_eq!(leads.get(lead.id()).await, Ok(lead.clone()), "{operation:?} {fault:?}");
                proxy.inject(operation, fault.clone());
                assert_eq!(
                    leads.list(&filter, 10, None).await.unwrap().rows,
                    std::slice::from_ref(&lead),
                    "{operation:?} {fault:?}"
                );
            }
            proxy.inject(operation, fault.clone());
            let updated = leads.update(lead.id(), &read(json!({"lead_status": "ended"}))).await.unwrap();
            assert_eq!(updated.details.lead_status, LeadStatus::Ended, "{operation:?} {fault:?}");
            assert_eq!(leads.get(lead.id()).await, Ok(updated), "{operation:?} {fault:?}");
        }
    }
}
