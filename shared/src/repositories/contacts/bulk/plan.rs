//! The decision about each email of an upload: which contact its rows create or change. Calls no database.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::{DateTime, Utc};

use crate::domain::{CompanyName, Contact, Email, ImportId, NewContact, Upsert, ValidationErrors};

/// A row of an upload: its number there, and its content.
pub type Row = (usize, Upsert);

/// The planned outcome of an upload, before or after it is written.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    pub(super) import_id: Option<ImportId>,
    pub(super) contacts: Vec<PlannedContact<'a>>,
}

/// The outcome of one row.
#[derive(Debug, PartialEq, Eq)]
pub enum RowOutcome<'a> {
    /// The row created this contact.
    Created(&'a Contact),
    /// The row was merged into this contact, with or without a difference.
    Updated(&'a Contact),
    /// The row cannot be merged into the contact with this email.
    Refused(&'a Email, &'a ValidationErrors),
}

/// The rows of one email, in their order.
#[derive(Debug)]
pub(super) struct RowsOfEmail<'a> {
    first: &'a Row,
    others: Vec<&'a Row>,
}

/// The planned outcome of the rows of one email.
#[derive(Debug)]
pub(super) struct PlannedContact<'a> {
    pub(super) rows: RowsOfEmail<'a>,
    /// The numbers of the rows that cannot be merged into the contact, each with its validation errors.
    refused: Vec<(usize, ValidationErrors)>,
    action: RowAction,
}

/// The effect of the rows of one email.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "boxing thousands of contacts would cost more memory than it saves")]
enum RowAction {
    /// Creates this contact.
    Create(Contact),
    /// Changes the stored contact to `next`; `None` if nothing differs.
    Update { stored: Contact, next: Option<Contact> },
}

/// The write of one contact.
pub(super) enum ContactWrite<'a> {
    Create(&'a Contact),
    Replace { stored: &'a Contact, next: &'a Contact },
}

impl Plan<'_> {
    /// The outcome of each row by its number, in no order.
    pub fn outcomes(&self) -> impl Iterator<Item = (usize, RowOutcome<'_>)> {
        self.contacts.iter().flat_map(PlannedContact::outcomes)
    }
}

impl<'a> RowsOfEmail<'a> {
    /// Groups rows by their email, in the order of the first row of each.
    pub(super) fn group(rows: &'a [Row]) -> Vec<Self> {
        let mut indexes = HashMap::<&Email, usize>::new();
        let mut groups = Vec::<Self>::new();
        for row in rows {
            match indexes.entry(&row.1.new.details.email) {
                Entry::Occupied(index) => groups[*index.get()].others.push(row),
                Entry::Vacant(index) => {
                    index.insert(groups.len());
                    groups.push(Self { first: row, others: Vec::new() });
                }
            }
        }
        groups
    }

    pub(super) fn email(&self) -> &'a Email {
        &self.first.1.new.details.email
    }

    fn iter(&self) -> impl Iterator<Item = &'a Row> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

impl<'a> PlannedContact<'a> {
    /// Plans the creation of a contact: `draft` creates it from the first row, and the others are merged into it.
    pub(super) fn create(
        rows: RowsOfEmail<'a>,
        draft: impl FnOnce(NewContact) -> Contact,
        import_id: Option<ImportId>,
        now: DateTime<Utc>,
    ) -> Self {
        let draft = draft(rows.first.1.new.clone());
        let (merged, refused) = merge(draft, rows.others.iter().copied(), import_id, now);
        // The merge counted a version per row, but the contact is written once.
        Self { rows, refused, action: RowAction::Create(Contact { version: 1, ..merged }) }
    }

    /// Plans the update of a stored contact, into which all rows are merged.
    pub(super) fn update(
        rows: RowsOfEmail<'a>,
        stored: Contact,
        import_id: Option<ImportId>,
        now: DateTime<Utc>,
    ) -> Self {
        let (merged, refused) = merge(stored.clone(), rows.iter(), import_id, now);
        let action = RowAction::Update { next: next_version(&stored, merged), stored };
        Self { rows, refused, action }
    }

