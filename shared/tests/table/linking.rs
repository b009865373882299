//! Leads out of imports: every contact once, however the call ends and however often it is made.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shared::domain::{CampaignId, ContactId, ImportId, Kind, LeadFilter, LeadStatus, Linked};
use shared::dynamodb::{self, Parent};
use shared::repositories::Error;
use shared::testing::fault::{self, Fault, Moment, Operation};
use shared::testing::{TestApp, deadline, jane, read};
use tokio::time::Instant;
use uuid::Uuid;

use crate::cascade::clear;

const ACCOUNT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const OTHER_ACCOUNT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

/// What a call says that made `inserted` leads of so many contacts of one import.
fn linked(campaign_id: CampaignId, contacts: usize, inserted: usize) -> Linked {
    Linked { campaign_id, imports: 1, contacts, inserted }
}

async fn campaign(test: &TestApp, status: &str, accounts: &[&str]) -> CampaignId {
    test.campaign(json!({"name": "Q1", "status": status, "provider_account_id": accounts})).await.id
}

/// The contacts that have a lead's item, as often as they have one, in no order.
async fn leads(test: &TestApp) -> Vec<String> {
    let items = test.items().await.into_iter().filter(|item| item.contains(r#""type":"lead""#));
    let contact = |item: String| {
        let item: serde_json::Value = serde_json::from_str(&item).unwrap();
        item["pk"].as_str().unwrap().rsplit('#').next().unwrap().to_owned()
    };
    items.map(contact).collect()
}

/// Each of the contacts has exactly one lead, and nobody else has one.
async fn assert_one_each(test: &TestApp, contacts: &[ContactId]) {
    let leads = leads(test).await;
    let distinct: HashSet<_> = leads.iter().cloned().collect();
    assert_eq!((leads.len(), distinct.len()), (contacts.len(), contacts.len()));
    assert_eq!(distinct, contacts.iter().map(ToString::to_string).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_ten_thousand_contacts_becomes_a_lead_once() {
    const CONTACTS: usize = 10_000;
    let test = TestApp::new().await;
    let (import, campaign) = (test.import(&test.org).await, campaign(&test, "active", &[]).await);
    let contacts = test.members(import, CONTACTS).await;
    let (principal, imports) = (test.principal(&test.org).await, BTreeSet::from([import]));
    let link = || async {
        let ctx = test.app.request_context(Instant::now() + Duration::from_mins(5));
        ctx.leads(&principal).link(campaign, &imports).await
    };
    assert_eq!(link().await, Ok(linked(campaign, CONTACTS, CONTACTS)));
    assert_one_each(&test, &contacts).await;
    let before = test.items().await;
    assert_eq!(link().await, Ok(linked(campaign, CONTACTS, 0)));
    assert_eq!(test.items().await, before, "a repeat writes nothing");
    let more = test.members(import, 7).await;
    assert_eq!(link().await, Ok(linked(campaign, CONTACTS + 7, 7)));
    assert_one_each(&test, &[contacts, more].concat()).await;
}

#[tokio::test]
async fn imports_are_linked_together_and_know_their_campaign() {
    let test = TestApp::new().await;
    let campaign = campaign(&test, "draft", &[]).await;
    let imports = [test.import(&test.org).await, test.import(&test.org).await, test.import(&test.org).await];
    let shared_by_two = test.create(&test.org, jane("both@example.com"), Some(imports[0])).await.id;
    let other = test.create(&test.org, jane("one@example.com"), Some(imports[1])).await.id;
    let key = shared::dynamodb::keys::membership(test.org.org_id, imports[1], shared_by_two);
    test.put_item(&key, json!({"type": {"S": "membership"}})).await;
    let outcome = test.link(campaign, &imports).await;
    assert_eq!(outcome, Linked { campaign_id: campaign, imports: 3, contacts: 2, inserted: 2 });
    assert_one_each(&test, &[shared_by_two, other]).await;
    let items = test.items().await;
    for import in imports {
        let own = Parent::Import(import).key(test.org.org_id).sk;
        let item = items.iter().find(|item| item.contains(&format!("\"sk\":\"{own}\""))).unwrap();
        assert!(item.contains(&format!("\"campaign_id\":\"{campaign}\"")), "{item}");
    }
}

/// Whether a contact that is a lead of another campaign becomes one of this, whose account is [`ACCOUNT`].
async fn becomes_a_lead(test: &TestApp, theirs: LeadStatus, campaign_status: &str, accounts: &[&str]) -> bool {
    let import = test.import(&test.org).await;
    let contact = test.create(&test.org, jane(&format!("{}@example.com", Uuid::new_v4())), Some(import)).await.id;
    let other = campaign(test, campaign_status, accounts).await;
    assert_eq!(test.link(other, &[import]).await, linked(other, 1, 1));
    let lead = test.leads_of(contact).await.pop().unwrap();
    let leads = test.ctx().leads(&test.principal(&test.org).await);
    leads.update(lead.id(), &read(json!({"lead_status": theirs.as_str()}))).await.unwrap();

    let own = campaign(test, "draft", &[OTHER_ACCOUNT, ACCOUNT]).await;
    let Linked { contacts, inserted, .. } = test.link(own, &[import]).await;
    assert_eq!(contacts, 1);
    assert_eq!(test.leads_of(contact).await.len(), 1 + inserted);
    inserted == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_being_addressed_from_the_same_account_is_left_out() {
    const UNRELATED: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae9";
    let mut cases = Vec::new();
    for status in LeadStatus::ALL {
        for campaign in ["active", "paused", "draft", "archived"] {
            for accounts in [&[ACCOUNT][..], &[UNRELATED, OTHER_ACCOUNT], &[UNRELATED], &[]] {
                let shares = accounts.contains(&ACCOUNT) || accounts.contains(&OTHER_ACCOUNT);
                let left_out = status.is_open() && campaign == "active" && shares;
                cases.push((*status, campaign, accounts, left_out));
            }
        }
    }
    assert_eq!(cases.iter().filter(|(.., left_out)| *left_out).count(), 4);
    let test = TestApp::new().await;
    for (status, campaign, accounts, left_out) in cases {
        let becomes = becomes_a_lead(&test, status, campaign, accounts).await;
        assert_eq!(becomes, !left_out, "{status:?} of a campaign that is {campaign} from {accounts:?}");
    }
}

#[tokio::test]
async fn whatever_its_status_a_lead_of_the_campaign_is_left_out_and_left_alone() {
    let test = TestApp::new().await;
    let import = test.import(&test.org).await;
    let campaign = campaign(&test, "active", &[ACCOUNT]).await;
    let contact = test.create(&test.org, jane("jane@example.com"), Some(import)).await.id;
    test.link(campaign, &[import]).await;
    let id = test.leads_of(contact).await.pop().unwrap().id();
    let principal = test.principal(&test.org).await;
    for status in LeadStatus::ALL {
        test.ctx().leads(&principal).update(id, &read(json!({"lead_status": status.as_str()}))).await.unwrap();
        let ctx = test.ctx();
        let outcome = ctx.leads(&principal).link(campaign, &BTreeSet::from([import])).await;
        assert_eq!(outcome, Ok(linked(campaign, 1, 0)), "{status:?}");
        assert_eq!(ctx.consumed_capacity().calls, 4, "{status:?}: no write is tried but that of the import");
        assert_eq!(test.leads_of(contact).await[0].details.lead_status, *status);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_linked_to_and_nothing_is_written() {
    let test = TestApp::new().await;
    let (import, campaign) = (test.import(&test.org).await, campaign(&test, "active", &[]).await);
    test.members(import, 3).await;
    let theirs = test.import(&test.other).await;
    let nothing = Uuid::now_v7();
    let before = test.items().await;
    let principal = test.principal(&test.org).await;
    for (campaign, imports, missing) in [
        (nothing.into(), vec![import], Kind::Campaign),
        (nothing.into(), vec![ImportId::from(nothing)], Kind::Campaign),
        (campaign, vec![import, nothing.into()], Kind::Import),
        (campaign, vec![import, theirs], Kind::Import),
    ] {
        let outcome = test.ctx().leads(&principal).link(campaign, &imports.into_iter().collect()).await;
        assert_eq!(outcome, Err(Error::NotFound(missing)));
        assert_eq!(test.items().await, before);
    }
    let other = test.principal(&test.other).await;
    let outcome = test.ctx().leads(&other).link(campaign, &BTreeSet::from([theirs])).await;
    assert_eq!(outcome, Err(Error::NotFound(Kind::Campaign)));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_share_the_contacts_out_between_them() {
    const CONTACTS: usize = 300;
    let test = TestApp::new().await;
    let (import, campaign) = (test.import(&test.org).await, campaign(&test, "active", &[]).await);
    let contacts = test.members(import, CONTACTS).await;
    let imports = [import];
    let outcomes = join_all((0..4).map(|_| test.link(campaign, &imports))).await;
    assert!(outcomes.iter().all(|outcome| outcome.contacts == CONTACTS));
    assert_eq!(outcomes.iter().map(|outcome| outcome.inserted).sum::<usize>(), CONTACTS);
    assert_one_each(&test, &contacts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_are_exact_while_a_third_of_all_calls_fail() {
    const CONTACTS: usize = 300;
    let mut test = TestApp::new().await;
    let import = test.import(&test.org).await;
    let rival = campaign(&test, "active", &[ACCOUNT]).await;
    let taken = test.members(import, 40).await;
    test.link(rival, &[import]).await;
    let campaign = campaign(&test, "active", &[ACCOUNT]).await;
    let contacts = test.members(import, CONTACTS).await;
    let proxy = test.behind_faults().await;
    let principal = test.principal(&test.org).await;
    proxy.randomly(20_241_006, 0.3, fault::Kind::ALL);
    let outcome = test.ctx().leads(&principal).link(campaign, &BTreeSet::from([import])).await;
    proxy.calm();
    let lost = proxy.take_calls().iter().filter(|call| call.fault == Some(Fault::ResetAfter)).count();
    assert!(lost > 3, "answers were lost after the write");
    assert_eq!(outcome, Ok(linked(campaign, taken.len() + CONTACTS, CONTACTS)));
    assert_one_each(&test, &[taken, contacts].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_killed_is_finished_by_the_next() {
    const CONTACTS: usize = 400;
    let mut test = TestApp::new().await;
    let (import, campaign) = (test.import(&test.org).await, campaign(&test, "active", &[]).await);
    let contacts = test.members(import, CONTACTS).await;
    let proxy = test.behind_faults().await;
    let principal = test.principal(&test.org).await;
    let imports = BTreeSet::from([import]);
    let mut random = fastrand::Rng::with_seed(20_241_006);
    let mut left = CONTACTS;
    for kill in 0..8 {
        for _ in 0..random.usize(..40) {
            proxy.inject(Operation::PutItem, Fault::Slow(Duration::ZERO));
        }
        let moment = if random.bool() { Moment::Before } else { Moment::After };
        let mut hold = proxy.hold(Operation::PutItem, moment);
        // As many as are under way at once, so that the call gets no further.
        let _others: Vec<_> = (0..32).map(|_| proxy.hold(Operation::PutItem, moment)).collect();
        let leads = test.ctx().leads(&principal);
        tokio::select! {
            outcome = leads.link(campaign, &imports) => panic!("kill {kill}: it was not held: {outcome:?}"),
            () = hold.reached() => {}
        }
        proxy.calm();
        let now = CONTACTS - test.count("lead").await;
        assert!(now <= left, "kill {kill}");
        left = now;
    }
    assert!(left > 0 && left < CONTACTS, "{left} are left");
    let outcome = test.ctx().leads(&principal).link(campaign, &imports).await.unwrap();
    assert_eq!(outcome.contacts, CONTACTS);
    assert!(outcome.inserted <= left, "what was under way when the last was killed may have arrived since");
    assert_one_each(&test, &contacts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_time_is_up_says_so_and_is_finished_by_the_next() {
    let mut test = TestApp::new().await;
    let (import, campaign) = (test.import(&test.org).await, campaign(&test, "active", &[]).await);
    let contacts = test.members(import, 100).await;
    let proxy = test.behind_faults().await;
    let principal = test.principal(&test.org).await;
    let imports = BTreeSet::from([import]);
    for _ in 0..20 {
        proxy.inject(Operation::PutItem, Fault::Slow(Duration::ZERO));
    }
    // More than there are attempts until the time is up.
    let holds: Vec<_> = (0..500).map(|_| proxy.hold(Operation::PutItem, Moment::Before)).collect();
    let ctx = test.app.request_context(Instant::now() + Duration::from_millis(500));
    assert_eq!(ctx.leads(&principal).link(campaign, &imports).await, Err(dynamodb::Error::Unavailable.into()));
    proxy.calm();
    drop(holds);
    assert!(test.ctx().leads(&principal).link(campaign, &imports).await.is_ok());
    assert_one_each(&test, &contacts).await;
}

#[tokio::test]
async fn the_lead_of_a_contact_that_went_meanwhile_is_never_seen_and_does_not_stay() {
    let mut test = TestApp::new().await;
    let (import, campaign) = (test.import(&test.org).await, campaign(&test, "active", &[]).await);
    let contact = test.create(&test.org, jane("jane@example.com"), Some(import)).await.id;
    let direct = test.app.clone();
    let proxy = test.behind_faults().await;
    let principal = test.principal(&test.org).await;
    let mut hold = proxy.hold(Operation::PutItem, Moment::Before);
    let imports = BTreeSet::from([import]);
    let leads = test.ctx().leads(&principal);
    let link = leads.link(campaign, &imports);
    let parent = Parent::Contact(contact);
    let delete = async {
        hold.reached().await;
        let ctx = direct.request_context(deadline());
        ctx.contacts(&principal).delete(contact, None).await.unwrap();
        // The worker hears of the delete before the lead is there.
        clear(&test, &parent.key(test.org.org_id)).await;
        hold.release();
    };
    let (outcome, ()) = tokio::join!(link, delete);
    assert_eq!(outcome, Ok(linked(campaign, 1, 1)), "it was there when the call looked");
    assert_eq!(test.count("lead").await, 1, "the late write");
    let id = shared::domain::LeadKey { campaign_id: campaign, contact_id: contact }.lead_id();
    assert_eq!(leads.get(id).await, Err(Error::NotFound(Kind::Lead)));
    for filter in [
        LeadFilter::default(),
        LeadFilter { campaign_id: Some(campaign), ..LeadFilter::default() },
        LeadFilter { contact_id: Some(contact), ..LeadFilter::default() },
    ] {
        assert_eq!(leads.list(&filter, 10, None).await.unwrap().rows, [], "{filter:?}");
    }
    clear(&test, &parent.tombstone(test.org.org_id)).await;
    assert_eq!(test.count("lead").await, 0, "gone after the tombstone's end");
}
