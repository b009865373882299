//! A contact: a person that a sales team contacts.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::json::{MAX_STORED_BYTES, SizeChange};
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
    /// Begins with the time of creation, so that contacts are stored in that order, and may name a partition.
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
    /// The ids of the last writes that required a version, newest first. A retry after a lost response recognizes its own write
    /// by it, even if other writes have followed.
    pub write_ids: Vec<Uuid>,
}

/// A contact into which patches are merged in place, one after the other.
///
/// It keeps account of its size, so a merge takes time in proportion to the patch: thousands of rows of an upload may be
/// merged into one contact of 350 KB.
#[derive(Debug)]
pub struct ContactMerge {
    contact: Contact,
    growing_len: usize,
}

/// A row of a bulk upload, which creates a contact or changes the contact with its email. It has the fields once, because an
/// upload has thousands of rows.
#[derive(Debug, Clone)]
pub struct Upsert {
    full_name: FullName,
    email: Email,
    linkedin_profile: LinkedinProfile,
    /// The changes of the optional fields.
    optional: ContactPatch,
}

/// The number of [`Contact::write_ids`]: a write is recognized until as many others that require a version have followed it.
pub const MAX_WRITE_IDS: usize = 4;
/// The stored size, in bytes, of one of a contact's imports.
const IMPORT_ID_LEN: usize = "7c9e6679-7425-40de-944b-e07fc1f90ae7".len() + 1;
const TOO_LARGE: InvalidValue =
    InvalidValue::GrowsTooLarge { entity: "contact", max: MAX_STORED_BYTES / 1000, unit: "KB" };

impl ContactDetails {
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

impl Upsert {
    /// A row with these fields; `None` if a required field is missing.
    pub fn new(mut patch: ContactPatch) -> Option<Self> {
        Some(Self {
            full_name: patch.full_name.take()?,
            email: patch.email.take()?,
            linkedin_profile: patch.linkedin_profile.take()?,
            optional: patch,
        })
    }

    /// The email of the contact.
    pub fn email(&self) -> &Email {
        &self.email
    }

    /// The contact to create if no contact has the email.
    pub fn to_new(&self) -> NewContact {
        let Self { full_name, email, linkedin_profile, optional } = self;
        let details = ContactDetails {
            full_name: full_name.clone(),
            email: email.clone(),
            linkedin_profile: linkedin_profile.clone(),
            company: optional.company.value().cloned(),
            locale: optional.locale.value().cloned(),
            timezone: optional.timezone.value().cloned(),
        };
        let enrichment = optional.enrichment.value().map(Enrichment::without_nulls);
        NewContact { details, enrichment: enrichment.unwrap_or_default() }
    }
}

impl Enrichment {
    /// The enrichment of a new contact: without `null` members.
    fn without_nulls(&self) -> Self {
        let object = self.object.without_nulls();
        let mut key_order = self.key_order.clone();
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
            write_ids: Vec::new(),
        }
    }

    /// The stored size, in bytes, of the unbounded attributes: the enrichment, its key order, and the imports.
    pub fn growing_len(&self) -> usize {
        let key_order_len: usize = self.enrichment.key_order.iter().map(|key| key.len() + 1).sum();
        self.enrichment.object.stored_len() + key_order_len + self.import_ids.len() * IMPORT_ID_LEN
    }

    /// The next version of this contact; `None` if the patch changes nothing.
    ///
    /// # Errors
    /// The enrichment would make the stored item too large.
    pub fn patched(&self, patch: &ContactPatch, now: DateTime<Utc>) -> Result<Option<Self>, InvalidValue> {
        let mut merge = ContactMerge::new(self.clone());
        merge.apply(patch, None)?;
        Ok(self.next_version(merge.into_contact(), now))
    }

    /// The merged contact as the next version of this one, however many patches it took; `None` if nothing differs.
    pub fn next_version(&self, merged: Self, now: DateTime<Utc>) -> Option<Self> {
        if merged == *self {
            return None;
        }
        // The write of a later request may have been faster, and the time of a change never goes back.
        Some(Self { updated_at: now.max(self.updated_at), version: self.version + 1, ..merged })
    }

    /// Remembers the id of a write that requires a version.
    pub fn record_write(&mut self, write_id: Uuid) {
        self.write_ids.insert(0, write_id);
        self.write_ids.truncate(MAX_WRITE_IDS);
    }
}

impl ContactMerge {
    /// A merge that begins with this contact.
    pub fn new(contact: Contact) -> Self {
        Self { growing_len: contact.growing_len(), contact }
    }

    /// Checks whether one more import fits into the contact's item.
    ///
    /// # Errors
    /// It is no member yet, and one more import would make the stored item too large.
    pub fn check_fits(&self, import_id: ImportId) -> Result<(), InvalidValue> {
        let is_member = self.contact.import_ids.contains(&import_id);
        if !is_member && self.growing_len + IMPORT_ID_LEN > MAX_STORED_BYTES { Err(TOO_LARGE) } else { Ok(()) }
    }

