//! A contact: a person whom a sales team may write to.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::ids::moment_of;
use super::json::MAX_STORED_BYTES;
use super::{
    CompanyKey, CompanyName, ContactId, Email, FullName, ImportId, InvalidValue, JsonObject, LinkedinProfile, Locale,
    OrgId, Patch, Timezone,
};

/// What a client says of a contact to be.
#[derive(Debug, Clone)]
pub struct NewContact {
    /// The person's name.
    pub full_name: FullName,
    /// The address that is the person's within the organization.
    pub email: Email,
    /// The person's LinkedIn profile.
    pub linkedin_profile: LinkedinProfile,
    /// The company, in the spelling that was sent.
    pub company: Option<CompanyName>,
    /// The language to write to the person in.
    pub locale: Option<Locale>,
    /// Where the person's day begins and ends.
    pub timezone: Option<Timezone>,
    /// Whatever else is known of the person, without `null` members.
    pub enrichment: JsonObject,
    /// The keys of `enrichment` in the order in which they were sent.
    pub enrichment_order: Vec<String>,
}

/// A contact of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its id, which holds the moment of its creation.
    pub id: ContactId,
    /// Whose it is.
    pub org_id: OrgId,
    /// See [`NewContact`].
    pub full_name: FullName,
    /// Unique within the organization.
    pub email: Email,
    /// See [`NewContact`].
    pub linkedin_profile: LinkedinProfile,
    /// See [`NewContact`].
    pub company: Option<CompanyName>,
    /// See [`NewContact`].
    pub locale: Option<Locale>,
    /// See [`NewContact`].
    pub timezone: Option<Timezone>,
    /// All metadata ever sent, merged.
    pub enrichment: JsonObject,
    /// The keys that `enrichment` was created with, in the order in which they were sent: a stored map has none. Keys
    /// that came later follow in alphabetical order.
    pub enrichment_order: Vec<String>,
    /// The last change, to the millisecond.
    pub updated_at: DateTime<Utc>,
    /// 1 when created; one more with every write.
    pub version: u64,
    /// The imports it came with, so that deleting it finds its memberships.
    pub import_ids: BTreeSet<ImportId>,
    /// The conditional write that made this version: how a writer whose answer was lost knows its own work.
    pub write_id: Option<Uuid>,
}

/// What an update changes.
#[derive(Debug, Clone, Default)]
pub struct ContactPatch {
    /// A new name.
    pub full_name: Option<FullName>,
    /// A new address; moves the lock.
    pub email: Option<Email>,
    /// A new profile.
    pub linkedin_profile: Option<LinkedinProfile>,
    /// A new company, or none.
    pub company: Patch<CompanyName>,
    /// A new locale, or none.
    pub locale: Patch<Locale>,
    /// A new time zone, or none.
    pub timezone: Patch<Timezone>,
    /// A merge patch (RFC 7396), or no enrichment any more.
    pub enrichment: Patch<JsonObject>,
}

/// A contact as a bulk upload has it: a new one, unless its address is known; then what it changes.
#[derive(Debug, Clone)]
pub struct Upsert {
    /// The contact to be.
    pub new: NewContact,
    /// The same as changes.
    pub patch: ContactPatch,
}

impl Contact {
    /// The first version of a contact.
    pub fn new(id: ContactId, org_id: OrgId, import_id: Option<ImportId>, new: NewContact) -> Self {
        let NewContact { full_name, email, linkedin_profile, company, locale, timezone, enrichment, enrichment_order } =
            new;
        Self {
            id,
            org_id,
            full_name,
            email,
            linkedin_profile,
            company,
            locale,
            timezone,
            enrichment,
            enrichment_order,
            updated_at: moment_of(id.into()),
            version: 1,
            import_ids: import_id.into_iter().collect(),
            write_id: None,
        }
    }

    /// When it was created, to the millisecond.
    pub fn created_at(&self) -> DateTime<Utc> {
        moment_of(self.id.into())
    }

