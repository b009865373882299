//! Campaigns on the wire.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::body::{FromBody, FromQuery, wire};
use super::query::Query;
use super::view::Resource;
use crate::domain::campaign::{description, title, web_address};
use crate::domain::ids::{parse_uuid, parse_uuids};
use crate::domain::text::{line, non_blank};
use crate::domain::{
    Availability, Campaign, CampaignFilter, CampaignId, CampaignPatch, CampaignSettings, CampaignStatus, Field,
    InvalidValue, LeadMagnet, LeadMagnetId, LeadMagnetType, OrgId, Patch, Review, TimeOfDay, ValidationErrors, time,
};
use crate::endpoint::param;

/// The body of a campaign to create or to update.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = CampaignUpdate))]
pub struct CampaignForm {
    /// Title.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 200))]
    #[serde(default)]
    name: Field<String>,
    /// What it is about.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 5000))]
    #[serde(default)]
    description: Field<String>,
    /// How far it has come; a new one is a `draft`.
    #[cfg_attr(feature = "openapi", schema(value_type = CampaignStatus))]
    #[serde(default)]
    status: Field<String>,
    /// The service it sells.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid"))]
    #[serde(default)]
    service_id: Field<String>,
    /// The customers it looks for.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid"))]
    #[serde(default)]
    icp_profile_id: Field<String>,
    /// The meetings it aims at.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 200))]
    #[serde(default)]
    target_meeting_type: Field<String>,
    /// Whether a person looks at its messages; `human_review` unless sent.
    #[cfg_attr(feature = "openapi", schema(value_type = Review))]
    #[serde(default)]
    review_required_default: Field<String>,
    /// Who signs.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 200))]
    #[serde(default)]
    seller_name: Field<String>,
    /// The accounts it is sent from.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>, max_items = 100))]
    #[serde(default)]
    provider_account_id: Field<Vec<String>>,
    /// Whether it publishes posts; `true` unless sent.
    #[cfg_attr(feature = "openapi", schema(value_type = bool))]
    #[serde(default)]
    publish_posts: Field<bool>,
    /// When meetings may be.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<AvailabilityForm>))]
    #[serde(default)]
    availability_data: Field<Box<RawValue>>,
    /// What it offers a lead.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<LeadMagnetForm>))]
    #[serde(default)]
    lead_magnet: Field<Box<RawValue>>,
}

/// When a campaign's meetings may be.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Availability))]
pub struct AvailabilityForm {
    /// `HH:MM`
    #[cfg_attr(feature = "openapi", schema(value_type = String, required, examples("09:00")))]
    #[serde(default)]
    start_working: Field<String>,
    /// `HH:MM`, after `start_working`
    #[cfg_attr(feature = "openapi", schema(value_type = String, required, examples("18:00")))]
    #[serde(default)]
    end_working: Field<String>,
    /// `false` unless sent.
    #[cfg_attr(feature = "openapi", schema(value_type = bool))]
    #[serde(default)]
    weekend_work: Field<bool>,
    /// The calendar that meetings go to.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 200))]
    #[serde(default)]
    calendar_id: Field<String>,
}

/// What a campaign offers a lead.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = LeadMagnet))]
pub struct LeadMagnetForm {
    /// Title.
    #[cfg_attr(feature = "openapi", schema(value_type = String, required, max_length = 200))]
    #[serde(default)]
    name: Field<String>,
    /// What it is about.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 5000))]
    #[serde(default)]
    description: Field<String>,
    /// Where it is.
    #[cfg_attr(feature = "openapi", schema(value_type = String, required, format = "uri"))]
    #[serde(default)]
    url: Field<String>,
    /// What kind of thing it is.
    #[cfg_attr(feature = "openapi", schema(value_type = LeadMagnetType, required))]
    #[serde(default)]
    content_type: Field<String>,
}

/// A campaign to create, with what it offers its leads.
#[derive(Debug)]
pub struct NewCampaign {
    /// What the client said of it.
    pub settings: CampaignSettings,
    /// What it offers.
    pub lead_magnet: Option<LeadMagnet>,
}

