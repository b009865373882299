//! `cargo xtask org import`: stores the records of an organization that another platform, or an export, has written.
//!
//! **Problem.** A cut-over brings millions of records once, with ids and timestamps that clients know. Some records are wrong. The
//! command may be killed, and the table serves other organizations meanwhile.
//!
//! **Approach.** The files are read several times, line by line. The first time, each line is validated as the API validates a
//! request; nothing is written. Then each of [`PHASES`] stores the records of its types, so that a record
//! finds what it refers to, in whatever order the lines are. Keys come last: with them, clients can call the API. `Transfer`
//! stores a record unless it is there already, so the command is continued by running it again.
//!
//! **Rejected.** Sorting the files: it takes their size once more on the disk. A file that tells how far the command was: it
//! can be wrong, and the table cannot.

mod lines;
mod rejected;

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use shared::domain::{OrgId, PartitionSpan, Record, RecordOutcome, RecordType, contact_partitions, ids};
use shared::repositories::{Error, Repartition};
use shared::wire::OnError;
use tokio::time::{Instant, sleep, sleep_until};

use self::lines::{Batches, Line, Lines, read_line};
use self::rejected::RejectedLines;
use super::no_profile;
use super::records::{CountsByType, Progress, RecordsTable};
use crate::account::{Account, TableOptions};
use crate::operator::{OutputOptions, inform};

/// The most batches that are stored at once.
const MAX_CONCURRENT_BATCHES: usize = 8;
/// The attempts to store a batch, each of which retries for 25 seconds.
const MAX_ATTEMPTS: u32 = 5;
/// The most refused lines that are named on the terminal. All of them are in the files of rejected lines.
const MAX_TOLD: u64 = 20;
/// The write units that a record takes about, by which batches are paced before their cost is known.
const ESTIMATED_UNITS: f64 = 3.0;

/// The types that are stored together, and the name of the step.
const PHASES: [(&str, &[RecordType]); 5] = [
    ("organization", &[RecordType::Organization]),
    ("companies, campaigns, imports", &[RecordType::Company, RecordType::Campaign, RecordType::Import]),
    ("contacts", &[RecordType::Contact]),
    ("activities, leads", &[RecordType::Activity, RecordType::Lead]),
    ("API keys", &[RecordType::ApiKey]),
];

/// The options of `cargo xtask org import`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The organization
    #[arg(value_name = "ORG")]
    org: OrgId,
    /// The files, in NDJSON; docs/cut-over.md has the format
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only validate the files: write nothing
    #[arg(long)]
    dry_run: bool,
    /// What an invalid line does to the valid ones: `abort` writes nothing, `skip` writes them
    #[arg(long, value_name = "EFFECT", default_value = "abort")]
    on_error: OnError,
    /// The write units per second that the import may take
    #[arg(long, value_name = "UNITS", default_value = "500")]
    max_write_units: NonZeroU32,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// What the command did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    dry_run: bool,
    /// The lines of all files that are not blank: the sum of the records read and of the lines of no known type.
    pub(super) lines: u64,
    /// The lines that are no record of a known type.
    pub(super) unknown: u64,
    pub(super) records: CountsByType,
    /// The lines that are not stored: for each file with such lines, a file that has them with the reason.
    pub(super) rejected_files: Vec<PathBuf>,
}

impl Report {
    /// The lines that are not stored.
    pub(super) fn rejected(&self) -> u64 {
        self.unknown + self.records.total().refused
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", RecordsTable(&self.records))?;
        writeln!(f, "lines: {}, of which {} are of no known type", self.lines, self.unknown)?;
        for file in &self.rejected_files {
            writeln!(f, "not stored, with the reasons: {}", file.display())?;
        }
        if self.dry_run {
            writeln!(f, "Nothing was written: this was a dry run. It did not see which emails stored contacts have,")?;
            writeln!(
                f,
                "nor references to contacts, campaigns and imports that exist neither in the table nor in the files."
            )?;
        }
        Ok(())
    }
}

/// Runs the command.
pub(super) async fn run(options: Options) -> Result<()> {
    let Options { org, files, dry_run, on_error, max_write_units, table, output } = options;
    let mut import = Import::new(table.connect().await?, org, files, max_write_units)?;
    let outcome = import.run(dry_run, on_error).await;
    output.print(&import.report)?;
    outcome
}

