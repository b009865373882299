//! Contacts: request bodies and queries, and the views in responses.

use serde::{Serialize, Serializer};
#[cfg(feature = "openapi")]
use utoipa::openapi::{RefOr, Schema};

#[cfg(feature = "openapi")]
use super::activity::ActivityView;
use super::body::ObjectBody;
#[cfg(feature = "openapi")]
use super::fields::Component;
use super::fields::{FieldValue, Fields, FromFields, Input, Purpose};
use super::param::{self, MAX_PAGE};
use super::query::{FromQuery, Query, restore_plus};
use super::view::{JsonRow, Resource};
use crate::domain::json::{JSON_OBJECT, key_order};
use crate::domain::{
    CompanyKey, Contact, ContactDetails, ContactFilter, ContactId, ContactPatch, Email, Enrichment, ImportId,
    InvalidValue, JsonObject, NewContact, OrgId, Patch, Timeline, TimelinePage, Upsert, ValidationErrors, time,
};

impl FromFields for ContactPatch {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            full_name: fields.required("full_name", "Full name of the contact."),
            email: fields.required("email", "Email address, unique within the organization."),
            linkedin_profile: fields
                .required("linkedin_profile", "LinkedIn profile of the person, in any usual spelling."),
            company: fields.optional_text("company", "Company name; the company is created if it does not exist."),
            locale: fields.optional_text("locale", "BCP 47 language tag."),
            timezone: fields.optional_text("timezone", "IANA time zone name."),
            enrichment: read_enrichment(fields),
        })
    }
}

impl ObjectBody for ContactPatch {
    const SCHEMA: &'static str = "ContactUpdate";
    const PURPOSE: Purpose = Purpose::Update;
}

impl FromFields for NewContact {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Upsert::read(fields).map(|row| row.to_new())
    }
}

impl ObjectBody for NewContact {
    const SCHEMA: &'static str = "NewContact";
    const PURPOSE: Purpose = Purpose::Create;
}

/// Reads the metadata under either of its names. Both names together are accepted if their values are equal.
fn read_enrichment(fields: &mut Fields<'_>) -> Patch<Enrichment> {
    let metadata = fields.optional("metadata", "Enrichment data; an update merges it (RFC 7396).");
    let enrichment = fields.optional::<Enrichment>(
        "enrichment",
        "Another name for `metadata`, so that a contact that was read can be sent back.",
    );
    let is_empty = |patch: &Patch<Enrichment>| patch.value().is_none_or(|value| value.object.is_empty());
    match (metadata, enrichment) {
        (metadata, Patch::Keep) => metadata,
        (Patch::Keep, enrichment) => enrichment,
        (Patch::Set(metadata), Patch::Set(enrichment)) if metadata.object == enrichment.object => Patch::Set(metadata),
        // `null` and `{}` both mean no metadata.
        (metadata, enrichment) if is_empty(&metadata) && is_empty(&enrichment) => Patch::Clear,
        _ => {
            fields.add("metadata", InvalidValue::Rule("must be the same as enrichment where both are sent"));
            Patch::Keep
        }
    }
}

impl FieldValue for Enrichment {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        let json = input.json(JSON_OBJECT)?;
        Ok(Self { object: JsonObject::parse(&json)?, key_order: key_order(&json) })
    }

    #[cfg(feature = "openapi")]
    fn schema(components: &mut Vec<Component>) -> RefOr<Schema> {
        JsonObject::schema(components)
    }
}

/// A contact.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Contact))]
pub struct ContactView<'a> {
    #[cfg_attr(feature = "openapi", schema(inline))]
    id: ContactId,
    #[cfg_attr(feature = "openapi", schema(inline))]
    org_id: OrgId,
    #[serde(flatten)]
    details: &'a ContactDetails,
    /// All metadata that was sent so far, merged.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<JsonObject>, inline, required))]
    enrichment: Option<EnrichmentView<'a>>,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    updated_at: String,
}

impl<'a> ContactView<'a> {
    /// The view of a contact.
    pub fn of(contact: &'a Contact) -> Self {
        Self {
            id: contact.id,
            org_id: contact.org_id,
            details: &contact.details,
            enrichment: EnrichmentView::of(&contact.enrichment),
            created_at: time::to_seconds(contact.created_at),
            updated_at: time::to_seconds(contact.updated_at),
        }
    }
}

