//! `cargo xtask cloud`: the deployed stack, from nothing to the end-to-end tests and back.
//!
//! By default the cloud is emulated: MiniStack deploys `template.yaml` by CloudFormation and runs the functions' binaries,
//! each under its own role. So this tests what only a deployment has: routes, roles, environment, secrets, the stream's
//! mapping. `docs/testing.md` lists what the emulator cannot show. With `--aws` the same runs in an account.

mod aws;
mod emulator;
mod grants;
mod operator;
mod rotation;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use shared::testing::{emf, variables_of_config};

use self::emulator::{Deployment, Emulator, JwtSecrets, Template, function_log};
use self::grants::Report;
use crate::dev::{
    DeployedTable, LOCAL_CREDENTIALS, Session, build_functions, local_credential, lock, new_jwt_secret,
    termination_signal,
};
use crate::e2e::{INTERRUPTED, Target, ensure_no_secret_is_logged, new_canary, run_tests, secrets};
use crate::files::{remove_if_present, write_atomically};
use crate::{template, tools, workspace};

/// The options of `cargo xtask cloud`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Deploy this template instead of template.yaml
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Set a parameter of the template; can be given several times
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    parameters: Vec<(String, String)>,
    /// After the tests, leave the stack running until Ctrl-C, and print its URL
    #[arg(long)]
    keep: bool,
    /// Run no tests; only with --keep
    #[arg(long, requires = "keep")]
    no_tests: bool,
    #[command(flatten)]
    aws: aws::AwsOptions,
    /// Arguments for the test binary, such as part of a test's name; unused grants are then no error
    #[arg(last = true)]
    args: Vec<String>,
}

/// Prints what the command does, with the seconds since its start.
#[derive(Clone, Copy)]
struct Progress(Instant);

impl Progress {
    #[expect(clippy::print_stderr, reason = "the developer waits for it")]
    fn print(self, text: &str) {
        eprintln!("[{:>3} s] {text}", self.0.elapsed().as_secs());
    }
}

fn parse_parameter(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Deploys the stack, tests it, and removes it.
pub(crate) async fn run(root: &Path, options: Options) -> Result<()> {
    let progress = Progress(Instant::now());
    if options.aws.enabled {
        return aws::run(root, &options, progress).await;
    }
    // Before the signal handlers are installed, so that Ctrl-C ends a download at once.
    let python = tools::cloud_python(root)?;
    let directory = &workspace::local_dir(root, "cloud");
    let signal = termination_signal()?;
    tokio::pin!(signal);

    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let _lock = lock(directory)?;
    progress.print("building the functions");
    tokio::select! {
        built = build_functions(root, false) => built?,
        () = &mut signal => bail!(INTERRUPTED),
    }
    let binaries = workspace::cargo_target_dir(root)?.join("debug");
    progress.print("starting the emulated cloud");
    let mut emulator = tokio::select! {
        started = Emulator::start(root, &python, directory) => started?,
        () = &mut signal => bail!(INTERRUPTED),
    };
    let run = EmulatedRun { root, directory, binaries: &binaries, options: &options, progress };
    let outcome = tokio::select! {
        outcome = run.deploy_and_test(&emulator) => outcome,
        () = &mut signal => Err(anyhow!(INTERRUPTED)),
    };
    if options.keep && !is_interruption(&outcome) {
        if let Err(error) = &outcome {
            progress.print(&format!("failed: {error:#}"));
        }
        progress.print("the emulated cloud is still running; press Ctrl-C to stop it");
        tokio::select! {
            error = emulator.exited() => return Err(error),
            () = &mut signal => {}
        }
    }
    progress.print("stopping the emulated cloud");
    let stopped = emulator.stop().await;
    outcome.and(stopped).and(remove_if_present(&run.session_file()))
}

fn is_interruption(outcome: &Result<()>) -> bool {
    outcome.as_ref().is_err_and(|error| error.to_string() == INTERRUPTED)
}

/// One deployment to a running emulator, and its tests.
struct EmulatedRun<'a> {
    root: &'a Path,
    directory: &'a Path,
    binaries: &'a Path,
    options: &'a Options,
    progress: Progress,
}