/// An import.
pub(super) struct Import {
    account: Account,
    org: OrgId,
    /// The time at which it began.
    now: DateTime<Utc>,
    files: Vec<PathBuf>,
    rejected: Vec<RejectedLines>,
    pacer: Pacer,
    pub(super) report: Report,
    /// Whether a contact, an import or a campaign is migrated.
    has_migrated_items: bool,
    /// The partitions that ids of contacts name, and their times.
    partitions: Option<PartitionSpan>,
}

impl Import {
    pub(super) fn new(account: Account, org: OrgId, files: Vec<PathBuf>, max_write_units: NonZeroU32) -> Result<Self> {
        let rejected = RejectedLines::beside(&files)?;
        let pacer = Pacer::new(max_write_units);
        let now = account.call(org).0.now();
        Ok(Self {
            account,
            org,
            now,
            files,
            rejected,
            pacer,
            report: Report::default(),
            has_migrated_items: false,
            partitions: None,
        })
    }

    /// Validates the files, and stores their records unless it is a dry run.
    pub(super) async fn run(&mut self, dry_run: bool, on_error: OnError) -> Result<()> {
        self.report.dry_run = dry_run;
        let stored = self.validate_and_store(dry_run, on_error).await;
        for rejected in &mut self.rejected {
            self.report.rejected_files.extend(rejected.finish()?);
        }
        stored?;
        let rejected = self.report.rejected();
        ensure!(rejected == 0, "{rejected} lines are not stored: correct the files of rejected lines and import them");
        Ok(())
    }

    async fn validate_and_store(&mut self, dry_run: bool, on_error: OnError) -> Result<()> {
        // Before the files are read, so that a wrong table is noticed at once.
        let (ctx, operator) = self.account.call(self.org);
        let stored = self.account.of_table(ctx.organizations(&operator).get().await)?;
        self.validate()?;
        let is_in_files = self.report.records.0.contains_key(&RecordType::Organization);
        ensure!(stored.is_some() || is_in_files, no_profile(self.org));
        let invalid = self.report.rejected();
        if dry_run {
            return Ok(());
        }
        if invalid > 0 && on_error == OnError::Abort {
            bail!("{invalid} lines are not valid, so nothing is written: correct them, or pass --on-error skip");
        }
        for (name, types) in PHASES {
            self.store_phase(name, types).await?;
            if types.contains(&RecordType::Organization) {
                self.prepare_organization().await?;
            }
        }
        Ok(())
    }

    /// Reads every line once, counts the records, and rejects the invalid ones.
    fn validate(&mut self) -> Result<()> {
        let mut progress = Progress::new("validated lines", None);
        for file in 0..self.files.len() {
            let mut lines = Lines::open(&self.files[file])?;
            while let Some((number, text)) = lines.next_line()? {
                self.report.lines += 1;
                let read = read_line(&text, self.org, self.now);
                match &read {
                    Ok(record) => {
                        self.report.records.of(record.record_type()).read += 1;
                        self.has_migrated_items |= is_migrated(record);
                        if let Record::Contact(contact) = record {
                            self.partitions = PartitionSpan::with(self.partitions, contact.id);
                        }
                    }
                    Err(errors) => {
                        match type_of(&text) {
                            Some(record_type) => {
                                let counts = self.report.records.of(record_type);
                                counts.read += 1;
                                counts.refused += 1;
                            }
                            None => self.report.unknown += 1,
                        }
                        self.reject(file, number, &text, &errors.to_string())?;
                    }
                }
                progress.advance(1);
            }
        }
        Ok(())
    }

    /// Makes sure that the organization has a profile, and lets its lists look for migrated items, and for contacts in the
    /// partitions that their ids name.
    async fn prepare_organization(&self) -> Result<()> {
        let (ctx, operator) = self.account.call(self.org);
        let organizations = ctx.organizations(&operator);
        let found = if self.has_migrated_items {
            organizations.expect_migrated_items().await
        } else {
            organizations.get().await
        };
        self.account.of_table(found)?.with_context(|| no_profile(self.org))?;
        let Some(partitions) = self.partitions else { return Ok(()) };
        match self.account.of_table(organizations.expect_partitions(partitions).await)? {
            Repartition::Changed(_) | Repartition::Unchanged(_) => Ok(()),
            Repartition::Refused(reason) => bail!("the partitions of the contacts cannot be listed: {reason}"),
            Repartition::NoProfile => bail!(no_profile(self.org)),
        }
    }

