//! What the floors have in common: the task, read from the environment, and the values of their database calls.
//!
//! A floor is a function that makes the database calls of one of ours and does nothing else: it reads nothing of the event, and
//! its response is always the same text. `floor` calls through the SDK, over the HTTP client of the functions; `bare-floor` signs
//! and sends the calls itself, with their TLS settings. Both keep `lambda_runtime`. The difference between a function and `floor`
//! is the price of our code, that between `floor` and `bare-floor` the price of the SDK.
//!
//! The calls are written by hand. `cargo xtask bench` compares them with those of the functions before it measures.

use std::collections::hash_map::RandomState;
use std::env;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{SecondsFormat, Utc};
use lambda_runtime::Error;
use serde_json::value::RawValue;

/// The sort key of an email's lock.
pub const LOCK_SK: &str = "EMAIL";

/// The rows of one transaction of a bulk upload: two items each, of at most 100.
pub const ROWS_PER_TRANSACTION: usize = 50;

/// Spreads consecutive numbers over all numbers. The locks of emails lie under hashes: if those of the floor lay one after the
/// other, each write would cost the engine less than one of the functions.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The transactions of a bulk upload that are in flight at once.
pub const MAX_CONCURRENT_CALLS: usize = 8;

/// The attributes of each new contact that have always the same text.
pub const CONTACT_TEXTS: [(&str, &str); 6] = [
    ("type", "contact"),
    ("full_name", "John Doe"),
    ("linkedin_profile", "https://www.linkedin.com/in/johndoe"),
    ("company", "Tech Corp"),
    ("locale", "en-US"),
    ("timezone", "America/New_York"),
];

/// The metadata of each new contact.
pub const METADATA: [(&str, &str); 2] = [("source", "website"), ("campaign", "Q1-2024")];

/// The stored size of the metadata of a new contact.
pub const METADATA_BYTES: &str = "42";

/// The number of metadata keys that an update sets.
pub const UPDATED_KEYS: usize = 5;

/// The expressions of an update, and the names that they refer to.
pub const UPDATE_EXPRESSION: &str = "SET #u0.#u1=:u0,#u0.#u2=:u1,#u0.#u3=:u2,#u0.#u4=:u3,#u0.#u5=:u4,#u6=#u6+:u5,\
    #u7=#u7+:u6,#u8=:u7";
/// See [`UPDATE_EXPRESSION`].
pub const UPDATE_CONDITION: &str = "attribute_exists(#c0) AND (#u0.#u1<>:u0 OR #u0.#u2<>:u1 OR #u0.#u3<>:u2 OR \
    #u0.#u4<>:u3 OR #u0.#u5<>:u4) AND #c1<=:c0 AND #c2<=:c1";
/// See [`UPDATE_EXPRESSION`].
pub const UPDATE_NAMES: [(&str, &str); 12] = [
    ("#u0", "enrichment"),
    ("#u1", "key_0"),
    ("#u2", "key_1"),
    ("#u3", "key_2"),
    ("#u4", "key_3"),
    ("#u5", "key_4"),
    ("#u6", "growing_bytes"),
    ("#u7", "version"),
    ("#u8", "updated_at"),
    ("#c0", "pk"),
    ("#c1", "growing_bytes"),
    ("#c2", "updated_at"),
];

/// By how many bytes an update may make a contact grow, and how many it may have before.
pub const UPDATE_GROWTH: &str = "160";
/// See [`UPDATE_GROWTH`].
pub const MAX_BYTES_BEFORE_UPDATE: &str = "349840";

/// The condition of a Query on a range of sort keys.
pub const RANGE_CONDITION: &str = "#pk = :pk AND #sk BETWEEN :first AND :last";

/// The activities that a Query for a page of 50 reads.
pub const TIMELINE_LIMIT: u16 = 51;

/// The contacts that a Query for a page of 100 reads.
pub const LIST_LIMIT: u16 = 101;

