//! `cargo xtask org export`: writes the data of an organization to a file.
//!
//! NDJSON has everything that an import needs, API keys by the hash of their secrets included: with them, the keys of clients
//! work in another table, and a hash of 192 random bits tells nothing. CSV has the contacts, for people.
//!
//! The file has another name until it is complete. Lists are read page by page, each consistent; what clients change
//! meanwhile is in the file as it was before or after the change.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use shared::domain::{
    Campaign, CampaignFilter, CampaignId, Company, CompanyFilter, Contact, ContactFilter, ContactPartitions, Import,
    ImportFilter, ImportId, OrgId, Record, time,
};
use shared::repositories::{Exported, Page, left_out_items};
use shared::wire::{RecordView, columns};

use super::no_profile;
use super::records::{CountsByType, Progress};
use crate::account::{Account, AuditReference, TableOptions};
use crate::operator::{OutputOptions, TextTable};
use crate::spreadsheet::protected;

/// The rows of a page: contacts may be large.
const PAGE: Option<usize> = Some(100);
/// The contacts whose activities and leads are read at once.
const MAX_CONCURRENT_READS: usize = 16;

/// The options of `cargo xtask org export`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The organization
    #[arg(value_name = "ORG")]
    org: OrgId,
    /// `ndjson` has everything, `csv` the contacts
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
    /// The file to write, which must not exist; it will hold personal data
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    print: OutputOptions,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Ndjson,
    Csv,
}

/// What the command did.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    file: PathBuf,
    pub(super) records: CountsByType,
    audit: AuditReference,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = TextTable::new(["type", "written"]);
        for (record_type, counts) in &self.records.0 {
            table.push([record_type.to_string(), counts.written.to_string()]);
        }
        write!(f, "{table}file: {}\naudit log: {}", self.file.display(), self.audit)
    }
}

/// Runs the command.
pub(super) async fn run(options: Options) -> Result<()> {
    let Options { org, format, output, table, print } = options;
    print.print(&export(&table.connect().await?, org, format, &output).await?)
}

/// Writes the file.
pub(super) async fn export(account: &Account, org: OrgId, format: Format, file: &Path) -> Result<Report> {
    ensure!(!file.exists(), "{} exists already: name another file", file.display());
    let (ctx, operator) = account.call(org);
    let organization = account.of_table(ctx.organizations(&operator).get().await)?;
    let organization = organization.with_context(|| no_profile(org))?;
    let left_out = left_out_items();
    // Before the first byte: what an interrupted export has written was exported.
    account.of_table(ctx.organizations(&operator).record_export().await)?;
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let context = || format!("cannot write {}", partial.display());
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
    let opened = opened.with_context(context)?;
    let sink = match format {
        Format::Ndjson => Sink::Ndjson(BufWriter::new(opened.try_clone()?)),
        Format::Csv => Sink::csv(opened.try_clone()?)?,
    };
    let mut export = Export {
        account,
        org,
        sink,
        records: CountsByType::default(),
        progress: Progress::new("exported records", None),
        partitions: organization.placement.contact_partitions.clone(),
        imports: BTreeSet::new(),
        campaigns: BTreeSet::new(),
    };
    let written = match format {
        Format::Ndjson => export.write_all(Record::Organization(organization)).await,
        Format::Csv => export.write_contacts().await,
    };
    let written = written.and_then(|()| export.sink.flush()).and_then(|()| Ok(opened.sync_all()?));
    if let Err(error) = written {
        // A failure to remove it leaves a file whose name tells that it is not complete.
        let _ = fs::remove_file(&partial);
        return Err(error).with_context(context);
    }
    let left_out = left_out_items() - left_out;
    ensure!(
        left_out == 0,
        "{left_out} items cannot be read, and are not in {}: the lines above name them; repair or delete them first",
        partial.display()
    );
    fs::rename(&partial, file).with_context(|| format!("cannot rename {}", partial.display()))?;
    Ok(Report { file: file.to_owned(), records: export.records, audit: account.audit_reference(org) })
}

/// Where records go.
enum Sink {
    Ndjson(BufWriter<fs::File>),
    Csv(Box<csv::Writer<fs::File>>),
}

impl Sink {
    /// A CSV file with the columns of an upload, the id and the times.
    fn csv(file: fs::File) -> Result<Self> {
        let mut writer = csv::Writer::from_writer(file);
        let columns = columns().into_iter().map(|column| column.name).filter(|name| *name != "enrichment");
        let header: Vec<_> = ["id"].into_iter().chain(columns).chain(["created_at", "updated_at"]).collect();
        writer.write_record(header)?;
        Ok(Self::Csv(Box::new(writer)))
    }

