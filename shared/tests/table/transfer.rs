//! The import of contacts that name more imports than fit into their transaction.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use shared::auth::Principal;
use shared::domain::{Contact, Record, RecordOutcome};
use shared::dynamodb::keys;
use shared::testing::fault::{FaultProxy, Hold, HoldPoint, Operation};
use shared::testing::{TestApp, deadline, jane, new_contact};
use tokio::task::JoinHandle;

const IMPORTS: usize = 150;

/// A contact that is not stored, of imports that are.
async fn contact_of_many_imports(test: &TestApp) -> Contact {
    let contacts = test.ctx().contacts(&test.principal(&test.org).await);
    let mut contact = contacts.draft(new_contact(jane("jane@example.com")), None);
    for _ in 0..IMPORTS {
        contact.import_ids.insert(test.create_import(&test.org).await);
    }
    contact
}

async fn store(test: &TestApp, contact: &Contact) -> RecordOutcome {
    let transfer = test.ctx().transfer(&Principal::operator(test.org.org_id, "test"));
    transfer.store(&[Record::Contact(contact.clone())]).await.unwrap()[0]
}

/// An import of the contact by a process that stops after the contact's transaction, while it is held.
async fn start_import(test: &TestApp, contact: &Contact) -> (JoinHandle<RecordOutcome>, FaultProxy, Hold) {
    let (app, proxy) = test.start_process().await;
    let mut hold = proxy.hold(Operation::TransactWriteItems, HoldPoint::AfterExecution);
    let operator = Principal::operator(test.org.org_id, "test");
    let transfer = app.request_context(deadline(), "test").transfer(&operator);
    let record = Record::Contact(contact.clone());
    let import = tokio::spawn(async move { transfer.store(&[record]).await.unwrap()[0] });
    hold.reached().await;
    (import, proxy, hold)
}

#[tokio::test]
async fn a_contact_is_stored_before_its_memberships_and_completed_by_the_run_after_a_kill() {
    let test = TestApp::new().await;
    let contact = contact_of_many_imports(&test).await;

    let (import, _proxy, _hold) = start_import(&test, &contact).await;
    import.abort();
    assert!(import.await.unwrap_err().is_cancelled());
    let memberships = test.count_items("membership").await;
    assert!(test.count_items("contact").await == 1 && memberships < IMPORTS, "{memberships} memberships");

    assert_eq!(store(&test, &contact).await, RecordOutcome::AlreadyThere);
    assert_eq!(test.count_items("membership").await, IMPORTS);

    let before = test.items().await;
    assert_eq!(store(&test, &contact).await, RecordOutcome::AlreadyThere);
    assert_eq!(test.items().await, before);
}

#[tokio::test]
async fn a_contact_that_is_deleted_meanwhile_gets_no_more_memberships() {
    let test = TestApp::new().await;
    let contact = contact_of_many_imports(&test).await;

    let (import, _proxy, hold) = start_import(&test, &contact).await;
    let memberships = test.count_items("membership").await;
    test.delete_item(&keys::contact(test.org.org_id, contact.id)).await;
    hold.release();

    assert_eq!(import.await.unwrap(), RecordOutcome::Written);
    assert_eq!(test.count_items("membership").await, memberships);
}

#[tokio::test]
async fn only_imports_that_exist_and_that_the_stored_contact_names_get_a_membership_later() {
    let mut test = TestApp::new().await;
    let mut contact = contact_of_many_imports(&test).await;
    let (import, _proxy, _hold) = start_import(&test, &contact).await;
    import.abort();
    assert!(import.await.unwrap_err().is_cancelled());
    let deleted = *contact.import_ids.last().unwrap();
    test.delete_item(&keys::import(test.org.org_id, deleted)).await;
    contact.import_ids.insert(test.create_import(&test.org).await);
    // The process has cached that the import exists.
    test.restart();

    assert_eq!(store(&test, &contact).await, RecordOutcome::AlreadyThere);

    assert_eq!(test.count_items("membership").await, IMPORTS - 1);
}
