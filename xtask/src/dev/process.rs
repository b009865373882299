//! Child processes that do not outlive their owner.

use std::fmt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, stderr, stdout};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::log::{LogFormat, LogPrinter};
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
    /// Standard output and standard error of this process.
    Terminal(LogFormat),
    /// One file for standard output and standard error.
    File(PathBuf),
}

/// Tells where to look for the output, at the end of an error.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terminal(_) => f.write_str("its output is above"),
            Self::File(path) => write!(f, "its output is in {}", path.display()),
        }
    }
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
    /// `true` drops what the processes print to the terminal.
    muted: Arc<AtomicBool>,
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
        Ok(Self { leader, id, output_copies: JoinSet::new(), muted: Arc::default() })
    }

    /// Starts a process whose output is copied through pipes. Its descendants inherit the pipes, so [`stop`](Self::stop)
    /// can tell by the end of the pipes that all of them have exited.
    pub(crate) async fn spawn_piped(mut command: Command, output: &Output) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let group = match output {
            Output::Terminal(format) => {
                let group = Self::spawn(command)?;
                let muted = group.muted.clone();
                group.copy_output(stdout(), stderr(), *format, &muted)
            }
            Output::File(path) => {
                let error = || format!("cannot write {}", path.display());
                File::create(path).await.with_context(error)?;
                let file = File::options().append(true).open(path).await.with_context(error)?;
                let clone = file.try_clone().await.with_context(error)?;
                Self::spawn(command)?.copy_output(file, clone, LogFormat::Json, &Arc::default())
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

    /// Sends what Ctrl-C sends to the processes of a terminal.
    pub(crate) fn interrupt(&self) {
        self.signal_group(Signal::INT);
    }

    /// Terminates the process, kills the group if it takes too long, and waits until all descendants have exited. What they
    /// print to the terminal meanwhile is dropped: they report their termination as an error.
    pub(crate) async fn stop(mut self) {
        self.muted.store(true, Ordering::Relaxed);
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
        format: LogFormat,
        muted: &Arc<AtomicBool>,
    ) -> Self {
        if let Some(source) = self.leader.stdout.take() {
            self.output_copies.spawn(copy_unless_muted(source, stdout, format, muted.clone()));
        }
        if let Some(source) = self.leader.stderr.take() {
            self.output_copies.spawn(copy_unless_muted(source, stderr, format, muted.clone()));
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

/// Copies the output of processes up to its end, which tells that all of them have exited.
async fn copy_unless_muted(
    mut source: impl AsyncRead + Unpin,
    mut destination: impl AsyncWrite + Unpin,
    format: LogFormat,
    muted: Arc<AtomicBool>,
) {
    let mut printer = LogPrinter::new(format);
    let mut print = async |text: Vec<u8>| {
        if !muted.load(Ordering::Relaxed) {
            // A closed terminal or a full disk does not stop the API.
            let _ = destination.write_all(&text).await;
            let _ = destination.flush().await;
        }
    };
    let mut chunk = vec![0; 8 * 1024];
    while let Ok(length @ 1..) = source.read(&mut chunk).await {
        print(printer.print(&chunk[..length])).await;
    }
    print(printer.finish()).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn what_a_process_prints_while_it_is_muted_is_dropped() {
        let (mut process, source) = duplex(64);
        let (destination, mut terminal) = duplex(64);
        let muted = Arc::<AtomicBool>::default();
        let copy = tokio::spawn(copy_unless_muted(source, destination, LogFormat::Json, muted.clone()));
        let mut shown = [0; 8];

        process.write_all(b"started\n").await.unwrap();
        terminal.read_exact(&mut shown).await.unwrap();
        muted.store(true, Ordering::Relaxed);
        process.write_all(b"terminated\n").await.unwrap();
        drop(process);
        copy.await.unwrap();

        let mut rest = String::new();
        terminal.read_to_string(&mut rest).await.unwrap();
        assert_eq!((&shown, rest.as_str()), (b"started\n", ""));
    }
}
