//! Logs: JSON, one line per request.
//!
//! No line holds an email, a name, a URL of a person, a query string, a body, a key or a token.

use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::domain::OrgId;
use crate::dynamodb::ConsumedCapacity;

/// The content of a request's log line.
#[derive(Debug)]
pub(crate) struct RequestLog<'a> {
    pub(crate) operation: &'a str,
    pub(crate) request_id: &'a str,
    /// The caller's organization, if the request was authenticated.
    pub(crate) org_id: Option<OrgId>,
    pub(crate) status: u16,
    pub(crate) duration: Duration,
    pub(crate) consumed_capacity: ConsumedCapacity,
    /// `true` for the first request of a process.
    pub(crate) cold: bool,
    /// The internal error behind a status of 500.
    pub(crate) error: Option<&'a str>,
}

/// Starts logging to standard output, which the platform collects. Logs the lines of this crate only, because the SDK and
/// the runtime would log whole requests.
pub fn init() {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    let this_crate = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::INFO);
    // A second call, as in a test, fails and leaves the first subscriber in place.
    let _ = tracing_subscriber::registry().with(lines).with(this_crate).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // The location without the message, which may hold a personal value.
        let location = panic.location().map(|location| format!("{}:{}", location.file(), location.line()));
        tracing::error!(location, "panic");
    }));
}

/// Logs one request.
pub(crate) fn log_request(log: &RequestLog<'_>) {
    let RequestLog { operation, request_id, org_id, status, duration, consumed_capacity, cold, error } = log;
    let org_id = org_id.map(|org_id| org_id.to_string());
    let duration_ms = (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0;
    let units = consumed_capacity.read_units + consumed_capacity.write_units;
    match error {
        None => tracing::info!(operation, request_id, org_id, status, duration_ms, units, cold),
        Some(error) => tracing::error!(operation, request_id, org_id, status, duration_ms, units, cold, error),
    }
}
