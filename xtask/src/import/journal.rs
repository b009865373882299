//! The journal of a load, beside its file: what a killed run has done.
//!
//! **Problem.** A load can be killed at any point, by `kill -9`, a crash of the machine, or a full disk. The next run has to
//! find out which rows the API has, and must not count a row twice.
//!
//! **Approach.** One JSON value per line, each appended with one write and synced to the disk. The first line has what makes
//! the load the same one: the file by its size and SHA-256, the mapping, the URL, the campaign. A chunk of rows is noted after
//! its response, with the counts. A chunk that was sent and not noted is sent once more: uploading contacts has the same
//! effect twice, and keeps the sums right. A line that was cut off was never noted, so it is removed.
//!
//! The key is never written. A lock on the file keeps a second run out; it ends with the process.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use shared::domain::{CampaignId, ImportId};
use uuid::Uuid;

/// What makes two runs the same load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) encoding: String,
    pub(super) delimiter: char,
    /// The fields of the columns, by the columns' indexes.
    pub(super) mapping: BTreeMap<usize, String>,
    pub(super) api: String,
    pub(super) campaign_id: Option<CampaignId>,
    pub(super) rows: u64,
    /// The rows that are not sent, because they are invalid.
    pub(super) invalid: u64,
}

/// The outcome of a chunk: of the rows from `first` to `last`, those that are valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) created: u64,
    pub(super) updated: u64,
    /// The rows that the API has refused, with the reasons.
    pub(super) refused: BTreeMap<u64, String>,
}

/// The result of linking the import to the campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Linked {
    pub(super) considered_contacts: u64,
    pub(super) excluded_contacts: u64,
    pub(super) inserted_leads: u64,
    /// `true` if linking may have taken several calls: the other numbers are those of the last one.
    #[serde(default)]
    pub(super) several_calls: bool,
}

/// How the first line of a journal begins.
const BEGINNING: &[u8] = b"{\"begun\":{\"id\":\"";

/// A line of a journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// The first line. The id is the beginning of all idempotency keys.
    Begun {
        id: Uuid,
        load: Load,
    },
    /// The import is created.
    Import(ImportId),
    Chunk(Chunk),
    Linked(Linked),
    /// The file of refused rows is about to be written: its SHA-256.
    Rejected(String),
    /// The import is completed.
    Finished,
}

/// The journal of a load, and all that it says.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    pub(super) id: Uuid,
    pub(super) load: Load,
    pub(super) import: Option<ImportId>,
    /// The chunks that are done, by their first rows.
    pub(super) chunks: BTreeMap<u64, Chunk>,
    pub(super) linked: Option<Linked>,
    /// The SHA-256 of the file of refused rows, with those that the API has refused.
    pub(super) rejected: Option<String>,
    pub(super) is_finished: bool,
    /// The number of rows in `chunks`.
    sent: u64,
}