impl EmulatedRun<'_> {
    async fn deploy_and_test(&self, emulator: &Emulator) -> Result<()> {
        let jwt_secrets = JwtSecrets { current: new_jwt_secret(), previous: new_jwt_secret() };
        let deployment = self.deploy(emulator, &jwt_secrets).await?;
        let session = self.create_organizations(emulator, &deployment, &jwt_secrets).await?;
        if self.options.no_tests {
            return Ok(());
        }
        ensure_variables_are_exact(&deployment.variables)?;
        let tested = self.run_phases(emulator, &deployment, &session).await;
        let mut report = Report::new(&deployment.roles, &emulator.accesses()?)?;
        if !self.options.args.is_empty() {
            // Some tests do not need all grants.
            report.unused.clear();
        }
        self.print_grants(&report);
        // A refused request is the likely cause of a failed test, so it is reported instead of that.
        if !report.refused.is_empty() || tested.is_ok() {
            report.ensure_is_exact()?;
        }
        let mut secrets = secrets(&session);
        secrets.extend(tested?);
        let output = emulator.function_output()?;
        ensure_metrics_are_logged(&output)?;
        ensure_no_secret_is_logged(&output, &secrets)
    }

    async fn deploy(&self, emulator: &Emulator, jwt_secrets: &JwtSecrets) -> Result<Deployment> {
        let default = self.root.join("template.yaml");
        let file = self.options.template.as_deref().unwrap_or(&default);
        self.progress.print(&format!("deploying {}", file.display()));
        let mut parameters = vec![("Architecture", template::architecture()?)];
        parameters.extend(self.options.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let template =
            Template { root: self.root, file, binaries: self.binaries, parameters: &parameters, jwt_secrets };
        let deployment = emulator.deploy(&template).await?;
        let left_out = deployment.left_out.join(", ");
        self.progress.print(&format!("deployed {} resources; the emulator lacks: {left_out}", deployment.resources));
        Ok(deployment)
    }

    /// Creates the organizations, and writes the session file.
    async fn create_organizations(
        &self,
        emulator: &Emulator,
        deployment: &Deployment,
        jwt_secrets: &JwtSecrets,
    ) -> Result<Session> {
        let table = DeployedTable { name: deployment.outputs.table_name.clone(), dynamodb_url: Some(emulator.url()) };
        let base_url = deployment.base_url.clone();
        let JwtSecrets { current, previous } = jwt_secrets;
        let session = Session::create(base_url, table, current.clone(), Some(previous), local_credential).await?;
        let file = self.session_file();
        write_atomically(&file, &serde_json::to_string_pretty(&session)?)?;
        self.progress.print(&format!("the API is ready at {}", session.base_url));
        self.progress.print(&format!("credentials: {}", file.display()));
        self.progress.print(&format!("output of the functions: {}", function_log(self.directory).display()));
        Ok(session)
    }

    /// Runs the tests, and then what changes the state that they depend on. Returns what no log may contain, beside the
    /// credentials of the session.
    async fn run_phases(&self, emulator: &Emulator, deployment: &Deployment, session: &Session) -> Result<Vec<String>> {
        let canary = self.run_tests(session).await?;
        let (root, secret_arn, progress) = (self.root, &deployment.secret_arn, self.progress);
        let cached_for = Duration::from_secs(deployment.secret_cache_seconds);
        if self.options.args.is_empty() {
            progress.print("following the runbook");
            progress.print(emulator.rehearse(root, &self.session_file()).await?.trim());
        }
        let rotation = rotation::Rehearsal { root, emulator, session, secret_arn, cached_for, progress };
        let (directory, table) = (self.directory, &deployment.outputs.table_name);
        let base_url = &session.base_url;
        let operator = operator::Rehearsal { root, directory, emulator, base_url, table, progress };
        progress.print("rotating the secret of the tokens, and running operators' commands");
        // Both mostly wait until the functions notice a change.
        let (mut secrets, keys) = tokio::try_join!(rotation.run(), operator.run())?;
        secrets.extend(keys);
        secrets.push(canary);
        Ok(secrets)
    }

    /// Runs the tests, and returns the canary that they sent in every value.
    async fn run_tests(&self, session: &Session) -> Result<String> {
        self.progress.print(&format!("testing {}", session.base_url));
        let canary = new_canary();
        let file = &self.session_file();
        let target =
            Target { session: file, url: None, canary: Some(&canary), faults: false, variables: &LOCAL_CREDENTIALS };
        run_tests(self.root, &target, &self.options.args).await?;
        Ok(canary)
    }

    fn print_grants(&self, report: &Report) {
        let Report { used, unused, refused, unchecked } = report;
        self.progress.print(&format!("grants: {used} used, {} unused, {} refused", unused.len(), refused.len()));
        for finding in refused.iter().chain(unused) {
            self.progress.print(finding);
        }
        self.progress.print(&format!("grants that the emulator does not check: {}", summary(unchecked)));
    }

    fn session_file(&self) -> PathBuf {
        self.directory.join("session.json")
    }
}

