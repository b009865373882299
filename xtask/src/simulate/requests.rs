//! Requests as the functions send them to the table: with the keys of `shared::dynamodb::keys`, and with the units that
//! `shared::testing::costs` declares.

use anyhow::{Result, anyhow};
use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use shared::domain::{
    ActivityId, CampaignId, CompanyName, ContactId, ContactPartitions, ImportId, LeadKey, OrgId, PartitionChange,
};
use shared::dynamodb::keys::{self, Key};
use shared::dynamodb::schema::GSI1;
use shared::testing::costs::CostCase;
use uuid::{Builder, Uuid};

use super::traffic::{Load, Request, Units};

/// The requests per company that the organization does not have. Assumed.
const REQUESTS_PER_NEW_COMPANY: u64 = 50;
/// The bytes of the lock of an email.
const EMAIL_LOCK_BYTES: f64 = 200.0;
/// The most items of a transaction.
const TRANSACTION_ITEMS: usize = 100;
/// The activities in a call, and in a page of a timeline.
pub(super) const ACTIVITIES_PER_CALL: u32 = 50;
/// The time of the first request in days since 1970, which has no influence on the result.
const START: i64 = 20_000;

/// The number of partitions of an organization's contacts.
pub(super) type Partitions = u8;

/// Makes requests, one after the other in time.
pub(super) struct Sampler {
    rng: Rng,
    time: DateTime<Utc>,
    partitions: ContactPartitions,
    count: u64,
}

impl Sampler {
    /// The requests of organizations whose contacts have had this many partitions from the beginning.
    pub(super) fn new(seed: u64, count: Partitions) -> Self {
        let time = DateTime::UNIX_EPOCH + TimeDelta::days(START);
        let partitions = ContactPartitions::new(vec![PartitionChange { since: time, count }]);
        Self { rng: Rng::with_seed(seed), time, partitions, count: 0 }
    }

    /// An id that sorts by its time.
    pub(super) fn id<T: From<Uuid>>(&mut self) -> T {
        self.count += 1;
        self.time += TimeDelta::milliseconds(10);
        let millis = u64::try_from(self.time.timestamp_millis()).unwrap_or_default();
        let random: [u8; 10] = std::array::from_fn(|_| self.rng.u8(..));
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into()
    }

    /// `POST /contacts/` with an `Idempotency-Key`.
    pub(super) fn create(&mut self, org: OrgId, import: Option<ImportId>) -> Result<Request> {
        let mut request = self.row(org, import, in_transaction(EMAIL_LOCK_BYTES));
        let idempotency_key = self.rng.u128(..).to_string();
        let key = keys::idempotency(org, "POST", "/contacts/", &idempotency_key);
        request.push((key, in_transaction(1_000.0)));
        if self.count.is_multiple_of(REQUESTS_PER_NEW_COMPANY) {
            let name =
                CompanyName::parse(&format!("Company {}", self.rng.u64(..))).map_err(|error| anyhow!("{error}"))?;
            let mut load = in_transaction(200.0);
            load.units.reads = 1.0;
            request.push((keys::company(org, &name.key()), load));
        }
        Ok(request)
    }

    /// A transaction of a bulk upload: as many new rows as fit.
    pub(super) fn upload(&mut self, org: OrgId, import: Option<ImportId>) -> Request {
        // The lock of each email is read first.
        let email_lock = in_transaction(EMAIL_LOCK_BYTES).plus(read(1.0));
        (0..rows_per_transaction(import.is_some())).flat_map(|_| self.row(org, import, email_lock)).collect()
    }

    /// What every new contact takes: the contact, the lock of its email, and its membership of an import.
    fn row(&mut self, org: OrgId, import: Option<ImportId>, email_lock: Load) -> Request {
        let id = self.id();
        let contact = self.partitions.assign(id);
        let email_hash = format!("{:032x}{:032x}", self.rng.u128(..), self.rng.u128(..));
        let mut request = vec![
            (keys::contact(org, contact), in_transaction(700.0)),
            (keys::email_lock_of_hash(org, &email_hash), email_lock),
        ];
        if let Some(import) = import {
            request.push((keys::membership(org, import, contact), in_transaction(150.0)));
        }
        request
    }

    /// `POST /contacts/{contact_id}/activities`: fifty activities, now or at any times of a year.
    pub(super) fn record(&mut self, org: OrgId, contact: ContactId, in_order: bool) -> Result<Request> {
        let mut request = vec![(keys::contact(org, contact), read(1.0))];
        for _ in 0..ACTIVITIES_PER_CALL {
            let id = ActivityId::parse(&self.id::<Uuid>().to_string()).map_err(|error| anyhow!("{error}"))?;
            let age = if in_order { 0 } else { self.rng.i64(0..365 * 86_400) };
            let key = keys::activity(org, contact, self.time - TimeDelta::seconds(age), &id);
            request.push((key, Load { units: Units::writes(1.0), bytes: 800.0 }));
        }
        Ok(request)
    }

    /// `GET /contacts/{contact_id}` with a page of the timeline: the next one, or any.
    pub(super) fn page(&mut self, org: OrgId, contact: ContactId, in_order: bool) -> Result<Request> {
        let id = ActivityId::parse(&self.id::<Uuid>().to_string()).map_err(|error| anyhow!("{error}"))?;
        let age = if in_order { 0 } else { self.rng.i64(0..365 * 86_400) };
        let first = keys::activity(org, contact, self.time - TimeDelta::seconds(age), &id);
        let all = CostCase::GetContactWithTimeline.cost().read_units;
        let of_contact = (keys::contact(org, contact), read(1.0));
        let of_campaigns = (keys::active_campaigns(org), read(1.0));
        Ok(vec![of_contact, of_campaigns, (first, read(all - 2.0))])
    }

