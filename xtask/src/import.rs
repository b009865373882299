//! `cargo xtask import`: loads the contacts of a CSV file into an organization, over the API.
//!
//! **Problem.** The files of sales teams come from many programs: any encoding, any delimiter, any headers, some wrong rows, up to
//! a million of them. A wrong mapping or a lost row is noticed late. The command may be killed, the network fails, and the API
//! limits its callers.
//!
//! **Approach.** The file is read several times, a row at a time, never held in memory:
//! 1. its bytes, for encoding, size and SHA-256 (`source.rs`), then the header, for delimiter and mapping (`mapping.rs`);
//! 2. the dry run (`check.rs`): each row is validated by the code of the API, and what is invalid goes into the file of refused
//!    rows, before anything is sent;
//! 3. the load (`load.rs`): the valid rows, in chunks, several at a time, each noted in the journal (`journal.rs`) when the API
//!    has it;
//! 4. if the API has refused rows, those once more, for the file of refused rows.
//!
//! **Rejected.** Sending the file as it is: it may be too long, in another encoding, and with other headers. Asking the API for a
//! dry run: a file of a million rows would be sent twice, and the rules are in `shared` anyway.
//!
//! `cargo xtask org import` is another command: operators move whole organizations with it, directly in the table.

mod api;
mod check;
mod connection;
mod journal;
mod load;
mod mapping;
mod paths;
mod progress;
mod records;
mod rejected;
mod report;
mod response;
mod rows;
mod source;
mod stop;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use encoding_rs::Encoding;
use indicatif::HumanCount;
use serde_json::{Map, Value, json};
use shared::domain::CampaignId;
use tokio::sync::oneshot;

use self::api::{Api, Permanent};
use self::check::{Checked, Input};
use self::connection::local_api;
use self::journal::{Journal, Linked, Load};
use self::load::{Batches, CONCURRENCY, MAX_ROWS, send_rows};
use self::mapping::Choice;
use self::paths::Paths;
use self::progress::Progress;
use self::rejected::RejectedRows;
use self::report::{Report, counted_rows};
use self::stop::Stop;
use crate::dev::termination_signal;
use crate::operator::{ConfirmOptions, OutputOptions, inform};

/// The options of `cargo xtask import`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The file: CSV with a header, in UTF-8, UTF-16 or another encoding, separated by `,`, `;`, tab or `|`
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Link the import to this campaign, given by its id or its name: each contact becomes a lead
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<String>,
    /// The URL of the API; without URL and key, the API that `cargo dev` runs, with the key of its first organization
    #[arg(long, value_name = "URL", env = "CONTACTS_API_URL")]
    api: Option<String>,
    /// The API key, with the scope `write`. Other users of this machine can see the command line (ps): prefer the environment
    #[arg(long, value_name = "KEY", env = "CONTACTS_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Map a column to a field: "Work Email=email"; without a field, leave the column out. Can be given several times. Fields:
    /// `full_name` (or `first_name` and `last_name`), email, `linkedin_profile`, company, locale, timezone, metadata
    #[arg(long = "map", value_name = "COLUMN=FIELD")]
    choices: Vec<Choice>,
    /// The encoding of the file, if it is not detected: a label of the WHATWG, such as windows-1252
    #[arg(long, value_name = "LABEL", value_parser = encoding)]
    encoding: Option<&'static Encoding>,
    /// The most rows of one request: fewer if the API needs too long for them
    #[arg(long, value_name = "ROWS", default_value_t = MAX_ROWS, value_parser = clap::value_parser!(u64).range(1..=MAX_ROWS))]
    chunk_rows: u64,
    /// Only check the file, without the API: show the mapping, and write the refused rows
    #[arg(long)]
    dry_run: bool,
    /// Resume the load that an earlier run of the same command has begun
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,
    #[command(flatten)]
    confirm: ConfirmOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// The API to load into, and the campaign to link to.
struct Target {
    api: Api,
    campaign: Option<CampaignId>,
}