    /// The length of what it gathers as stored, in bytes: what is known of it, the order of its keys, and its imports.
    pub fn gathered_len(&self) -> usize {
        const IMPORT: usize = "7c9e6679-7425-40de-944b-e07fc1f90ae7".len() + 1;
        let order = self.enrichment_order.iter().map(|key| key.len() + 1).sum::<usize>();
        self.enrichment.stored_len() + order + self.import_ids.len() * IMPORT
    }

    /// This contact as a member of an import, too, or `None` where it is one already.
    ///
    /// # Errors
    /// One more import would make the stored item too large.
    pub fn joined(&self, import_id: ImportId) -> Result<Option<Self>, InvalidValue> {
        if self.import_ids.contains(&import_id) {
            return Ok(None);
        }
        let mut next = self.clone();
        next.import_ids.insert(import_id);
        if next.gathered_len() > MAX_STORED_BYTES { Err(TOO_LARGE) } else { Ok(Some(next)) }
    }

    /// The next version of this contact, or `None` where the patch changes nothing.
    ///
    /// # Errors
    /// The metadata would make the stored item too large.
    pub fn patched(&self, patch: &ContactPatch, now: DateTime<Utc>) -> Result<Option<Self>, InvalidValue> {
        let mut next = self.clone();
        if let Some(full_name) = &patch.full_name {
            next.full_name = full_name.clone();
        }
        if let Some(email) = &patch.email {
            next.email = email.clone();
        }
        if let Some(linkedin_profile) = &patch.linkedin_profile {
            next.linkedin_profile = linkedin_profile.clone();
        }
        patch.company.apply(&mut next.company);
        patch.locale.apply(&mut next.locale);
        patch.timezone.apply(&mut next.timezone);
        match &patch.enrichment {
            Patch::Keep => {}
            Patch::Clear if self.enrichment.is_empty() => {}
            Patch::Clear => {
                next.enrichment = JsonObject::default();
                next.enrichment_order.clear();
            }
            Patch::Set(changes) => next.enrichment.merge(changes),
        }
        if next == *self {
            return Ok(None);
        }
        if next.enrichment != self.enrichment && next.gathered_len() > MAX_STORED_BYTES {
            return Err(TOO_LARGE);
        }
        next.updated_at = now;
        next.version += 1;
        next.write_id = None;
        Ok(Some(next))
    }
}

/// What is said of what would outgrow a stored item.
const TOO_LARGE: InvalidValue = InvalidValue("would grow the contact past 350 KB");

/// Which contacts of an organization a list shows; each part narrows it.
#[derive(Debug, Clone, Default)]
pub struct ContactFilter {
    /// Members of this import.
    pub import_id: Option<ImportId>,
    /// The one with this address.
    pub email: Option<Email>,
    /// Those of this company.
    pub company: Option<CompanyKey>,
    /// Created after this moment.
    pub created_after: Option<DateTime<Utc>>,
    /// Last changed after this moment.
    pub updated_after: Option<DateTime<Utc>>,
}

impl ContactFilter {
    /// Whether the list shows this contact. Membership of an import is decided by the import, not here.
    pub fn shows(&self, contact: &Contact) -> bool {
        self.email.as_ref().is_none_or(|email| *email == contact.email)
            && self
                .company
                .as_ref()
                .is_none_or(|key| contact.company.as_ref().map(CompanyName::key).as_ref() == Some(key))
            && self.created_after.is_none_or(|moment| contact.created_at() > moment)
            && self.updated_after.is_none_or(|moment| contact.updated_at > moment)
    }

    /// Whether contacts are passed over while the organization's are read in order.
    pub fn is_sparse(&self) -> bool {
        self.company.is_some() || self.updated_after.is_some()
    }
}

/// The version that a write requires (`If-Match`, RFC 9110 §13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequiredVersion {
    /// Whatever version there is.
    Any,
    /// One of these; none where no tag that was sent can be a version's.
    OneOf(Vec<u64>),
}

impl RequiredVersion {
    /// Whether a write may replace this version.
    pub fn allows(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}
