//! What is simulated, and how it ends.

use anyhow::Result;
use shared::domain::{CampaignId, ContactId, ImportId, OrgId};
use shared::testing::costs::CostCase;

use super::partition_model::{Model, Step, TableSettings};
use super::requests::{ACTIVITIES_PER_CALL, Partitions, Sampler, rows_per_transaction};
use super::traffic::{Sample, Traffic};

/// The numbers of partitions that the contacts of an organization may have.
pub(super) const PARTITIONS: [Partitions; 5] = [1, 4, 8, 16, 32];
/// The rates of creates per second.
pub(super) const RATES: [f64; 6] = [100.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0];

/// The write units per second for which the table of all scenarios but one is warmed, so that the limits of partitions show and
/// not those of the table.
pub(super) const WARM: f64 = 100_000.0;
/// The seconds of a sustained load. The last minute of it counts.
const SUSTAINED: f64 = 1_200.0;
const STEP: f64 = 20.0;
const MINUTE: f64 = 60.0;
/// The requests of a sample. The share of one in 32 partitions is then known to 4 %.
const SAMPLE: usize = 20_000;
/// The requests of a sample with fifty items each, or with all items in one partition.
const SMALL_SAMPLE: usize = SAMPLE / 50;
/// The share of requests that pass in a load which is sustained.
const SUSTAINABLE: f64 = 0.99;

/// The rows of the bulk load, and the rows per second that its loaders send: twenty uploads of 1,000 rows per second each, which
/// is assumed.
pub(super) const BULK_ROWS: f64 = 10e6;
pub(super) const BULK_RATE: f64 = 20_000.0;
/// The activities of the timeline, and the ones that are sent per second.
pub(super) const ACTIVITIES: f64 = 1e6;
const ACTIVITY_RATE: f64 = 5_000.0;
/// The pages that one reader gets per second: 7 ms for a round trip and 3 ms of the function, as `xtask/prices.toml` assumes.
const PAGES_PER_READER: f64 = 100.0;
/// The organizations of the contrast, and their creates per second together.
pub(super) const ORGANIZATIONS: usize = 200;
pub(super) const CREATES_OF_ALL: f64 = 10_000.0;
/// The minutes after which the contrast is looked at.
pub(super) const MINUTES: [f64; 6] = [1.0, 10.0, 35.0, 70.0, 105.0, 140.0];
const LEAD_RATE: f64 = 5_000.0;

/// The end of a load.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) name: String,
    /// Per second.
    pub(super) offered: f64,
    /// Per second, in the first and in the last minute.
    pub(super) first: f64,
    pub(super) last: f64,
    /// The seconds until all is done, if there is an end.
    pub(super) seconds: Option<f64>,
    /// The write units per second of the table in the last step.
    pub(super) units: f64,
    /// The pattern of the keys of the hottest partition in the last step, and its load as a share of its limit.
    pub(super) hottest: (String, f64),
}

impl Outcome {
    /// The share of requests that was refused in the last minute.
    pub(super) fn throttled(&self) -> f64 {
        (1.0 - self.last / self.offered).max(0.0)
    }
}

/// Creates of one organization, at each rate.
pub(super) struct Creates {
    pub(super) partitions: Partitions,
    pub(super) in_import: bool,
    pub(super) outcomes: Vec<Outcome>,
    /// The most creates per second that are sustained.
    pub(super) limit: f64,
    /// The write units that they take of the table.
    pub(super) units: f64,
}

/// Simulates the creates of one organization, with or without one import for all.
pub(super) fn creates(seed: u64, partitions: Partitions, in_import: bool) -> Result<Creates> {
    let mut sampler = Sampler::new(seed, partitions);
    let (org, import): (OrgId, ImportId) = (sampler.id(), sampler.id());
    let import = if in_import { Some(import) } else { None };
    let traffic = sample(|| sampler.create(org, import), SAMPLE, false)?;
    let run = |rate: f64| sustained(String::new(), &traffic, TableSettings::warm(WARM), rate);
    let outcomes = RATES.map(run).into();
    let (mut passing, mut throttled) = (0.0, WARM / CostCase::CreateContactIdempotent.cost().write_units);
    while throttled - passing > 10.0 {
        let rate = f64::midpoint(passing, throttled);
        if run(rate).last >= SUSTAINABLE * rate { passing = rate } else { throttled = rate }
    }
    let units = run(passing).units;
    Ok(Creates { partitions, in_import, outcomes, limit: passing, units })
}

