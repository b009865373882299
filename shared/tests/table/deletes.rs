//! Deletes of contacts with more memberships and leads than one transaction takes: an interrupted delete has destroyed
//! nothing, and a completed one leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::pin::pin;
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::{CampaignId, ContactId, ImportId, LeadKey, RequiredVersion};
use shared::dynamodb::{self, Parent, keys};
use shared::repositories::Error;
use shared::testing::fault::{Fault, HoldPoint, Operation};
use shared::testing::{TestApp, contact_patch, deadline, jane};
use tokio::time::Instant;
use uuid::Uuid;

use crate::cascade::process;

const IMPORTS: usize = 150;
const LEADS: usize = 150;
/// The children that the transaction of a delete takes.
const DELETED_AT_ONCE: usize = 96;

/// Creates a contact with 150 leads that is a member of 150 imports.
async fn contact_with_children(test: &TestApp) -> (ContactId, Vec<ImportId>) {
    let (contact, imports) = contact_of_imports(test, IMPORTS).await;
    for import in &imports {
        put_membership(test, *import, contact).await;
    }
    for _ in 0..LEADS {
        put_lead(test, Uuid::now_v7().into(), contact).await;
    }
    (contact, imports)
}

/// Creates a contact that names this many imports, without the memberships.
async fn contact_of_imports(test: &TestApp, count: usize) -> (ContactId, Vec<ImportId>) {
    let contact = test.create_contact(&test.org, jane("jane@example.com"), None).await;
    let imports: Vec<ImportId> = (0..count).map(|_| Uuid::now_v7().into()).collect();
    let item = json!({
        "type": {"S": "contact"},
        "full_name": {"S": contact.details.full_name.as_str()},
        "email": {"S": contact.details.email.as_str()},
        "linkedin_profile": {"S": contact.details.linkedin_profile.as_str()},
        "created_at": {"S": "2024-04-18T10:15:00.000Z"},
        "updated_at": {"S": "2024-04-18T10:15:00.000Z"},
        "version": {"N": "1"},
        "growing_bytes": {"N": "0"},
        "enrichment": {"M": {}},
        "import_ids": {"SS": imports},
    });
    test.put_item(&keys::contact(test.org.org_id, contact.id), item).await;
    (contact.id, imports)
}

async fn put_membership(test: &TestApp, import: ImportId, contact: ContactId) {
    test.put_item(&keys::membership(test.org.org_id, import, contact), json!({"type": {"S": "membership"}})).await;
}

async fn put_lead(test: &TestApp, campaign_id: CampaignId, contact_id: ContactId) {
    test.put_item(&keys::lead(test.org.org_id, LeadKey { campaign_id, contact_id }), json!({"type": {"S": "lead"}}))
        .await;
}

async fn assert_nothing_is_deleted(test: &TestApp) {
    for (item_type, count) in [
        ("contact", 1),
        ("email_lock", 1),
        ("membership", IMPORTS),
        ("lead", LEADS),
        ("tombstone", 0),
        ("audit_entry", 0),
    ] {
        assert_eq!(test.count_items(item_type).await, count, "{item_type}");
    }
}