    /// Merges a patch and joins an import. A refused patch leaves the contact as it is.
    ///
    /// # Errors
    /// The stored item would become too large.
    pub fn apply(&mut self, patch: &ContactPatch, import_id: Option<ImportId>) -> Result<(), InvalidValue> {
        let Contact { details, enrichment, import_ids, .. } = &mut self.contact;
        let joins = import_id.is_some_and(|import_id| !import_ids.contains(&import_id));
        let change = match &patch.enrichment {
            Patch::Set(changes) => enrichment.object.size_change(&changes.object),
            Patch::Keep | Patch::Clear => SizeChange::default(),
        };
        let join_len = if joins { IMPORT_ID_LEN } else { 0 };
        let growing_len = (self.growing_len + join_len + change.added).saturating_sub(change.removed);
        if (joins || !change.is_none()) && growing_len > MAX_STORED_BYTES {
            return Err(TOO_LARGE);
        }
        *details = details.patched(patch);
        enrichment.apply(&patch.enrichment);
        import_ids.extend(import_id);
        self.growing_len = match patch.enrichment {
            Patch::Clear => self.contact.growing_len(),
            Patch::Keep | Patch::Set(_) => growing_len,
        };
        Ok(())
    }

    /// Merges a row of an upload and joins an import. A refused row leaves the contact as it is.
    ///
    /// # Errors
    /// The errors of [`ContactMerge::apply`].
    pub fn upsert(&mut self, row: &Upsert, import_id: Option<ImportId>) -> Result<(), InvalidValue> {
        let Upsert { full_name, email, linkedin_profile, optional } = row;
        self.apply(optional, import_id)?;
        let details = &mut self.contact.details;
        details.full_name.clone_from(full_name);
        details.email.clone_from(email);
        details.linkedin_profile.clone_from(linkedin_profile);
        Ok(())
    }

    /// The contact with all patches merged.
    pub fn into_contact(self) -> Contact {
        self.contact
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;
    use crate::domain::{Json, time};

    fn metadata(json: &serde_json::Value) -> JsonObject {
        JsonObject::parse(&RawValue::from_string(json.to_string()).unwrap()).unwrap()
    }

    fn metadata_patch(json: &serde_json::Value) -> ContactPatch {
        let enrichment = Enrichment { object: metadata(json), key_order: Vec::new() };
        ContactPatch { enrichment: Patch::Set(enrichment), ..ContactPatch::default() }
    }

    fn jane(json: &serde_json::Value) -> Contact {
        let details =
            json!({"full_name": "Jane", "email": "jane@example.com", "linkedin_profile": "linkedin.com/in/jane"});
        let details = serde_json::from_value(details).unwrap();
        let enrichment = Enrichment { object: metadata(json), key_order: Vec::new() };
        let now = time::parse("2024-10-06T12:00:00Z").unwrap();
        Contact::new(Uuid::nil().into(), Uuid::nil().into(), None, NewContact { details, enrichment }, now)
    }

    /// A contact of seven values of 49 kB: any further one is too much.
    fn large_jane() -> Contact {
        let mut contact = jane(&json!({}));
        for index in 0..7 {
            contact.enrichment.object.merge(&metadata(&json!({format!("k{index}"): "x".repeat(49_000)})));
        }
        contact
    }

    #[test]
    fn a_merge_does_not_copy_the_contact() {
        let contact = large_jane();
        let address = |contact: &Contact| match contact.enrichment.object.get("k0") {
            Some(Json::String(text)) => text.as_ptr(),
            _ => panic!("k0 is text"),
        };
        let before = address(&contact);
        let mut merge = ContactMerge::new(contact);
        for index in 0..3 {
            merge.apply(&metadata_patch(&json!({"small": index})), Some(Uuid::from_u128(index).into())).unwrap();
        }
        assert_eq!(address(&merge.into_contact()), before);
    }

    #[test]
    fn a_merge_keeps_account_of_the_size() {
        let mut merge = ContactMerge::new(jane(&json!({"a": {"b": 1}, "c": "d"})));
        let clear = ContactPatch { enrichment: Patch::Clear, ..ContactPatch::default() };
        for patch in [
            metadata_patch(&json!({"a": {"b": null, "e": [1, 2]}})),
            metadata_patch(&json!({"a": 1, "c": null})),
            ContactPatch::default(),
            clear,
            metadata_patch(&json!({"f": {"g": null, "h": 1}})),
        ] {
            merge.apply(&patch, Some(Uuid::nil().into())).unwrap();
            assert_eq!(merge.growing_len, merge.contact.growing_len());
        }
    }

    #[test]
    fn a_refused_patch_leaves_the_contact_as_it_is() {
        let contact = large_jane();
        let mut merge = ContactMerge::new(contact.clone());
        let patch = ContactPatch {
            full_name: Some("Jane Smith".parse().unwrap()),
            ..metadata_patch(&json!({"k7": "x".repeat(49_000)}))
        };
        assert_eq!(merge.apply(&patch, Some(Uuid::nil().into())), Err(TOO_LARGE));
        assert_eq!(merge.into_contact(), contact);
    }

    #[test]
    fn a_change_never_gets_an_earlier_time() {
        let contact = jane(&json!({}));
        let patch = ContactPatch { full_name: Some("Jane Smith".parse().unwrap()), ..ContactPatch::default() };
        for (now, updated_at) in [
            ("2024-10-06T11:59:59.999Z", "2024-10-06T12:00:00.000Z"),
            ("2024-10-06T12:00:00.001Z", "2024-10-06T12:00:00.001Z"),
        ] {
            let next = contact.patched(&patch, time::parse(now).unwrap()).unwrap().unwrap();
            assert_eq!((next.version, time::to_millis(next.updated_at)), (2, updated_at.to_owned()));
        }
    }

    #[test]
    fn the_last_conditional_writes_are_remembered() {
        let mut contact = jane(&json!({}));
        for write in 1..=6 {
            contact.record_write(Uuid::from_u128(write));
        }
        assert_eq!(contact.write_ids, [6, 5, 4, 3].map(Uuid::from_u128));
    }
}
