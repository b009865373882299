//! `cargo xtask admin-key`: creates an API key without a request, as is needed for the first key of an organization.

use std::env;

use anyhow::{Context, Result, anyhow};
use chrono::Utc;
use shared::config::Config;
use shared::domain::{ApiKey, ApiKeySecret, Id, InvalidValue, Line, NewApiKey, OrgId, RateLimit, Scope};
use shared::dynamodb::{RetryPolicy, Table};
use shared::repositories::api_keys;
use shared::system;
use uuid::Uuid;

use crate::dev::{DatabaseUrl, LOCAL_CREDENTIALS};

/// The options of `cargo xtask admin-key`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The name of the table: the output `TableName` of the stack, or contacts-dev for `cargo dev`
    #[arg(long, value_name = "NAME")]
    table: String,
    /// Create the key for this organization, instead of a new one
    #[arg(long, value_name = "UUID", value_parser = parse_org_id)]
    org: Option<OrgId>,
    /// The name of the key
    #[arg(long, default_value = "Admin", value_parser = parse_name)]
    name: Line<100>,
    /// Limit the requests per second of the key; without it, only the limit of its organization applies
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..=RateLimit::MAX_RATE.into()))]
    rate_limit: Option<u32>,
    /// The requests that the key may send at once, instead of ten seconds' worth
    #[arg(
        long, value_name = "REQUESTS", requires = "rate_limit",
        value_parser = clap::value_parser!(u32).range(1..=RateLimit::MAX_BURST.into()),
    )]
    burst: Option<u32>,
    /// Use the local engine at this URL, instead of DynamoDB
    ///
    /// Region and credentials come from the AWS_* environment variables; without them, a local engine is given
    /// placeholders.
    #[arg(long, value_name = "URL")]
    dynamodb_url: Option<DatabaseUrl>,
}

fn parse_org_id(text: &str) -> Result<OrgId, InvalidValue> {
    OrgId::parse(text)
}

fn parse_name(text: &str) -> Result<Line<100>, InvalidValue> {
    text.parse()
}

/// Creates a key and prints it.
#[expect(clippy::print_stdout, reason = "the output of the command")]
pub(crate) async fn run(options: Options) -> Result<()> {
    let (org_id, secret) = create_key(options, |name| env::var(name).ok()).await?;
    println!("organization: {org_id}\nadmin key:    {}", secret.in_clear());
    Ok(())
}

/// Creates an organization in a table, and returns its admin key.
pub(crate) async fn create_organization(table: &str, dynamodb_url: Option<DatabaseUrl>) -> Result<String> {
    let name = parse_name("Admin")?;
    let options = Options { table: table.to_owned(), org: None, name, rate_limit: None, burst: None, dynamodb_url };
    let (_, secret) = create_key(options, |name| env::var(name).ok()).await?;
    Ok(secret.in_clear().to_owned())
}

/// Creates a key. `variable` reads an environment variable.
async fn create_key(options: Options, variable: impl Fn(&str) -> Option<String>) -> Result<(OrgId, ApiKeySecret)> {
    let Options { table, org, name, rate_limit, burst, dynamodb_url } = options;
    let config = Config::read(|name| match name {
        "TABLE_NAME" => Some(table.clone()),
        "AWS_ENDPOINT_URL_DYNAMODB" if dynamodb_url.is_some() => dynamodb_url.as_ref().map(ToString::to_string),
        name if name.starts_with("AWS_") => {
            let is_local = dynamodb_url.is_some();
            variable(name).or_else(|| if is_local { local_credential(name) } else { None })
        }
        // The remaining variables configure tokens, which this command does not use.
        _ => None,
    });
    let database = config.map_err(|error| anyhow!(error))?.database;
    let org_id = org.unwrap_or_else(|| Uuid::new_v4().into());
    let secret = ApiKeySecret::new(true, system::rng().bytes()?);
    let rate_limit = match rate_limit {
        Some(rate) => Some(RateLimit::new(rate, burst).map_err(|error| anyhow!("--rate-limit {error}"))?),
        None => None,
    };
    let scopes = [Scope::Admin].into_iter().collect();
    let new = NewApiKey { name, scopes, valid_until: None, live: true, rate_limit };
    let key = ApiKey::new(system::rng().uuid_v7(Utc::now()).into(), org_id, new, &secret, Utc::now());
    let stored = api_keys::store(&Table::new(&database, RetryPolicy::default()), &secret.hash(), &key).await;
    stored.with_context(|| format!("cannot write to the table {table}"))?;
    Ok((org_id, secret))
}

