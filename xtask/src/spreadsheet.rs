//! Cells of CSV files that are opened in a spreadsheet program.

use std::borrow::Cow;

/// The first characters by which a spreadsheet program takes a cell for a formula (OWASP, "CSV Injection").
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The cell with an apostrophe before it, if a spreadsheet program would run it as a formula. An apostrophe shows a cell as
/// text. One that has apostrophes already gets one more, so that [`unprotected`] finds the cell as it was.
pub(crate) fn protected(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) { format!("'{cell}").into() } else { cell.into() }
}

/// The cell as it was before [`protected`].
pub(crate) fn unprotected(cell: String) -> String {
    match cell.strip_prefix('\'') {
        Some(original) if is_formula(original) => original.to_owned(),
        _ => cell,
    }
}

fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(FORMULA_STARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_protected_and_comes_back_as_it_was() {
        for (cell, shown) in [
            ("=1+1", "'=1+1"),
            ("+34 600", "'+34 600"),
            ("-", "'-"),
            ("@work", "'@work"),
            ("\tx", "'\tx"),
            ("'=1+1", "''=1+1"),
            ("O'Neill", "O'Neill"),
            ("'quoted'", "'quoted'"),
            ("", ""),
        ] {
            assert_eq!(protected(cell), shown);
            assert_eq!(unprotected(shown.to_owned()), cell);
        }
    }
}
