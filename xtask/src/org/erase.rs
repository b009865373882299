//! `cargo xtask org erase-person`: deletes the contact of a person who asks for it, and says what remains where.
//!
//! The contact goes in one transaction with its entry in the audit log. Children that the transaction does not take are
//! deleted by this command too, beside the worker, so that its report is true when it ends: nothing has to be looked up
//! later. If the command is interrupted, the worker deletes them. Both may run at once.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use shared::domain::{ContactId, Email, OrgId, time};
use shared::dynamodb::{CapacityMeter, DeletedParent};
use shared::repositories::{ChildCounts, Error, RECORD_LIFETIME};
use tokio::time::Instant;

use crate::account::{Account, AuditReference, CALL_TIMEOUT, TableOptions};
use crate::operator::{ConfirmOptions, OutputOptions, TextTable, inform};

/// How long the stream of a table keeps records.
const STREAM_RETENTION: TimeDelta = TimeDelta::hours(24);
/// How far point-in-time recovery reaches back.
const RECOVERY_PERIOD: TimeDelta = TimeDelta::days(35);

/// The options of `cargo xtask org erase-person`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The email of the person
    #[arg(value_name = "EMAIL", required_unless_present = "contact", conflicts_with = "contact")]
    email: Option<Email>,
    /// The contact of the person, instead of the email
    #[arg(long, value_name = "ID", requires = "org")]
    contact: Option<ContactId>,
    #[command(flatten)]
    organizations: Organizations,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    confirm: ConfirmOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// The organizations to search.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Organizations {
    /// Erase the person in this organization
    #[arg(long, value_name = "ID")]
    org: Option<OrgId>,
    /// Erase the person in every organization that `org list` shows
    #[arg(long)]
    all_organizations: bool,
}

/// How a contact is found.
enum Person {
    Email(Email),
    Contact(ContactId),
}

/// A contact to erase, or an erased one.
#[derive(Debug, Serialize)]
struct Erasure {
    org_id: OrgId,
    contact_id: ContactId,
    memberships: usize,
    leads: u64,
    activities: u64,
    audit: AuditReference,
}

/// A place where data of an erased person remains.
#[derive(Debug, Serialize)]
struct Remainder {
    what: &'static str,
    /// The end of its retention; `None` if it has none.
    until: Option<String>,
}

/// The result of the command.
#[derive(Debug, Serialize)]
struct Report {
    searched_organizations: usize,
    erased: Vec<Erasure>,
    remains: Vec<Remainder>,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let Options { email, contact, organizations, table, confirm, output } = options;
    let person = match (email, contact) {
        (Some(email), _) => Person::Email(email),
        (None, contact) => Person::Contact(contact.context("pass the email of the person, or --contact")?),
    };
    output.print(&erase(&table.connect().await?, &person, organizations.org, confirm).await?)
}

/// Erases a person in one organization, or in all.
async fn erase(account: &Account, person: &Person, org: Option<OrgId>, confirm: ConfirmOptions) -> Result<Report> {
    let orgs = match org {
        Some(org) => vec![org],
        None => account.all_organizations().await?.into_iter().map(|organization| organization.id).collect(),
    };
    let mut found = Vec::new();
    for org in &orgs {
        found.extend(find(account, *org, person).await?);
    }
    ensure!(!found.is_empty(), "nothing is changed: no contact of this person in {}", organizations(orgs.len()));
    inform(&format!("This is deleted, with everything that the contact holds:\n{}", table_of(&found)));
    confirm.ask("Erase the person?")?;
    for (done, contact) in found.iter().enumerate() {
        let interrupted = || format!("{done} of {} contacts are erased: run the command again", found.len());
        erase_contact(account, contact).await.with_context(interrupted)?;
    }
    Ok(Report { searched_organizations: orgs.len(), erased: found, remains: remains(Utc::now()) })
}

/// Finds the contact of a person in an organization, and counts what goes with it.
async fn find(account: &Account, org: OrgId, person: &Person) -> Result<Option<Erasure>> {
    let (ctx, operator) = account.call(org);
    let contacts = ctx.contacts(&operator);
    let found = match person {
        Person::Email(email) => contacts.find_holder(email).await,
        Person::Contact(id) => contacts.find_stored(*id).await,
    };
    if let Err(Error::NotFound(_)) = found {
        bail!(
            "the email is locked in {org} by a contact that does not exist: run `cargo xtask repair`, then this again"
        );
    }
    let Some(contact) = account.of_table(found)? else { return Ok(None) };
    let counts = account.of_table(contacts.count_children(contact.id, &contact.import_ids).await)?;
    let ChildCounts { memberships, leads, activities } = counts;
    let audit = account.audit_reference(org);
    Ok(Some(Erasure { org_id: org, contact_id: contact.id, memberships, leads, activities, audit }))
}