    /// Stores the records of these types.
    async fn store_phase(&mut self, name: &'static str, types: &[RecordType]) -> Result<()> {
        let total = types.iter().filter_map(|record_type| self.report.records.0.get(record_type));
        let total: u64 = total.map(|counts| counts.read - counts.refused).sum();
        if total == 0 {
            return Ok(());
        }
        let mut progress = Progress::new(name, Some(total));
        let mut refused = Vec::new();
        {
            let (account, org, pacer) = (&self.account, self.org, &self.pacer);
            let batches = Batches::new(&self.files, org, self.now, types);
            let store = |batch: Result<Vec<Line>>| async move { store(account, org, pacer, batch?).await };
            let mut stored = std::pin::pin!(stream::iter(batches).map(store).buffer_unordered(MAX_CONCURRENT_BATCHES));
            while let Some(batch) = stored.next().await {
                let batch = batch?;
                progress.advance(batch.len());
                for (line, outcome) in batch {
                    self.report.records.add(line.record.record_type(), outcome);
                    if let RecordOutcome::Refused(refusal) = outcome {
                        refused.push((line.file, line.number, refusal));
                        self.rejected[line.file].add(line.number, &line.text, &refusal.to_string())?;
                    }
                }
            }
        }
        for (file, number, refusal) in refused.iter().take(usize::try_from(MAX_TOLD).unwrap_or_default()) {
            inform(&format!("{}: line {number}: {refusal}", self.files[*file].display()));
        }
        Ok(())
    }

    fn reject(&mut self, file: usize, number: u64, text: &[u8], reason: &str) -> Result<()> {
        if self.report.rejected() <= MAX_TOLD {
            inform(&format!("{}: line {number}: {reason}", self.files[file].display()));
        }
        self.rejected[file].add(number, text, reason)
    }
}

/// Stores a batch, at the pace of the import.
async fn store(account: &Account, org: OrgId, pacer: &Pacer, batch: Vec<Line>) -> Result<Vec<(Line, RecordOutcome)>> {
    let records: Vec<_> = batch.iter().map(|line| line.record.clone()).collect();
    let mut attempt = 1;
    let outcomes = loop {
        let estimate = ESTIMATED_UNITS * f64::from(u32::try_from(records.len()).unwrap_or(u32::MAX));
        pacer.wait_for(estimate).await;
        let (ctx, operator) = account.call(org);
        let outcomes = ctx.transfer(&operator).store(&records).await;
        pacer.correct(ctx.consumed_capacity().write_units - estimate);
        match outcomes {
            Err(Error::Table(shared::dynamodb::Error::Unavailable)) if attempt < MAX_ATTEMPTS => {
                inform("the table is busy; trying again");
                sleep(Duration::from_secs(2)).await;
                attempt += 1;
            }
            outcomes => break account.of_table(outcomes).context("run the same command again to continue")?,
        }
    };
    Ok(batch.into_iter().zip(outcomes).collect())
}

/// `true` for a migrated item, as `shared::dynamodb::keys` defines it.
fn is_migrated(record: &Record) -> bool {
    let id = match record {
        Record::Contact(contact) if contact_partitions::partition(contact.id).is_some() => return false,
        Record::Contact(contact) => contact.id.into(),
        Record::Import(import) => import.id.into(),
        Record::Campaign(campaign, _) => campaign.id.into(),
        Record::Organization(_) | Record::ApiKey(..) | Record::Company(_) | Record::Activity(..) | Record::Lead(_) => {
            return false;
        }
    };
    !ids::is_version_7(id)
}

/// The type of a line whose other fields may be invalid.
fn type_of(text: &[u8]) -> Option<RecordType> {
    #[derive(Deserialize)]
    struct Typed {
        r#type: RecordType,
    }
    serde_json::from_slice(text).ok().map(|Typed { r#type }| r#type)
}

/// Spaces out batches, so that they take no more write units per second than they may.
struct Pacer {
    units_per_second: f64,
    next: Mutex<Instant>,
}

impl Pacer {
    fn new(units_per_second: NonZeroU32) -> Self {
        Self { units_per_second: units_per_second.get().into(), next: Mutex::new(Instant::now()) }
    }

    /// Waits until the units of earlier batches are earned, and takes these.
    async fn wait_for(&self, units: f64) {
        let begins_at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let begins_at = (*next).max(Instant::now());
            *next = begins_at + Duration::from_secs_f64(units / self.units_per_second);
            begins_at
        };
        sleep_until(begins_at).await;
    }

    /// Takes units that were not estimated, or gives back what was estimated too much.
    fn correct(&self, units: f64) {
        let time = Duration::from_secs_f64(units.abs() / self.units_per_second);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = if units > 0.0 { *next + time } else { next.checked_sub(time).unwrap_or(*next) };
    }
}

#[cfg(test)]
mod tests;
