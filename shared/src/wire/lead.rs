//! Leads: request bodies and queries, and the views in responses.

use std::collections::BTreeSet;

use serde::Serialize;
#[cfg(feature = "openapi")]
use utoipa::openapi::{KnownFormat, RefOr, Schema, schema::Array};
use uuid::Uuid;

use super::body::ObjectBody;
#[cfg(feature = "openapi")]
use super::fields::Component;
use super::fields::{FieldValue, Fields, FromFields, Input, Purpose};
use super::param;
use super::query::{FromQuery, Query};
use super::values::ARRAY_OF_STRINGS;
#[cfg(feature = "openapi")]
use super::values::string;
use super::view::Resource;
use crate::domain::ids::parse_uuids;
use crate::domain::json::Number;
use crate::domain::text::Line;
use crate::domain::{
    CampaignId, ContactId, ImportId, InvalidValue, Lead, LeadFilter, LeadId, LeadPatch, LeadStatus, Linked,
    ValidationErrors, time,
};

/// The body of a request that links imports to a campaign: 1 to 100 imports, without repeats.
#[derive(Debug)]
pub struct ImportIds(pub BTreeSet<ImportId>);

impl ImportIds {
    /// The most imports of one request.
    const MAX: usize = 100;
}

impl FieldValue for ImportIds {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        let ids: Vec<String> = input.deserialize(ARRAY_OF_STRINGS)?;
        if !(1..=Self::MAX).contains(&ids.len()) {
            return Err(InvalidValue::WrongCount { min: 1, max: Self::MAX, elements: "imports" });
        }
        Ok(Self(parse_uuids(&ids)?.into_iter().map(ImportId::from).collect()))
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        let id = string(KnownFormat::Uuid);
        Array::builder().items(id).min_items(Some(1)).max_items(Some(Self::MAX)).into()
    }
}

impl FromFields for ImportIds {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.required("import_ids", "Imports whose contacts become leads.")
    }
}

impl ObjectBody for ImportIds {
    const SCHEMA: &'static str = "CampaignImports";
    const PURPOSE: Purpose = Purpose::Create;
}

/// The result of linking imports to a campaign.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Linked))]
pub(crate) struct LinkedView {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    campaign_id: CampaignId,
    /// Number of linked imports.
    linked_imports: usize,
    /// Number of their contacts, each counted once.
    considered_contacts: usize,
    /// Number of those that did not become leads by this call.
    excluded_contacts: usize,
    /// Number of those that became leads by this call.
    inserted_leads: usize,
}

impl Resource for Linked {
    fn view(&self) -> impl Serialize {
        LinkedView {
            campaign_id: self.campaign_id,
            linked_imports: self.imports,
            considered_contacts: self.contacts,
            excluded_contacts: self.excluded(),
            inserted_leads: self.inserted,
        }
    }
}

impl FromFields for LeadPatch {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            lead_status: fields.defaulted("lead_status", "Progress of the campaign with this lead."),
            lead_score: fields.optional("lead_score", "Score, on the client's own scale."),
            lead_phase: fields.optional_text("lead_phase", "Phase, in the client's own words."),
        })
    }
}

impl ObjectBody for LeadPatch {
    const SCHEMA: &'static str = "LeadUpdate";
    const PURPOSE: Purpose = Purpose::Update;
}

/// A lead.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Lead))]
pub struct LeadView<'a> {
    #[cfg_attr(feature = "openapi", schema(inline))]
    id: LeadId,
    #[cfg_attr(feature = "openapi", schema(inline))]
    campaign_id: CampaignId,
    #[cfg_attr(feature = "openapi", schema(inline))]
    contact_id: ContactId,
    lead_status: LeadStatus,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>, required))]
    lead_score: Option<&'a Number>,
    #[cfg_attr(feature = "openapi", schema(required))]
    lead_phase: Option<&'a str>,
    /// No part of this API sets it: always `null`, as on the platform.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>, required))]
    is_contact: Option<()>,
    /// Campaign step of the lead. No part of this API sets it: always `null`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid", required))]
    current_lead_step_id: Option<Uuid>,
    #[cfg_attr(feature = "openapi", schema(format = "date-time"))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time"))]
    updated_at: String,
}

impl<'a> LeadView<'a> {
    /// The view of a lead.
    fn of(lead: &'a Lead) -> Self {
        Self {
            id: lead.id(),
            campaign_id: lead.key.campaign_id,
            contact_id: lead.key.contact_id,
            lead_status: lead.details.lead_status,
            lead_score: lead.lead_score.as_ref(),
            lead_phase: lead.details.lead_phase.as_ref().map(Line::as_str),
            is_contact: None,
            current_lead_step_id: lead.current_lead_step_id,
            created_at: time::to_seconds(lead.created_at),
            updated_at: time::to_seconds(lead.updated_at),
        }
    }
}

impl Resource for Lead {
    fn view(&self) -> impl Serialize {
        LeadView::of(self)
    }
}

impl FromQuery for LeadFilter {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self {
            campaign_id: query.read(errors, &param::OF_CAMPAIGN, str::parse),
            status: query.read(errors, &param::LEAD_STATUS, str::parse),
            contact_id: query.read(errors, &param::OF_CONTACT, str::parse),
        }
    }
}
