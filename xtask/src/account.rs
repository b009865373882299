//! The table that an operator's command works on, and the operator's credentials for it.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail, ensure};
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sts::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_types::SdkConfig;
use chrono::TimeDelta;
use serde::Serialize;
use shared::auth::Principal;
use shared::config::DEFAULT_AUDIT_RETENTION_DAYS;
use shared::domain::{AuditActor, OrgId, Organization};
use shared::{App, RequestContext, http_client};
use shared::{dynamodb, repositories};
use tokio::time::Instant;
use uuid::Uuid;

use crate::dev::{DatabaseUrl, LOCAL_CREDENTIALS};

/// The time limit of one call to the API's repositories.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(25);

/// The options that name a table.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct TableOptions {
    /// The name of the table: the output `TableName` of the stack, or contacts-dev for `cargo dev`
    #[arg(long, value_name = "NAME")]
    table: String,
    /// The AWS profile, with static, assumed-role or SSO credentials; otherwise `AWS_PROFILE` decides
    #[arg(long, value_name = "NAME", conflicts_with = "dynamodb_url")]
    profile: Option<String>,
    /// The region; otherwise `AWS_REGION` or the profile decides
    #[arg(long, value_name = "NAME", conflicts_with = "dynamodb_url")]
    region: Option<String>,
    /// Use the local engine at this URL, instead of DynamoDB
    #[arg(long, value_name = "URL")]
    dynamodb_url: Option<DatabaseUrl>,
    /// How long entries of the audit log are kept: the parameter `AuditRetentionDays` of the stack
    #[arg(
        long, value_name = "DAYS", default_value_t = DEFAULT_AUDIT_RETENTION_DAYS,
        value_parser = clap::value_parser!(u32).range(1..=36_500),
    )]
    audit_retention_days: u32,
}

/// A table, and the operator who works on it.
pub(crate) struct Account {
    pub(crate) app: App,
    /// The name of the table.
    table: String,
    /// The ARN of the operator's credentials.
    identity: String,
    /// The id of the command, which the audit log has in place of a request's.
    command_id: String,
}

/// How the audit log names the operator and the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AuditReference {
    actor_type: &'static str,
    actor_id: String,
    request_id: String,
}

impl fmt::Display for AuditReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { actor_type, actor_id, request_id } = self;
        write!(f, "{actor_type} {actor_id}, request {request_id}")
    }
}

impl TableOptions {
    /// The name of the table.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// The options of a rehearsal on this table, with the credentials that the environment names.
    pub(crate) fn new(table: &str, dynamodb_url: Option<DatabaseUrl>) -> Self {
        let audit_retention_days = DEFAULT_AUDIT_RETENTION_DAYS;
        Self { table: table.to_owned(), profile: None, region: None, dynamodb_url, audit_retention_days }
    }

    /// Finds the credentials, and opens no connection to the table yet.
    pub(crate) async fn connect(&self) -> Result<Account> {
        let (sdk_config, identity) = match &self.dynamodb_url {
            Some(_) => (local_config(), "local".to_owned()),
            None => self.aws_config().await?,
        };
        let endpoint = self.dynamodb_url.as_ref().map(ToString::to_string);
        let retention = TimeDelta::days(self.audit_retention_days.into());
        let app = App::for_operator(&sdk_config, &self.table, endpoint.as_deref(), retention);
        Ok(Account { app, table: self.table.clone(), identity, command_id: Uuid::new_v4().to_string() })
    }

