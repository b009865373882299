//! The table that an operator's command works on, and the operator's credentials for it.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sts::config::Credentials;
use aws_types::SdkConfig;
use chrono::TimeDelta;
use serde::Serialize;
use shared::auth::Principal;
use shared::domain::{AuditActor, OrgId, Organization};
use shared::repositories;
use shared::{App, RequestContext, http_client};
use tokio::time::Instant;
use uuid::Uuid;

use crate::dev::{DatabaseUrl, LOCAL_CREDENTIALS};

/// The time limit of one call to the API's repositories.
const CALL_TIMEOUT: Duration = Duration::from_secs(25);

/// How long entries of the audit log are kept, unless the command says otherwise: the default of the stack.
const AUDIT_RETENTION_DAYS: u16 = 400;

/// The options that name a table.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct TableOptions {
    /// The name of the table: the output `TableName` of the stack, or contacts-dev for `cargo dev`
    #[arg(long, value_name = "NAME")]
    table: String,
    /// The profile of the AWS configuration, with static, assumed-role or SSO credentials; otherwise AWS_PROFILE decides
    #[arg(long, value_name = "NAME", conflicts_with = "dynamodb_url")]
    profile: Option<String>,
    /// The region; otherwise AWS_REGION or the profile decides
    #[arg(long, value_name = "NAME", conflicts_with = "dynamodb_url")]
    region: Option<String>,
    /// Use the local engine at this URL, instead of DynamoDB
    #[arg(long, value_name = "URL")]
    dynamodb_url: Option<DatabaseUrl>,
    /// How long entries of the audit log are kept: the parameter `AuditRetentionDays` of the stack
    #[arg(long, value_name = "DAYS", default_value_t = AUDIT_RETENTION_DAYS)]
    audit_retention_days: u16,
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
    /// The options of a rehearsal on this table, with the credentials that the environment names.
    pub(crate) fn new(table: &str, dynamodb_url: Option<DatabaseUrl>) -> Self {
        let audit_retention_days = AUDIT_RETENTION_DAYS;
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

    /// The configuration of the AWS profile, and the ARN of the identity that it stands for.
    async fn aws_config(&self) -> Result<(SdkConfig, String)> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client());
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        config.region().context("no region: pass --region, or set AWS_REGION or the region of the profile")?;
        let caller = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await;
        let caller = caller.context("no valid AWS credentials: run `aws sso login`, or check --profile")?;
        let arn = caller.arn().context("AWS does not tell whose credentials these are")?;
        Ok((config, arn.to_owned()))
    }
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
        self.of_table(ctx.organizations(&operator).list_all().await)
    }

    /// The result of a call to the table, whose name its error has.
    pub(crate) fn of_table<T>(&self, result: repositories::Result<T>) -> Result<T> {
        result.with_context(|| format!("cannot use the table {}", self.table))
    }
}

/// The placeholders that a local engine requires.
fn local_config() -> SdkConfig {
    let [(_, region), (_, id), (_, secret)] = LOCAL_CREDENTIALS;
    let credentials = Credentials::new(id, secret, None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(aws_sdk_sts::config::SharedCredentialsProvider::new(credentials))
        .http_client(http_client())
        .build()
}
