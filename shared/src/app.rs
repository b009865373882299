//! What a function has: for its whole life, and for one request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::auth::{AuthError, Authenticator, Credentials, Principal};
use crate::config::Config;
use crate::domain::{ApiKeySecret, Clock, ContactId, OrgId};
use crate::dynamodb::{self, CapacityMeter, ConsumedCapacity, Parent, RetryPolicy, Table, TableClient};
use crate::repositories::{
    self, Activities, ApiKeys, Campaigns, Companies, Contacts, FactCache, IdempotencyRecords, Imports, Leads, OrgTable,
};

/// What lives as long as the process: the table's client, the keys seen, the clock.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    table: Table,
    cache: Arc<FactCache>,
    authenticator: Authenticator,
    clock: Clock,
}

impl App {
    /// A process as a function has it.
    pub fn new(config: &Config) -> Self {
        Self::with(config, Clock::system(), RetryPolicy::default())
    }

    /// A process with another clock and another retry_policy.
    pub fn with(config: &Config, clock: Clock, retry_policy: RetryPolicy) -> Self {
        let table = Table::new(&config.database, retry_policy);
        let authenticator = Authenticator::new(&config.jwt, clock.clone());
        Self(Arc::new(Parts { table, cache: Arc::default(), authenticator, clock }))
    }

    /// Opens the connection to the table before anything is asked of it.
    pub async fn connect(&self) {
        const LONGEST: Duration = Duration::from_secs(2);
        let client = self.0.table.client(Instant::now() + LONGEST, CapacityMeter::default());
        let unused_hash = ApiKeySecret::new(false, [0; 24]).hash();
        // Whether it worked shows at the first request.
        let _ = repositories::api_keys::find(&client, &unused_hash).await;
    }

    /// Makes ready for the first request: opens the connection to the table, and reads the public keys of tokens.
    pub async fn warm_up(&self) {
        tokio::join!(self.connect(), self.0.authenticator.warm_up());
    }

    /// Deletes whatever hangs on a thing that is gone, until the deadline. Gives the number of items deleted.
    ///
    /// # Errors
    /// The table's.
    pub async fn clear(&self, org: OrgId, parent: Parent, deadline: Instant) -> dynamodb::Result<usize> {
        repositories::cascade::clear(&self.0.table.client(deadline, CapacityMeter::default()), org, parent).await
    }

    /// The process, for one request.
    pub fn request_context(&self, deadline: Instant) -> RequestContext {
        let meter = CapacityMeter::default();
        let client = self.0.table.client(deadline, meter.clone());
        RequestContext { app: self.clone(), client, meter, now: self.0.clock.now() }
    }
}

/// What one request has: its way to the table, and its moment.
///
/// The table is reached through a [`Principal`] only, so that no endpoint can forget to ask whose data it may touch.
#[derive(Debug, Clone)]
pub struct RequestContext {
    app: App,
    client: TableClient,
    meter: CapacityMeter,
    now: DateTime<Utc>,
}

impl RequestContext {
    /// The contacts of the caller's organization.
    pub fn contacts(&self, principal: &Principal) -> Contacts {
        Contacts(self.table(principal))
    }

    /// The activities of one of the caller's contacts.
    pub fn activities(&self, principal: &Principal, contact: ContactId) -> Activities {
        Activities::of(self.table(principal), contact)
    }

    /// The campaigns of the caller's organization.
    pub fn campaigns(&self, principal: &Principal) -> Campaigns {
        Campaigns(self.table(principal))
    }

    /// The imports of the caller's organization.
    pub fn imports(&self, principal: &Principal) -> Imports {
        Imports(self.table(principal))
    }

    /// The leads of the caller's organization.
    pub fn leads(&self, principal: &Principal) -> Leads {
        Leads(self.table(principal))
    }

    /// The companies of the caller's organization.
    pub fn companies(&self, principal: &Principal) -> Companies {
        Companies(self.table(principal))
    }

    /// The API keys of the caller's organization.
    pub fn api_keys(&self, principal: &Principal) -> ApiKeys {
        ApiKeys(self.table(principal))
    }

    /// The kept answers of the caller's organization.
    pub fn idempotency_records(&self, principal: &Principal) -> IdempotencyRecords {
        IdempotencyRecords(self.table(principal))
    }

    fn table(&self, principal: &Principal) -> OrgTable {
        OrgTable::new(self.client.clone(), self.app.0.cache.clone(), principal.org_id(), self.now)
    }

    /// The same request, with its deadline earlier by so much.
    #[must_use]
    pub(crate) fn ending_earlier(&self, by: Duration) -> Self {
        Self { client: self.client.ending_earlier(by), ..self.clone() }
    }

    /// Decides who is asking.
    ///
    /// # Errors
    /// The credentials', or what was lacking to judge them.
    pub async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Principal, AuthError> {
        self.app.0.authenticator.authenticate(credentials, &self.client).await
    }

    /// What the request has cost so far.
    pub fn consumed_capacity(&self) -> ConsumedCapacity {
        self.meter.consumed_capacity()
    }
}

/// What is left of a function's time, but for what is kept back of it; `None` where its deadline is no time to come (the
/// local gateway sends 1970).
pub(crate) fn time_left(deadline: SystemTime, kept_back: Duration) -> Option<Duration> {
    let left = deadline.duration_since(SystemTime::now()).ok()?.saturating_sub(kept_back);
    (!left.is_zero()).then_some(left)
}
