//! The timeline compared with a model, a list in memory that is filtered, sorted and sliced, over random reads and writes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use chrono::TimeDelta;
use fastrand::Rng;
use serde_json::json;
use shared::domain::{Activity, CampaignId, CampaignStatus, ContactId, TimelineFilter, TimelinePage, time};
use shared::testing::{TestApp, jane, parse_body};
use shared::wire::NewActivities;
use uuid::Uuid;

const READS: usize = 10_000;
/// The number of reads on another engine than the embedded one, which is ten times slower.
const READS_ON_ANOTHER_ENGINE: usize = 500;
const CONTACTS: usize = 6;

/// The expected state of the table.
#[derive(Default)]
struct Model {
    contacts: Vec<(ContactId, Vec<Activity>)>,
    campaigns: Vec<(CampaignId, CampaignStatus)>,
}

impl Model {
    /// The expected page, and whether more activities follow.
    fn page(&self, contact: usize, page: &TimelinePage) -> (Vec<Activity>, bool) {
        let mut active = BTreeSet::new();
        for (id, status) in &self.campaigns {
            if *status == CampaignStatus::Active {
                active.insert(*id);
            }
        }
        let shown = |activity: &&Activity| match page.filter {
            TimelineFilter::Any => true,
            TimelineFilter::Active if active.is_empty() => true,
            TimelineFilter::Active => activity.details.campaign_id.is_some_and(|id| active.contains(&id)),
            TimelineFilter::Campaign(wanted) => {
                activity.details.campaign_id == Some(wanted) && self.campaigns.iter().any(|(id, _)| *id == wanted)
            }
        };
        let (_, activities) = &self.contacts[contact];
        let mut all: Vec<_> = activities.iter().filter(shown).cloned().collect();
        all.sort_by(|a, b| (a.event_time, a.id.as_str()).cmp(&(b.event_time, b.id.as_str())));
        let (page, limit) = (page.page as usize, page.limit as usize);
        let more = all.len() > (page + 1) * limit;
        (all.into_iter().skip(page * limit).take(limit).collect(), more)
    }
}

/// The ids of the existing campaigns, and one that does not exist.
fn campaign_ids(model: &Model, missing: CampaignId) -> Vec<CampaignId> {
    let mut ids: Vec<CampaignId> = model.campaigns.iter().map(|(id, _)| *id).collect();
    ids.push(missing);
    ids
}

fn choose<T: Copy>(from: &[T], rng: &mut Rng) -> T {
    from[rng.usize(..from.len())]
}

/// Makes a random change to the table and to the model.
async fn change(test: &TestApp, model: &mut Model, rng: &mut Rng, missing: CampaignId) {
    let principal = test.principal(&test.org).await;
    let campaigns = test.ctx().campaigns(&principal);
    match rng.u8(0..10) {
        0 if model.campaigns.len() < 6 => {
            let status = choose(CampaignStatus::ALL, rng);
            let campaign = test.create_campaign(json!({"name": "Q1", "status": status.as_str()})).await;
            model.campaigns.push((campaign.id, status));
        }
        1 if !model.campaigns.is_empty() => {
            let (id, _) = model.campaigns.swap_remove(rng.usize(0..model.campaigns.len()));
            campaigns.delete(id).await.unwrap();
        }
        2..=4 if !model.campaigns.is_empty() => {
            let index = rng.usize(0..model.campaigns.len());
            let (id, status) = &mut model.campaigns[index];
            *status = choose(CampaignStatus::ALL, rng);
            campaigns.update(*id, &parse_body(json!({"status": status.as_str()}))).await.unwrap();
        }
        _ => record_activities(test, model, rng, missing).await,
    }
}

/// Records up to twelve activities of one contact. They have few timestamps and few ids, so that several share a
/// timestamp and some are repeated.
async fn record_activities(test: &TestApp, model: &mut Model, rng: &mut Rng, missing: CampaignId) {
    let campaign_ids = campaign_ids(model, missing);
    let contact = rng.usize(0..CONTACTS);
    let mut bodies = Vec::new();
    for _ in 0..rng.usize(1..=12) {
        let time = time::parse("2024-04-18T10:15:00Z").unwrap() + TimeDelta::milliseconds(rng.i64(0..30));
        let campaign = if rng.bool() { Some(choose(&campaign_ids, rng).to_string()) } else { None };
        bodies.push(json!({
            "id": format!("act_{}", rng.u8(0..3)),
            "event_time": time::to_millis(time),
            "event_type": "x",
            "campaign_id": campaign,
        }));
    }

    let (id, stored) = &mut model.contacts[contact];
    let activities = test.ctx().activities(&test.principal(&test.org).await, *id);
    let NewActivities(new) = parse_body(json!(bodies));
    let drafted = activities.draft(new);
    activities.record(&drafted, |_| None).await.unwrap();
    for activity in drafted {
        let is_same = |known: &Activity| known.event_time == activity.event_time && known.id == activity.id;
        let is_repeated = stored.iter().any(is_same);
        if !is_repeated {
            stored.push(activity);
        }
    }
}

#[tokio::test]
async fn ten_thousand_random_pages_equal_those_of_the_model() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let mut rng = Rng::with_seed(20_241_006);
    let missing = CampaignId::from(Uuid::from_u128(7));
    let mut model = Model::default();
    for n in 0..CONTACTS {
        model
            .contacts
            .push((test.create_contact(&test.org, jane(&format!("{n}@example.com")), None).await.id, Vec::new()));
    }
    let mut reads_with_more = 0;
    let reads = if test.uses_embedded_engine() { READS } else { READS_ON_ANOTHER_ENGINE };
    for n in 0..reads {
        if n % 50 == 0 {
            change(&test, &mut model, &mut rng, missing).await;
        }
        let filter = match rng.u8(0..4) {
            0 => TimelineFilter::Any,
            1 | 2 => TimelineFilter::Active,
            _ => TimelineFilter::Campaign(choose(&campaign_ids(&model, missing), &mut rng)),
        };
        let page = TimelinePage { filter, page: rng.u32(0..4), limit: rng.u32(1..=12), after: None };
        let contact = rng.usize(0..CONTACTS);
        let (_, timeline) =
            test.ctx().contacts(&principal).get::<Activity>(model.contacts[contact].0, &page).await.unwrap();
        let (activities, more) = model.page(contact, &page);
        assert_eq!((timeline.activities, timeline.next.is_some()), (activities, more), "read {n}: {page:?}");
        if more {
            reads_with_more += 1;
        }
    }
    assert!(reads_with_more > reads / 10, "enough reads are of timelines with several pages: {reads_with_more}");
    assert!(!model.campaigns.is_empty(), "the filters were tested with campaigns");
}
