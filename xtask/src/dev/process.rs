//! Child processes that do not outlive their owner.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWrite, copy, stderr, stdout};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::tools;

/// How long a process may take to exit after SIGTERM, before it is killed.
const GRACE_PERIOD: Duration = Duration::from_secs(5);

/// Completes at SIGINT, SIGTERM or SIGHUP. From the call on, those signals no longer end this process.
pub(crate) fn termination_signal() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// The destination of a process's output.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    Terminal,
    /// One file for standard output and standard error.
    File(PathBuf),
}

/// A process in its own process group, which is terminated when this is dropped.
///
/// Ctrl-C in a terminal signals only the owner's group, so the owner decides when and in which order its processes
/// stop.
pub(crate) struct ProcessGroup {
    leader: Child,
    /// `None` once the leader has exited and been waited for.
    id: Option<Pid>,
    output_copies: JoinSet<()>,
}

impl ProcessGroup {
    /// Starts a process with the terminal as its output.
    pub(crate) fn spawn(mut command: Command) -> Result<Self> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        for variable in tools::own_package_variables() {
            command.env_remove(variable);
        }
        command.process_group(0).stdin(Stdio::null());
        let leader = command.spawn().with_context(|| format!("cannot run {program}: install it"))?;
        let id = leader.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Self { leader, id, output_copies: JoinSet::new() })
    }

    /// Starts a process whose output is copied through pipes. Its descendants inherit the pipes, so [`stop`](Self::stop)
    /// can tell by the end of the pipes that all of them have exited.
    pub(crate) async fn spawn_piped(mut command: Command, output: &Output) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let group = match output {
            Output::Terminal => Self::spawn(command)?.copy_output(stdout(), stderr()),
            Output::File(path) => {
                let error = || format!("cannot write {}", path.display());
                File::create(path).await.with_context(error)?;
                let file = File::options().append(true).open(path).await.with_context(error)?;
                let clone = file.try_clone().await.with_context(error)?;
                Self::spawn(command)?.copy_output(file, clone)
            }
        };
        Ok(group)
    }

    /// Waits until the process exits by itself.
    pub(crate) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.leader.wait().await;
        self.id = None;
        status
    }

    /// Terminates the process, kills the group if it takes too long, and waits until all descendants have exited.
    pub(crate) async fn stop(mut self) {
        if let Some(id) = self.id {
            // The process has not been waited for, so the operating system has not reused its id. An error means that it
            // has exited.
            let _ = kill_process(id, Signal::TERM);
        }
        if timeout(GRACE_PERIOD, self.wait()).await.is_err() {
            self.signal_group(Signal::KILL);
        }
        let end_of_output = async { while self.output_copies.join_next().await.is_some() {} };
        // A descendant that left the group may hold a pipe open; it is not ours to wait for.
        let _ = timeout(GRACE_PERIOD, end_of_output).await;
    }

    fn copy_output(
        mut self,
        stdout: impl AsyncWrite + Send + Unpin + 'static,
        stderr: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        if let Some(source) = self.leader.stdout.take() {
            self.output_copies.spawn(copy_all(source, stdout));
        }
        if let Some(source) = self.leader.stderr.take() {
            self.output_copies.spawn(copy_all(source, stderr));
        }
        self
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(id) = self.id {
            // An error means that the group has exited.
            let _ = kill_process_group(id, signal);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal_group(Signal::TERM);
    }
}

async fn copy_all(mut source: impl AsyncRead + Unpin, mut destination: impl AsyncWrite + Unpin) {
    // A closed terminal or a full disk does not stop the API.
    let _ = copy(&mut source, &mut destination).await;
}
