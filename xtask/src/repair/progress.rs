//! The progress of a long command, on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A line that is replaced every second on a terminal; elsewhere a line every ten seconds.
pub(super) struct Progress {
    is_terminal: bool,
    next: Instant,
    warnings: usize,
}

impl Default for Progress {
    fn default() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), next: Instant::now(), warnings: 0 }
    }
}

impl Progress {
    /// Shows the line if the last one is old enough.
    pub(super) fn update(&mut self, line: impl FnOnce() -> String) {
        if Instant::now() >= self.next {
            self.show(&line());
        }
    }

    /// Shows the line.
    pub(super) fn show(&mut self, line: &str) {
        let interval = if self.is_terminal { Duration::from_secs(1) } else { Duration::from_secs(10) };
        self.next = Instant::now() + interval;
        if self.is_terminal {
            write(&format!("\r\x1b[K{line}"));
        } else {
            write(&format!("{line}\n"));
        }
    }

    /// Shows a warning on a line of its own. After a hundred, the others are only counted.
    pub(super) fn warn(&mut self, text: &str) {
        const MAX_WARNINGS: usize = 100;
        self.warnings += 1;
        if self.warnings > MAX_WARNINGS {
            return;
        }
        self.clear();
        write(&format!("warning: {text}\n"));
        if self.warnings == MAX_WARNINGS {
            write("warning: further ones are only counted\n");
        }
    }

    /// Removes the line of a terminal.
    fn clear(&self) {
        if self.is_terminal {
            write("\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Progress is worth no failure.
fn write(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
