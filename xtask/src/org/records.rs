//! What the commands that write and read records have in common: counts, and the progress of long work.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;
use shared::domain::{RecordOutcome, RecordType};

use crate::operator::inform;

/// The time between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(2);

/// What became of the records of one type.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) read: u64,
    pub(super) written: u64,
    pub(super) already_there: u64,
    pub(super) refused: u64,
}

/// The counts of each type.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct CountsByType(pub(super) BTreeMap<RecordType, Counts>);

impl CountsByType {
    /// The counts of a type.
    pub(super) fn of(&mut self, record_type: RecordType) -> &mut Counts {
        self.0.entry(record_type).or_default()
    }

    /// Counts the outcome of a record.
    pub(super) fn add(&mut self, record_type: RecordType, outcome: RecordOutcome) {
        let counts = self.of(record_type);
        match outcome {
            RecordOutcome::Written => counts.written += 1,
            RecordOutcome::AlreadyThere => counts.already_there += 1,
            RecordOutcome::Refused(_) => counts.refused += 1,
        }
    }

    /// The counts of all types together.
    pub(super) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.0.values() {
            total.read += counts.read;
            total.written += counts.written;
            total.already_there += counts.already_there;
            total.refused += counts.refused;
        }
        total
    }
}

impl fmt::Display for RecordsTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = crate::operator::TextTable::new(["type", "read", "written", "already there", "refused"]);
        let numbers = |Counts { read, written, already_there, refused }: Counts| {
            [read, written, already_there, refused].map(|number| number.to_string())
        };
        for (record_type, counts) in &self.0.0 {
            let [read, written, already_there, refused] = numbers(*counts);
            table.push([record_type.to_string(), read, written, already_there, refused]);
        }
        let [read, written, already_there, refused] = numbers(self.0.total());
        table.push(["total".to_owned(), read, written, already_there, refused]);
        write!(f, "{table}")
    }
}

/// The counts of an import, for people.
pub(super) struct RecordsTable<'a>(pub(super) &'a CountsByType);

/// Tells the operator every few seconds how far the work is. The first line comes at once.
pub(super) struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    begun_at: Instant,
    told_at: Option<Instant>,
}

impl Progress {
    /// The progress of work on `total` things, if their number is known.
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        let mut progress = Self { what, total, done: 0, begun_at: Instant::now(), told_at: None };
        progress.advance(0);
        progress
    }

    /// Counts what is done.
    pub(super) fn advance(&mut self, by: usize) {
        self.done += u64::try_from(by).unwrap_or_default();
        if self.told_at.is_none_or(|told_at| told_at.elapsed() >= INTERVAL) {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.told_at = Some(Instant::now());
        let seconds = self.begun_at.elapsed().as_secs();
        let rate = match self.done.checked_div(seconds) {
            Some(rate) => format!(", {rate}/s"),
            None => String::new(),
        };
        let total = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        inform(&format!("{}: {}{total}{rate}", self.what, self.done));
    }
}