/// Grants by what they allow, with the number of functions that have them.
fn summary(grants: &[String]) -> String {
    let mut counts = BTreeMap::<_, usize>::new();
    for grant in grants {
        let (_, allowed) = grant.split_once(": ").unwrap_or_default();
        let allowed = allowed.split(" on ").next().unwrap_or_default();
        *counts.entry(allowed.rsplit('/').next().unwrap_or_default()).or_default() += 1;
    }
    counts.iter().map(|(allowed, count)| format!("{allowed} of {count}")).collect::<Vec<_>>().join(", ")
}

/// Fails unless every function has the environment variables that the code reads, and no others. No test can tell a missing
/// variable from a blank one.
fn ensure_variables_are_exact(variables: &BTreeMap<String, BTreeSet<String>>) -> Result<()> {
    let read = variables_of_config();
    let mut findings = Vec::new();
    for (function, set) in variables {
        findings.extend(read.difference(set).map(|name| format!("{function} is not given {name}, which it reads")));
        findings
            .extend(set.difference(&read).map(|name| format!("{function} is given {name}, which it does not read")));
    }
    ensure!(findings.is_empty(), "the template sets wrong environment variables\n{}", findings.join("\n"));
    Ok(())
}

/// Fails if no function logs metrics, or if CloudWatch would ignore those of a line.
fn ensure_metrics_are_logged(output: &str) -> Result<()> {
    let mut has_metrics = false;
    for line in output.lines().filter(|line| line.contains("\"_aws\"")) {
        has_metrics |= !emf::extract(line)
            .map_err(|error| anyhow!("a log line breaks the metric format: {error}\n{line}"))?
            .is_empty();
    }
    ensure!(has_metrics, "no function logs metrics: set METRICS_NAMESPACE in the template");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_malformed_metrics_are_findings() {
        let metadata =
            r#"{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"n","Dimensions":[[]],"Metrics":[{"Name":"a"}]}]}"#;
        let line = |members: &str| format!("{{\"message\":\"start\"}}\nnot JSON\n{{\"_aws\":{metadata}{members}}}\n");

        ensure_metrics_are_logged(&line(",\"a\":1")).unwrap();

        let malformed = ensure_metrics_are_logged(&line("")).unwrap_err().to_string();
        assert!(malformed.contains("the metric a is no member of the line\n{\"_aws\""), "{malformed}");
        let none = ensure_metrics_are_logged("{\"message\":\"start\"}\n").unwrap_err().to_string();
        assert!(none.starts_with("no function logs metrics"), "{none}");
    }

    #[test]
    fn a_parameter_has_a_name_and_a_value() {
        assert_eq!(parse_parameter("Stage=dev"), Ok(("Stage".to_owned(), "dev".to_owned())));
        assert_eq!(parse_parameter("Filter=a=b"), Ok(("Filter".to_owned(), "a=b".to_owned())));
        assert_eq!(parse_parameter("Stage"), Err("must be NAME=VALUE"));
    }

    #[test]
    fn a_missing_and_a_needless_variable_are_findings() {
        let exact = variables_of_config();
        let mut wrong = exact.clone();
        wrong.remove("TABLE_NAME");
        wrong.insert("TABLE".to_owned());

        ensure_variables_are_exact(&BTreeMap::from([("CreateContactFunction".to_owned(), exact)])).unwrap();
        let error =
            ensure_variables_are_exact(&BTreeMap::from([("CreateContactFunction".to_owned(), wrong)])).unwrap_err();

        let findings = "CreateContactFunction is not given TABLE_NAME, which it reads\n\
                        CreateContactFunction is given TABLE, which it does not read";
        assert_eq!(error.to_string(), format!("the template sets wrong environment variables\n{findings}"));
    }

    #[test]
    fn unchecked_grants_are_counted_by_what_they_allow() {
        let grants = [
            "CreateContactFunction: arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
            "GetContactFunction: arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
            "CascadeDeleteFunction: sqs:SendMessage on arn:aws:sqs:us-east-1:000000000000:queue",
        ];
        let summary = summary(&grants.map(str::to_owned));
        assert_eq!(summary, "AWSLambdaBasicExecutionRole of 2, sqs:SendMessage of 1");
    }
}
