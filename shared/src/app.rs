//! What a function has: for its whole life, and for one request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::auth::{Authenticator, Credentials, Principal, Refusal};
use crate::config::Config;
use crate::domain::{ApiKeySecret, Clock, ContactId, OrgId};
use crate::table::{
    self, Activities, ApiKeys, Campaigns, Companies, Contacts, Imports, Leads, Meter, Parent, Patience, Receipts,
    Session, Table, Tenancy, Usage,
};

/// What lives as long as the process: the table's client, the keys seen, the clock.
#[derive(Debug, Clone)]
pub struct Process(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    table: Table,
    authenticator: Authenticator,
    clock: Clock,
}

impl Process {
    /// A process as a function has it.
    pub fn new(config: &Config) -> Self {
        Self::with(config, Clock::system(), Patience::default())
    }

    /// A process with another clock and another patience.
    pub fn with(config: &Config, clock: Clock, patience: Patience) -> Self {
        let table = Table::new(&config.database, patience);
        let authenticator = Authenticator::new(&config.jwt, clock.clone());
        Self(Arc::new(Parts { table, authenticator, clock }))
    }

    /// Opens the connection to the table before anything is asked of it.
    pub async fn connect(&self) {
        const LONGEST: Duration = Duration::from_secs(2);
        let session = self.0.table.session(Instant::now() + LONGEST, Meter::default());
        let nobodys = ApiKeySecret::new(false, [0; 24]).hash();
        // Whether it worked shows at the first request.
        let _ = table::api_keys::find(&session, &nobodys).await;
    }

    /// Makes ready for the first request: opens the connection to the table, and reads the public keys of tokens.
    pub async fn warm_up(&self) {
        tokio::join!(self.connect(), self.0.authenticator.warm_up());
    }

    /// Deletes whatever hangs on a thing that is gone, until the deadline. Gives the number of items deleted.
    ///
    /// # Errors
    /// The table's.
    pub async fn clear(&self, org: OrgId, parent: Parent, deadline: Instant) -> table::Result<usize> {
        table::cascade::clear(&self.0.table.session(deadline, Meter::default()), org, parent).await
    }

    /// The process, for one request.
    pub fn app(&self, deadline: Instant) -> App {
        let meter = Meter::default();
        let session = self.0.table.session(deadline, meter.clone());
        App { process: self.clone(), session, meter, now: self.0.clock.now() }
    }
}

/// What one request has: its way to the table, and its moment.
///
/// The table is reached through a [`Principal`] only, so that no endpoint can forget to ask whose data it may touch.
#[derive(Debug, Clone)]
pub struct App {
    process: Process,
    session: Session,
    meter: Meter,
    now: DateTime<Utc>,
}

impl App {
    /// The contacts of the caller's organization.
    pub fn contacts(&self, principal: &Principal) -> Contacts {
        Contacts(self.tenancy(principal))
    }

    /// The activities of one of the caller's contacts.
    pub fn activities(&self, principal: &Principal, contact: ContactId) -> Activities {
        Activities::of(self.tenancy(principal), contact)
    }

    /// The campaigns of the caller's organization.
    pub fn campaigns(&self, principal: &Principal) -> Campaigns {
        Campaigns(self.tenancy(principal))
    }

    /// The imports of the caller's organization.
    pub fn imports(&self, principal: &Principal) -> Imports {
        Imports(self.tenancy(principal))
    }

    /// The leads of the caller's organization.
    pub fn leads(&self, principal: &Principal) -> Leads {
        Leads(self.tenancy(principal))
    }

    /// The companies of the caller's organization.
    pub fn companies(&self, principal: &Principal) -> Companies {
        Companies(self.tenancy(principal))
    }

    /// The API keys of the caller's organization.
    pub fn api_keys(&self, principal: &Principal) -> ApiKeys {
        ApiKeys(self.tenancy(principal))
    }

    /// The kept answers of the caller's organization.
    pub fn receipts(&self, principal: &Principal) -> Receipts {
        Receipts(self.tenancy(principal))
    }

    fn tenancy(&self, principal: &Principal) -> Tenancy {
        self.process.0.table.tenancy(self.session.clone(), principal.org_id(), self.now)
    }

    /// The same request, with its deadline earlier by so much.
    #[must_use]
    pub(crate) fn ending_earlier(&self, by: Duration) -> Self {
        Self { session: self.session.ending_earlier(by), ..self.clone() }
    }

    /// Decides who is asking.
    ///
    /// # Errors
    /// The credentials', or what was lacking to judge them.
    pub async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Principal, Refusal> {
        self.process.0.authenticator.authenticate(credentials, &self.session).await
    }

    /// What the request has cost so far.
    pub fn usage(&self) -> Usage {
        self.meter.usage()
    }
}

/// What is left of a function's time, but for what is kept back of it; `None` where its deadline is no time to come (the
/// local gateway sends 1970).
pub(crate) fn time_left(deadline: SystemTime, kept_back: Duration) -> Option<Duration> {
    let left = deadline.duration_since(SystemTime::now()).ok()?.saturating_sub(kept_back);
    (!left.is_zero()).then_some(left)
}