/// Runs the command. A signal stops it between two requests; a second one ends it at once.
pub(crate) async fn run(root: &Path, options: Options) -> Result<ExitCode> {
    let signal = termination_signal()?;
    let stop = Arc::<Stop>::default();
    let (sender, mut outcome) = oneshot::channel();
    let (root, stopped) = (root.to_owned(), stop.clone());
    // Not a thread of the runtime: that would be waited for after the second signal, too.
    thread::spawn(move || {
        let imported = import(&root, &options, &stopped);
        // An error means that the second signal has come.
        let _ = sender.send(imported.and_then(|report| {
            options.output.print(&report)?;
            Ok(report.exit_code())
        }));
    });
    tokio::select! {
        outcome = &mut outcome => return outcome?,
        () = signal => stop.stop(),
    }
    inform("stopping after the requests that are on their way; a second signal ends the command at once");
    let second_signal = termination_signal()?;
    tokio::select! {
        outcome = outcome => outcome?,
        () = second_signal => bail!("stopped by a second signal: repeat the command with --resume to go on"),
    }
}

fn import(root: &Path, options: &Options, stop: &Arc<Stop>) -> Result<Report> {
    let paths = Paths::beside(&options.file)?;
    if options.dry_run {
        let input = Input::open(&options.file, options.encoding, &options.choices)?;
        input.show()?;
        let checked = input.check(&paths.rejected, None, stop)?;
        return Ok(dry_run_report(options.file.clone(), checked));
    }
    let journal = open_journal(options, &paths)?;
    if journal.is_none() {
        options.confirm.ensure_answerable()?;
    }
    let input = Input::open(&options.file, options.encoding, &options.choices)?;
    if let Some(journal) = &journal {
        journal.load.ensure_same_file(input.source.bytes, &input.source.sha256, &options.file, &paths.journal)?;
        if journal.is_finished {
            let report = Report::of(journal, options.file.clone(), None, true)?;
            // Without refused rows, a file with that name is of another load.
            let is_written = report.refused > 0 && paths.rejected.exists();
            return Ok(Report { rejected_file: if is_written { Some(paths.rejected) } else { None }, ..report });
        }
    }
    let target = Target::connect(root, options, stop.clone())?;
    if journal.is_none() {
        input.show()?;
    }
    let written = journal.as_ref().and_then(|journal| journal.rejected.as_deref());
    let checked = input.check(&paths.rejected, written, stop)?;
    ensure!(checked.rows > checked.invalid, "{}", nothing_to_load(&options.file, &checked));
    let load = load_of(&input, &checked, &target);
    let is_resumed = journal.is_some();
    let journal = if let Some(journal) = journal {
        journal.load.ensure_same(&load, &paths.journal)?;
        journal
    } else {
        stop.ask(options.confirm, question(&checked, &target))?;
        Journal::begin(&paths.journal, load)?
    };
    let chunk_rows = usize::try_from(options.chunk_rows)?;
    Import { input, checked, target, journal, paths, chunk_rows, is_resumed }.run()
}

/// The journal of an earlier run, if this run is to resume it.
fn open_journal(options: &Options, paths: &Paths) -> Result<Option<Journal>> {
    let Some(journal) = Journal::open(&paths.journal)? else {
        if options.resume {
            inform(&format!("{} does not exist: loading from the start", paths.journal.display()));
        }
        return Ok(None);
    };
    if options.resume {
        return Ok(Some(journal));
    }
    let (file, shown) = (options.file.display(), paths.journal.display());
    let import = journal.import.map(|id| format!(" as import {id}")).unwrap_or_default();
    if journal.is_finished {
        bail!("{file} is loaded already{import}: to load it once more, remove {shown}");
    }
    let (sent, rows) = (HumanCount(journal.sent()), HumanCount(journal.load.rows.saturating_sub(journal.load.invalid)));
    bail!(
        "an earlier run has loaded {sent} of {rows} rows of {file}{import}: pass --resume to go on, or remove {shown} to \
         load from the start"
    )
}

fn load_of(input: &Input, checked: &Checked, target: &Target) -> Load {
    Load {
        bytes: input.source.bytes,
        sha256: input.source.sha256.clone(),
        encoding: input.source.encoding.name().to_owned(),
        delimiter: input.header.delimiter.into(),
        mapping: input.header.mapping.by_column(),
        api: target.api.base().to_owned(),
        campaign_id: target.campaign,
        rows: checked.rows,
        invalid: checked.invalid,
    }
}