/// The operation of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Creates a contact.
    Create,
    /// Updates five metadata keys of a contact.
    Update,
    /// Reads a contact and its activities.
    Get,
    /// Lists contacts.
    List,
    /// Creates many contacts.
    Bulk,
}

impl Operation {
    /// The database calls that it makes at once. As many connections are opened before the first event.
    pub fn connections(self) -> usize {
        match self {
            Self::Get => 2,
            Self::Create | Self::Update | Self::List | Self::Bulk => 1,
        }
    }
}

/// What a process does with each event.
#[derive(Debug)]
pub struct Task {
    /// The operation to perform.
    pub operation: Operation,
    /// The name of the table.
    pub table: String,
    /// The id of the organization.
    pub org: String,
    /// The ids of the contacts to read or update, one after the other.
    pub contacts: Vec<String>,
    /// The rows of a bulk upload.
    pub rows: usize,
    /// The response to each event.
    pub response: Box<RawValue>,
    sequence: AtomicU64,
}

/// The values in which a call differs from the one before.
#[derive(Debug)]
pub struct CallValues {
    /// The time in the format of stored timestamps.
    pub now: String,
    /// The id of a new contact.
    pub id: String,
    /// The email of a new contact.
    pub email: String,
    /// The partition key of the email's lock.
    pub lock_pk: String,
    /// The token of a transaction.
    pub request_token: String,
    number: u64,
}

impl Task {
    /// Reads the task from the environment.
    ///
    /// # Errors
    /// A variable is missing or invalid.
    pub fn from_env() -> Result<Self, Error> {
        let operation = match variable("FLOOR_OPERATION")?.as_str() {
            "create" => Operation::Create,
            "update" => Operation::Update,
            "get0" | "get50" => Operation::Get,
            "list" => Operation::List,
            "bulk" => Operation::Bulk,
            other => return Err(format!("FLOOR_OPERATION: there is no operation {other}").into()),
        };
        Ok(Self {
            operation,
            table: variable("TABLE_NAME")?,
            org: variable("FLOOR_ORG")?,
            contacts: variable("FLOOR_CONTACTS")?.split(',').map(str::to_owned).collect(),
            rows: variable("FLOOR_ROWS")?.parse()?,
            response: RawValue::from_string(fs::read_to_string(variable("FLOOR_RESPONSE_FILE")?)?)?,
            // Different in every process, so that no two create the same contact.
            sequence: AtomicU64::new(RandomState::new().build_hasher().finish()),
        })
    }

    /// The partition of the organization.
    pub fn org_pk(&self) -> String {
        format!("ORG#{}", self.org)
    }

    /// The values of the next call.
    pub fn next_values(&self) -> CallValues {
        let number = self.sequence.fetch_add(1, Ordering::Relaxed);
        CallValues {
            now: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            id: format!("01924dd1-4a80-7000-8{:03x}-{:012x}", number >> 52, number & 0xffff_ffff_ffff),
            email: format!("john.doe.{number:016x}@example.com"),
            lock_pk: format!("ORG#{}#EMAIL#{:016x}{number:048x}", self.org, number.wrapping_mul(SPREAD)),
            request_token: format!("00000000-0000-4000-8000-{:012x}", number & 0xffff_ffff_ffff),
            number,
        }
    }

    /// The contact that this call reads or updates.
    pub fn contact(&self, values: &CallValues) -> &str {
        let count = self.contacts.len();
        &self.contacts[usize::try_from(values.number).unwrap_or_default() % count]
    }
}

impl CallValues {
    /// The value that an update gives to one of its keys.
    pub fn updated_value(&self, key: usize) -> String {
        format!("value {:016x}", self.number ^ (key as u64) << 48)
    }
}

/// The value of an environment variable.
///
/// # Errors
/// It is not set.
pub fn variable(name: &str) -> Result<String, Error> {
    env::var(name).map_err(|_| format!("set the environment variable {name}").into())
}
