//! `cargo xtask e2e`: the black-box test of `shared/tests/e2e.rs`, against an API of its own or a deployed one.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use crate::dev::{Database, Faults, Group, Output, Session, Setup, signalled, with_server};
use crate::tools;

/// What `cargo xtask e2e` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Test the API at this address instead of one of its own
    #[arg(long, requires = "session")]
    url: Option<String>,
    /// The credentials for it, in a file like target/dev/session.json
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,
    /// Let three in ten calls of the database fail, and run the test of that
    #[arg(long, conflicts_with_all = ["url", "session"])]
    faults: bool,
    /// Passed on to the test: a name to choose by, for one
    #[arg(last = true)]
    args: Vec<String>,
}

/// The luck of the faults: a run that failed fails again.
const FAULTS: Faults = Faults { seed: 2, rate: 0.3 };

/// How every API key begins, those too that the test makes.
const ANY_KEY: [&str; 2] = ["sk_live_", "sk_test_"];

const INTERRUPTED: &str = "interrupted";

/// Runs the test.
pub(crate) async fn run(root: &Path, options: Options) -> Result<()> {
    let Options { url, session, faults, args } = options;
    let Some(session) = session else { return alone(root, faults, &args).await };
    // The test runs in another directory.
    let session = &session.canonicalize().with_context(|| format!("cannot read {}", session.display()))?;
    let target = Target { session, url, canary: None, faults };
    let signalled = signalled()?;
    tokio::select! {
        outcome = test(root, &target, &args) => outcome,
        () = signalled => bail!(INTERRUPTED),
    }
}

/// Runs the test against an API that lives as long as it, and searches the functions' output afterwards.
async fn alone(root: &Path, faults: bool, args: &[String]) -> Result<()> {
    let directory = &root.join("target/e2e");
    let log = directory.join("functions.log");
    let cargo_lambda = &tools::cargo_lambda(root)?;
    let setup = Setup {
        root,
        directory,
        cargo_lambda,
        port: free_port()?,
        database: Database::Memory,
        release: false,
        output: Output::File(log.clone()),
        faults: faults.then_some(FAULTS),
    };
    let canary = format!("canary{}", uuid::Uuid::new_v4().simple());
    let tested = with_server(&setup, async |server| {
        let mut private = secrets(server.ready().await?);
        let session = &directory.join("session.json");
        test(root, &Target { session, url: None, canary: Some(&canary), faults }, args).await?;
        private.push(canary);
        private.extend(ANY_KEY.map(str::to_owned));
        Ok(private)
    });
    let private = tested.await?.context(INTERRUPTED)?;
    let output = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    ensure_discreet(&output, &private)
}

/// What the test is run against.
struct Target<'a> {
    session: &'a Path,
    url: Option<String>,
    canary: Option<&'a str>,
    faults: bool,
}

async fn test(root: &Path, target: &Target<'_>, args: &[String]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--package", "shared", "--features", "e2e", "--test", "e2e", "--"]).args(args);
    if target.faults {
        cargo.arg("under_load");
    }
    cargo.current_dir(root).env("E2E_SESSION", target.session);
    match &target.url {
        Some(url) => cargo.env("API_URL", url),
        None => cargo.env_remove("API_URL"),
    };
    if let Some(canary) = target.canary {
        cargo.env("E2E_CANARY", canary);
    }
    let status = Group::spawn(cargo)?.wait().await?;
    ensure!(status.success(), "the end-to-end test failed; its output says where");
    Ok(())
}

/// Every credential of the session.
fn secrets(session: &Session) -> Vec<String> {
    session.orgs.iter().flat_map(|org| org.credentials().map(str::to_owned)).collect()
}

/// The functions' output tells of every request, and nothing that a client sent or keeps for itself.
fn ensure_discreet(output: &str, private: &[String]) -> Result<()> {
    ensure!(output.contains("\"request_id\""), "the functions logged no request, so the search for canaries is void");
    let indiscreet = output.lines().find(|line| private.iter().any(|text| line.contains(text.as_str())));
    ensure!(indiscreet.is_none(), "a function logs what is private: {}", indiscreet.unwrap_or_default());
    Ok(())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_may_stand_in_no_line() {
        let private = ["canary1".to_owned(), "sk_test_1".to_owned()];
        let fine = "{\"request_id\":\"a\"}\n{\"request_id\":\"b\"}\n";
        ensure_discreet(fine, &private).unwrap();
        for line in ["x-canary1-y", "key sk_test_1"] {
            let error = ensure_discreet(&format!("{fine}{line}\n"), &private).unwrap_err().to_string();
            assert!(error.ends_with(line), "{error}");
        }
        assert!(ensure_discreet("", &private).is_err());
    }
}
