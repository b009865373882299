//! A running function: a process behind a Runtime API of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::meter::Process;
use super::runtime_api::{RuntimeApi, TimedResponse};
use super::variant::{Operation, Variant};

/// The variables that Lambda sets.
const LAMBDA_VARIABLES: [(&str, &str); 16] = [
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE0000"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("HOME", "/tmp"),
    ("LANG", "en_US.UTF-8"),
    ("LAMBDA_TASK_ROOT", "."),
    ("TZ", ":UTC"),
    ("_HANDLER", "bootstrap"),
];

/// The length of a session token of Lambda, which every signed call carries.
const SESSION_TOKEN_LEN: usize = 700;

/// The longest that a process may take to end.
const TERMINATION_TIMEOUT: Duration = Duration::from_secs(30);

/// What a process is started for.
pub(super) struct Start<'a> {
    pub(super) operation: Operation,
    /// The variables that say where the database is and what the task is.
    pub(super) environment: &'a [(String, String)],
    /// The directory of the files with the output of processes.
    pub(super) logs: &'a Path,
}

/// A running function. Dropping it kills its process.
pub(super) struct Function {
    /// The name of the variant.
    pub(super) name: String,
    pub(super) process: Process,
    /// The time from the start of the process until it asked for its first event.
    pub(super) start_latency: Duration,
    /// The CPU time that it used until then.
    pub(super) start_cpu: Duration,
    api: RuntimeApi,
    log: String,
    child: Child,
}

impl Function {
    /// Starts a process and waits until it asks for its first event.
    pub(super) async fn start(variant: &Variant, start: &Start<'_>) -> Result<Self> {
        let mut api = RuntimeApi::start().await?;
        let log = start.logs.join(format!("{}-{}.log", variant.name, start.operation.name()));
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = command(variant, start, &api.address)?;
        command.stdout(output.try_clone()?).stderr(output);
        let log = log.display().to_string();
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot start {}", variant.name))?;
        let process = Process { id: child.id().context("the process has no id")? };
        let ready = tokio::select! {
            ready = api.wait_for_next() => ready,
            status = child.wait() => Err(anyhow::anyhow!("it ended with {}", status?)),
        };
        ready.with_context(|| format!("{}: its output is in {log}", variant.name))?;
        Ok(Self {
            name: variant.name.clone(),
            process,
            start_latency: started.elapsed(),
            start_cpu: process.cpu_time()?,
            api,
            log,
            child,
        })
    }

    /// Sends an event and waits for the response, until the process asks for the next event.
    pub(super) async fn invoke(&mut self, event: Vec<u8>) -> Result<TimedResponse> {
        let response = self.api.invoke(event).await;
        response.with_context(|| format!("{}: its output is in {}", self.name, self.log))
    }

    /// Ends the process by a signal that it can react to, and waits until it has ended.
    pub(super) async fn terminate(self) -> Result<()> {
        let id = i32::try_from(self.process.id).ok().and_then(Pid::from_raw).context("the process has no id")?;
        kill_process(id, Signal::TERM).with_context(|| format!("cannot terminate {}", self.name))?;
        wait(self.child, &self.name).await
    }

    /// Closes the process's Runtime API, and waits until it has ended. Its `main` returns, so it does what it has to do at its exit.
    pub(super) async fn close(self) -> Result<()> {
        drop(self.api);
        wait(self.child, &self.name).await
    }
}

/// Waits until a process has ended, in whatever way.
async fn wait(mut child: Child, name: &str) -> Result<()> {
    timeout(TERMINATION_TIMEOUT, child.wait()).await.with_context(|| format!("{name} does not end"))??;
    Ok(())
}

/// The command with Lambda's environment and no other.
fn command(variant: &Variant, start: &Start<'_>, runtime_api: &str) -> Result<Command> {
    let (program, arguments) = variant.command.split_first().context("a variant has no command")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).env_clear();
    if let Some(directory) = &variant.cwd {
        command.current_dir(directory);
    }
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.envs(LAMBDA_VARIABLES).env("AWS_SESSION_TOKEN", "z".repeat(SESSION_TOKEN_LEN));
    command.env("AWS_LAMBDA_RUNTIME_API", runtime_api);
    command.envs(start.environment.iter().map(|(name, value)| (name, value)));
    command.envs(variant.env.iter().map(|(name, value)| (name, value)));
    Ok(command)
}
