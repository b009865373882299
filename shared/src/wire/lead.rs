//! Leads on the wire, and the imports they are made of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::body::{FromBody, FromQuery};
use super::query::Query;
use super::view::Resource;
use crate::domain::ids::parse_uuids;
use crate::domain::json::Number;
use crate::domain::lead::phase;
use crate::domain::text::non_blank;
use crate::domain::{
    CampaignId, ContactId, Field, Id, ImportId, InvalidValue, Lead, LeadFilter, LeadId, LeadPatch, LeadStatus, Linked,
    ValidationErrors, time,
};
use crate::endpoint::param;

/// The most imports that are linked in one call.
const MAX_IMPORTS: usize = 100;

/// The body of a call that links imports.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = CampaignImports))]
pub struct ImportIdsForm {
    /// The imports whose contacts become leads.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, min_items = 1, max_items = 100))]
    #[serde(default)]
    import_ids: Field<Vec<String>>,
}

/// Imports to link, each once.
#[derive(Debug)]
pub struct ImportIds(pub BTreeSet<ImportId>);

impl FromBody for ImportIds {
    type Wire = ImportIdsForm;

    fn from_wire(form: ImportIdsForm) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let import_ids = errors.required("import_ids", form.import_ids, |ids| import_ids(&ids));
        errors.finish(import_ids.map(Self))
    }
}

fn import_ids(ids: &[String]) -> Result<BTreeSet<ImportId>, InvalidValue> {
    if ids.is_empty() || ids.len() > MAX_IMPORTS {
        return Err(InvalidValue("must hold 1 to 100 imports"));
    }
    Ok(parse_uuids(ids)?.into_iter().map(ImportId::from).collect())
}

/// What linking imports to a campaign did.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Linked))]
pub(crate) struct LinkedView {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    campaign_id: CampaignId,
    /// How many imports there were.
    linked_imports: usize,
    /// How many contacts they have, each counted once.
    considered_contacts: usize,
    /// How many of those did not become leads by this call.
    excluded_contacts: usize,
    /// How many of those did.
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

/// The body of a lead to update.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = LeadUpdate))]
pub struct LeadForm {
    /// How far the campaign has come with it.
    #[cfg_attr(feature = "openapi", schema(value_type = LeadStatus))]
    #[serde(default)]
    lead_status: Field<String>,
    /// How promising it is, on the client's own scale.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
    #[serde(default)]
    lead_score: Field<Number>,
    /// Where it stands, in the client's own words.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 100))]
    #[serde(default)]
    lead_phase: Field<String>,
}

impl FromBody for LeadPatch {
    type Wire = LeadForm;

    fn from_wire(form: LeadForm) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let patch = Self {
            lead_status: errors.not_null("lead_status", form.lead_status, |text| LeadStatus::parse(&text)),
            lead_score: errors.patch("lead_score", form.lead_score, |score| Ok(Some(score))),
            lead_phase: errors.patch("lead_phase", form.lead_phase, |text| non_blank(&text, phase)),
        };
        errors.finish(Some(patch))
    }
}

/// A lead, as it is shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Lead))]
pub struct LeadView<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    id: LeadId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    campaign_id: CampaignId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    contact_id: ContactId,
    lead_status: LeadStatus,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>, required))]
    lead_score: Option<&'a Number>,
    #[cfg_attr(feature = "openapi", schema(required))]
    lead_phase: Option<&'a str>,
    /// Always: a lead is made of a contact.
    is_contact: bool,
    /// The step of the campaign it is at, once a sender has stored one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid", required))]
    current_lead_step_id: Option<Uuid>,
    #[cfg_attr(feature = "openapi", schema(format = "date-time"))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time"))]
    updated_at: String,
}

impl<'a> LeadView<'a> {
    /// What is shown of a lead.
    fn of(lead: &'a Lead) -> Self {
        Self {
            id: lead.id(),
            campaign_id: lead.place.campaign_id,
            contact_id: lead.place.contact_id,
            lead_status: lead.lead_status,
            lead_score: lead.lead_score.as_ref(),
            lead_phase: lead.lead_phase.as_deref(),
            is_contact: true,
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
            campaign_id: query.read(errors, &param::OF_CAMPAIGN, CampaignId::parse),
            status: query.read(errors, &param::STATUS, LeadStatus::parse),
            contact_id: query.read(errors, &param::OF_CONTACT, ContactId::parse),
        }
    }
}