impl Journal {
    /// Begins a journal.
    ///
    /// # Errors
    /// There is one already, or it cannot be written.
    pub(super) fn begin(path: &Path, load: Load) -> Result<Self> {
        let options = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).clone();
        let file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
        lock(&file, path)?;
        let mut journal = Self::empty(path, file, Uuid::new_v4(), load);
        journal.append(&Entry::Begun { id: journal.id, load: journal.load.clone() })?;
        Ok(journal)
    }

    /// Opens the journal of an earlier run. `None` if it is missing, or ends within its first line: nothing was sent then.
    ///
    /// # Errors
    /// It cannot be read, another run uses it, it is damaged, or it is another file, which is left as it is.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let context = || format!("cannot read {}", path.display());
        let mut file = match OpenOptions::new().read(true).append(true).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.with_context(context)?,
        };
        lock(&file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(context)?;
        // A kill cuts off the rest of a line.
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if complete == 0 && is_torn_beginning(&bytes) {
            std::fs::remove_file(path).with_context(context)?;
            return Ok(None);
        }
        let mut lines = bytes[..complete].split(|byte| *byte == b'\n');
        let first = lines.next().and_then(|line| serde_json::from_slice(line).ok());
        let Some(Entry::Begun { id, load }) = first else {
            bail!("{} is not the journal of an import: rename it", path.display());
        };
        let mut journal = Self::empty(path, file, id, load);
        // The last line feed ends a line, and begins none.
        for (number, line) in (2..).zip(lines).filter(|(_, line)| !line.is_empty()) {
            journal.apply(serde_json::from_slice(line).with_context(|| {
                format!("{}: line {number} is damaged: remove the file to load from the start", path.display())
            })?);
        }
        journal.file.set_len(complete as u64).with_context(context)?;
        Ok(Some(journal))
    }

    fn empty(path: &Path, file: File, id: Uuid, load: Load) -> Self {
        let path = path.to_owned();
        let (chunks, sent) = (BTreeMap::new(), 0);
        Self { path, file, id, load, import: None, chunks, linked: None, rejected: None, is_finished: false, sent }
    }

    /// Notes that the import is created.
    pub(super) fn note_import(&mut self, id: ImportId) -> Result<()> {
        self.note(Entry::Import(id))
    }

    /// Notes the outcome of a chunk.
    pub(super) fn note_chunk(&mut self, chunk: Chunk) -> Result<()> {
        self.note(Entry::Chunk(chunk))
    }

    /// Notes that the import is linked to the campaign.
    pub(super) fn note_linked(&mut self, linked: Linked) -> Result<()> {
        self.note(Entry::Linked(linked))
    }

    /// Notes the SHA-256 of the file of refused rows, before it has its name.
    pub(super) fn note_rejected(&mut self, digest: String) -> Result<()> {
        self.note(Entry::Rejected(digest))
    }

    /// Notes that the import is completed.
    pub(super) fn note_finished(&mut self) -> Result<()> {
        self.note(Entry::Finished)
    }

    /// The chunk that has this row, if it is done.
    pub(super) fn chunk_of(&self, row: u64) -> Option<&Chunk> {
        self.chunks.range(..=row).next_back().map(|(_, chunk)| chunk).filter(|chunk| row <= chunk.last)
    }

    /// The number of rows that were sent and noted.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    fn note(&mut self, entry: Entry) -> Result<()> {
        self.append(&entry)?;
        self.apply(entry);
        Ok(())
    }

    fn append(&mut self, entry: &Entry) -> Result<()> {
        let line = format!("{}\n", serde_json::to_string(entry)?);
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Begun { .. } => {}
            Entry::Import(id) => self.import = Some(id),
            Entry::Chunk(chunk) => {
                self.sent = self.sent.saturating_add(chunk.rows());
                let replaced = self.chunks.insert(chunk.first, chunk);
                self.sent = self.sent.saturating_sub(replaced.as_ref().map_or(0, Chunk::rows));
            }
            Entry::Linked(linked) => self.linked = Some(linked),
            Entry::Rejected(digest) => self.rejected = Some(digest),
            Entry::Finished => self.is_finished = true,
        }
    }
}

impl Chunk {
    fn rows(&self) -> u64 {
        self.created.saturating_add(self.updated).saturating_add(self.refused.len() as u64)
    }
}

impl Load {
    /// Fails unless the file is still the one of the load.
    pub(super) fn ensure_same_file(&self, bytes: u64, sha256: &str, file: &Path, journal: &Path) -> Result<()> {
        let (file, journal) = (file.display(), journal.display());
        ensure!(
            (self.bytes, self.sha256.as_str()) == (bytes, sha256),
            "{file} has changed since {journal} was begun: restore it, or remove the journal to load it from the start"
        );
        Ok(())
    }

