//! The functions' output, as `cargo dev` prints it.
//!
//! A function logs one JSON line per request, and the worker one per batch. For people they become short lines. Everything else,
//! such as a panic or a message of the gateway, is printed as it is.
//!
//! A log line has no path, because a path may hold what a client has no reason to see logged. It has the operation, so a short
//! line shows the path of the route table: `/contacts/{contact_id}`.

use std::fmt::Write;
use std::io::{IsTerminal, stdout};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Deserialize;
use shared::{Endpoint, Page};

/// The `X-Request-ID` of the requests by which the command learns whether the functions have started. Their lines are not for
/// people.
pub(super) const START_REQUEST_ID: &str = "cargo-dev-start";

/// The longest text that is held back until its line ends: more than any log line of a function has.
const MAX_LINE: usize = 64 * 1024;

/// The width of the longest path but one: the line of the longest has more than 80 characters.
const PATH_WIDTH: usize = 39;

const TIME: Style = Style::new().dimmed();
const METHOD: Style = Style::new().bold();
const SUCCESS: Style = AnsiColor::Green.on_default();
const REDIRECTION: Style = AnsiColor::Cyan.on_default();
const CLIENT_ERROR: Style = AnsiColor::Yellow.on_default();
const SERVER_ERROR: Style = AnsiColor::Red.on_default().bold();

/// How log lines are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// As the functions write them, for programs.
    Json,
    /// One short line per request, for people.
    Short {
        /// Whether to color it.
        color: bool,
    },
}

/// Prints the output of processes, which arrives in arbitrary pieces, in one format.
pub(super) struct LogPrinter {
    format: LogFormat,
    /// The beginning of a line that may be a log line.
    pending: Vec<u8>,
}

/// The line of a request or of a batch: those of its members that people see.
#[derive(Deserialize)]
struct LogLine<'a> {
    timestamp: &'a str,
    operation: &'a str,
    duration_ms: f64,
    read_units: f64,
    write_units: f64,
    throttles: u32,
    /// Absent for a batch.
    request_id: Option<String>,
    /// Absent for a batch.
    status: Option<u16>,
    /// Absent for a request.
    deleted_items: Option<usize>,
    /// The reason of a failed batch or of a 500.
    error: Option<String>,
}

impl LogFormat {
    /// The format for standard output: short lines on a terminal, unless `json` is wanted.
    pub(crate) fn for_stdout(json: bool) -> Self {
        if json || !stdout().is_terminal() {
            return Self::Json;
        }
        // Knows the variables NO_COLOR, CLICOLOR and TERM.
        Self::Short { color: AutoStream::choice(&stdout()) != ColorChoice::Never }
    }
}

impl LogPrinter {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, pending: Vec::new() }
    }

    /// The text to print for a further piece of output.
    pub(super) fn print(&mut self, output: &[u8]) -> Vec<u8> {
        let LogFormat::Short { color } = self.format else { return output.to_owned() };
        self.pending.extend_from_slice(output);
        let mut printed = Vec::new();
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            match serde_json::from_slice::<LogLine>(&line) {
                Ok(line) if line.is_of_start() => {}
                Ok(line) => printed.extend_from_slice(line.short(color).as_bytes()),
                Err(_) => printed.extend_from_slice(&line),
            }
        }
        // What cannot become a log line is not held back: a prompt or the progress of a build has no end of line.
        if !self.pending.starts_with(b"{") || self.pending.len() > MAX_LINE {
            printed.append(&mut self.pending);
        }
        printed
    }

    /// The rest of the output, which ends within a line.
    pub(super) fn finish(self) -> Vec<u8> {
        self.pending
    }
}

impl LogLine<'_> {
    /// `true` for a request of this command itself.
    fn is_of_start(&self) -> bool {
        self.error.is_none() && self.request_id.as_deref() == Some(START_REQUEST_ID)
    }

    /// The line for people, with its end.
    fn short(&self, color: bool) -> String {
        let Self { duration_ms, read_units, write_units, throttles, .. } = self;
        let time = self.timestamp.get(11..19).unwrap_or(self.timestamp);
        let (method, path) = route(self.operation);
        let status = self.status.map(|status| status.to_string()).unwrap_or_default();
        let outcome = self.outcome_style();
        let mut line = format!(
            "{TIME}{time}Z{TIME:#} {METHOD}{method:<6}{METHOD:#} {path:<PATH_WIDTH$} {outcome}{status:<3}{outcome:#} \
             {duration_ms:>7.1} ms {read_units:>4} R {write_units:>4} W"
        );
        if let Some(deleted) = self.deleted_items {
            extend(&mut line, format_args!("  {deleted} items deleted"));
        }
        if *throttles > 0 {
            extend(&mut line, format_args!("  {CLIENT_ERROR}{throttles} throttles{CLIENT_ERROR:#}"));
        }
        if let Some(error) = &self.error {
            extend(&mut line, format_args!("  {SERVER_ERROR}{error}{SERVER_ERROR:#}"));
            if let Some(id) = &self.request_id {
                extend(&mut line, format_args!(" (request {id})"));
            }
        }
        line.push('\n');
        if color { line } else { strip_str(&line).to_string() }
    }

    fn outcome_style(&self) -> Style {
        match self.status.unwrap_or_default() / 100 {
            2 => SUCCESS,
            3 => REDIRECTION,
            4 => CLIENT_ERROR,
            5 => SERVER_ERROR,
            _ => Style::new(),
        }
    }
}

/// The method and the path of an operation. One without a route, the worker's, is shown by its name.
fn route(operation: &str) -> (&str, &str) {
    if let Some(endpoint) = Endpoint::ALL.iter().find(|endpoint| endpoint.operation_id() == operation) {
        return (endpoint.spec().method.as_str(), endpoint.spec().path);
    }
    let page = Page::ALL.iter().find(|page| page.operation_id() == operation);
    page.map_or(("", operation), |page| ("GET", page.path()))
}