async fn erase_contact(account: &Account, contact: &Erasure) -> Result<()> {
    let (ctx, operator) = account.call(contact.org_id);
    let deleted = account.of_table(ctx.contacts(&operator).erase(contact.contact_id).await)?;
    let remaining = delete_children(account, contact.contact_id, &deleted).await;
    remaining.context("the contact is deleted; the worker deletes the rest of its children")
}

/// Deletes the remaining children, for as long as it takes, and gives up only if their number stays the same.
async fn delete_children(account: &Account, id: ContactId, deleted: &DeletedParent) -> Result<()> {
    let mut before = None;
    loop {
        let (ctx, operator) = account.call(deleted.org);
        let left = account.of_table(ctx.contacts(&operator).count_children(id, &deleted.import_ids).await)?;
        if left.is_zero() {
            return Ok(());
        }
        inform(&format!("still to delete: {}", describe(left.memberships, left.leads, left.activities)));
        let outcome =
            account.app.delete_children(deleted, Instant::now() + CALL_TIMEOUT, CapacityMeter::default()).await;
        if before == Some(left) && outcome? == 0 {
            bail!("the contact {id} exists again: it was imported or restored meanwhile, so erase it once more");
        }
        before = Some(left);
    }
}

/// What remains of a person who is erased now.
fn remains(now: DateTime<Utc>) -> Vec<Remainder> {
    let until = |retention| Some(time::to_seconds(now + retention));
    [
        ("records of the table's stream", until(STREAM_RETENTION)),
        (
            "stored responses of requests with an Idempotency-Key, until DynamoDB removes them some days later",
            until(RECORD_LIFETIME),
        ),
        ("point-in-time recovery; after a restore, erase the person again", until(RECOVERY_PERIOD)),
        ("tables restored from it, and exports: delete them, or erase the person there", None),
        ("the company, which belongs to the organization", None),
        ("ids of the contact in the audit log and in logs, without email, name or content", None),
    ]
    .map(|(what, until)| Remainder { what, until })
    .into()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { searched_organizations, erased, remains } = self;
        writeln!(f, "Erased {}, searched {}:\n", contacts(erased.len()), organizations(*searched_organizations))?;
        for Erasure { org_id, contact_id, memberships, leads, activities, audit } in erased {
            writeln!(f, "{contact_id} of {org_id}, with {}", describe(*memberships, *leads, *activities))?;
            writeln!(f, "  audit log: {audit}")?;
        }
        let mut table = TextTable::new(["until", "what remains"]);
        for Remainder { what, until } in remains {
            table.push([until.clone().unwrap_or_else(|| "no end".to_owned()), (*what).to_owned()]);
        }
        write!(f, "\n{table}")
    }
}

fn table_of(found: &[Erasure]) -> TextTable<5> {
    let mut table = TextTable::new(["organization", "contact", "memberships", "leads", "activities"]);
    for Erasure { org_id, contact_id, memberships, leads, activities, .. } in found {
        let counts = [memberships.to_string(), leads.to_string(), activities.to_string()];
        let [memberships, leads, activities] = counts;
        table.push([org_id.to_string(), contact_id.to_string(), memberships, leads, activities]);
    }
    table
}

fn describe(memberships: usize, leads: u64, activities: u64) -> String {
    format!("memberships: {memberships}, leads: {leads}, activities: {activities}")
}

fn contacts(count: usize) -> String {
    if count == 1 { "1 contact".to_owned() } else { format!("{count} contacts") }
}

