//! Child processes that do not outlive their owner.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWrite, copy};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::tools;

/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Ends when the developer, or whoever started this, wants it to end.
pub(crate) fn signalled() -> Result<impl Future<Output = ()>> {
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

/// Where the output of a process goes.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// To the developer.
    Terminal,
    /// Into a file, both streams.
    File(PathBuf),
}

/// A process in a process group of its own, which is killed when this is dropped: Ctrl-C in a terminal reaches the
/// owner alone, who then ends it in good order.
pub(crate) struct Group {
    child: Child,
    id: Option<Pid>,
    streams: JoinSet<()>,
}

impl Group {
    /// Starts a process.
    pub(crate) fn spawn(mut command: Command) -> Result<Self> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        tools::own_package_variables().for_each(|name| _ = command.env_remove(name));
        command.process_group(0).stdin(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot run {name}: install it"))?;
        let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Self { child, id, streams: JoinSet::new() })
    }

    /// Starts a process whose output is passed on. Its descendants inherit the pipes, so that their end tells that all
    /// of them are gone.
    pub(crate) async fn spawn_piped(mut command: Command, output: &Output) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (stdout, stderr): (Box<dyn AsyncWrite + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>) = match output {
            Output::Terminal => (Box::new(tokio::io::stdout()), Box::new(tokio::io::stderr())),
            Output::File(path) => {
                let cannot = || format!("cannot write {}", path.display());
                File::create(path).await.with_context(cannot)?;
                let file = File::options().append(true).open(path).await.with_context(cannot)?;
                (Box::new(file.try_clone().await?), Box::new(file))
            }
        };
        let mut group = Self::spawn(command)?;
        let (from_stdout, from_stderr) = (group.child.stdout.take(), group.child.stderr.take());
        group.pass_on(from_stdout, stdout);
        group.pass_on(from_stderr, stderr);
        Ok(group)
    }

    /// Waits until the process ends by itself.
    pub(crate) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.id = None;
        status
    }

    /// Asks the process to end, makes it end if it does not, and waits until its descendants have ended too.
    pub(crate) async fn stop(mut self) {
        if let Some(id) = self.id {
            // It is a child that nobody has waited for: the id is its own still.
            let _ = kill_process(id, Signal::TERM);
        }
        if timeout(GRACE, self.wait()).await.is_err() {
            self.kill(Signal::KILL);
        }
        let streams = async { while self.streams.join_next().await.is_some() {} };
        let _ = timeout(GRACE, streams).await;
    }

    fn pass_on(
        &mut self,
        from: Option<impl AsyncRead + Send + Unpin + 'static>,
        mut to: impl AsyncWrite + Send + Unpin + 'static,
    ) {
        if let Some(mut from) = from {
            self.streams.spawn(async move {
                // Whoever does not want to read it any more need not.
                let _ = copy(&mut from, &mut to).await;
            });
        }
    }

    fn kill(&self, signal: Signal) {
        if let Some(id) = self.id {
            let _ = kill_process_group(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill(Signal::TERM);
    }
}
