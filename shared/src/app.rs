//! The state of a process, shared by its requests, and the context of one request.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::auth::{Actor, AuthError, Authenticator, Credentials, Principal};
use crate::aws;
use crate::config::{BasePath, Config, Database};
use crate::domain::{ApiKeySecret, Clock, ContactId, RateLimit};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::{self, CapacityMeter, ConsumedCapacity, DeletedParent, RetryPolicy, Table, TableClient};
use crate::rate_limiter::{Admission, RateLimiter};
use crate::repositories::api_key_uses::ApiKeyUses;
#[cfg(feature = "operator")]
use crate::repositories::repair::{Repair, RepairLimits};
use crate::repositories::{
    self, Activities, ApiKeys, AuditContext, AuditLog, Campaigns, Companies, Contacts, FactCache, IdempotencyRecords,
    Imports, Leads, LimitedSubject, OrgTable,
};
use crate::system::{self, Rng, RngError};
use crate::telemetry::MetricDirectives;

/// The state that all requests of a process share: the table's client, the caches, the clock and the source of randomness.
#[derive(Debug, Clone)]
pub struct App(Arc<State>);

#[derive(Debug)]
struct State {
    table: Table,
    cache: Arc<FactCache>,
    authenticator: Authenticator,
    rate_limiter: RateLimiter,
    api_key_uses: ApiKeyUses,
    /// The limit of each organization.
    org_rate_limit: Option<RateLimit>,
    /// How long entries of the audit log are kept.
    audit_retention: TimeDelta,
    /// The lifetime of an API key that is created without an expiry; `None` for no end.
    api_key_lifetime: Option<TimeDelta>,
    clock: Clock,
    rng: Rng,
    base_path: BasePath,
    metric_directives: MetricDirectives,
}

impl App {
    /// The state of a function's process, with the system's clock and randomness.
    pub fn new(config: &Config) -> Self {
        Self::with(config, system::clock(), system::rng(), RetryPolicy::default())
    }

    /// The state of a process with another clock, source of randomness and retry policy.
    pub fn with(config: &Config, clock: Clock, rng: Rng, retry_policy: RetryPolicy) -> Self {
        let sdk_config = aws::sdk_config(&config.database);
        let Database { table, endpoint, .. } = &config.database;
        let table = Table::with_sdk_config(&sdk_config, table, endpoint.as_deref(), retry_policy);
        Self(Arc::new(State {
            table,
            cache: Arc::default(),
            authenticator: Authenticator::new(&config.jwt, sdk_config, clock.clone()),
            rate_limiter: RateLimiter::default(),
            api_key_uses: ApiKeyUses::default(),
            org_rate_limit: config.rate_limit,
            audit_retention: config.audit_retention,
            api_key_lifetime: config.api_key_lifetime,
            clock,
            rng,
            base_path: config.base_path.clone(),
            metric_directives: MetricDirectives::new(config.metrics_namespace.as_deref()),
        }))
    }

    /// The state of an operator's command, which authenticates no requests: a table that is reached with the operator's own
    /// credentials. `endpoint` is the URL of another engine than AWS's.
    #[cfg(feature = "operator")]
    pub fn for_operator(
        sdk_config: &aws_types::SdkConfig,
        table: &str,
        endpoint: Option<&str>,
        audit_retention: TimeDelta,
    ) -> Self {
        let sdk_config = &aws::without_retries(sdk_config);
        let clock = system::clock();
        Self(Arc::new(State {
            table: Table::with_sdk_config(sdk_config, table, endpoint, RetryPolicy::default()),
            cache: Arc::default(),
            authenticator: Authenticator::new(&crate::config::Jwt::default(), sdk_config.clone(), clock.clone()),
            rate_limiter: RateLimiter::default(),
            api_key_uses: ApiKeyUses::default(),
            org_rate_limit: None,
            audit_retention,
            api_key_lifetime: None,
            clock,
            rng: system::rng(),
            base_path: BasePath::default(),
            metric_directives: MetricDirectives::new(None),
        }))
    }

