//! The decision about each email of an upload: which contact its rows create or change. Calls no database.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use crate::domain::{CompanyName, Contact, ContactMerge, Email, ImportId, NewContact, OrgId, Upsert, ValidationErrors};
use crate::dynamodb::keys::{self, Key};
use crate::repositories::Result;

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
    /// The key of the email's lock.
    pub(super) lock_key: Key,
    first: &'a Row,
    others: Vec<&'a Row>,
}

/// The planned outcome of the rows of one email.
#[derive(Debug)]
pub(super) struct PlannedContact<'a> {
    pub(super) rows: RowsOfEmail<'a>,
    /// The validation errors of the rows that cannot be merged into the contact, by their numbers.
    refused: BTreeMap<usize, ValidationErrors>,
    action: RowAction,
}

/// The effect of the rows of one email.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "boxing thousands of contacts would cost more memory than it saves")]
enum RowAction {
    /// Creates this contact.
    Create(Contact),
    /// Changes the stored contact to `next`, or `None` if nothing differs, and writes the membership of an import.
    Update { stored: Contact, next: Option<Contact>, membership: Option<ImportId> },
}

/// The write of one contact.
pub(super) enum ContactWrite<'a> {
    Create { contact: &'a Contact, lock_key: &'a Key },
    Update { stored: &'a Contact, next: Option<&'a Contact>, membership: Option<ImportId> },
}

/// A stored contact of an upload.
#[derive(Debug)]
pub(super) struct StoredContact {
    pub(super) contact: Contact,
    /// `true` if the contact names the import of the upload but is not listed as its member: the membership was lost.
    pub(super) lacks_membership: bool,
}

/// The rules by which the rows of an upload are merged.
pub(super) struct MergeRules<D> {
    pub(super) import_id: Option<ImportId>,
    pub(super) now: DateTime<Utc>,
    /// Fails after the deadline of the request.
    pub(super) check_deadline: D,
}

impl Plan<'_> {
    /// The outcome of each row by its number, in no order.
    pub fn outcomes(&self) -> impl Iterator<Item = (usize, RowOutcome<'_>)> {
        self.contacts.iter().flat_map(PlannedContact::outcomes)
    }
}

impl<'a> RowsOfEmail<'a> {
    /// Groups rows by their email, in the order of the first row of each.
    pub(super) fn group(rows: &'a [Row], org: OrgId) -> Vec<Self> {
        let mut indexes = HashMap::<&Email, usize>::new();
        let mut groups = Vec::<Self>::new();
        for row in rows {
            let email = row.1.email();
            match indexes.entry(email) {
                Entry::Occupied(index) => groups[*index.get()].others.push(row),
                Entry::Vacant(index) => {
                    index.insert(groups.len());
                    let lock_key = keys::email_lock(org, email);
                    groups.push(Self { lock_key, first: row, others: Vec::new() });
                }
            }
        }
        groups
    }

    pub(super) fn email(&self) -> &'a Email {
        self.first.1.email()
    }

    fn iter(&self) -> impl Iterator<Item = &'a Row> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

impl<'a> PlannedContact<'a> {
    /// Plans the creation of a contact: `draft` creates it from the first row, and the others are merged into it.
    ///
    /// # Errors
    /// That of the deadline.
    pub(super) fn create(
        rows: RowsOfEmail<'a>,
        draft: impl FnOnce(NewContact) -> Contact,
        rules: &MergeRules<impl Fn() -> Result<()>>,
    ) -> Result<Self> {
        let draft = draft(rows.first.1.to_new());
        let (merged, refused) = rules.merge(draft, rows.others.iter().copied())?;
        Ok(Self { rows, refused, action: RowAction::Create(merged) })
    }

    /// Plans the update of a stored contact, into which all rows are merged.
    ///
    /// # Errors
    /// That of the deadline.
    pub(super) fn update(
        rows: RowsOfEmail<'a>,
        stored: StoredContact,
        rules: &MergeRules<impl Fn() -> Result<()>>,
    ) -> Result<Self> {
        let StoredContact { contact: stored, lacks_membership } = stored;
        let (merged, refused) = rules.merge(stored.clone(), rows.iter())?;
        let joins = merged.import_ids != stored.import_ids;
        let membership = if joins || lacks_membership { rules.import_id } else { None };
        let next = stored.next_version(merged, rules.now);
        Ok(Self { rows, refused, action: RowAction::Update { stored, next, membership } })
    }

