//! Sends the valid rows of a file to the API, in chunks, several at a time.
//!
//! **Problem.** The rows of one email have to be merged in the order of the file, and a killed run must go on where it was, with chunks
//! on their way. Rows that were sent and not noted in the journal are sent again, and the sums have to be right.
//!
//! **Approach.** One thread reads the file, cuts chunks, and alone writes the journal; a few others send. A chunk waits while one
//! that shares an email with it is on its way, so that the later row always comes second; within a chunk, the API keeps the order.
//! A chunk is noted before its emails are free. So all rows of an email before a noted one are noted, too.
//!
//! A run that is resumed skips the rows of noted chunks and cuts the others. It finds the boundaries of the first run, and so the
//! same idempotency keys, by which the API keeps out a chunk while the request of the killed run is still in progress.

use std::collections::HashSet;
use std::io::BufRead;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow};
use shared::domain::{Email, ImportId};

use super::api::Api;
use super::journal::{Chunk, Journal};
use super::progress::Progress;
use super::rows::{Row, Rows, ValidRow};

/// The chunks that are on their way at once.
pub(super) const CONCURRENCY: usize = 4;
/// The most rows of a chunk. The API names 1,000 of the rows that it refuses.
pub(super) const MAX_ROWS: u64 = 1_000;
/// The most bytes of a chunk's JSON. The API takes 4,000,000.
const MAX_BYTES: usize = 3_000_000;

/// Rows to send together.
#[derive(Default)]
pub(super) struct Batch {
    /// The rows, each with its number and its JSON.
    pub(super) rows: Vec<(u64, String)>,
    emails: HashSet<Email>,
    bytes: usize,
}

/// Cuts the rows of a file that are valid and not noted into batches.
pub(super) struct Batches<'a, R> {
    rows: Rows<'a, R>,
    /// The most rows of a batch.
    max_rows: usize,
    /// The row that begins the next batch.
    next: Option<(u64, ValidRow)>,
}

impl<'a, R: BufRead> Batches<'a, R> {
    /// The batches of at most so many rows.
    pub(super) fn new(rows: Rows<'a, R>, max_rows: usize) -> Self {
        Self { rows, max_rows, next: None }
    }

    /// The next batch. It does not go beyond rows that are noted.
    pub(super) fn next_batch(&mut self, journal: &Journal) -> Result<Option<Batch>> {
        let mut batch = Batch::default();
        if let Some((number, row)) = self.next.take() {
            batch.push(number, row)?;
        }
        while let Some(Row { number, fields, .. }) = self.rows.next_row()? {
            if journal.chunk_of(number).is_some() {
                if batch.rows.is_empty() {
                    continue;
                }
                break;
            }
            let Ok(row) = fields else { continue };
            if batch.rows.len() >= self.max_rows || batch.bytes >= MAX_BYTES {
                self.next = Some((number, row));
                break;
            }
            batch.push(number, row)?;
        }
        Ok(if batch.rows.is_empty() { None } else { Some(batch) })
    }
}

impl Batch {
    fn push(&mut self, number: u64, row: ValidRow) -> Result<()> {
        let fields = row.cells.into_iter().map(|(field, cell)| (field.to_owned(), cell.into()));
        let json = serde_json::to_string(&fields.collect::<serde_json::Map<_, _>>())?;
        self.bytes += json.len() + 1;
        self.rows.push((number, json));
        self.emails.insert(row.email);
        Ok(())
    }
}

