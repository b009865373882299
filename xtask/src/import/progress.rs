//! The progress of long work, for people.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{FormattedDuration, HumanCount, ProgressBar, ProgressState, ProgressStyle};

use crate::operator::inform;

/// The time between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(2);
/// The time between two drawings of the bar when nothing advances.
const TICK: Duration = Duration::from_millis(250);
const TEMPLATE: &str = "{prefix} {bar:30} {human_pos} of {human_len} {msg}, {rate}, {eta} left";

/// How far the work is: a bar on a terminal, otherwise a line every few seconds. The first one comes at once.
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
}

/// The progress in lines.
pub(super) struct Lines {
    what: &'static str,
    unit: &'static str,
    /// What earlier runs have done.
    before: u64,
    done: u64,
    total: u64,
    begun_at: Instant,
    told_at: Instant,
}

impl Progress {
    /// The progress of work of which `done` is done already: `checking`, 7 of 100 `lines`.
    pub(super) fn new(what: &'static str, unit: &'static str, done: u64, total: u64) -> Result<Self> {
        if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template(TEMPLATE)?.with_key("rate", write_rate);
            let bar = ProgressBar::new(total).with_style(style).with_prefix(what).with_message(unit);
            bar.set_position(done);
            bar.reset_eta();
            bar.enable_steady_tick(TICK);
            return Ok(Self::Bar(bar));
        }
        let now = Instant::now();
        let lines = Lines { what, unit, before: done, done, total, begun_at: now, told_at: now };
        inform(&lines.text(Duration::ZERO));
        Ok(Self::Lines(Mutex::new(lines)))
    }

    /// Sets how much is done.
    pub(super) fn set(&self, done: u64) {
        match self {
            Self::Bar(bar) => bar.set_position(done),
            Self::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.done = done;
                if lines.told_at.elapsed() >= INTERVAL {
                    lines.told_at = Instant::now();
                    inform(&lines.text(lines.begun_at.elapsed()));
                }
            }
        }
    }

    /// Shows a line beside the progress.
    pub(super) fn tell(&self, text: &str) {
        self.teller()(text);
    }

    /// Shows lines beside the progress, from any thread.
    pub(super) fn teller(&self) -> Box<dyn Fn(&str) + Send + Sync> {
        match self {
            Self::Bar(bar) => {
                let bar = bar.clone();
                Box::new(move |text| bar.suspend(|| inform(text)))
            }
            Self::Lines(_) => Box::new(inform),
        }
    }

    /// Ends the progress; what it showed last stays.
    pub(super) fn finish(self) {
        match self {
            Self::Bar(bar) => bar.abandon(),
            Self::Lines(lines) => {
                let lines = lines.into_inner().unwrap_or_else(PoisonError::into_inner);
                inform(&lines.text(lines.begun_at.elapsed()));
            }
        }
    }
}

/// Writes the rate without decimals. An error of the writer is one of the terminal.
fn write_rate(state: &ProgressState, writer: &mut dyn fmt::Write) {
    let _ = write!(writer, "{:.0}/s", state.per_sec());
}

impl Lines {
    fn text(&self, elapsed: Duration) -> String {
        let Self { what, unit, before, done, total, .. } = self;
        let text = format!("{what}: {} of {} {unit}", HumanCount(*done), HumanCount(*total));
        let (milliseconds, advanced) = (elapsed.as_millis(), u128::from(done - before));
        if milliseconds == 0 || advanced == 0 {
            return text;
        }
        let rate = u64::try_from(advanced * 1_000 / milliseconds).unwrap_or(u64::MAX);
        let left = u128::from(total.saturating_sub(*done)) * milliseconds / advanced;
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX));
        format!("{text}, {}/s, {} left", HumanCount(rate), FormattedDuration(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_rate_of_this_run_and_the_time_left() {
        let now = Instant::now();
        let lines = |done| Lines {
            what: "loading",
            unit: "rows",
            before: 1_000,
            done,
            total: 101_000,
            begun_at: now,
            told_at: now,
        };
        assert_eq!(lines(1_000).text(Duration::ZERO), "loading: 1,000 of 101,000 rows");
        assert_eq!(
            lines(21_000).text(Duration::from_secs(10)),
            "loading: 21,000 of 101,000 rows, 2,000/s, 00:00:40 left"
        );
    }
}