    /// The write that the rows need; `None` if nothing differs.
    pub(super) fn write(&self) -> Option<ContactWrite<'_>> {
        match &self.action {
            RowAction::Create(contact) => Some(ContactWrite::Create { contact, lock_key: &self.rows.lock_key }),
            RowAction::Update { next: None, membership: None, .. } => None,
            RowAction::Update { stored, next, membership } => {
                Some(ContactWrite::Update { stored, next: next.as_ref(), membership: *membership })
            }
        }
    }

    fn outcomes(&self) -> impl Iterator<Item = (usize, RowOutcome<'_>)> {
        let (contact, created_by) = match &self.action {
            RowAction::Create(contact) => (contact, Some(self.rows.first.0)),
            RowAction::Update { stored, next, .. } => (next.as_ref().unwrap_or(stored), None),
        };
        self.rows.iter().map(move |(number, _)| {
            let outcome = match self.refused.get(number) {
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
            Self::Create { contact, .. } => contact.details.company.as_ref(),
            Self::Update { stored, next: Some(next), .. } if next.details.company != stored.details.company => {
                next.details.company.as_ref()
            }
            Self::Update { .. } => None,
        }
    }

    /// The number of items that the write has in a transaction.
    pub(super) fn items(&self) -> usize {
        match self {
            // The contact, its lock, its memberships.
            Self::Create { contact, .. } => 2 + contact.import_ids.len(),
            Self::Update { membership, .. } => 1 + usize::from(membership.is_some()),
        }
    }

    /// An upper bound of the bytes of these items.
    pub(super) fn bytes(&self) -> usize {
        /// More than the lock, the membership, and all attributes of bounded length.
        const OTHER_BYTES: usize = 4_000;
        match self {
            Self::Create { contact, .. } | Self::Update { next: Some(contact), .. } => {
                contact.growing_len() + OTHER_BYTES
            }
            Self::Update { next: None, .. } => OTHER_BYTES,
        }
    }
}

impl<D: Fn() -> Result<()>> MergeRules<D> {
    /// Merges rows into a contact in their order. Returns the merged contact, and the errors of the rows that were left
    /// out because they cannot be merged.
    fn merge<'a>(
        &self,
        contact: Contact,
        rows: impl Iterator<Item = &'a Row>,
    ) -> Result<(Contact, BTreeMap<usize, ValidationErrors>)> {
        let mut merge = ContactMerge::new(contact);
        let mut refused = BTreeMap::new();
        for (number, upsert) in rows {
            (self.check_deadline)()?;
            if let Err(errors) = self.merge_row(&mut merge, upsert) {
                refused.insert(*number, errors);
            }
        }
        Ok((merge.into_contact(), refused))
    }

    /// Merges one row into a contact. A row that cannot be merged leaves the contact as it is.
    fn merge_row(&self, merge: &mut ContactMerge, upsert: &Upsert) -> std::result::Result<(), ValidationErrors> {
        if let Some(import_id) = self.import_id {
            merge.check_fits(import_id).map_err(|error| ValidationErrors::one(ImportId::HEADER, error))?;
        }
        merge.upsert(upsert, self.import_id).map_err(|error| ValidationErrors::one("metadata", error))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;
    use crate::domain::time;
    use crate::dynamodb;
    use crate::system;
    use crate::wire::Upload;

    /// A deadline that comes when it has been asked for this many times.
    fn deadline_after(checks: usize) -> impl Fn() -> Result<()> {
        let left = Cell::new(checks);
        move || match left.get().checked_sub(1) {
            Some(rest) => {
                left.set(rest);
                Ok(())
            }
            None => Err(dynamodb::Error::Unavailable.into()),
        }
    }

    #[test]
    fn merging_ends_at_the_deadline_however_many_rows_are_left() {
        let now = time::parse("2024-10-06T12:00:00Z").unwrap();
        let row = json!({"full_name": "Jane", "email": "jane@example.com", "linkedin_profile": "linkedin.com/in/jane"});
        let rows = Upload::from_json(json!([row, row, row]).to_string().as_bytes()).unwrap().valid;
        let (id, org) = (system::rng().uuid_v7(now).into(), system::rng().uuid_v4().into());
        let contact = Contact::new(id, org, None, rows[0].1.to_new(), now);
        let plan = |checks| {
            let rules = MergeRules { import_id: None, now, check_deadline: deadline_after(checks) };
            let rows = || RowsOfEmail::group(&rows, org).pop().unwrap();
            let stored = StoredContact { contact: contact.clone(), lacks_membership: false };
            let created = PlannedContact::create(rows(), |_| contact.clone(), &rules).map(|_| ());
            let rules = MergeRules { check_deadline: deadline_after(checks), ..rules };
            let updated = PlannedContact::update(rows(), stored, &rules).map(|_| ());
            (created, updated)
        };

        let late = || Err(dynamodb::Error::Unavailable.into());
        // The first row of a new contact is not merged.
        assert_eq!([plan(1), plan(2), plan(3)], [(late(), late()), (Ok(()), late()), (Ok(()), Ok(()))]);
    }
}
