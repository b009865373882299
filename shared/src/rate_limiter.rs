//! The rate limits of API keys and organizations, enforced by all processes together.
//!
//! **Problem.** Every request of a limited key counts, and requests of one key reach any number of processes of every
//! function. Only the table is shared by them. A write per request would cost more than many requests do, would make one item
//! hot, and would delay each request by a round trip.
//!
//! **Approach.** A limit is a bucket ([`RateLimit`]), stored as one number: the time at which it is full (`full_at`). Each
//! process has a copy of each bucket that its requests use, and admits or refuses by its copy alone, at once. What it has
//! admitted is added to the stored number later, by one conditional `UpdateItem` (a *report*), whose response brings the
//! copy up to date. So the usage of all processes is summed up exactly, only late, and a process learns about the others
//! with each report that it makes itself.
//!
//! - *When.* A process makes at most one report per organization in a second (`REPORT_INTERVAL`), and none for usage below a
//!   free share, unless it knows that others use more than that of the bucket (`Bucket::is_due`). A report goes along with a
//!   request, beside its handler, and delays its response by no more than `REPORT_TIMEOUT`. Of several buckets of one
//!   organization (its own, and those of its keys) the one is reported whose last report is the longest ago, so that they
//!   take turns.
//! - *How.* The usage of a second is a function `max(full_at + cost, own_full_at)` of the stored number
//!   ([`Usage`]). DynamoDB cannot take a maximum, so the process expects one of the two: that the bucket was in use, and the
//!   cost is added; or that it was full, and the number is replaced. The condition of the write is that expectation. If it
//!   fails, DynamoDB returns the stored number, and the same usage is reported a second later.
//! - *Shared buckets.* The copy is a second old, and many processes that each use little would all take a bucket for full, of
//!   which the first replaces the number and all others fail, second after second. So a process whose replacement has failed
//!   expects a bucket in use from then on, and adds its cost to any number of the last two seconds (`SHARED_LAG`).
//! - *Refused requests* cost no part of the bucket. One causes a report if what was admitted before it is due.
//! - *Failures.* A report that fails is logged and made again with the next one. The request is served, and the process goes
//!   on with its copy. A lost response may count the usage of a second twice.
//!
//! **Bound.** In any `T` seconds, `N` processes admit no more than `burst + rate × T`, and
//!
//! - twice what they serve between two reports: the requests of one interval are not reported yet, and each copy lacks those
//!   of one interval of the others. Between two reports is a second, or two if the first of them is refused; for each further bucket of the
//!   organization that is in use, a second more, because buckets take turns;
//! - what the bucket regains in two seconds, since a shared one may lag by that, and
//! - the free share: `N × (burst / 20 + T × rate / 1000)`.
//!
//! The first does not grow with `T`: what was admitted beyond the limit is in the bucket, and has to drain before further
//! requests are admitted. The proof: go back from the last report until a process occurs twice. The requests between its two
//! reports were admitted by the copy that it had since the first, so the bucket was overdrawn by no more than one report of
//! each other process. A process that was not used for a minute after its copy was full forgets what it has not reported. What
//! overdraws the bucket by more than a minute is forgiven (see below), so that the bound holds from one such moment to the
//! next: it takes so many processes at once that they exceed the limit by a minute within a second.
//!
//! **Longest refusal.** A bucket is believed to be overdrawn by a minute at most (`MAX_DEBT`): beyond that, `full_at` is
//! replaced, be it the debt of very many processes, the number of a process whose clock was wrong, or a corrupt value.
//! No client is refused for longer than that minute and the time for one request. The clocks of processes that differ by
//! `d` seconds make a difference of `rate × d` requests.
//!
//! **Rejected.**
//! - A counter per second or minute: as many writes, and twice the limit at the turn of a period.
//! - A read at the first request of a process: it delays the request; the first report tells as much.
//! - Shares of the limit per process: the number of processes is unknown, and the gateway spreads requests unevenly.
//! - A task that reports in the background: a sandbox is frozen as soon as its response is sent.
//! - One item for all buckets of an organization: one report could serve them all, but it would be refused if one expectation
//!   of many is wrong, and the item grows with the number of keys.
//! - A throttle of the gateway: it limits routes, and knows neither organizations nor keys.
//!
//! **If this is changed.** A report that is sent twice counts twice, so it is never retried. Time is that of the process's
//! clock, in requests and in the table. Each function may write the partition of the buckets: see `keys`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{OrgId, RateLimit, Usage};
use crate::dynamodb::{Conditional, TableClient};
use crate::repositories::LimitedSubject;
use crate::repositories::rate_limits::{self, BucketState, BucketUpdate};

/// The least time between two reports of one organization.
const REPORT_INTERVAL: TimeDelta = TimeDelta::seconds(1);

/// The longest that a report may take. Shorter than `REPORT_INTERVAL`, so that no two of one organization overlap.
const REPORT_TIMEOUT: Duration = Duration::from_millis(500);