impl FromBody for CampaignPatch {
    type Wire = CampaignForm;

    fn from_wire(mut form: CampaignForm) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let name = errors.not_null("name", std::mem::take(&mut form.name), |text| title(&text));
        let patch = Self { name, ..Self::beside_name(form, &mut errors) };
        errors.finish(Some(patch))
    }
}

impl FromBody for NewCampaign {
    type Wire = CampaignForm;

    /// A new campaign is the first change of an empty one; only its name has to be there.
    fn from_wire(mut form: CampaignForm) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let name = errors.required("name", std::mem::take(&mut form.name), |text| title(&text));
        form.status = form.status.or_absent();
        form.review_required_default = form.review_required_default.or_absent();
        form.publish_posts = form.publish_posts.or_absent();
        let patch = CampaignPatch::beside_name(form, &mut errors);
        errors.finish(name.map(|name| Self {
            settings: CampaignSettings {
                name,
                description: patch.description.into_set(),
                status: patch.status.unwrap_or(CampaignStatus::Draft),
                service_id: patch.service_id.into_set(),
                icp_profile_id: patch.icp_profile_id.into_set(),
                target_meeting_type: patch.target_meeting_type.into_set(),
                review_required_default: patch.review_required_default.unwrap_or(Review::HumanReview),
                seller_name: patch.seller_name.into_set(),
                provider_account_id: patch.provider_account_id.into_set().unwrap_or_default(),
                publish_posts: patch.publish_posts.unwrap_or(true),
                availability_data: patch.availability_data.into_set(),
            },
            lead_magnet: patch.lead_magnet.into_set(),
        }))
    }
}

impl CampaignPatch {
    /// Every field but the name, which creating and updating read differently; in the documented order.
    fn beside_name(form: CampaignForm, errors: &mut ValidationErrors) -> Self {
        let short = |text: &str| line(text, 200, "must be at most 200 characters");
        Self {
            name: None,
            description: errors.patch("description", form.description, |text| non_blank(&text, description)),
            status: errors.not_null("status", form.status, |text| CampaignStatus::parse(&text)),
            service_id: errors.patch("service_id", form.service_id, |text| parse_uuid(&text).map(Some)),
            icp_profile_id: errors.patch("icp_profile_id", form.icp_profile_id, |text| parse_uuid(&text).map(Some)),
            target_meeting_type: errors
                .patch("target_meeting_type", form.target_meeting_type, |text| non_blank(&text, short)),
            review_required_default: errors
                .not_null("review_required_default", form.review_required_default, |text| Review::parse(&text)),
            seller_name: errors.patch("seller_name", form.seller_name, |text| non_blank(&text, short)),
            provider_account_id: errors
                .patch("provider_account_id", form.provider_account_id, |ids| accounts(&ids).map(Some)),
            publish_posts: errors.not_null("publish_posts", form.publish_posts, Ok),
            availability_data: nested(errors, "availability_data", form.availability_data, availability),
            lead_magnet: nested(errors, "lead_magnet", form.lead_magnet, lead_magnet),
        }
    }
}

fn accounts(ids: &[String]) -> Result<Vec<Uuid>, InvalidValue> {
    if ids.len() > 100 {
        return Err(InvalidValue("must hold at most 100 accounts"));
    }
    parse_uuids(ids)
}

/// Reads an object inside the body; its faults are named after it.
fn nested<T>(
    errors: &mut ValidationErrors,
    name: &str,
    field: Field<Box<RawValue>>,
    read: impl FnOnce(&RawValue) -> Result<T, ValidationErrors>,
) -> Patch<T> {
    let Field::Sent(raw) = field else { return errors.patch(name, field, |_| Ok(None)) };
    match read(&raw) {
        Ok(value) => Patch::Set(value),
        Err(faults) => {
            errors.nest(name, faults);
            Patch::Keep
        }
    }
}

