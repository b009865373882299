//! Linking imports to campaigns: each contact becomes one lead, also after interruptions and repetitions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shared::app::App;
use shared::domain::{
    CampaignId, ContactId, Import, ImportFilter, ImportId, Kind, Lead, LeadFilter, LeadStatus, Linked,
};
use shared::dynamodb::{Parent, keys};
use shared::repositories::Error;
use shared::testing::fault::{self, Fault, HoldPoint, Operation};
use shared::testing::{TestApp, deadline, jane, parse_body};
use tokio::time::Instant;
use uuid::Uuid;

use crate::cascade::process_removal;

const ACCOUNT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const OTHER_ACCOUNT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

/// The result of linking one import.
fn linked(campaign_id: CampaignId, contacts: usize, inserted: usize) -> Linked {
    Linked { campaign_id, imports: 1, contacts, inserted }
}

async fn campaign(test: &TestApp, status: &str, accounts: &[&str]) -> CampaignId {
    test.create_campaign(json!({"name": "Q1", "status": status, "provider_account_id": accounts})).await.id
}

/// The contact of each stored lead, in no particular order.
async fn contacts_of_leads(test: &TestApp) -> Vec<String> {
    let mut contacts = Vec::new();
    for item in test.items().await {
        let item: serde_json::Value = serde_json::from_str(&item).unwrap();
        if item["type"] == "lead" {
            let (_, contact) = item["pk"].as_str().unwrap().rsplit_once('#').unwrap();
            contacts.push(contact.to_owned());
        }
    }
    contacts
}

