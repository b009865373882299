//! The one table: every item, every access pattern, every retry.
//!
//! `keys` says where things lie, `item` what they are; each aggregate has a file with the operations it offers, and
//! `session` is how every one of them reaches the database. The database's client does not leave this room: outside,
//! there are only the repositories of one organization, and those only from a [`Principal`](crate::auth::Principal).

mod activities;
pub(crate) mod api_keys;
mod bulk;
mod campaigns;
pub(crate) mod cascade;
mod client;
mod companies;
mod contacts;
mod cursor;
mod error;
mod expression;
mod imports;
mod item;
pub mod keys;
mod leads;
mod linking;
mod listing;
mod memory;
mod reading;
mod receipts;
mod session;
#[cfg(feature = "testing")]
pub mod setup;
mod transaction;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

pub use activities::Activities;
pub use api_keys::ApiKeys;
pub use bulk::{Plan, Row, RowOutcome};
pub use campaigns::Campaigns;
pub use companies::Companies;
pub use contacts::Contacts;
pub use cursor::{Cursor, Place};
pub(crate) use error::in_a_line;
pub use error::{Error, Kind, Result};
pub use imports::Imports;
pub use keys::Parent;
pub use leads::Leads;
pub use listing::Page;
pub(crate) use memory::Memory;
pub use receipts::{Kept, Lease, Receipt, Receipts, Slot};
pub(crate) use session::Session;
pub use session::{Meter, Patience, Usage};

use crate::config::Database;
use crate::domain::{CompanyKey, ImportId, OrgId};

/// The table, for the life of the process.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: Arc<str>,
    patience: Patience,
    known: Arc<Known>,
}

/// What is remembered of the table, so that a write need not read first.
#[derive(Debug, Default)]
pub(crate) struct Known {
    companies: Memory<(OrgId, CompanyKey), ()>,
    imports: Memory<(OrgId, ImportId), ()>,
}

impl Table {
    /// The table that the configuration names. Opens no connection.
    pub fn new(database: &Database, patience: Patience) -> Self {
        Self { client: client::new(database), name: database.table.as_str().into(), patience, known: Arc::default() }
    }

    /// A request's way to the table: its calls end at `deadline` and are counted by `meter`.
    pub(crate) fn session(&self, deadline: Instant, meter: Meter) -> Session {
        Session { client: self.client.clone(), table: self.name.clone(), patience: self.patience, deadline, meter }
    }

    /// An organization's part of the table, for a request of this moment.
    pub(crate) fn tenancy(&self, session: Session, org: OrgId, now: DateTime<Utc>) -> Tenancy {
        Tenancy { session, known: self.known.clone(), org, now }
    }
}

/// One organization's part of the table, as one request reaches it: what every repository stands on.
#[derive(Debug, Clone)]
pub(crate) struct Tenancy {
    session: Session,
    known: Arc<Known>,
    org: OrgId,
    now: DateTime<Utc>,
}
