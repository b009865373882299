//! `cargo xtask ci`: all checks that a change has to pass. A check that cannot run fails.

mod dynamodb_local;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use self::dynamodb_local::DynamoDbLocal;
use crate::results::TestCounts;
use crate::{prove, sbom, sync, template, tools};

/// The functions of the release build: one that writes and one that reads. Linking one takes a minute, and all functions
/// are linked alike.
const RELEASED: [&str; 2] = ["create-contact", "get-contact"];

/// All tests but the end-to-end tests.
const TESTS: [&str; 3] = ["test", "--workspace", "--no-fail-fast"];

/// The options of `cargo xtask ci`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run this step only; can be given several times
    #[arg(long = "step", value_name = "NAME")]
    steps: Vec<Step>,
    /// List the steps, and run none
    #[arg(long, conflicts_with = "steps")]
    list: bool,
}

/// A check. The variants are in the order in which they run.
#[derive(Clone, Copy, ValueEnum)]
enum Step {
    /// Checks the format of the Rust code
    Format,
    /// Lints all Rust code; warnings are errors
    Clippy,
    /// Builds the documentation of the code; warnings are errors
    Docs,
    /// Checks licences, sources and banned crates against deny.toml
    Licenses,
    /// Writes the bill of materials of every function, and checks it
    Sbom,
    /// Runs all tests but the end-to-end tests, on the embedded engine
    Tests,
    /// Checks that the generated files are up to date
    GeneratedFiles,
    /// Type-checks and tests the upload page, and checks that its bundle is up to date
    UploadPage,
    /// Lints template.yaml, as written and expanded, and checks its permissions
    Template,
    /// Runs the end-to-end tests
    E2e,
    /// Deploys template.yaml to an emulated cloud, and runs the end-to-end tests there
    Cloud,
    /// Runs the end-to-end tests of many writers while database calls fail
    E2eFaults,
    /// Lints openapi.json, generates clients from it, and calls the API through each
    Clients,
    /// Tests the pages in headless Chromium
    Browser,
    /// Runs the Postman collection twice against a temporary API
    Postman,
    /// Runs the randomized tests, and each once with its deliberate fault
    Prove,
    /// Runs the tests of `tests` on DynamoDB Local
    DynamodbLocal,
    /// Runs the commands of the first screen of README.md on a clean clone
    FirstScreen,
    /// Builds and packages two functions for release
    ReleaseBuild,
    /// Counts the instructions of requests, and compares them with their budgets
    Instructions,
}

/// The result of a step.
struct Outcome {
    step: Step,
    duration: Duration,
    result: Result<TestCounts>,
}

/// The report at the end of a run.
struct Summary {
    /// One line per step, and the totals.
    lines: Vec<String>,
    failed_steps: usize,
}

/// Runs the chosen steps, or all. A failed step does not stop the others; the summary at the end lists them all.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    if options.list {
        return Step::value_variants().iter().try_for_each(|step| print_line(&step.listing()));
    }
    let steps = if options.steps.is_empty() { Step::value_variants() } else { &options.steps };
    let outcomes = steps.iter().map(|step| step.run_timed(root)).collect::<Result<Vec<_>>>()?;
    let Summary { lines, failed_steps } = Summary::new(&outcomes);
    print_line(&lines.join("\n"))?;
    ensure!(failed_steps == 0, "{failed_steps} of {} steps failed; their output is above", outcomes.len());
    Ok(())
}

impl Step {
    fn run(self, root: &Path) -> Result<TestCounts> {
        match self {
            Self::Format => cargo(root, &["fmt", "--all", "--check"]),
            Self::Clippy => {
                cargo(root, &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])
            }
            Self::Docs => cargo(root, &["doc", "--workspace", "--no-deps", "--document-private-items"]),
            Self::Licenses => check_dependencies(root),
            Self::Sbom => sbom::run(root, &sbom::Options::default()).map(|()| TestCounts::default()),
            Self::Tests => cargo(root, &TESTS),
            Self::GeneratedFiles => sync::sync(root, true).map(|()| TestCounts::default()),
            Self::UploadPage => cargo(root, &["xtask", "upload-page", "--check"]),
            Self::Template => template::check(root).map(|()| TestCounts::default()),
            Self::E2e => cargo(root, &["xtask", "e2e"]),
            // The other end-to-end tests have a base URL without a path.
            Self::Cloud => cargo(root, &["xtask", "cloud", "--parameter", "ApiStageName=v1"]),
            Self::E2eFaults => cargo(root, &["xtask", "e2e", "--faults"]),
            Self::Clients => cargo(root, &["xtask", "clients"]),
            Self::Browser => cargo(root, &["xtask", "browser"]),
            Self::Postman => cargo(root, &["xtask", "postman"]),
            Self::Prove => prove(root),
            Self::DynamodbLocal => test_on_dynamodb_local(root),
            // After the other steps that test: a build of the clone replaces that of this checkout.
            Self::FirstScreen => cargo(root, &["xtask", "first-screen"]),
            Self::ReleaseBuild => template::build(root, &RELEASED).map(|()| TestCounts::default()),
            Self::Instructions => cargo(root, &["xtask", "instructions"]),
        }
    }

    /// Runs the step between two lines that announce it and its error. An `Err` is a failure to print.
    fn run_timed(self, root: &Path) -> Result<Outcome> {
        print_line(&format!("step: {}", self.name()))?;
        let started = Instant::now();
        let result = self.run(root);
        let duration = started.elapsed();
        if let Err(error) = &result {
            print_line(&format!("{}: {error:#}", self.name()))?;
        }
        Ok(Outcome { step: self, duration, result })
    }

    /// The name that `--step` takes.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// A line of `--list`: the name and what the step does.
    fn listing(self) -> String {
        let help = self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
        format!("{:<16} {}", self.name(), help.unwrap_or_default())
    }
}

