//! `cargo xtask bench`: measures the functions against the floors, and against the peers.
//!
//! **Problem.** The CPU time of a request is a fraction of a millisecond, and the machine is shared: the same request takes half as
//! long again in the next minute. A number alone says nothing, and neither does a comparison with yesterday's.
//!
//! **Approach.** Every program that is compared is measured in one run: all live at once and take turns in blocks of requests, in
//! random order. A result is the median of the ratios of the blocks of one round. The CPU time is what the kernel counts for the
//! threads of the process, so that the load of others adds only what it does to the caches. The programs are release builds
//! behind a Runtime API with one request in flight; the events are those of API Gateway, and the database is the embedded
//! engine in this process.
//!
//! **Rejected.** Latency as the measure: most of it is the engine's. Means: one disturbed block moves them. Counting
//! instructions: exact, but blind to the cold caches in which a function lives; budgets in CI are for that.
//!
//! **If this is changed.** No request is timed before `check` has seen that all variants respond correctly and that the floors
//! make the database calls of the functions; of a bulk upload, the writes. A floor that does less than it should makes us look
//! worse, and no test would tell.

mod check;
mod event;
mod function;
pub(crate) mod instructions;
mod machine;
mod meter;
mod parity;
mod peers;
pub(crate) mod pgo;
mod plan;
mod programs;
mod report;
mod results;
mod runtime_api;
mod sections;
mod statistics;
mod svg;
mod targets;
mod testbed;
mod tls;
mod variant;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use self::machine::Machine;
use self::plan::{Plan, Section};
use self::programs::{Builder, Candidate};
use self::results::Results;
use self::sections::Bench;
use self::testbed::Testbed;
use self::tls::Authority;
use self::variant::Operation;
use crate::results::print_line;
use crate::workspace::local_dir;

/// The operations that are requests of one contact or page.
const SINGLE: [Operation; 5] =
    [Operation::Create, Operation::Update, Operation::Get0, Operation::Get50, Operation::List];
/// The operations whose start is measured: one connection, and two.
const STARTED: [Operation; 2] = [Operation::Create, Operation::Get0];
/// The operations that are measured with a small and a large organization.
const GROWING: [Operation; 3] = [Operation::Create, Operation::Get50, Operation::List];

/// The options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure for about a minute instead of ten, for a first look
    #[arg(long)]
    quick: bool,
    /// Measure this section only; can be given several times
    #[arg(long = "only", value_name = "SECTION")]
    sections: Vec<Section>,
    /// Measure this operation only; can be given several times
    #[arg(long = "operation", value_name = "OPERATION")]
    operations: Vec<Operation>,
    /// Measure another build of the functions beside those of this checkout; can be given several times
    ///
    /// DIR is a checkout, which is built, or a directory with built functions. A start is measured over TLS, so functions that
    /// are already built have to trust the certificate in target/bench/tls/root.pem: build them with `--cfg=bench_root` in the
    /// variable `CARGO_BUILD_RUSTFLAGS`, and with the text of the certificate in `BENCH_ROOT_PEM`.
    #[arg(long = "candidate", value_name = "NAME=DIR")]
    candidates: Vec<Candidate>,
    /// Measure the functions and floors in this directory, and build nothing of this checkout
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Measure the peers, too: the same API in Node.js and in Python, which are installed at the first time
    #[arg(long)]
    peers: bool,
}

/// Builds everything, measures, and writes the report.
pub(crate) async fn run(root: &Path, options: Options) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("CPU times are read from /proc, which only Linux has");
    }
    let directory = local_dir(root, "bench");
    options.check()?;
    let operations = options.operations();
    let authority = Authority::load_or_create(&directory.join("tls"))?;
    let programs = options.programs.clone();
    let builder = Builder { root, directory: &directory, authority: &authority, programs };
    let mut variants = builder.build(&operations, &options.candidates)?;
    if options.peers {
        let peers = peers::variants(root).context("cannot install the peers")?;
        let testbed = Testbed::start(root, &directory.join("functions")).await?;
        parity::check(root, &testbed, &variants, &peers).await?;
        variants.extend(peers);
    }
    let started = Instant::now();
    let progress = |text: &str| print_line(&format!("{:>4} s  {text}", started.elapsed().as_secs()));
    let mut machine = Machine::read(root)?;
    let bench = Bench {
        root,
        directory: &directory,
        plan: if options.quick { Plan::QUICK } else { Plan::FULL },
        variants,
        authority: &authority,
        progress: &progress,
    };
    let mut results = Results::default();
    for section in options.sections() {
        measure(&bench, section, &operations, &mut results).await?;
    }
    machine.finish();
    let files = report::write(&directory, &machine, &results)?;
    print_line(&format!("\n{}", report::text(&machine, &results)));
    print_line(&format!("report: {}\nresults: {}", files.html.display(), files.json.display()));
    if let Some(plot) = &files.plot {
        print_line(&format!("plot: {}", plot.display()));
    }
    Ok(())
}

async fn measure(bench: &Bench<'_>, section: Section, operations: &[Operation], results: &mut Results) -> Result<()> {
    let among = |some: &[Operation]| -> Vec<_> {
        some.iter().copied().filter(|operation| operations.contains(operation)).collect()
    };
    match section {
        Section::Warm => {
            for operation in among(&SINGLE) {
                (bench.progress)(&format!("warm: {}", operation.name()));
                bench.warm(operation, results).await?;
            }
        }
        Section::Start => {
            for operation in among(&STARTED) {
                (bench.progress)(&format!("start: {}", operation.name()));
                bench.start(operation, results).await?;
            }
        }
        Section::Growth => {
            // The contacts are stored by uploads.
            if !among(&GROWING).is_empty() && operations.contains(&Operation::Bulk) {
                bench.growth(&among(&GROWING), results).await?;
            }
        }
        Section::Bulk => {
            if operations.contains(&Operation::Bulk) {
                (bench.progress)("bulk");
                bench.bulk(results).await?;
            }
        }
        Section::Size => bench.size(operations, results)?,
    }
    Ok(())
}

impl Options {
    /// Fails if a section that was asked for would measure nothing.
    fn check(&self) -> Result<()> {
        let operations = self.operations();
        let measures_growth = GROWING.iter().any(|operation| operations.contains(operation));
        if self.sections.contains(&Section::Growth) && !(measures_growth && operations.contains(&Operation::Bulk)) {
            let names = GROWING.map(Operation::name).join(", ");
            bail!("growth measures {names}, and stores the contacts by uploads: add `--operation bulk`");
        }
        Ok(())
    }

    fn sections(&self) -> Vec<Section> {
        if self.sections.is_empty() { Section::value_variants().to_vec() } else { self.sections.clone() }
    }

    fn operations(&self) -> Vec<Operation> {
        let all = Operation::value_variants();
        all.iter().copied().filter(|one| self.operations.is_empty() || self.operations.contains(one)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_needs_uploads() {
        let options = |operations: &[Operation]| Options {
            quick: true,
            sections: vec![Section::Growth],
            operations: operations.to_vec(),
            candidates: Vec::new(),
            programs: None,
            peers: false,
        };
        assert!(options(&[]).check().is_ok());
        assert!(options(&[Operation::List, Operation::Bulk]).check().is_ok());
        assert!(options(&[Operation::List]).check().is_err());
        assert!(options(&[Operation::Bulk]).check().is_err());
    }
}
