//! The result of a load: what each organization got, as a table, and what is wrong with it.

use std::fmt;
use std::time::Duration;

/// The percentage by which the accepted requests may exceed a limit. The functions count a limit together, at most once per second
/// and process, so a process that has just started lets a little more through.
const TOLERANCE_PERCENT: u64 = 50;

/// The result of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The expected response.
    Success,
    /// A 429.
    TooManyRequests { has_retry_after: bool },
    /// Any other status than the expected one. The text names the request and the response.
    Unexpected { status: u16, text: String },
    /// A timeout or a broken connection. The text names the request and the reason.
    NoResponse(String),
}

/// The results of an organization's requests.
#[derive(Debug, Default)]
pub(super) struct Tally {
    latencies: Vec<Duration>,
    success: u32,
    too_many_requests: u32,
    /// The part of these without `Retry-After`.
    without_retry_after: u32,
    server_errors: u32,
    other: u32,
    no_response: u32,
    /// The first outcome that is neither a success nor a 429.
    first_failure: Option<String>,
}

/// The rate limit that each organization has.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    /// In requests per second.
    pub(super) rate: u32,
    pub(super) burst: u32,
}

/// The results of a load.
#[derive(Debug)]
pub(super) struct Report {
    /// Those of each organization with a steady load.
    pub(super) steady: Vec<Tally>,
    /// Those of the organization without restraint.
    pub(super) unrestrained: Tally,
    pub(super) duration: Duration,
}

impl Tally {
    pub(super) fn add(&mut self, outcome: Outcome, latency: Duration) {
        self.latencies.push(latency);
        let failure = match outcome {
            Outcome::Success => {
                self.success += 1;
                return;
            }
            Outcome::TooManyRequests { has_retry_after } => {
                self.too_many_requests += 1;
                self.without_retry_after += u32::from(!has_retry_after);
                return;
            }
            Outcome::Unexpected { status: 500.., text } => {
                self.server_errors += 1;
                text
            }
            Outcome::Unexpected { text, .. } => {
                self.other += 1;
                text
            }
            Outcome::NoResponse(text) => {
                self.no_response += 1;
                text
            }
        };
        self.first_failure.get_or_insert(failure);
    }

    /// Adds the results of other requests of the same organization.
    fn merge(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.success += other.success;
        self.too_many_requests += other.too_many_requests;
        self.without_retry_after += other.without_retry_after;
        self.server_errors += other.server_errors;
        self.other += other.other;
        self.no_response += other.no_response;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    fn requests(&self) -> u32 {
        self.success + self.too_many_requests + self.server_errors + self.other + self.no_response
    }

    /// What an organization with a steady load must not get.
    fn failures_of_steady(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.success == 0 {
            failures.push("no request succeeded".to_owned());
        }
        if self.too_many_requests > 0 {
            failures.push(format!("429: {} of {} requests", self.too_many_requests, self.requests()));
        }
        failures.extend(self.first_failure.as_ref().map(|first| {
            let count = self.server_errors + self.other + self.no_response;
            format!("{count} of {} requests failed, the first one with {first}", self.requests())
        }));
        failures
    }

    /// What the organization without restraint must not get. It may get 5xx, and may wait for a response in vain.
    fn failures_of_unrestrained(&self, limit: Option<Limit>, duration: Duration) -> Vec<String> {
        let mut failures = Vec::new();
        if self.success == 0 {
            failures.push("no request succeeded".to_owned());
        }
        if self.without_retry_after > 0 {
            let (without, all) = (self.without_retry_after, self.too_many_requests);
            failures.push(format!("{without} of {all} responses with 429 have no Retry-After"));
        }
        if self.other > 0 {
            failures
                .push(format!("{} unexpected responses; the first failure is {:?}", self.other, self.first_failure));
        }
        if let Some(limit) = limit {
            let most = limit.most_accepted(duration);
            if u64::from(self.success) > most {
                failures.push(format!("{} requests succeeded, but the limit allows {most}", self.success));
            }
            if self.too_many_requests == 0 {
                failures.push("no 429: it was not held to the limit, or did not exceed it".to_owned());
            }
        }
        failures
    }
}

impl FromIterator<Tally> for Tally {
    fn from_iter<T: IntoIterator<Item = Tally>>(tallies: T) -> Self {
        tallies.into_iter().fold(Self::default(), |mut all, tally| {
            all.merge(tally);
            all
        })
    }
}

impl Limit {
    /// The most requests that may succeed within a time.
    fn most_accepted(self, duration: Duration) -> u64 {
        let allowed = u64::from(self.burst) + u64::from(self.rate) * duration.as_secs();
        allowed + allowed * TOLERANCE_PERCENT / 100
    }
}

impl Report {
    /// What is wrong, one line each; empty if the organizations are kept apart.
    pub(super) fn failures(&self, limit: Option<Limit>) -> Vec<String> {
        let mut failures = Vec::new();
        for (number, tally) in (1..).zip(&self.steady) {
            failures
                .extend(tally.failures_of_steady().into_iter().map(|text| format!("organization {number}: {text}")));
        }
        let unrestrained = self.unrestrained.failures_of_unrestrained(limit, self.duration);
        failures.extend(unrestrained.into_iter().map(|text| format!("organization without restraint: {text}")));
        failures
    }
}

/// A table with one line per organization, and the rates of the organization without restraint.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<14} {:>8} {:>7} {:>7} {:>5} {:>5} {:>11} {:>8} {:>8}",
            "organization", "requests", "success", "429", "5xx", "other", "no response", "p50 ms", "p99 ms"
        )?;
        for (number, tally) in (1..).zip(&self.steady) {
            write_row(f, &number.to_string(), tally)?;
        }
        write_row(f, "no restraint", &self.unrestrained)?;
        let seconds = self.duration.as_secs_f64();
        let rate = |count| f64::from(count) / seconds;
        let Tally { success, without_retry_after, .. } = self.unrestrained;
        let (sent, accepted) = (rate(self.unrestrained.requests()), rate(success));
        write!(f, "no restraint: {sent:.1} requests/s sent, {accepted:.1} requests/s accepted, ")?;
        write!(f, "{without_retry_after} times 429 without Retry-After")
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, tally: &Tally) -> fmt::Result {
    let mut latencies = tally.latencies.clone();
    latencies.sort_unstable();
    let [median, p99] = [50, 99].map(|percent| percentile(&latencies, percent).as_millis());
    let Tally { success, too_many_requests, server_errors, other, no_response, .. } = tally;
    writeln!(
        f,
        "{name:<14} {:>8} {success:>7} {too_many_requests:>7} {server_errors:>5} {other:>5} {no_response:>11} {median:>8} {p99:>8}",
        tally.requests()
    )
}