    fn write(&mut self, record: &Record) -> Result<()> {
        match self {
            Self::Ndjson(writer) => {
                serde_json::to_writer(&mut *writer, &RecordView::of(record))?;
                writer.write_all(b"\n")?;
            }
            Self::Csv(writer) => {
                if let Record::Contact(contact) = record {
                    writer.write_record(cells(contact)?)?;
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Ndjson(writer) => Ok(writer.flush()?),
            Self::Csv(writer) => Ok(writer.flush()?),
        }
    }
}

/// The cells of a contact, in the order of the columns.
fn cells(contact: &Contact) -> Result<Vec<String>> {
    let view = serde_json::to_value(RecordView::of(&Record::Contact(contact.clone())))?;
    let mut cells = vec![contact.id.to_string()];
    for column in columns().into_iter().filter(|column| column.name != "enrichment") {
        cells.push(match &view[column.name] {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => protected(text).into_owned(),
            other => other.to_string(),
        });
    }
    cells.extend([contact.created_at, contact.updated_at].map(time::to_exact));
    Ok(cells)
}

/// An export in progress.
struct Export<'a> {
    account: &'a Account,
    org: OrgId,
    sink: Sink,
    records: CountsByType,
    progress: Progress,
    partitions: ContactPartitions,
    /// The imports and campaigns that exist. Memberships and leads of deleted ones may still be stored.
    imports: BTreeSet<ImportId>,
    campaigns: BTreeSet<CampaignId>,
}

/// Reads a list page by page. `$list` gets a context, its caller and the cursor.
macro_rules! for_each_page {
    ($export:ident, |$ctx:ident, $operator:ident, $cursor:ident| $list:expr, |$rows:ident| $body:expr) => {
        let mut $cursor = None;
        loop {
            let ($ctx, $operator) = $export.account.call($export.org);
            let $operator = $operator.with_contact_partitions($export.partitions.clone());
            let Page { rows: $rows, next } = $export.account.of_table($list.await)?;
            $body;
            $cursor = next;
            if $cursor.is_none() {
                break;
            }
        }
    };
}

impl Export<'_> {
    async fn write_all(&mut self, organization: Record) -> Result<()> {
        self.write(&organization)?;
        self.write_api_keys().await?;
        for_each_page!(
            self,
            |ctx, operator, cursor| ctx.companies(&operator).list::<Company>(&CompanyFilter::default(), PAGE, cursor),
            |rows| for company in rows {
                self.write(&Record::Company(company))?;
            }
        );
        for_each_page!(
            self,
            |ctx, operator, cursor| ctx.campaigns(&operator).list::<Campaign>(&CampaignFilter::default(), PAGE, cursor),
            |rows| {
                self.campaigns.extend(rows.iter().map(|campaign| campaign.id));
                let records = ctx.transfer(&operator).with_lead_magnets(rows).await;
                for record in self.account.of_table(records)? {
                    self.write(&record)?;
                }
            }
        );
        for_each_page!(
            self,
            |ctx, operator, cursor| ctx.imports(&operator).list::<Import>(&ImportFilter::default(), PAGE, cursor),
            |rows| for import in rows {
                self.imports.insert(import.id);
                self.write(&Record::Import(import))?;
            }
        );
        self.write_contacts().await
    }

    async fn write_api_keys(&mut self) -> Result<()> {
        let mut start = None::<String>;
        loop {
            let (ctx, operator) = self.account.call(self.org);
            let read = ctx.transfer(&operator).api_keys(start.as_deref()).await;
            let Exported { records, next } = self.account.of_table(read)?;
            for record in records {
                self.write(&record)?;
            }
            start = next;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    async fn write_contacts(&mut self) -> Result<()> {
        for_each_page!(
            self,
            |ctx, operator, cursor| ctx.contacts(&operator).list::<Contact>(&ContactFilter::default(), PAGE, cursor),
            |rows| match self.sink {
                Sink::Ndjson(_) => self.write_with_children(rows).await?,
                Sink::Csv(_) =>
                    for contact in rows {
                        self.write(&Record::Contact(contact))?;
                    },
            }
        );
        Ok(())
    }

    /// Writes contacts, each followed by its activities and leads.
    async fn write_with_children(&mut self, contacts: Vec<Contact>) -> Result<()> {
        let (account, org) = (self.account, self.org);
        let read = |contact: Contact| async move {
            let (ctx, operator) = account.call(org);
            let children = ctx.transfer(&operator).children(contact.id, None).await;
            anyhow::Ok((contact, account.of_table(children)?))
        };
        let mut read = std::pin::pin!(stream::iter(contacts).map(read).buffered(MAX_CONCURRENT_READS));
        while let Some((mut contact, mut children)) = read.try_next().await? {
            let id = contact.id;
            contact.import_ids.retain(|import| self.imports.contains(import));
            self.write(&Record::Contact(contact))?;
            loop {
                for record in children.records {
                    let is_orphan =
                        matches!(&record, Record::Lead(lead) if !self.campaigns.contains(&lead.key.campaign_id));
                    if !is_orphan {
                        self.write(&record)?;
                    }
                }
                let Some(next) = children.next else { break };
                let (ctx, operator) = account.call(org);
                children = account.of_table(ctx.transfer(&operator).children(id, Some(&next)).await)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, record: &Record) -> Result<()> {
        self.sink.write(record)?;
        self.records.of(record.record_type()).written += 1;
        self.progress.advance(1);
        Ok(())
    }
}
