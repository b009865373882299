//! The trace of an invocation (AWS X-Ray), which is passed on to the services that the function calls.
//!
//! **Problem.** Lambda gives every invocation a tracing header, whose root also appears in Lambda's own log lines and in
//! X-Ray. The SDK passes it on by itself, but takes it from an environment variable, and a process that serves several
//! invocations at once has one environment. A call to a token issuer is not made by the SDK at all.
//!
//! **Approach.** The future of an invocation runs in the scope of its trace (`in_scope`), and what sends a call asks for the
//! `Trace::current` one. A task that continues behind a request gets the scope of that request.
//!
//! **Rejected.**
//! - A parameter of every function on the way to a call: it would pass through all repositories, which have no use for it.
//! - Fields of a `tracing` span: they are text for the log, and are not there when a filter disables the span.
//! - `traceparent` (W3C Trace Context): neither the gateway nor the services that are called know it, and a client could make
//!   requests of others part of its own trace. A client finds its request by `X-Request-ID`.

use std::future::Future;
use std::sync::Arc;

tokio::task_local! {
    static CURRENT: Option<Trace>;
}

/// The name of the tracing header.
pub(crate) const HEADER: &str = "x-amzn-trace-id";
/// The longest tracing header that is passed on. Lambda's have about 150 characters.
const MAX_HEADER_LEN: usize = 1024;

/// The trace of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    header: Arc<str>,
    id: Arc<str>,
}

impl Trace {
    /// Parses a tracing header (AWS, "X-Ray concepts", "Tracing header"); `None` for one without a valid root.
    ///
    /// ```
    /// # use shared::trace::Trace;
    /// let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    /// assert_eq!(Trace::parse(header).unwrap().id(), "1-5759e988-bd862e3fe1be46a994272793");
    /// assert_eq!(Trace::parse("Root=1-5759e988-jane@example.com"), None);
    /// ```
    pub fn parse(header: &str) -> Option<Self> {
        let is_header = header.len() <= MAX_HEADER_LEN && header.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let root = header.split(';').find_map(|field| field.trim().strip_prefix("Root="))?;
        if is_header && is_id(root) { Some(Self { header: header.into(), id: root.into() }) } else { None }
    }

    /// The trace of the invocation that this code runs for; `None` outside of an invocation.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok().flatten()
    }

    /// The id of the trace, by which X-Ray and Lambda's own log lines name it. The only part that is logged: a client may have
    /// written the others.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole header, for services of AWS.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }
}

/// Runs a future as part of a trace.
pub(crate) async fn in_scope<F: Future>(trace: Option<Trace>, future: F) -> F::Output {
    CURRENT.scope(trace, future).await
}

/// Whether a text is a trace id: a version, eight hexadecimal digits of the time, and 24 random ones.
fn is_id(text: &str) -> bool {
    let is_hex = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match *text.split('-').collect::<Vec<_>>() {
        ["1", time, random] => is_hex(time, 8) && is_hex(random, 24),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";

    #[test]
    fn the_id_of_a_trace_is_its_root() {
        for header in [
            format!("Root={ROOT}"),
            format!("Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=0;Lineage=1:a87bd80c:0"),
            format!("Self=1-67891234-12456789abcdef012345678; Root={ROOT}"),
        ] {
            let trace = Trace::parse(&header).unwrap();
            assert_eq!((trace.id(), trace.header()), (ROOT, &*header));
        }
    }

    #[test]
    fn a_header_without_a_valid_root_is_no_trace() {
        for header in [
            String::new(),
            ROOT.to_owned(),
            "Parent=53995c3f42cd8ad8".to_owned(),
            "Root=".to_owned(),
            "Root=2-5759e988-bd862e3fe1be46a994272793".to_owned(),
            "Root=1-5759e988-bd862e3fe1be46a99427279".to_owned(),
            "Root=1-5759e988-bd862e3fe1be46a99427279g".to_owned(),
            format!("Root={ROOT}-1"),
            format!("Root={ROOT};Name=Jos\u{e9}"),
            format!("Root={ROOT};\nX-Other: 1"),
            format!("Root={ROOT};Padding={}", "x".repeat(MAX_HEADER_LEN)),
        ] {
            assert_eq!(Trace::parse(&header), None, "{header:?}");
        }
    }

    #[tokio::test]
    async fn a_trace_is_current_within_its_scope() {
        let traces = ["1-00000001-bd862e3fe1be46a994272793", "1-00000002-bd862e3fe1be46a994272793"]
            .map(|root| Trace::parse(&format!("Root={root}")));
        let [first, second] = traces.clone();

        let current = async || {
            tokio::task::yield_now().await;
            Trace::current()
        };
        let seen = tokio::join!(in_scope(first, current()), in_scope(second, current()), in_scope(None, current()));

        let [first, second] = traces;
        assert_eq!(seen, (first, second, None));
        assert_eq!(Trace::current(), None);
    }
}
