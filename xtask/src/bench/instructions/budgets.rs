//! The file of the budgets, and the comparison with what was counted.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use toml_edit::{DocumentMut, value};

use super::super::variant::Operation;
use crate::files::write_atomically;
use crate::results::print_line;
use crate::tools;

/// The file, in the checkout.
const FILE: &str = "xtask/bench/instructions.toml";

/// Instructions by the names of operations.
pub(super) type Counts = BTreeMap<&'static str, u64>;

/// The budgets, and what they hold for.
pub(super) struct Budgets {
    file: PathBuf,
    text: String,
    content: Content,
    /// This machine's compiler.
    compiler: String,
}

/// The content of the file.
#[derive(Debug, Deserialize)]
struct Content {
    /// The architecture of the machine that counted.
    architecture: String,
    /// What `rustc --version` printed there.
    compiler: String,
    /// By how much a count may differ from its budget.
    tolerance_percent: u64,
    /// The budgets, by the names of operations.
    instructions: BTreeMap<String, u64>,
}

/// A count beside its budget.
#[derive(Debug, PartialEq)]
struct Comparison {
    line: String,
    is_within: bool,
}

impl Budgets {
    /// Reads the file. The budgets hold for one architecture.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let file = root.join(FILE);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {FILE}"))?;
        let content: Content = toml_edit::de::from_str(&text).with_context(|| format!("cannot parse {FILE}"))?;
        let (here, there) = (env::consts::ARCH, &content.architecture);
        ensure!(here == there, "the budgets are for {there}, and this machine is {here}: run this on {there}");
        let compiler = tools::quietly(Command::new("rustc").arg("--version").current_dir(root))?.trim().to_owned();
        Ok(Self { file, text, content, compiler })
    }

    /// The budget of an operation.
    pub(super) fn budget(&self, operation: Operation) -> Option<u64> {
        self.content.instructions.get(operation.name()).copied()
    }

    /// Prints the counts beside their budgets. Fails if one is outside of the tolerance, above or below.
    pub(super) fn check(&self, counts: &Counts) -> Result<()> {
        let comparisons = counts.iter().map(|(operation, count)| self.content.compare(operation, *count));
        let comparisons = comparisons.collect::<Result<Vec<_>>>()?;
        for comparison in &comparisons {
            print_line(&comparison.line);
        }
        let outside: Vec<_> = comparisons.into_iter().filter(|comparison| !comparison.is_within).collect();
        if outside.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> = outside.iter().map(|comparison| comparison.line.as_str()).collect();
        bail!("{}{}", lines.join("; "), self.content.compiler_note(&self.compiler))
    }

    /// Writes the counts as the budgets of their operations, and the compiler.
    pub(super) fn update(&mut self, counts: &Counts) -> Result<()> {
        let counted_all = self.content.instructions.keys().all(|operation| counts.contains_key(operation.as_str()));
        let is_same_compiler = self.content.compiler == self.compiler;
        ensure!(counted_all || is_same_compiler, "the compiler has changed: update the budgets of all operations");
        let mut document: DocumentMut = self.text.parse()?;
        document["compiler"] = value(&self.compiler);
        for (operation, count) in counts {
            document["instructions"][operation] = value(i64::try_from(*count)?);
            print_line(&format!("{operation}: {count} instructions"));
        }
        write_atomically(&self.file, &document.to_string())
    }
}

impl Content {
    fn compare(&self, operation: &str, count: u64) -> Result<Comparison> {
        let budget = self.instructions.get(operation);
        let budget = *budget.with_context(|| format!("{operation} has no budget: write one with --update"))?;
        let percent = percent_over(count, budget);
        let measured = format!("{operation}: {count} instructions, {percent:+.1} % of the budget of {budget}");
        if count.abs_diff(budget) * 100 <= budget * self.tolerance_percent {
            return Ok(Comparison { line: measured, is_within: true });
        }
        let tolerance = self.tolerance_percent;
        let advice =
            if percent > 0.0 { "find what was added, or accept it" } else { "keep the gain: lower the budget" };
        let line =
            format!("{measured}, tolerance {tolerance} %: {advice} (`cargo xtask instructions {operation} --update`)");
        Ok(Comparison { line, is_within: false })
    }

