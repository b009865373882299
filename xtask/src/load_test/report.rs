//! The result of a load: what each organization got, as a table, and what is wrong with it.

use std::fmt;
use std::time::Duration;

/// The factor by which a rate limit may be exceeded once the burst is used up. The processes of the functions count requests
/// together, but each admits a small share of the limit without telling the others.
const TOLERANCE: u32 = 2;

/// The columns of the table after the name, and their widths.
const COLUMNS: [(&str, usize); 9] = [
    ("requests", 9),
    ("success", 8),
    ("429", 7),
    ("5xx", 6),
    ("other", 6),
    ("no response", 12),
    ("success/s", 10),
    ("p50 ms", 8),
    ("p99 ms", 8),
];

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

/// The results of a load.
#[derive(Debug)]
pub(super) struct Report {
    /// Those of each organization with a steady load.
    pub(super) steady: Vec<Tally>,
    /// Those of the organization without restraint, in the first and in the second half of the load. A limit allows a burst
    /// in the first.
    pub(super) unrestrained: [Tally; 2],
    /// The duration of one half.
    pub(super) half: Duration,
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
    pub(super) fn merge(&mut self, other: Self) {
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
    fn failures_of_unrestrained(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.success == 0 {
            failures.push("no request succeeded".to_owned());
        }
        if self.without_retry_after > 0 {
            let (without, all) = (self.without_retry_after, self.too_many_requests);
            failures.push(format!("{without} of {all} responses with 429 have no Retry-After"));
        }
        if let (1.., Some(first)) = (self.other, &self.first_failure) {
            failures.push(format!("{} unexpected responses; the first failure is {first}", self.other));
        }
        failures
    }
}

impl Report {
    /// What is wrong, one line each; empty if the organizations are kept apart. `limit` is the rate limit of an organization in
    /// requests per second.
    pub(super) fn failures(&self, limit: Option<u32>) -> Vec<String> {
        let mut failures = Vec::new();
        for (number, tally) in (1..).zip(&self.steady) {
            failures
                .extend(tally.failures_of_steady().into_iter().map(|text| format!("organization {number}: {text}")));
        }
        let mut unrestrained: Vec<_> = self.unrestrained.iter().flat_map(Tally::failures_of_unrestrained).collect();
        unrestrained.extend(limit.and_then(|limit| self.excess(limit)));
        failures.extend(unrestrained.into_iter().map(|text| format!("organization 10: {text}")));
        failures
    }

    /// Whether the organization without restraint is not held to its limit when its burst is used up.
    fn excess(&self, limit: u32) -> Option<String> {
        let [_, Tally { success, too_many_requests, .. }] = &self.unrestrained;
        let accepted = rate(*success, self.half);
        if accepted > f64::from(limit * TOLERANCE) {
            Some(format!("{accepted:.1} requests/s succeeded in the second half; the limit is {limit}"))
        } else if *too_many_requests == 0 {
            Some(format!("no 429 in the second half, when {accepted:.1} requests/s succeeded; the limit is {limit}"))
        } else {
            None
        }
    }
}

/// A table with one line per organization, two for the one without restraint.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14}", "organization")?;
        for (name, width) in COLUMNS {
            write!(f, "{name:>width$}")?;
        }
        for (number, tally) in (1..).zip(&self.steady) {
            write_row(f, &number.to_string(), tally, self.half * 2)?;
        }
        for (name, tally) in ["10, first half", "10, second"].into_iter().zip(&self.unrestrained) {
            write_row(f, name, tally, self.half)?;
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, tally: &Tally, duration: Duration) -> fmt::Result {
    let mut latencies = tally.latencies.clone();
    latencies.sort_unstable();
    let [median, p99] = [50, 99].map(|percent| percentile(&latencies, percent).as_millis());
    let Tally { success, too_many_requests, server_errors, other, no_response, .. } = tally;
    let rate = format!("{:.1}", rate(*success, duration));
    let cells: [&dyn fmt::Display; COLUMNS.len()] =
        [&tally.requests(), success, too_many_requests, server_errors, other, no_response, &rate, &median, &p99];
    write!(f, "\n{name:<14}")?;
    for ((_, width), cell) in COLUMNS.into_iter().zip(cells) {
        write!(f, "{:>width$}", cell.to_string())?;
    }
    Ok(())
}

/// A number of requests, per second.
fn rate(count: u32, duration: Duration) -> f64 {
    f64::from(count) / duration.as_secs_f64()
}

/// The smallest of the sorted values that is not less than this percentage of them (nearest rank); zero without a value.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_secs(5);
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

