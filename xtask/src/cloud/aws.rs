//! The stack in an AWS account: `sam build` and `sam deploy`, then the same tests.
//!
//! AWS logs the permissions that were used late, and only if asked to, so grants are not judged. A refused request fails a
//! test.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use chrono::Utc;
use serde::Deserialize;
use tokio::process::Command;

use super::Progress;
use super::emulator::output_of;
use crate::dev::{DeployedTable, ProcessGroup, Session, new_jwt_secret, termination_signal};
use crate::e2e::{INTERRUPTED, Target, new_canary, run_tests};
use crate::files::write_atomically;
use crate::{template, tools, workspace};

/// The options of `cargo xtask cloud` for AWS.
#[derive(clap::Args)]
pub(super) struct AwsOptions {
    /// Deploy to AWS by `sam deploy`, with the usual AWS profile, instead of to the emulated cloud
    #[arg(long = "aws", conflicts_with_all = ["keep", "template"])]
    pub(super) enabled: bool,
    /// The name of the stack in AWS
    #[arg(long, requires = "enabled", default_value = "contacts-test")]
    stack: String,
    /// Delete the stack in AWS after the tests; its table is retained
    #[arg(long, requires = "enabled")]
    delete: bool,
}

/// The account, as `xtask/cloud/account.py` describes it.
#[derive(Deserialize)]
struct Account {
    account: String,
    /// The tag of the stack, `name=value`.
    tag: String,
    /// The secret that signs tokens.
    secret: String,
    /// The parameter that names the secret, `name=value`.
    secret_parameter: String,
    /// Region and credentials.
    variables: BTreeMap<String, String>,
}

impl Account {
    fn region(&self) -> &str {
        self.variables.get("AWS_REGION").map(String::as_str).unwrap_or_default()
    }
}

/// An output of a stack, as `sam list stack-outputs` prints it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    output_key: String,
    output_value: String,
}

/// One deployment and its tests.
struct Run<'a> {
    root: &'a Path,
    options: &'a super::Options,
    progress: Progress,
    /// The directory of `sam` and `python`.
    python: PathBuf,
    /// The `PATH` with cargo-lambda, which `sam build` calls.
    path: OsString,
}

pub(super) async fn run(root: &Path, options: &super::Options, progress: Progress) -> Result<()> {
    // Before the signal handlers are installed, so that Ctrl-C ends a download at once.
    let python = tools::python_tools(root)?;
    let cargo_lambda = tools::cargo_lambda(root)?;
    let path = tools::path_with(&[cargo_lambda.parent().unwrap_or(root), &python])?;
    let signal = termination_signal()?;
    let run = Run { root, options, progress, python, path };
    tokio::select! {
        outcome = run.deploy_and_test() => outcome,
        () = signal => Err(anyhow::anyhow!(INTERRUPTED)),
    }
}

impl Run<'_> {
    async fn deploy_and_test(&self) -> Result<()> {
        let account = self.prepare_account().await?;
        self.deploy(&account).await?;
        let tested = self.test(&account).await;
        let stack = &self.options.aws.stack;
        if self.options.aws.delete {
            self.progress.print(&format!("deleting the stack {stack}; its table and the secret {stack}/jwt stay"));
            self.sam(&account, &["delete", "--no-prompts", "--stack-name", stack]).await?;
        } else {
            self.progress.print(&format!("the stack {stack} stays; --delete deletes it"));
        }
        tested
    }

    async fn prepare_account(&self) -> Result<Account> {
        let stack = &self.options.aws.stack;
        let mut command = Command::new(self.python.join("python"));
        command.arg(self.root.join("xtask/cloud/account.py")).arg(stack).env("JWT_SECRET", new_jwt_secret());
        let account: Account = serde_json::from_str(&output_of(command).await?)?;
        let (id, region) = (&account.account, account.region());
        self.progress.print(&format!("using the account {id} in {region}, stack {stack}"));
        Ok(account)
    }

    async fn deploy(&self, account: &Account) -> Result<()> {
        let parameters = self.parameters(account)?;
        let parameters: Vec<_> = parameters.iter().map(String::as_str).collect();
        let build = self.root.join("target/sam/cloud");
        let (directory, built) = (build.to_string_lossy(), build.join("template.yaml"));
        self.progress.print("building all functions for release");
        let build = ["build", "--build-dir", &directory, "--parameter-overrides"];
        self.sam(account, &[&build[..], &parameters].concat()).await?;
        self.progress.print("deploying the stack");
        let built = built.to_string_lossy();
        let mut deploy = vec!["deploy", "--template-file", &built, "--resolve-s3", "--capabilities", "CAPABILITY_IAM"];
        deploy.extend(["--stack-name", &self.options.aws.stack, "--tags", &account.tag]);
        deploy.extend(["--no-confirm-changeset", "--no-fail-on-empty-changeset"]);
        deploy.push("--parameter-overrides");
        deploy.extend(parameters);
        self.sam(account, &deploy).await
    }

    /// The values of parameters, `name=value`. Without a new `Release`, a changed value would not reach the functions.
    fn parameters(&self, account: &Account) -> Result<Vec<String>> {
        let mut values = BTreeMap::from([
            ("Architecture", template::architecture()?.to_owned()),
            ("Release", format!("test-{}", Utc::now().timestamp())),
        ]);
        values.extend(self.options.parameters.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let values = values.into_iter().map(|(name, value)| format!("{name}={value}"));
        Ok(values.chain([account.secret_parameter.clone()]).collect())
    }

    async fn test(&self, account: &Account) -> Result<()> {
        let outputs = self.outputs(account).await?;
        let output = |name: &str| {
            let found = outputs.iter().find(|output| output.output_key == name);
            found.map(|output| output.output_value.clone()).with_context(|| format!("the stack has no output {name}"))
        };
        let table = DeployedTable { name: output("TableName")?, dynamodb_url: None };
        let variable = |name: &str| account.variables.get(name).cloned();
        let session = Session::create(output("ApiUrl")?, table, account.secret.clone(), None, variable).await?;
        let directory = workspace::local_dir(self.root, "cloud");
        fs::create_dir_all(&directory)?;
        let file = &directory.join("aws-session.json");
        write_atomically(file, &serde_json::to_string_pretty(&session)?)?;
        self.progress.print(&format!("testing {}; credentials: {}", session.base_url, file.display()));
        let canary = new_canary();
        let target = Target { session: file, url: None, canary: Some(&canary), faults: false, variables: &[] };
        run_tests(self.root, &target, &self.options.args).await
    }

    async fn outputs(&self, account: &Account) -> Result<Vec<Output>> {
        let mut list = Command::new(self.python.join("sam"));
        list.args(["list", "stack-outputs", "--output", "json", "--stack-name", &self.options.aws.stack]);
        list.env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", account.region()).current_dir(self.root);
        let outputs = output_of(list).await.context("cannot read the outputs of the stack")?;
        serde_json::from_str(&outputs).context("cannot parse the outputs of the stack")
    }

    /// Runs `sam` with its output on the terminal.
    async fn sam(&self, account: &Account, arguments: &[&str]) -> Result<()> {
        let mut sam = Command::new(self.python.join("sam"));
        sam.args(arguments).current_dir(self.root).env("PATH", &self.path);
        sam.env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", account.region());
        let status = ProcessGroup::spawn(sam)?.wait().await?;
        let name = arguments.first().copied().unwrap_or_default();
        ensure!(status.success(), "sam {name} failed ({status}); its output is above");
        Ok(())
    }
}