impl Summary {
    fn new(outcomes: &[Outcome]) -> Self {
        let mut summary = Self { lines: vec!["summary:".to_owned()], failed_steps: 0 };
        let (mut passed, mut failed) = (0, 0);
        for Outcome { step, duration, result } in outcomes {
            let (name, seconds) = (step.name(), duration.as_secs());
            match result {
                Ok(counts) => {
                    passed += counts.passed;
                    failed += counts.failed;
                    let tests = if counts.passed > 0 { format!(", {} tests", counts.passed) } else { String::new() };
                    summary.lines.push(format!("ok      {name} ({seconds} s{tests})"));
                }
                Err(error) => {
                    failed += 1;
                    summary.failed_steps += 1;
                    summary.lines.push(format!("FAILED  {name} ({seconds} s): {error:#}"));
                }
            }
        }
        summary.lines.push(format!("{passed} passed, {failed} failed"));
        summary
    }
}

fn print_line(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("cannot write to standard output")
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<TestCounts> {
    run_counting_tests(&mut cargo_command(root, arguments))
}

/// Cargo, with the environment that it has when a developer calls it.
fn cargo_command(root: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(root);
    for variable in tools::own_package_variables() {
        cargo.env_remove(variable);
    }
    if arguments.contains(&"doc") {
        cargo.env("RUSTDOCFLAGS", "-D warnings");
    }
    cargo
}

/// Runs a command, prints its output, and counts the tests in it.
fn run_counting_tests(command: &mut Command) -> Result<TestCounts> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}: install it"))?;
    let stdout = child.stdout.take().context("the output is not piped")?;
    let mut total = TestCounts::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.with_context(|| format!("cannot read the output of {program}"))?;
        if let Some(counts) = TestCounts::parse(&line) {
            total.passed += counts.passed;
            total.failed += counts.failed;
        }
        print_line(&line)?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "{program} failed ({status}); its output is above");
    Ok(total)
}

/// Checks the dependencies against `deny.toml`, without the advisories, which `cargo xtask audit` fetches from GitHub.
///
/// A build downloads the crates of its own target only, and the check reads those of all targets.
fn check_dependencies(root: &Path) -> Result<TestCounts> {
    cargo(root, &["fetch", "--locked"])?;
    let checks = ["--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    run_counting_tests(Command::new(tools::cargo_deny(root)?).args(checks).current_dir(root))
}

/// Runs the randomized tests, and then each with its deliberate fault, which it has to notice.
fn prove(root: &Path) -> Result<TestCounts> {
    let proved = cargo(root, &["xtask", "prove"])?;
    let names: Vec<_> = prove::test_names().collect();
    let sabotage = names.iter().flat_map(|name| ["--sabotage", name]);
    let noticed = cargo(root, &["xtask", "prove"].into_iter().chain(sabotage).collect::<Vec<_>>())?;
    Ok(TestCounts { passed: proved.passed + noticed.passed, failed: proved.failed + noticed.failed })
}

/// Runs the same command as [`Step::Tests`], so that Cargo builds nothing again.
fn test_on_dynamodb_local(root: &Path) -> Result<TestCounts> {
    let engine = DynamoDbLocal::start(&tools::dynamodb_local(root)?)?;
    run_counting_tests(cargo_command(root, &TESTS).env("TEST_DYNAMODB_URL", engine.url()))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn every_step_has_a_name_and_a_line_of_help() {
        for step in Step::value_variants() {
            let listing = step.listing();
            let (name, help) = listing.split_once(' ').unwrap();
            assert!(!name.is_empty() && !help.trim().is_empty(), "{listing}");
            assert!(listing.len() <= 100, "{listing}");
        }
    }

    #[test]
    fn the_summary_lists_every_step_and_adds_up_the_tests() {
        let duration = Duration::from_secs(2);
        let outcomes = [
            Outcome { step: Step::Format, duration, result: Ok(TestCounts::default()) },
            Outcome { step: Step::Clippy, duration, result: Err(anyhow!("cargo failed")) },
            Outcome { step: Step::Tests, duration, result: Ok(TestCounts { passed: 27, failed: 0 }) },
        ];
        let summary = Summary::new(&outcomes);
        assert_eq!(summary.failed_steps, 1);
        let expected = [
            "summary:",
            "ok      format (2 s)",
            "FAILED  clippy (2 s): cargo failed",
            "ok      tests (2 s, 27 tests)",
            "27 passed, 1 failed",
        ];
        assert_eq!(summary.lines, expected);
    }

    #[test]
    fn a_command_that_fails_or_is_missing_is_an_error() {
        let failed = run_counting_tests(Command::new("sh").args(["-c", "exit 3"])).map(|counts| counts.passed);
        assert_eq!(failed.unwrap_err().to_string(), "sh failed (exit status: 3); its output is above");
        let missing = run_counting_tests(&mut Command::new("no-such-tool")).map(|counts| counts.passed);
        assert_eq!(missing.unwrap_err().to_string(), "cannot run no-such-tool: install it");
    }
}
