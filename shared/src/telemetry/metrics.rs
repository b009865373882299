//! The metrics in a log line, in CloudWatch's embedded metric format (AWS, "Specification: Embedded metric format").
//!
//! CloudWatch Logs makes metrics of a line that names them in `_aws`; no agent and no call is needed. Each metric has one
//! dimension, the operation. More dimensions would multiply what CloudWatch charges for, and an organization is no dimension
//! for that reason: the line has its id, which Logs Insights can group by.
//!
//! The members of [`RequestMetrics`] and [`BatchMetrics`] are the metrics. Their definitions are derived from them once per
//! process ([`MetricDirectives`]) and then copied into each line as text.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::dynamodb::ConsumedCapacity;

/// The dimension of all metrics, a member of every line.
const DIMENSION: &str = "operation";

/// The metrics of a request and of a batch.
#[derive(Debug, Default, Serialize)]
pub(crate) struct CommonMetrics {
    /// Milliseconds, to the microsecond.
    duration_ms: f64,
    /// Capacity units, as DynamoDB counted them.
    read_units: f64,
    write_units: f64,
    /// Calls that DynamoDB throttled; most of them succeeded when they were sent again.
    throttles: u32,
    /// 1 for the first request or batch of a process, or else 0.
    cold_starts: u8,
}

/// The metrics of a request.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RequestMetrics {
    #[serde(flatten)]
    common: CommonMetrics,
    /// 1 for a response with a 4xx, or else 0.
    client_errors: u8,
    /// 1 for a response with a 5xx, or else 0.
    server_errors: u8,
}

/// The metrics of a batch of the stream.
#[derive(Debug, Default, Serialize)]
pub(crate) struct BatchMetrics {
    #[serde(flatten)]
    pub(crate) common: CommonMetrics,
    /// Children of deleted parents.
    pub(crate) deleted_items: usize,
    /// 1 if a record could not be processed, at which a batch ends, or else 0.
    pub(crate) failed_records: u8,
}

impl CommonMetrics {
    pub(crate) fn new(duration: Duration, consumed: ConsumedCapacity, cold_start: bool) -> Self {
        let ConsumedCapacity { read_units, write_units, throttles, .. } = consumed;
        let duration_ms = (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0;
        Self { duration_ms, read_units, write_units, throttles, cold_starts: cold_start.into() }
    }
}

impl RequestMetrics {
    pub(crate) fn new(status: u16, common: CommonMetrics) -> Self {
        let is_in = |class: u16| u8::from(status / 100 == class);
        Self { common, client_errors: is_in(4), server_errors: is_in(5) }
    }
}

/// The member `CloudWatchMetrics` of each kind of line; `None` if no metrics are wanted.
#[derive(Debug)]
pub(crate) struct MetricDirectives {
    pub(super) request: Option<Box<RawValue>>,
    pub(super) batch: Option<Box<RawValue>>,
}

impl MetricDirectives {
    /// The directives for metrics in this namespace.
    pub(crate) fn new(namespace: Option<&str>) -> Self {
        Self { request: directives::<RequestMetrics>(namespace), batch: directives::<BatchMetrics>(namespace) }
    }
}

/// One directive, which defines each member of `M` as a metric.
fn directives<M: Default + Serialize>(namespace: Option<&str>) -> Option<Box<RawValue>> {
    let members = serde_json::to_value(M::default()).ok()?;
    let metrics: Value = members.as_object()?.keys().map(|name| definition(name)).collect();
    to_raw_value(&json!([{"Namespace": namespace?, "Dimensions": [[DIMENSION]], "Metrics": metrics}])).ok()
}

/// The definition of a metric. Without a unit, it is a number of the things that its name says.
fn definition(name: &str) -> Value {
    if name.ends_with("_ms") { json!({"Name": name, "Unit": "Milliseconds"}) } else { json!({"Name": name}) }
}
