//! What all writers and readers of a walk have in common: the table, the contacts that all of them write, and what they
//! have seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use serde_json::{Value, json};
use shared::domain::{CampaignId, Contact, ContactId, ImportId};
use shared::testing::TestApp;

use super::model::shown;
use crate::prove::Violation;
use crate::prove::client::{Client, Hazard};

/// The contacts that no writer changes.
const UNTOUCHED: usize = 60;
/// The most violations that are reported.
const MAX_REPORTED: usize = 12;
/// Longer than the lifetime of a tombstone.
const CLOCK_LAG: TimeDelta = TimeDelta::minutes(20);

/// The shared state of a walk.
pub(super) struct World {
    pub(super) test: TestApp,
    /// Contacts that no writer changes: every list has to show them.
    pub(super) untouched: Untouched,
    shared: Mutex<Shared>,
    violations: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

/// Contacts with an import and a campaign of their own, which no writer changes.
#[derive(Default)]
pub(super) struct Untouched {
    pub(super) contacts: BTreeMap<ContactId, Value>,
    pub(super) import: Option<ImportId>,
    pub(super) campaign: Option<CampaignId>,
}

/// What all writers write.
#[derive(Default)]
pub(super) struct Shared {
    /// The contacts that a response showed as created.
    pub(super) created: BTreeSet<ContactId>,
    /// The contacts that a delete was sent for.
    pub(super) delete_sent: BTreeSet<ContactId>,
    /// The contacts whose delete succeeded.
    pub(super) deleted: BTreeSet<ContactId>,
    /// The keys of the metadata that were written by an update that succeeded. None is ever removed.
    pub(super) written_keys: BTreeMap<ContactId, BTreeSet<String>>,
    pub(super) imports: Vec<ImportId>,
    pub(super) campaigns: Vec<CampaignId>,
    /// Every version of a contact that a response showed.
    versions: BTreeMap<(ContactId, u64), (DateTime<Utc>, Value)>,
}

impl World {
    /// A table with the untouched contacts.
    pub(super) async fn new() -> Result<Self> {
        let test = TestApp::with_table_stream().await;
        // Tombstones of this time have expired for the engine, which then removes them when it is told to.
        test.advance_clock(-CLOCK_LAG);
        let mut client = Client::new(&test, Hazard::None, Rng::with_seed(0)).await;
        let mut untouched = Untouched::default();
        let import = client.create_import().await?;
        let campaign = client.create_campaign(&json!({"name": "Untouched"})).await?;
        let rows: Vec<_> = (0..UNTOUCHED).map(|n| row(&format!("untouched-{n}@example.com"))).collect();
        for (_, contact) in client.upload(&rows, Some(import)).await.response? {
            untouched.contacts.insert(contact.id, shown(&contact));
        }
        client.link(campaign, &BTreeSet::from([import])).await.response?;
        (untouched.import, untouched.campaign) = (Some(import), Some(campaign));
        let (shared, violations, is_over) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Ok(Self { test, untouched, shared, violations, is_over })
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a violation.
    pub(super) fn violated(&self, text: impl Display) {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_string());
    }

    /// Notes the violation, if there is one.
    pub(super) fn expect_none(&self, context: impl Display, difference: Option<String>) {
        if let Some(difference) = difference {
            self.violated(format!("{context}: {difference}"));
        }
    }

    /// Notes a shown contact: a version has one content.
    pub(super) fn observe(&self, contact: &Contact) {
        let content = (contact.updated_at, shown(contact));
        let mut shared = self.shared();
        let first = shared.versions.entry((contact.id, contact.version)).or_insert_with(|| content.clone()).clone();
        drop(shared);
        if first != content {
            let Contact { id, version, .. } = contact;
            self.violated(format!("contact {id} has two versions {version}: {first:?} and {content:?}"));
        }
    }

    /// Ends the readers and the worker.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether the writers are done, or have seen too many violations to go on.
    pub(super) fn is_over(&self) -> bool {
        let violations = self.violations.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.is_over.load(Ordering::Relaxed) || violations >= MAX_REPORTED
    }

    /// Checks the order of the versions that were seen: the times of change never go back.
    pub(super) fn check_versions(&self) {
        let shared = self.shared();
        let next_versions = shared.versions.iter().skip(1);
        let mut backwards = Vec::new();
        for (((id, version), (time, _)), ((next_id, next), (next_time, _))) in shared.versions.iter().zip(next_versions)
        {
            if id == next_id && next_time < time {
                backwards.push(format!("contact {id}, {time} in version {version}, {next_time} in version {next}"));
            }
        }
        drop(shared);
        if let Some(first) = backwards.first() {
            self.violated(format!("updated_at goes back {} times, first: {first}", backwards.len()));
        }
    }

    /// The violations as an error.
    pub(super) fn into_result(self) -> Result<()> {
        let violations = self.violations.into_inner().unwrap_or_else(PoisonError::into_inner);
        if violations.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = violations.iter().take(MAX_REPORTED).map(String::as_str).collect();
        Err(Violation::error(format!("{} violations, first: {}", violations.len(), shown.join("\n"))))
    }
}

impl Shared {
    /// Notes that a response showed a contact as created or changed, with a new key of its metadata.
    pub(super) fn written(&mut self, id: ContactId, key: &str) {
        self.written_keys.entry(id).or_default().insert(key.to_owned());
    }

    /// A contact that was created and may have been deleted since; one of the newest.
    pub(super) fn contact(&self, rng: &mut Rng) -> Option<ContactId> {
        const NEWEST: usize = 20;
        let count = self.created.len().min(NEWEST);
        if count == 0 { None } else { self.created.iter().rev().nth(rng.usize(..count)).copied() }
    }
}

/// A row of an upload, or the body of a create.
pub(super) fn row(email: &str) -> Value {
    json!({
        "full_name": "Jane Doe",
        "email": email,
        "linkedin_profile": "https://www.linkedin.com/in/janedoe",
    })
}
