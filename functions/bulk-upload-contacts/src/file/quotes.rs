//! Checks that the quotes of a CSV file match.
//!
//! A CSV reader never fails. It takes the rest of the file into a quoted value that is not closed, and appends the text
//! after a closing quote to the value. One wrong character thus makes other contacts out of a file without an error. A file
//! with such a quote is refused instead.

use super::ParseError;

/// Refuses a file in which a quote is missing or superfluous.
///
/// A cell that begins with a quote is quoted as in RFC 4180, section 2, rules 5 to 7. In every other cell quotes are text,
/// as spreadsheets read them (`{"a":1}`, `Jane "JD" Doe`), but their number must be even. A valid file therefore has an
/// even number of quotes, and becomes invalid if any single quote is removed or added.
///
/// # Errors
/// The line on which the first invalid cell begins.
pub(super) fn check(text: &str, delimiter: u8) -> Result<(), ParseError> {
    let separators = [delimiter.into(), '\r', '\n'];
    let mut rest = text;
    while !rest.is_empty() {
        let before = &text[..text.len() - rest.len()];
        let after = after_cell(rest, separators).map_err(|message| ParseError::after(before.as_bytes(), message))?;
        rest = after.strip_prefix(separators).unwrap_or(after);
    }
    Ok(())
}

/// Returns the text after the first cell, which begins with the cell's separator unless it is empty.
fn after_cell(rest: &str, separators: [char; 3]) -> Result<&str, &'static str> {
    if let Some(quoted) = rest.strip_prefix('"') {
        let after = after_closing_quote(quoted).ok_or("a quoted value is never closed")?;
        if !after.is_empty() && !after.starts_with(separators) {
            return Err("text after the closing quote of a value; write a quote inside it twice");
        }
        return Ok(after);
    }
    let (cell, after) = rest.split_at(rest.find(separators).unwrap_or(rest.len()));
    if cell.trim_start().starts_with('"') {
        return Err("a space before the opening quote of a value");
    }
    if !cell.matches('"').count().is_multiple_of(2) {
        return Err("an unmatched quote");
    }
    Ok(after)
}

/// Returns the text after the first quote that is not doubled.
fn after_closing_quote(quoted: &str) -> Option<&str> {
    let mut rest = quoted;
    loop {
        let (_, after) = rest.split_once('"')?;
        match after.strip_prefix('"') {
            Some(doubled) => rest = doubled,
            None => return Some(after),
        }
    }
}