/// Sends every row that is not noted in the journal yet, and notes it.
///
/// # Errors
/// The first error of a request, of the file or of the journal. Chunks that were on their way are noted before.
pub(super) fn send_rows<R: BufRead>(
    api: &Api,
    journal: &mut Journal,
    import: ImportId,
    batches: Batches<'_, R>,
    progress: &Progress,
) -> Result<()> {
    let key = journal.id.to_string();
    let (to_workers, batch_queue) = mpsc::channel::<Batch>();
    let (to_coordinator, results) = mpsc::channel();
    let batch_queue = Mutex::new(batch_queue);
    thread::scope(|scope| {
        for _ in 0..CONCURRENCY {
            let (batch_queue, results) = (&batch_queue, to_coordinator.clone());
            let key = &key;
            scope.spawn(move || work(api, import, key, batch_queue, &results));
        }
        drop(to_coordinator);
        let mut coordinator = Coordinator { journal, batches, progress, to_workers, results, in_flight: Vec::new() };
        let sent = coordinator.run();
        if sent.is_err() {
            api.stop.stop();
            coordinator.drain();
        }
        sent
    })
}

/// The first row of a batch, and its outcome.
type Outcome = (u64, Result<Chunk>);

/// Sends batches until there are no more. The first that fails stops the others.
fn work(api: &Api, import: ImportId, key: &str, batches: &Mutex<Receiver<Batch>>, results: &Sender<Outcome>) {
    loop {
        let batch = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = batch else { return };
        let first = batch.rows.first().map_or(0, |(number, _)| *number);
        // A thread that ended without an outcome would let the coordinator wait for ever.
        let uploaded = panic::catch_unwind(AssertUnwindSafe(|| api.upload(import, key, &batch.rows)))
            .unwrap_or_else(|_| Err(anyhow!("a thread that sends rows has panicked: this is an error of the command")));
        let has_failed = uploaded.is_err();
        let is_noted = results.send((first, uploaded)).is_ok();
        // After the error is sent, so that it comes before those of the threads that this stops.
        if has_failed {
            api.stop.stop();
        }
        if !is_noted {
            return;
        }
    }
}

/// Hands out batches and notes their outcomes.
struct Coordinator<'a, 'b, R> {
    journal: &'a mut Journal,
    batches: Batches<'b, R>,
    progress: &'a Progress,
    to_workers: Sender<Batch>,
    results: Receiver<Outcome>,
    /// The emails of the batches that are on their way, by the first row of each.
    in_flight: Vec<(u64, HashSet<Email>)>,
}

impl<R: BufRead> Coordinator<'_, '_, R> {
    fn run(&mut self) -> Result<()> {
        while let Some(mut batch) = self.batches.next_batch(self.journal)? {
            while self.in_flight.len() >= CONCURRENCY || self.shares_email(&batch) {
                self.wait_for_one()?;
            }
            let first = batch.rows.first().map_or(0, |(number, _)| *number);
            self.in_flight.push((first, std::mem::take(&mut batch.emails)));
            self.to_workers.send(batch).map_err(|_| anyhow!("a thread that sends rows has ended"))?;
        }
        while !self.in_flight.is_empty() {
            self.wait_for_one()?;
        }
        Ok(())
    }

    /// Notes the chunks that are still on their way, after an error. That one is reported, and no other.
    fn drain(&mut self) {
        while !self.in_flight.is_empty() {
            let _ = self.wait_for_one();
        }
    }

    fn shares_email(&self, batch: &Batch) -> bool {
        self.in_flight.iter().any(|(_, emails)| !emails.is_disjoint(&batch.emails))
    }