fn availability(raw: &RawValue) -> Result<Availability, ValidationErrors> {
    let form: AvailabilityForm = wire(raw).map_err(|_| ValidationErrors::fault("must be a JSON object"))?;
    let mut errors = ValidationErrors::default();
    let start_working = errors.required("start_working", form.start_working, |text| TimeOfDay::parse(&text));
    let end_working = errors.required("end_working", form.end_working, |text| TimeOfDay::parse(&text));
    if let (Some(start), Some(end)) = (&start_working, &end_working)
        && end <= start
    {
        errors.add("end_working", "must be after start_working");
    }
    let weekend_work = errors.optional("weekend_work", form.weekend_work, Ok).unwrap_or(false);
    let calendar_id =
        errors.optional("calendar_id", form.calendar_id, |text| line(&text, 200, "must be at most 200 characters"));
    let hours = start_working.zip(end_working);
    errors.finish(hours.map(|(start_working, end_working)| Availability {
        start_working,
        end_working,
        weekend_work,
        calendar_id,
    }))
}

fn lead_magnet(raw: &RawValue) -> Result<LeadMagnet, ValidationErrors> {
    let form: LeadMagnetForm = wire(raw).map_err(|_| ValidationErrors::fault("must be a JSON object"))?;
    let mut errors = ValidationErrors::default();
    let name = errors.required("name", form.name, |text| title(&text));
    let description = errors.optional("description", form.description, |text| non_blank(&text, description)).flatten();
    let url = errors.required("url", form.url, |text| web_address(&text));
    let content_type = errors.required("content_type", form.content_type, |text| LeadMagnetType::parse(&text));
    let required = name.zip(url).zip(content_type);
    errors.finish(required.map(|((name, url), content_type)| LeadMagnet { name, description, url, content_type }))
}

/// A campaign, as it is shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Campaign))]
pub struct CampaignView<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    id: CampaignId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    org_id: OrgId,
    name: &'a str,
    #[cfg_attr(feature = "openapi", schema(required))]
    description: Option<&'a str>,
    status: CampaignStatus,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid", required))]
    service_id: Option<Uuid>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid", required))]
    icp_profile_id: Option<Uuid>,
    #[cfg_attr(feature = "openapi", schema(required))]
    target_meeting_type: Option<&'a str>,
    review_required_default: Review,
    #[cfg_attr(feature = "openapi", schema(required))]
    seller_name: Option<&'a str>,
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    provider_account_id: &'a [Uuid],
    publish_posts: bool,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<AvailabilityForm>, required))]
    availability_data: Option<&'a Availability>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid", required))]
    lead_magnet_id: Option<LeadMagnetId>,
    #[cfg_attr(feature = "openapi", schema(format = "date-time"))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time"))]
    updated_at: String,
}

impl<'a> CampaignView<'a> {
    /// What is shown of a campaign.
    fn of(campaign: &'a Campaign) -> Self {
        let settings = &campaign.settings;
        Self {
            id: campaign.id,
            org_id: campaign.org_id,
            name: &settings.name,
            description: settings.description.as_deref(),
            status: settings.status,
            service_id: settings.service_id,
            icp_profile_id: settings.icp_profile_id,
            target_meeting_type: settings.target_meeting_type.as_deref(),
            review_required_default: settings.review_required_default,
            seller_name: settings.seller_name.as_deref(),
            provider_account_id: &settings.provider_account_id,
            publish_posts: settings.publish_posts,
            availability_data: settings.availability_data.as_ref(),
            lead_magnet_id: campaign.lead_magnet_id,
            created_at: time::to_seconds(campaign.created_at()),
            updated_at: time::to_seconds(campaign.updated_at),
        }
    }
}

impl Resource for Campaign {
    fn view(&self) -> impl Serialize {
        CampaignView::of(self)
    }

    fn location(&self) -> Option<String> {
        Some(format!("/campaigns/{}", self.id))
    }
}

impl FromQuery for CampaignFilter {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self {
            status: query.read(errors, &param::STATUS, CampaignStatus::parse),
            icp_profile_id: query.read(errors, &param::ICP_PROFILE_ID, parse_uuid),
        }
    }
}
