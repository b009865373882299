//! Reads an uploaded file of contacts: CSV as in RFC 4180, with the variations that spreadsheets produce.
//!
//! A byte order mark, `;` or a tab as the delimiter, and every kind of line break are accepted. A file that is ambiguous
//! (a quote that is not closed, a column that is missing or repeated) is refused with the line of the error before any
//! row is read. A lenient reader would make wrong contacts out of such a file without an error.

mod form;
mod quotes;

use std::fmt;

use csv::{ReaderBuilder, StringRecord};
use shared::ApiError;
use shared::domain::{InvalidValue, ValidationErrors, is_blank};
use shared::wire::{Cells, FieldDescription, columns};

pub use form::file_of;

/// The delimiters of cells. In a tie the last one wins: a file without a delimiter is read as comma-separated.
const DELIMITERS: [u8; 3] = [b'\t', b';', b','];

/// Returns the rows of a file in their order. A row with a wrong number of cells is an error of that row alone.
///
/// The first line is the header: column names in any case and order. Unknown columns are ignored. Lines of blank cells are
/// no rows. A blank cell is an absent field. Rows are read lazily, because a file can have millions of them.
///
/// # Errors
/// The file is empty or not UTF-8, its quotes do not match, a required column is missing, or a known column is repeated.
pub fn rows(file: &[u8]) -> Result<impl Iterator<Item = Result<Cells, ValidationErrors>>, ParseError> {
    let text = text(file)?;
    let known = columns();
    let delimiter = delimiter(text, &known);
    quotes::check(text, delimiter)?;
    let mut records = records(text, delimiter);
    let header = records.next().ok_or_else(|| ParseError("the file is empty".to_owned()))?;
    let columns = Columns::read(&header, &known)?;
    Ok(records.map(move |record| columns.cells(&record)))
}

/// Why a file or a form cannot be read. The message is shown to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

impl ParseError {
    /// An error right after the part of the file that comes `before`, with the number of its line.
    fn after(before: &[u8], message: impl fmt::Display) -> Self {
        let next = before.iter().skip(1).chain([&0]);
        // CR, LF and CRLF are one line break each.
        let ends_a_line = |(byte, next): &(&u8, &u8)| **byte == b'\n' || (**byte == b'\r' && **next != b'\n');
        let line = 1 + before.iter().zip(next).filter(ends_a_line).count();
        Self(format!("line {line}: {message}"))
    }
}

impl From<ParseError> for ApiError {
    fn from(ParseError(message): ParseError) -> Self {
        Self::CsvParse(message)
    }
}

/// Returns the file's text without byte order marks.
///
/// A file that was joined from several files can begin with more than one. The CSV reader would remove one more of them,
/// while the check of the quotes would not.
///
/// # Errors
/// The file is not UTF-8, or it was decoded as UTF-8 though it is not: a gateway that takes `text/csv` for text writes U+FFFD in
/// place of each byte that it cannot read, and the letters are lost.
fn text(file: &[u8]) -> Result<&str, ParseError> {
    let wrong_encoding =
        |valid: &[u8]| ParseError::after(valid, "wrong encoding, not UTF-8 text; save the file as CSV UTF-8");
    let text = str::from_utf8(file).map_err(|error| wrong_encoding(&file[..error.valid_up_to()]))?;
    match text.split_once(char::REPLACEMENT_CHARACTER) {
        Some((valid, _)) => Err(wrong_encoding(valid.as_bytes())),
        None => Ok(text.trim_start_matches('\u{FEFF}')),
    }
}

/// Returns the delimiter with which the header has the most known columns.
fn delimiter(text: &str, known: &[FieldDescription]) -> u8 {
    let known_columns = |delimiter: &u8| {
        let header = records(text, *delimiter).next();
        header.map_or(0, |header| header.iter().filter_map(|cell| known_column(cell, known)).count())
    };
    DELIMITERS.into_iter().max_by_key(known_columns).unwrap_or(b',')
}

/// Returns the lines of a file that are not blank.
fn records(text: &str, delimiter: u8) -> impl Iterator<Item = StringRecord> {
    let reader =
        ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    // Reading cannot fail: the text is in memory, it is UTF-8, and its records can have any length.
    reader.into_records().map_while(Result::ok).filter(|record| !record.iter().all(is_blank))
}

/// Returns the known column that a cell of the header names.
fn known_column(cell: &str, known: &[FieldDescription]) -> Option<&'static str> {
    known.iter().map(|column| column.name).find(|name| cell.trim().eq_ignore_ascii_case(name))
}

/// The columns of a file, from its header.
struct Columns {
    /// The number of all columns.
    width: usize,
    /// The known columns, each with its index.
    known: Vec<(&'static str, usize)>,
}

impl Columns {
    fn read(header: &StringRecord, known: &[FieldDescription]) -> Result<Self, ParseError> {
        let named: Vec<_> =
            header.iter().enumerate().filter_map(|(index, cell)| Some((known_column(cell, known)?, index))).collect();
        let count = |column: &FieldDescription| named.iter().filter(|(name, _)| *name == column.name).count();
        let missing: Vec<_> =
            known.iter().filter(|column| column.required && count(column) == 0).map(|column| column.name).collect();
        if !missing.is_empty() {
            return Err(ParseError(format!("the header lacks {}", missing.join(", "))));
        }
        let repeated: Vec<_> = known.iter().filter(|column| count(column) > 1).map(|column| column.name).collect();
        if !repeated.is_empty() {
            return Err(ParseError(format!("the header repeats {}", repeated.join(", "))));
        }
        Ok(Self { width: header.len(), known: named })
    }

    /// The cells of a row that are not blank.
    fn cells(&self, record: &StringRecord) -> Result<Cells, ValidationErrors> {
        if record.len() != self.width {
            let wrong = InvalidValue::WrongColumnCount { found: record.len(), expected: self.width };
            return Err(ValidationErrors::whole(wrong));
        }
        let mut cells = Cells::with_capacity(self.known.len());
        for (name, index) in &self.known {
            if let Some(cell) = record.get(*index).filter(|cell| !is_blank(cell)) {
                cells.push((name, cell.to_owned()));
            }
        }
        Ok(cells)
    }
}

#[cfg(test)]
mod tests;
