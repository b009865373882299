//! `cargo xtask repair`: finds items of a table whose parents do not exist, and deletes them.
//!
//! The rules, and why nothing is deleted by mistake, are in `shared/src/repositories/repair`. This command scans first and
//! deletes after: the operator is asked once all is known. Results go to standard output; progress, warnings and the
//! question to standard error, so that the output of `--json` is one value.

mod progress;
mod report;

use std::io::{self, IsTerminal};
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use shared::App;
use shared::domain::{Id, InvalidValue, OrgId};
use shared::repositories::repair::{Repair, RepairLimits, batches};
use tokio::signal::ctrl_c;

use self::progress::Progress;
use self::report::Report;
use crate::account::TableOptions;

/// The time limit of a call with its retries: longer than a request's, since a throttled table recovers within a minute.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The options of `cargo xtask repair`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    table: TableOptions,
    /// Repair the items of this organization only; the whole table is read all the same
    #[arg(long, value_name = "UUID", value_parser = parse_org_id)]
    org: Option<OrgId>,
    /// Delete what is found, after a question; without it, nothing is written
    #[arg(long)]
    apply: bool,
    /// Delete without a question
    #[arg(long, requires = "apply")]
    yes: bool,
    /// The capacity units to consume per second at most, in reads, and later in writes
    ///
    /// 100 is 3 % of what one partition of the table can read, and reads a million items of 500 bytes, with their parents,
    /// in about three hours.
    #[arg(long, value_name = "UNITS", default_value = "100")]
    max_read_units: NonZeroU32,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

fn parse_org_id(text: &str) -> Result<OrgId, InvalidValue> {
    OrgId::parse(text)
}

/// Repairs a table, and prints a report.
#[expect(clippy::print_stdout, reason = "the output of the command")]
pub(crate) async fn run(options: Options) -> Result<()> {
    ensure!(
        !options.apply || options.yes || io::stdin().is_terminal(),
        "--apply asks before it deletes, and there is no terminal to ask: add --yes"
    );
    let account = options.table.connect().await?;
    let mut report = Report::new(options.table.table());
    let outcome = repair(&account.app, &options, &mut report, confirm).await;
    println!("{}", if options.json { report.to_json()? } else { report.to_string() });
    outcome
}

/// Scans the table, and deletes the orphans if that is wanted and `confirm` is true. The report has what was found and done,
/// also if it fails.
async fn repair(
    app: &App,
    options: &Options,
    report: &mut Report,
    confirm: impl FnOnce(usize, &str) -> Result<bool>,
) -> Result<()> {
    let limits = RepairLimits { units_per_second: options.max_read_units, call_timeout: CALL_TIMEOUT };
    let mut repair = app.repair(options.org, limits);
    let table = report.table.clone();
    let scanned = scan(&mut repair, report).await;
    report.consumed = repair.consumed_capacity();
    scanned.with_context(|| format!("cannot read the table {table} to its end; nothing was deleted"))?;
    if options.apply && !report.orphans.is_empty() && (options.yes || confirm(report.orphans.len(), &table)?) {
        let mended = mend(&mut repair, report).await;
        report.consumed = repair.consumed_capacity();
        mended.with_context(|| format!("cannot delete all orphans of the table {table}; run the command again"))?;
    }
    Ok(())
}

/// Reads the whole table.
async fn scan(repair: &mut Repair, report: &mut Report) -> Result<()> {
    let count = repair.approximate_item_count().await?;
    let mut progress = Progress::default();
    progress.show(&format!("reading the table {}, which has about {count} items", report.table));
    loop {
        let page = tokio::select! {
            page = repair.next_page() => page?,
            _ = ctrl_c() => bail!("interrupted"),
        };
        let Some(page) = page else { break };
        for error in &page.unreadable {
            progress.warn(&error.to_string());
        }
        report.add(page);
        progress.update(|| {
            let found = report.orphans.len();
            format!("{} of about {count} items are read, {found} orphans are found", report.scanned)
        });
    }
    report.is_complete = true;
    progress.finish();
    Ok(())
}

/// Deletes the orphans of the report.
async fn mend(repair: &mut Repair, report: &mut Report) -> Result<()> {
    let all = report.orphans.len();
    let mut progress = Progress::default();
    progress.show(&format!("deleting {all} items"));
    for batch in batches(&mut report.orphans) {
        let deleted = tokio::select! {
            deleted = repair.mend(batch) => deleted?,
            _ = ctrl_c() => bail!("interrupted"),
        };
        report.deleted += deleted;
        report.kept += batch.orphans().len() - deleted;
        progress.update(|| format!("{} of {all} items are deleted", report.deleted));
    }
    progress.finish();
    Ok(())
}

/// Asks whether to delete.
#[expect(clippy::print_stderr, reason = "a question is not part of the output")]
fn confirm(orphans: usize, table: &str) -> Result<bool> {
    eprint!("Delete these {orphans} items of the table {table}? Type yes: ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(answer.trim() == "yes")
}