fn extend(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = line.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use shared::domain::Activity;
    use shared::testing::{Log, TestApp, TestRequest, deadline, invocation};
    use shared::worker::{Batch, process_batch};
    use shared::{ApiError, Request, RequestContext, Response};

    use super::*;

    const PLAIN: LogFormat = LogFormat::Short { color: false };

    async fn succeed(_: RequestContext, _: Request) -> Result<Response, ApiError> {
        let none: &[Activity] = &[];
        Ok(Response::ok(none))
    }

    async fn fail(_: RequestContext, _: Request) -> Result<Response, ApiError> {
        Err(ApiError::Internal("the reason".to_owned()))
    }

    fn printed(format: LogFormat, output: &str) -> String {
        let mut printer = LogPrinter::new(format);
        let mut printed = printer.print(output.as_bytes());
        printed.extend(printer.finish());
        String::from_utf8(printed).unwrap()
    }

    /// The words of a short line without its figures, which differ between two runs.
    fn words(line: &str) -> Vec<&str> {
        line.split_whitespace().filter(|word| word.parse::<f64>().is_err()).collect()
    }

    #[tokio::test]
    async fn a_request_becomes_one_short_line_with_the_path_of_its_route() {
        let app = TestApp::new().await;
        let request = TestRequest::to(Endpoint::GetContact, &app.org);
        let log = Log::start();
        app.send(Endpoint::GetContact, succeed, &request).await;
        let json = log.take();

        let line = printed(PLAIN, &json);

        assert_eq!(line.lines().count(), 1, "{line}");
        assert_eq!(words(&line)[1..], ["GET", "/contacts/{contact_id}", "ms", "R", "W"], "{line}");
        assert!(line.contains(" 200 ") && line.get(8..10) == Some("Z "), "{line}");
        assert_eq!(printed(LogFormat::Json, &json), json);
    }

    #[tokio::test]
    async fn the_line_of_a_failure_has_its_reason_and_the_id_of_the_request() {
        let app = TestApp::new().await;
        let request = TestRequest::to(Endpoint::ListCompanies, &app.org).header("x-request-id", "client-1");
        let log = Log::start();
        app.send(Endpoint::ListCompanies, fail, &request).await;

        let line = printed(PLAIN, &log.take());

        assert!(line.ends_with(" W  the reason (request client-1)\n"), "{line}");
    }

    #[tokio::test]
    async fn a_batch_of_the_worker_becomes_one_short_line() {
        let app = TestApp::new().await;
        let log = Log::start();
        process_batch(&app.app, &Batch::default(), invocation(deadline())).await;

        let line = printed(PLAIN, &log.take());

        assert_eq!(words(&line)[1..], ["cascade_delete", "ms", "R", "W", "items", "deleted"], "{line}");
    }

    #[tokio::test]
    async fn requests_of_the_start_are_not_shown_unless_they_fail() {
        let app = TestApp::new().await;
        let request = TestRequest::to(Endpoint::ListCompanies, &app.org).header("x-request-id", START_REQUEST_ID);
        let log = Log::start();
        app.send(Endpoint::ListCompanies, succeed, &request).await;
        assert_eq!(printed(PLAIN, &log.take()), "");
        app.send(Endpoint::ListCompanies, fail, &request).await;
        assert!(printed(PLAIN, &log.take()).contains("the reason"));
    }

    #[test]
    fn the_color_of_a_status_tells_its_class() {
        let line = |status: u16| {
            format!(
                r#"{{"timestamp":"2026-11-26T10:15:00.123456Z","operation":"create_contact","request_id":"a\"b",
                "status":{status},"duration_ms":12.34,"read_units":1.5,"write_units":8.0,"throttles":2}}"#
            )
            .replace('\n', "")
                + "\n"
        };
        for (status, color) in [(201, "32"), (304, "36"), (409, "33"), (503, "31")] {
            let colored = printed(LogFormat::Short { color: true }, &line(status));
            assert!(colored.contains(&format!("\u{1b}[{color}m{status}\u{1b}[0m")), "{colored:?}");
        }
        let page = printed(PLAIN, &line(200).replace("create_contact", "get_docs"));
        assert!(page.starts_with("10:15:00Z GET    /docs "), "{page}");
        let path = format!("{:<PATH_WIDTH$}", "/contacts");
        let plain = format!("10:15:00Z POST   {path} 201    12.3 ms  1.5 R    8 W  2 throttles\n");
        assert_eq!(printed(PLAIN, &line(201)), plain);
    }

    #[test]
    fn other_output_is_printed_as_it_is_and_at_once() {
        let panic = "{\"timestamp\":\"2026-11-26T10:15:00Z\",\"level\":\"ERROR\",\"message\":\"panic\"}\n";
        let mut printer = LogPrinter::new(PLAIN);
        for text in ["Compiling 3 of 7", "\n", panic, "  \u{1b}[31merror\u{1b}[0m: \n\n", "{ is no JSON\n"] {
            assert_eq!(printer.print(text.as_bytes()), text.as_bytes(), "{text}");
        }
        assert_eq!(printer.print(b"{\"half"), b"");
        assert_eq!(printer.print(b" a line"), b"");
        assert_eq!(printer.finish(), b"{\"half a line");
    }

    #[test]
    fn a_line_without_an_end_is_not_held_back_for_ever() {
        let mut printer = LogPrinter::new(PLAIN);
        let output = vec![b'{'; MAX_LINE];
        assert_eq!(printer.print(&output), b"");
        assert_eq!(printer.print(b"{").len(), MAX_LINE + 1);
    }
}
