//! The one log line of a request or of a batch.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use super::WHOLE_LINE;
use super::metrics::{BatchMetrics, MetricDirectives, RequestMetrics};
use crate::auth::{Actor, Principal};
use crate::domain::{ApiKeyId, OrgId};
use crate::invocation::Invocation;
use crate::trace::Trace;

/// The log line of a request.
#[derive(Debug, Serialize)]
pub(crate) struct RequestLine<'a> {
    pub(crate) operation: &'a str,
    #[serde(flatten)]
    pub(crate) ids: &'a RequestIds<'a>,
    /// Absent for a request that was not authenticated.
    #[serde(flatten)]
    pub(crate) caller: Option<Caller<'a>>,
    pub(crate) status: u16,
    #[serde(flatten)]
    pub(crate) metrics: RequestMetrics,
    /// The internal error behind a status of 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'a str>,
}

/// The log line of a batch of the stream.
#[derive(Debug, Serialize)]
pub(crate) struct BatchLine<'a> {
    pub(crate) operation: &'a str,
    #[serde(flatten)]
    pub(crate) ids: InvocationIds<'a>,
    #[serde(flatten)]
    pub(crate) metrics: BatchMetrics,
    /// The record at which the batch ended.
    #[serde(flatten)]
    pub(crate) failure: Option<BatchFailure>,
}

/// A record that could not be processed.
#[derive(Debug, Serialize)]
pub(crate) struct BatchFailure {
    pub(crate) org_id: OrgId,
    pub(crate) error: String,
}

/// The ids of a request, by which its log lines are found.
#[derive(Debug, Serialize)]
pub(crate) struct RequestIds<'a> {
    /// The id that the client knows.
    #[serde(rename = "request_id")]
    pub(crate) request: String,
    /// API Gateway's id, which its access log has.
    #[serde(rename = "gateway_request_id", skip_serializing_if = "Option::is_none")]
    pub(crate) gateway: Option<String>,
    #[serde(flatten)]
    pub(crate) invocation: InvocationIds<'a>,
}

/// The ids of an invocation, which the platform's own log lines about it have too.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct InvocationIds<'a> {
    pub(crate) lambda_request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<&'a str>,
}

/// The caller of a request.
#[derive(Debug, Serialize)]
pub(crate) struct Caller<'a> {
    org_id: OrgId,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<ApiKeyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_hash: Option<&'a str>,
}

/// A whole line: what every line begins with, the members of a kind of line, and the metadata of its metrics.
#[derive(Serialize)]
struct WholeLine<'a, L> {
    timestamp: String,
    level: &'static str,
    #[serde(flatten)]
    line: &'a L,
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
}

/// The metadata object of the embedded metric format.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata<'a> {
    /// Milliseconds since 1970.
    timestamp: i64,
    cloud_watch_metrics: &'a RawValue,
}

impl RequestLine<'_> {
    /// Logs the line, as an error if it has one.
    pub(crate) fn log(&self, directives: &MetricDirectives) {
        log(self, self.error.is_some(), directives.request.as_deref());
    }
}

impl BatchLine<'_> {
    /// Logs the line, as an error if a record could not be processed.
    pub(crate) fn log(&self, directives: &MetricDirectives) {
        log(self, self.failure.is_some(), directives.batch.as_deref());
    }
}

fn log(line: &impl Serialize, is_error: bool, directives: Option<&RawValue>) {
    let now = Utc::now();
    let metadata =
        directives.map(|cloud_watch_metrics| Metadata { timestamp: now.timestamp_millis(), cloud_watch_metrics });
    let timestamp = now.to_rfc3339_opts(SecondsFormat::Micros, true);
    let line = WholeLine { timestamp, level: if is_error { "ERROR" } else { "INFO" }, line, metadata };
    // Serializing fails only for a map whose keys are not strings, and no line has one.
    if let Ok(line) = serde_json::to_string(&line) {
        tracing::info!(target: WHOLE_LINE, "{line}");
    }
}

impl<'a> From<&'a Invocation> for InvocationIds<'a> {
    fn from(invocation: &'a Invocation) -> Self {
        Self { lambda_request_id: &invocation.request_id, trace_id: invocation.trace.as_ref().map(Trace::id) }
    }
}

impl<'a> From<&'a Principal> for Caller<'a> {
    fn from(principal: &'a Principal) -> Self {
        let (key_id, subject_hash) = match principal.actor() {
            Actor::ApiKey { id, .. } => (Some(*id), None),
            Actor::Token { subject_hash } => (None, Some(subject_hash.as_str())),
            // An operator's commands send no request.
            Actor::Operator { .. } => (None, None),
        };
        Self { org_id: principal.org_id(), key_id, subject_hash }
    }
}

/// `true` for the first call in this process.
pub(crate) fn is_cold_start() -> bool {
    static WARM: AtomicBool = AtomicBool::new(false);
    !WARM.swap(true, Ordering::Relaxed)
}
