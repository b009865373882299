//! A reader of CSV that is strict about quotes, and holds one record in memory.
//!
//! **Problem.** A lenient reader takes the rest of a file into a quoted value that is not closed, and makes wrong contacts out
//! of it without an error. The API refuses such a file (`bulk_upload_contacts::file`), but it holds the file in memory, and
//! this one may have millions of rows.
//!
//! **Approach.** The API's rules, applied byte by byte: a cell that begins with a quote is quoted as in RFC 4180; in every other
//! cell quotes are text, but their number must be even. A record has at most [`MAX_RECORD`] bytes, so that an unclosed quote
//! is an error before it has filled the memory. A test compares this reader with the API's.
//!
//! **Rejected.** The `csv` crate behind a check of the quotes: it does not say on which line a record begins if lines end in
//! CRLF or are blank, and it reads what the check has already taken apart once more.

use std::io::BufRead;
use std::mem;

use anyhow::{Context, Result, bail, ensure};

/// The most bytes of a record: sixteen times the largest `metadata`.
const MAX_RECORD: usize = 1 << 20;

/// A record of a file: a header or a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    pub(super) cells: Vec<String>,
}

/// The records of a file in UTF-8.
pub(super) struct Records<R> {
    reader: R,
    parser: Parser,
}

/// The state of reading: the position in the file, and the record that is not complete yet.
struct Parser {
    delimiter: u8,
    /// The line of the next byte.
    line: u64,
    last_byte: u8,
    state: State,
    cells: Vec<String>,
    cell: Vec<u8>,
    /// The lines on which the record and the cell begin.
    record_line: u64,
    cell_line: u64,
    /// The bytes of the record.
    len: usize,
}

/// The position within a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte, or after blanks only.
    Start,
    /// In a cell that does not begin with a quote.
    Unquoted { has_odd_quotes: bool },
    /// In a cell that begins with a quote.
    Quoted,
    /// After a quote in a quoted cell: it closes the cell, or is the first of two.
    AfterQuote,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(reader: R, delimiter: u8) -> Self {
        let parser = Parser {
            delimiter,
            line: 1,
            last_byte: 0,
            state: State::Start,
            cells: Vec::new(),
            cell: Vec::new(),
            record_line: 1,
            cell_line: 1,
            len: 0,
        };
        Self { reader, parser }
    }

    /// The next record. An empty line is no record.
    ///
    /// # Errors
    /// The line of a quote that is missing or superfluous, or of a record that is too long.
    pub(super) fn next_record(&mut self) -> Result<Option<Record>> {
        loop {
            let buffer = self.reader.fill_buf().context("cannot read the file")?;
            if buffer.is_empty() {
                self.parser.end_of_file()?;
                return Ok(self.parser.take_record());
            }
            let (mut read, mut record) = (0, None);
            for &byte in buffer {
                read += 1;
                if self.parser.read(byte)? {
                    record = self.parser.take_record();
                    if record.is_some() {
                        break;
                    }
                }
            }
            self.reader.consume(read);
            if record.is_some() {
                return Ok(record);
            }
        }
    }
}

impl Parser {
    /// Reads a byte; `true` if it ends a line outside of quotes.
    fn read(&mut self, byte: u8) -> Result<bool> {
        if self.len == 0 {
            (self.record_line, self.cell_line) = (self.line, self.line);
        }
        // The second byte of a CRLF.
        let is_line_feed_of_crlf = byte == b'\n' && self.last_byte == b'\r';
        self.last_byte = byte;
        if matches!(byte, b'\r' | b'\n') && !is_line_feed_of_crlf {
            self.line += 1;
        }
        if is_line_feed_of_crlf && self.len == 0 {
            return Ok(false);
        }
        self.len += 1;
        ensure!(
            self.len <= MAX_RECORD,
            "line {}: a row of more than 1 MB begins here: is a closing quote missing?",
            self.record_line
        );
        let is_separator = byte == self.delimiter || matches!(byte, b'\r' | b'\n');
        self.state = match (self.state, byte) {
            (State::Quoted, b'"') => State::AfterQuote,
            (State::Quoted, _) => self.keep(byte, State::Quoted),
            (state, _) if is_separator => {
                self.end_cell(state)?;
                let ends_line = byte != self.delimiter;
                if ends_line {
                    return Ok(true);
                }
                State::Start
            }
            (State::AfterQuote, b'"') => self.keep(byte, State::Quoted),
            (State::AfterQuote, _) => {
                return self.fail("text after the closing quote of a value; write a quote inside it twice");
            }
            (State::Start, b'"') if self.cell.is_empty() => State::Quoted,
            (State::Start, b'"') => return self.fail("a space before the opening quote of a value"),
            (State::Start, _) if byte.is_ascii_whitespace() => self.keep(byte, State::Start),
            (State::Start, _) => self.keep(byte, State::Unquoted { has_odd_quotes: false }),
            (State::Unquoted { has_odd_quotes }, b'"') => {
                self.keep(byte, State::Unquoted { has_odd_quotes: !has_odd_quotes })
            }
            (state @ State::Unquoted { .. }, _) => self.keep(byte, state),
        };
        Ok(false)
    }