    /// Caches that an organization is in use, for tests without a table.
    #[cfg(feature = "testing")]
    pub fn assume_in_use(&self, org: crate::domain::OrgId) {
        self.0.authenticator.assume_in_use(org);
    }

    /// Opens the connection to the table by a cheap read of an item that does not exist, but that the function may read. A
    /// failure shows at the first request.
    pub async fn connect(&self, unused: &Key) {
        const TIMEOUT: Duration = Duration::from_secs(2);
        let client = self.0.table.client(Instant::now() + TIMEOUT, CapacityMeter::default());
        let _ = client.get(unused).await;
    }

    /// Prepares for the first request: opens this many connections to the table, and reads the public keys of the token issuer.
    pub async fn warm_up(&self, connections: usize) {
        let unused = keys::api_key(&ApiKeySecret::new(false, [0; 24]).hash());
        // At once, because a call takes a connection that is free before it opens another.
        let connect = join_all((0..connections).map(|_| self.connect(&unused)));
        tokio::join!(connect, self.0.authenticator.warm_up());
    }

    /// Deletes the children of a deleted parent until the deadline, and returns their number. `meter` counts the calls.
    ///
    /// # Errors
    /// The database's; children that were deleted before stay deleted.
    pub async fn delete_children(
        &self,
        deleted: &DeletedParent,
        deadline: Instant,
        meter: CapacityMeter,
    ) -> dynamodb::Result<usize> {
        let client = self.0.table.client(deadline, meter);
        repositories::cascade::delete_children(&client, deleted).await
    }

    /// A repair of the table, or of the items of one organization in it.
    #[cfg(feature = "operator")]
    pub fn repair(&self, org: Option<crate::domain::OrgId>, limits: RepairLimits) -> Repair {
        Repair::new(self.0.table.clone(), org, limits)
    }

    /// The metrics that log lines hold.
    pub(crate) fn metric_directives(&self) -> &MetricDirectives {
        &self.0.metric_directives
    }

    /// The context of a request that arrives now, with the id that the client and the log know it by.
    pub fn request_context(&self, deadline: Instant, request_id: &str) -> RequestContext {
        let meter = CapacityMeter::default();
        let client = self.0.table.client(deadline, meter.clone());
        RequestContext { app: self.clone(), client, meter, now: self.0.clock.now(), request_id: request_id.into() }
    }
}

/// The context of one request: its time, its deadline, its cost, and the repositories.
///
/// A repository is reached through a [`Principal`] only, so no endpoint can forget to authenticate its request, or name
/// another organization.
#[derive(Debug, Clone)]
pub struct RequestContext {
    app: App,
    client: TableClient,
    meter: CapacityMeter,
    now: DateTime<Utc>,
    request_id: Arc<str>,
}

impl RequestContext {
    /// The path of the custom domain.
    pub fn base_path(&self) -> &BasePath {
        &self.app.0.base_path
    }

    /// The contacts of the caller's organization.
    pub fn contacts(&self, principal: &Principal) -> Contacts {
        Contacts { table: self.table(principal) }
    }

    /// The activities of a contact of the caller's organization.
    pub fn activities(&self, principal: &Principal, contact: ContactId) -> Activities {
        Activities::new(self.table(principal), contact)
    }

    /// The campaigns of the caller's organization.
    pub fn campaigns(&self, principal: &Principal) -> Campaigns {
        Campaigns { table: self.table(principal) }
    }

    /// The imports of the caller's organization.
    pub fn imports(&self, principal: &Principal) -> Imports {
        Imports { table: self.table(principal) }
    }

    /// The leads of the caller's organization.
    pub fn leads(&self, principal: &Principal) -> Leads {
        Leads { table: self.table(principal) }
    }

    /// The companies of the caller's organization.
    pub fn companies(&self, principal: &Principal) -> Companies {
        Companies { table: self.table(principal) }
    }

