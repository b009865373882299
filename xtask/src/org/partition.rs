//! `cargo xtask org partition`: spreads the new contacts of an organization over several partitions of the table.
//!
//! The protocol is that of `shared::domain::contact_partitions`; docs/operations.md says when it is needed.

use std::fmt;

use anyhow::{Result, bail};
use serde::Serialize;
use shared::domain::contact_partitions::{MAX_PARTITIONS, counted};
use shared::domain::{OrgId, Organization, time};
use shared::repositories::Repartition;

use super::{no_profile, profile};
use crate::account::{Account, AuditReference, TableOptions};
use crate::operator::{ConfirmOptions, OutputOptions};

/// The options of `cargo xtask org partition`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The organization
    #[arg(value_name = "ID")]
    id: OrgId,
    /// The number of partitions, the organization's own included
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_PARTITIONS)))]
    count: u8,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    confirm: ConfirmOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// The result of the command.
#[derive(Debug, Serialize)]
struct Partitioned {
    org_id: OrgId,
    name: String,
    partitions: u8,
    /// The beginning; `None` for an organization whose contacts always had one partition.
    since: Option<String>,
    /// Whether the beginning has passed.
    #[serde(skip)]
    has_begun: bool,
    /// `false` if the organization had these partitions before.
    changed: bool,
    /// The entry in the audit log, if something was changed.
    audit: Option<AuditReference>,
}

impl fmt::Display for Partitioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { org_id, name, partitions, since, has_begun, changed, audit } = self;
        let partitions = counted(*partitions);
        write!(f, "{org_id} ({name}): ")?;
        match since {
            Some(since) if *changed => writeln!(f, "new contacts have {partitions} from {since} on.")?,
            Some(since) if *has_begun => writeln!(f, "{partitions} since {since}; nothing is changed.")?,
            Some(since) => writeln!(f, "{partitions} from {since} on, as scheduled before; nothing is changed.")?,
            None => writeln!(f, "contacts have {partitions}; nothing is changed.")?,
        }
        match audit {
            Some(audit) => writeln!(f, "audit log: {audit}"),
            None => Ok(()),
        }
    }
}

/// Runs the command.
pub(super) async fn run(options: Options) -> Result<()> {
    let Options { id, count, table, confirm, output } = options;
    output.print(&partition(&table.connect().await?, id, count, confirm).await?)
}

async fn partition(account: &Account, org: OrgId, count: u8, confirm: ConfirmOptions) -> Result<Partitioned> {
    let name = profile(account, org).await?.name;
    confirm.ask(&format!("Give new contacts of {org} ({}) {}?", name.as_str(), counted(count)))?;
    let (ctx, operator) = account.call(org);
    let outcome = account.of_table(ctx.organizations(&operator).partition_contacts(count).await)?;
    let partitioned = |organization: Organization, audit: Option<AuditReference>| {
        let last = organization.placement.contact_partitions.changes().last().copied();
        Partitioned {
            org_id: org,
            name: organization.name.as_str().to_owned(),
            partitions: count,
            since: last.map(|change| time::to_exact(change.since)),
            has_begun: last.is_none_or(|change| change.since <= ctx.now()),
            changed: audit.is_some(),
            audit,
        }
    };
    match outcome {
        Repartition::Changed(organization) => Ok(partitioned(organization, Some(account.audit_reference(org)))),
        Repartition::Unchanged(organization) => Ok(partitioned(organization, None)),
        Repartition::Refused(reason) => bail!("nothing is changed: {reason}"),
        Repartition::NoProfile => bail!(no_profile(org)),
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use shared::domain::AuditAction;
    use shared::domain::contact_partitions::LEAD_TIME;
    use uuid::Uuid;

    use super::*;
    use crate::account::tests::TestTable;

    const YES: ConfirmOptions = ConfirmOptions { yes: true };

    async fn organization(table: &TestTable) -> OrgId {
        let org = Uuid::new_v4().into();
        let (ctx, operator) = table.account.call(org);
        ctx.organizations(&operator).create("Acme".parse().unwrap()).await.unwrap().unwrap();
        org
    }

    #[tokio::test]
    async fn a_change_is_scheduled_once_and_a_repetition_says_when_it_begins() {
        let table = TestTable::new().await;
        let org = organization(&table).await;

        let before = Utc::now();
        let scheduled = partition(&table.account, org, 8, YES).await.unwrap();
        let again = partition(&table.account, org, 8, YES).await.unwrap();

        let since = scheduled.since.clone().unwrap();
        let begin = time::parse(&since).unwrap() - LEAD_TIME;
        assert!((before - begin).num_seconds() <= 0 && begin <= Utc::now(), "{since}");
        let audit = scheduled.audit.as_ref().unwrap();
        let expected = format!("{org} (Acme): new contacts have 8 partitions from {since} on.\naudit log: {audit}\n");
        assert_eq!(scheduled.to_string(), expected);
        let expected =
            format!("{org} (Acme): 8 partitions from {since} on, as scheduled before; nothing is changed.\n");
        assert_eq!(again.to_string(), expected);
        let later = Partitioned { has_begun: true, ..again };
        assert_eq!(later.to_string(), format!("{org} (Acme): 8 partitions since {since}; nothing is changed.\n"));
        let one = Partitioned { partitions: 1, ..later };
        assert_eq!(one.to_string(), format!("{org} (Acme): 1 partition since {since}; nothing is changed.\n"));
        let log = [AuditAction::OrganizationPartitioned, AuditAction::OrganizationCreated];
        assert_eq!(table.audit_log(org).await, log.map(|action| (action, org.to_string())));
    }

    #[tokio::test]
    async fn a_change_that_is_not_possible_says_why() {
        let table = TestTable::new().await;
        let unknown = Uuid::new_v4().into();
        let refused = |outcome: Result<Partitioned>| outcome.unwrap_err().to_string();
        assert_eq!(refused(partition(&table.account, unknown, 8, YES).await), no_profile(unknown));

        let org = organization(&table).await;
        let unconfirmed = refused(partition(&table.account, org, 8, ConfirmOptions { yes: false }).await);
        assert!(unconfirmed.starts_with("nothing is changed: "), "{unconfirmed}");
        let one = partition(&table.account, org, 1, YES).await.unwrap();
        assert_eq!(one.to_string(), format!("{org} (Acme): contacts have 1 partition; nothing is changed.\n"));
        partition(&table.account, org, 8, YES).await.unwrap();
        let pending = refused(partition(&table.account, org, 4, YES).await);
        assert!(pending.starts_with("nothing is changed: a change to 8 partitions is scheduled for 2"), "{pending}");
        assert_eq!(table.audit_log(org).await.len(), 2);
    }
}
