//! Everything that has to hold before a change lands, in one command. A step that cannot run fails.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{sync, template, tools};

/// The functions that are built for release: one that writes and one that reads. A release link takes a minute, and
/// every function is linked alike.
const RELEASED: [&str; 2] = ["create-contact", "get-contact"];

/// All tests but the black box's.
const TESTS: [&str; 3] = ["test", "--workspace", "--no-fail-fast"];

/// Something that has to hold.
type Step = fn(&Path) -> Result<Tally>;

/// How many tests a step ran.
#[derive(Default, Clone, Copy)]
struct Tally {
    passed: u32,
    failed: u32,
}

/// Runs every step, also after one has failed, and says at the end which ran and how they ended.
pub(crate) fn ci(root: &Path) -> Result<()> {
    let steps: [(&str, Step); 11] = [
        ("format", |root| cargo(root, &["fmt", "--all", "--check"])),
        ("clippy", |root| {
            cargo(root, &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])
        }),
        ("documentation", |root| cargo(root, &["doc", "--workspace", "--no-deps", "--document-private-items"])),
        ("licences and sources", licences),
        ("tests", |root| run(&mut command(root, &TESTS))),
        ("generated files", |root| sync::sync(root, true).map(|()| Tally::default())),
        ("template", |root| template::check(root).map(|()| Tally::default())),
        ("black box", |root| cargo(root, &["xtask", "e2e"])),
        ("black box under faults", |root| cargo(root, &["xtask", "e2e", "--faults"])),
        ("second engine", second_engine),
        ("release build", |root| template::build(root, &RELEASED).map(|()| Tally::default())),
    ];
    let mut total = Tally::default();
    let mut report = Vec::new();
    for (name, step) in steps {
        announce(&format!("step: {name}"))?;
        let started = Instant::now();
        let outcome = step(root);
        let seconds = started.elapsed().as_secs();
        match outcome {
            Ok(tally) => {
                total.passed += tally.passed;
                total.failed += tally.failed;
                let tests = if tally.passed > 0 { format!(", {} tests", tally.passed) } else { String::new() };
                report.push((true, format!("ok      {name} ({seconds} s{tests})")));
            }
            Err(error) => {
                announce(&format!("{name}: {error:#}"))?;
                total.failed += 1;
                report.push((false, format!("FAILED  {name} ({seconds} s): {error:#}")));
            }
        }
    }
    announce("what ran:")?;
    for (_, line) in &report {
        announce(line)?;
    }
    announce(&format!("{} passed, {} failed", total.passed, total.failed))?;
    let failed = report.iter().filter(|(ok, _)| !ok).count();
    ensure!(failed == 0, "{failed} of {} steps failed", report.len());
    Ok(())
}

fn announce(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("cannot write to standard output")
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<Tally> {
    run(command(root, arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Cargo, as a developer would call it.
fn command(root: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(root);
    for variable in tools::own_package_variables() {
        cargo.env_remove(variable);
    }
    cargo
}

/// Runs a command, passing on what it prints, and counts the tests in it.
fn run(command: &mut Command) -> Result<Tally> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let mut tally = Tally::default();
    for line in BufReader::new(child.stdout.take().context("its output is piped")?).lines() {
        let line = line?;
        if let Some(counted) = counts(&line) {
            tally.passed += counted.passed;
            tally.failed += counted.failed;
        }
        announce(&line)?;
    }
    let status = child.wait()?;
    if status.success() { Ok(tally) } else { bail!("{status}") }
}

/// The counts of a test runner's closing line: `test result: ok. 12 passed; 0 failed; …`.
fn counts(line: &str) -> Option<Tally> {
    let mut words = line.strip_prefix("test result: ")?.split_whitespace().skip(1);
    let mut count = || -> Option<u32> {
        let number = words.next()?.parse().ok()?;
        words.next()?;
        Some(number)
    };
    Some(Tally { passed: count()?, failed: count()? })
}

/// Holds what comes in from outside to `deny.toml`; not the advisories, which need a network that CI may not have.
fn licences(root: &Path) -> Result<Tally> {
    let checks = ["--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    run(Command::new(tools::cargo_deny(root)?).args(checks).current_dir(root))
}

/// Runs the tests on AWS's own local engine: the same command, so that nothing is built again.
fn second_engine(root: &Path) -> Result<Tally> {
    let engine = DynamoDbLocal::start(&tools::dynamodb_local(root)?)?;
    run(command(root, &TESTS).env("TEST_DYNAMODB_URL", &engine.url))
}

/// AWS's local engine, in memory. It is stopped when this is dropped.
struct DynamoDbLocal {
    process: Child,
    url: String,
}

impl DynamoDbLocal {
    fn start(home: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new("java")
            .args([
                "-Djava.library.path=./DynamoDBLocal_lib",
                "-jar",
                "DynamoDBLocal.jar",
                "-inMemory",
                "-sharedDb",
                "-port",
            ])
            .arg(port.to_string())
            .current_dir(home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run java")?;
        let engine = Self { process, url: format!("http://127.0.0.1:{port}") };
        let deadline = Instant::now() + Duration::from_mins(1);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                bail!("DynamoDB Local does not answer after a minute");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(engine)
    }
}

impl Drop for DynamoDbLocal {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_by_their_runners_closing_line() {
        let tally =
            counts("test result: ok. 27 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 19.13s")
                .unwrap();
        assert_eq!((tally.passed, tally.failed), (27, 1));
        assert!(counts("running 27 tests").is_none());
    }
}
