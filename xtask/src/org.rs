//! `cargo xtask org`: what an operator does with organizations.

mod erase;
mod export;
mod import;
mod partition;
mod records;

use std::fmt;

use anyhow::{Context, Result};
use serde::Serialize;
use shared::domain::{ApiKeySecret, Line, NewApiKey, OrgId, Organization, Scope, time};
use shared::repositories;
use shared::system;
use shared::wire::{CreatedApiKey, Resource};
use uuid::Uuid;

use crate::account::{Account, AuditReference, TableOptions};
use crate::operator::{ConfirmOptions, OutputOptions, TextTable, show_log};

/// The name of an organization's first key.
const FIRST_KEY: &str = "Admin";

/// The subcommands of `cargo xtask org`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Creates an organization with its first admin key, and prints the key
    Create(CreateOptions),
    /// Lists the organizations
    List(ListOptions),
    /// Suspends an organization: every request of its credentials is refused within a minute
    Suspend(SuspendOptions),
    /// Lifts the suspension of an organization
    Resume(ResumeOptions),
    /// Spreads the new contacts of an organization over several partitions of the table, a quarter of an hour later
    Partition(partition::Options),
    /// Deletes the contact of a person in one organization or in all, and says what remains where
    ErasePerson(erase::Options),
    /// Writes the data of an organization to a file
    Export(export::Options),
    /// Stores the data of an organization that another platform or an export has written to files
    Import(import::Options),
}

/// The options of `cargo xtask org create`.
#[derive(clap::Args)]
pub(crate) struct CreateOptions {
    /// The operator's name for the organization
    #[arg(long)]
    name: Line<200>,
    /// The id of the organization, if tokens or an earlier platform name it already; otherwise a new one
    #[arg(long, value_name = "UUID")]
    id: Option<OrgId>,
    /// Create no key, because the organization has credentials already
    #[arg(long)]
    without_key: bool,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// The options of `cargo xtask org list`.
#[derive(clap::Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// The options of `cargo xtask org suspend`.
#[derive(clap::Args)]
pub(crate) struct SuspendOptions {
    /// The organization
    #[arg(value_name = "ID")]
    id: OrgId,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    confirm: ConfirmOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// The options of `cargo xtask org resume`.
#[derive(clap::Args)]
pub(crate) struct ResumeOptions {
    /// The organization
    #[arg(value_name = "ID")]
    id: OrgId,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// Runs a subcommand.
pub(crate) async fn run(command: Command) -> Result<()> {
    show_log();
    match command {
        Command::Create(CreateOptions { name, id, without_key, table, output }) => {
            output.print(&create(&table.connect().await?, id, name, !without_key).await?)
        }
        Command::List(ListOptions { table, output }) => output.print(&list(&table.connect().await?).await?),
        Command::Suspend(SuspendOptions { id, table, confirm, output }) => {
            output.print(&suspend(&table.connect().await?, id, confirm).await?)
        }
        Command::Resume(ResumeOptions { id, table, output }) => {
            output.print(&resume(&table.connect().await?, id).await?)
        }
        Command::Partition(options) => partition::run(options).await,
        Command::ErasePerson(options) => erase::run(options).await,
        Command::Export(options) => export::run(options).await,
        Command::Import(options) => import::run(options).await,
    }
}

/// An organization as commands print it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct OrganizationView {
    id: OrgId,
    name: String,
    created_at: String,
    suspended_at: Option<String>,
}

impl From<Organization> for OrganizationView {
    fn from(organization: Organization) -> Self {
        let Organization { id, name, created_at, suspended_at, placement: _ } = organization;
        let (created_at, suspended_at) = (time::to_seconds(created_at), suspended_at.map(time::to_seconds));
        Self { id, name: name.as_str().to_owned(), created_at, suspended_at }
    }
}

/// The result of `create`.
#[derive(Serialize)]
struct Created {
    organization: OrganizationView,
    /// The key as the API returns it, with the key itself.
    #[serde(serialize_with = "as_view")]
    api_key: Option<CreatedApiKey>,
    audit: AuditReference,
}

#[expect(clippy::ref_option, reason = "serde calls it with the field")]
fn as_view<S: serde::Serializer>(key: &Option<CreatedApiKey>, serializer: S) -> Result<S::Ok, S::Error> {
    key.as_ref().map(Resource::view).serialize(serializer)
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OrganizationView { id, name, .. } = &self.organization;
        writeln!(f, "organization: {id}\nname:         {name}")?;
        if let Some(CreatedApiKey { key, secret }) = &self.api_key {
            writeln!(f, "admin key:    {}\nkey id:       {}", secret.in_clear(), key.id)?;
        }
        writeln!(f, "audit log:    {}", self.audit)?;
        if self.api_key.is_some() {
            writeln!(f, "The key is printed only now: only its hash is stored.")?;
        }
        Ok(())
    }
}

/// Creates an organization, and its first key if `with_key`.
async fn create(account: &Account, id: Option<OrgId>, name: Line<200>, with_key: bool) -> Result<Created> {
    let org = id.unwrap_or_else(|| Uuid::new_v4().into());
    let (ctx, operator) = account.call(org);
    let organizations = ctx.organizations(&operator);
    let api_key = if with_key { Some(first_key(account, org)?) } else { None };
    let created = match &api_key {
        Some(CreatedApiKey { key, secret }) => organizations.create_with_key(name, &secret.hash(), key).await,
        None => organizations.create(name).await,
    };
    let organization = account.of_table(created)?.with_context(|| {
        format!("the organization {org} exists already: `cargo xtask key create --org {org}` creates a key")
    })?;
    Ok(Created { organization: organization.into(), api_key, audit: account.audit_reference(org) })
}

/// Creates an organization for a test or a rehearsal, and returns its admin key.
pub(crate) async fn create_for_test(account: &Account, name: &str) -> Result<String> {
    let created = create(account, None, name.parse()?, true).await?;
    let key = created.api_key.context("the organization has no key")?;
    Ok(key.secret.in_clear().to_owned())
}

fn first_key(account: &Account, org: OrgId) -> Result<CreatedApiKey> {
    let scopes = [Scope::Admin].into_iter().collect();
    let new = NewApiKey { name: FIRST_KEY.parse()?, scopes, valid_until: None, live: true, rate_limit: None };
    let secret = ApiKeySecret::new(new.live, system::rng().bytes()?);
    let (ctx, operator) = account.call(org);
    Ok(CreatedApiKey { key: ctx.api_keys(&operator).draft(new, &secret), secret })
}

/// The result of `list`.
#[derive(Debug, Serialize)]
struct Listed {
    organizations: Vec<OrganizationView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = TextTable::new(["id", "created", "suspended", "name"]);
        for OrganizationView { id, name, created_at, suspended_at } in &self.organizations {
            let suspended_at = suspended_at.clone().unwrap_or_else(|| "-".to_owned());
            table.push([id.to_string(), created_at.clone(), suspended_at, name.clone()]);
        }
        write!(f, "{table}")
    }
}

