//! The demo organizations and their credentials.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use shared::app::{App, RequestContext};
use shared::auth::{Credentials, Principal};
use shared::config::Config;
use shared::domain::{ApiKeySecret, ImportId, OrgId};
use shared::dynamodb::{RetryPolicy, Table};
use shared::repositories::api_keys;
use shared::testing::Tenant;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::database::DatabaseUrl;
use super::seed::{self, EXAMPLE_KEY, Seeder};
use crate::workspace::local_dir;

/// The time limit of each operation on the demo data: the one of a request to the API.
const TIME_LIMIT: Duration = Duration::from_secs(25);

/// The command, as the audit log names it.
const COMMAND: &str = "cargo dev";

/// The credentials of the demo organizations. They are stored in a file, because the database stores only hashes.
#[derive(Serialize, Deserialize)]
pub(super) struct Demo {
    pub(super) jwt_secret: String,
    orgs: Vec<DemoOrg>,
}

/// The credentials of one demo organization that do not expire.
#[derive(Serialize, Deserialize)]
struct DemoOrg {
    org_id: OrgId,
    import_id: ImportId,
    admin_key: String,
    read_key: String,
    revoked_key: String,
}

/// The content of `session.json`: how to reach a running API. The end-to-end tests and other clients read it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) base_url: String,
    lambda_url: Option<String>,
    pub(super) dynamodb_url: String,
    table_name: String,
    pub(crate) orgs: Vec<Org>,
    pub(crate) jwt_secret: String,
}

/// The URLs of an API.
pub(super) struct Urls {
    /// The base URL of the API.
    pub(super) base: String,
    /// The URL of Lambda's API, if it takes unsigned requests.
    pub(super) lambda: Option<String>,
    /// The URL of the engine; empty for DynamoDB itself.
    pub(super) dynamodb: String,
}

/// An organization and one credential of each kind.
#[derive(Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names in session.json")]
pub(crate) struct Org {
    pub(crate) org_id: OrgId,
    pub(crate) admin_key: String,
    read_key: String,
    revoked_key: String,
    pub(crate) jwt: String,
    previous_jwt: String,
    expired_jwt: String,
    pub(super) import_id: ImportId,
}

/// The table of a deployed API.
pub(crate) struct DeployedTable {
    pub(crate) name: String,
    /// The URL of another engine than DynamoDB.
    pub(crate) dynamodb_url: Option<String>,
}

/// Generates a secret for signing tokens.
pub(crate) fn new_jwt_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

impl Demo {
    /// Reads the credentials from a file. `None` if the file is missing or has another format, as after an update.
    pub(super) fn load(file: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
    }

    /// `true` if the table accepts the credentials, and so has the demo data.
    pub(super) async fn is_in(&self, app: &App) -> bool {
        let ctx = request_context(app);
        for org in &self.orgs {
            if org.principal(&ctx).await.is_none() {
                return false;
            }
        }
        true
    }

    /// Creates two organizations with demo data, and the API key of the example events if `with_example_key`.
    pub(super) async fn seed(jwt_secret: String, table: &Table, app: &App, with_example_key: bool) -> Result<Self> {
        let first = seed_org(&jwt_secret, table, app, true).await?;
        let second = seed_org(&jwt_secret, table, app, false).await?;
        if with_example_key {
            seed::store_example_key(table, first.org_id).await?;
        }
        Ok(Self { jwt_secret, orgs: vec![first, second] })
    }

    /// Creates the missing ones of the objects that the example events name.
    pub(super) async fn restore_example(&self, app: &App) -> Result<()> {
        let Some(org) = self.orgs.first() else { return Ok(()) };
        let ctx = &request_context(app);
        let principal = &org.principal(ctx).await.context("the admin key of the demo organization is not valid")?;
        Seeder { ctx, principal }.restore_example(org.import_id).await
    }

    /// The session of an API with this demo data. The API accepts `previous_secret` beside the secret of new tokens.
    pub(super) fn into_session(self, previous_secret: Option<&str>, urls: Urls, table_name: String) -> Session {
        let Self { jwt_secret, orgs } = self;
        let Urls { base, lambda, dynamodb } = urls;
        let orgs = orgs.into_iter().map(|org| org.with_tokens(&jwt_secret, previous_secret)).collect();
        Session { base_url: base, lambda_url: lambda, dynamodb_url: dynamodb, table_name, orgs, jwt_secret }
    }
}

impl Session {
    /// The name of the file in its directory.
    pub(crate) const FILE: &str = "session.json";

    /// The session of the `cargo dev` that is running. `None` if it is not.
    pub(crate) fn of_dev(root: &Path) -> Result<Option<Self>> {
        let file = local_dir(root, "dev").join(Self::FILE);
        match fs::read_to_string(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            text => text
                .map_err(anyhow::Error::from)
                .and_then(|text| Ok(serde_json::from_str(&text)?))
                .with_context(|| format!("cannot read {}: restart `cargo dev`", file.display())),
        }
    }

