//! Logs: JSON, one line per request or batch, which also holds their metrics.
//!
//! No line holds an email, a name, a URL of a person, a query string, a body, a key or a token. What a line may hold is
//! bounded where it is made: an internal error is a static text, the name of an operation, an error code of DynamoDB or the
//! kind of a key, never a message of DynamoDB, which may quote values, and never a key, which may contain a name. A panic is
//! known by its location, and a token's subject by a hash.
//!
//! `RequestLine` and `BatchLine` are the lines: their members are those of the JSON. `tracing` cannot write them, because
//! its fields do not nest; it passes them on (`WholeLines`), so that there is one way to the output.

mod line;
mod metrics;

use std::fmt;
use std::panic::Location;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) use line::{BatchFailure, BatchLine, InvocationIds, RequestIds, RequestLine, is_cold_start};
pub(crate) use metrics::{BatchMetrics, CommonMetrics, MetricDirectives, RequestMetrics};

/// The target of an event whose message is a whole line.
const WHOLE_LINE: &str = concat!(env!("CARGO_PKG_NAME"), "::line");

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
        .map_event_format(WholeLines)
        .with_writer(writer);
    let this_crate = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::INFO);
    tracing_subscriber::registry().with(lines).with(this_crate)
}

/// Writes the message of an event with the target [`WHOLE_LINE`] as it is, and other events by the inner format.
struct WholeLines<F>(F);

impl<S, N, F> FormatEvent<S, N> for WholeLines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() != WHOLE_LINE {
            return self.0.format_event(ctx, writer, event);
        }
        let mut message = MessageWriter { writer: writer.by_ref(), result: Ok(()) };
        event.record(&mut message);
        message.result?;
        writeln!(writer)
    }
}

/// Writes the one field of an event, its message.
struct MessageWriter<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl Visit for MessageWriter<'_> {
    fn record_debug(&mut self, _: &Field, message: &dyn fmt::Debug) {
        self.result = write!(self.writer, "{message:?}");
    }
}

/// Logs the location of a panic without its message, which may hold a personal value.
fn log_panic(location: Option<&Location<'_>>) {
    let location = location.map(|location| format!("{}:{}", location.file(), location.line()));
    tracing::error!(location, "panic");
}

#[cfg(test)]
mod tests;
