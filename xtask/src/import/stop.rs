//! Stops a command that works on several threads, one of which may wait for minutes.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::operator::ConfirmOptions;

/// The time between two looks for a signal while a question is not answered.
const POLL: Duration = Duration::from_millis(100);

/// Set once by a signal or by the first failure. Threads that wait are woken.
#[derive(Debug, Default)]
pub(super) struct Stop {
    is_stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Stops the command.
    pub(super) fn stop(&self) {
        *self.is_stopped() = true;
        self.changed.notify_all();
    }

    /// Fails if the command is stopped.
    pub(super) fn ensure_running(&self) -> Result<()> {
        ensure!(!*self.is_stopped(), "stopped by a signal");
        Ok(())
    }

    /// Waits this long, or until the command is stopped.
    pub(super) fn wait(&self, duration: Duration) {
        // An error means that a thread panicked, which changes nothing about the value.
        let _ = self.changed.wait_timeout_while(self.is_stopped(), duration, |is_stopped| !*is_stopped);
    }

    /// Asks on another thread, because a signal does not end the reading from a terminal.
    pub(super) fn ask(&self, confirm: ConfirmOptions, question: String) -> Result<()> {
        let (sender, answer) = mpsc::channel();
        thread::spawn(move || sender.send(confirm.ask(&question)));
        loop {
            match answer.recv_timeout(POLL) {
                Err(RecvTimeoutError::Timeout) => self.ensure_running()?,
                answer => return answer?,
            }
        }
    }

    fn is_stopped(&self) -> MutexGuard<'_, bool> {
        self.is_stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