async fn list(account: &Account) -> Result<Listed> {
    let organizations = account.all_organizations().await?;
    Ok(Listed { organizations: organizations.into_iter().map(OrganizationView::from).collect() })
}

/// The result of `suspend` and `resume`.
#[derive(Debug, Serialize)]
struct Changed {
    organization: OrganizationView,
    /// `false` if the organization was as wanted before.
    changed: bool,
    /// The entry in the audit log, if something was changed.
    audit: Option<AuditReference>,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OrganizationView { id, name, suspended_at, .. } = &self.organization;
        match (self.changed, suspended_at) {
            (true, Some(_)) => writeln!(f, "{id} ({name}) is suspended: its requests are a 403 within 60 seconds.")?,
            (true, None) => writeln!(f, "{id} ({name}) is not suspended any more: it is served within 60 seconds.")?,
            (false, Some(since)) => writeln!(f, "{id} ({name}) has been suspended since {since}; nothing is changed.")?,
            (false, None) => writeln!(f, "{id} ({name}) is not suspended; nothing is changed.")?,
        }
        match &self.audit {
            Some(audit) => writeln!(f, "audit log: {audit}"),
            None => Ok(()),
        }
    }
}

async fn suspend(account: &Account, org: OrgId, confirm: ConfirmOptions) -> Result<Changed> {
    let before = profile(account, org).await?;
    if before.is_suspended() {
        return Ok(Changed { organization: before.into(), changed: false, audit: None });
    }
    confirm.ask(&format!("Suspend {org} ({}), so that its requests are refused?", before.name.as_str()))?;
    let (ctx, operator) = account.call(org);
    changed(account, org, ctx.organizations(&operator).suspend().await)
}

async fn resume(account: &Account, org: OrgId) -> Result<Changed> {
    let before = profile(account, org).await?;
    if !before.is_suspended() {
        return Ok(Changed { organization: before.into(), changed: false, audit: None });
    }
    let (ctx, operator) = account.call(org);
    changed(account, org, ctx.organizations(&operator).resume().await)
}

fn changed(account: &Account, org: OrgId, outcome: repositories::Result<Option<Organization>>) -> Result<Changed> {
    let organization = account.of_table(outcome)?.with_context(|| no_profile(org))?;
    Ok(Changed { organization: organization.into(), changed: true, audit: Some(account.audit_reference(org)) })
}

async fn profile(account: &Account, org: OrgId) -> Result<Organization> {
    let (ctx, operator) = account.call(org);
    account.of_table(ctx.organizations(&operator).get().await)?.with_context(|| no_profile(org))
}

fn no_profile(org: OrgId) -> String {
    format!(
        "there is no organization {org}; if it has credentials, register it: \
             `cargo xtask org create --without-key --id {org} --name NAME`"
    )
}

#[cfg(test)]
mod tests {
    use std::slice;

    use serde_json::json;
    use shared::domain::{ApiKey, AuditAction};

    use super::*;
    use crate::account::tests::TestTable;

    const YES: ConfirmOptions = ConfirmOptions { yes: true };

    fn acme() -> Line<200> {
        "Acme".parse().unwrap()
    }