/// The smallest of the sorted values that is not less than this percentage of them (nearest rank); zero without a value.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(10);
    const LIMITED: Outcome = Outcome::TooManyRequests { has_retry_after: true };

    fn tally(outcomes: impl IntoIterator<Item = Outcome>) -> Tally {
        let mut tally = Tally::default();
        for outcome in outcomes {
            tally.add(outcome, Duration::from_millis(20));
        }
        tally
    }

    fn unexpected(status: u16) -> Outcome {
        Outcome::Unexpected { status, text: format!("GET /contacts/: {status} {{}}") }
    }

    /// The failures of a load in which one organization got this, and the one without restraint that.
    fn failures(steady: Tally, unrestrained: Tally, limit: Option<Limit>) -> Vec<String> {
        Report { steady: vec![tally([Outcome::Success]), steady], unrestrained, duration: DURATION }.failures(limit)
    }

    #[test]
    fn a_percentile_is_the_value_of_the_nearest_rank() {
        let values: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        for (values, percent, expected) in
            [(&values[..], 50, 100), (&values, 99, 198), (&values[..1], 50, 1), (&values[..3], 50, 2), (&[], 99, 0)]
        {
            assert_eq!(percentile(values, percent), Duration::from_millis(expected), "{percent} of {}", values.len());
        }
    }

    #[test]
    fn a_load_in_which_only_the_tenth_is_limited_has_no_failures() {
        let unrestrained =
            tally([Outcome::Success, LIMITED, unexpected(503), Outcome::NoResponse("timeout".to_owned())]);
        assert_eq!(failures(tally([Outcome::Success]), unrestrained, None), Vec::<String>::new());
    }

    #[test]
    fn whatever_another_organization_gets_but_success_is_a_failure() {
        for (outcome, expected) in [
            (LIMITED, "429: 1 of 2 requests"),
            (unexpected(503), "1 of 2 requests failed, the first one with GET /contacts/: 503 {}"),
            (unexpected(404), "1 of 2 requests failed, the first one with GET /contacts/: 404 {}"),
            (Outcome::NoResponse("timeout".to_owned()), "1 of 2 requests failed, the first one with timeout"),
        ] {
            let failures = failures(tally([Outcome::Success, outcome]), tally([Outcome::Success]), None);
            assert_eq!(failures, [format!("organization 2: {expected}")]);
        }
    }

    #[test]
    fn an_organization_without_a_success_is_a_failure() {
        let expected = ["organization 2: no request succeeded", "organization without restraint: no request succeeded"];
        assert_eq!(failures(tally([]), tally([LIMITED]), None), expected);
    }

    #[test]
    fn a_429_without_retry_after_is_a_failure() {
        let unrestrained = tally([Outcome::Success, LIMITED, Outcome::TooManyRequests { has_retry_after: false }]);
        let expected = ["organization without restraint: 1 of 2 responses with 429 have no Retry-After"];
        assert_eq!(failures(tally([Outcome::Success]), unrestrained, None), expected);
    }

    #[test]
    fn the_tenth_is_held_to_its_limit() {
        // 5 at once, 2 per second, and half as much again: 37 in 10 seconds.
        let limit = Some(Limit { rate: 2, burst: 5 });
        let accepted = |count: usize| (0..count).map(|_| Outcome::Success).chain([LIMITED]);
        let steady = || tally([Outcome::Success]);
        assert_eq!(failures(steady(), tally(accepted(37)), limit), Vec::<String>::new());
        let expected = ["organization without restraint: 38 requests succeeded, but the limit allows 37"];
        assert_eq!(failures(steady(), tally(accepted(38)), limit), expected);
        let expected = ["organization without restraint: no 429: it was not held to the limit, or did not exceed it"];
        assert_eq!(failures(steady(), tally([Outcome::Success]), limit), expected);
    }

    #[test]
    fn the_table_has_a_line_per_organization() {
        let steady = vec![tally([Outcome::Success])];
        let unrestrained = [tally([Outcome::Success, LIMITED]), tally([unexpected(500)])].into_iter().collect();
        let table = Report { steady, unrestrained, duration: DURATION }.to_string();
        let expected = "
organization   requests success     429   5xx other no response   p50 ms   p99 ms
1                     1       1       0     0     0           0       20       20
no restraint          3       1       1     1     0           0       20       20
no restraint: 0.3 requests/s sent, 0.1 requests/s accepted, 0 times 429 without Retry-After";
        assert_eq!(table, expected.trim_start());
    }
}