    /// Compares the load that an earlier run has begun with this one of the same file.
    ///
    /// # Errors
    /// They differ; the error says in what.
    pub(super) fn ensure_same(&self, now: &Self, journal: &Path) -> Result<()> {
        let journal = journal.display();
        let differing = [
            ("columns (--map)", self.mapping != now.mapping || self.delimiter != now.delimiter),
            ("encoding (--encoding)", self.encoding != now.encoding),
            ("URL (--api)", self.api != now.api),
            ("campaign (--campaign)", self.campaign_id != now.campaign_id),
            ("rules of validation", (self.rows, self.invalid) != (now.rows, now.invalid)),
        ];
        match differing.iter().find(|(_, differs)| *differs) {
            None => Ok(()),
            Some((what, _)) => bail!(
                "{journal} was begun with other {what}: repeat the command as it was, with --resume, or remove the journal \
                 to load from the start"
            ),
        }
    }
}

/// Whether a file may be a journal that a kill has cut off within its first line.
fn is_torn_beginning(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGINNING) || BEGINNING.starts_with(bytes)
}

fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => bail!("{} is in use: another import of the file is running", path.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;
    use crate::files::TempDir;

    pub(in super::super) fn load() -> Load {
        Load {
            bytes: 7,
            sha256: "ab".to_owned(),
            encoding: "UTF-8".to_owned(),
            delimiter: ';',
            mapping: BTreeMap::from([(0, "email".to_owned())]),
            api: "http://localhost:9000".to_owned(),
            campaign_id: None,
            rows: 3,
            invalid: 1,
        }
    }

    fn chunk(first: u64, last: u64) -> Chunk {
        Chunk { first, last, created: 1, updated: 0, refused: BTreeMap::from([(last, "too large".to_owned())]) }
    }

    #[test]
    fn a_journal_says_all_that_was_noted_however_it_was_cut_off() {
        let directory = TempDir::new("journal");
        let path = directory.0.join("leads.import.ndjson");
        let import = ImportId::from(Uuid::from_u128(1));
        let linked = Linked { considered_contacts: 2, excluded_contacts: 0, inserted_leads: 2, several_calls: true };
        let mut journal = Journal::begin(&path, load()).unwrap();
        journal.note_import(import).unwrap();
        journal.note_chunk(chunk(1, 2)).unwrap();
        journal.note_chunk(chunk(3, 3)).unwrap();
        journal.note_linked(linked).unwrap();
        journal.note_finished().unwrap();
        let id = journal.id;
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for len in 0..=whole.len() {
            fs::write(&path, &whole[..len]).unwrap();

            let opened = Journal::open(&path).unwrap();

            let lines = whole[..len].split(|byte| *byte == b'\n').skip(1).count();
            let Some(journal) = opened else {
                assert!(lines == 0 && !path.exists(), "{len}");
                continue;
            };
            assert_eq!((journal.id, &journal.load), (id, &load()));
            let found = (journal.import, journal.chunks.len(), journal.linked, journal.is_finished);
            let chunks = lines.saturating_sub(2).min(2);
            let expected = ((lines > 1).then_some(import), chunks, (lines > 4).then_some(linked), lines > 5);
            assert_eq!(found, expected, "{len}");
            // What comes next is a line of its own.
            let mut journal = journal;
            journal.note_chunk(chunk(9, 9)).unwrap();
            drop(journal);
            assert_eq!(Journal::open(&path).unwrap().unwrap().chunk_of(9), Some(&chunk(9, 9)));
        }
    }

    #[test]
    fn a_row_is_in_the_chunk_around_it() {
        let directory = TempDir::new("journal-chunks");
        let mut journal = Journal::begin(&directory.0.join("leads.import.ndjson"), load()).unwrap();
        journal.note_chunk(chunk(4, 6)).unwrap();
        journal.note_chunk(chunk(1, 2)).unwrap();
        let first_rows: Vec<_> = (0..=7).map(|row| journal.chunk_of(row).map(|chunk| chunk.first)).collect();
        assert_eq!(first_rows, [None, Some(1), Some(1), None, Some(4), Some(4), Some(4), None]);
    }

    #[test]
    fn the_rows_that_are_sent_are_those_of_all_chunks() {
        let directory = TempDir::new("journal-sent");
        let path = directory.0.join("leads.import.ndjson");
        let mut journal = Journal::begin(&path, load()).unwrap();
        for (first, last, sent) in [(4, 6, 3), (1, 2, 5), (4, 6, 5)] {
            let refused = BTreeMap::from([(last, "reason".to_owned())]);
            journal.note_chunk(Chunk { created: last - first, refused, ..chunk(first, last) }).unwrap();
            assert_eq!(journal.sent(), sent);
        }
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().unwrap().sent(), 5);
    }

    #[test]
    fn a_journal_may_be_cut_off_within_a_character() {
        let directory = TempDir::new("journal-cut");
        let path = directory.0.join("leads.import.ndjson");
        let mut journal = Journal::begin(&path, load()).unwrap();
        let refused = BTreeMap::from([(1, "é".to_owned())]);
        journal.note_chunk(Chunk { refused, ..chunk(1, 1) }).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        let cut = whole.iter().position(|byte| !byte.is_ascii()).unwrap() + 1;
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(Journal::open(&path).unwrap().unwrap().chunks.len(), 0);
    }

    #[test]
    fn a_journal_has_one_run_at_a_time_and_is_never_overwritten() {
        let directory = TempDir::new("journal-lock");
        let path = directory.0.join("leads.import.ndjson");
        let journal = Journal::begin(&path, load()).unwrap();
        let error = Journal::open(&path).unwrap_err().to_string();
        assert!(error.ends_with("is in use: another import of the file is running"), "{error}");
        drop(journal);
        assert!(Journal::begin(&path, load()).is_err());
        assert!(Journal::open(&path).unwrap().is_some());
    }

    #[test]
    fn a_damaged_journal_is_an_error_that_names_the_line() {
        let directory = TempDir::new("journal-damaged");
        let path = directory.0.join("leads.import.ndjson");
        drop(Journal::begin(&path, load()).unwrap());
        let begun = fs::read_to_string(&path).unwrap();
        for (text, error) in [
            (format!("{begun}x\n{{\"chunk"), "line 2 is damaged: remove the file to load from the start"),
            ("\"finished\"\n\"fin".to_owned(), "is not the journal of an import: rename it"),
            ("a line and\nhalf a line".to_owned(), "is not the journal of an import: rename it"),
            ("half a line".to_owned(), "is not the journal of an import: rename it"),
        ] {
            fs::write(&path, &text).unwrap();
            let found = Journal::open(&path).unwrap_err().to_string();
            assert!(found.ends_with(error), "{found}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn another_load_is_refused() {
        let (file, journal) = (Path::new("leads.csv"), Path::new("leads.import.ndjson"));
        assert!(load().ensure_same(&load(), journal).is_ok());
        assert!(load().ensure_same_file(7, "ab", file, journal).is_ok());
        for (bytes, sha256) in [(8, "ab"), (7, "cd")] {
            let error = load().ensure_same_file(bytes, sha256, file, journal).unwrap_err().to_string();
            assert!(error.starts_with("leads.csv has changed since leads.import.ndjson was begun"), "{error}");
        }
        for (other, what) in [
            (Load { mapping: BTreeMap::new(), ..load() }, "other columns (--map)"),
            (Load { encoding: "UTF-16LE".to_owned(), ..load() }, "other encoding"),
            (Load { api: "https://api.example.com".to_owned(), ..load() }, "other URL (--api)"),
            (Load { campaign_id: Some(Uuid::nil().into()), ..load() }, "other campaign"),
            (Load { invalid: 2, ..load() }, "other rules of validation"),
        ] {
            let error = load().ensure_same(&other, journal).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn counts_that_overflow_are_the_most_that_there_can_be() {
        let directory = TempDir::new("journal-overflow");
        let mut journal = Journal::begin(&directory.0.join("leads.import.ndjson"), load()).unwrap();
        for (first, created) in [(1, u64::MAX), (2, 1), (1, u64::MAX)] {
            journal.note_chunk(Chunk { created, ..chunk(first, first) }).unwrap();
        }
        assert!(crate::import::report::Report::of(&journal, PathBuf::new(), None, false).is_err());
    }
}
