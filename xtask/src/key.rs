//! `cargo xtask key`: what an operator does with the API keys of an organization.

use std::fmt;

use anyhow::{Result, anyhow, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Serialize, Serializer};
use shared::domain::{ApiKey, ApiKeyId, ApiKeySecret, Line, NewApiKey, OrgId, RateLimit, Scope, time};
use shared::repositories::LastAdminKey;
use shared::system;
use shared::wire::{CreatedApiKey, Resource};

use crate::account::{Account, AuditReference, TableOptions};
use crate::operator::{ConfirmOptions, OutputOptions, TextTable, inform, show_log};

/// The rows of one page of keys.
const PAGE: usize = 100;

/// The subcommands of `cargo xtask key`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Creates an API key, and prints it
    Create(CreateOptions),
    /// Lists the keys of an organization, including those that are revoked or expired
    List(ListOptions),
    /// Revokes a key: it is refused within a minute
    Revoke(RevokeOptions),
}

/// The options of `cargo xtask key create`.
#[derive(clap::Args)]
pub(crate) struct CreateOptions {
    /// The organization
    #[arg(long, value_name = "ID")]
    org: OrgId,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// The properties of a new key.
#[derive(clap::Args)]
struct KeyOptions {
    /// The name of the key
    #[arg(long, default_value = "Operator")]
    name: Line<100>,
    /// A scope of the key: read, write or admin; can be given several times
    #[arg(long = "scope", value_name = "SCOPE", default_value = "admin")]
    scopes: Vec<Scope>,
    /// The expiry, such as 2027-01-31T12:00:00Z; without it, the key does not expire
    #[arg(long, value_name = "TIME", value_parser = time::parse, conflicts_with = "expires_in_days")]
    expires_at: Option<DateTime<Utc>>,
    /// The days until the key expires
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_in_days: Option<u32>,
    /// Create a test key, which begins with `sk_test_`
    #[arg(long)]
    test: bool,
    /// Limit the requests per second of the key; without it, only the limit of its organization applies
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..=RateLimit::MAX_RATE.into()))]
    rate_limit: Option<u32>,
    /// The requests that the key may send at once, instead of ten seconds' worth
    #[arg(
        long, value_name = "REQUESTS", requires = "rate_limit",
        value_parser = clap::value_parser!(u32).range(1..=RateLimit::MAX_BURST.into()),
    )]
    burst: Option<u32>,
}

/// The options of `cargo xtask key list`.
#[derive(clap::Args)]
pub(crate) struct ListOptions {
    /// The organization
    #[arg(long, value_name = "ID")]
    org: OrgId,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// The options of `cargo xtask key revoke`.
#[derive(clap::Args)]
pub(crate) struct RevokeOptions {
    /// The organization
    #[arg(long, value_name = "ID")]
    org: OrgId,
    /// The id of the key, as `key list` shows it
    #[arg(value_name = "KEY_ID")]
    key: ApiKeyId,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    confirm: ConfirmOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// Runs a subcommand.
pub(crate) async fn run(command: Command) -> Result<()> {
    show_log();
    match command {
        Command::Create(CreateOptions { org, key, table, output }) => {
            let new = key.new_key(Utc::now())?;
            output.print(&create(&table.connect().await?, org, new).await?)
        }
        Command::List(ListOptions { org, table, output }) => output.print(&list(&table.connect().await?, org).await?),
        Command::Revoke(RevokeOptions { org, key, table, confirm, output }) => {
            output.print(&revoke(&table.connect().await?, org, key, confirm).await?)
        }
    }
}

impl KeyOptions {
    fn new_key(self, now: DateTime<Utc>) -> Result<NewApiKey> {
        let Self { name, scopes, expires_at, expires_in_days, test, rate_limit, burst } = self;
        let valid_until = expires_at.or(expires_in_days.map(|days| now + TimeDelta::days(days.into())));
        ensure!(valid_until.is_none_or(|expiry| now < expiry), "--expires-at must be in the future");
        let rate_limit = match rate_limit {
            Some(rate) => Some(RateLimit::new(rate, burst).map_err(|error| anyhow!("--rate-limit {error}"))?),
            None => None,
        };
        Ok(NewApiKey { name, scopes: scopes.into_iter().collect(), valid_until, live: !test, rate_limit })
    }
}

/// The result of `create`.
#[derive(Serialize)]
struct Created {
    /// The key as the API returns it, with the key itself.
    #[serde(serialize_with = "as_view")]
    api_key: CreatedApiKey,
    audit: AuditReference,
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CreatedApiKey { key, secret } = &self.api_key;
        writeln!(f, "key:          {}\nkey id:       {}", secret.in_clear(), key.id)?;
        writeln!(f, "name:         {}\nscopes:       {}", key.name.as_str(), scopes(key))?;
        writeln!(f, "expires:      {}", or_dash(key.valid_until.map(time::to_exact)))?;
        writeln!(f, "audit log:    {}\nThe key is printed only now: only its hash is stored.", self.audit)
    }
}

async fn create(account: &Account, org: OrgId, new: NewApiKey) -> Result<Created> {
    let (ctx, operator) = account.call(org);
    let keys = ctx.api_keys(&operator);
    let secret = ApiKeySecret::new(new.live, system::rng().bytes()?);
    let api_key = CreatedApiKey { key: keys.draft(new, &secret), secret };
    account.of_table(keys.create(&api_key.secret.hash(), &api_key.key, None).await)?;
    Ok(Created { api_key, audit: account.audit_reference(org) })
}

/// The result of `list`.
#[derive(Serialize)]
struct Listed {
    #[serde(serialize_with = "as_views")]
    api_keys: Vec<ApiKey>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = TextTable::new(["id", "key", "scopes", "created", "expires", "revoked", "limit", "name"]);
        for key in &self.api_keys {
            let limit = key.rate_limit.map(|limit| format!("{}/s, {}", limit.requests_per_second(), limit.burst()));
            table.push([
                key.id.to_string(),
                format!("{}…", key.display_prefix),
                scopes(key),
                time::to_seconds(key.created_at),
                or_dash(key.valid_until.map(time::to_seconds)),
                or_dash(key.revoked_at.map(time::to_seconds)),
                or_dash(limit),
                key.name.as_str().to_owned(),
            ]);
        }
        write!(f, "{table}")
    }
}