/// The part of the burst that a process may use without a report: enough for a client that is far below its limit, and so
/// little that ten processes leave half of a burst unseen at worst.
const FREE_PART_OF_BURST: i32 = 20;

/// The part of the rate that is never reported: the usage of a slow but steady client adds up to no report. So little that
/// the thousand processes of an account's concurrency quota do no more than double the rate.
const FREE_PART_OF_RATE: i32 = 1000;

/// How long ago a bucket may have been full for a process to add to it that shares it with others: two reports.
const SHARED_LAG: TimeDelta = TimeDelta::seconds(2);

/// The most by which a bucket is overdrawn.
const MAX_DEBT: TimeDelta = TimeDelta::seconds(60);

/// The copies of the buckets that the requests of a process use.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter(Mutex<HashMap<OrgId, OrgBuckets>>);

/// The buckets of an organization.
#[derive(Debug, Default)]
struct OrgBuckets {
    buckets: HashMap<LimitedSubject, Bucket>,
    reported_at: Option<DateTime<Utc>>,
}

/// The copy of a bucket.
#[derive(Debug)]
struct Bucket {
    limit: RateLimit,
    /// The time in the table, as far as this process knows it, but no later than a debt of [`MAX_DEBT`] allows.
    stored: DateTime<Utc>,
    /// Whether the time in the table was later than that.
    is_implausible: bool,
    /// Whether other processes were found to use the bucket at the same time.
    is_shared: bool,
    /// The usage of the last report, until it is known to have been added.
    reporting: Usage,
    /// The usage since the last report.
    unreported: Usage,
    /// The time of the last report; the earliest time before the first.
    reported_at: DateTime<Utc>,
    used_at: DateTime<Utc>,
}

/// A limit of a request's caller.
pub(crate) type Limit = (LimitedSubject, RateLimit);

/// The decision about a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// The quotas of the caller after this request; none for a caller without limits.
    pub quotas: Vec<Quota>,
    /// For a request that exceeds a limit: the time after which it would be admitted.
    pub retry_after: Option<TimeDelta>,
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The subject of the limit.
    pub subject: LimitedSubject,
    /// The limit.
    pub limit: RateLimit,
    /// The requests that are left.
    pub remaining: u32,
    /// The time until the bucket is full; if no request is left, until it holds one.
    pub reset: TimeDelta,
}

/// A report to make.
#[derive(Debug)]
struct Report {
    subject: LimitedSubject,
    update: BucketUpdate,
}

impl RateLimiter {
    /// Admits a request, or refuses it because of one of the limits of its caller.
    pub(crate) fn admit(&self, org: OrgId, limits: &[Limit], now: DateTime<Utc>) -> Admission {
        if limits.is_empty() {
            return Admission::default();
        }
        let mut orgs = self.orgs();
        if !orgs.contains_key(&org) {
            orgs.retain(|_, org| !org.is_idle(now));
        }
        let org = orgs.entry(org).or_default();
        let waits = limits.iter().map(|(subject, limit)| org.bucket(*subject, *limit, now).wait(now));
        let wait = waits.max().unwrap_or_default();
        let retry_after = if wait.is_zero() { None } else { Some(wait) };
        let mut quotas = Vec::with_capacity(limits.len());
        for (subject, limit) in limits {
            let bucket = org.bucket(*subject, *limit, now);
            if retry_after.is_none() {
                bucket.add_request(now);
            }
            quotas.push(bucket.quota(*subject, now));
        }
        Admission { quotas, retry_after }
    }

    /// Reports usage of the organization, if there is any to report and the last report is long enough before `now`, the
    /// current time.
    pub(crate) async fn report(&self, org: OrgId, client: &TableClient, now: DateTime<Utc>) {
        let Some(Report { subject, update }) = self.begin_report(org, now) else { return };
        let client = client.with_single_attempt(REPORT_TIMEOUT);
        match rate_limits::update(&client, org, subject, &update).await {
            Ok(outcome) => self.end_report(org, subject, outcome, now),
            Err(error) => tracing::warn!(%error, "the usage of a rate limit could not be reported"),
        }
    }

    fn begin_report(&self, org: OrgId, now: DateTime<Utc>) -> Option<Report> {
        // Without limits there is nothing here, and no entry is made.
        self.orgs().get_mut(&org)?.begin_report(now)
    }

    fn end_report(
        &self,
        org: OrgId,
        subject: LimitedSubject,
        outcome: Conditional<DateTime<Utc>, Option<DateTime<Utc>>>,
        now: DateTime<Utc>,
    ) {
        let mut orgs = self.orgs();
        let bucket = orgs.get_mut(&org).and_then(|org| org.buckets.get_mut(&subject));
        match (bucket, outcome) {
            (Some(bucket), Conditional::Applied(full_at)) => {
                bucket.reporting = Usage::NONE;
                bucket.learn(full_at, now);
            }
            (Some(bucket), Conditional::Refused(full_at)) => {
                bucket.is_shared = !bucket.is_shared;
                bucket.learn(full_at.unwrap_or(DateTime::<Utc>::MIN_UTC), now);
            }
            (None, _) => {}
        }
    }

