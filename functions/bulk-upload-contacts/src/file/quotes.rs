//! Quotes that match. A CSV reader never fails: a quote that is not closed takes in the rest of the file, and what
//! follows a closing quote is added to the value, so that one wrong character makes other contacts out of a file without
//! a word. Here the file is refused instead.

use super::ParseError;

/// Refuses a file in which a quote is missing or too many.
///
/// A cell that begins with a quote is quoted as in RFC 4180, §2.5–7. In any other cell quotes are text, as spreadsheets
/// read them (`{"a":1}`, `Jane "JD" Doe`), but in pairs. So a file has an even number of quotes, and one with any single
/// quote removed or added is refused wherever that is.
///
/// # Errors
/// The line where the first such cell begins.
pub(super) fn check(text: &str, delimiter: u8) -> Result<(), ParseError> {
    let separators = [delimiter.into(), '\r', '\n'];
    let mut rest = text;
    while !rest.is_empty() {
        let before = &text[..text.len() - rest.len()];
        let after = after_cell(rest, separators).map_err(|fault| ParseError::after(before.as_bytes(), fault))?;
        rest = after.strip_prefix(separators).unwrap_or(after);
    }
    Ok(())
}

/// What follows the first cell, beginning with its separator.
fn after_cell(rest: &str, separators: [char; 3]) -> Result<&str, &'static str> {
    if let Some(quoted) = rest.strip_prefix('"') {
        let after = after_closing_quote(quoted).ok_or("a quoted value is never closed")?;
        let closed = after.is_empty() || after.starts_with(separators);
        return closed.then_some(after).ok_or("text after the closing quote of a value; write a quote inside it twice");
    }
    let (cell, after) = rest.split_at(rest.find(separators).unwrap_or(rest.len()));
    if cell.trim_start().starts_with('"') {
        return Err("a space before the opening quote of a value");
    }
    let paired = cell.matches('"').count().is_multiple_of(2);
    paired.then_some(after).ok_or("a quote that is missing its other one")
}

/// What follows the first quote that is not one of two.
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
