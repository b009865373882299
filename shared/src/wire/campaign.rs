//! Campaigns: request bodies and queries, and the view in responses.

use serde::Serialize;

use super::body::ObjectBody;
use super::fields::{Fields, FromFields, Purpose};
use super::param;
use super::query::{FromQuery, Query};
use super::view::Resource;
use crate::domain::ids::parse_uuid;
use crate::domain::{
    Availability, Campaign, CampaignDetails, CampaignFilter, CampaignId, CampaignPatch, InvalidValue, LeadMagnet,
    LeadMagnetId, OrgId, ValidationErrors, time,
};

impl FromFields for CampaignPatch {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            name: fields.required("name", "Title."),
            description: fields.optional_text("description", "Description."),
            status: fields.defaulted("status", "State; a new campaign is a `draft` unless sent."),
            service_id: fields.optional("service_id", "Service that the campaign sells."),
            icp_profile_id: fields.optional("icp_profile_id", "Ideal customer profile."),
            target_meeting_type: fields
                .optional_text("target_meeting_type", "Kind of meeting that the campaign aims at."),
            review_required_default: fields.defaulted(
                "review_required_default",
                "Review of messages before they are sent; `human_review` unless sent.",
            ),
            seller_name: fields.optional_text("seller_name", "Name that signs the messages."),
            provider_account_id: fields.optional("provider_account_id", "Accounts that the campaign is sent from."),
            publish_posts: fields
                .defaulted("publish_posts", "Whether the campaign publishes posts; `true` unless sent."),
            availability_data: fields.object("availability_data", "Working hours for meetings."),
            lead_magnet: fields.object("lead_magnet", "Resource that the campaign offers its leads."),
        })
    }
}

impl ObjectBody for CampaignPatch {
    const SCHEMA: &'static str = "CampaignUpdate";
    const PURPOSE: Purpose = Purpose::Update;
}

/// A campaign to create, with its lead magnet.
#[derive(Debug)]
pub struct NewCampaign {
    /// The fields that the client sent.
    pub details: CampaignDetails,
    /// The lead magnet.
    pub lead_magnet: Option<LeadMagnet>,
}

impl FromFields for NewCampaign {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let patch = CampaignPatch::read(fields)?;
        Some(Self { details: CampaignDetails::new(&patch)?, lead_magnet: patch.lead_magnet.into_value() })
    }
}

impl ObjectBody for NewCampaign {
    const SCHEMA: &'static str = "NewCampaign";
    const PURPOSE: Purpose = Purpose::Create;
}

impl FromFields for Availability {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let start_working = fields.example("09:00").required("start_working", "Start, `HH:MM`.");
        let end_working = fields.example("18:00").required("end_working", "End, `HH:MM`, after `start_working`.");
        if let (Some(start), Some(end)) = (&start_working, &end_working)
            && end <= start
        {
            fields.add("end_working", InvalidValue::Rule("must be after start_working"));
        }
        let weekend_work =
            fields.defaulted("weekend_work", "Whether Saturdays and Sundays count; `false` unless sent.");
        let calendar_id = fields.optional("calendar_id", "Calendar of the meetings.");
        Some(Self {
            start_working: start_working?,
            end_working: end_working?,
            weekend_work: weekend_work.unwrap_or(false),
            calendar_id: calendar_id.into_value(),
        })
    }
}

impl ObjectBody for Availability {
    const SCHEMA: &'static str = "NewAvailability";
    const PURPOSE: Purpose = Purpose::Create;
}

impl FromFields for LeadMagnet {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", "Title.");
        let description = fields.optional_text("description", "Description.");
        let url = fields.required("url", "URL of the resource.");
        let content_type = fields.optional("content_type", "Type of the resource.");
        Some(Self {
            name: name?,
            description: description.into_value(),
            url: url?,
            content_type: content_type.into_value(),
        })
    }
}

impl ObjectBody for LeadMagnet {
    const SCHEMA: &'static str = "LeadMagnet";
    const PURPOSE: Purpose = Purpose::Create;
}

/// A campaign.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Campaign))]
pub struct CampaignView<'a> {
    #[cfg_attr(feature = "openapi", schema(inline))]
    id: CampaignId,
    #[cfg_attr(feature = "openapi", schema(inline))]
    org_id: OrgId,
    #[serde(flatten)]
    details: &'a CampaignDetails,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid", required))]
    lead_magnet_id: Option<LeadMagnetId>,
    #[cfg_attr(feature = "openapi", schema(format = "date-time"))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time"))]
    updated_at: String,
}

impl Resource for Campaign {
    fn view(&self) -> impl Serialize {
        CampaignView {
            id: self.id,
            org_id: self.org_id,
            details: &self.details,
            lead_magnet_id: self.lead_magnet_id,
            created_at: time::to_seconds(self.created_at),
            updated_at: time::to_seconds(self.updated_at),
        }
    }
}

impl FromQuery for CampaignFilter {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self {
            status: query.read(errors, &param::CAMPAIGN_STATUS, str::parse),
            icp_profile_id: query.read(errors, &param::ICP_PROFILE_ID, parse_uuid),
        }
    }
}