    /// A hint that the compiler may be the reason of a difference.
    fn compiler_note(&self, here: &str) -> String {
        if self.compiler == here {
            return String::new();
        }
        format!("; the budgets were counted with {}, and this is {here}, which may be the reason", self.compiler)
    }
}

/// By how many percent a count is over a budget; negative below it.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn percent_over(count: u64, budget: u64) -> f64 {
    (count as f64 / budget as f64 - 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    fn content() -> Content {
        Content {
            architecture: "x86_64".to_owned(),
            compiler: "rustc 1.95.0".to_owned(),
            tolerance_percent: 3,
            instructions: BTreeMap::from([("create".to_owned(), 1_000_000)]),
        }
    }

    #[test]
    fn a_count_may_differ_from_its_budget_by_the_tolerance() {
        for count in [970_000, 1_000_000, 1_030_000] {
            assert!(content().compare("create", count).unwrap().is_within, "{count}");
        }
        let within = content().compare("create", 1_012_345).unwrap();
        assert_eq!(within.line, "create: 1012345 instructions, +1.2 % of the budget of 1000000");
    }

    #[test]
    fn a_count_above_the_tolerance_says_what_to_do() {
        let above = content().compare("create", 1_066_000).unwrap();
        assert!(!above.is_within);
        assert_eq!(
            above.line,
            "create: 1066000 instructions, +6.6 % of the budget of 1000000, tolerance 3 %: find what was added, or accept \
             it (`cargo xtask instructions create --update`)"
        );
    }

    #[test]
    fn a_count_below_the_tolerance_lowers_the_budget() {
        let below = content().compare("create", 900_000).unwrap();
        assert!(!below.is_within);
        assert!(below.line.contains("-10.0 %") && below.line.contains("keep the gain"), "{}", below.line);
    }

    #[test]
    fn an_operation_without_a_budget_is_an_error() {
        let error = content().compare("list", 1).unwrap_err().to_string();
        assert_eq!(error, "list has no budget: write one with --update");
    }

    #[test]
    fn another_compiler_is_named() {
        assert_eq!(content().compiler_note("rustc 1.95.0"), "");
        let note = content().compiler_note("rustc 1.96.0");
        assert!(note.contains("counted with rustc 1.95.0, and this is rustc 1.96.0"), "{note}");
    }

    #[test]
    fn an_update_changes_the_counts_and_keeps_the_rest_of_the_file() {
        let committed = fs::read_to_string(workspace::find_root().unwrap().join(FILE)).unwrap();
        let directory = crate::files::TempDir::new("budgets");
        let file = directory.0.join("instructions.toml");
        let content: Content = toml_edit::de::from_str(&committed).unwrap();
        let compiler = content.compiler.clone();
        let mut budgets = Budgets { file: file.clone(), text: committed.clone(), content, compiler };

        budgets.update(&Counts::from([("create", 1_234_567)])).unwrap();

        let written = fs::read_to_string(file).unwrap();
        let changed: Vec<_> = written.lines().filter(|line| !committed.lines().any(|known| known == *line)).collect();
        assert_eq!(changed, ["create = 1234567"]);
    }

    #[test]
    fn an_update_by_another_compiler_counts_all_operations() {
        let mut content = content();
        content.instructions.insert("list".to_owned(), 1);
        let compiler = "rustc 1.96.0".to_owned();
        let mut budgets = Budgets { file: PathBuf::new(), text: String::new(), content, compiler };
        assert!(budgets.update(&Counts::from([("create", 1)])).is_err());
    }
}
