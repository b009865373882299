//! `cargo xtask postman`: runs the Postman collection with newman, Postman's own runner, against a temporary API.
//!
//! It runs twice in a row on the same organization, as users do: the second time with the variables that the first has left.
//! newman succeeds also if it runs nothing, so its report is compared with the collection.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use crate::dev::{Session, Setup, with_server};
use crate::e2e::INTERRUPTED;
use crate::results::{TestCounts, print_line};
use crate::sync::postman::{API_KEY, BASE_URL, COLLECTION, ENVIRONMENT, TOKEN};
use crate::{tools, workspace};

/// The runs in a row.
const RUNS: &str = "2";

/// A collection or a folder, as far as names matter.
#[derive(Deserialize)]
struct Named {
    name: Option<String>,
    #[serde(default)]
    item: Vec<Named>,
}

/// newman's report.
#[derive(Deserialize)]
struct Report {
    run: Run,
}

#[derive(Deserialize)]
struct Run {
    stats: Stats,
    executions: Vec<Execution>,
}

#[derive(Deserialize)]
struct Stats {
    assertions: Counts,
}

/// Numbers of tests.
#[derive(Deserialize)]
struct Counts {
    total: u32,
    failed: u32,
}

/// A request that newman has sent.
#[derive(Deserialize)]
struct Execution {
    item: Named,
    /// Absent, if the request was skipped or failed.
    response: Option<serde::de::IgnoredAny>,
}

/// Runs the collection.
pub(crate) async fn run(root: &Path) -> Result<()> {
    let newman = tools::newman(root)?;
    let directory = &workspace::local_dir(root, "postman");
    print_line("starting a temporary API");
    let cargo_lambda = tools::cargo_lambda(root)?;
    let setup = Setup::temporary(root, directory, &cargo_lambda)?;
    let report = &directory.join("report.json");
    let started = Instant::now();
    let finished = with_server(&setup, async |server| {
        let mut command = newman_command(&newman, root, server.wait_until_ready().await?, report)?;
        // In a thread for blocking calls, because the engine of the temporary API runs in this process.
        let ran = spawn_blocking(move || tools::visibly(&mut command)).await?;
        ran.context("tests of the Postman collection failed: see the failures above")
    });
    finished.await?.context(INTERRUPTED)?;
    let report: Report = read(report)?;
    ensure_complete(&read(&root.join(COLLECTION))?, &report)?;
    let Counts { total, failed } = report.run.stats.assertions;
    let counts = TestCounts { passed: total.saturating_sub(failed), failed };
    print_line(&counts.to_line(started.elapsed().as_secs()));
    Ok(())
}

/// The command that runs the collection with the environment, whose variables are those of the session.
fn newman_command(newman: &Path, root: &Path, session: &Session, report: &Path) -> Result<Command> {
    let Some(org) = session.orgs.first() else { bail!("the temporary API has no organization") };
    let mut command = Command::new(newman);
    command.arg("run").arg(root.join(COLLECTION)).arg("--environment").arg(root.join(ENVIRONMENT));
    for (variable, value) in [(BASE_URL, &session.base_url), (API_KEY, &org.admin_key), (TOKEN, &org.jwt)] {
        command.arg("--env-var").arg(format!("{variable}={value}"));
    }
    command.args(["--iteration-count", RUNS, "--timeout-request", "30000", "--reporters", "cli,json"]);
    command.args(["--color", "off", "--reporter-cli-no-banner", "--reporter-cli-no-success-assertions"]);
    command.arg("--reporter-json-export").arg(report);
    Ok(command)
}

/// Fails unless every request of the collection was sent and got a response.
fn ensure_complete(collection: &Named, report: &Report) -> Result<()> {
    let responded = report.run.executions.iter().filter(|execution| execution.response.is_some());
    let responded: BTreeSet<_> = responded.filter_map(|execution| execution.item.name.as_deref()).collect();
    let requests = collection.item.iter().flat_map(|folder| &folder.item);
    let names = requests.filter_map(|request| request.name.as_deref());
    let missing: Vec<_> = names.filter(|name| !responded.contains(name)).collect();
    ensure!(missing.is_empty(), "newman did not send these requests, or got no response: {}", missing.join("; "));
    ensure!(report.run.stats.assertions.total > 0, "the collection has no tests");
    Ok(())
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot parse {}", file.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ensure(sent: &[(&str, bool)], tests: usize) -> Result<()> {
        let collection = json!({"item": [{"name": "Folder", "item": [{"name": "A"}, {"name": "B"}]}]});
        let executions: Vec<_> = sent
            .iter()
            .map(|(name, has_response)| match has_response {
                true => json!({"item": {"name": name}, "response": {"code": 200}}),
                false => json!({"item": {"name": name}}),
            })
            .collect();
        let report = json!({"run": {"stats": {"assertions": {"total": tests, "failed": 0}}, "executions": executions}});
        ensure_complete(&serde_json::from_value(collection)?, &serde_json::from_value(report)?)
    }

    #[test]
    fn a_run_is_complete_if_every_request_got_a_response() {
        ensure(&[("A", true), ("B", true), ("B", true)], 3).unwrap();
    }

    #[test]
    fn a_request_that_was_skipped_or_got_no_response_is_an_error_that_names_it() {
        for sent in [&[("A", true)][..], &[("A", true), ("B", false)]] {
            let error = ensure(sent, 3).unwrap_err().to_string();
            assert_eq!(error, "newman did not send these requests, or got no response: B");
        }
    }

    #[test]
    fn a_run_without_tests_is_an_error() {
        assert!(ensure(&[("A", true), ("B", true)], 0).is_err());
    }
}