async fn list(account: &Account, org: OrgId) -> Result<Listed> {
    let (ctx, operator) = account.call(org);
    let keys = ctx.api_keys(&operator);
    let (mut api_keys, mut cursor) = (Vec::new(), None);
    loop {
        let page = account.of_table(keys.list::<ApiKey>(Some(PAGE), cursor).await)?;
        api_keys.extend(page.rows);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(Listed { api_keys });
        }
    }
}

/// The result of `revoke`.
#[derive(Serialize)]
struct Revoked {
    id: ApiKeyId,
    org_id: OrgId,
    /// `false` if the key was revoked before.
    changed: bool,
    /// The entry in the audit log, if something was changed.
    audit: Option<AuditReference>,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.audit {
            Some(audit) => {
                writeln!(f, "{} is revoked: it is refused (401) within 60 seconds.\naudit log: {audit}", self.id)
            }
            None => writeln!(f, "{} was revoked before; nothing is changed.", self.id),
        }
    }
}

async fn revoke(account: &Account, org: OrgId, id: ApiKeyId, confirm: ConfirmOptions) -> Result<Revoked> {
    let Listed { api_keys } = list(account, org).await?;
    let Some(key) = api_keys.iter().find(|key| key.id == id) else {
        bail!("the organization {org} has no key {id}: `cargo xtask key list --org {org}` shows its keys");
    };
    if key.revoked_at.is_some() {
        return Ok(Revoked { id, org_id: org, changed: false, audit: None });
    }
    if is_last_admin_key(key, &api_keys, Utc::now()) {
        inform(
            "warning: this is the last admin key of the organization: without one, only an operator can create keys",
        );
    }
    confirm.ask(&format!("Revoke {}… ({}) of {org}?", key.display_prefix, key.name.as_str()))?;
    let (ctx, operator) = account.call(org);
    // The last admin key may be revoked here, because an operator can create another one.
    account.of_table(ctx.api_keys(&operator).revoke(id, LastAdminKey::Allow).await)?;
    Ok(Revoked { id, org_id: org, changed: true, audit: Some(account.audit_reference(org)) })
}

/// `true` if a valid admin key is the only one of these keys.
fn is_last_admin_key(key: &ApiKey, all: &[ApiKey], now: DateTime<Utc>) -> bool {
    key.is_admin_key_at(now) && all.iter().filter(|other| other.is_admin_key_at(now)).count() == 1
}

