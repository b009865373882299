//! `cargo xtask admin-key`: what no request can make, an organization and its first admin key.

use std::env;

use anyhow::{Context, Result, anyhow};
use chrono::Utc;
use shared::config::Config;
use shared::domain::{ApiKey, ApiKeySecret, Id, InvalidValue, Line, NewApiKey, OrgId, Scope, ids};
use shared::dynamodb::{RetryPolicy, Table};
use shared::repositories::api_keys;
use uuid::Uuid;

use crate::dev::{ANYBODY, engine_url};

/// What `cargo xtask admin-key` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The table: the stack's output `TableName`, or contacts-dev under `cargo dev`
    #[arg(long, value_name = "NAME")]
    table: String,
    /// Make the key for this organization instead of a new one
    #[arg(long, value_name = "UUID", value_parser = org)]
    org: Option<OrgId>,
    /// What to call the key
    #[arg(long, default_value = "Admin", value_parser = name)]
    name: Line<100>,
    /// Use this engine instead of DynamoDB. `AWS_*` variables say as whom and in which region; an engine that is named
    /// here can do without
    #[arg(long, value_name = "URL", value_parser = engine_url)]
    dynamodb_url: Option<String>,
}

fn org(text: &str) -> Result<OrgId, String> {
    OrgId::parse(text).map_err(|fault| fault.to_string())
}

fn name(text: &str) -> Result<Line<100>, String> {
    text.parse().map_err(|error: InvalidValue| error.to_string())
}

/// Makes a key, and prints it this once.
#[expect(clippy::print_stdout, reason = "this is what the operator is waiting for")]
pub(crate) async fn run(options: Options) -> Result<()> {
    let (org, secret) = make(options, |name| env::var(name).ok()).await?;
    println!("organization: {org}\nadmin key:    {}", secret.in_clear());
    Ok(())
}

/// Stores a key for an organization; what is not said is the environment's `variable`.
async fn make(options: Options, variable: impl Fn(&str) -> Option<String>) -> Result<(OrgId, ApiKeySecret)> {
    let Options { table, org, name, dynamodb_url } = options;
    let config = Config::read(|variable_name| match variable_name {
        "TABLE_NAME" => Some(table.clone()),
        "AWS_ENDPOINT_URL_DYNAMODB" if dynamodb_url.is_some() => dynamodb_url.clone(),
        name if name.starts_with("AWS_") => {
            let anybody = ANYBODY.iter().find(|(known, _)| *known == name && dynamodb_url.is_some());
            variable(name).or_else(|| anybody.map(|(_, value)| (*value).to_owned()))
        }
        // Whose tokens the functions believe is no matter here.
        _ => None,
    });
    let database = config.map_err(|error| anyhow!(error))?.database;
    let org = org.unwrap_or_else(|| Uuid::new_v4().into());
    let secret = ApiKeySecret::generate(true).map_err(|_| anyhow!("the system has no randomness to give"))?;
    let new = NewApiKey { name, scopes: [Scope::Admin].into_iter().collect(), valid_until: None, live: true };
    let key = ApiKey::new(ids::uuid_at(Utc::now()).into(), org, new, &secret, Utc::now());
    let stored = api_keys::store(&Table::new(&database, RetryPolicy::default()), &secret.hash(), &key).await;
    stored.with_context(|| format!("cannot write to the table {table}"))?;
    Ok((org, secret))
}

#[cfg(test)]
mod tests {
    use shared::app::App;
    use shared::auth::Credentials;
    use shared::testing::engine::Engine;
    use tokio::time::{Duration, Instant};

    use super::*;

    const TABLE: &str = "contacts";

    fn options(engine: &Engine) -> Options {
        Options { table: TABLE.to_owned(), org: None, name: "Admin".parse().unwrap(), dynamodb_url: Some(engine.url()) }
    }

    fn anybody(name: &str) -> Option<String> {
        ANYBODY.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    async fn engine() -> (Engine, App) {
        let engine = Engine::in_memory().await.unwrap();
        let config = Config::read(|name| match name {
            "TABLE_NAME" => Some(TABLE.to_owned()),
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(engine.url()),
            name => anybody(name),
        })
        .unwrap();
        Table::new(&config.database, RetryPolicy::default()).create_if_missing(None).await.unwrap();
        (engine, App::new(&config))
    }

    #[tokio::test]
    async fn a_key_opens_its_organization() {
        let (engine, app) = engine().await;
        let (first, secret) = make(options(&engine), anybody).await.unwrap();
        let (second, other) = make(options(&engine), |_| None).await.unwrap();
        let (again, third) = make(Options { org: Some(first), ..options(&engine) }, |_| None).await.unwrap();
        assert!(first != second && again == first && secret != third);
        for (org, secret) in [(first, secret), (second, other), (first, third)] {
            assert!(secret.in_clear().starts_with("sk_live_"));
            let ctx = app.request_context(Instant::now() + Duration::from_secs(25));
            let credentials = Credentials { api_key: Some(secret.in_clear()), authorization: None };
            let principal = ctx.authenticate(credentials).await.unwrap();
            assert!(principal.org_id() == org && principal.may(Scope::Admin));
            let keys = ctx.api_keys(&principal).list(10, None).await.unwrap().rows;
            assert!(
                keys.iter().any(|key| key.display_prefix == secret.display_prefix() && key.name.as_str() == "Admin")
            );
        }
    }

    #[tokio::test]
    async fn a_missing_variable_is_named() {
        let (engine, _) = engine().await;
        for (missing, _) in ANYBODY {
            let deployed = Options { dynamodb_url: None, ..options(&engine) };
            let error = make(deployed, |name| anybody(name).filter(|_| name != missing)).await.unwrap_err();
            assert_eq!(format!("{error:#}"), format!("set the environment variable {missing}"));
        }
        let nowhere = Options { table: "nowhere".to_owned(), ..options(&engine) };
        let error = format!("{:#}", make(nowhere, |_| None).await.unwrap_err());
        assert!(error.starts_with("cannot write to the table nowhere: "), "{error}");
        assert!(error.contains("ResourceNotFoundException") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn an_organization_and_a_name_are_what_the_api_takes() {
        assert_eq!(org("42"), Err("must be a valid UUID".to_owned()));
        assert_eq!(name(" Ops ").unwrap().as_str(), "Ops");
        assert_eq!(name(" "), Err("must not be blank".to_owned()));
    }
}
