//! The lines of the files to import, one by one and in batches.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use shared::domain::{InvalidValue, OrgId, Record, RecordType, ValidationErrors, contact_partitions};
use shared::wire::read_record;

/// The most bytes of a line: more than an item of 400 KB takes, however it is escaped.
const MAX_LINE_BYTES: u64 = 4_000_000;
/// The most records and bytes that are stored together.
const MAX_BATCH: usize = 100;
const MAX_BATCH_BYTES: usize = 1_000_000;

/// The error for the id of a contact that would change where new contacts are stored.
const ID_AHEAD_OF_TIME: InvalidValue = InvalidValue::Rule(
    "must not have the third group 8c0a and a time in the future, since it names a partition: give the contact another id",
);

/// A line of a file, from 1, with its record.
pub(super) struct Line {
    pub(super) file: usize,
    pub(super) number: u64,
    pub(super) text: Vec<u8>,
    pub(super) record: Record,
}

/// Reads the record of a line, for an import that began at `now`.
///
/// # Errors
/// All validation errors of the line.
pub(super) fn read_line(text: &[u8], org: OrgId, now: DateTime<Utc>) -> Result<Record, ValidationErrors> {
    match read_record(text, org)? {
        Record::Contact(contact) if contact_partitions::is_ahead_of_time(contact.id, now) => {
            Err(ValidationErrors::one("id", ID_AHEAD_OF_TIME))
        }
        record => Ok(record),
    }
}

/// The lines of a file.
pub(super) struct Lines {
    file: PathBuf,
    reader: BufReader<File>,
    number: u64,
}

impl Lines {
    pub(super) fn open(file: &Path) -> Result<Self> {
        let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        // The files are read several times.
        ensure!(opened.metadata()?.is_file(), "{} is not a regular file: store the lines in one first", file.display());
        Ok(Self { file: file.to_owned(), reader: BufReader::with_capacity(1 << 16, opened), number: 0 })
    }

    /// The next line that is not blank, with its number, from 1.
    pub(super) fn next_line(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        loop {
            let mut text = Vec::new();
            let mut limited = self.reader.by_ref().take(MAX_LINE_BYTES + 1);
            let read = limited.read_until(b'\n', &mut text);
            let len = read.with_context(|| format!("cannot read {}", self.file.display()))?;
            if len == 0 {
                return Ok(None);
            }
            self.number += 1;
            if text.len() as u64 > MAX_LINE_BYTES {
                bail!("{}: line {} is longer than 4 MB: each line holds one record", self.file.display(), self.number);
            }
            let text = text.trim_ascii();
            if !text.is_empty() {
                return Ok(Some((self.number, text.to_vec())));
            }
        }
    }
}

/// The valid records of some types in all files, in batches.
pub(super) struct Batches<'a> {
    files: &'a [PathBuf],
    org: OrgId,
    now: DateTime<Utc>,
    types: BTreeSet<RecordType>,
    file: usize,
    lines: Option<Lines>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(files: &'a [PathBuf], org: OrgId, now: DateTime<Utc>, types: &[RecordType]) -> Self {
        Self { files, org, now, types: types.iter().copied().collect(), file: 0, lines: None }
    }

    fn next_of_types(&mut self) -> Result<Option<Line>> {
        while let Some(path) = self.files.get(self.file) {
            let lines = match &mut self.lines {
                Some(lines) => lines,
                None => self.lines.insert(Lines::open(path)?),
            };
            let Some((number, text)) = lines.next_line()? else {
                self.lines = None;
                self.file += 1;
                continue;
            };
            // Invalid lines were rejected when all were validated.
            if let Ok(record) = read_line(&text, self.org, self.now)
                && self.types.contains(&record.record_type())
            {
                return Ok(Some(Line { file: self.file, number, text, record }));
            }
        }
        Ok(None)
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Vec<Line>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
            match self.next_of_types() {
                Ok(Some(line)) => {
                    bytes += line.text.len();
                    batch.push(line);
                }
                Ok(None) => break,
                Err(error) => return Some(Err(error)),
            }
        }
        if batch.is_empty() { None } else { Some(Ok(batch)) }
    }
}
