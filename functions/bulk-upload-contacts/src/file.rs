//! An uploaded file of contacts: RFC 4180 with what spreadsheets make of it. A BOM, `;` or a tab for the comma, and any
//! line break are taken; what a person could not have meant is refused with its line, before any row is read.

mod form;
mod quotes;

use std::fmt;

use csv::{ReaderBuilder, StringRecord};
use shared::ApiError;
use shared::domain::{InvalidValue, ValidationErrors, is_blank};
use shared::wire::{Cells, FieldDescription, columns};

pub(crate) use form::file_of;

/// The characters that separate cells. The last one wins a tie: a file without any is a file with commas.
const DELIMITERS: [u8; 3] = [b'\t', b';', b','];

/// The rows of a file, in its order: the cells of each that are not blank, or why the row has none.
///
/// The first line is the header: names in any case and order; unknown columns are ignored. Lines without text are not rows. A
/// blank cell counts as a field that was not sent. Rows are read one at a time: a file may have millions of them.
///
/// # Errors
/// The file has no text or is not UTF-8, a quote is missing or surplus, a required column is missing, or a known one is
/// repeated.
pub(crate) fn rows(file: &[u8]) -> Result<impl Iterator<Item = Result<Cells, ValidationErrors>>, ParseError> {
    let text = text(file)?;
    let known = columns();
    let delimiter = delimiter(text, &known);
    quotes::check(text, delimiter)?;
    let mut records = records(text, delimiter);
    let header = records.next().ok_or_else(|| ParseError("the file is empty".to_owned()))?;
    let columns = Columns::read(&header, &known)?;
    Ok(records.map(move |record| columns.cells(&record)))
}

/// Why a file has no rows: where, and what is wrong there, in words for whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParseError(String);

impl ParseError {
    /// What is wrong right after the part of the file that comes `before`.
    fn after(before: &[u8], fault: impl fmt::Display) -> Self {
        let next = before.iter().skip(1).chain([&0]);
        // CRLF is one line break, and so is either half of it alone.
        let ends_a_line = |(byte, next): &(&u8, &u8)| **byte == b'\n' || (**byte == b'\r' && **next != b'\n');
        let line = 1 + before.iter().zip(next).filter(ends_a_line).count();
        Self(format!("line {line}: {fault}"))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ParseError> for ApiError {
    fn from(ParseError(fault): ParseError) -> Self {
        Self::CsvParse(fault)
    }
}

/// The file's text without its byte order mark. A file put together out of several may begin with more than one, of
/// which the reader would take another away, unlike the check of the quotes.
fn text(file: &[u8]) -> Result<&str, ParseError> {
    let text = str::from_utf8(file).map_err(|error| {
        let (valid, _) = file.split_at(error.valid_up_to());
        ParseError::after(valid, "not UTF-8 text; save the file as CSV UTF-8")
    })?;
    Ok(text.trim_start_matches('\u{FEFF}'))
}

/// The delimiter by which the header has the most known columns.
fn delimiter(text: &str, known: &[FieldDescription]) -> u8 {
    let columns = |delimiter: &u8| {
        let header = records(text, *delimiter).next();
        header.map_or(0, |header| header.iter().filter_map(|cell| name_of(cell, known)).count())
    };
    DELIMITERS.into_iter().max_by_key(columns).unwrap_or(b',')
}

/// The lines of a file that hold any text.
fn records(text: &str, delimiter: u8) -> impl Iterator<Item = StringRecord> {
    let reader =
        ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    // Nothing fails: the text is in memory, it is UTF-8, and its records may have any length.
    reader.into_records().map_while(Result::ok).filter(|record| !record.iter().all(is_blank))
}

/// The known column that a cell of the header names.
fn name_of(cell: &str, known: &[FieldDescription]) -> Option<&'static str> {
    known.iter().map(|column| column.name).find(|name| cell.trim().eq_ignore_ascii_case(name))
}

/// The columns of a file.
struct Columns {
    /// The number of columns.
    width: usize,
    /// The known columns, each with its index.
    known: Vec<(&'static str, usize)>,
}

impl Columns {
    fn read(header: &StringRecord, known: &[FieldDescription]) -> Result<Self, ParseError> {
        let named: Vec<_> =
            header.iter().enumerate().filter_map(|(index, cell)| Some((name_of(cell, known)?, index))).collect();
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
