//! Logs: JSON, one line a request. Never an e-mail, a name, a URL of a person, a query string, a body, a key or a token.

use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::domain::OrgId;
use crate::dynamodb::ConsumedCapacity;

/// What a request's log line says.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) operation: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) org_id: Option<OrgId>,
    pub(crate) status: u16,
    pub(crate) duration: Duration,
    pub(crate) consumed_capacity: ConsumedCapacity,
    pub(crate) cold: bool,
    pub(crate) fault: Option<&'a str>,
}

/// Starts logging to standard output, where the platform collects it.
///
/// Only this crate's lines: the SDK and the runtime would log requests whole.
pub fn init() {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    let ours = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::INFO);
    // A second call, as a test would make, leaves the first one's logging in place.
    let _ = tracing_subscriber::registry().with(lines).with(ours).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // Where, not what: the message may hold a value.
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(place, "panic");
    }));
}

/// Logs one request.
pub(crate) fn log_request(line: &Line<'_>) {
    let Line { operation, request_id, org_id, status, duration, consumed_capacity, cold, fault } = line;
    let org_id = org_id.map(|org_id| org_id.to_string());
    let duration_ms = (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0;
    let units = consumed_capacity.read_units + consumed_capacity.write_units;
    match fault {
        None => tracing::info!(operation, request_id, org_id, status, duration_ms, units, cold),
        Some(fault) => tracing::error!(operation, request_id, org_id, status, duration_ms, units, cold, fault),
    }
}