    fn end_of_file(&mut self) -> Result<()> {
        if self.len > 0 {
            if self.state == State::Quoted {
                return self.fail("a quoted value is never closed");
            }
            self.end_cell(self.state)?;
        }
        Ok(())
    }

    /// The record, if it has at least one byte.
    fn take_record(&mut self) -> Option<Record> {
        let cells = mem::take(&mut self.cells);
        let is_empty_line = self.len <= 1 && cells.iter().all(String::is_empty);
        (self.len, self.state) = (0, State::Start);
        if is_empty_line { None } else { Some(Record { line: self.record_line, cells }) }
    }

    fn keep(&mut self, byte: u8, state: State) -> State {
        self.cell.push(byte);
        state
    }

    fn end_cell(&mut self, state: State) -> Result<()> {
        if state == (State::Unquoted { has_odd_quotes: true }) {
            return self.fail("an unmatched quote");
        }
        self.cells.push(String::from_utf8_lossy(&self.cell).into_owned());
        self.cell.clear();
        self.cell_line = self.line;
        Ok(())
    }

    fn fail<T>(&self, message: &str) -> Result<T> {
        bail!("line {}: {message}", self.cell_line)
    }
}

#[cfg(test)]
mod tests {
    use bulk_upload_contacts::file;
    use fastrand::Rng;

    use super::*;

    /// The records of a text, which is read a few bytes at a time.
    fn read(text: &str) -> Result<Vec<(u64, Vec<String>)>> {
        let reader = std::io::BufReader::with_capacity(3, text.as_bytes());
        let mut records = Records::new(reader, b',');
        let mut read = Vec::new();
        while let Some(Record { line, cells }) = records.next_record()? {
            read.push((line, cells));
        }
        Ok(read)
    }

    #[test]
    fn records_have_the_line_on_which_they_begin() {
        for line_break in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "", "\"c", "d\",e", "\"f\"\"g\",\"\"", "h \"i\",", "last"].join(line_break);
            let expected: [(u64, &[&str]); 5] = [
                (1, &["a", "b"]),
                (3, &[&format!("c{line_break}d"), "e"]),
                (5, &["f\"g", ""]),
                (6, &["h \"i\"", ""]),
                (7, &["last"]),
            ];
            let expected = expected.map(|(line, cells)| (line, cells.iter().map(|&cell| cell.to_owned()).collect()));
            assert_eq!(read(&text).unwrap(), expected, "{line_break:?}");
        }
    }

    #[test]
    fn a_wrong_quote_is_an_error_with_its_line() {
        for (text, error) in [
            ("a\nb,\"c\nd", "line 2: a quoted value is never closed"),
            ("a\n\"b\"c", "line 2: text after the closing quote of a value; write a quote inside it twice"),
            ("a\n\"b\nc\", \"d\"", "line 3: a space before the opening quote of a value"),
            ("a\r\nb\"c\r\n", "line 2: an unmatched quote"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), error, "{text:?}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
        let text = format!("a\nb\n\"{}", "x\n".repeat(MAX_RECORD));
        let error = read(&text).unwrap_err().to_string();
        assert_eq!(error, "line 3: a row of more than 1 MB begins here: is a closing quote missing?");
    }

    /// Random files, as the reader of the API reads them: the same cells, or the same error.
    #[test]
    fn a_file_is_read_as_the_api_reads_it() {
        const HEADER: &str = "email,full_name,linkedin_profile\n";
        let mut rng = Rng::with_seed(12);
        let (mut valid, mut invalid) = (0, 0);
        for _ in 0..20_000 {
            let len = rng.usize(..14);
            let body: String =
                (0..len).filter_map(|_| rng.choice(['a', 'b', ' ', '"', '"', ',', '\n', '\r'])).collect();
            let text = format!("{HEADER}{body}");
            let ours = read(&text).map_err(|error| error.to_string());
            match (file::rows(text.as_bytes()), ours) {
                (Err(error), ours) => {
                    invalid += 1;
                    assert_eq!(ours, Err(error.to_string()), "{text:?}");
                }
                (Ok(rows), ours) => {
                    valid += 1;
                    let is_row =
                        |(_, cells): &(u64, Vec<String>)| !cells.iter().all(|cell| shared::domain::is_blank(cell));
                    let ours: Vec<_> = ours.unwrap().into_iter().skip(1).filter(is_row).collect();
                    let theirs: Vec<_> = rows.collect();
                    assert_eq!(ours.len(), theirs.len(), "{text:?}");
                    for ((_, cells), theirs) in ours.iter().zip(theirs) {
                        let Ok(theirs) = theirs else {
                            assert_ne!(cells.len(), 3, "{text:?}");
                            continue;
                        };
                        let cells: Vec<_> = cells.iter().filter(|cell| !shared::domain::is_blank(cell)).collect();
                        assert_eq!(cells, theirs.iter().map(|(_, cell)| cell).collect::<Vec<_>>(), "{text:?}");
                    }
                }
            }
        }
        assert!(valid > 1_000 && invalid > 1_000, "{valid} valid, {invalid} invalid");
    }
}