/// Simulates a bulk load of one organization into this many imports, or into none.
pub(super) fn bulk(seed: u64, partitions: Partitions, imports: usize) -> Result<Outcome> {
    let mut sampler = Sampler::new(seed, partitions);
    let org: OrgId = sampler.id();
    let ids: Vec<ImportId> = (0..imports).map(|_| sampler.id()).collect();
    let rows = count(rows_per_transaction(imports > 0));
    let mut next = ids.iter().copied().cycle();
    let traffic = sample(|| Ok(sampler.upload(org, next.next())), SAMPLE / rows_per_transaction(true), true)?;
    let name = match imports {
        0 => "no import".to_owned(),
        1 => "one import".to_owned(),
        _ => format!("{imports} imports at once"),
    };
    let outcome = until_done(name, &traffic, BULK_RATE / rows, BULK_ROWS / rows);
    Ok(outcome.times(rows))
}

/// Simulates a timeline: recorded and read in the order of events, and in any order.
pub(super) fn timeline(seed: u64) -> Result<Vec<Outcome>> {
    let mut sampler = Sampler::new(seed, 1);
    let (org, contact): (OrgId, ContactId) = (sampler.id(), sampler.id());
    let per_call = f64::from(ACTIVITIES_PER_CALL);
    let mut outcomes = Vec::new();
    for (name, in_order) in [("recorded in the order of events", true), ("recorded in any order", false)] {
        let traffic = sample(|| sampler.record(org, contact, in_order), SMALL_SAMPLE, false)?;
        outcomes.push(
            until_done(name.to_owned(), &traffic, ACTIVITY_RATE / per_call, ACTIVITIES / per_call).times(per_call),
        );
    }
    for (name, readers, in_order) in
        [("read by one reader", 1.0, true), ("read by ten readers at different places", 10.0, false)]
    {
        let traffic = sample(|| sampler.page(org, contact, in_order), SMALL_SAMPLE, false)?;
        let pages = readers * ACTIVITIES / per_call;
        outcomes.push(until_done(name.to_owned(), &traffic, readers * PAGES_PER_READER, pages).times(per_call));
    }
    Ok(outcomes)
}

/// Simulates linking an import to a campaign, in the index of leads by campaign.
pub(super) fn linking(seed: u64) -> Result<Outcome> {
    let mut sampler = Sampler::new(seed, 1);
    let (org, campaign): (OrgId, CampaignId) = (sampler.id(), sampler.id());
    let traffic = sample(|| Ok(sampler.lead_in_index(org, campaign)), SMALL_SAMPLE, false)?;
    Ok(sustained("leads of one organization".to_owned(), &traffic, TableSettings::warm(WARM), LEAD_RATE))
}

/// The requests per second of all organizations that pass after each of [`MINUTES`].
pub(super) struct Contrast {
    pub(super) name: &'static str,
    pub(super) accepted: Vec<f64>,
}

