//! `cargo xtask prove`: randomized tests of the promises that no list of examples covers, each with a size, a seed, and a
//! deliberate fault that shows that the test can fail.
//!
//! A deliberate fault is injected from outside: the code under test has no switch for it. docs/proof.md has the results of
//! a full run, and says what each fault is.

mod client;
mod faults;
mod fuzz;
mod kills;
mod one_email;
mod schemathesis;
mod walk;

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

/// The options of `cargo xtask prove`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run at full size, which takes long, instead of the quick size of CI
    #[arg(long)]
    full: bool,
    /// The seed of all random choices; printed at the start, so that a failed run can be repeated
    #[arg(long)]
    seed: Option<u64>,
    /// Run this test only; can be given several times
    #[arg(long = "test", value_name = "NAME")]
    tests: Vec<Test>,
    /// Inject the deliberate fault of this test, and succeed only if the test notices it; can be given several times
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tests", "full"])]
    sabotage: Vec<Test>,
}

/// A randomized test. The variants are in the order in which they run. Each has its deliberate fault, of the same name.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Test {
    /// Many writers create one email at once
    OneEmail,
    /// Concurrent writers, checked against a model and by a scan of the table
    Walk,
    /// The walk while three in ten database calls fail
    Faults,
    /// The walk while requests are killed before and after any database call
    Kills,
    /// Hostile input to every parser and to the pipeline
    Fuzz,
    /// The running API against openapi.json
    Schemathesis,
}

/// The most characters of a violation in the table.
const MAX_TEXT: usize = 160;

/// The parameters of a run.
#[derive(Clone, Copy)]
struct Run<'a> {
    /// The root of the workspace.
    root: &'a Path,
    /// `true` for the full size: minutes, by hand. The quick size takes seconds, for CI.
    is_full: bool,
    /// The seed of all random choices.
    seed: u64,
    /// `true` if the test injects its deliberate fault.
    is_sabotaged: bool,
}

/// A broken promise, as against the failure to run a test. Only this error shows that a deliberate fault was noticed.
#[derive(Debug)]
struct Violation(String);

/// The result of a test.
struct Outcome {
    test: Test,
    /// What the test did, with numbers.
    result: Result<String>,
    duration: Duration,
}

/// The names that `--test` and `--sabotage` take.
pub(crate) fn test_names() -> impl Iterator<Item = String> {
    Test::value_variants().iter().map(|test| test.name())
}

/// Runs the chosen tests, or all. A failed test does not stop the others; the table at the end lists them all.
pub(crate) async fn run(root: &Path, options: &Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    print_line(&format!("seed: {seed}"))?;
    let is_sabotaged = !options.sabotage.is_empty();
    let tests = if is_sabotaged {
        &options.sabotage
    } else if options.tests.is_empty() {
        Test::value_variants()
    } else {
        &options.tests
    };
    let run = Run { root, is_full: options.full, seed, is_sabotaged };
    let mut outcomes = Vec::new();
    for test in tests {
        let outcome = test.run_timed(&run).await?;
        outcomes.push(outcome);
    }
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    let passed = outcomes.len() - failed;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    print_line(&table(&outcomes))?;
    print_line(&format!("test result: {verdict}. {passed} passed; {failed} failed"))?;
    ensure!(failed == 0, "{failed} of {} tests failed; repeat with --seed {seed}", outcomes.len());
    Ok(())
}

impl Test {
    /// Runs the test; `Ok` says what it did.
    async fn run(self, run: &Run<'_>) -> Result<String> {
        match self {
            Self::OneEmail => one_email::run(run).await,
            Self::Walk => walk::run(run).await,
            Self::Faults => faults::run(run).await,
            Self::Kills => kills::run(run).await,
            Self::Fuzz => fuzz::run(run).await,
            Self::Schemathesis => schemathesis::run(run).await,
        }
    }

    /// Runs the test between two lines that announce it and its result. An `Err` is a failure to print.
    async fn run_timed(self, run: &Run<'_>) -> Result<Outcome> {
        print_line(&format!("test: {}", self.name()))?;
        let started = Instant::now();
        let mut result = Box::pin(self.run(run)).await;
        if run.is_sabotaged {
            result = noticed(result);
        }
        let outcome = Outcome { test: self, result, duration: started.elapsed() };
        if let Err(error) = &outcome.result {
            print_line(&format!("{}: {error:#}", self.name()))?;
        }
        Ok(outcome)
    }

    /// The name that `--test` and `--sabotage` take.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// The result of a test with a deliberate fault: `Ok` if the test has noticed the fault.
fn noticed(result: Result<String>) -> Result<String> {
    match result {
        Ok(done) => bail!("the deliberate fault was not noticed: {done}"),
        Err(error) => match error.downcast_ref::<Violation>() {
            Some(Violation(text)) => {
                Ok(format!("noticed: {}", text.chars().take_while(|c| *c != '\n').take(MAX_TEXT).collect::<String>()))
            }
            None => Err(error),
        },
    }
}

/// The outcomes as a Markdown table.
fn table(outcomes: &[Outcome]) -> String {
    let mut lines = vec!["| test | size | result | duration |".to_owned(), "| --- | --- | --- | --- |".to_owned()];
    for Outcome { test, result, duration } in outcomes {
        let (name, seconds) = (test.name(), duration.as_secs_f64());
        let (size, verdict) = match result {
            Ok(size) => (size.as_str(), "ok"),
            Err(_) => ("", "FAILED"),
        };
        lines.push(format!("| {name} | {size} | {verdict} | {seconds:.0} s |"));
    }
    lines.join("\n")
}

fn print_line(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("cannot write to standard output")
}

impl Violation {
    /// The error of a broken promise.
    fn error(text: impl Into<String>) -> anyhow::Error {
        Self(text.into()).into()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_deliberate_fault_is_noticed_by_a_violation_only() {
        assert_eq!(noticed(Err(Violation::error("two contacts\nwith details"))).unwrap(), "noticed: two contacts");
        assert!(noticed(Ok("30 rounds".to_owned())).is_err());
        assert!(noticed(Err(anyhow!("the engine does not start"))).is_err());
    }

    #[test]
    fn the_table_has_a_row_for_each_outcome() {
        let duration = Duration::from_secs(2);
        let outcomes = [
            Outcome { test: Test::OneEmail, result: Ok("30 rounds".to_owned()), duration },
            Outcome { test: Test::Walk, result: Err(anyhow!("a lead is missing")), duration },
        ];
        let expected = "| test | size | result | duration |\n| --- | --- | --- | --- |\n\
            | one-email | 30 rounds | ok | 2 s |\n| walk |  | FAILED | 2 s |";
        assert_eq!(table(&outcomes), expected);
    }
}
