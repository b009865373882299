//! Hostile input: random events, bodies, files, queries, headers, credentials and values, for the parsers and for the whole
//! pipeline of a request.
//!
//! **Promises.** Whatever is sent, no parser panics, no request ends in a 500, none takes unbounded time, and none needs more
//! memory than a function has. What is accepted keeps the promises of its type, and its normal form is accepted again
//! without a change.
//!
//! **Approach.** A [`Target`] generates inputs, most of them valid or almost valid, since random bytes alone do not get past
//! the first check. One half are the output of a grammar, the other half is changed at random places. Each input depends on
//! the seed and its number only, so a run can be repeated, on any number of threads. A failing input is made as small as
//! possible by leaving out parts.
//!
//! **Rejected.** Coverage-guided fuzzing (libFuzzer, AFL): it finds deeper paths in parsers of binary formats, but needs a
//! nightly compiler and hours, and it does not know what an accepted value promises.
//!
//! **If this is changed.** A target whose inputs are all refused tests only the refusal, so that is an error too.

mod files;
mod generate;
mod memory;
mod pipeline;
mod requests;
mod runner;
mod tokens;
mod values;

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use shared::Endpoint;
use shared::endpoint::WORKER;
use tokio::runtime::Handle;

use self::memory::Limit;
use self::pipeline::Pipeline;
use self::runner::{RecordedPanics, Summary, Target};
use super::{Run, Violation, print_line};

/// The number of inputs per target in CI.
const QUICK: u64 = 6_000;
/// The number of inputs per target in a full run.
const FULL: u64 = 1_000_000;
/// Whether the system tells the memory that a process needs.
const MEASURES_MEMORY: bool = cfg!(target_os = "linux");
/// The byte at which the deliberate faults panic.
const FAULTY_BYTE: u8 = b'%';

/// Runs the test.
pub(super) async fn run(run: &Run<'_>) -> Result<String> {
    let (is_full, seed, is_sabotaged) = (run.is_full, run.seed, run.is_sabotaged);
    let (example, default_memory) = (worker_event(run.root)?, default_memory(run.root)?);
    let runtime = Handle::current();
    // The targets wait for futures, which a thread of the runtime must not.
    let fuzz = tokio::task::spawn_blocking(move || {
        let _recorded = RecordedPanics::start();
        let pipeline = Arc::new(Pipeline::new(runtime));
        if is_sabotaged {
            sabotaged(&pipeline, example, seed)
        } else {
            let inputs = if is_full { FULL } else { QUICK };
            all(&pipeline, example, default_memory, inputs, seed)
        }
    });
    fuzz.await?
}

/// All targets but that of the largest bodies.
fn targets(pipeline: &Arc<Pipeline>, batch: Value) -> Vec<Target> {
    let mut targets = values::targets();
    targets.extend(tokens::targets(pipeline));
    targets.extend(files::targets(pipeline));
    targets.extend(requests::targets(pipeline, batch));
    targets
}

/// Runs every target, and reports all that failed.
fn all(pipeline: &Arc<Pipeline>, batch: Value, default_memory: u32, inputs: u64, seed: u64) -> Result<String> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let (largest_bodies, largest) = memory::target(pipeline, Limit::OfFunction { default: default_memory });
    let targets = targets(pipeline, batch);
    let count = targets.len();
    let mut jobs = Vec::new();
    if MEASURES_MEMORY {
        // First, because memory that earlier targets have freed would hide what a request needs; and one request after the
        // other, so that the memory of one is measured.
        jobs.push((largest_bodies, largest, 1));
    }
    jobs.extend(targets.into_iter().map(|target| (target, inputs, threads)));
    let mut failed = Vec::new();
    for (target, inputs, threads) in jobs {
        let name = target.name.clone();
        match run_target(target, inputs, seed, threads).map_err(anyhow::Error::downcast) {
            Ok(()) => {}
            Err(Ok(Violation(text))) => {
                print_line(&text)?;
                failed.push(name);
            }
            Err(Err(error)) => return Err(error),
        }
    }
    if failed.is_empty() {
        Ok(format!("{inputs} inputs for each of {count} targets, {largest} largest bodies"))
    } else {
        Err(Violation::error(format!("{}; the inputs are above", failed.join(", "))))
    }
}

/// Runs a target and prints what its inputs did.
fn run_target(target: Target, inputs: u64, seed: u64, threads: usize) -> Result<()> {
    let (name, started) = (target.name.clone(), Instant::now());
    let summary = runner::run(target, inputs, seed, threads)?;
    let Summary { inputs, accepted, slowest } = summary;
    let seconds = started.elapsed().as_secs_f64();
    print_line(&format!(
        "  {name:<32} {inputs:>9} inputs, {accepted:>9} accepted, slowest {:>5} ms, {seconds:>5.1} s",
        slowest.as_millis()
    ))?;
    ensure!(accepted > 0, "{name}: no input was accepted, so that its promises are untested");
    Ok(())
}

/// Runs the largest bodies with a limit lower than any request needs, every other target with a check that panics at one
/// byte, then one with a handler that does, and one with a parser that lacks a rule. Returns a violation if each of these
/// has failed, as [`super::noticed`] expects.
fn sabotaged(pipeline: &Arc<Pipeline>, batch: Value, seed: u64) -> Result<String> {
    let mut faulty = Vec::new();
    if MEASURES_MEMORY {
        faulty.push(memory::target(pipeline, Limit::Nothing));
    }
    let mut others: Vec<_> = targets(pipeline, batch).into_iter().map(with_panicking_check).collect();
    others.push(requests::body_target(&Arc::new(pipeline.with_panicking_handler()), Endpoint::CreateContact));
    others.push(values::email_without_rules());
    faulty.extend(others.into_iter().map(|target| (target, QUICK)));
    let count = faulty.len();
    for (target, inputs) in faulty {
        let name = target.name.clone();
        match runner::run(target, inputs, seed, 1) {
            Ok(_) => return Ok(format!("{name} did not fail")),
            Err(error) if error.is::<Violation>() => {}
            Err(error) => return Err(error),
        }
    }
    Err(Violation::error(format!("each of {count} targets fails with its fault")))
}

fn with_panicking_check(target: Target) -> Target {
    let Target { name, generate, check } = target;
    let check = Box::new(move |input: &[u8]| {
        assert!(!input.contains(&FAULTY_BYTE), "the deliberate fault");
        check(input)
    });
    Target { name, generate, check }
}

/// The example event of the worker.
fn worker_event(root: &Path) -> Result<Value> {
    let file = root.join("events").join(WORKER).with_extension("json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// The memory in MB of a function without a value of its own: the first in the template.
fn default_memory(root: &Path) -> Result<u32> {
    let template = fs::read_to_string(root.join("template.yaml")).context("cannot read template.yaml")?;
    let memory = template.lines().find_map(|line| line.trim().strip_prefix("MemorySize: "));
    memory.and_then(|memory| memory.parse().ok()).context("template.yaml has no default MemorySize")
}
