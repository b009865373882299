//! The report of a repair, as text and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use shared::domain::{CampaignId, ContactId, Id, ImportId};
use shared::dynamodb::{ConsumedCapacity, Parent};
use shared::repositories::repair::{Orphan, OrphanKind, ScannedPage};

/// What a repair has found and done.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) table: String,
    /// Whether the whole table was read.
    pub(super) is_complete: bool,
    pub(super) scanned: usize,
    pub(super) orphans: Vec<Orphan>,
    /// The numbers of items that the worker is going to delete.
    pending: BTreeMap<OrphanKind, usize>,
    /// The number of items that could not be judged.
    unreadable: usize,
    /// The number of orphans that were deleted.
    pub(super) deleted: usize,
    /// The number of orphans that were no longer such when they should be deleted.
    pub(super) kept: usize,
    pub(super) consumed: ConsumedCapacity,
}

/// The orphans of one kind that lack one parent.
#[derive(Serialize)]
struct Group {
    org_id: String,
    kind: &'static str,
    /// The name of the id of the parent: `contact_id`.
    missing: &'static str,
    id: String,
    count: usize,
    /// The hashes of the emails of locks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    email_sha256: Vec<String>,
}

impl Report {
    /// A report without findings.
    pub(super) fn new(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            is_complete: false,
            scanned: 0,
            orphans: Vec::new(),
            pending: BTreeMap::new(),
            unreadable: 0,
            deleted: 0,
            kept: 0,
            consumed: ConsumedCapacity::default(),
        }
    }

    /// Adds the findings in a page.
    pub(super) fn add(&mut self, page: ScannedPage) {
        let ScannedPage { scanned, orphans, pending, unreadable } = page;
        self.scanned += scanned;
        self.orphans.extend(orphans);
        for kind in pending {
            *self.pending.entry(kind).or_default() += 1;
        }
        self.unreadable += unreadable.len();
    }

    /// The report as one JSON object.
    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        let counts = |count: &dyn Fn(OrphanKind) -> usize| -> Value {
            OrphanKind::ALL.iter().map(|kind| (kind.name().to_owned(), json!(count(*kind)))).collect()
        };
        serde_json::to_string_pretty(&json!({
            "table": self.table,
            "complete": self.is_complete,
            "scanned": self.scanned,
            "orphans": counts(&|kind| self.orphans_of(kind)),
            "pending": counts(&|kind| self.pending_of(kind)),
            "unreadable": self.unreadable,
            "groups": self.groups(),
            "deleted": self.deleted,
            "kept": self.kept,
            "read_units": self.consumed.read_units,
            "write_units": self.consumed.write_units,
        }))
    }

    /// The findings as lines of text.
    pub(super) fn findings(&self) -> String {
        let mut lines = Vec::new();
        for Group { org_id, kind, missing, id, count, email_sha256 } in self.groups() {
            lines.push(format!("org_id {org_id}: {count} × {kind} of {missing} {id}"));
            lines.extend(email_sha256.iter().map(|hash| format!("  SHA-256 of the email: {hash}")));
        }
        lines.push(format!("{:12}{:>10}{:>10}", "", "orphans", "pending"));
        for kind in OrphanKind::ALL {
            let (orphans, pending) = (self.orphans_of(*kind), self.pending_of(*kind));
            lines.push(format!("{:12}{orphans:>10}{pending:>10}", kind.name()));
        }
        let extent = if self.is_complete { "the whole table" } else { "a part of the table" };
        let mut last = format!("{} items were read, {extent}.", self.scanned);
        if self.unreadable > 0 {
            last = format!("{last} Of these, {} cannot be judged: see the warnings.", self.unreadable);
        }
        lines.push(last);
        lines.join("\n")
    }

    /// What was done, what is left, and what it cost, as lines of text.
    pub(super) fn outcome(&self) -> String {
        let Self { orphans, deleted, kept, consumed, .. } = self;
        let left = orphans.len().saturating_sub(*deleted + *kept);
        let mut lines = Vec::new();
        if !self.is_complete {
            lines.push("Nothing was deleted, since the table was not read to its end.".to_owned());
        } else if orphans.is_empty() {
            lines.push("There is nothing to delete.".to_owned());
        } else if left == orphans.len() {
            lines.push(format!("Nothing was deleted. Delete the {left} orphans with --apply."));
        } else {
            lines.push(format!("{deleted} orphans were deleted."));
            if *kept > 0 {
                lines.push(format!("{kept} have changed since they were found, and are kept."));
            }
            if left > 0 {
                lines.push(format!("{left} orphans are left: call the command again."));
            }
        }
        let ConsumedCapacity { read_units, write_units, .. } = consumed;
        lines.push(format!("{read_units:.1} read units and {write_units:.1} write units were consumed."));
        lines.join("\n")
    }

    fn orphans_of(&self, kind: OrphanKind) -> usize {
        self.orphans.iter().filter(|orphan| orphan.kind == kind).count()
    }

    fn pending_of(&self, kind: OrphanKind) -> usize {
        self.pending.get(&kind).copied().unwrap_or_default()
    }

    fn groups(&self) -> Vec<Group> {
        let mut groups = BTreeMap::<_, Vec<&Orphan>>::new();
        for orphan in &self.orphans {
            groups.entry((orphan.org, orphan.kind, orphan.parent)).or_default().push(orphan);
        }
        let mut rows = Vec::with_capacity(groups.len());
        for ((org, kind, parent), orphans) in groups {
            let (missing, id) = match parent {
                Parent::Contact(id) => (ContactId::NAME, id.to_string()),
                Parent::Import(id) => (ImportId::NAME, id.to_string()),
                Parent::Campaign(id) => (CampaignId::NAME, id.to_string()),
            };
            let email_sha256 = orphans.iter().filter_map(|orphan| orphan.email_hash()).map(str::to_owned).collect();
            let (org_id, count) = (org.to_string(), orphans.len());
            rows.push(Group { org_id, kind: kind.name(), missing, id, count, email_sha256 });
        }
        rows
    }
}
