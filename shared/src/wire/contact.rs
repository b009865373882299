//! Contacts on the wire: the bodies and queries that clients send, and what they are shown.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::activity::ActivityView;
use super::body::{FromBody, FromQuery};
use super::query::Query;
use super::view::Resource;
use crate::domain::email::MAX_ADDRESS;
use crate::domain::json::key_order;
use crate::domain::{
    CompanyKey, CompanyName, Contact, ContactFilter, ContactId, ContactPatch, Email, Field, FullName, Id, ImportId,
    InvalidValue, JsonObject, LinkedinProfile, Locale, NewContact, OrgId, Patch, Timeline, TimelineFilter,
    TimelinePage, TimelinePosition, Timezone, ValidationErrors, time,
};
use crate::endpoint::param::{self, MAX_PAGE};

/// The body of a contact to create or to update.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ContactUpdate))]
pub struct ContactForm {
    /// Full name of the contact.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("John Doe"), min_length = 1, max_length = 200))]
    #[serde(default)]
    full_name: Field<String>,
    /// Email address, unique within the organization.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "email", examples("john.doe@example.com")))]
    #[serde(default)]
    email: Field<String>,
    /// LinkedIn profile of the person, in any usual spelling.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("https://linkedin.com/in/johndoe")))]
    #[serde(default)]
    linkedin_profile: Field<String>,
    /// Company name; the company is created if it does not exist.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, examples("Tech Corp"), max_length = 200))]
    #[serde(default)]
    company: Field<String>,
    /// BCP 47 language tag.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, examples("en-US")))]
    #[serde(default)]
    locale: Field<String>,
    /// IANA time zone name.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, examples("America/New_York")))]
    #[serde(default)]
    timezone: Field<String>,
    /// Enrichment data; on an update it is merged (RFC 7396).
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    #[serde(default)]
    metadata: Field<Box<RawValue>>,
    /// Another name for `metadata`, so that a contact that was read can be sent back.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    #[serde(default)]
    enrichment: Field<Box<RawValue>>,
}

impl ContactForm {
    /// The form with these texts, by the names of its fields, as a file with columns has them. `None` is not sent.
    pub fn from_texts(text: impl Fn(&str) -> Option<String>) -> Self {
        let text_of = |name| text(name).map_or(Field::Absent, Field::Sent);
        let json_of = |name| match text(name).map(RawValue::from_string) {
            None => Field::Absent,
            Some(Ok(raw)) => Field::Sent(raw),
            Some(Err(_)) => Field::Mistyped(InvalidValue("must be a JSON object")),
        };
        Self {
            full_name: text_of("full_name"),
            email: text_of("email"),
            linkedin_profile: text_of("linkedin_profile"),
            company: text_of("company"),
            locale: text_of("locale"),
            timezone: text_of("timezone"),
            metadata: json_of("metadata"),
            enrichment: json_of("enrichment"),
        }
    }

    /// The address, to the letter, if a text was sent as one that could be one by its length and has no control characters.
    pub(super) fn sent_email(&self) -> Option<&str> {
        match &self.email {
            Field::Sent(text) => {
                Some(text.as_str()).filter(|text| text.len() <= MAX_ADDRESS && !text.contains(char::is_control))
            }
            Field::Absent | Field::Null | Field::Mistyped(_) => None,
        }
    }
}

impl FromBody for NewContact {
    type Wire = ContactForm;

    fn from_wire(form: ContactForm) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let full_name = errors.required("full_name", form.full_name, |text| FullName::parse(&text));
        let email = errors.required("email", form.email, |text| Email::parse(&text));
        let linkedin_profile =
            errors.required("linkedin_profile", form.linkedin_profile, |text| LinkedinProfile::parse(&text));
        let company = errors.optional("company", form.company, |text| CompanyName::parse_optional(&text)).flatten();
        let locale = errors.optional("locale", form.locale, |text| Locale::parse(&text));
        let timezone = errors.optional("timezone", form.timezone, |text| Timezone::parse(&text));
        let sent_order = [&form.metadata, &form.enrichment].into_iter().find_map(sent_order).unwrap_or_default();
        let enrichment = match metadata(&mut errors, form.metadata, form.enrichment) {
            Patch::Keep | Patch::Clear => JsonObject::default(),
            Patch::Set(sent) => sent.without_nulls(),
        };
        let kept: Vec<_> = sent_order.into_iter().filter(|key| enrichment.get(key).is_some()).collect();
        // In alphabetical order they come out anyway.
        let enrichment_order = if kept.is_sorted() { Vec::new() } else { kept };
        let required = full_name.zip(email).zip(linkedin_profile);
        errors.finish(required.map(|((full_name, email), linkedin_profile)| Self {
            full_name,
            email,
            linkedin_profile,
            company,
            locale,
            timezone,
            enrichment,
            enrichment_order,
        }))
    }
}