    /// A lead in the index by campaign.
    pub(super) fn lead_in_index(&mut self, org: OrgId, campaign_id: CampaignId) -> Request {
        let lead = LeadKey { campaign_id, contact_id: ContactId::from(self.id::<Uuid>()) };
        let attributes = keys::lead_in_indexes(org, lead);
        let attribute = |name| attributes.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone());
        let key = Key { pk: attribute(GSI1.pk).unwrap_or_default(), sk: attribute(GSI1.sk).unwrap_or_default() };
        vec![(key, Load { units: Units::writes(1.0), bytes: 200.0 })]
    }
}

/// The rows of a transaction of a bulk upload.
pub(super) fn rows_per_transaction(in_import: bool) -> usize {
    TRANSACTION_ITEMS / if in_import { 3 } else { 2 }
}

/// What an item of up to 1 KB takes in a transaction: half of what a contact and the lock of its email take.
fn in_transaction(bytes: f64) -> Load {
    Load { units: Units::writes(CostCase::CreateContact.cost().write_units / 2.0), bytes }
}

fn read(units: f64) -> Load {
    Load { units: Units::reads(units), bytes: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::traffic::{Order, Sample, Traffic};

    fn writes(request: &Request) -> f64 {
        request.iter().map(|(_, load)| load.units.writes).sum()
    }

    fn traffic(requests: impl Iterator<Item = Request>) -> Traffic {
        Traffic::of(&Sample { requests: requests.collect(), is_batch: false })
    }

    /// The pattern and the order of each key range.
    fn ranges(traffic: &Traffic) -> Vec<(&str, Order)> {
        let mut ranges: Vec<_> = traffic.ranges.iter().map(|range| (range.name.as_str(), range.order)).collect();
        ranges.sort_unstable_by_key(|(name, _)| *name);
        ranges.dedup();
        ranges
    }

    #[test]
    fn a_request_takes_the_units_that_its_operation_costs() {
        let mut sampler = Sampler::new(1, 1);
        let (org, import) = (sampler.id(), sampler.id());
        let record = CostCase::CreateContactIdempotent.cost().write_units - CostCase::CreateContact.cost().write_units;
        let in_import = CostCase::CreateContactInImport.cost().write_units + record;
        let upload = CostCase::UploadNewRowsOfImport.cost().write_units / 100.0;

        assert!((writes(&sampler.create(org, Some(import)).unwrap()) - in_import).abs() < 1e-9);
        assert!((writes(&sampler.upload(org, Some(import))) - 33.0 * upload).abs() < 1e-9);
    }

    #[test]
    fn a_seed_makes_the_same_requests_again() {
        let requests = |seed| {
            let mut sampler = Sampler::new(seed, 4);
            let org = sampler.id();
            sampler.upload(org, None)
        };
        assert_eq!(requests(1), requests(1));
        assert_ne!(requests(1), requests(2));
    }

    #[test]
    fn contacts_and_memberships_come_in_the_order_of_their_keys() {
        let mut sampler = Sampler::new(1, 1);
        let (org, import) = (sampler.id(), sampler.id());
        let traffic = traffic((0..1_000).map(|_| sampler.create(org, Some(import)).unwrap()));
        assert_eq!(
            ranges(&traffic),
            [
                ("ORG#… COMPANY", Order::Scattered),
                ("ORG#… CONTACT", Order::Increasing),
                ("ORG#…#IMPORT#… MEMBER", Order::Increasing),
            ]
        );
        assert_eq!(traffic.unique_name, "ORG#…#EMAIL#… EMAIL");
    }

    #[test]
    fn partitions_of_contacts_have_equal_shares() {
        let mut sampler = Sampler::new(1, 4);
        let org = sampler.id();
        let traffic = traffic((0..4_000).map(|_| sampler.upload(org, None)[..2].to_vec()));
        let shares: Vec<_> = traffic.classes.iter().map(|class| class.share).collect();
        assert_eq!(shares.len(), 4);
        assert!(shares.iter().all(|share| (share - 0.25).abs() < 0.03), "{shares:?}");
    }

    #[test]
    fn activities_come_in_the_order_of_their_events() {
        for (in_order, order) in [(true, Order::Increasing), (false, Order::Scattered)] {
            let mut sampler = Sampler::new(1, 1);
            let (org, contact) = (sampler.id(), sampler.id());
            let traffic = traffic((0..20).map(|_| sampler.record(org, contact, in_order).unwrap()));
            assert_eq!(ranges(&traffic), [("ORG#… CONTACT", Order::OneItem), ("ORG#…#CONTACT#… ACTIVITY", order)]);
        }
    }

    #[test]
    fn leads_of_an_import_are_one_partition_of_the_index() {
        let mut sampler = Sampler::new(1, 1);
        let (org, campaign) = (sampler.id(), sampler.id());
        let traffic = traffic((0..100).map(|_| sampler.lead_in_index(org, campaign)));
        assert_eq!(ranges(&traffic), [("ORG#…#LEADS LEAD", Order::Increasing)]);
    }
}
