//! A terminal in which commands run: they print as they do for people.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anstream::adapter::strip_str;
use anyhow::{Context, Result, bail};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::shell;
use crate::dev::ProcessGroup;

/// The longest that the commands may print nothing: each crate that is compiled is a line.
const MAX_SILENCE: Duration = Duration::from_mins(10);

/// A pseudo-terminal with a shell.
pub(super) struct Terminal {
    group: ProcessGroup,
    /// The pieces of the output, as they arrive. The end of it means that all processes have closed the terminal.
    output: UnboundedReceiver<Vec<u8>>,
    /// All output so far.
    bytes: Vec<u8>,
}

impl Terminal {
    /// Starts commands, and shows here what they print.
    pub(super) fn start(commands: &str, directory: &Path, environment: &[(String, PathBuf)]) -> Result<Self> {
        let (mut controller, terminal) = open().context("cannot open a terminal")?;
        let mut shell = shell(commands, directory, environment);
        shell.stdout(terminal.try_clone()?).stderr(terminal);
        // Closes this process's copies of the terminal with the command.
        let group = ProcessGroup::spawn(shell)?;
        let (sender, output) = unbounded_channel();
        thread::spawn(move || {
            let mut chunk = vec![0; 8 * 1024];
            // The end of the output is an error on Linux.
            while let Ok(length @ 1..) = controller.read(&mut chunk) {
                let piece = chunk[..length].to_vec();
                // What is shown here is for people only.
                let _ = std::io::stdout().lock().write_all(&piece);
                if sender.send(piece).is_err() {
                    return;
                }
            }
        });
        Ok(Self { group, output, bytes: Vec::new() })
    }

    /// Waits until the commands have printed a text.
    pub(super) async fn wait_for(&mut self, text: &str) -> Result<()> {
        while !self.shown().contains(text) {
            match timeout(MAX_SILENCE, self.output.recv()).await {
                Ok(Some(piece)) => self.bytes.extend(piece),
                Ok(None) => bail!("README.md: the first block ends before it prints {text:?}; its output is above"),
                Err(_) => bail!("README.md: the first block does not print {text:?}; its output is above"),
            }
        }
        Ok(())
    }

    /// What a person sees, without colors, so far.
    pub(super) fn shown(&mut self) -> String {
        while let Ok(piece) = self.output.try_recv() {
            self.bytes.extend(piece);
        }
        plain(&self.bytes)
    }

    /// Does what the terminal does at Ctrl-C: signals all processes in the foreground.
    pub(super) fn interrupt(&mut self) {
        self.shown();
        self.bytes.clear();
        self.group.interrupt();
    }

    /// Waits until the commands have ended, and returns what they have printed since the interrupt.
    pub(super) async fn wait_for_exit(mut self) -> Result<String> {
        self.group.wait().await.context("cannot wait for the shell")?;
        while let Some(piece) = self.output.recv().await {
            self.bytes.extend(piece);
        }
        Ok(plain(&self.bytes))
    }
}

/// A new pseudo-terminal: the side of the person, and that of the programs.
fn open() -> Result<(File, File)> {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&controller)?;
    unlockpt(&controller)?;
    let name: CString = ptsname(&controller, Vec::new())?;
    let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
    let terminal = File::options().read(true).write(true).open(path)?;
    Ok((controller.into(), terminal))
}

fn plain(bytes: &[u8]) -> String {
    strip_str(&String::from_utf8_lossy(bytes)).to_string().replace('\r', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(commands: &str) -> Terminal {
        Terminal::start(commands, Path::new("/"), &[("NAME".to_owned(), "value".into())]).unwrap()
    }

    #[tokio::test]
    async fn programs_see_a_terminal_and_are_interrupted_as_by_a_person() {
        let script = "trap 'echo stopped; exit' INT; test -t 1 && echo \"\x1b[1m$NAME\x1b[0m ready\"; while :; do sleep 0.1; done";
        let mut terminal = start(script);
        terminal.wait_for("value ready").await.unwrap();
        terminal.interrupt();
        assert_eq!(terminal.wait_for_exit().await.unwrap(), "stopped\n");
    }

    #[tokio::test]
    async fn the_first_command_that_fails_ends_the_wait() {
        let error = start("echo one; false; echo ready").wait_for("ready").await.unwrap_err().to_string();
        assert!(error.contains("ends before it prints \"ready\""), "{error}");
    }
}
