//! The import of contacts that name more imports than fit into their transaction.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::json;
use shared::auth::Principal;
use shared::domain::{ApiKeySecret, Contact, Record, RecordOutcome, RecordRefusal, Scope};
use shared::dynamodb::keys;
use shared::testing::fault::{FaultProxy, Hold, HoldPoint, Operation};
use shared::testing::{TestApp, deadline, jane, new_contact, parse_body};
use shared::wire::NewCampaign;
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

#[tokio::test]
async fn a_contact_that_was_just_deleted_does_not_come_back() {
    let test = TestApp::new().await;
    let contact = test.create_jane("jane@example.com").await;
    test.ctx().contacts(&test.principal(&test.org).await).delete(contact.id, None).await.unwrap();

    assert_eq!(store(&test, &contact).await, RecordOutcome::Refused(RecordRefusal::Deleted));
    assert_eq!(test.count_items("contact").await, 0);
}

#[tokio::test]
async fn an_id_names_one_key() {
    let test = TestApp::new().await;
    let (_, key) = test.create_api_key(&[Scope::Admin]).await;
    let other = ApiKeySecret::new(true, [7; 24]).hash();

    let transfer = test.ctx().transfer(&Principal::operator(test.org.org_id, "test"));
    let outcomes = transfer.store(&[Record::ApiKey(other, key)]).await.unwrap();

    assert_eq!(outcomes, [RecordOutcome::Refused(RecordRefusal::KeyIdTaken)]);
}

#[tokio::test]
async fn two_lines_of_one_contact_store_it_once() {
    let test = TestApp::new().await;
    let contacts = test.ctx().contacts(&test.principal(&test.org).await);
    let contact = Record::Contact(contacts.draft(new_contact(jane("jane@example.com")), None));

    let transfer = test.ctx().transfer(&Principal::operator(test.org.org_id, "test"));
    let outcomes = transfer.store(&[contact.clone(), contact]).await.unwrap();

    assert_eq!(outcomes, [RecordOutcome::Written, RecordOutcome::AlreadyThere]);
}

#[tokio::test]
async fn a_campaign_does_not_take_the_lead_magnet_of_another() {
    let test = TestApp::new().await;
    let lead_magnet = json!({"name": "Guide", "url": "https://example.com/guide.pdf", "content_type": "pdf"});
    let NewCampaign { details, lead_magnet } = parse_body(json!({"name": "Q1", "lead_magnet": lead_magnet}));
    let campaigns = test.ctx().campaigns(&test.principal(&test.org).await);
    let first = campaigns.draft(details.clone(), lead_magnet.as_ref());
    let mut second = campaigns.draft(details, lead_magnet.as_ref());
    second.lead_magnet_id = first.lead_magnet_id;
    let records = [first, second].map(|campaign| Record::Campaign(campaign, lead_magnet.clone()));

    let transfer = test.ctx().transfer(&Principal::operator(test.org.org_id, "test"));
    let outcomes = transfer.store(&records).await.unwrap();

    assert_eq!(outcomes, [RecordOutcome::Written, RecordOutcome::Refused(RecordRefusal::LeadMagnetTaken)]);
}
