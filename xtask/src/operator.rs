//! What operators' commands have in common: they ask before they destroy something, and print for people or for machines.

use std::fmt::{self, Display};
use std::io::{self, BufRead, IsTerminal, Write};
use std::iter;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

/// How a command prints its result.
#[derive(clap::Args, Debug, Clone, Copy, Default)]
pub(crate) struct OutputOptions {
    /// Print JSON for machines, instead of text for people
    #[arg(long)]
    json: bool,
}

/// Whether a command asks.
#[derive(clap::Args, Debug, Clone, Copy, Default)]
pub(crate) struct ConfirmOptions {
    /// Do not ask, as scripts need it
    #[arg(long)]
    pub(crate) yes: bool,
}

/// A table for people: columns of equal width, without a border.
#[derive(Debug)]
pub(crate) struct TextTable<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl OutputOptions {
    /// Prints the result of a command to standard output.
    pub(crate) fn print(self, result: &(impl Serialize + Display)) -> Result<()> {
        let text = if self.json { serde_json::to_string_pretty(result)? } else { result.to_string() };
        writeln!(io::stdout().lock(), "{}", text.trim_end()).context("cannot write to standard output")
    }
}

impl ConfirmOptions {
    /// Fails if a question could not be answered, for a command that takes its time before it asks.
    pub(crate) fn ensure_answerable(self) -> Result<()> {
        self.ensure_answerable_on(io::stdin().is_terminal())
    }

    /// Asks on the terminal whether to go on; anything but `yes` is an error.
    pub(crate) fn ask(self, question: &str) -> Result<()> {
        let stdin = io::stdin();
        let is_terminal = stdin.is_terminal();
        self.ask_on(&mut stdin.lock(), is_terminal, question)
    }

    fn ask_on(self, input: &mut impl BufRead, is_terminal: bool, question: &str) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        self.ensure_answerable_on(is_terminal)?;
        inform(&format!("{question} Type yes to confirm:"));
        let mut line = String::new();
        input.read_line(&mut line).context("cannot read from the terminal")?;
        ensure!(line.trim().eq_ignore_ascii_case("yes"), "nothing is changed: it was not confirmed");
        Ok(())
    }

    fn ensure_answerable_on(self, is_terminal: bool) -> Result<()> {
        let is_answerable = self.yes || is_terminal;
        ensure!(is_answerable, "nothing is changed: there is no terminal to ask on, so pass --yes to confirm");
        Ok(())
    }
}

impl<const COLUMNS: usize> TextTable<COLUMNS> {
    /// A table with these headings and no rows.
    pub(crate) fn new(headings: [&str; COLUMNS]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: [String; COLUMNS]) {
        self.rows.push(row);
    }
}

impl<const COLUMNS: usize> Display for TextTable<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = [0; COLUMNS];
        for row in &self.rows {
            for (width, cell) in iter::zip(&mut widths, row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &self.rows {
            let cells = iter::zip(row, widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Tells the operator on standard error what the command is doing, so that standard output has the result only.
#[expect(clippy::print_stderr, reason = "the operator waits for it")]
pub(crate) fn inform(text: &str) {
    eprintln!("{text}");
}

/// Shows on standard error what the repositories log, such as an item that a list leaves out because it cannot be read.
pub(crate) fn show_log() {
    tracing_subscriber::fmt().with_max_level(LevelFilter::ERROR).with_writer(io::stderr).without_time().init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_confirms() {
        let ask = |answer: &str| ConfirmOptions::default().ask_on(&mut answer.as_bytes(), true, "Delete it?");
        for answer in ["yes\n", " YES \n", "yes"] {
            assert!(ask(answer).is_ok(), "{answer:?}");
        }
        for answer in ["", "\n", "y\n", "no\n", "yes, but\n"] {
            assert_eq!(ask(answer).unwrap_err().to_string(), "nothing is changed: it was not confirmed", "{answer:?}");
        }
    }

    #[test]
    fn a_script_has_to_confirm_by_an_option() {
        let ask = |yes| ConfirmOptions { yes }.ask_on(&mut "yes\n".as_bytes(), false, "Delete it?");
        assert!(ask(true).is_ok());
        assert!(ConfirmOptions { yes: true }.ensure_answerable_on(false).is_ok());
        let error = "nothing is changed: there is no terminal to ask on, so pass --yes to confirm";
        assert_eq!(ask(false).unwrap_err().to_string(), error);
        assert_eq!(ConfirmOptions::default().ensure_answerable_on(false).unwrap_err().to_string(), error);
    }

    #[test]
    fn the_columns_of_a_table_are_aligned() {
        let mut table = TextTable::new(["id", "name", "since"]);
        table.push(["1", "Müller", ""].map(str::to_owned));
        table.push(["22", "A", "today"].map(str::to_owned));
        assert_eq!(table.to_string(), "id  name    since\n1   Müller\n22  A       today\n");
    }
}