impl FromBody for ContactPatch {
    type Wire = ContactForm;

    fn from_wire(form: ContactForm) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let patch = Self {
            full_name: errors.not_null("full_name", form.full_name, |text| FullName::parse(&text)),
            email: errors.not_null("email", form.email, |text| Email::parse(&text)),
            linkedin_profile: errors
                .not_null("linkedin_profile", form.linkedin_profile, |text| LinkedinProfile::parse(&text)),
            company: errors.patch("company", form.company, |text| CompanyName::parse_optional(&text)),
            locale: errors.patch("locale", form.locale, |text| Locale::parse(&text).map(Some)),
            timezone: errors.patch("timezone", form.timezone, |text| Timezone::parse(&text).map(Some)),
            enrichment: metadata(&mut errors, form.metadata, form.enrichment),
        };
        errors.finish(Some(patch))
    }
}

/// The keys of an object that was sent, in their order.
fn sent_order(field: &Field<Box<RawValue>>) -> Option<Vec<String>> {
    match field {
        Field::Sent(raw) => Some(key_order(raw)),
        Field::Absent | Field::Null | Field::Mistyped(_) => None,
    }
}

/// The metadata under either of its names; under both only if they say the same.
fn metadata(
    errors: &mut ValidationErrors,
    metadata: Field<Box<RawValue>>,
    enrichment: Field<Box<RawValue>>,
) -> Patch<JsonObject> {
    let mut parse = |name, field| errors.patch(name, field, |raw: Box<RawValue>| JsonObject::parse(&raw).map(Some));
    match (parse("metadata", metadata), parse("enrichment", enrichment)) {
        (metadata, Patch::Keep) => metadata,
        (Patch::Keep, enrichment) => enrichment,
        (metadata, enrichment) if metadata == enrichment => metadata,
        // Nothing, in the two ways in which it is written and shown.
        (Patch::Set(nothing), Patch::Clear) | (Patch::Clear, Patch::Set(nothing)) if nothing.is_empty() => Patch::Clear,
        _ => {
            errors.add("metadata", "must be the same as enrichment where both are sent");
            Patch::Keep
        }
    }
}

/// A contact, as it is shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Contact))]
pub struct ContactView<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid", examples("550e8400-e29b-41d4-a716-446655440000")))]
    id: ContactId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid", examples("123e4567-e89b-12d3-a456-426614174000")))]
    org_id: OrgId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("John Doe")))]
    full_name: &'a FullName,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "email", examples("john.doe@example.com")))]
    email: &'a Email,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uri", examples("https://www.linkedin.com/in/johndoe")))]
    linkedin_profile: &'a LinkedinProfile,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required, examples("Tech Corp")))]
    company: Option<&'a CompanyName>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required, examples("en-US")))]
    locale: Option<&'a Locale>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required, examples("America/New_York")))]
    timezone: Option<&'a Timezone>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, required))]
    enrichment: Option<Enrichment<'a>>,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    updated_at: String,
}

impl<'a> ContactView<'a> {
    /// What is shown of a contact.
    pub fn of(contact: &'a Contact) -> Self {
        let Contact {
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
            updated_at,
            ..
        } = contact;
        Self {
            id: *id,
            org_id: *org_id,
            full_name,
            email,
            linkedin_profile,
            company: company.as_ref(),
            locale: locale.as_ref(),
            timezone: timezone.as_ref(),
            enrichment: Some(Enrichment(enrichment, enrichment_order)).filter(|_| !enrichment.is_empty()),
            created_at: time::to_seconds(contact.created_at()),
            updated_at: time::to_seconds(*updated_at),
        }
    }
}

/// What is known of a contact, in the order in which it was first sent.
#[derive(Debug)]
struct Enrichment<'a>(&'a JsonObject, &'a [String]);

