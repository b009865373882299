//! A contact: a person that a sales team contacts.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::json::MAX_STORED_BYTES;
use super::{
    CompanyKey, CompanyName, ContactId, Email, FullName, ImportId, InvalidValue, JsonObject, LinkedinProfile, Locale,
    OrgId, Patch, Timezone,
};

/// The fields of a contact that clients write, but for the enrichment.
///
/// The stored item and the JSON of a contact embed them. A new field is declared here and in [`ContactPatch`], which
/// `wire/contact.rs` reads from a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContactDetails {
    /// The person's name.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub full_name: FullName,
    /// The email of the person, unique within the organization.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub email: Email,
    /// The person's LinkedIn profile.
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = String, format = "uri", examples("https://www.linkedin.com/in/johndoe"))
    )]
    pub linkedin_profile: LinkedinProfile,
    /// The company, in the spelling that was sent.
    #[cfg_attr(feature = "openapi", schema(inline, required))]
    pub company: Option<CompanyName>,
    /// The language and region of the person.
    #[cfg_attr(feature = "openapi", schema(inline, required))]
    pub locale: Option<Locale>,
    /// The time zone of the person.
    #[cfg_attr(feature = "openapi", schema(inline, required))]
    pub timezone: Option<Timezone>,
}

/// The changes that a client sends to an existing contact, or the fields of a new one.
///
/// Serializes as the attributes that an update sets, and `null` for those it removes; the enrichment is not among them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ContactPatch {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<FullName>,
    /// A new email, which replaces the email lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// A new profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linkedin_profile: Option<LinkedinProfile>,
    /// A new company, or its removal.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub company: Patch<CompanyName>,
    /// A new locale, or its removal.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub locale: Patch<Locale>,
    /// A new time zone, or its removal.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub timezone: Patch<Timezone>,
    /// A merge patch of the enrichment (RFC 7396); [`Patch::Clear`] removes all of it.
    #[serde(skip)]
    pub enrichment: Patch<Enrichment>,
}

/// The enrichment of a contact with the order in which its keys were sent, which a stored map does not preserve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enrichment {
    /// The members.
    pub object: JsonObject,
    /// The keys that the object was created with, in the order in which they were sent; empty if that is alphabetical order. Keys
    /// that were added later follow in alphabetical order.
    pub key_order: Vec<String>,
}

/// A contact to create.
#[derive(Debug, Clone)]
pub struct NewContact {
    /// The fields that the client sent.
    pub details: ContactDetails,
    /// The enrichment that the client sent, without `null` members.
    pub enrichment: Enrichment,
}

/// A contact of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Version 7, so that contacts are stored in the order of their creation.
    pub id: ContactId,
    /// The organization that owns the contact.
    pub org_id: OrgId,
    /// The fields that clients write.
    pub details: ContactDetails,
    /// All enrichment that was ever sent, merged.
    pub enrichment: Enrichment,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// The time of the last change, to the millisecond.
    pub updated_at: DateTime<Utc>,
    /// 1 on creation, incremented with every write.
    pub version: u64,
    /// The imports that the contact is a member of, so that deleting it finds its memberships.
    pub import_ids: BTreeSet<ImportId>,
    /// The id of the conditional write that created this version. A retry after a lost response recognizes its own write by it.
    pub write_id: Option<Uuid>,
}

/// A row of a bulk upload, which creates a contact or changes the contact with its email.
#[derive(Debug, Clone)]
pub struct Upsert {
    /// The contact to create if no contact has the email.
    pub new: NewContact,
    /// The changes to an existing contact with the email.
    pub patch: ContactPatch,
}

const TOO_LARGE: InvalidValue =
    InvalidValue::GrowsTooLarge { entity: "contact", max: MAX_STORED_BYTES / 1000, unit: "KB" };

impl ContactDetails {
    /// The details of a new contact with these fields; `None` if a required field is missing.
    pub fn new(patch: &ContactPatch) -> Option<Self> {
        let ContactPatch { full_name, email, linkedin_profile, company, locale, timezone, enrichment: _ } =
            patch.clone();
        Some(Self {
            full_name: full_name?,
            email: email?,
            linkedin_profile: linkedin_profile?,
            company: company.into_value(),
            locale: locale.into_value(),
            timezone: timezone.into_value(),
        })
    }

    /// The details after the changes.
    #[must_use]
    pub fn patched(&self, patch: &ContactPatch) -> Self {
        Self {
            full_name: patch.full_name.as_ref().unwrap_or(&self.full_name).clone(),
            email: patch.email.as_ref().unwrap_or(&self.email).clone(),
            linkedin_profile: patch.linkedin_profile.as_ref().unwrap_or(&self.linkedin_profile).clone(),
            company: patch.company.applied_to(&self.company),
            locale: patch.locale.applied_to(&self.locale),
            timezone: patch.timezone.applied_to(&self.timezone),
        }
    }
}

