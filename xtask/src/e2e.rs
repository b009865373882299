//! `cargo xtask e2e`: the end-to-end tests of `shared/tests/e2e.rs`, against a temporary local API or a deployed one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use crate::dev::{Faults, ProcessGroup, Session, Setup, termination_signal, with_server};
use crate::{tools, workspace};

/// The options of `cargo xtask e2e`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The base URL of the API to test, if it is not the one of the session file
    #[arg(long, requires = "session")]
    url: Option<String>,
    /// Test the running API that this session file describes, instead of a temporary one
    ///
    /// The file has the format of target/dev/session.json, which `cargo dev` writes.
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,
    /// Let three in ten database calls fail, and run only the tests for that
    #[arg(long, conflicts_with_all = ["url", "session"])]
    faults: bool,
    /// Arguments for the test binary, such as part of a test's name
    #[arg(last = true)]
    args: Vec<String>,
}

/// The failures of `--faults`. The seed is fixed, so that a failed run can be repeated.
const FAULTS: Faults = Faults { seed: 2, rate: 0.3 };

/// The name filter for the tests of `--faults`.
const TESTS_WITH_FAULTS: &str = "under_load";

/// The prefixes of all API keys, which include those that the tests create.
const API_KEY_PREFIXES: [&str; 2] = ["sk_live_", "sk_test_"];

/// The error of a command that a signal ends.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// The API to test.
pub(crate) struct Target<'a> {
    pub(crate) session: &'a Path,
    /// Takes precedence over the URL in the session file.
    pub(crate) url: Option<String>,
    /// A text that the tests send in every value, and that must not appear in the functions' output.
    pub(crate) canary: Option<&'a str>,
    pub(crate) faults: bool,
    /// Environment variables for the tests, which replace the developer's.
    pub(crate) variables: &'a [(&'static str, &'static str)],
}

/// Runs the tests.
pub(crate) async fn run(root: &Path, options: Options) -> Result<()> {
    let Options { url, session, faults, args } = options;
    let Some(session) = session else { return test_temporary_api(root, faults, &args).await };
    // The tests have another current directory.
    let session = &session.canonicalize().with_context(|| no_session(&session))?;
    let target = Target { session, url, canary: None, faults, variables: &[] };
    let signal = termination_signal()?;
    tokio::select! {
        outcome = run_tests(root, &target, &args) => outcome,
        () = signal => bail!(INTERRUPTED),
    }
}

/// Starts an API, runs the tests against it, stops it, and searches the functions' output for secrets.
async fn test_temporary_api(root: &Path, faults: bool, args: &[String]) -> Result<()> {
    let directory = &workspace::local_dir(root, "e2e");
    let cargo_lambda = tools::cargo_lambda(root)?;
    let setup = Setup::temporary(root, directory, &cargo_lambda)?;
    let setup = Setup { faults: if faults { Some(FAULTS) } else { None }, ..setup };
    let log = directory.join("functions.log");
    let canary = new_canary();
    let tested = with_server(&setup, async |server| {
        let mut secrets = secrets(server.wait_until_ready().await?);
        let session = &directory.join("session.json");
        let target = Target { session, url: None, canary: Some(&canary), faults, variables: &[] };
        let tested = run_tests(root, &target, args).await;
        tested.with_context(|| format!("the log of the functions is in {}", log.display()))?;
        secrets.push(canary);
        Ok(secrets)
    });
    let secrets = tested.await?.context(INTERRUPTED)?;
    let output = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    ensure_no_secret_is_logged(&output, &secrets)
}

/// The error of a session file that cannot be read.
pub(crate) fn no_session(file: &Path) -> String {
    format!("{} is no session file: `cargo dev` writes target/dev/session.json while it runs", file.display())
}

/// A text that nothing contains by chance.
pub(crate) fn new_canary() -> String {
    format!("canary{}", uuid::Uuid::new_v4().simple())
}

/// Runs the tests, with `args` for the test binary.
pub(crate) async fn run_tests(root: &Path, target: &Target<'_>, args: &[String]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    // With the features of the whole workspace, Cargo reuses what it has compiled for xtask, such as the SDK.
    cargo.args(["test", "--workspace", "--test", "e2e", "--"]).args(args);
    if target.faults {
        cargo.arg(TESTS_WITH_FAULTS);
    }
    cargo.current_dir(root).env("E2E_SESSION", target.session).envs(target.variables.iter().copied());
    match &target.url {
        Some(url) => cargo.env("API_URL", url),
        None => cargo.env_remove("API_URL"),
    };
    if let Some(canary) = target.canary {
        cargo.env("E2E_CANARY", canary);
    }
    let status = ProcessGroup::spawn(cargo)?.wait().await?;
    ensure!(status.success(), "the end-to-end tests failed; their output is above");
    Ok(())
}

/// The credentials of a session, and the prefixes of all others.
pub(crate) fn secrets(session: &Session) -> Vec<String> {
    session.credentials().chain(API_KEY_PREFIXES).map(str::to_owned).collect()
}

/// Fails if a line of the functions' output contains a secret. Output without any request is an error as well, because
/// then the search proves nothing.
pub(crate) fn ensure_no_secret_is_logged(output: &str, secrets: &[String]) -> Result<()> {
    ensure!(output.contains("\"request_id\""), "the functions logged no request, so the search for secrets is void");
    for line in output.lines() {
        let has_secret = secrets.iter().any(|secret| line.contains(secret));
        ensure!(!has_secret, "a function logged a secret or a value from a client: {line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "{\"request_id\":\"a\"}\n{\"request_id\":\"b\"}\n";

    fn search(log: &str) -> Result<()> {
        ensure_no_secret_is_logged(log, &["canary1".to_owned(), "sk_test_1".to_owned()])
    }

    #[test]
    fn a_log_without_secrets_passes() {
        search(LOG).unwrap();
    }

    #[test]
    fn a_line_with_a_secret_is_an_error_that_shows_it() {
        for line in ["x-canary1-y", "key sk_test_1"] {
            let error = search(&format!("{LOG}{line}\n")).unwrap_err().to_string();
            assert!(error.ends_with(line), "{error}");
        }
    }

    #[test]
    fn a_log_without_requests_is_an_error() {
        assert!(search("").is_err());
    }
}
