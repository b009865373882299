//! Runs the inputs of one target: on several threads, with a time limit for each input, and makes a failing input small.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use fastrand::Rng;

use crate::prove::Violation;

/// The longest that one input may take in a debug build on a busy machine. An input that takes longer counts as a hang.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// The longest that a failing input is made smaller.
const SHRINK_LIMIT: Duration = Duration::from_secs(10);
/// The longest text of an input in a report, in bytes.
const MAX_REPORTED: usize = 2_000;

/// Generates the input of a number.
type Generate = Box<dyn Fn(&mut Rng, u64) -> Vec<u8> + Send + Sync>;
/// Passes an input to the code under test, and checks the result. An error, like a panic, is a failure of the test.
type Check = Box<dyn Fn(&[u8]) -> Result<Verdict> + Send + Sync>;

/// A part of the API under test: its inputs, and what has to hold for each.
pub(super) struct Target {
    /// The name in reports.
    pub(super) name: String,
    pub(super) generate: Generate,
    pub(super) check: Check,
}

/// What the code under test did with an input. Either is right; a target that only ever sees one of them tests little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Refused,
}

/// What a target's inputs did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Summary {
    pub(super) inputs: u64,
    pub(super) accepted: u64,
    pub(super) slowest: Duration,
}

/// The inputs of one target, shared by the threads.
struct Job {
    target: Target,
    seed: u64,
    inputs: u64,
    next: AtomicU64,
    stop: AtomicBool,
    /// For each thread the number of the input that it works on, and since when.
    running: Vec<Mutex<Option<(u64, Instant)>>>,
}

/// The result of one thread.
enum Report {
    Done(Summary),
    Failed(u64),
}

impl Target {
    pub(super) fn new(
        name: impl Into<String>,
        generate: impl Fn(&mut Rng) -> Vec<u8> + Send + Sync + 'static,
        check: impl Fn(&[u8]) -> Result<Verdict> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), generate: Box::new(move |rng, _| generate(rng)), check: Box::new(check) }
    }

    /// A target of given inputs, which are repeated if more are asked for.
    pub(super) fn of_inputs(
        name: impl Into<String>,
        inputs: Vec<Vec<u8>>,
        check: impl Fn(&[u8]) -> Result<Verdict> + Send + Sync + 'static,
    ) -> Self {
        let generate = move |_: &mut Rng, index: u64| {
            inputs.iter().cycle().nth(usize::try_from(index).unwrap_or_default()).cloned().unwrap_or_default()
        };
        Self { name: name.into(), generate: Box::new(generate), check: Box::new(check) }
    }

    /// The input of a number. It depends on nothing but the seed, the target and the number.
    fn input(&self, seed: u64, index: u64) -> Vec<u8> {
        let target = self.name.bytes().fold(0, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let mut rng = Rng::with_seed(seed ^ target.rotate_left(32));
        let stream = rng.u64(..);
        (self.generate)(&mut Rng::with_seed(stream.wrapping_add(index)), index)
    }

    /// Checks an input. A panic is an error that names its location.
    fn check(&self, input: &[u8]) -> Result<Verdict> {
        LAST_PANIC.take();
        let result = panic::catch_unwind(AssertUnwindSafe(|| (self.check)(input)));
        match (result, LAST_PANIC.take()) {
            (Ok(result), None) => result,
            // The pipeline turns a panic into a 500, which the target reports.
            (Ok(result), Some(panic)) => result.with_context(|| panic),
            (Err(_), panic) => Err(anyhow!(panic.unwrap_or_else(|| "a panic".to_owned()))),
        }
    }
}

thread_local! {
    /// The message and the location of this thread's last panic.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The panic hook of the process.
type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Records panics instead of printing them, until it is dropped.
pub(super) struct RecordedPanics(Option<Hook>);

impl RecordedPanics {
    pub(super) fn start() -> Self {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(|panic| LAST_PANIC.set(Some(panic.to_string()))));
        Self(Some(previous))
    }
}

impl Drop for RecordedPanics {
    fn drop(&mut self) {
        if let Some(previous) = self.0.take() {
            panic::set_hook(previous);
        }
    }
}

/// Runs so many inputs of a target on so many threads.
///
/// # Errors
/// A [`Violation`] with the smallest failing input, or with the input that exceeded the time limit. The thread of such an
/// input cannot be stopped, and ends with the process.
pub(super) fn run(target: Target, inputs: u64, seed: u64, threads: usize) -> Result<Summary> {
    let running = (0..threads).map(|_| Mutex::new(None)).collect();
    let job = Arc::new(Job { target, seed, inputs, next: AtomicU64::new(0), stop: AtomicBool::new(false), running });
    let (sender, reports) = mpsc::channel();
    for thread in 0..threads {
        let (job, sender) = (Arc::clone(&job), sender.clone());
        thread::Builder::new().spawn(move || job.work(thread, &sender)).context("cannot start a thread")?;
    }
    drop(sender);
    let mut summary = Summary::default();
    loop {
        match reports.recv_timeout(Duration::from_millis(200)) {
            Ok(Report::Done(part)) => summary.add(part),
            Ok(Report::Failed(index)) => return Err(job.failure(index)),
            Err(RecvTimeoutError::Timeout) => job.ensure_no_hang()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(summary),
        }
    }
}

