//! The rows of a file, validated as the API validates them.

use std::io::BufRead;

use anyhow::Result;
use shared::domain::{Email, InvalidValue, Upsert, ValidationErrors, is_blank};
use shared::wire::{Cells, Fields, FromFields, Purpose};

use super::mapping::Mapping;
use super::records::{Record, Records};
use super::rejected::is_rejected;
use crate::spreadsheet::unprotected;

/// A row of a file.
pub(super) struct Row {
    /// The number of the row, from 1. The header and blank lines are not counted.
    pub(super) number: u64,
    /// The line on which the row begins, from 1.
    pub(super) line: u64,
    /// The cells, without the protection that a file of refused rows gives them.
    pub(super) cells: Vec<String>,
    /// The fields of a valid row, or the reason why the row is invalid.
    pub(super) fields: Result<ValidRow, String>,
}

/// The fields of a valid row.
pub(super) struct ValidRow {
    pub(super) email: Email,
    pub(super) cells: Cells,
}

/// The rows of a file.
pub(super) struct Rows<'a, R> {
    records: Records<R>,
    mapping: &'a Mapping,
    /// The number of columns of the header.
    width: usize,
    /// Whether the cells are protected.
    is_rejected: bool,
    number: u64,
}

impl<'a, R: BufRead> Rows<'a, R> {
    /// The rows after a header.
    pub(super) fn new(records: Records<R>, mapping: &'a Mapping, header: &[String]) -> Self {
        Self { records, mapping, width: header.len(), is_rejected: is_rejected(header), number: 0 }
    }

    /// The next row.
    ///
    /// # Errors
    /// The file cannot be read, or a quote in it is missing or superfluous.
    pub(super) fn next_row(&mut self) -> Result<Option<Row>> {
        while let Some(Record { line, mut cells }) = self.records.next_record()? {
            if self.is_rejected {
                cells = cells.into_iter().map(unprotected).collect();
            }
            if cells.iter().all(|cell| is_blank(cell)) {
                continue;
            }
            self.number += 1;
            let fields = if cells.len() == self.width {
                validate(self.mapping.cells(&cells)).map_err(|errors| reason(&errors))
            } else {
                let wrong = InvalidValue::WrongColumnCount { found: cells.len(), expected: self.width };
                Err(wrong.to_string())
            };
            return Ok(Some(Row { number: self.number, line, cells, fields }));
        }
        Ok(None)
    }
}

/// Validates a row by the code of the API.
fn validate(cells: Cells) -> Result<ValidRow, ValidationErrors> {
    let mut fields = Fields::of_csv_row(&cells, Purpose::Create);
    let upsert = Upsert::read(&mut fields);
    let email = fields.finish(upsert)?.email().clone();
    Ok(ValidRow { email, cells })
}

/// The reasons why a row is invalid.
fn reason(errors: &ValidationErrors) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;
    use shared::repositories::Plan;
    use shared::wire::{OnError, Upload};

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        rows: Vec<RowVector>,
    }

    #[derive(Deserialize)]
    struct RowVector {
        row: BTreeMap<String, String>,
        errors: Vec<String>,
    }

    #[test]
    fn the_reasons_of_the_vectors_are_those_of_the_api() {
        let vectors: Vectors = serde_json::from_str(include_str!("../../../shared/csv-import/vectors.json")).unwrap();
        assert!(vectors.rows.len() > 60);
        let mut failures = Vec::new();
        for RowVector { row, errors: expected } in vectors.rows {
            let (headers, cells): (Vec<_>, Vec<_>) = row.into_iter().unzip();
            let cells = Mapping::of(&headers, &[]).unwrap().cells(&cells);
            let body: BTreeMap<_, _> = cells.iter().map(|(field, cell)| (*field, cell.as_str())).collect();
            let upload = Upload::from_json(json!([body]).to_string().as_bytes()).unwrap();
            let uploaded = upload.report(&Plan::default()).check(OnError::Abort).err();

            let errors = validate(cells.clone()).err();

            let texts: Vec<_> = errors.iter().flat_map(|errors| errors.iter().map(ToString::to_string)).collect();
            let sent: Vec<_> = uploaded.iter().flat_map(|errors| errors.iter().map(ToString::to_string)).collect();
            assert_eq!(sent, texts.iter().map(|text| format!("row 1: {text}")).collect::<Vec<_>>(), "{body:?}");
            if texts != expected {
                failures.push(format!("{}\n  found {texts:?}\n  expected {expected:?}", json!(body)));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    fn rows(text: &str) -> Vec<(u64, u64, Result<(), String>)> {
        let header = ["Email", "Name", "LinkedIn"].map(str::to_owned);
        let mapping = Mapping::of(&header, &[]).unwrap();
        let mut rows = Rows::new(Records::new(text.as_bytes(), b','), &mapping, &header);
        let mut read = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            read.push((row.number, row.line, row.fields.map(drop)));
        }
        read
    }

    #[test]
    fn blank_lines_are_no_rows_and_a_row_has_the_columns_of_the_header() {
        let text = "\n,,\njane.doe@example.com,Jane Doe,in/janedoe\n \njane,Jane Doe\n,,in/janedoe,\n";
        let wrong = |found: &str| Err(format!("has {found} instead of 3"));
        assert_eq!(rows(text), [(1, 3, Ok(())), (2, 5, wrong("2 columns")), (3, 6, wrong("4 columns"))]);
    }

    #[test]
    fn the_cells_of_refused_rows_lose_their_protection() {
        for (first, name) in [("row", "=Jane"), ("number", "'=Jane")] {
            let header = [first, "reason", "Email", "Name", "LinkedIn"].map(str::to_owned);
            let mapping = Mapping::of(&header, &[]).unwrap();
            let text = "1,invalid,jane,'=Jane,in/jane\n";
            let mut rows = Rows::new(Records::new(text.as_bytes(), b','), &mapping, &header);
            assert_eq!(rows.next_row().unwrap().unwrap().cells[3], name);
        }
    }
}