/// Asserts that each of these contacts has exactly one lead, and no other contact has any.
async fn assert_one_lead_each(test: &TestApp, contacts: &[ContactId]) {
    let mut with_lead = contacts_of_leads(test).await;
    let mut expected: Vec<String> = contacts.iter().map(ToString::to_string).collect();
    with_lead.sort();
    expected.sort();
    assert!(with_lead == expected, "{} leads of {} contacts", with_lead.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_ten_thousand_contacts_becomes_a_lead_once() {
    const CONTACTS: usize = 10_000;
    let test = TestApp::new().await;
    let (import, campaign) = (test.create_import(&test.org).await, campaign(&test, "active", &[]).await);
    let contacts = test.put_memberships(import, CONTACTS).await;
    let (principal, imports) = (test.principal(&test.org).await, BTreeSet::from([import]));
    let link = || async {
        let ctx = test.app.request_context(Instant::now() + Duration::from_mins(5), "test");
        ctx.leads(&principal).link(campaign, &imports).await
    };
    assert_eq!(link().await, Ok(linked(campaign, CONTACTS, CONTACTS)));
    assert_one_lead_each(&test, &contacts).await;
    let before = test.items().await;
    assert_eq!(link().await, Ok(linked(campaign, CONTACTS, 0)));
    assert_eq!(test.items().await, before, "a repeated call writes nothing");
    let more = test.put_memberships(import, 7).await;
    assert_eq!(link().await, Ok(linked(campaign, CONTACTS + 7, 7)));
    assert_one_lead_each(&test, &[contacts, more].concat()).await;
}

#[tokio::test]
async fn several_imports_are_linked_in_one_call_and_store_their_campaign() {
    let test = TestApp::new().await;
    let campaign = campaign(&test, "draft", &[]).await;
    let imports =
        [test.create_import(&test.org).await, test.create_import(&test.org).await, test.create_import(&test.org).await];
    let in_two_imports = test.create_contact(&test.org, jane("both@example.com"), Some(imports[0])).await.id;
    let other = test.create_contact(&test.org, jane("one@example.com"), Some(imports[1])).await.id;
    let key = keys::membership(test.org.org_id, imports[1], in_two_imports);
    test.put_item(&key, json!({"type": {"S": "membership"}})).await;
    let outcome = test.link_imports(campaign, &imports).await;
    assert_eq!(outcome, Linked { campaign_id: campaign, imports: 3, contacts: 2, inserted: 2 });
    assert_one_lead_each(&test, &[in_two_imports, other]).await;
    let items = test.items().await;
    for import in imports {
        let own = Parent::Import(import).key(test.org.org_id).sk;
        let item = items.iter().find(|item| item.contains(&format!("\"sk\":\"{own}\""))).unwrap();
        assert!(item.contains(&format!("\"campaign_id\":\"{campaign}\"")), "{item}");
    }
}

/// Links a contact, which has a lead of this status in another campaign, to a campaign with [`ACCOUNT`] and
/// [`OTHER_ACCOUNT`]. Returns whether it became a lead there too.
async fn becomes_a_lead(test: &TestApp, lead_status: LeadStatus, campaign_status: &str, accounts: &[&str]) -> bool {
    let import = test.create_import(&test.org).await;
    let contact =
        test.create_contact(&test.org, jane(&format!("{}@example.com", Uuid::new_v4())), Some(import)).await.id;
    let other = campaign(test, campaign_status, accounts).await;
    assert_eq!(test.link_imports(other, &[import]).await, linked(other, 1, 1));
    let lead = test.leads_of_contact(contact).await.pop().unwrap();
    let leads = test.ctx().leads(&test.principal(&test.org).await);
    leads.update(lead.id(), &parse_body(json!({"lead_status": lead_status.as_str()}))).await.unwrap();

    let own = campaign(test, "draft", &[OTHER_ACCOUNT, ACCOUNT]).await;
    let Linked { contacts, inserted, .. } = test.link_imports(own, &[import]).await;
    assert_eq!(contacts, 1);
    assert_eq!(test.leads_of_contact(contact).await.len(), 1 + inserted);
    inserted == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_with_an_open_lead_of_the_same_account_is_excluded() {
    const UNRELATED: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae9";
    let mut cases = Vec::new();
    for status in LeadStatus::ALL {
        for campaign in ["active", "paused", "draft", "archived"] {
            for accounts in [&[ACCOUNT][..], &[UNRELATED, OTHER_ACCOUNT], &[UNRELATED], &[]] {
                let shares_account = accounts.contains(&ACCOUNT) || accounts.contains(&OTHER_ACCOUNT);
                let excluded = status.is_open() && campaign == "active" && shares_account;
                cases.push((*status, campaign, accounts, excluded));
            }
        }
    }
    assert_eq!(cases.iter().filter(|(.., excluded)| *excluded).count(), 4);
    let test = TestApp::new().await;
    for (status, campaign, accounts, excluded) in cases {
        let becomes_a_lead = becomes_a_lead(&test, status, campaign, accounts).await;
        assert_eq!(becomes_a_lead, !excluded, "{status:?} lead of a campaign that is {campaign}, with {accounts:?}");
    }
}

#[tokio::test]
async fn an_existing_lead_of_the_campaign_keeps_its_status() {
    let test = TestApp::new().await;
    let import = test.create_import(&test.org).await;
    let campaign = campaign(&test, "active", &[ACCOUNT]).await;
    let contact = test.create_contact(&test.org, jane("jane@example.com"), Some(import)).await.id;
    test.link_imports(campaign, &[import]).await;
    let id = test.leads_of_contact(contact).await.pop().unwrap().id();
    let principal = test.principal(&test.org).await;
    for status in LeadStatus::ALL {
        test.ctx().leads(&principal).update(id, &parse_body(json!({"lead_status": status.as_str()}))).await.unwrap();
        let ctx = test.ctx();
        let outcome = ctx.leads(&principal).link(campaign, &BTreeSet::from([import])).await;
        assert_eq!(outcome, Ok(linked(campaign, 1, 0)), "{status:?}");
        assert_eq!(ctx.consumed_capacity().calls, 4, "{status:?}: the only write is that of the import");
        assert_eq!(test.leads_of_contact(contact).await[0].details.lead_status, *status);
    }
}

#[tokio::test]
async fn linking_a_missing_campaign_or_import_writes_nothing() {
    let test = TestApp::new().await;
    let (import, campaign) = (test.create_import(&test.org).await, campaign(&test, "active", &[]).await);
    test.put_memberships(import, 3).await;
    let import_of_other = test.create_import(&test.other).await;
    let unknown = Uuid::now_v7();
    let before = test.items().await;
    let principal = test.principal(&test.org).await;
    for (campaign, imports, missing) in [
        (unknown.into(), vec![import], Kind::Campaign),
        (unknown.into(), vec![ImportId::from(unknown)], Kind::Campaign),
        (campaign, vec![import, unknown.into()], Kind::Import),
        (campaign, vec![import, import_of_other], Kind::Import),
    ] {
        let outcome = test.ctx().leads(&principal).link(campaign, &imports.into_iter().collect()).await;
        assert_eq!(outcome, Err(Error::NotFound(missing)));
        assert_eq!(test.items().await, before);
    }
    let other = test.principal(&test.other).await;
    let outcome = test.ctx().leads(&other).link(campaign, &BTreeSet::from([import_of_other])).await;
    assert_eq!(outcome, Err(Error::NotFound(Kind::Campaign)));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_calls_create_each_lead_once() {
    const CONTACTS: usize = 300;
    let test = TestApp::new().await;
    let (import, campaign) = (test.create_import(&test.org).await, campaign(&test, "active", &[]).await);
    let contacts = test.put_memberships(import, CONTACTS).await;
    let imports = [import];
    let outcomes = join_all((0..4).map(|_| test.link_imports(campaign, &imports))).await;
    assert!(outcomes.iter().all(|outcome| outcome.contacts == CONTACTS));
    assert_eq!(outcomes.iter().map(|outcome| outcome.inserted).sum::<usize>(), CONTACTS);
    assert_one_lead_each(&test, &contacts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counts_are_exact_while_a_third_of_all_calls_fail() {
    const CONTACTS: usize = 300;
    let mut test = TestApp::new().await;
    let import = test.create_import(&test.org).await;
    let competing = campaign(&test, "active", &[ACCOUNT]).await;
    let first_contacts = test.put_memberships(import, 40).await;
    test.link_imports(competing, &[import]).await;
    let campaign = campaign(&test, "active", &[ACCOUNT]).await;
    let contacts = test.put_memberships(import, CONTACTS).await;
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    proxy.inject_randomly(20_241_006, 0.3, fault::FaultKind::ALL);
    let outcome = test.ctx().leads(&principal).link(campaign, &BTreeSet::from([import])).await;
    proxy.clear_faults();
    let lost_responses = proxy.take_calls().iter().filter(|call| call.fault == Some(Fault::ResponseLost)).count();
    assert!(lost_responses > 3, "{lost_responses}");
    assert_eq!(outcome, Ok(linked(campaign, first_contacts.len() + CONTACTS, CONTACTS)));
    assert_one_lead_each(&test, &[first_contacts, contacts].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_call_is_completed_by_the_next() {
    const CONTACTS: usize = 400;
    let mut test = TestApp::new().await;
    let (import, campaign) = (test.create_import(&test.org).await, campaign(&test, "active", &[]).await);
    let contacts = test.put_memberships(import, CONTACTS).await;
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    let imports = BTreeSet::from([import]);
    let mut rng = fastrand::Rng::with_seed(20_241_006);
    let mut left = CONTACTS;
    for kill in 0..8 {
        for _ in 0..rng.usize(..40) {
            proxy.inject(Operation::PutItem, Fault::Delayed(Duration::ZERO));
        }
        let point = if rng.bool() { HoldPoint::BeforeExecution } else { HoldPoint::AfterExecution };
        let mut hold = proxy.hold(Operation::PutItem, point);
        // Holds every call that runs in parallel too.
        let _others: Vec<_> = (0..32).map(|_| proxy.hold(Operation::PutItem, point)).collect();
        let leads = test.ctx().leads(&principal);
        tokio::select! {
            outcome = leads.link(campaign, &imports) => panic!("kill {kill}: no call was held: {outcome:?}"),
            () = hold.reached() => {}
        }
        proxy.clear_faults();
        let now = CONTACTS - test.count_items("lead").await;
        assert!(now <= left, "kill {kill}");
        left = now;
    }
    assert!(left > 0 && left < CONTACTS, "{left} are left");
    let outcome = test.ctx().leads(&principal).link(campaign, &imports).await.unwrap();
    assert_eq!(outcome.contacts, CONTACTS);
    assert!(outcome.inserted <= left, "a call in flight at the last kill may have been executed since");
    assert_one_lead_each(&test, &contacts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_its_deadline_is_unavailable_and_completed_by_the_next() {
    let mut test = TestApp::new().await;
    let (import, campaign) = (test.create_import(&test.org).await, campaign(&test, "active", &[]).await);
    let contacts = test.put_memberships(import, 100).await;
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    let imports = BTreeSet::from([import]);
    for _ in 0..20 {
        proxy.inject(Operation::PutItem, Fault::Delayed(Duration::ZERO));
    }
    // More holds than the call makes attempts before its deadline.
    let holds: Vec<_> = (0..500).map(|_| proxy.hold(Operation::PutItem, HoldPoint::BeforeExecution)).collect();
    let ctx = test.app.request_context(Instant::now() + Duration::from_millis(500), "test");
    assert_eq!(ctx.leads(&principal).link(campaign, &imports).await, Err(shared::dynamodb::Error::Unavailable.into()));
    proxy.clear_faults();
    drop(holds);
    assert!(test.ctx().leads(&principal).link(campaign, &imports).await.is_ok());
    assert_one_lead_each(&test, &contacts).await;
}

/// More campaigns compete than there are contacts, so a read per campaign would come before the first lead.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_its_deadline_among_many_competing_campaigns_has_made_progress() {
    const CONTACTS: usize = 30;
    const READ_BEFORE_DEADLINE: usize = 20;
    let mut test = TestApp::new().await;
    let import = test.create_import(&test.org).await;
    let contacts = test.put_memberships(import, CONTACTS).await;
    for _ in 0..=CONTACTS {
        campaign(&test, "active", &[ACCOUNT]).await;
    }
    let campaign = campaign(&test, "active", &[ACCOUNT]).await;
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    let imports = BTreeSet::from([import]);
    // The Query of the memberships, and those of some contacts. All others get no response.
    for _ in 0..=READ_BEFORE_DEADLINE {
        proxy.inject(Operation::Query, Fault::Delayed(Duration::ZERO));
    }
    let holds: Vec<_> = (0..500).map(|_| proxy.hold(Operation::Query, HoldPoint::BeforeExecution)).collect();
    let ctx = test.app.request_context(Instant::now() + Duration::from_secs(2), "test");

    let outcome = ctx.leads(&principal).link(campaign, &imports).await;

    assert_eq!(outcome, Err(shared::dynamodb::Error::Unavailable.into()));
    let inserted = test.count_items("lead").await;
    assert!((1..=READ_BEFORE_DEADLINE).contains(&inserted), "{inserted}");
    proxy.clear_faults();
    drop(holds);
    let outcome = test.ctx().leads(&principal).link(campaign, &imports).await;
    assert_eq!(outcome, Ok(linked(campaign, CONTACTS, CONTACTS - inserted)));
    assert_one_lead_each(&test, &contacts).await;
}

/// Many campaigns compete for few contacts, which are then read contact by contact.
#[tokio::test]
async fn of_many_competing_campaigns_an_open_lead_of_any_excludes_its_contact() {
    let test = TestApp::new().await;
    let (taken, ended, unrelated) =
        (test.create_import(&test.org).await, test.create_import(&test.org).await, test.create_import(&test.org).await);
    let mut contacts = Vec::new();
    for import in [taken, ended, unrelated] {
        let email = format!("{}@example.com", Uuid::new_v4());
        contacts.push(test.create_contact(&test.org, jane(&email), Some(import)).await.id);
    }
    let (first, second) = (campaign(&test, "active", &[ACCOUNT]).await, campaign(&test, "active", &[ACCOUNT]).await);
    test.link_imports(first, &[taken]).await;
    test.link_imports(second, &[ended]).await;
    let lead = test.leads_of_contact(contacts[1]).await.pop().unwrap();
    let leads = test.ctx().leads(&test.principal(&test.org).await);
    leads.update(lead.id(), &parse_body(json!({"lead_status": "ended"}))).await.unwrap();
    test.link_imports(campaign(&test, "active", &[OTHER_ACCOUNT]).await, &[unrelated]).await;
    for _ in 0..3 {
        campaign(&test, "active", &[ACCOUNT]).await;
    }
    let own = campaign(&test, "active", &[ACCOUNT]).await;

    let outcome = test.link_imports(own, &[taken, ended, unrelated]).await;

    assert_eq!((outcome.contacts, outcome.inserted), (3, 2));
    let mut lead_counts = Vec::new();
    for contact in contacts {
        lead_counts.push(test.leads_of_contact(contact).await.len());
    }
    assert_eq!(lead_counts, [1, 2, 2]);
}

#[tokio::test]
async fn the_lead_of_a_concurrently_deleted_contact_is_never_visible_and_is_removed() {
    let mut test = TestApp::new().await;
    let (import, campaign) = (test.create_import(&test.org).await, campaign(&test, "active", &[]).await);
    let contact = test.create_contact(&test.org, jane("jane@example.com"), Some(import)).await.id;
    let direct = test.app.clone();
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    let mut hold = proxy.hold(Operation::PutItem, HoldPoint::BeforeExecution);
    let imports = BTreeSet::from([import]);
    let leads = test.ctx().leads(&principal);
    let link = leads.link(campaign, &imports);
    let parent = Parent::Contact(contact);
    let delete = async {
        hold.reached().await;
        let ctx = direct.request_context(deadline(), "test");
        ctx.contacts(&principal).delete(contact, None).await.unwrap();
        // The worker processes the deletion before the lead is written.
        process_removal(&test, &parent.key(test.org.org_id)).await;
        hold.release();
    };
    let (outcome, ()) = tokio::join!(link, delete);
    assert_eq!(outcome, Ok(linked(campaign, 1, 1)), "the contact existed when the call read it");
    assert_eq!(test.count_items("lead").await, 1, "written after the deletion");
    let id = shared::domain::LeadKey { campaign_id: campaign, contact_id: contact }.lead_id();
    assert_eq!(leads.get(id).await, Err(Error::NotFound(Kind::Lead)));
    for filter in [
        LeadFilter::default(),
        LeadFilter { campaign_id: Some(campaign), ..LeadFilter::default() },
        LeadFilter { contact_id: Some(contact), ..LeadFilter::default() },
    ] {
        assert_eq!(leads.list::<Lead>(&filter, Some(10), None).await.unwrap().rows, [], "{filter:?}");
    }
    process_removal(&test, &parent.tombstone(test.org.org_id)).await;
    assert_eq!(test.count_items("lead").await, 0, "removed when the tombstone expires");
}

/// Deletes a campaign, and runs the worker on its removal.
async fn delete_campaign(test: &TestApp, app: &App, campaign: CampaignId) {
    let principal = test.principal(&test.org).await;
    app.request_context(deadline(), "test").campaigns(&principal).delete(campaign).await.unwrap();
    process_removal(test, &Parent::Campaign(campaign).key(test.org.org_id)).await;
}

/// Two imports of the same three contacts, and a campaign.
async fn two_imports_of_the_same_contacts(test: &TestApp) -> (BTreeSet<ImportId>, Vec<ContactId>, CampaignId) {
    let imports = BTreeSet::from([test.create_import(&test.org).await, test.create_import(&test.org).await]);
    let (first, second) = (imports.first().unwrap(), imports.last().unwrap());
    let mut contacts = Vec::new();
    for n in 0..3 {
        let contact = test.create_contact(&test.org, jane(&format!("{n}@example.com")), Some(*first)).await.id;
        test.put_item(&keys::membership(test.org.org_id, *second, contact), json!({"type": {"S": "membership"}})).await;
        contacts.push(contact);
    }
    (imports, contacts, campaign(test, "active", &[]).await)
}

#[tokio::test]
async fn a_campaign_that_is_deleted_between_two_imports_is_not_found() {
    let mut test = TestApp::new().await;
    let (imports, _, campaign) = two_imports_of_the_same_contacts(&test).await;
    let direct = test.app.clone();
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    proxy.inject(Operation::Query, Fault::Delayed(Duration::ZERO));
    let mut hold = proxy.hold(Operation::Query, HoldPoint::BeforeExecution);
    let leads = test.ctx().leads(&principal);
    let delete = async {
        hold.reached().await;
        delete_campaign(&test, &direct, campaign).await;
        hold.release();
    };

    let (outcome, ()) = tokio::join!(leads.link(campaign, &imports), delete);

    assert_eq!(outcome, Err(Error::NotFound(Kind::Campaign)));
    assert_eq!(test.count_items("lead").await, 0);
    for import in
        test.ctx().imports(&principal).list::<Import>(&ImportFilter::default(), Some(10), None).await.unwrap().rows
    {
        assert_eq!(import.details.campaign_id, None);
    }
}

#[tokio::test]
async fn the_lead_of_a_concurrently_deleted_campaign_is_never_visible_and_is_removed() {
    let mut test = TestApp::new().await;
    let (imports, _, campaign) = two_imports_of_the_same_contacts(&test).await;
    let direct = test.app.clone();
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    let mut hold = proxy.hold(Operation::PutItem, HoldPoint::BeforeExecution);
    let leads = test.ctx().leads(&principal);
    let delete = async {
        hold.reached().await;
        delete_campaign(&test, &direct, campaign).await;
        hold.release();
    };

    let (outcome, ()) = tokio::join!(leads.link(campaign, &imports), delete);

    assert_eq!(outcome, Err(Error::NotFound(Kind::Campaign)));
    assert!(test.count_items("lead").await > 0, "written after the deletion");
    assert_eq!(leads.list::<Lead>(&LeadFilter::default(), Some(10), None).await.unwrap().rows, []);
    process_removal(&test, &Parent::Campaign(campaign).tombstone(test.org.org_id)).await;
    assert_eq!(test.count_items("lead").await, 0, "removed when the tombstone expires");
}

#[tokio::test]
async fn a_contact_of_two_imports_is_considered_once_although_its_lead_is_removed_meanwhile() {
    let mut test = TestApp::new().await;
    let (imports, contacts, campaign) = two_imports_of_the_same_contacts(&test).await;
    let direct = test.app.clone();
    let proxy = test.start_fault_proxy().await;
    let principal = test.principal(&test.org).await;
    // The second import's memberships are read before one of its contacts is deleted with its lead.
    proxy.inject(Operation::Query, Fault::Delayed(Duration::ZERO));
    let mut hold = proxy.hold(Operation::Query, HoldPoint::AfterExecution);
    let leads = test.ctx().leads(&principal);
    let delete = async {
        hold.reached().await;
        direct.request_context(deadline(), "test").contacts(&principal).delete(contacts[0], None).await.unwrap();
        hold.release();
    };

    let (outcome, ()) = tokio::join!(leads.link(campaign, &imports), delete);

    assert_eq!(outcome, Ok(Linked { campaign_id: campaign, imports: 2, contacts: 3, inserted: 3 }));
    assert_eq!(outcome.unwrap().excluded(), 0);
    assert_one_lead_each(&test, &contacts[1..]).await;
}