    fn wait_for_one(&mut self) -> Result<()> {
        let received = self.results.recv().context("a thread that sends rows has ended");
        let Ok((first, outcome)) = received else {
            self.in_flight.clear();
            return received.map(drop);
        };
        self.in_flight.retain(|(row, _)| *row != first);
        self.journal.note_chunk(outcome?)?;
        self.progress.set(self.journal.sent());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::files::TempDir;
    use crate::import::api::tests::Served;
    use crate::import::journal::tests::load;
    use crate::import::mapping::Mapping;
    use crate::import::records::Records;

    const HEADER: [&str; 4] = ["Email", "Name", "LinkedIn", "Metadata"];

    /// The numbers of the rows of each batch of a file. A row is invalid if its name is empty.
    fn batches(names: &[&str], journal: &Journal) -> Vec<Vec<u64>> {
        let rows = (1..).zip(names).map(|(row, name)| format!("{row}@example.com;{name};in/jane;\n"));
        let text: String = rows.collect();
        let mapping = Mapping::of(&HEADER.map(str::to_owned), &[]).unwrap();
        let rows = Rows::new(Records::new(text.as_bytes(), b';'), &mapping, &HEADER.map(str::to_owned));
        let mut batches = Batches::new(rows, 3);
        let mut numbers = Vec::new();
        while let Some(batch) = batches.next_batch(journal).unwrap() {
            assert_eq!(batch.emails.len(), batch.rows.len());
            numbers.push(batch.rows.iter().map(|(number, _)| *number).collect());
        }
        numbers
    }

    fn journal(directory: &TempDir, noted: &[(u64, u64)]) -> Journal {
        let path = directory.0.join(format!("{}.ndjson", uuid::Uuid::new_v4()));
        let mut journal = Journal::begin(&path, load()).unwrap();
        for &(first, last) in noted {
            let chunk = Chunk { first, last, created: 0, updated: 0, refused: BTreeMap::new() };
            journal.note_chunk(chunk).unwrap();
        }
        journal
    }

    #[test]
    fn a_resumed_run_cuts_the_batches_of_the_first_one() {
        let directory = TempDir::new("batches");
        let names = ["a", "", "b", "c", "d", "", "e", "f", "g", "h"];
        let whole = batches(&names, &journal(&directory, &[]));
        assert_eq!(whole, [vec![1, 3, 4], vec![5, 7, 8], vec![9, 10]]);
        let ranges = [(1, 4), (5, 8), (9, 10)];
        for noted in 0..8_u32 {
            let is_noted = |index: &usize| noted & (1 << index) != 0;
            let (done, left): (Vec<_>, Vec<_>) = (0..3).partition(is_noted);
            let done: Vec<_> = done.into_iter().map(|index| ranges[index]).collect();
            let left: Vec<_> = left.into_iter().map(|index| whole[index].clone()).collect();
            assert_eq!(batches(&names, &journal(&directory, &done)), left, "{done:?}");
        }
    }

    #[test]
    fn a_batch_has_a_limited_size() {
        let directory = TempDir::new("batch-size");
        let mapping = Mapping::of(&HEADER.map(str::to_owned), &[]).unwrap();
        let row = format!("jane@example.com;Jane{};in/jane;\n", " ".repeat(1_000_000));
        let text = row.repeat(7);
        let rows = Rows::new(Records::new(text.as_bytes(), b';'), &mapping, &HEADER.map(str::to_owned));
        let mut batches = Batches::new(rows, 1_000);
        let journal = journal(&directory, &[]);
        let mut lens = Vec::new();
        while let Some(batch) = batches.next_batch(&journal).unwrap() {
            assert!(batch.bytes < 4_000_000);
            lens.push(batch.rows.len());
        }
        assert_eq!(lens, [3, 3, 1]);
    }

    #[test]
    fn a_thread_that_panics_ends_the_load_with_an_error() {
        let directory = TempDir::new("panic");
        let mut served = Served::new(&[(503, "retry-after: 1\r\n", "")]);
        served.api.tell = Box::new(|_| panic!("a defect"));
        let mapping = Mapping::of(&HEADER.map(str::to_owned), &[]).unwrap();
        let text = "jane@example.com;Jane;in/jane;\n";
        let rows = Rows::new(Records::new(text.as_bytes(), b';'), &mapping, &HEADER.map(str::to_owned));
        let progress = Progress::new("loading", "rows", 0, 1).unwrap();
        let mut journal = journal(&directory, &[]);

        let sent = send_rows(
            &served.api,
            &mut journal,
            ImportId::from(uuid::Uuid::from_u128(1)),
            Batches::new(rows, 1),
            &progress,
        );

        assert!(sent.unwrap_err().to_string().contains("a thread that sends rows has panicked"));
    }
}
