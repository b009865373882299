//! The timeline against a model that knows nothing of keys, pages or queries: a list that is filtered and cut.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use fastrand::Rng;
use serde_json::json;
use shared::domain::{Activity, CampaignId, CampaignStatus, ContactId, TimelineFilter, TimelinePage, time};
use shared::testing::{TestApp, jane, read};
use shared::wire::NewActivities;
use uuid::Uuid;

const READS: usize = 10_000;
/// On an engine that takes ten times as long, the first of them.
const READS_ON_ANOTHER_ENGINE: usize = 500;
const CONTACTS: usize = 6;

/// What should be there.
#[derive(Default)]
struct Model {
    contacts: Vec<(ContactId, Vec<Activity>)>,
    campaigns: Vec<(CampaignId, CampaignStatus)>,
}

impl Model {
    /// The page as the contract words it: filter, order by time and then by id, cut.
    fn page(&self, contact: usize, page: &TimelinePage) -> (Vec<Activity>, bool) {
        let active: BTreeSet<_> =
            self.campaigns.iter().filter(|(_, status)| *status == CampaignStatus::Active).map(|(id, _)| *id).collect();
        let shown = |activity: &&Activity| match page.filter {
            TimelineFilter::Any => true,
            TimelineFilter::Active if active.is_empty() => true,
            TimelineFilter::Active => activity.details.campaign_id.is_some_and(|id| active.contains(&id)),
            TimelineFilter::Campaign(wanted) => {
                activity.details.campaign_id == Some(wanted) && self.campaigns.iter().any(|(id, _)| *id == wanted)
            }
        };
        let mut all: Vec<_> = self.contacts[contact].1.iter().filter(shown).cloned().collect();
        all.sort_by(|one, other| {
            (one.details.event_time, one.id.as_str()).cmp(&(other.details.event_time, other.id.as_str()))
        });
        let (page, limit) = (page.page as usize, page.limit as usize);
        let more = all.len() > (page + 1) * limit;
        (all.into_iter().skip(page * limit).take(limit).collect(), more)
    }
}

/// Changes something: more activities, another status, a campaign more or less.
async fn change(test: &TestApp, model: &mut Model, rng: &mut Rng, elsewhere: CampaignId) {
    let principal = test.principal(&test.org).await;
    let campaigns = test.ctx().campaigns(&principal);
    match rng.u8(0..10) {
        0 if model.campaigns.len() < 6 => {
            let status = CampaignStatus::ALL[rng.usize(0..CampaignStatus::ALL.len())];
            let campaign = test.campaign(json!({"name": "Q1", "status": status.as_str()})).await;
            model.campaigns.push((campaign.id, status));
        }
        1 if !model.campaigns.is_empty() => {
            let (id, _) = model.campaigns.swap_remove(rng.usize(0..model.campaigns.len()));
            campaigns.delete(id).await.unwrap();
        }
        2..=4 if !model.campaigns.is_empty() => {
            let index = rng.usize(0..model.campaigns.len());
            let (id, status) = &mut model.campaigns[index];
            *status = CampaignStatus::ALL[rng.usize(0..CampaignStatus::ALL.len())];
            campaigns.update(*id, &read(json!({"status": status.as_str()}))).await.unwrap();
        }
        _ => {
            let known = model.campaigns.iter().map(|(id, _)| *id).chain([elsewhere]).collect::<Vec<_>>();
            let contact = rng.usize(0..CONTACTS);
            let (id, stored) = &mut model.contacts[contact];
            // Few moments and few ids, so that several fall together and some are sent twice.
            let activities: Vec<_> = (0..rng.usize(1..=12))
                .map(|_| {
                    let time = time::parse("2024-04-18T10:15:00Z").unwrap() + chrono::TimeDelta::milliseconds(rng.i64(0..30));
                    let campaign = rng.bool().then(|| known[rng.usize(0..known.len())].to_string());
                    json!({"id": format!("act_{}", rng.u8(0..3)), "event_time": time::to_millis(time), "event_type": "x", "campaign_id": campaign})
                })
                .collect();
            let NewActivities(new) = read(json!(activities));
            let repository = test.ctx().activities(&principal, *id);
            let drafted = repository.draft(new);
            repository.record(&drafted, |_| None).await.unwrap();
            for activity in drafted {
                let same = |known: &Activity| {
                    known.details.event_time == activity.details.event_time && known.id == activity.id
                };
                if !stored.iter().any(same) {
                    stored.push(activity);
                }
            }
        }
    }
}

#[tokio::test]
async fn ten_thousand_pages_are_those_of_the_model() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let mut rng = Rng::with_seed(20_241_006);
    let elsewhere = CampaignId::from(Uuid::from_u128(7));
    let mut model = Model::default();
    for n in 0..CONTACTS {
        model.contacts.push((test.create(&test.org, jane(&format!("{n}@example.com")), None).await.id, Vec::new()));
    }
    let mut with_more = 0;
    let reads = if test.counts_units() { READS } else { READS_ON_ANOTHER_ENGINE };
    for n in 0..reads {
        if n % 50 == 0 {
            change(&test, &mut model, &mut rng, elsewhere).await;
        }
        let filter = match rng.u8(0..4) {
            0 => TimelineFilter::Any,
            1 | 2 => TimelineFilter::Active,
            _ => {
                let known = model.campaigns.iter().map(|(id, _)| *id).chain([elsewhere]).collect::<Vec<_>>();
                TimelineFilter::Campaign(known[rng.usize(0..known.len())])
            }
        };
        let page = TimelinePage { filter, page: rng.u32(0..4), limit: rng.u32(1..=12), after: None };
        let contact = rng.usize(0..CONTACTS);
        let (_, timeline) = test.ctx().contacts(&principal).get(model.contacts[contact].0, &page).await.unwrap();
        let (activities, more) = model.page(contact, &page);
        assert_eq!((timeline.activities, timeline.more), (activities, more), "read {n}: {page:?}");
        with_more += usize::from(more);
    }
    let campaigns: BTreeSet<_> = model.campaigns.iter().map(|(_, status)| status.as_str()).collect();
    assert!(
        with_more > reads / 10 && !campaigns.is_empty(),
        "the reads were worth something: {with_more} {campaigns:?}"
    );
}