    /// The configuration of the AWS profile, and the ARN of the identity that it stands for. The credentials are read again
    /// whenever they expire.
    async fn aws_config(&self) -> Result<(SdkConfig, String)> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client());
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let mut config = loader.load().await;
        if let Some(profile) = &self.profile {
            // Otherwise the credentials of the environment would come before those of the profile.
            let provider = profile_credentials(profile, &config);
            config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
        }
        self.ensure_credentials(&config).await?;
        config.region().context("no AWS region is set: pass --region, or set AWS_REGION or `region` in the profile")?;
        let arn = self.caller_arn(&config).await?;
        Ok((config, arn))
    }

    /// Fails unless there are credentials, which may be expired.
    async fn ensure_credentials(&self, config: &SdkConfig) -> Result<()> {
        let provider = config.credentials_provider().with_context(|| self.sign_in("there are no AWS credentials"))?;
        provider.provide_credentials().await.map(drop).with_context(|| self.sign_in("there are no AWS credentials"))
    }

    /// The ARN of the credentials, as AWS knows them.
    async fn caller_arn(&self, config: &SdkConfig) -> Result<String> {
        let caller = match aws_sdk_sts::Client::new(config).get_caller_identity().send().await {
            Ok(caller) => caller,
            Err(SdkError::ServiceError(refusal)) => {
                let code = refusal.err().code().unwrap_or("no reason");
                bail!(self.sign_in(&format!("AWS does not accept the credentials ({code})")));
            }
            Err(error) => {
                return Err(error).context("AWS cannot be reached: check the network and the region");
            }
        };
        Ok(caller.arn().context("AWS does not tell whose credentials these are")?.to_owned())
    }

    /// What to do about credentials with this problem.
    fn sign_in(&self, problem: &str) -> String {
        match &self.profile {
            Some(profile) => format!("{problem}: run `aws sso login --profile {profile}`, or correct that profile"),
            None => format!(
                "{problem}: run `aws sso login`, pass --profile, set the AWS_* variables, or pass the URL of a local engine \
                 with --dynamodb-url"
            ),
        }
    }
}

/// The credentials of a profile.
fn profile_credentials(profile: &str, config: &SdkConfig) -> ProfileFileCredentialsProvider {
    let provider = ProviderConfig::without_region().with_http_client(http_client());
    let provider = provider.with_region(config.region().cloned());
    ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(profile).build()
}

impl Account {
    /// The context of one call, and the operator as a caller of this organization.
    pub(crate) fn call(&self, org: OrgId) -> (RequestContext, Principal) {
        let ctx = self.app.request_context(Instant::now() + CALL_TIMEOUT, &self.command_id);
        (ctx, Principal::operator(org, &self.identity))
    }

    /// How the audit log of an organization names this command.
    pub(crate) fn audit_reference(&self, org: OrgId) -> AuditReference {
        let AuditActor { actor_type, id } = Principal::operator(org, &self.identity).actor().into();
        AuditReference { actor_type: actor_type.as_str(), actor_id: id, request_id: self.command_id.clone() }
    }

    /// Every organization that has a profile.
    pub(crate) async fn all_organizations(&self) -> Result<Vec<Organization>> {
        // The list is that of no organization.
        let (ctx, operator) = self.call(Uuid::nil().into());
        let left_out = repositories::left_out_items();
        let organizations = self.of_table(ctx.organizations(&operator).list_all().await)?;
        ensure!(
            repositories::left_out_items() == left_out,
            "an organization cannot be read: the line above names it; repair it first"
        );
        Ok(organizations)
    }

    /// The result of a call to the table, whose name its error has.
    pub(crate) fn of_table<T>(&self, result: repositories::Result<T>) -> Result<T> {
        result.map_err(|error| {
            // Credentials that have expired, and cannot be read again, count as a connection that failed.
            let advice = match &error {
                repositories::Error::Table(dynamodb::Error::Unavailable) => " (check network and credentials)",
                repositories::Error::Table(dynamodb::Error::Unexpected(_)) => {
                    " (check --table, --region, and what the credentials permit)"
                }
                _ => "",
            };
            Error::new(error).context(format!("cannot use the table {}{advice}", self.table))
        })
    }
}

