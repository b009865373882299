//! The log, read by tests.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::subscriber::{DefaultGuard, set_default, set_global_default};

use crate::telemetry::subscriber;

/// The lines that this thread logs, until this is dropped.
pub struct Log {
    buffer: Buffer,
    _subscriber: DefaultGuard,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Starts to keep the lines, in the format of the functions.
    pub fn start() -> Self {
        // While there is one subscriber, and that of a thread, `tracing` asks the thread that first comes to a line whether it is
        // wanted, for all threads: another test would switch it off. A global subscriber wants the lines in all threads. It fails
        // to be set if there is one already.
        let _ = set_global_default(subscriber(io::sink));
        let buffer = Buffer::default();
        let writer = buffer.clone();
        Self { buffer, _subscriber: set_default(subscriber(move || writer.clone())) }
    }

    /// Takes the lines since the start or the last call.
    pub fn take(&self) -> String {
        let mut bytes = self.buffer.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(std::mem::take(&mut *bytes)).expect("JSON is UTF-8")
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