/// Simulates the creates of many organizations at once, in a new table and in a warm one.
pub(super) fn many_organizations(seed: u64) -> Result<Vec<Contrast>> {
    let mut sampler = Sampler::new(seed, 1);
    let organizations: Vec<OrgId> = (0..ORGANIZATIONS).map(|_| sampler.id()).collect();
    let requests = organizations.into_iter().cycle().take(SAMPLE).map(|org| sampler.create(org, None));
    let traffic = Traffic::of(&Sample { requests: requests.collect::<Result<_>>()?, is_batch: false });
    let contrast = |(name, settings)| {
        let mut model = Model::new(traffic.clone(), settings);
        let [.., last_minute] = MINUTES;
        let steps: Vec<_> = steps(&mut model, STEP, CREATES_OF_ALL, f64::INFINITY, last_minute * MINUTE).collect();
        let at = |minute: f64| {
            steps.iter().find(|(time, _)| *time >= minute * MINUTE).map_or(0.0, |(_, step)| step.accepted)
        };
        Contrast { name, accepted: MINUTES.map(at).to_vec() }
    };
    Ok([("new table", TableSettings::NEW), ("warm table", TableSettings::warm(WARM))].map(contrast).into())
}

/// The traffic of a sample with this number of requests.
fn sample(
    mut request: impl FnMut() -> Result<super::traffic::Request>,
    requests: usize,
    is_batch: bool,
) -> Result<Traffic> {
    let requests = (0..requests).map(|_| request()).collect::<Result<_>>()?;
    Ok(Traffic::of(&Sample { requests, is_batch }))
}

/// A load that goes on for twenty minutes.
fn sustained(name: String, traffic: &Traffic, settings: TableSettings, rate: f64) -> Outcome {
    let mut model = Model::new(traffic.clone(), settings);
    let steps: Vec<_> = steps(&mut model, STEP, rate, f64::INFINITY, SUSTAINED).collect();
    outcome(name, rate, &steps, None)
}

/// A load that ends when `total` requests have passed.
fn until_done(name: String, traffic: &Traffic, rate: f64, total: f64) -> Outcome {
    let mut model = Model::new(traffic.clone(), TableSettings::warm(WARM));
    let steps: Vec<_> = steps(&mut model, STEP, rate, total, f64::INFINITY).collect();
    let seconds = steps.last().map(|(time, _)| *time);
    outcome(name, rate, &steps, seconds)
}

/// The steps of a load, each with the time at its end, until `total` requests have passed or the time is up.
fn steps(model: &mut Model, seconds: f64, rate: f64, total: f64, duration: f64) -> impl Iterator<Item = (f64, Step)> {
    let (mut time, mut passed) = (0.0, 0.0);
    std::iter::from_fn(move || {
        if passed >= total || time >= duration {
            return None;
        }
        let step = model.step(seconds, rate);
        let used = seconds.min((total - passed) / step.accepted);
        time += used;
        passed += step.accepted * seconds;
        Some((time, step))
    })
}

fn outcome(name: String, offered: f64, steps: &[(f64, Step)], seconds: Option<f64>) -> Outcome {
    let end = steps.last().map_or(0.0, |(time, _)| *time);
    let mean = |is_counted: &dyn Fn(f64) -> bool| {
        let counted: Vec<_> =
            steps.iter().filter(|(time, _)| is_counted(*time)).map(|(_, step)| step.accepted).collect();
        counted.iter().sum::<f64>() / count(counted.len())
    };
    Outcome {
        name,
        offered,
        first: mean(&|time| time <= MINUTE || time <= STEP),
        last: mean(&|time| time > end - MINUTE),
        seconds,
        units: steps.last().map_or(0.0, |(_, step)| step.used.writes),
        hottest: steps.last().map_or_else(|| (String::new(), 0.0), |(_, step)| step.hottest.clone()),
    }
}

impl Outcome {
    /// Converts the rates from requests to items, of which a request has `count`.
    fn times(mut self, count: f64) -> Self {
        for rate in [&mut self.offered, &mut self.first, &mut self.last] {
            *rate *= count;
        }
        self
    }
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_done_when_all_of_it_has_passed() {
        let timeline = timeline(1).unwrap();
        let [in_order, _, read, _] = &timeline[..] else { panic!("{timeline:?}") };
        assert!((in_order.seconds.unwrap() - 1_000.0).abs() < 2.0, "{in_order:?}");
        assert!((read.seconds.unwrap() - 200.0).abs() < 2.0, "{read:?}");
    }
}