/// The placeholders that a local engine requires.
fn local_config() -> SdkConfig {
    let [(_, region), (_, id), (_, secret)] = LOCAL_CREDENTIALS;
    let credentials = Credentials::new(id, secret, None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client())
        .build()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use shared::auth::{AuthError, Credentials};
    use shared::config::Config;
    use shared::domain::{AuditAction, AuditEntry, AuditFilter};
    use shared::dynamodb::{RetryPolicy, Table};
    use shared::testing::engine::Engine;

    use super::*;
    use crate::dev::local_credential;

    /// A table of its own, an operator of it, and an API on it.
    pub(crate) struct TestTable {
        /// `None` for the engine at `TEST_DYNAMODB_URL`.
        _engine: Option<Engine>,
        pub(crate) options: TableOptions,
        pub(crate) account: Account,
        /// The table itself, for items that no operation leaves.
        pub(crate) table: Table,
        config: Config,
    }

    impl TestTable {
        pub(crate) async fn new() -> Self {
            let engine = match std::env::var("TEST_DYNAMODB_URL") {
                Ok(_) => None,
                Err(_) => Some(Engine::in_memory().await.unwrap()),
            };
            let url = engine.as_ref().map_or_else(|| std::env::var("TEST_DYNAMODB_URL").unwrap(), Engine::url);
            let table = format!("contacts-{}", Uuid::new_v4());
            let config = Config::read(|name| match name {
                "TABLE_NAME" => Some(table.clone()),
                "AWS_ENDPOINT_URL_DYNAMODB" => Some(url.clone()),
                name => local_credential(name),
            });
            let config = config.unwrap();
            let options = TableOptions::new(&table, Some(url.parse().unwrap()));
            let table = Table::new(&config.database, RetryPolicy::default());
            table.create_if_missing(None).await.unwrap();
            let account = options.connect().await.unwrap();
            Self { _engine: engine, options, account, table, config }
        }

        /// The options of a table that does not exist.
        pub(crate) fn nowhere(&self) -> TableOptions {
            TableOptions { table: "nowhere".to_owned(), ..self.options.clone() }
        }

        /// The caller of a request with this key, to a function that has cached nothing.
        pub(crate) async fn authenticate(&self, key: &str) -> Result<(RequestContext, Principal), AuthError> {
            let app = App::new(&self.config);
            let ctx = app.request_context(Instant::now() + CALL_TIMEOUT, "test");
            let principal = ctx.authenticate(Credentials { api_key: Some(key), authorization: None }).await?;
            Ok((ctx, principal))
        }

        /// The action and the subject of each entry in the audit log of an organization, newest first.
        pub(crate) async fn audit_log(&self, org: OrgId) -> Vec<(AuditAction, String)> {
            let (ctx, operator) = self.account.call(org);
            let page = ctx.audit_log(&operator).list::<AuditEntry>(&AuditFilter::default(), None, None).await.unwrap();
            for entry in &page.rows {
                assert_eq!(
                    (entry.actor.clone(), &entry.request_id),
                    (operator.actor().into(), &self.account.command_id)
                );
            }
            page.rows.into_iter().map(|entry| (entry.action, entry.subject_id)).collect()
        }
    }

    #[tokio::test]
    async fn the_audit_log_names_an_operator_by_a_hash_of_organization_and_arn() {
        let org: OrgId = Uuid::from_u128(1).into();
        let local = TableOptions::new("contacts", Some("http://127.0.0.1:9".parse().unwrap()));
        let account = local.connect().await.unwrap();
        // printf '%s#%s' 00000000-0000-0000-0000-000000000001 local | sha256sum | cut -c 1-16
        let expected = format!("operator 1314512d811570e3, request {}", account.command_id);
        assert_eq!(account.audit_reference(org).to_string(), expected);
    }

    /// The URL of a server that responds to one request with this status and body.
    fn serve_once(status: &'static str, body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 8192]).unwrap();
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
        });
        url
    }

    #[tokio::test]
    async fn expired_credentials_are_an_error_that_says_what_to_do() {
        const EXPIRED: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code>\
            <Message>The security token included in the request is expired</Message></Error></ErrorResponse>";
        for (profile, command) in [(Some("prod"), "aws sso login --profile prod"), (None, "aws sso login")] {
            let config = local_config().into_builder().endpoint_url(serve_once("403 Forbidden", EXPIRED)).build();
            let options = TableOptions { profile: profile.map(str::to_owned), ..TableOptions::new("contacts", None) };

            let error = format!("{:#}", options.caller_arn(&config).await.unwrap_err());

            let expected = format!("AWS does not accept the credentials (ExpiredToken): run `{command}`, ");
            assert!(error.starts_with(&expected) && !error.contains('\n'), "{error}");
        }
    }

    #[tokio::test]
    async fn a_missing_table_is_named() {
        let table = TestTable::new().await;
        let error = format!("{:#}", table.nowhere().connect().await.unwrap().all_organizations().await.unwrap_err());
        assert!(error.starts_with("cannot use the table nowhere (check --table, "), "{error}");
        assert!(error.contains("ResourceNotFoundException") && !error.contains('\n'), "{error}");
    }
}
