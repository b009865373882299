//! `cargo xtask repair`: finds items of a table whose parents do not exist, and deletes them.
//!
//! The rules, and why nothing is deleted by mistake, are in `shared/src/repositories/repair`. This command scans first
//! and deletes after: the operator is asked once all is known. Results go to standard output; progress, warnings and
//! the question to standard error, so that the output of `--json` is one value.

mod progress;
mod report;

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, Result};
use shared::App;
use shared::domain::{Id, InvalidValue, OrgId};
use shared::repositories::repair::{Repair, RepairLimits, batches};

use self::progress::Progress;
use self::report::Report;
use crate::account::TableOptions;
use crate::operator::ConfirmOptions;

/// The time limit of a call with its retries: longer than a request's, since a throttled table recovers within a
/// minute.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The options of `cargo xtask repair`.
#[derive(clap::Args)]
#[command(mut_arg("yes", |yes| yes.requires("apply")))]
pub(crate) struct Options {
    #[command(flatten)]
    table: TableOptions,
    /// Repair the items of this organization only; the whole table is read all the same
    #[arg(long, value_name = "UUID", value_parser = parse_org_id)]
    org: Option<OrgId>,
    /// Delete what is found, after a question; without it, nothing is written
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    confirm: ConfirmOptions,
    /// The capacity units to consume per second at most, in reads, and later in writes
    ///
    /// 100 is 3 % of what one partition of the table can read, and reads a million items of 500 bytes, with their
    /// parents, in about three hours.
    #[arg(long, value_name = "UNITS", default_value = "100")]
    max_read_units: NonZeroU32,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

fn parse_org_id(text: &str) -> Result<OrgId, InvalidValue> {
    OrgId::parse(text)
}

/// Scans the table, prints what was found, deletes the orphans if that is wanted, and prints what was done.
#[expect(clippy::print_stdout, reason = "the output of the command")]
pub(crate) async fn run(options: Options) -> Result<()> {
    if options.apply {
        options.confirm.ensure_answerable()?;
    }
    let account = options.table.connect().await?;
    let mut repair = start(&account.app, &options);
    let mut report = Report::new(options.table.table());
    let mut outcome = scan(&mut repair, &mut report).await;
    if !options.json {
        println!("{}", report.findings());
    }
    if outcome.is_ok() && options.apply {
        outcome = apply(&mut repair, &mut report, |question| options.confirm.ask(question)).await;
    }
    report.consumed = repair.consumed_capacity();
    println!("{}", if options.json { report.to_json()? } else { report.outcome() });
    outcome
}

fn start(app: &App, options: &Options) -> Repair {
    app.repair(options.org, RepairLimits { units_per_second: options.max_read_units, call_timeout: CALL_TIMEOUT })
}

/// Reads the whole table. After an error, the report has what was found until then.
async fn scan(repair: &mut Repair, report: &mut Report) -> Result<()> {
    let scanned = scan_pages(repair, report).await;
    scanned.with_context(|| format!("cannot read the table {} to its end; nothing was deleted", report.table))
}

/// Deletes the orphans, after a question. After an error, the report has what was deleted until then.
async fn apply(repair: &mut Repair, report: &mut Report, ask: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    let orphans = report.orphans.len();
    if orphans == 0 {
        return Ok(());
    }
    ask(&format!("Delete these {orphans} items of the table {}?", report.table))?;
    let mended = mend(repair, report).await;
    mended.with_context(|| format!("cannot delete all orphans of the table {}; call the command again", report.table))
}

async fn scan_pages(repair: &mut Repair, report: &mut Report) -> Result<()> {
    let count = repair.approximate_item_count().await?;
    let mut progress = Progress::default();
    progress.show(&format!("reading the table {}, which has about {count} items", report.table));
    while let Some(page) = repair.next_page().await? {
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
    Ok(())
}

async fn mend(repair: &mut Repair, report: &mut Report) -> Result<()> {
    let all = report.orphans.len();
    let mut progress = Progress::default();
    progress.show(&format!("deleting {all} items"));
    for batch in batches(&mut report.orphans) {
        let deleted = repair.mend(batch).await?;
        report.deleted += deleted;
        report.kept += batch.orphans().len() - deleted;
        progress.update(|| format!("{} of {all} items are deleted", report.deleted));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use clap::Parser;
    use serde_json::{Value, json};
    use shared::domain::{ActivityId, ContactId, Email};
    use shared::dynamodb::keys;
    use shared::testing::TestApp;
    use uuid::Uuid;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        let arguments = ["repair", "--table", "contacts"].iter().chain(arguments);
        Cli::try_parse_from(arguments).map(|cli| cli.options)
    }

    /// The id of a contact that does not exist.
    fn absent() -> ContactId {
        Uuid::from_u128(1).into()
    }

    /// A table with two activities and an email lock of a contact that does not exist, and an item of an unknown type.
    async fn test_app() -> TestApp {
        let test = TestApp::new().await;
        let org = test.org.org_id;
        for id in ["a", "b"] {
            let key = keys::activity(org, absent(), chrono::DateTime::UNIX_EPOCH, &ActivityId::parse(id).unwrap());
            test.put_item(&key, json!({"type": {"S": "activity"}})).await;
        }
        let lock = keys::email_lock(org, &Email::parse("jane@example.com").unwrap());
        test.put_item(&lock, json!({"type": {"S": "email_lock"}, "contact_id": {"S": absent()}})).await;
        let unknown = keys::org_rate_limit(Uuid::from_u128(2).into());
        test.put_item(&unknown, json!({"type": {"S": "unknown"}})).await;
        test
    }

    /// Scans and deletes with these arguments, and returns the report and the question, which is answered by `answer`.
    async fn run(test: &TestApp, arguments: &[&str], answer: Result<()>) -> (Report, Result<Option<String>>) {
        let options = parse(arguments).unwrap();
        let (mut report, mut asked) = (Report::new("contacts"), None);
        let ask = |question: &str| {
            asked = Some(question.to_owned());
            answer
        };
        let mut repair = start(&test.app, &options);
        scan(&mut repair, &mut report).await.unwrap();
        let outcome = if options.apply { apply(&mut repair, &mut report, ask).await } else { Ok(()) };
        (report, outcome.map(|()| asked))
    }

    #[tokio::test]
    async fn without_apply_the_orphans_are_listed_and_kept() {
        let test = test_app().await;
        let before = test.items().await;

        let (report, asked) = run(&test, &[], Ok(())).await;

        let (org, scanned) = (test.org.org_id, before.len());
        let expected = format!(
            "\
org_id {org}: 1 × email_lock of contact_id 00000000-0000-0000-0000-000000000001
  SHA-256 of the email: 8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d
org_id {org}: 2 × activity of contact_id 00000000-0000-0000-0000-000000000001
               orphans   pending
email_lock           1         0
membership           0         0
lead                 0         0
activity             2         0
{scanned} items were read, the whole table. Of these, 1 cannot be judged: see the warnings."
        );
        assert_eq!(report.findings(), expected);
        assert_eq!(
            report.outcome(),
            "Nothing was deleted. Delete the 3 orphans with --apply.\n0.0 read units and 0.0 write units were consumed."
        );
        assert_eq!(asked.unwrap(), None);
        assert_eq!(test.items().await, before);
    }

    #[tokio::test]
    async fn with_apply_the_orphans_are_deleted_after_a_yes_and_the_next_run_finds_none() {
        let test = test_app().await;
        let before = test.items().await;

        let (report, declined) = run(&test, &["--apply"], Err(anyhow!("it was not confirmed"))).await;
        assert_eq!(declined.unwrap_err().to_string(), "it was not confirmed");
        assert!(report.outcome().starts_with("Nothing was deleted."), "{}", report.outcome());
        assert_eq!(test.items().await, before);

        let (report, asked) = run(&test, &["--apply"], Ok(())).await;
        assert_eq!(asked.unwrap().as_deref(), Some("Delete these 3 items of the table contacts?"));
        assert_eq!((report.deleted, report.kept), (3, 0));
        assert_eq!(test.items().await.len(), before.len() - 3);
        assert!(report.outcome().starts_with("3 orphans were deleted.\n"), "{}", report.outcome());

        let (report, asked) = run(&test, &["--apply"], Ok(())).await;
        assert_eq!((report.orphans.len(), asked.unwrap()), (0, None));
        assert!(report.outcome().starts_with("There is nothing to delete.\n"), "{}", report.outcome());
    }

    #[tokio::test]
    async fn the_json_has_the_whole_result() {
        let test = test_app().await;
        let org = test.org.org_id;
        let scanned = test.items().await.len();

        let (report, _) = run(&test, &["--apply", "--org", &org.to_string()], Ok(())).await;

        let contact = absent().to_string();
        let hash = "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d";
        let expected = json!({
            "table": "contacts",
            "complete": true,
            "scanned": scanned,
            "orphans": {"email_lock": 1, "membership": 0, "lead": 0, "activity": 2},
            "pending": {"email_lock": 0, "membership": 0, "lead": 0, "activity": 0},
            "unreadable": 0,
            "groups": [
                {
                    "org_id": org, "kind": "email_lock", "missing": "contact_id", "id": contact, "count": 1,
                    "email_sha256": [hash],
                },
                {"org_id": org, "kind": "activity", "missing": "contact_id", "id": contact, "count": 2},
            ],
            "deleted": 3,
            "kept": 0,
            "read_units": 0.0,
            "write_units": 0.0,
        });
        assert_eq!(serde_json::from_str::<Value>(&report.to_json().unwrap()).unwrap(), expected);
    }

    #[test]
    fn options_without_effect_are_refused() {
        for arguments in [&["--yes"][..], &["--max-read-units", "0"], &["--org", "42"]] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
        assert!(parse(&["--apply", "--yes"]).unwrap().confirm.yes);
    }
}