impl NewContact {
    /// A new contact with these fields; `None` if a required field is missing.
    pub fn new(patch: &ContactPatch) -> Option<Self> {
        let sent = patch.enrichment.value().cloned().unwrap_or_default();
        Some(Self { details: ContactDetails::new(patch)?, enrichment: sent.without_nulls() })
    }
}

impl Enrichment {
    /// The enrichment of a new contact: without `null` members.
    fn without_nulls(self) -> Self {
        let object = self.object.without_nulls();
        let mut key_order = self.key_order;
        key_order.retain(|key| object.get(key).is_some());
        // Alphabetical order is the default.
        if key_order.is_sorted() {
            key_order.clear();
        }
        Self { object, key_order }
    }

    /// Merges a patch (RFC 7396).
    fn apply(&mut self, patch: &Patch<Self>) {
        match patch {
            Patch::Keep => {}
            Patch::Clear if self.object.is_empty() => {}
            Patch::Clear => *self = Self::default(),
            Patch::Set(changes) => self.object.merge(&changes.object),
        }
    }
}

impl Contact {
    /// The first version of a contact.
    pub fn new(id: ContactId, org_id: OrgId, import_id: Option<ImportId>, new: NewContact, now: DateTime<Utc>) -> Self {
        let NewContact { details, enrichment } = new;
        Self {
            id,
            org_id,
            details,
            enrichment,
            created_at: now,
            updated_at: now,
            version: 1,
            import_ids: import_id.into_iter().collect(),
            write_id: None,
        }
    }

    /// The stored size, in bytes, of the unbounded attributes: the enrichment, its key order, and the imports.
    pub fn growing_len(&self) -> usize {
        const IMPORT_ID_LEN: usize = "7c9e6679-7425-40de-944b-e07fc1f90ae7".len() + 1;
        let key_order_len: usize = self.enrichment.key_order.iter().map(|key| key.len() + 1).sum();
        self.enrichment.object.stored_len() + key_order_len + self.import_ids.len() * IMPORT_ID_LEN
    }

    /// This contact as a member of one more import; `None` if it is already a member.
    ///
    /// # Errors
    /// One more import would make the stored item too large.
    pub fn joined(&self, import_id: ImportId) -> Result<Option<Self>, InvalidValue> {
        if self.import_ids.contains(&import_id) {
            return Ok(None);
        }
        let mut next = self.clone();
        next.import_ids.insert(import_id);
        if next.growing_len() > MAX_STORED_BYTES { Err(TOO_LARGE) } else { Ok(Some(next)) }
    }

    /// The next version of this contact; `None` if the patch changes nothing.
    ///
    /// # Errors
    /// The enrichment would make the stored item too large.
    pub fn patched(&self, patch: &ContactPatch, now: DateTime<Utc>) -> Result<Option<Self>, InvalidValue> {
        let mut next = Self { details: self.details.patched(patch), ..self.clone() };
        next.enrichment.apply(&patch.enrichment);
        if next == *self {
            return Ok(None);
        }
        if next.enrichment != self.enrichment && next.growing_len() > MAX_STORED_BYTES {
            return Err(TOO_LARGE);
        }
        next.updated_at = now;
        next.version += 1;
        next.write_id = None;
        Ok(Some(next))
    }
}

/// The conditions of a list of contacts. Every condition that is set narrows it.
#[derive(Debug, Clone, Default)]
pub struct ContactFilter {
    /// Members of this import.
    pub import_id: Option<ImportId>,
    /// The contact with this email.
    pub email: Option<Email>,
    /// Contacts of this company.
    pub company: Option<CompanyKey>,
    /// Contacts created after this time.
    pub created_after: Option<DateTime<Utc>>,
    /// Contacts changed after this time.
    pub updated_after: Option<DateTime<Utc>>,
}

impl ContactFilter {
    /// `true` if the list shows this contact. The import is not compared: the query selects its members.
    pub fn matches(&self, contact: &Contact) -> bool {
        let has_key = |key: &CompanyKey| contact.details.company.as_ref().is_some_and(|name| name.key() == *key);
        self.email.as_ref().is_none_or(|email| *email == contact.details.email)
            && self.company.as_ref().is_none_or(has_key)
            && self.created_after.is_none_or(|time| contact.created_at > time)
            && self.updated_after.is_none_or(|time| contact.updated_at > time)
    }

    /// `true` if the filter may skip contacts that a query reads.
    pub fn is_sparse(&self) -> bool {
        self.company.is_some() || self.updated_after.is_some()
    }
}

/// The version that a write requires (`If-Match`, RFC 9110 §13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequiredVersion {
    /// Any version.
    Any,
    /// One of these versions. No version satisfies an empty list, which stands for tags that are not versions.
    OneOf(Vec<u64>),
}

impl RequiredVersion {
    /// `true` if a write may replace this version.
    pub fn allows(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}
