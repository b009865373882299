//! An uploaded file of contacts: RFC 4180 with what spreadsheets make of it. A BOM, `;` or a tab for the comma, and any
//! line break are taken; what a person could not have meant is refused with its line, before any row is read.

mod form;
mod quotes;

use std::fmt;

use csv::{ReaderBuilder, StringRecord};
use shared::ApiError;
use shared::domain::{ValidationErrors, is_blank};
use shared::wire::ContactForm;

pub(crate) use form::file_of;

/// The columns that have to be there.
const REQUIRED: [&str; 3] = ["full_name", "email", "linkedin_profile"];

/// The columns that may be there.
const OPTIONAL: [&str; 5] = ["company", "locale", "timezone", "metadata", "enrichment"];

/// The characters that separate cells. The last one wins a tie: a file without any is a file with commas.
const DELIMITERS: [u8; 3] = [b'\t', b';', b','];

/// The rows of a file, in its order: each the fields it has, or what is wrong with its shape.
///
/// The first line is the header: names in any case and order, of which those unknown are passed over. Lines without any
/// text are no rows. A blank cell is a field that was not sent. Rows are read as they are asked for: a file may have
/// millions of them.
///
/// # Errors
/// No text at all, or not UTF-8; a quote missing or too many; a required column missing, or a known one there twice.
pub(crate) fn rows(file: &[u8]) -> Result<impl Iterator<Item = Result<ContactForm, ValidationErrors>>, ParseError> {
    let text = text(file)?;
    let delimiter = delimiter(text);
    quotes::check(text, delimiter)?;
    let mut records = records(text, delimiter);
    let header = records.next().ok_or_else(|| ParseError("the file is empty".to_owned()))?;
    let columns = Columns::read(&header)?;
    Ok(records.map(move |record| columns.form(&record)))
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
        Self::UnparsableFile(fault)
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

/// The delimiter under which the header has the most known columns.
fn delimiter(text: &str) -> u8 {
    let columns = |delimiter: &u8| {
        let header = records(text, *delimiter).next();
        header.map_or(0, |header| header.iter().filter_map(known).count())
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

fn columns() -> impl Iterator<Item = &'static str> {
    REQUIRED.into_iter().chain(OPTIONAL)
}

/// The known column that a header's cell names.
fn known(cell: &str) -> Option<&'static str> {
    columns().find(|name| cell.trim().eq_ignore_ascii_case(name))
}

/// What a header says.
struct Columns {
    /// How many columns there are.
    width: usize,
    /// The known ones, each with its place.
    known: Vec<(&'static str, usize)>,
}

impl Columns {
    fn read(header: &StringRecord) -> Result<Self, ParseError> {
        let known: Vec<_> = header.iter().enumerate().filter_map(|(place, cell)| Some((known(cell)?, place))).collect();
        let times = |name: &str| known.iter().filter(|(known, _)| *known == name).count();
        let missing: Vec<_> = REQUIRED.into_iter().filter(|name| times(name) == 0).collect();
        if !missing.is_empty() {
            return Err(ParseError(format!("the header lacks {}", missing.join(", "))));
        }
        let repeated: Vec<_> = columns().filter(|name| times(name) > 1).collect();
        if !repeated.is_empty() {
            return Err(ParseError(format!("the header repeats {}", repeated.join(", "))));
        }
        Ok(Self { width: header.len(), known })
    }

    /// What a line sends.
    fn form(&self, record: &StringRecord) -> Result<ContactForm, ValidationErrors> {
        match record.len() {
            width if width == self.width => Ok(ContactForm::from_texts(|name| self.cell(record, name))),
            1 => Err(ValidationErrors::fault(format_args!("has 1 column instead of {}", self.width))),
            width => Err(ValidationErrors::fault(format_args!("has {width} columns instead of {}", self.width))),
        }
    }

    fn cell(&self, record: &StringRecord, name: &str) -> Option<String> {
        let (_, place) = self.known.iter().find(|(known, _)| *known == name)?;
        record.get(*place).filter(|cell| !is_blank(cell)).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests;
