//! The targets of the functions, and how a run fares.

use serde::Serialize;

use super::results::{FLOOR, Metric, NODE, OURS, PYTHON, Results};
use super::statistics::Summary;

/// A number that is to be reached.
struct Target {
    text: &'static str,
    measure: Measure,
    limit: Limit,
}

/// What is compared with the limit.
enum Measure {
    /// The ratio of ours to another variant, in each of these cases.
    Ratio { metric: Metric, cases: &'static [&'static str], to: &'static str },
    /// The value of ours, in each case.
    Value { metric: Metric },
    /// The ratio of the last organization to the first, in each case.
    Growth,
}

#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// A target in one case.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) target: &'static str,
    pub(super) case: String,
    pub(super) limit: f64,
    pub(super) measured: Summary,
    pub(super) is_met: bool,
}

const WRITES: &[&str] = &["create", "update"];
const READS: &[&str] = &["get0", "get50"];
const ALL: &[&str] = &["create", "update", "get0", "get50", "list"];

const TARGETS: [Target; 13] = [
    ratio("CPU of writes against the floor", Metric::Cpu, WRITES, FLOOR, 1.15),
    ratio("CPU of get against the floor", Metric::Cpu, READS, FLOOR, 1.0),
    ratio("CPU of list against the floor", Metric::Cpu, &["list"], FLOOR, 0.8),
    ratio("CPU against Node", Metric::Cpu, ALL, NODE, 1.0 / 6.0),
    ratio("CPU against FastAPI", Metric::Cpu, ALL, PYTHON, 1.0 / 8.0),
    ratio("CPU from start to the first poll", Metric::StartCpu, ALL, FLOOR, 1.05),
    ratio("CPU from start to the first response", Metric::FirstResponseCpu, ALL, FLOOR, 1.2),
    Target {
        text: "zipped function, MB",
        measure: Measure::Value { metric: Metric::ZipSize },
        limit: Limit::AtMost(3.0),
    },
    Target {
        text: "memory after many requests, MiB",
        measure: Measure::Value { metric: Metric::Memory },
        limit: Limit::AtMost(10.0),
    },
    Target {
        text: "CPU of a large organization against a small one",
        measure: Measure::Growth,
        limit: Limit::AtMost(1.05),
    },
    ratio("CPU per row of a bulk upload", Metric::BulkCpu, &["1000 rows"], FLOOR, 1.5),
    ratio("CPU per row of a large bulk upload", Metric::BulkCpu, &["5000 rows"], FLOOR, 1.5),
    Target {
        text: "rows per second of a large bulk upload",
        measure: Measure::Ratio { metric: Metric::BulkRate, cases: &["5000 rows"], to: FLOOR },
        limit: Limit::AtLeast(0.95),
    },
];

const fn ratio(
    text: &'static str,
    metric: Metric,
    cases: &'static [&'static str],
    to: &'static str,
    at_most: f64,
) -> Target {
    Target { text, measure: Measure::Ratio { metric, cases, to }, limit: Limit::AtMost(at_most) }
}

/// The verdicts on all targets that were measured.
pub(super) fn verdicts(results: &Results) -> Vec<Verdict> {
    TARGETS.iter().flat_map(|target| target.verdicts(results)).collect()
}

impl Target {
    fn verdicts(&self, results: &Results) -> Vec<Verdict> {
        let measured = self.measure.of(results);
        measured.into_iter().map(|(case, measured)| self.verdict(case, measured)).collect()
    }

    fn verdict(&self, case: String, measured: Summary) -> Verdict {
        let (limit, is_met) = match self.limit {
            Limit::AtMost(limit) => (limit, measured.median <= limit),
            Limit::AtLeast(limit) => (limit, measured.median >= limit),
        };
        Verdict { target: self.text, case, limit, measured, is_met }
    }
}

impl Measure {
    fn of(&self, results: &Results) -> Vec<(String, Summary)> {
        let mut measured = Vec::new();
        match self {
            Self::Ratio { metric, cases, to } => {
                for case in *cases {
                    if let Some(ratio) = results.ratio(*metric, case, OURS, to) {
                        measured.push(((*case).to_owned(), ratio));
                    }
                }
            }
            Self::Value { metric } => {
                // A bulk upload is given more memory.
                let series =
                    results.of(*metric).filter(|series| series.variant == OURS && !series.case.contains("rows"));
                for series in series {
                    measured.extend(Summary::of(&series.samples).map(|summary| (series.case.clone(), summary)));
                }
            }
            Self::Growth => {
                let series: Vec<_> = results.of(Metric::GrowthCpu).collect();
                for pair in series.chunks_exact(2) {
                    let ratio = Summary::of_ratios(&pair[1].samples, &pair[0].samples);
                    measured.extend(ratio.map(|ratio| (pair[0].case.clone(), ratio)));
                }
            }
        }
        measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_up_to_its_limit() {
        let mut results = Results::default();
        results.add(Metric::Cpu, "create", OURS, vec![115.0, 230.0, 110.0]);
        results.add(Metric::Cpu, "create", FLOOR, vec![100.0, 200.0, 100.0]);
        results.add(Metric::Cpu, "get0", OURS, vec![101.0]);
        results.add(Metric::Cpu, "get0", FLOOR, vec![100.0]);
        let verdicts = verdicts(&results);
        let met: Vec<_> = verdicts.iter().map(|verdict| (verdict.case.as_str(), verdict.is_met)).collect();
        assert_eq!(met, [("create", true), ("get0", false)]);
    }

    #[test]
    fn growth_compares_the_organizations_of_each_operation() {
        let mut results = Results::default();
        for (operation, small, large) in [("create", 100.0, 104.0), ("list", 100.0, 120.0)] {
            results.add(Metric::GrowthCpu, operation, "1000 contacts", vec![small]);
            results.add(Metric::GrowthCpu, operation, "100000 contacts", vec![large]);
        }
        let met: Vec<_> = verdicts(&results).into_iter().map(|verdict| (verdict.case, verdict.is_met)).collect();
        assert_eq!(met, [("create".to_owned(), true), ("list".to_owned(), false)]);
    }

    #[test]
    fn a_rate_has_a_lower_limit() {
        let mut results = Results::default();
        results.add(Metric::BulkRate, "5000 rows", OURS, vec![90.0]);
        results.add(Metric::BulkRate, "5000 rows", FLOOR, vec![100.0]);
        assert!(!verdicts(&results)[0].is_met);
    }
}
