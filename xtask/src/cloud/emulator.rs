//! The emulated cloud: a MiniStack of its own for each run, and the stack that is deployed to it.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Duration, sleep, timeout};

use super::grants::{Access, Role};
use crate::dev::{LOCAL_CREDENTIALS, Output, ProcessGroup, free_port};
use crate::files::create_empty_dir;

const START_TIMEOUT: Duration = Duration::from_mins(1);
/// The directories whose content only a running emulator needs.
const TEMPORARY_DIRECTORIES: [&str; 2] = ["state", "tmp"];
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A running emulator. It has to be stopped with [`stop`](Self::stop), which waits for its processes.
pub(super) struct Emulator {
    python: PathBuf,
    port: u16,
    directory: PathBuf,
    group: ProcessGroup,
}

/// What to deploy.
pub(super) struct Template<'a> {
    pub(super) root: &'a Path,
    pub(super) file: &'a Path,
    /// The directory of the functions' binaries.
    pub(super) binaries: &'a Path,
    /// The values of parameters by name.
    pub(super) parameters: &'a [(&'a str, &'a str)],
    /// The secrets of tokens.
    pub(super) jwt_secrets: &'a JwtSecrets,
}

/// The secrets of tokens, as after a rotation.
pub(super) struct JwtSecrets {
    pub(super) current: String,
    pub(super) previous: String,
}

/// A deployed stack, as `xtask/cloud/deploy.py` describes it.
#[derive(Deserialize)]
pub(super) struct Deployment {
    pub(super) base_url: String,
    pub(super) outputs: Outputs,
    /// The secret that signs tokens.
    pub(super) secret_arn: String,
    /// How long functions cache the secret.
    pub(super) secret_cache_seconds: u64,
    /// The number of resources.
    pub(super) resources: usize,
    /// The resources that the emulator does not support.
    pub(super) left_out: Vec<String>,
    pub(super) roles: Vec<Role>,
    /// The names of the environment variables of each function.
    pub(super) variables: BTreeMap<String, BTreeSet<String>>,
}

/// The outputs of the stack.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Outputs {
    pub(super) table_name: String,
}

impl Emulator {
    /// Starts an emulator with empty state, and waits until it accepts connections. `python` is the directory of its
    /// virtual environment's programs.
    pub(super) async fn start(root: &Path, python: &Path, directory: &Path) -> Result<Self> {
        let port = free_port()?;
        for name in TEMPORARY_DIRECTORIES {
            let directory = directory.join(name);
            create_empty_dir(&directory).with_context(|| format!("cannot empty {}", directory.display()))?;
        }
        let mut emulator = Self::spawn(root, python, directory, port).await?;
        tokio::select! {
            started = timeout(START_TIMEOUT, wait_for_port(port)) => {
                let log = emulator_log(directory);
                started.with_context(|| format!("the emulated cloud does not start; its log is {}", log.display()))?;
            }
            error = emulator.exited() => return Err(error),
        }
        Ok(emulator)
    }