impl Job {
    /// Checks inputs until there are no more, or one fails.
    fn work(&self, thread: usize, reports: &Sender<Report>) {
        let mut summary = Summary::default();
        while !self.stop.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.inputs {
                break;
            }
            let started = Instant::now();
            self.set_running(thread, Some((index, started)));
            let result = self.target.check(&self.target.input(self.seed, index));
            summary.inputs += 1;
            summary.slowest = summary.slowest.max(started.elapsed());
            match result {
                Ok(Verdict::Accepted) => summary.accepted += 1,
                Ok(Verdict::Refused) => {}
                Err(_) => {
                    self.stop.store(true, Ordering::Relaxed);
                    // The receiver is gone if another thread has failed first.
                    let _ = reports.send(Report::Failed(index));
                }
            }
        }
        self.set_running(thread, None);
        let _ = reports.send(Report::Done(summary));
    }

    fn set_running(&self, thread: usize, input: Option<(u64, Instant)>) {
        if let Some(slot) = self.running.get(thread) {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = input;
        }
    }

    fn ensure_no_hang(&self) -> Result<()> {
        for slot in &self.running {
            let running = *slot.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((index, since)) = running
                && since.elapsed() > TIME_LIMIT
            {
                self.stop.store(true, Ordering::Relaxed);
                let input = self.target.input(self.seed, index);
                return Err(self.violation(index, &format!("no result after {TIME_LIMIT:?}"), &input));
            }
        }
        Ok(())
    }

    /// The violation of an input that failed, with the smallest part of it that fails as well.
    fn failure(&self, index: u64) -> anyhow::Error {
        let input = shrink(self.target.input(self.seed, index), |part| self.target.check(part).is_err());
        match self.target.check(&input) {
            Err(error) => self.violation(index, &format!("{error:#}"), &input),
            Ok(_) => self.violation(index, "failed once, and not when repeated", &input),
        }
    }

    fn violation(&self, index: u64, error: &str, input: &[u8]) -> anyhow::Error {
        let (name, shown) = (&self.target.name, input.get(..MAX_REPORTED).unwrap_or(input));
        let omitted = if shown.len() < input.len() { format!(" … ({} bytes)", input.len()) } else { String::new() };
        let shown = shown.escape_ascii();
        Violation::error(format!("{name}: {error}\nsmallest input, from number {index}: \"{shown}\"{omitted}"))
    }
}

impl Summary {
    fn add(&mut self, part: Self) {
        self.inputs += part.inputs;
        self.accepted += part.accepted;
        self.slowest = self.slowest.max(part.slowest);
    }
}

/// Removes parts of an input, first halves, then ever smaller ones, as long as the rest fails.
fn shrink(mut input: Vec<u8>, fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let deadline = Instant::now() + SHRINK_LIMIT;
    let mut size = input.len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        let mut has_shrunk = false;
        while start < input.len() && Instant::now() < deadline {
            let end = (start + size).min(input.len());
            let rest = [&input[..start], &input[end..]].concat();
            if fails(&rest) {
                input = rest;
                has_shrunk = true;
            } else {
                start = end;
            }
        }
        // A pass of single bytes that removed any may have made others removable.
        if size > 1 || !has_shrunk {
            size /= 2;
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(check: impl Fn(&[u8]) -> Result<Verdict> + Send + Sync + 'static) -> Target {
        Target::new("target", |rng| (0..rng.usize(1..40)).map(|_| rng.u8(b'a'..=b'f')).collect(), check)
    }

    #[test]
    fn an_input_depends_on_seed_and_number_only() {
        let target = target(|_| Ok(Verdict::Accepted));
        let inputs = |seed| (0..20).map(|index| target.input(seed, index)).collect::<Vec<_>>();
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        assert_ne!(target.input(1, 0), target.input(1, 1));
    }

    #[test]
    fn inputs_are_counted_by_verdict() {
        let starts_with_a =
            |input: &[u8]| Ok(if input.starts_with(b"a") { Verdict::Accepted } else { Verdict::Refused });
        let summary = run(target(starts_with_a), 500, 1, 2).unwrap();
        assert_eq!(summary.inputs, 500);
        assert!((1..500).contains(&summary.accepted), "{}", summary.accepted);
    }

    #[test]
    fn a_panic_is_reported_with_the_smallest_input() {
        let _recorded = RecordedPanics::start();
        let target = target(|input| {
            assert!(!(input.contains(&b'b') && input.contains(&b'e')), "both");
            Ok(Verdict::Accepted)
        });
        let error = run(target, 500, 1, 2).unwrap_err();
        let Violation(text) = error.downcast_ref().unwrap();
        assert!(text.starts_with("target: panicked at xtask/src/prove/fuzz/runner.rs:"), "{text}");
        assert!(text.ends_with("\"be\"") || text.ends_with("\"eb\""), "{text}");
    }
}
