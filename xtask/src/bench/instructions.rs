//! `cargo xtask instructions`: counts the instructions of a request, and compares them with budgets.
//!
//! **Problem.** A change that makes each request a little slower shows in no test, and CPU time on a machine that others use as
//! well differs by more than such a change.
//!
//! **Approach.** Valgrind's callgrind executes a function as it is deployed, and counts its instructions in user mode. The
//! engine runs in this process, outside of it. Callgrind writes its total when the process is terminated, so each operation is
//! performed by two processes, one of which serves more requests: the difference, divided, is the count of one request. Start and
//! first requests are in both and cancel out.
//!
//! **What the counts are.** Valgrind's processor has no SHA extensions, so hashes and signatures count as they would in software.
//! The counts depend on the compiler and, a little, on the C library. From run to run they differ by the seeds of hash maps and by
//! the moments at which bytes arrive from the engine; the tolerance in the file of the budgets is a multiple of that.
//!
//! **Rejected.** `callgrind_control`, which would start the count after the first requests: it needs Perl, and permission to trace
//! other processes. Counters of the processor: virtual machines rarely have them. Symbols of the functions to count between: the
//! functions are stripped. Debug builds: they are dominated by what a release build removes.

mod budgets;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::budgets::{Budgets, Counts};
use super::testbed::Testbed;
use super::variant::{Operation, Variant};
use crate::tools::Valgrind;
use crate::{template, tools, workspace};

/// The options of `cargo xtask instructions`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The operations; without any, all that have a budget
    operations: Vec<Operation>,
    /// Write the counts as the new budgets
    #[arg(long)]
    update: bool,
}

/// How an operation is counted.
#[derive(Debug, Clone, Copy)]
struct Sample {
    operation: Operation,
    /// The requests of both processes.
    warm_up: u64,
    /// The requests of one of them only.
    requests: u64,
    /// The rows of an upload; the count is that of one.
    rows: usize,
}

/// The operations in the order in which they are counted.
const SAMPLES: [Sample; 6] = [
    Sample { operation: Operation::Create, warm_up: 20, requests: 50, rows: 1 },
    Sample { operation: Operation::Update, warm_up: 20, requests: 50, rows: 1 },
    Sample { operation: Operation::Get0, warm_up: 20, requests: 50, rows: 1 },
    Sample { operation: Operation::Get50, warm_up: 10, requests: 30, rows: 1 },
    Sample { operation: Operation::List, warm_up: 5, requests: 15, rows: 1 },
    Sample { operation: Operation::Bulk, warm_up: 2, requests: 4, rows: 200 },
];

/// Counts the instructions of operations, and compares them with their budgets, or writes the budgets.
pub(crate) async fn run(root: &Path, options: &Options) -> Result<()> {
    let valgrind = tools::valgrind(root)?;
    let mut budgets = Budgets::read(root)?;
    let is_chosen = |operation| match options.operations.as_slice() {
        [] => budgets.budget(operation).is_some(),
        chosen => chosen.contains(&operation),
    };
    let samples: Vec<_> = SAMPLES.into_iter().filter(|sample| is_chosen(sample.operation)).collect();
    let counts = count_all(root, &valgrind, &samples).await?;
    if options.update { budgets.update(&counts) } else { budgets.check(&counts) }
}

/// Counts one operation after the other.
async fn count_all(root: &Path, valgrind: &Valgrind, samples: &[Sample]) -> Result<Counts> {
    let mut functions: Vec<_> = samples.iter().map(|sample| sample.operation.function()).collect();
    functions.dedup();
    let built = template::build_functions(root, &functions)?;
    let directory = workspace::local_dir(root, "instructions");
    let testbed = Testbed::start(root, &directory).await?;
    let mut counts = Counts::new();
    for sample in samples {
        let binary = built.join(sample.operation.function()).join("bootstrap");
        let counted = Counted { testbed: &testbed, valgrind, binary, total: directory.join("callgrind.out") };
        counts.insert(sample.operation.name(), counted.count(sample).await?);
    }
    Ok(counts)
}

/// A function whose instructions are counted.
struct Counted<'a> {
    testbed: &'a Testbed,
    valgrind: &'a Valgrind,
    binary: PathBuf,
    /// The file to which callgrind writes.
    total: PathBuf,
}

impl Counted<'_> {
    /// The instructions of one request, or of one row of it.
    async fn count(&self, sample: &Sample) -> Result<u64> {
        let Sample { operation, warm_up, requests, rows } = *sample;
        let few = self.total(operation, warm_up, rows).await?;
        let many = self.total(operation, warm_up + requests, rows).await?;
        let difference = many.checked_sub(few).context("more requests took fewer instructions")?;
        Ok(difference / requests / u64::try_from(rows)?)
    }

    /// The instructions of a process that serves this many requests.
    async fn total(&self, operation: Operation, requests: u64, rows: usize) -> Result<u64> {
        let scene = self.testbed.scene(operation)?.with_rows(rows);
        let mut function = scene.start(&self.variant(operation)).await?;
        for _ in 0..requests {
            scene.invoke(&mut function).await?;
        }
        function.terminate().await?;
        read_total(&self.total)
    }

    /// The function under callgrind.
    fn variant(&self, operation: Operation) -> Variant {
        let program = self.valgrind.program.clone().into_os_string();
        let file = format!("--callgrind-out-file={}", self.total.display());
        Variant {
            name: "instructions".to_owned(),
            operations: vec![operation],
            command: vec![program, "--tool=callgrind".into(), file.into(), self.binary.clone().into_os_string()],
            cwd: None,
            env: self.valgrind.environment.clone(),
        }
    }
}

/// Reads the number of all instructions from a file of callgrind, and removes it, so that no later process is taken for this one.
fn read_total(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("callgrind has not written {}", file.display()))?;
    fs::remove_file(file)?;
    parse_total(&text).with_context(|| format!("{} has no total", file.display()))
}

/// The number in the line `totals: 4610020`.
fn parse_total(text: &str) -> Option<u64> {
    text.lines().rev().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_last_line_of_a_file_of_callgrind() {
        assert_eq!(
            parse_total("version: 1\nevents: Ir\nsummary: 7\n\nfn=main\n12 7\n\ntotals: 4610020\n"),
            Some(4_610_020)
        );
        assert_eq!(parse_total("version: 1\nevents: Ir\n"), None);
    }

    #[test]
    fn every_operation_is_counted() {
        use clap::ValueEnum;

        for operation in Operation::value_variants() {
            assert!(SAMPLES.iter().any(|sample| sample.operation == *operation), "{operation:?}");
        }
    }
}
