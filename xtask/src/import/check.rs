//! The dry run: shows how a file is understood, and validates every row of it.

use std::path::Path;

use anyhow::{Context, Result};
use encoding_rs::Encoding;
use indicatif::HumanCount;

use super::mapping::{Choice, short};
use super::progress::Progress;
use super::rejected::{RejectedRows, Written};
use super::report::counted_rows;
use super::rows::{Row, Rows};
use super::source::{Header, Source};
use super::stop::Stop;
use crate::operator::{TextTable, inform};

/// The rows that the preview shows.
const PREVIEW_ROWS: usize = 3;
/// The most refused rows that are named on the terminal. The file of refused rows has all.
const MAX_TOLD: u64 = 20;
/// The rows after which the progress is told.
const STEP: u64 = 1_000;

/// A file that was read and understood.
pub(super) struct Input {
    pub(super) source: Source,
    pub(super) header: Header,
}

/// The result of the dry run.
pub(super) struct Checked {
    pub(super) rows: u64,
    /// The rows that are refused.
    pub(super) invalid: u64,
    /// The file of these rows.
    pub(super) rejected: Option<Written>,
}

impl Input {
    /// Reads a file once, and maps its columns.
    pub(super) fn open(path: &Path, encoding: Option<&'static Encoding>, choices: &[Choice]) -> Result<Self> {
        inform(&format!("reading {}", path.display()));
        let source = Source::open(path, encoding)?;
        let header = source.header(choices)?;
        Ok(Self { source, header })
    }

    /// The rows of the file.
    pub(super) fn rows(&self) -> Result<Rows<'_, impl std::io::BufRead + use<>>> {
        let Header { delimiter, columns, mapping } = &self.header;
        Ok(Rows::new(self.source.rows(*delimiter)?, mapping, columns))
    }

    /// Shows the encoding, the delimiter, the mapping and the first rows.
    pub(super) fn show(&self) -> Result<()> {
        let delimiter = match self.header.delimiter {
            b'\t' => "tabs".to_owned(),
            delimiter => format!("\"{}\"", char::from(delimiter)),
        };
        let (path, encoding) = (self.source.path.display(), self.source.encoding.name());
        inform(&format!("{path}: {encoding}, separated by {delimiter}\n\n{}", self.preview()?));
        Ok(())
    }

    /// Validates every row, names the first refused ones, and writes the file of all refused ones. It replaces the one with the
    /// SHA-256 `before`.
    ///
    /// # Errors
    /// The file cannot be read, the other one cannot be written, or the command is stopped.
    pub(super) fn check(&self, rejected: &Path, before: Option<&str>, stop: &Stop) -> Result<Checked> {
        let Header { delimiter, columns, .. } = &self.header;
        let mut rejected = RejectedRows::create(rejected, *delimiter, columns)?;
        let progress = Progress::new("checking", "lines", 0, self.source.lines)?;
        let (mut count, mut invalid) = (0, 0);
        let mut rows = self.rows()?;
        while let Some(row) = rows.next_row().with_context(|| self.source.path.display().to_string())? {
            stop.ensure_running()?;
            count += 1;
            if let Err(reason) = &row.fields {
                invalid += 1;
                if invalid <= MAX_TOLD {
                    progress.tell(&format!("row {} (line {}): {reason}", row.number, row.line));
                }
                rejected.add(row.number, reason, &row.cells)?;
            }
            if count % STEP == 0 {
                progress.set(row.line);
            }
        }
        progress.set(self.source.lines);
        progress.finish();
        let rejected = rejected.finish(before)?;
        let file = rejected.as_ref().map(|written| format!(", see {}", written.path.display())).unwrap_or_default();
        let (rows, valid) = (counted_rows(count), HumanCount(count - invalid));
        inform(&format!("{rows}: {valid} valid, {} refused{file}", HumanCount(invalid)));
        Ok(Checked { rows: count, invalid, rejected })
    }

    fn preview(&self) -> Result<String> {
        let mut shown = Vec::new();
        let mut rows = self.rows()?;
        while shown.len() < PREVIEW_ROWS
            && let Some(Row { cells, .. }) = rows.next_row().with_context(|| self.source.path.display().to_string())?
        {
            shown.push(cells);
        }
        let mut table = TextTable::new(["column", "field", "row 1", "row 2", "row 3"]);
        for (column, name) in self.header.columns.iter().enumerate() {
            let field = self.header.mapping.field(column).unwrap_or("-");
            let cell =
                |row: usize| shown.get(row).and_then(|cells: &Vec<String>| cells.get(column)).map(|cell| short(cell));
            let [first, second, third] = [0, 1, 2].map(|row| cell(row).unwrap_or_default());
            table.push([short(name), field.to_owned(), first, second, third]);
        }
        Ok(table.to_string())
    }
}