    /// Creates the demo organizations of a deployed API, directly in its table. `variable` has the environment variables with
    /// the region and the credentials.
    pub(crate) async fn create(
        base_url: String,
        database: DeployedTable,
        jwt_secret: String,
        previous_secret: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let DeployedTable { name, dynamodb_url } = database;
        let config = Config::read(|variable_name| match variable_name {
            "TABLE_NAME" => Some(name.clone()),
            "AWS_ENDPOINT_URL_DYNAMODB" => dynamodb_url.clone(),
            "JWT_ALGORITHM" => Some("HS256".to_owned()),
            "JWT_SECRET" => Some(jwt_secret.clone()),
            other if other.starts_with("AWS_") => variable(other),
            _ => None,
        });
        let config = config.map_err(|error| anyhow!(error))?;
        let table = Table::new(&config.database, RetryPolicy::default());
        let demo = Demo::seed(jwt_secret, &table, &App::new(&config), false).await;
        let demo = demo.with_context(|| format!("cannot create organizations in the table {name}"))?;
        let urls = Urls { base: base_url, lambda: None, dynamodb: dynamodb_url.unwrap_or_default() };
        Ok(demo.into_session(previous_secret, urls, name))
    }

    /// An admin key of the first organization: the one in the documents, which only a local engine has.
    pub(super) fn demo_key(&self) -> &str {
        if self.dynamodb_url.parse().is_ok_and(|url: DatabaseUrl| url.is_local()) {
            return EXAMPLE_KEY;
        }
        self.orgs.first().map_or("", |org| &org.admin_key)
    }

    /// The credentials of all organizations.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &str> {
        self.orgs.iter().flat_map(Org::credentials)
    }
}

impl Org {
    fn credentials(&self) -> [&str; 6] {
        [&self.admin_key, &self.read_key, &self.revoked_key, &self.jwt, &self.previous_jwt, &self.expired_jwt]
    }
}

impl DemoOrg {
    fn new(tenant: &Tenant, import_id: ImportId) -> Self {
        let in_clear = |key: &ApiKeySecret| key.in_clear().to_owned();
        Self {
            org_id: tenant.org_id,
            import_id,
            admin_key: in_clear(&tenant.admin_key),
            read_key: in_clear(&tenant.read_key),
            revoked_key: in_clear(&tenant.revoked_key),
        }
    }

    /// The caller with the admin key; `None` if the table does not have the key.
    async fn principal(&self, ctx: &RequestContext) -> Option<Principal> {
        ctx.authenticate(Credentials { api_key: Some(&self.admin_key), authorization: None }).await.ok()
    }

    /// Adds new tokens: one of each secret that is valid for longer than any session, and an expired one.
    fn with_tokens(self, jwt_secret: &str, previous_secret: Option<&str>) -> Org {
        let Self { org_id, import_id, admin_key, read_key, revoked_key } = self;
        let tenant = Tenant { org_id, ..Tenant::new() };
        let jwt = tenant.jwt(jwt_secret, TimeDelta::days(30));
        let previous_jwt = previous_secret.map(|secret| tenant.jwt(secret, TimeDelta::days(30))).unwrap_or_default();
        let expired_jwt = tenant.jwt(jwt_secret, TimeDelta::hours(-1));
        Org { org_id, admin_key, read_key, revoked_key, jwt, previous_jwt, expired_jwt, import_id }
    }
}

/// Creates an organization with its profile, demo data and API keys, and the objects of the example events if
/// `with_example`.
async fn seed_org(jwt_secret: &str, table: &Table, app: &App, with_example: bool) -> Result<DemoOrg> {
    let tenant = Tenant::new();
    let ctx = &request_context(app);
    let operator = Principal::operator(tenant.org_id, COMMAND);
    ctx.organizations(&operator).create("Demo".parse()?).await?;
    let principal = &authenticate(ctx, &tenant, jwt_secret).await?;
    let import_id = Seeder { ctx, principal }.seed(with_example).await?;
    for (secret, mut key) in tenant.api_keys() {
        if with_example && key.revoked_at.is_some() {
            key.id = seed::example_key_id()?;
        }
        api_keys::store(table, &secret.hash(), &key).await?;
    }
    Ok(DemoOrg::new(&tenant, import_id))
}

async fn authenticate(ctx: &RequestContext, tenant: &Tenant, jwt_secret: &str) -> Result<Principal> {
    let token = tenant.jwt(jwt_secret, TimeDelta::minutes(1));
    let credentials = Credentials { api_key: None, authorization: Some(&format!("Bearer {token}")) };
    match ctx.authenticate(credentials).await {
        Ok(principal) => Ok(principal),
        Err(_) => bail!("the API does not accept the demo organization's token: unset JWT_ISSUER and JWT_AUDIENCE"),
    }
}

fn request_context(app: &App) -> RequestContext {
    app.request_context(Instant::now() + TIME_LIMIT, COMMAND)
}
