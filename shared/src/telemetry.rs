//! Logs: JSON, one line per request.
//!
//! No line holds an email, a name, a URL of a person, a query string, a body, a key or a token. What a line may hold is
//! bounded where it is made: an internal error is a static text, the name of an operation, an error code of DynamoDB or the
//! kind of a key, never a message of DynamoDB, which may quote values, and never a key, which may contain a name. A panic is
//! known by its location, and a token's subject by a hash.

use std::panic::Location;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::auth::{Actor, Principal};
use crate::dynamodb::ConsumedCapacity;

/// The content of a request's log line.
#[derive(Debug)]
pub(crate) struct RequestLog<'a> {
    pub(crate) operation: &'a str,
    pub(crate) ids: &'a RequestIds,
    /// The caller, if the request was authenticated.
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) status: u16,
    pub(crate) duration: Duration,
    pub(crate) consumed_capacity: ConsumedCapacity,
    /// `true` for the first request of a process.
    pub(crate) cold: bool,
    /// The internal error behind a status of 500.
    pub(crate) error: Option<&'a str>,
}

/// The ids of a request, by which its log lines are found.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// The id that the client knows.
    pub(crate) request: String,
    /// API Gateway's id, which its access log has.
    pub(crate) gateway: Option<String>,
    /// Lambda's id, which the platform's own log lines about the invocation have.
    pub(crate) lambda: String,
}

/// Starts logging to standard output, which the platform collects.
pub fn init() {
    // A second call, as in a test, fails and leaves the first subscriber in place.
    let _ = subscriber(std::io::stdout).try_init();
    std::panic::set_hook(Box::new(|panic| log_panic(panic.location())));
}

/// Writes JSON lines. Logs the lines of this crate only, because the SDK and the runtime would log whole requests.
pub(crate) fn subscriber<W>(writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        // A line that is logged during a request names it.
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_writer(writer);
    let this_crate = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::INFO);
    tracing_subscriber::registry().with(lines).with(this_crate)
}

/// Logs the location of a panic without its message, which may hold a personal value.
fn log_panic(location: Option<&Location<'_>>) {
    let location = location.map(|location| format!("{}:{}", location.file(), location.line()));
    tracing::error!(location, "panic");
}

/// Logs one request.
pub(crate) fn log_request(log: &RequestLog<'_>) {
    let RequestLog { operation, ids, principal, status, duration, consumed_capacity, cold, error } = log;
    let org_id = principal.map(|principal| principal.org_id().to_string());
    let (key_id, subject_hash) = match principal.map(Principal::actor) {
        Some(Actor::ApiKey { id, .. }) => (Some(id.to_string()), None),
        Some(Actor::Token { subject_hash }) => (None, Some(subject_hash.as_str())),
        // An operator's commands send no request.
        Some(Actor::Operator { .. }) | None => (None, None),
    };
    let duration_ms = (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0;
    let units = consumed_capacity.read_units + consumed_capacity.write_units;
    macro_rules! log_at {
        ($level:ident) => {
            tracing::$level!(
                operation,
                request_id = ids.request,
                gateway_request_id = ids.gateway,
                lambda_request_id = ids.lambda,
                org_id,
                key_id,
                subject_hash,
                status,
                duration_ms,
                units,
                cold,
                error
            )
        };
    }
    if error.is_some() { log_at!(error) } else { log_at!(info) }
}

#[cfg(test)]
mod tests;