/// The placeholder for an environment variable with a credential or the region, as a local engine takes it.
pub(crate) fn local_credential(variable: &str) -> Option<String> {
    let (_, value) = LOCAL_CREDENTIALS.iter().find(|(name, _)| *name == variable)?;
    Some((*value).to_owned())
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
        Options {
            table: TABLE.to_owned(),
            org: None,
            name: "Admin".parse().unwrap(),
            rate_limit: None,
            burst: None,
            dynamodb_url: Some(engine.url().parse().unwrap()),
        }
    }

    async fn engine() -> (Engine, App) {
        let engine = Engine::in_memory().await.unwrap();
        let config = Config::read(|name| match name {
            "TABLE_NAME" => Some(TABLE.to_owned()),
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(engine.url()),
            name => local_credential(name),
        })
        .unwrap();
        Table::new(&config.database, RetryPolicy::default()).create_if_missing(None).await.unwrap();
        (engine, App::new(&config))
    }

    #[tokio::test]
    async fn a_key_gives_admin_access_to_its_organization() {
        let (engine, app) = engine().await;
        let (first, secret) = create_key(options(&engine), local_credential).await.unwrap();
        let (second, other) = create_key(options(&engine), |_| None).await.unwrap();
        let (again, third) = create_key(Options { org: Some(first), ..options(&engine) }, |_| None).await.unwrap();
        assert!(first != second && again == first && secret != third);
        for (org, secret) in [(first, secret), (second, other), (first, third)] {
            assert!(secret.in_clear().starts_with("sk_live_"));
            let ctx = app.request_context(Instant::now() + Duration::from_secs(25), "test");
            let credentials = Credentials { api_key: Some(secret.in_clear()), authorization: None };
            let principal = ctx.authenticate(credentials).await.unwrap();
            assert!(principal.org_id() == org && principal.may(Scope::Admin));
            let keys = ctx.api_keys(&principal).list::<ApiKey>(Some(10), None).await.unwrap().rows;
            assert!(
                keys.iter().any(|key| key.display_prefix == secret.display_prefix() && key.name.as_str() == "Admin")
            );
        }
    }

    #[tokio::test]
    async fn a_key_has_the_given_limit() {
        let (engine, app) = engine().await;
        for (rate_limit, burst, expected) in [
            (None, None, None),
            (Some(5), None, Some(RateLimit::new(5, None).unwrap())),
            (Some(5), Some(1), Some(RateLimit::new(5, Some(1)).unwrap())),
        ] {
            let limited = Options { rate_limit, burst, ..options(&engine) };
            let (_, secret) = create_key(limited, local_credential).await.unwrap();
            let ctx = app.request_context(Instant::now() + Duration::from_secs(25), "test");
            let credentials = Credentials { api_key: Some(secret.in_clear()), authorization: None };
            let principal = ctx.authenticate(credentials).await.unwrap();
            let keys = ctx.api_keys(&principal).list::<ApiKey>(Some(10), None).await.unwrap().rows;
            assert_eq!(keys.first().and_then(|key| key.rate_limit), expected);
        }
    }

    #[tokio::test]
    async fn a_missing_environment_variable_is_named() {
        let (engine, _) = engine().await;
        for (missing, _) in LOCAL_CREDENTIALS {
            let deployed = Options { dynamodb_url: None, ..options(&engine) };
            let variable = |name: &str| if name == missing { None } else { local_credential(name) };
            let error = create_key(deployed, variable).await.unwrap_err();
            assert_eq!(format!("{error:#}"), format!("set the environment variable {missing}"));
        }
    }

    #[tokio::test]
    async fn a_missing_table_is_named() {
        let (engine, _) = engine().await;
        let nowhere = Options { table: "nowhere".to_owned(), ..options(&engine) };
        let error = format!("{:#}", create_key(nowhere, |_| None).await.unwrap_err());
        assert!(error.starts_with("cannot write to the table nowhere: "), "{error}");
        assert!(error.contains("ResourceNotFoundException") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn an_organization_and_a_name_are_validated_as_in_the_api() {
        assert_eq!(parse_org_id("42"), Err(shared::domain::ids::INVALID_UUID));
        assert_eq!(parse_name(" Ops ").unwrap().as_str(), "Ops");
        assert_eq!(parse_name(" "), Err(InvalidValue::Blank));
    }
}