    fn orgs(&self) -> MutexGuard<'_, HashMap<OrgId, OrgBuckets>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OrgBuckets {
    /// The bucket of a subject; a full one if it was not in use.
    fn bucket(&mut self, subject: LimitedSubject, limit: RateLimit, now: DateTime<Utc>) -> &mut Bucket {
        if !self.buckets.contains_key(&subject) {
            self.buckets.retain(|_, bucket| !bucket.is_idle(now));
        }
        let bucket = self.buckets.entry(subject).or_insert_with(|| Bucket::full(limit, now));
        if bucket.is_idle(now) {
            *bucket = Bucket::full(limit, now);
        }
        bucket
    }

    fn is_idle(&self, now: DateTime<Utc>) -> bool {
        self.buckets.values().all(|bucket| bucket.is_idle(now))
    }

    fn begin_report(&mut self, now: DateTime<Utc>) -> Option<Report> {
        // The difference is negative if the clock was set back.
        if self.reported_at.is_some_and(|reported_at| (now - reported_at).abs() < REPORT_INTERVAL) {
            return None;
        }
        let due = self.buckets.iter_mut().filter(|(_, bucket)| bucket.is_due(now));
        let (subject, bucket) = due.min_by_key(|(_, bucket)| bucket.reported_at)?;
        self.reported_at = Some(now);
        Some(Report { subject: *subject, update: bucket.begin_report(now) })
    }
}

impl Bucket {
    fn full(limit: RateLimit, now: DateTime<Utc>) -> Self {
        Self {
            limit,
            stored: DateTime::<Utc>::MIN_UTC,
            is_implausible: false,
            is_shared: false,
            reporting: Usage::NONE,
            unreported: Usage::NONE,
            reported_at: DateTime::<Utc>::MIN_UTC,
            used_at: now,
        }
    }

    /// The time at which the bucket is full, as far as this process knows.
    fn full_at(&self) -> DateTime<Utc> {
        self.reporting.then(self.unreported).apply(self.stored)
    }

    /// The time until a request is admitted.
    fn wait(&self, now: DateTime<Utc>) -> TimeDelta {
        self.limit.wait(self.full_at(), now)
    }

    fn add_request(&mut self, now: DateTime<Utc>) {
        let forgotten = (now - self.used_at).max(TimeDelta::zero()) / FREE_PART_OF_RATE;
        self.unreported = self.unreported.less(forgotten).then(Usage::request(self.limit, now));
        self.used_at = now;
    }

    fn quota(&self, subject: LimitedSubject, now: DateTime<Utc>) -> Quota {
        let full_at = self.full_at();
        let remaining = self.limit.remaining(full_at, now);
        let until_full = (full_at - now).max(TimeDelta::zero());
        let reset = if remaining == 0 { self.limit.wait(full_at, now) } else { until_full };
        Quota { subject, limit: self.limit, remaining, reset }
    }

    /// Whether it was full a minute ago. Such a bucket is dropped.
    fn is_idle(&self, now: DateTime<Utc>) -> bool {
        self.used_at + MAX_DEBT <= now && self.full_at() <= now - MAX_DEBT
    }

    /// Whether there is usage to report. Up to the free share it waits, unless more than that of the bucket is in use
    /// already: then all processes together may be near the limit, however slow each of them is. A small limit has no free
    /// share: one request is more than a part of its burst.
    fn is_due(&self, now: DateTime<Utc>) -> bool {
        let usage = self.reporting.then(self.unreported).cost();
        let free_share = self.limit.window() / FREE_PART_OF_BURST;
        let is_in_use = self.stored > now + free_share;
        usage > free_share || (is_in_use && usage > TimeDelta::zero())
    }

    fn begin_report(&mut self, now: DateTime<Utc>) -> BucketUpdate {
        // What is left here of an earlier report was not added, or not known to be.
        self.reporting = self.reporting.then(self.unreported);
        self.unreported = Usage::NONE;
        self.reported_at = now;
        let adds_from = self.reporting.adds_from();
        let expected = if self.is_implausible {
            BucketState::Implausible { full_at: self.full_at() }
        } else if self.is_shared {
            BucketState::InUse { since: adds_from.min(now - SHARED_LAG) }
        } else if self.stored >= adds_from {
            BucketState::InUse { since: adds_from }
        } else {
            BucketState::Full { full_at: self.full_at() }
        };
        BucketUpdate { usage: self.reporting, expected, latest_full_at: self.latest_full_at(now) }
    }

    fn learn(&mut self, full_at: DateTime<Utc>, now: DateTime<Utc>) {
        let latest = self.latest_full_at(now);
        self.is_implausible = full_at > latest;
        // With the requests of this process, so that these do not make a refusal longer.
        self.stored = full_at.min(latest - self.reporting.then(self.unreported).cost());
    }

    /// The latest time that the table can hold by the requests of this limit.
    fn latest_full_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.limit.window() + MAX_DEBT
    }
}