impl Serialize for Enrichment<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(object, order) = self;
        serializer.collect_map(object.in_order(order))
    }
}

impl Resource for Contact {
    fn view(&self) -> impl Serialize {
        ContactView::of(self)
    }

    fn location(&self) -> Option<String> {
        Some(format!("/contacts/{}", self.id))
    }

    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}

/// A contact with a page of its timeline.
#[derive(Debug)]
pub struct ContactWithTimeline(pub Contact, pub Timeline);

/// A contact with a page of its timeline, as it is shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ContactWithTimeline))]
pub struct ContactWithTimelineView<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid", examples("550e8400-e29b-41d4-a716-446655440000")))]
    id: ContactId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid", examples("123e4567-e89b-12d3-a456-426614174000")))]
    org_id: OrgId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("John Doe")))]
    full_name: &'a FullName,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "email", examples("john.doe@example.com")))]
    email: &'a Email,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uri", examples("https://www.linkedin.com/in/johndoe")))]
    linkedin_profile: &'a LinkedinProfile,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required, examples("Tech Corp")))]
    company: Option<&'a CompanyName>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required, examples("en-US")))]
    locale: Option<&'a Locale>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required, examples("America/New_York")))]
    timezone: Option<&'a Timezone>,
    /// The account it belongs to. No part of this API sets it: always `null`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required))]
    account_id: Option<()>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, required))]
    enrichment: Option<Enrichment<'a>>,
    /// Whether the platform should enrich it. No part of this API sets it: always `null`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>, required))]
    should_enrich_data: Option<()>,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    updated_at: String,
    activities: Vec<ActivityView<'a>>,
}

impl Resource for ContactWithTimeline {
    fn view(&self) -> impl Serialize {
        let Self(contact, timeline) = self;
        let ContactView {
            id,
            org_id,
            full_name,
            email,
            linkedin_profile,
            company,
            locale,
            timezone,
            enrichment,
            created_at,
            updated_at,
        } = ContactView::of(contact);
        ContactWithTimelineView {
            id,
            org_id,
            full_name,
            email,
            linkedin_profile,
            company,
            locale,
            timezone,
            account_id: None,
            enrichment,
            should_enrich_data: None,
            created_at,
            updated_at,
            activities: timeline.activities.iter().map(ActivityView::of).collect(),
        }
    }

    fn version(&self) -> Option<u64> {
        Some(self.0.version)
    }
}

/// The query of one contact: which part of its timeline to show.
#[derive(Debug)]
pub struct TimelineQuery(pub TimelinePage);

impl TimelineQuery {
    /// The address of the page that follows this one, if one does.
    pub fn next(&self, id: ContactId, timeline: &Timeline) -> Option<String> {
        let TimelinePage { filter, page, limit, .. } = &self.0;
        let filter = match filter {
            TimelineFilter::Active => "all".to_owned(),
            TimelineFilter::Any => "any".to_owned(),
            TimelineFilter::Campaign(campaign) => campaign.to_string(),
        };
        let last = timeline.activities.last().filter(|_| timeline.more)?;
        let (page, after) = (page.saturating_add(1).min(MAX_PAGE), TimelinePosition::of(last));
        Some(format!("/contacts/{id}?campaign_id={filter}&page={page}&limit={limit}&after={after}"))
    }
}

impl FromQuery for TimelineQuery {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self(TimelinePage {
            filter: query.read(errors, &param::CAMPAIGN_ID, TimelineFilter::parse).unwrap_or_default(),
            page: query.integer(errors, &param::PAGE),
            limit: query.integer(errors, &param::ACTIVITY_LIMIT),
            after: query.read(errors, &param::AFTER, TimelinePosition::parse),
        })
    }
}

impl FromQuery for ContactFilter {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self {
            import_id: query.read(errors, &param::IMPORT_ID, ImportId::parse),
            email: query.read(errors, &param::EMAIL, |text| Email::parse(&plus(text))),
            company: query.read(errors, &param::COMPANY, CompanyKey::parse),
            created_after: query.read(errors, &param::CREATED_AFTER, |text| time::parse(&plus(text))),
            updated_after: query.read(errors, &param::UPDATED_AFTER, |text| time::parse(&plus(text))),
        }
    }
}

/// A `+` that was not encoded arrives as a space, which neither an address nor a time has inside.
fn plus(text: &str) -> String {
    text.trim().replace(' ', "+")
}