/// The enrichment of a contact, with its members in the order in which they were first sent.
#[derive(Debug)]
pub(super) struct EnrichmentView<'a>(&'a Enrichment);

impl<'a> EnrichmentView<'a> {
    /// The view of an enrichment; `None`, which is shown as `null`, for an empty one.
    pub(super) fn of(enrichment: &'a Enrichment) -> Option<Self> {
        if enrichment.object.is_empty() { None } else { Some(Self(enrichment)) }
    }
}

impl Serialize for EnrichmentView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Enrichment { object, key_order } = self.0;
        serializer.collect_map(object.in_order(key_order))
    }
}

impl Resource for Contact {
    fn view(&self) -> impl Serialize {
        ContactView::of(self)
    }

    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}

/// A contact with a page of its timeline.
#[derive(Debug)]
pub struct ContactWithTimeline(pub Contact, pub Timeline<JsonRow>);

/// A contact with a page of its timeline.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ContactWithTimeline))]
pub struct ContactWithTimelineView<'a> {
    #[cfg_attr(feature = "openapi", schema(inline))]
    id: ContactId,
    #[cfg_attr(feature = "openapi", schema(inline))]
    org_id: OrgId,
    #[serde(flatten)]
    details: &'a ContactDetails,
    /// The account of the contact. No part of this API sets it: always `null`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required))]
    account_id: Option<()>,
    /// All metadata that was sent so far, merged.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<JsonObject>, inline, required))]
    enrichment: Option<EnrichmentView<'a>>,
    /// Whether the platform should enrich the contact. No part of this API sets it: always `null`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>, required))]
    should_enrich_data: Option<()>,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    updated_at: String,
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<ActivityView<'a>>))]
    activities: &'a [JsonRow],
}

impl Resource for ContactWithTimeline {
    fn view(&self) -> impl Serialize {
        let Self(contact, timeline) = self;
        let ContactView { id, org_id, details, enrichment, created_at, updated_at } = ContactView::of(contact);
        ContactWithTimelineView {
            id,
            org_id,
            details,
            account_id: None,
            enrichment,
            should_enrich_data: None,
            created_at,
            updated_at,
            activities: &timeline.activities,
        }
    }

    fn version(&self) -> Option<u64> {
        Some(self.0.version)
    }
}

/// The query of one contact: the page of its timeline.
#[derive(Debug)]
pub struct TimelineQuery(pub TimelinePage);

impl TimelineQuery {
    /// The query of the next page; `None` on the last one.
    pub fn next<A>(&self, timeline: &Timeline<A>) -> Option<String> {
        let after = timeline.next.as_ref()?.to_string();
        let TimelinePage { filter, page, limit, .. } = &self.0;
        let pairs = [
            (param::CAMPAIGN_ID, filter.to_string()),
            (param::PAGE.param, page.saturating_add(1).min(MAX_PAGE).to_string()),
            (param::ACTIVITY_LIMIT.param, limit.to_string()),
            (param::AFTER, after),
        ];
        // None of these values has a character that a query would have to encode.
        Some(pairs.map(|(param, value)| format!("{}={value}", param.name)).join("&"))
    }
}

impl FromQuery for TimelineQuery {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self(TimelinePage {
            filter: query.read(errors, &param::CAMPAIGN_ID, str::parse).unwrap_or_default(),
            page: query.integer(errors, &param::PAGE),
            limit: query.integer(errors, &param::ACTIVITY_LIMIT),
            after: query.read(errors, &param::AFTER, str::parse),
        })
    }
}

impl FromQuery for ContactFilter {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self {
            import_id: query.read(errors, &param::IMPORT_ID, str::parse::<ImportId>),
            email: query.read(errors, &param::EMAIL, |text| restore_plus(text).parse::<Email>()),
            company: query.read(errors, &param::COMPANY, str::parse::<CompanyKey>),
            created_after: query.time(errors, &param::CREATED_AFTER),
            updated_after: query.time(errors, &param::UPDATED_AFTER),
        }
    }
}