/// The imports that the tombstone carries.
async fn imports_of_tombstone(test: &TestApp) -> Vec<ImportId> {
    let items = test.items().await;
    let tombstone = items.iter().find(|item| item.contains(r#""type":"tombstone""#)).unwrap();
    let tombstone: Value = serde_json::from_str(tombstone).unwrap();
    serde_json::from_value(tombstone["import_ids"].clone()).unwrap()
}

#[tokio::test]
async fn a_delete_that_is_refused_has_deleted_nothing() {
    let mut test = TestApp::new().await;
    let (contact, _) = contact_with_children(&test).await;
    let direct = test.app.clone();
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    // At each transaction of the delete in turn, another writer is faster.
    for transaction in 0.. {
        for _ in 0..transaction {
            proxy.inject(Operation::TransactWriteItems, Fault::Delayed(Duration::ZERO));
        }
        let mut hold = proxy.hold(Operation::TransactWriteItems, HoldPoint::BeforeExecution);
        let required = RequiredVersion::OneOf(vec![transaction + 1]);
        let contacts = test.ctx().contacts(&principal);
        let mut delete = pin!(contacts.delete(contact, Some(&required)));
        let outcome = tokio::select! {
            outcome = &mut delete => outcome,
            () = hold.reached() => {
                let patch = contact_patch(json!({"full_name": format!("Jane {transaction}")}));
                direct.request_context(deadline(), "test").contacts(&principal).update(contact, &patch, None).await.unwrap();
                hold.release();
                delete.await
            }
        };
        if outcome.is_ok() {
            break;
        }
        assert_eq!(outcome, Err(Error::VersionMismatch));
        assert_nothing_is_deleted(&test).await;
    }
    assert_eq!(test.count_items("contact").await, 0);
}

#[tokio::test]
async fn a_delete_that_cannot_reach_the_table_has_deleted_nothing() {
    let mut test = TestApp::new().await;
    let (contact, _) = contact_with_children(&test).await;
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    // At each transaction of the delete in turn, the table becomes unavailable.
    for transaction in 0.. {
        for _ in 0..transaction {
            proxy.inject(Operation::TransactWriteItems, Fault::Delayed(Duration::ZERO));
        }
        // More faults than the delete makes attempts.
        for _ in 0..500 {
            proxy.inject(Operation::TransactWriteItems, Fault::InternalServerError);
        }
        let ctx = test.app.request_context(Instant::now() + Duration::from_secs(5), "test");
        let outcome = ctx.contacts(&principal).delete(contact, None).await;
        proxy.clear_faults();
        if outcome.is_ok() {
            break;
        }
        assert_eq!(outcome, Err(dynamodb::Error::Unavailable.into()));
        assert_nothing_is_deleted(&test).await;
    }
    assert_eq!(test.count_items("contact").await, 0);
}

#[tokio::test]
async fn a_killed_delete_has_deleted_nothing() {
    let mut test = TestApp::new().await;
    let (contact, _) = contact_with_children(&test).await;
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    // Until the end of the test, so that no killed call is executed late.
    let mut holds = Vec::new();
    // At each transaction of the delete in turn, the process dies.
    for transaction in 0.. {
        for _ in 0..transaction {
            proxy.inject(Operation::TransactWriteItems, Fault::Delayed(Duration::ZERO));
        }
        let mut hold = proxy.hold(Operation::TransactWriteItems, HoldPoint::BeforeExecution);
        let contacts = test.ctx().contacts(&principal);
        tokio::select! {
            outcome = contacts.delete(contact, None) => {
                outcome.unwrap();
                break;
            }
            () = hold.reached() => {}
        }
        holds.push(hold);
        assert_nothing_is_deleted(&test).await;
    }
    assert_eq!(test.count_items("contact").await, 0);
}

#[tokio::test]
async fn the_worker_deletes_the_children_that_do_not_fit_into_the_transaction() {
    let test = TestApp::new().await;
    let kept = test.create_contact(&test.org, jane("kept@example.com"), None).await.id;
    let (contact, imports) = contact_with_children(&test).await;
    put_membership(&test, imports[0], kept).await;
    put_lead(&test, Uuid::now_v7().into(), kept).await;

    test.ctx().contacts(&test.principal(&test.org).await).delete(contact, None).await.unwrap();

    assert_eq!(test.count_items("membership").await, IMPORTS - DELETED_AT_ONCE + 1);
    assert_eq!(test.count_items("lead").await, LEADS + 1);
    process(&test, &Parent::Contact(contact).key(test.org.org_id), &imports).await;
    assert_eq!(test.count_items("membership").await, 1, "that of the other contact");
    assert_eq!(test.count_items("lead").await, 1, "that of the other contact");
}

#[tokio::test]
async fn a_membership_of_a_late_writer_is_deleted_when_the_tombstone_expires() {
    let test = TestApp::new().await;
    let (contact, imports) = contact_with_children(&test).await;
    test.ctx().contacts(&test.principal(&test.org).await).delete(contact, None).await.unwrap();
    let parent = Parent::Contact(contact);
    process(&test, &parent.key(test.org.org_id), &imports).await;
    assert_eq!(test.count_items("membership").await, 0);

    put_membership(&test, imports[IMPORTS - 1], contact).await;
    put_lead(&test, Uuid::now_v7().into(), contact).await;
    let carried = imports_of_tombstone(&test).await;
    process(&test, &parent.tombstone(test.org.org_id), &carried).await;

    assert_eq!(test.count_items("membership").await, 0);
    assert_eq!(test.count_items("lead").await, 0);
}

#[tokio::test]
async fn a_contact_of_as_many_imports_as_it_may_have_can_be_deleted() {
    /// 350 KB, as `bulk::a_contact_at_its_size_limit_joins_no_further_import` finds.
    const MAX_IMPORTS: usize = 9_459;
    /// DynamoDB's limit of an item.
    const MAX_ITEM_BYTES: usize = 400 * 1024;
    let test = TestApp::new().await;
    let (contact, imports) = contact_of_imports(&test, MAX_IMPORTS).await;
    for import in &imports[MAX_IMPORTS - 200..] {
        put_membership(&test, *import, contact).await;
    }

    test.ctx().contacts(&test.principal(&test.org).await).delete(contact, None).await.unwrap();

    let carried = imports_of_tombstone(&test).await;
    assert_eq!(carried.len(), MAX_IMPORTS);
    assert!(serde_json::to_string(&carried).unwrap().len() < MAX_ITEM_BYTES);
    assert_eq!(test.count_items("membership").await, 200);
    process(&test, &Parent::Contact(contact).tombstone(test.org.org_id), &carried).await;
    assert_eq!(test.count_items("membership").await, 0);
}