    /// The environment is empty but for these variables, because functions inherit it.
    async fn spawn(root: &Path, python: &Path, directory: &Path, port: u16) -> Result<Self> {
        let url = format!("http://127.0.0.1:{port}");
        let state = directory.join("state");
        let mut command = Command::new(python.join("python"));
        command.arg(root.join("xtask/cloud/emulator.py")).current_dir(directory).env_clear();
        command.env("PATH", env::var_os("PATH").unwrap_or_default()).env("LANG", "C.UTF-8");
        command.env("HOME", &state).env("STATE_DIR", &state).env("S3_DATA_DIR", state.join("s3"));
        command.env("TMPDIR", directory.join("tmp"));
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string()).env("AUTH", "true");
        command.env("FUNCTION_LOG", function_log(directory)).env("ACCESS_LOG", access_log(directory));
        command.envs(LOCAL_CREDENTIALS);
        for service in ["", "_DYNAMODB", "_SECRETS_MANAGER"] {
            command.env(format!("AWS_ENDPOINT_URL{service}"), &url);
        }
        for file in [function_log(directory), access_log(directory)] {
            fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
        }
        let group = ProcessGroup::spawn_piped(command, &Output::File(emulator_log(directory))).await?;
        Ok(Self { python: python.to_owned(), port, directory: directory.to_owned(), group })
    }

    /// The URL of all emulated services.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The Python interpreter that has AWS's client.
    pub(super) fn python(&self) -> PathBuf {
        self.python.join("python")
    }

    /// Deploys a template by the emulated CloudFormation.
    pub(super) async fn deploy(&self, template: &Template<'_>) -> Result<Deployment> {
        let Template { root, file, binaries, parameters, jwt_secrets } = template;
        let mut deploy = Command::new(self.python());
        deploy.arg(root.join("xtask/cloud/deploy.py")).args(["--endpoint", &self.url()]).arg("--template").arg(file);
        deploy.arg("--binaries").arg(binaries).arg("--packages").arg(self.directory.join("packages"));
        deploy.args(parameters.iter().map(|(name, value)| format!("{name}={value}")));
        deploy.env("JWT_SECRET", &jwt_secrets.current).env("JWT_SECRET_PREVIOUS", &jwt_secrets.previous);
        let description = output_of(deploy).await.with_context(|| format!("cannot deploy {}", file.display()))?;
        serde_json::from_str(&description).context("cannot parse the output of xtask/cloud/deploy.py")
    }

    /// Stores a new version of a secret.
    pub(super) async fn put_secret(&self, root: &Path, arn: &str, value: &str) -> Result<()> {
        let mut put = Command::new(self.python());
        put.arg(root.join("xtask/cloud/put_secret.py")).args([&self.url(), arn]).env("JWT_SECRET", value);
        output_of(put).await.map(drop).context("cannot store a secret")
    }

    /// Follows the runbook on the deployed stack that a session file describes. Returns one line for each section.
    pub(super) async fn rehearse(&self, root: &Path, session: &Path) -> Result<String> {
        let mut rehearse = Command::new(self.python.join("python"));
        rehearse.arg(root.join("xtask/cloud/rehearse.py")).arg(root.join("docs/operations.md")).arg(session);
        rehearse.arg(self.directory.join("tmp/runbook"));
        output_of(rehearse).await.context("the stack does not behave as the runbook says")
    }

    /// What the functions have printed so far.
    pub(super) fn function_output(&self) -> Result<String> {
        let log = function_log(&self.directory);
        fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))
    }

    /// The requests that the functions have sent to other services so far, each kind once.
    pub(super) fn accesses(&self) -> Result<Vec<Access>> {
        let log = access_log(&self.directory);
        Access::parse_log(&fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?)
    }

    /// Waits until the emulator exits by itself, and returns that as an error.
    pub(super) async fn exited(&mut self) -> Error {
        match self.group.wait().await {
            Ok(status) => {
                let log = emulator_log(&self.directory);
                anyhow!("the emulated cloud exited ({status}); its log is {}", log.display())
            }
            Err(error) => Error::new(error).context("cannot wait for the emulated cloud"),
        }
    }

    /// Stops the emulator and the functions, and removes their files, of a gigabyte.
    pub(super) async fn stop(self) -> Result<()> {
        self.group.stop().await;
        for name in TEMPORARY_DIRECTORIES {
            create_empty_dir(&self.directory.join(name)).with_context(|| format!("cannot empty {name}"))?;
        }
        Ok(())
    }
}

pub(super) fn function_log(directory: &Path) -> PathBuf {
    directory.join("functions.log")
}

fn access_log(directory: &Path) -> PathBuf {
    directory.join("accesses.jsonl")
}

fn emulator_log(directory: &Path) -> PathBuf {
    directory.join("emulator.log")
}

async fn wait_for_port(port: u16) {
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        sleep(POLL_INTERVAL).await;
    }
}

/// Runs a command that is killed when this is dropped, and returns its standard output. What it prints to standard error is
/// the error.
pub(super) async fn output_of(mut command: Command) -> Result<String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("cannot run {program}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{}", stderr.trim());
    }
    ensure!(!output.stdout.is_empty(), "{program} printed nothing");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
