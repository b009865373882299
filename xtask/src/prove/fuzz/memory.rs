//! The memory that a request may need: bodies of the largest size, made of the pieces that take the most memory for their
//! length.

use std::fs;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use shared::Endpoint;
use shared::endpoint::Media;

use super::pipeline::{Pipeline, request};
use super::requests::with_body;
use super::runner::{Target, Verdict};

/// The memory of a function's own: the binary, the client of the table, and its connections.
const OWN: u64 = 40 * MB;
const MB: u64 = 1_000_000;
/// What `/proc/self/clear_refs` takes to reset the peak of the process's memory (proc(5)).
const RESET_PEAK: &str = "5";
/// The beginning of a CSV file's header.
const CSV: &str = "full_name,";

/// The elements of an array in a row of an upload. With so many, the largest upload has about as many rows as are accepted.
const ELEMENTS: usize = 300;

/// Begin, middle and end of a body. The middle is repeated until the body is as long as the endpoint accepts.
type Shape = [String; 3];

/// The shapes without a long row.
const SHORT_SHAPES: [[&str; 3]; 14] = [
    ["[", "1,", "1]"],
    ["[", "{},", "{}]"],
    ["[", "[[[]]],", "[]]"],
    ["[", "\"\",", "\"\"]"],
    ["[", "{\"email\":\"a\"},", "{}]"],
    ["{", "\"a\":1,", "\"b\":1}"],
    ["{\"metadata\":{", "\"a\":[],", "\"b\":1}}"],
    ["{\"metadata\":[", "[],", "[]]}"],
    ["{\"full_name\":\"", "\\u0001", "\"}"],
    ["{\"full_name\":\"", "é", "\"}"],
    ["full_name,email,linkedin_profile\n", "a,b,c\n", ""],
    ["full_name,email,linkedin_profile\n", ",", ""],
    ["[{\"email\":\"a@example.com\",\"metadata\":\"[", "1,", "1]\"}]"],
    ["full_name,email,linkedin_profile,metadata\nJane Doe,a@example.com,linkedin.com/in/a,\"[", "1,", "1]\"\n"],
];

/// All shapes.
fn shapes() -> Vec<Shape> {
    let ones = vec!["1"; ELEMENTS].join(",");
    let object = format!("{{\"full_name\":\"Jane Doe\",\"email\":\"a@example.com\",\"metadata\":\"[{ones}]\"}}");
    let line = format!("Jane Doe,a@example.com,linkedin.com/in/a,\"[{ones}]\"\n");
    let mut shapes: Vec<_> = SHORT_SHAPES.iter().map(|shape| shape.map(str::to_owned)).collect();
    shapes.push(["[".to_owned(), format!("{object},"), format!("{object}]")]);
    shapes.push(["full_name,email,linkedin_profile,metadata\n".to_owned(), line, String::new()]);
    shapes
}

/// The most memory that a request may need.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    /// What the function has, where the template's default is so many MB.
    OfFunction {
        /// The memory of a function without a value of its own.
        default: u32,
    },
    /// The deliberate fault: less than any request needs.
    Nothing,
}

impl Limit {
    fn of(self, endpoint: Endpoint) -> u64 {
        match self {
            Self::OfFunction { default } => u64::from(endpoint.spec().memory.unwrap_or(default)) * MB - OWN,
            Self::Nothing => 0,
        }
    }
}

/// The target and the number of its inputs: each endpoint that takes a body, with each shape. An input is the name of the
/// endpoint and the number of the shape, since the bodies themselves are too large to report.
pub(super) fn target(pipeline: &Arc<Pipeline>, limit: Limit) -> (Target, u64) {
    let (pipeline, shapes) = (Arc::clone(pipeline), shapes());
    let with_body = Endpoint::ALL.iter().filter(|endpoint| endpoint.spec().body.is_some());
    let input = |endpoint: &Endpoint, shape| format!("{} {shape}", endpoint.name()).into_bytes();
    let inputs: Vec<_> =
        with_body.flat_map(|endpoint| (0..shapes.len()).map(move |shape| input(endpoint, shape))).collect();
    let count = inputs.len() as u64;
    // Memory that was freed, but not returned to the system, must not hide what a later request needs.
    let memory_before_all = OnceLock::new();
    let target = Target::of_inputs("largest bodies", inputs, move |input| {
        let Some((endpoint, payload)) = largest_request(&String::from_utf8_lossy(input), &shapes) else {
            return Ok(Verdict::Refused);
        };
        fs::write("/proc/self/clear_refs", RESET_PEAK).context("cannot reset the peak of this process's memory")?;
        let current = memory("VmRSS")?;
        let before = *memory_before_all.get_or_init(|| current);
        pipeline.send(endpoint, serde_json::from_slice(&payload)?)?;
        let needed = memory("VmHWM")?.saturating_sub(before);
        let limit = limit.of(endpoint);
        ensure!(needed <= limit, "{} MB of memory, of {} MB", needed / MB, limit / MB);
        Ok(Verdict::Accepted)
    });
    (target, count)
}

/// The event of an input, with a body of the largest size, as the runtime receives it.
fn largest_request(input: &str, shapes: &[Shape]) -> Option<(Endpoint, Vec<u8>)> {
    let (name, shape) = input.split_once(' ')?;
    let endpoint = Endpoint::ALL.iter().find(|endpoint| endpoint.name() == name)?;
    let [begin, middle, end] = shapes.get(shape.parse::<usize>().ok()?)?;
    let count = (endpoint.spec().body?.limit - begin.len() - end.len()) / middle.len();
    let body = format!("{begin}{}{end}", middle.repeat(count));
    let media = if begin.starts_with(CSV) { Media::Csv } else { Media::Json };
    let request = request(*endpoint).header("content-type", media.as_str());
    Some((*endpoint, with_body(&request, body.as_bytes()).into_json().to_string().into_bytes()))
}

/// A measure of this process's memory in bytes (proc(5)).
fn memory(measure: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read this process's memory")?;
    let line = status.lines().find(|line| line.starts_with(measure));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(kilobytes.with_context(|| format!("the system does not tell {measure}"))? * 1_024)
}