fn scopes(key: &ApiKey) -> String {
    key.scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn as_view<S: Serializer>(resource: &impl Resource, serializer: S) -> Result<S::Ok, S::Error> {
    resource.view().serialize(serializer)
}

fn as_views<S: Serializer>(resources: &[impl Resource], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(resources.iter().map(Resource::view))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::auth::AuthError;
    use uuid::Uuid;

    use super::*;
    use crate::account::tests::TestTable;

    const YES: ConfirmOptions = ConfirmOptions { yes: true };

    fn options() -> KeyOptions {
        KeyOptions {
            name: "Operator".parse().unwrap(),
            scopes: vec![Scope::Admin],
            expires_at: None,
            expires_in_days: None,
            test: false,
            rate_limit: None,
            burst: None,
        }
    }

    #[tokio::test]
    async fn a_key_gives_the_access_that_was_asked_for() {
        let table = TestTable::new().await;
        let org: OrgId = Uuid::new_v4().into();
        let limited = KeyOptions {
            scopes: vec![Scope::Read],
            test: true,
            rate_limit: Some(5),
            burst: Some(7),
            expires_in_days: Some(30),
            ..options()
        };
        for (options, prefix, may_write) in [(options(), "sk_live_", true), (limited, "sk_test_", false)] {
            let new = options.new_key(Utc::now()).unwrap();
            let CreatedApiKey { key, secret } = create(&table.account, org, new.clone()).await.unwrap().api_key;
            let (_, principal) = table.authenticate(secret.in_clear()).await.unwrap();
            assert!(principal.org_id() == org && secret.in_clear().starts_with(prefix), "{prefix}");
            assert_eq!((principal.may(Scope::Read), principal.may(Scope::Write)), (true, may_write), "{prefix}");
            assert_eq!((key.rate_limit, key.valid_until), (new.rate_limit, new.valid_until), "{prefix}");
        }
        let Listed { api_keys } = list(&table.account, org).await.unwrap();
        assert_eq!(api_keys.len(), 2);
    }

    #[test]
    fn an_expiry_is_in_the_future_and_a_burst_has_a_default() {
        let now = Utc::now();
        let in_days = KeyOptions { expires_in_days: Some(30), ..options() }.new_key(now).unwrap();
        assert_eq!(in_days.valid_until, Some(now + TimeDelta::days(30)));
        let past = KeyOptions { expires_at: Some(now), ..options() }.new_key(now).unwrap_err();
        assert_eq!(past.to_string(), "--expires-at must be in the future");
        let limited = KeyOptions { rate_limit: Some(5), ..options() }.new_key(now).unwrap();
        assert_eq!(limited.rate_limit, Some(RateLimit::new(5, None).unwrap()));
    }

    #[tokio::test]
    async fn a_revoked_key_gives_no_access() {
        let table = TestTable::new().await;
        let [org, other]: [OrgId; 2] = [Uuid::new_v4().into(), Uuid::new_v4().into()];
        let new = options().new_key(Utc::now()).unwrap();
        let CreatedApiKey { key, secret } = create(&table.account, org, new).await.unwrap().api_key;

        let foreign = revoke(&table.account, other, key.id, YES).await.err().unwrap().to_string();
        assert!(foreign.starts_with(&format!("the organization {other} has no key {}: ", key.id)), "{foreign}");
        assert!(table.authenticate(secret.in_clear()).await.is_ok());

        assert!(revoke(&table.account, org, key.id, YES).await.unwrap().changed);
        let refused = table.authenticate(secret.in_clear()).await.map(drop);
        assert_eq!(refused, Err(AuthError::Unauthenticated));
        assert!(!revoke(&table.account, org, key.id, YES).await.unwrap().changed);
    }

    #[tokio::test]
    async fn the_results_have_these_shapes() {
        let table = TestTable::new().await;
        let org: OrgId = Uuid::new_v4().into();
        let created = create(&table.account, org, options().new_key(Utc::now()).unwrap()).await.unwrap();
        let audit = json!(table.account.audit_reference(org));
        let id = created.api_key.key.id;

        let mut with_key = json!(created);
        let view = with_key["api_key"].as_object_mut().unwrap();
        assert!(view.remove("key").is_some());
        let listed = json!({"api_keys": [view.clone()]});
        assert_eq!(with_key["audit"], audit);
        assert_eq!(json!(list(&table.account, org).await.unwrap()), listed);
        let revoked = json!(revoke(&table.account, org, id, YES).await.unwrap());
        assert_eq!(revoked, json!({"id": id, "org_id": org, "changed": true, "audit": audit}));
    }

    #[test]
    fn the_last_admin_key_is_the_only_valid_one() {
        let now = Utc::now();
        let key = |scope: Scope, id| {
            let new = KeyOptions { scopes: vec![scope], ..options() }.new_key(now).unwrap();
            let secret = ApiKeySecret::new(true, [id; 24]);
            ApiKey::new(Uuid::from_u128(id.into()).into(), Uuid::nil().into(), new, &secret, now)
        };
        let (admin, reader) = (key(Scope::Admin, 1), key(Scope::Read, 2));
        let revoked = ApiKey { revoked_at: Some(now), ..key(Scope::Admin, 3) };
        let expired = ApiKey { valid_until: Some(now), ..key(Scope::Admin, 4) };
        let all = [admin.clone(), reader.clone(), revoked.clone(), expired];
        assert!(is_last_admin_key(&admin, &all, now));
        assert!(!is_last_admin_key(&reader, &all, now) && !is_last_admin_key(&revoked, &all, now));
        assert!(!is_last_admin_key(&admin, &[admin.clone(), key(Scope::Admin, 5)], now));
    }
}
