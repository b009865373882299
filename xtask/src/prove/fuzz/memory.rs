//! The memory that a request may need: bodies of the largest size, made of the pieces that take the most memory for their
//! length.

use std::fs;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use shared::Endpoint;
use shared::endpoint::Media;

use super::pipeline::{Pipeline, request};
use super::requests::with_body;
use super::runner::{Target, Verdict};

/// What a function has, without its own 40 MB: the binary, the client of the table, and its connections.
const LIMIT: u64 = (256 - 40) * MB;
const MB: u64 = 1_000_000;
/// What `/proc/self/clear_refs` takes to reset the peak of the process's memory (proc(5)).
const RESET_PEAK: &str = "5";
/// The beginning of a CSV file's header.
const CSV: &str = "full_name,";

/// Begin, middle and end of a body. The middle is repeated until the body is as long as the endpoint accepts.
const SHAPES: [[&str; 3]; 12] = [
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
];

/// The target. An input is the name of an endpoint and the number of a shape, since the bodies themselves are too large
/// to report.
pub(super) fn target(pipeline: &Arc<Pipeline>) -> Target {
    let pipeline = Arc::clone(pipeline);
    let endpoints: Vec<Endpoint> =
        Endpoint::ALL.iter().copied().filter(|endpoint| endpoint.spec().body.is_some()).collect();
    let generate = move |rng: &mut Rng| {
        let endpoint = endpoints[rng.usize(..endpoints.len())];
        format!("{} {}", endpoint.name(), rng.usize(..SHAPES.len())).into_bytes()
    };
    // Memory that was freed, but not returned to the system, must not hide what a later request needs.
    let memory_before_all = OnceLock::new();
    Target::new("largest bodies", generate, move |input| {
        let Some((endpoint, payload)) = largest_request(&String::from_utf8_lossy(input)) else {
            return Ok(Verdict::Refused);
        };
        fs::write("/proc/self/clear_refs", RESET_PEAK).context("cannot reset the peak of this process's memory")?;
        let current = memory("VmRSS")?;
        let before = *memory_before_all.get_or_init(|| current);
        pipeline.send(endpoint, serde_json::from_slice(&payload)?)?;
        let needed = memory("VmHWM")?.saturating_sub(before);
        ensure!(needed <= LIMIT, "{} MB of memory, of {} MB", needed / MB, LIMIT / MB);
        Ok(Verdict::Accepted)
    })
}

/// The event of an input, with a body of the largest size, as the runtime receives it.
fn largest_request(input: &str) -> Option<(Endpoint, Vec<u8>)> {
    let (name, shape) = input.split_once(' ')?;
    let endpoint = Endpoint::ALL.iter().find(|endpoint| endpoint.name() == name)?;
    let [begin, middle, end] = SHAPES.get(shape.parse::<usize>().ok()?)?;
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