    /// The API keys of the caller's organization.
    pub fn api_keys(&self, principal: &Principal) -> ApiKeys {
        ApiKeys { table: self.table(principal), default_lifetime: self.app.0.api_key_lifetime }
    }

    /// The audit log of the caller's organization.
    pub fn audit_log(&self, principal: &Principal) -> AuditLog {
        AuditLog { table: self.table(principal) }
    }

    /// The caller's organization itself, for its operator.
    #[cfg(feature = "operator")]
    pub fn organizations(&self, principal: &Principal) -> repositories::Organizations {
        repositories::Organizations { table: self.table(principal) }
    }

    /// The data of the caller's organization as records, for its operator.
    #[cfg(feature = "operator")]
    pub fn transfer(&self, principal: &Principal) -> repositories::Transfer {
        repositories::Transfer { table: self.table(principal) }
    }

    /// The idempotency records of the caller's organization.
    pub fn idempotency_records(&self, principal: &Principal) -> IdempotencyRecords {
        IdempotencyRecords { table: self.table(principal) }
    }

    /// The time at which the request arrived, to the millisecond.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// `N` random bytes, fit for a secret.
    ///
    /// # Errors
    /// [`RngError`] if the system provides none.
    pub fn random_bytes<const N: usize>(&self) -> Result<[u8; N], RngError> {
        self.app.0.rng.bytes()
    }

    /// Authenticates the caller of the request.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`], or the error that prevented the check.
    pub async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Principal, AuthError> {
        self.app.0.authenticator.authenticate(credentials, &self.client).await
    }

    /// Counts a request of this caller, unless it exceeds one of the caller's rate limits.
    pub fn admit(&self, principal: &Principal) -> Admission {
        let State { rate_limiter, org_rate_limit, .. } = &*self.app.0;
        let of_key = match principal.actor() {
            Actor::ApiKey { id, rate_limit: Some(limit) } => Some((LimitedSubject::ApiKey(*id), *limit)),
            Actor::ApiKey { rate_limit: None, .. } | Actor::Token { .. } | Actor::Operator { .. } => None,
        };
        let of_org = org_rate_limit.map(|limit| (LimitedSubject::Organization, limit));
        let limits: Vec<_> = of_key.into_iter().chain(of_org).collect();
        rate_limiter.admit(principal.org_id(), &limits, self.now)
    }

    /// Writes to the table what this process has admitted of the caller's organization, if that is due.
    pub async fn report_usage(&self, principal: &Principal) {
        let state = &self.app.0;
        // The current time, and not the request's: two reports are never made at once.
        state.rate_limiter.report(principal.org_id(), &self.client, state.clock.now()).await;
    }

    /// Writes to the table that the caller's API key is in use, once per hour.
    pub async fn record_key_use(&self, principal: &Principal) {
        match principal.actor() {
            Actor::ApiKey { id, .. } => {
                self.app.0.api_key_uses.record(&self.client, principal.org_id(), *id, self.now).await;
            }
            Actor::Token { .. } | Actor::Operator { .. } => {}
        }
    }

    /// The same request with its deadline earlier by `reserve`.
    #[must_use]
    pub(crate) fn with_earlier_deadline(&self, reserve: Duration) -> Self {
        Self { client: self.client.with_earlier_deadline(reserve), ..self.clone() }
    }

    /// The database cost of the request so far.
    pub fn consumed_capacity(&self) -> ConsumedCapacity {
        self.meter.consumed_capacity()
    }

    fn table(&self, principal: &Principal) -> OrgTable {
        let State { cache, rng, audit_retention, .. } = &*self.app.0;
        let audit = AuditContext {
            actor: principal.actor().into(),
            request_id: self.request_id.to_string(),
            retention: *audit_retention,
        };
        let (org, placement) = (principal.org_id(), principal.placement().clone());
        OrgTable::new(self.client.clone(), cache.clone(), org, self.now, rng.clone(), audit, placement)
    }
}