fn organizations(count: usize) -> String {
    if count == 1 { "1 organization".to_owned() } else { format!("{count} organizations") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::auth::Principal;
    use shared::domain::{AuditAction, Contact, ContactFilter};
    use shared::dynamodb::Parent;
    use uuid::Uuid;

    use super::*;
    use crate::account::tests::TestTable;
    use crate::dev::Seeder;

    const YES: ConfirmOptions = ConfirmOptions { yes: true };
    /// The email of the example contact, which has a membership, a lead and many activities.
    const EMAIL: &str = "Lead-00@example.com";

    fn person() -> Person {
        Person::Email(EMAIL.parse().unwrap())
    }

    /// An organization with demo data.
    async fn organization(table: &TestTable) -> OrgId {
        let org = Uuid::new_v4().into();
        let (ctx, principal) = table.account.call(org);
        ctx.organizations(&principal).create("Demo".parse().unwrap()).await.unwrap();
        Seeder { ctx: &ctx, principal: &principal }.seed(true).await.unwrap();
        org
    }

    async fn contacts(table: &TestTable, org: OrgId) -> Vec<Contact> {
        let (ctx, principal): (_, Principal) = table.account.call(org);
        ctx.contacts(&principal).list::<Contact>(&ContactFilter::default(), None, None).await.unwrap().rows
    }

    #[tokio::test]
    async fn a_person_is_erased_with_all_children_in_every_organization() {
        let table = TestTable::new().await;
        let orgs = [organization(&table).await, organization(&table).await];
        let before = contacts(&table, orgs[0]).await;

        let report = erase(&table.account, &person(), None, YES).await.unwrap();

        assert_eq!(report.searched_organizations, 2);
        assert_eq!(report.erased.len(), 2);
        for Erasure { org_id, contact_id, memberships, leads, activities, .. } in report.erased {
            assert!(orgs.contains(&org_id));
            assert_eq!((memberships, leads, activities), (1, 1, 120));
            let (ctx, operator) = table.account.call(org_id);
            let imports = before.iter().flat_map(|contact| contact.import_ids.clone()).collect();
            assert!(ctx.contacts(&operator).count_children(contact_id, &imports).await.unwrap().is_zero());
            assert_eq!(contacts(&table, org_id).await.len(), before.len() - 1);
            assert_eq!(table.audit_log(org_id).await[0], (AuditAction::PersonErased, contact_id.to_string()));
        }
        let again = erase(&table.account, &person(), None, YES).await.unwrap_err().to_string();
        assert_eq!(again, "nothing is changed: no contact of this person in 2 organizations");
    }

    #[tokio::test]
    async fn a_person_is_erased_in_the_named_organization_only() {
        let table = TestTable::new().await;
        let (org, other) = (organization(&table).await, organization(&table).await);
        let before = contacts(&table, other).await;
        let id = before.iter().find(|contact| contact.details.email == EMAIL.parse().unwrap()).unwrap().id;

        let report = erase(&table.account, &Person::Contact(id), Some(org), YES).await.unwrap();

        assert_eq!((report.searched_organizations, report.erased.len()), (1, 1));
        assert_eq!(contacts(&table, org).await.len(), before.len() - 1);
        assert_eq!(contacts(&table, other).await, before);
    }

    #[tokio::test]
    async fn a_lock_without_its_contact_does_not_count_as_erased() {
        let table = TestTable::new().await;
        let org = organization(&table).await;
        let held = find(&table.account, org, &person()).await.unwrap().unwrap();
        table.table.delete_item(&Parent::Contact(held.contact_id).key(org)).await.unwrap();

        let error = erase(&table.account, &person(), None, YES).await.unwrap_err().to_string();

        let expected = format!("the email is locked in {org} by a contact that does not exist: ");
        assert!(error.starts_with(&expected) && error.contains("cargo xtask repair"), "{error}");
    }

    #[tokio::test]
    async fn the_result_has_this_shape_and_names_no_person() {
        let table = TestTable::new().await;
        let org = organization(&table).await;
        let report = erase(&table.account, &person(), Some(org), YES).await.unwrap();
        let (contact_id, audit) = (report.erased[0].contact_id, table.account.audit_reference(org));

        let text = report.to_string();
        let mut json = json!(report);
        let remains = json["remains"].take();

        assert!(!text.contains("example.com"), "{text}");
        assert!(remains[0]["what"].is_string() && remains[0]["until"].is_string(), "{remains}");
        let erased = json!({
            "org_id": org, "contact_id": contact_id, "memberships": 1, "leads": 1, "activities": 120, "audit": audit,
        });
        assert_eq!(json, json!({"searched_organizations": 1, "erased": [erased], "remains": null}));
    }
}
