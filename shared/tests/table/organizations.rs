//! Organizations: created, suspended and resumed by an operator, with one audit entry per change.

use chrono::TimeDelta;
use shared::auth::Principal;
use shared::domain::{ActorType, ApiKey, AuditAction, AuditEntry, AuditFilter, OrgId, Organization};
use shared::repositories::{LastAdminKey, Organizations};
use shared::testing::TestApp;
use shared::testing::fault::Operation;
use uuid::Uuid;

use crate::faults::transient_faults;

/// An organization without credentials, for its operator.
fn organization(test: &TestApp, id: OrgId) -> Organizations {
    test.ctx().organizations(&Principal::operator(id, "test"))
}

/// The actions in the audit log, newest first.
async fn actions(test: &TestApp) -> Vec<AuditAction> {
    test.audit_log().await.into_iter().map(|entry| entry.action).collect()
}

#[tokio::test]
async fn an_organization_is_created_once_and_unknown_before() {
    let test = TestApp::new().await;
    let organization = test.organization();
    assert_eq!(organization.get().await.unwrap(), None);
    assert_eq!(organization.suspend().await.unwrap(), None);
    assert_eq!(organization.resume().await.unwrap(), None);

    let created = organization.create("Acme".parse().unwrap()).await.unwrap();
    let again = organization.create("Other".parse().unwrap()).await.unwrap();

    let Some(Organization { id, name, suspended_at: None, .. }) = created.clone() else { panic!("{created:?}") };
    assert_eq!((id, name.as_str(), again), (test.org.org_id, "Acme", None));
    assert_eq!(organization.get().await.unwrap(), created);
    assert_eq!(actions(&test).await, [AuditAction::OrganizationCreated]);
}

#[tokio::test]
async fn a_suspension_keeps_its_time_until_it_ends_and_each_change_has_one_entry() {
    let test = TestApp::new().await;
    let created = test.organization().create("Acme".parse().unwrap()).await.unwrap();

    let suspended = test.organization().suspend().await.unwrap().unwrap();
    test.advance_clock(TimeDelta::hours(1));
    assert_eq!(test.organization().suspend().await.unwrap().unwrap(), suspended, "nothing changes");
    assert!(suspended.suspended_at.is_some());

    for _ in 0..2 {
        assert_eq!(test.organization().resume().await.unwrap(), created);
        test.advance_clock(TimeDelta::hours(1));
    }
    let expected =
        [AuditAction::OrganizationResumed, AuditAction::OrganizationSuspended, AuditAction::OrganizationCreated];
    assert_eq!(actions(&test).await, expected);
}

#[tokio::test]
async fn suspending_an_organization_survives_every_fault_and_has_one_entry() {
    for fault in transient_faults(Operation::TransactWriteItems) {
        let mut test = TestApp::new().await;
        let proxy = test.start_fault_proxy().await;
        test.organization().create("Acme".parse().unwrap()).await.unwrap();
        proxy.inject(Operation::TransactWriteItems, fault.clone());

        let suspended = test.organization().suspend().await.unwrap().unwrap();

        assert!(suspended.suspended_at.is_some(), "{fault:?}");
        assert_eq!(test.count_items("audit_entry").await, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn every_organization_is_listed_in_the_order_of_ids() {
    let test = TestApp::new().await;
    let mut expected = Vec::new();
    for number in (1..=120).rev() {
        let id = Uuid::from_u128(number).into();
        expected.push(organization(&test, id).create(format!("{number}").parse().unwrap()).await.unwrap().unwrap());
    }
    expected.reverse();

    let listed = test.organization().list_all().await.unwrap();

    assert_eq!(listed, expected);
}

#[tokio::test]
async fn an_operator_may_revoke_the_last_admin_key_of_a_suspended_organization() {
    let test = TestApp::new().await;
    test.organization().create("Acme".parse().unwrap()).await.unwrap();
    test.organization().suspend().await.unwrap();
    let operator = Principal::operator(test.org.org_id, "test");
    let keys = test.ctx().api_keys(&operator);
    let rows = keys.list::<ApiKey>(None, None).await.unwrap().rows;
    let admin = rows.iter().find(|key| key.is_admin_key_at(test.ctx().now())).unwrap().id;

    keys.revoke(admin, LastAdminKey::Allow).await.unwrap();

    let audit_log = test.ctx().audit_log(&operator);
    let newest = audit_log.list::<AuditEntry>(&AuditFilter::default(), Some(1), None).await.unwrap().rows.remove(0);
    assert_eq!((newest.action, newest.subject_id), (AuditAction::ApiKeyRevoked, admin.to_string()));
    assert_eq!(newest.actor.actor_type, ActorType::Operator);
}