fn question(checked: &Checked, target: &Target) -> String {
    let rows = counted_rows(checked.rows - checked.invalid);
    let campaign = target.campaign.map(|id| format!(" and link them to the campaign {id}")).unwrap_or_default();
    format!("Load {rows} into {}{campaign}?", target.api.base())
}

fn dry_run_report(file: PathBuf, checked: Checked) -> Report {
    Report {
        file,
        dry_run: true,
        rows: checked.rows,
        valid: Some(checked.rows - checked.invalid),
        created: 0,
        updated: 0,
        refused: checked.invalid,
        rejected_file: checked.rejected.map(|written| written.path),
        import_id: None,
        campaign: None,
        resumed: false,
    }
}

/// A load that has begun.
struct Import {
    input: Input,
    checked: Checked,
    target: Target,
    journal: Journal,
    paths: Paths,
    chunk_rows: usize,
    is_resumed: bool,
}

impl Import {
    /// Sends what is not sent yet, links and completes the import, and completes the file of refused rows.
    fn run(mut self) -> Result<Report> {
        let total = self.checked.rows - self.checked.invalid;
        self.ensure_import_exists()?;
        if let Err(error) = self.load(total) {
            let counts = format!("{} of {} rows are loaded", HumanCount(self.journal.sent()), HumanCount(total));
            return Err(with_advice(&error, &counts, &self.paths.journal));
        }
        let before = self.checked.rejected.take();
        let rejected = if self.journal.chunks.values().any(|chunk| !chunk.refused.is_empty()) {
            let written = self.write_rejected(before.as_ref());
            written.context(
                "the rows are loaded, but not all that are refused are in a file; repeat the command with --resume",
            )?
        } else {
            before
        };
        let (file, rejected) = (self.input.source.path.clone(), rejected.map(|written| written.path));
        let report = Report::of(&self.journal, file, rejected, self.is_resumed)?;
        self.journal.note_finished()?;
        Ok(report)
    }

    /// Fails if the organization of the key does not have the import of the journal, before anything is sent to it: an upload with
    /// an unknown import is stored without it.
    fn ensure_import_exists(&self) -> Result<()> {
        if self.is_resumed
            && let Some(import) = self.journal.import
            && !self.target.api.reopen_import(import)?
        {
            bail!(
                "the organization of this API key has no import {import}: pass the key that the load was begun with; if the \
                 import was deleted, remove {} to load from the start",
                self.paths.journal.display()
            );
        }
        Ok(())
    }

    fn load(&mut self, total: u64) -> Result<()> {
        let Target { api, campaign } = &mut self.target;
        let key = self.journal.id.to_string();
        let import = if let Some(import) = self.journal.import {
            import
        } else {
            let import = api.create_import(&import_body(&self.input, self.checked.rows), &key)?;
            self.journal.note_import(import)?;
            import
        };
        let progress = Progress::new("loading", "rows", self.journal.sent(), total)?;
        api.tell = progress.teller();
        // An earlier run may have begun to link then.
        let was_sent = self.journal.sent() == total;
        let batches = Batches::new(self.input.rows()?, self.chunk_rows);
        let sent = send_rows(api, &mut self.journal, import, batches, &progress);
        progress.finish();
        sent?;
        // Fails if a row is lost, before the import counts as completed.
        Report::of(&self.journal, PathBuf::new(), None, false)?;
        api.complete_import(import, self.checked.rows)?;
        if let (Some(campaign), None) = (campaign, self.journal.linked) {
            inform(&format!("linking the import to the campaign {campaign}"));
            let linked = api.link(*campaign, import, &key)?;
            let several_calls = linked.several_calls || was_sent;
            self.journal.note_linked(Linked { several_calls, ..linked })?;
        }
        Ok(())
    }

