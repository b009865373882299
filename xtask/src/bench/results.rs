//! The samples of a run, and their ratios.

use serde::Serialize;

use super::statistics::{Summary, quantile};

/// The name of the functions of this checkout, among the variants.
pub(super) const OURS: &str = "ours";
/// The name of the functions that make the same calls through the SDK and do nothing else.
pub(super) const FLOOR: &str = "floor";
/// The name of the functions that make the same calls without the SDK.
pub(super) const BARE_FLOOR: &str = "bare-floor";
/// The name of the Node.js functions.
pub(super) const NODE: &str = "node";
/// The name of the `FastAPI` functions.
pub(super) const PYTHON: &str = "python";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Metric {
    /// The CPU time of a warm request; one sample per block of requests.
    Cpu,
    /// The time from an event to its response; one sample per request.
    Latency,
    /// The most memory after many requests.
    Memory,
    /// The CPU time from the start of a process until it asks for its first event.
    StartCpu,
    /// The CPU time from the start of a process until it has responded to its first event.
    FirstResponseCpu,
    /// The time from the start of a process until it asks for its first event.
    StartLatency,
    /// The CPU time of a warm request, by the number of contacts of the organization.
    GrowthCpu,
    /// The database calls of a warm request, by the number of contacts of the organization.
    GrowthCalls,
    /// The rows of a bulk upload that are stored per second.
    BulkRate,
    /// The CPU time of a bulk upload, per row.
    BulkCpu,
    /// The size of the program.
    Size,
    /// The size of the zip archive with the program.
    ZipSize,
}

/// The samples of one variant in one case.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) metric: Metric,
    /// The operation, or what else the variants are compared in.
    pub(super) case: String,
    pub(super) variant: String,
    /// In the order in which they were taken: the n-th samples of all variants of a case were taken in one round.
    pub(super) samples: Vec<f64>,
}

/// The samples of a run.
#[derive(Debug, Default)]
pub(super) struct Results(pub(super) Vec<Series>);

/// A series without its samples.
#[derive(Debug, Serialize)]
pub(super) struct SeriesSummary {
    metric: Metric,
    unit: &'static str,
    case: String,
    variant: String,
    count: usize,
    summary: Summary,
    p90: f64,
    p99: f64,
    /// Of the samples of each round.
    ratio_to_floor: Option<Summary>,
    /// Of the samples of each round.
    ratio_to_ours: Option<Summary>,
}

impl Metric {
    /// All metrics, in the order in which they are shown.
    pub(super) const ALL: [Self; 12] = [
        Self::Cpu,
        Self::Latency,
        Self::Memory,
        Self::StartCpu,
        Self::FirstResponseCpu,
        Self::StartLatency,
        Self::GrowthCpu,
        Self::GrowthCalls,
        Self::BulkRate,
        Self::BulkCpu,
        Self::Size,
        Self::ZipSize,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Cpu => "CPU per warm request",
            Self::Latency => "Latency of a warm request, database included",
            Self::Memory => "Peak memory after many requests",
            Self::StartCpu => "CPU from start to the first poll, over TLS",
            Self::FirstResponseCpu => "CPU from start to the first response, over TLS",
            Self::StartLatency => "Time from start to the first poll, over TLS",
            Self::GrowthCpu => "CPU per warm request, by the contacts of the organization",
            Self::GrowthCalls => "Database calls per request, by the contacts of the organization",
            Self::BulkRate => "Rows per second of a bulk upload",
            Self::BulkCpu => "CPU per row of a bulk upload",
            Self::Size => "Size of the program",
            Self::ZipSize => "Size of the zip archive",
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Cpu | Self::Latency | Self::GrowthCpu | Self::BulkCpu => "µs",
            Self::Memory => "MiB",
            Self::StartCpu | Self::FirstResponseCpu | Self::StartLatency => "ms",
            Self::GrowthCalls => "calls",
            Self::BulkRate => "rows/s",
            Self::Size | Self::ZipSize => "MB",
        }
    }
}

impl Results {
    pub(super) fn add(&mut self, metric: Metric, case: &str, variant: &str, samples: Vec<f64>) {
        self.0.push(Series { metric, case: case.to_owned(), variant: variant.to_owned(), samples });
    }

    /// The series of a metric, in the order in which they were measured.
    pub(super) fn of(&self, metric: Metric) -> impl Iterator<Item = &Series> {
        self.0.iter().filter(move |series| series.metric == metric)
    }

    pub(super) fn samples(&self, metric: Metric, case: &str, variant: &str) -> Option<&[f64]> {
        let series = self.of(metric).find(|series| series.case == case && series.variant == variant)?;
        Some(&series.samples)
    }

    /// The ratio of a variant to another one in the same case. Single latencies scatter too much for a ratio of each pair, so their
    /// medians are compared.
    pub(super) fn ratio(&self, metric: Metric, case: &str, variant: &str, to: &str) -> Option<Summary> {
        let (dividends, divisors) = (self.samples(metric, case, variant)?, self.samples(metric, case, to)?);
        if metric == Metric::Latency {
            return Summary::of(&[quantile(dividends, 0.5)? / quantile(divisors, 0.5)?]);
        }
        Summary::of_ratios(dividends, divisors)
    }

    /// The summaries of all series.
    pub(super) fn summaries(&self) -> Vec<SeriesSummary> {
        let mut summaries = Vec::new();
        for series in &self.0 {
            let Series { metric, case, variant, samples } = series;
            let quantile = |share| quantile(samples, share);
            let (Some(summary), Some(p90), Some(p99)) = (Summary::of(samples), quantile(0.9), quantile(0.99)) else {
                continue;
            };
            summaries.push(SeriesSummary {
                metric: *metric,
                unit: metric.unit(),
                case: case.clone(),
                variant: variant.clone(),
                count: samples.len(),
                summary,
                p90,
                p99,
                ratio_to_floor: self.ratio(*metric, case, variant, FLOOR),
                ratio_to_ours: self.ratio(*metric, case, variant, OURS),
            });
        }
        summaries
    }
}