    /// The write that the rows need; `None` if nothing differs.
    pub(super) fn write(&self) -> Option<ContactWrite<'_>> {
        match &self.action {
            RowAction::Create(contact) => Some(ContactWrite::Create(contact)),
            RowAction::Update { stored, next: Some(next) } => Some(ContactWrite::Replace { stored, next }),
            RowAction::Update { next: None, .. } => None,
        }
    }

    fn outcomes(&self) -> impl Iterator<Item = (usize, RowOutcome<'_>)> {
        let (contact, created_by) = match &self.action {
            RowAction::Create(contact) => (contact, Some(self.rows.first.0)),
            RowAction::Update { stored, next } => (next.as_ref().unwrap_or(stored), None),
        };
        self.rows.iter().map(move |(number, _)| {
            let errors = self.refused.iter().find(|(refused, _)| refused == number).map(|(_, errors)| errors);
            let outcome = match errors {
                Some(errors) => RowOutcome::Refused(self.rows.email(), errors),
                None if created_by == Some(*number) => RowOutcome::Created(contact),
                None => RowOutcome::Updated(contact),
            };
            (*number, outcome)
        })
    }
}

impl<'a> ContactWrite<'a> {
    /// The company that the contact gets by the write.
    pub(super) fn new_company(&self) -> Option<&'a CompanyName> {
        match self {
            Self::Create(contact) => contact.details.company.as_ref(),
            Self::Replace { stored, next } if next.details.company != stored.details.company => {
                next.details.company.as_ref()
            }
            Self::Replace { .. } => None,
        }
    }

    /// The number of items that the write has in a transaction.
    pub(super) fn items(&self) -> usize {
        match self {
            // The contact, its lock, its memberships.
            Self::Create(contact) => 2 + contact.import_ids.len(),
            Self::Replace { stored, next } => 1 + next.import_ids.len() - stored.import_ids.len(),
        }
    }

    /// An upper bound of the bytes of these items.
    pub(super) fn bytes(&self) -> usize {
        /// More than the lock, the membership, and all attributes of bounded length.
        const OTHER_BYTES: usize = 4_000;
        match self {
            Self::Create(contact) | Self::Replace { next: contact, .. } => contact.growing_len() + OTHER_BYTES,
        }
    }
}

/// Merges rows into a contact in their order. Returns the merged contact, and the rows that were left out because they
/// cannot be merged.
fn merge<'a>(
    mut contact: Contact,
    rows: impl Iterator<Item = &'a Row>,
    import_id: Option<ImportId>,
    now: DateTime<Utc>,
) -> (Contact, Vec<(usize, ValidationErrors)>) {
    let mut refused = Vec::new();
    for (number, upsert) in rows {
        if let Err(errors) = merge_row(&mut contact, upsert, import_id, now) {
            refused.push((*number, errors));
        }
    }
    (contact, refused)
}

/// Merges one row into a contact. A row that cannot be merged leaves the contact as it is.
fn merge_row(
    contact: &mut Contact,
    upsert: &Upsert,
    import_id: Option<ImportId>,
    now: DateTime<Utc>,
) -> Result<(), ValidationErrors> {
    let joined = match import_id {
        Some(import_id) => contact.joined(import_id).map_err(|error| ValidationErrors::one(ImportId::HEADER, error))?,
        None => None,
    };
    let current = joined.as_ref().unwrap_or(contact);
    let patched = current.patched(&upsert.patch, now).map_err(|error| ValidationErrors::one("metadata", error))?;
    if let Some(next) = patched.or(joined) {
        *contact = next;
    }
    Ok(())
}

/// The merged contact as the next version of the stored one, however many rows it took; `None` if nothing differs.
fn next_version(stored: &Contact, merged: Contact) -> Option<Contact> {
    let updated_at = merged.updated_at;
    let merged =
        Contact { updated_at: stored.updated_at, version: stored.version, write_id: stored.write_id, ..merged };
    if merged == *stored {
        return None;
    }
    Some(Contact { updated_at, version: stored.version + 1, write_id: None, ..merged })
}