    #[tokio::test]
    async fn a_new_organization_has_an_admin_key_and_entries_in_the_audit_log() {
        let table = TestTable::new().await;
        let created = create(&table.account, None, acme(), true).await.unwrap();
        let org = created.organization.id;
        let CreatedApiKey { key, secret } = created.api_key.unwrap();

        let (ctx, principal) = table.authenticate(secret.in_clear()).await.unwrap();
        assert!(principal.org_id() == org && principal.may(Scope::Admin) && secret.in_clear().starts_with("sk_live_"));
        assert_eq!(ctx.api_keys(&principal).list::<ApiKey>(None, None).await.unwrap().rows, slice::from_ref(&key));
        let mut log = table.audit_log(org).await;
        log.sort_by_key(|(action, _)| *action);
        let expected =
            [(AuditAction::ApiKeyCreated, key.id.to_string()), (AuditAction::OrganizationCreated, org.to_string())];
        assert_eq!(log, expected);
    }

    #[tokio::test]
    async fn an_organization_is_created_once() {
        let table = TestTable::new().await;
        let created = create(&table.account, None, acme(), true).await.unwrap();
        let org = created.organization.id;

        let again = create(&table.account, Some(org), "Other".parse().unwrap(), true).await;

        let error = again.err().unwrap().to_string();
        let expected =
            format!("the organization {org} exists already: `cargo xtask key create --org {org}` creates a key");
        assert_eq!(error, expected);
        let (ctx, operator) = table.account.call(org);
        assert_eq!(ctx.api_keys(&operator).list::<ApiKey>(None, None).await.unwrap().rows.len(), 1);
        assert_eq!(table.audit_log(org).await.len(), 2);
    }

    #[tokio::test]
    async fn an_organization_that_has_credentials_is_registered_without_a_key() {
        let table = TestTable::new().await;
        let id = Uuid::new_v4().into();
        let created = create(&table.account, Some(id), acme(), false).await.unwrap();
        assert!(created.organization.id == id && created.api_key.is_none());
        assert_eq!(table.audit_log(id).await, [(AuditAction::OrganizationCreated, id.to_string())]);
    }

    #[tokio::test]
    async fn a_suspended_organization_may_nothing_until_it_is_resumed() {
        let table = TestTable::new().await;
        let created = create(&table.account, None, acme(), true).await.unwrap();
        let (org, secret) = (created.organization.id, created.api_key.unwrap().secret);
        let may_read = async || table.authenticate(secret.in_clear()).await.unwrap().1.may(Scope::Read);

        let suspended = suspend(&table.account, org, YES).await.unwrap();
        assert!(suspended.changed && !may_read().await);
        let again = suspend(&table.account, org, YES).await.unwrap();
        assert!(!again.changed && again.organization.suspended_at == suspended.organization.suspended_at);
        assert_eq!(list(&table.account).await.unwrap().organizations, [suspended.organization]);

        assert!(resume(&table.account, org).await.unwrap().changed && may_read().await);
        assert!(!resume(&table.account, org).await.unwrap().changed);
        let actions: Vec<_> = table.audit_log(org).await.into_iter().map(|(action, _)| action).collect();
        assert_eq!(actions[..2], [AuditAction::OrganizationResumed, AuditAction::OrganizationSuspended]);
        assert_eq!(actions.len(), 4);
    }

    #[tokio::test]
    async fn an_unknown_organization_is_an_error_that_says_what_to_do() {
        let table = TestTable::new().await;
        let org = Uuid::new_v4().into();
        for error in
            [suspend(&table.account, org, YES).await.unwrap_err(), resume(&table.account, org).await.unwrap_err()]
        {
            let error = error.to_string();
            assert!(error.starts_with(&format!("there is no organization {org}; ")), "{error}");
            assert!(error.contains("cargo xtask org create --without-key --id"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_results_have_these_shapes() {
        let table = TestTable::new().await;
        let created = create(&table.account, None, acme(), true).await.unwrap();
        let org = created.organization.id;
        let organization = |suspended_at: &Option<String>| {
            json!({
                "id": org, "name": "Acme", "created_at": created.organization.created_at, "suspended_at": suspended_at,
            })
        };
        let audit = json!(table.account.audit_reference(org));
        let CreatedApiKey { key, secret } = created.api_key.as_ref().unwrap();
        assert_eq!(
            json!(&created),
            json!({
                "organization": organization(&None),
                "api_key": {
                    "id": key.id, "org_id": org, "name": "Admin", "display_prefix": key.display_prefix,
                    "scopes": ["admin"], "live": true, "created_at": time::to_seconds(key.created_at),
                    "expires_at": null, "revoked_at": null, "last_used_at": null, "rate_limit": null, "key": secret.in_clear(),
                },
                "audit": audit,
            })
        );
        let suspended = suspend(&table.account, org, YES).await.unwrap();
        let expected = organization(&suspended.organization.suspended_at);
        assert_eq!(json!(suspended), json!({"organization": expected, "changed": true, "audit": audit}));
        assert_eq!(json!(list(&table.account).await.unwrap()), json!({"organizations": [expected]}));
    }
}