    fn successes(count: usize) -> impl Iterator<Item = Outcome> {
        (0..count).map(|_| Outcome::Success)
    }

    /// The failures of a load in which the second organization got this, and the tenth that.
    fn failures(second: Tally, tenth: [Tally; 2], limit: Option<u32>) -> Vec<String> {
        Report { steady: vec![tally(successes(1)), second], unrestrained: tenth, half: HALF }.failures(limit)
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
        let first = tally([Outcome::Success, LIMITED, unexpected(503), Outcome::NoResponse("timeout".to_owned())]);
        let tenth = [first, tally([Outcome::Success, LIMITED])];
        assert_eq!(failures(tally(successes(1)), tenth, Some(1)), Vec::<String>::new());
    }

    #[test]
    fn any_response_but_success_to_another_organization_is_a_failure() {
        for (outcome, expected) in [
            (LIMITED, "429: 1 of 2 requests"),
            (unexpected(503), "1 of 2 requests failed, the first one with GET /contacts/: 503 {}"),
            (unexpected(404), "1 of 2 requests failed, the first one with GET /contacts/: 404 {}"),
            (Outcome::NoResponse("timeout".to_owned()), "1 of 2 requests failed, the first one with timeout"),
        ] {
            let tenth = [tally(successes(1)), tally(successes(1))];
            let failures = failures(tally([Outcome::Success, outcome]), tenth, None);
            assert_eq!(failures, [format!("organization 2: {expected}")]);
        }
    }

    #[test]
    fn an_organization_without_a_success_is_a_failure() {
        let expected = ["organization 2: no request succeeded", "organization 10: no request succeeded"];
        assert_eq!(failures(tally([]), [tally(successes(1)), tally([LIMITED])], None), expected);
    }

    #[test]
    fn the_tenth_must_not_get_a_429_without_retry_after_or_another_status() {
        let without = Outcome::TooManyRequests { has_retry_after: false };
        for (outcomes, expected) in [
            ([Outcome::Success, LIMITED, without], "1 of 2 responses with 429 have no Retry-After"),
            (
                [Outcome::Success, unexpected(503), unexpected(400)],
                "1 unexpected responses; the first failure is GET /contacts/: 503 {}",
            ),
        ] {
            let failures = failures(tally(successes(1)), [tally(successes(1)), tally(outcomes)], None);
            assert_eq!(failures, [format!("organization 10: {expected}")]);
        }
    }

    #[test]
    fn the_tenth_is_held_to_its_limit_in_the_second_half() {
        // Twice the limit of 2 requests per second, for 5 seconds.
        for (second_half, expected) in [
            (tally(successes(20).chain([LIMITED])), None),
            (
                tally(successes(21).chain([LIMITED])),
                Some("4.2 requests/s succeeded in the second half; the limit is 2"),
            ),
            (tally(successes(1)), Some("no 429 in the second half, when 0.2 requests/s succeeded; the limit is 2")),
        ] {
            let failures = failures(tally(successes(1)), [tally(successes(100)), second_half], Some(2));
            assert_eq!(failures, Vec::from_iter(expected.map(|text| format!("organization 10: {text}"))));
        }
    }

    #[test]
    fn the_table_has_a_line_per_organization() {
        let mut first = tally([Outcome::Success, LIMITED]);
        first.merge(tally([unexpected(500)]));
        let unrestrained = [first, tally([unexpected(400), Outcome::NoResponse("timeout".to_owned())])];
        let table = Report { steady: vec![tally(successes(1))], unrestrained, half: HALF }.to_string();
        let expected = "
organization   requests success    429   5xx other no response success/s  p50 ms  p99 ms
1                     1       1      0     0     0           0       0.1      20      20
10, first half        3       1      1     1     0           0       0.2      20      20
10, second            2       0      0     0     1           1       0.0      20      20";
        assert_eq!(table, expected.trim_start());
    }
}
