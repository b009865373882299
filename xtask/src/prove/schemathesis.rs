//! The running API, as a client sees it that knows nothing but `openapi.json`: [schemathesis](https://schemathesis.io) calls
//! every operation with data that the document allows and with data that it does not, and compares each response with it.
//!
//! The deliberate fault is in the document: it describes the ids of contacts as numbers.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;

use anyhow::{Context, Result, ensure};
use chrono::{TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::testing::tenant::sign_jwt;
use tokio::process::Command;

use super::{Run, Violation};
use crate::dev::{ProcessGroup, Session, Setup, with_server};
use crate::{tools, workspace};

/// The number of test cases per operation and phase.
const QUICK: u32 = 10;
const FULL: u32 = 200;
/// The requests that are sent at the same time. With several threads, generating data fails now and then (`FlakyFailure`).
const WORKERS: &str = "1";
/// The exit code of schemathesis if a check has failed. Every other one but 0 means that it could not do its work.
const FAILURES: i32 = 1;
/// How long the token is valid.
const LIFETIME: TimeDelta = TimeDelta::hours(3);

/// The part of the JSON report that is shown.
#[derive(Deserialize)]
struct Report {
    operations: Operations,
    test_cases: TestCases,
    failures: Vec<Failures>,
}

/// The failures of one check.
#[derive(Deserialize)]
struct Failures {
    title: String,
    operations: Vec<String>,
}

#[derive(Deserialize)]
struct Operations {
    tested: u64,
    total: u64,
}

#[derive(Deserialize)]
struct TestCases {
    generated: u64,
}

/// Runs the test.
pub(super) async fn run(run: &Run<'_>) -> Result<String> {
    let root = run.root;
    let directory = &workspace::local_dir(root, "prove");
    let schemathesis = &tools::schemathesis(root)?;
    let cargo_lambda = tools::cargo_lambda(root)?;
    let setup = Setup::temporary(root, directory, &cargo_lambda)?;
    let done = with_server(&setup, async |server| {
        let session = server.wait_until_ready().await?;
        let document = directory.join("openapi.json");
        fs::write(&document, openapi(root, run.is_sabotaged)?.to_string())?;
        call_all(run, schemathesis, session, directory).await
    });
    let (status, report) = done.await?.context("interrupted")?;
    let Report { operations: Operations { tested, total }, test_cases, failures } = report;
    if !failures.is_empty() {
        return Err(Violation::error(failures.iter().map(Failures::text).collect::<Vec<_>>().join("; ")));
    }
    ensure!(status.success(), "schemathesis failed ({status}), and its report names no check; its output is above");
    ensure!(tested == total, "only {tested} of {total} operations were tested");
    Ok(format!("{} requests to {total} operations", test_cases.generated))
}

impl Failures {
    fn text(&self) -> String {
        format!("{}: {}", self.title, self.operations.join(", "))
    }
}

/// The description of the API, with the deliberate fault if there is to be one.
fn openapi(root: &Path, is_sabotaged: bool) -> Result<Value> {
    let file = root.join("shared/openapi.json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut document: Value = serde_json::from_str(&text)?;
    if is_sabotaged {
        let id = document.pointer_mut("/components/schemas/Contact/properties/id");
        *id.context("openapi.json does not describe the id of a contact")? = json!({"type": "integer"});
    }
    Ok(document)
}

/// Runs schemathesis in `directory`, which has the description of the API, and returns its exit status and its report.
async fn call_all(
    run: &Run<'_>,
    schemathesis: &Path,
    session: &Session,
    directory: &Path,
) -> Result<(ExitStatus, Report)> {
    let report = directory.join("schemathesis.json");
    // The report of an earlier run must not be taken for one of this run.
    if report.exists() {
        fs::remove_file(&report)?;
    }
    let examples = if run.is_full { FULL } else { QUICK };
    let mut command = Command::new(schemathesis);
    let prove = run.root.join("xtask/prove");
    command.arg("--config-file").arg(prove.join("schemathesis.toml")).env("PROVE_DIR", &prove);
    command.args(["run", "openapi.json", "--no-color", "--url", &session.base_url]);
    command.args(["--workers", WORKERS, "--max-examples", &examples.to_string()]);
    // The seed of Hypothesis has 32 bits.
    command.args(["--seed", &u32::try_from(run.seed % (1 << 32))?.to_string()]);
    command.arg("--report-json-path").arg(&report);
    command.env("API_TOKEN", token(session)?).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(directory);
    let status = ProcessGroup::spawn(command)?.wait().await?;
    ensure!(matches!(status.code(), Some(0 | FAILURES)), "schemathesis failed ({status}); its output is above");
    let text = fs::read_to_string(&report).context("schemathesis has written no report")?;
    Ok((status, serde_json::from_str(&text).context("cannot read the report of schemathesis")?))
}

/// A token with every scope. An API key would be revoked by the test of that operation.
fn token(session: &Session) -> Result<String> {
    let org = session.orgs.first().context("the demo data has no organization")?;
    let end = (Utc::now() + LIFETIME).timestamp();
    let claims = json!({"sub": "schemathesis", "org_id": org.org_id, "exp": end, "scope": "read write admin"});
    Ok(sign_jwt(&session.jwt_secret, &claims))
}