    /// Writes the file of refused rows once more, with those that the API has refused.
    fn write_rejected(&mut self, before: Option<&rejected::Written>) -> Result<Option<rejected::Written>> {
        let mut rejected =
            RejectedRows::create(&self.paths.rejected, self.input.header.delimiter, &self.input.header.columns)?;
        let mut rows = self.input.rows()?;
        while let Some(row) = rows.next_row()? {
            self.target.api.stop.ensure_running()?;
            let refused = self.journal.chunk_of(row.number).and_then(|chunk| chunk.refused.get(&row.number));
            if let Some(reason) = row.fields.as_ref().err().or(refused) {
                rejected.add(row.number, reason, &row.cells)?;
            }
        }
        // A run that resumes after a kill between here and the end recognizes the file as its own.
        self.journal.note_rejected(rejected.digest()?)?;
        rejected.finish(before.map(|written| &*written.digest))
    }
}

/// The error of a load, with what to do. A load that cannot succeed has to begin again.
fn with_advice(error: &anyhow::Error, counts: &str, journal: &Path) -> anyhow::Error {
    if error.is::<Permanent>() {
        anyhow!("{counts}, but {error:#}: remove {} and run the command again without --resume", journal.display())
    } else {
        anyhow!("{counts}; repeat the command with --resume to resume the load: {error:#}")
    }
}

/// Why nothing of a file can be loaded, and what to do.
fn nothing_to_load(file: &Path, checked: &Checked) -> String {
    let file = file.display();
    match &checked.rejected {
        Some(rejected) => {
            let rejected = rejected.path.display();
            format!("{file}: no row can be loaded: correct the rows in {rejected}, then import that file")
        }
        None => format!("{file} has no rows below its header: choose another file"),
    }
}

/// The body of `POST /imports/`. It is the same whenever the load is resumed.
fn import_body(input: &Input, rows: u64) -> Value {
    let columns = input.header.mapping.by_column().into_iter();
    let mapping: Map<_, _> =
        columns.map(|(column, field)| (input.header.columns[column].trim().to_owned(), field.into())).collect();
    let name = input.source.path.file_name().and_then(|name| name.to_str());
    json!({
        "source": "csv", "file_name": name, "status": "processing", "total_rows": rows, "mapping_json": mapping,
    })
}

impl Target {
    /// Connects to the API, and finds the campaign.
    fn connect(root: &Path, options: &Options, stop: Arc<Stop>) -> Result<Self> {
        let given = |option: &Option<String>| option.clone().filter(|text| !text.trim().is_empty());
        let (url, key) = match (given(&options.api), given(&options.key)) {
            (Some(url), Some(key)) => (url, key),
            (None, None) => local_api(root)?,
            (None, Some(_)) => bail!("the URL of the API is missing: pass --api, or set CONTACTS_API_URL"),
            (Some(_), None) => bail!("the API key is missing: set CONTACTS_API_KEY"),
        };
        let mut api = Api::new(&url, &key, CONCURRENCY)?;
        api.stop = stop;
        api.check_access()?;
        let campaign = match &options.campaign {
            Some(campaign) => Some(api.find_campaign(campaign)?),
            None => None,
        };
        Ok(Self { api, campaign })
    }
}

/// Finds an encoding by its label.
fn encoding(label: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(label.as_bytes())
        .ok_or_else(|| "not an encoding: such as utf-8, utf-16le or windows-1252".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_load_that_can_succeed_is_to_be_resumed() {
        let journal = Path::new("leads.import.ndjson");
        let advice = |error| with_advice(&error, "3 of 4 rows are loaded", journal).to_string();

        let resumed = advice(anyhow!("no response").context("POST /imports/"));
        let deleted = advice(anyhow!(Permanent("the import 7 was deleted".to_owned())).context("row 4"));

        assert_eq!(
            resumed,
            "3 of 4 rows are loaded; repeat the command with --resume to resume the load: POST /imports/: no response"
        );
        assert_eq!(
            deleted,
            "3 of 4 rows are loaded, but row 4: the import 7 was deleted: remove leads.import.ndjson and run the command \
             again without --resume"
        );
    }

    #[test]
    fn a_file_without_a_valid_row_names_the_next_step() {
        let checked = Checked { rows: 0, invalid: 0, rejected: None };
        let error = nothing_to_load(Path::new("leads.csv"), &checked);
        assert_eq!(error, "leads.csv has no rows below its header: choose another file");
    }
}
