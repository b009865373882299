//! Activities on the wire.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::body::{FromBody, elements, wire};
use super::view::Resource;
use crate::domain::activity::{DELIVERY_FLAGS, FALLBACK_CHANNEL, MAX_BATCH, MAX_BYTES, content_len};
use crate::domain::{
    Activity, ActivityId, ActivityPatch, CampaignId, Direction, Field, Id, InvalidValue, Json, JsonObject, NewActivity,
    ValidationErrors, text, time,
};

/// The body of an activity to record.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = NewActivity))]
pub struct ActivityForm {
    /// The sender's id; one is made where there is none. With `event_time` it tells a repeat from another activity.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_.:-]{1,128}$", examples("act_123")))]
    id: Field<String>,
    /// The campaign it belongs to.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid"))]
    campaign_id: Field<String>,
    /// When it happened, with its offset.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required, format = "date-time", examples("2024-04-18T10:15:00Z")))]
    event_time: Field<String>,
    /// Communication channel.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, examples("linkedin"), max_length = 100))]
    channel: Field<String>,
    /// Type of event.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required, examples("message_sent"), max_length = 100))]
    event_type: Field<String>,
    /// `outbound` or `inbound`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<Direction>))]
    direction: Field<String>,
    /// The agent that acted.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, examples("usr_abc"), max_length = 200))]
    sdr_agent_id: Field<String>,
    /// What was said: an object or an array.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    event_text: Field<Box<RawValue>>,
    /// Delivery flags and whatever else the sender keeps.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    metadata: Field<Box<RawValue>>,
}

/// One activity, or up to 50 of them.
#[derive(Debug)]
pub struct NewActivities(pub Vec<NewActivity>);

impl FromBody for NewActivities {
    type Wire = ActivityForm;

    fn from_wire(form: ActivityForm) -> Result<Self, ValidationErrors> {
        Ok(Self(vec![activity(form)?]))
    }

    fn from_body(body: &RawValue) -> Result<Self, ValidationErrors> {
        if !body.get().starts_with('[') {
            return Self::from_wire(wire(body)?);
        }
        let items = elements(body)?;
        if !(1..=MAX_BATCH).contains(&items.len()) {
            return Err(ValidationErrors::one("body", format_args!("must hold 1 to {MAX_BATCH} activities")));
        }
        let mut errors = ValidationErrors::default();
        let mut activities = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match wire(item).and_then(activity) {
                Ok(activity) => activities.push(activity),
                Err(faults) => errors.nest(format_args!("activity {}:", index + 1), faults),
            }
        }
        errors.finish(Some(Self(activities)))
    }
}

fn activity(form: ActivityForm) -> Result<NewActivity, ValidationErrors> {
    let mut errors = ValidationErrors::default();
    let id = errors.optional("id", form.id, |text| ActivityId::parse(&text));
    let campaign_id = errors.optional("campaign_id", form.campaign_id, |text| CampaignId::parse(&text));
    let event_time = errors.required("event_time", form.event_time, |text| time::parse_to_millis(&text));
    let channel = errors.optional("channel", form.channel, |text| word(&text));
    let event_type = errors.required("event_type", form.event_type, |text| word(&text));
    let direction = errors.optional("direction", form.direction, |text| Direction::parse(&text));
    let sdr_agent_id =
        errors.optional("sdr_agent_id", form.sdr_agent_id, |id| text::line(&id, 200, "must be at most 200 characters"));
    let event_text = errors.optional("event_text", form.event_text, |raw| Json::parse(&raw).and_then(object_or_array));
    let metadata = errors.optional("metadata", form.metadata, |raw| JsonObject::parse(&raw)).unwrap_or_default();
    if content_len(event_text.as_ref(), &metadata) > MAX_BYTES {
        errors.add("metadata", "and event_text must be at most 20 KiB together");
    }
    errors.finish(event_time.zip(event_type).map(|(event_time, event_type)| NewActivity {
        id,
        campaign_id,
        event_time,
        channel,
        event_type,
        direction,
        sdr_agent_id,
        event_text,
        metadata: metadata.without_nulls(),
    }))
}

fn word(text: &str) -> Result<String, InvalidValue> {
    text::line(text, 100, "must be at most 100 characters")
}

fn object_or_array(json: Json) -> Result<Json, InvalidValue> {
    match json {
        Json::Object(_) | Json::Array(_) => Ok(json),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            Err(InvalidValue("must be a JSON object or array"))
        }
    }
}

/// The body of what is learned of an activity later.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ActivityUpdate))]
pub struct ActivityPatchForm {
    /// Merged into the stored metadata (RFC 7396).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object, required))]
    metadata: Field<Box<RawValue>>,
    /// When the activity was: finds it directly.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "date-time"))]
    event_time: Field<String>,
}

impl FromBody for ActivityPatch {
    type Wire = ActivityPatchForm;

    fn from_wire(form: ActivityPatchForm) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let metadata = errors.required("metadata", form.metadata, |raw| JsonObject::parse(&raw));
        let event_time = errors.optional("event_time", form.event_time, |text| time::parse_to_millis(&text));
        errors.finish(metadata.map(|metadata| Self { metadata, event_time }))
    }
}

/// An activity, as the timeline shows it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Activity))]
pub struct ActivityView<'a> {
    #[cfg_attr(feature = "openapi", schema(examples("act_123")))]
    id: &'a str,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-04-18T10:15:00Z")))]
    event_time: String,
    /// `email`, `linkedin`, or `sistema` where none was stored.
    #[cfg_attr(feature = "openapi", schema(examples("linkedin")))]
    channel: &'a str,
    #[cfg_attr(feature = "openapi", schema(examples("message_sent")))]
    event_type: &'a str,
    #[cfg_attr(feature = "openapi", schema(inline))]
    direction: Direction,
    /// The agent that sent it, if one did.
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false, examples("usr_abc")))]
    #[serde(skip_serializing_if = "Option::is_none")]
    sdr_agent_id: Option<&'a str>,
    /// What it said: an object or an array.
    #[cfg_attr(feature = "openapi", schema(schema_with = event_text, required))]
    event_text: Option<&'a Json>,
    /// The delivery flags, and whatever else was stored.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    metadata: ActivityMetadata<'a>,
    /// `SDR` for outbound, `Humano` for inbound.
    #[cfg_attr(feature = "openapi", schema(examples("SDR")))]
    actor: &'static str,
}

impl<'a> ActivityView<'a> {
    /// What is shown of an activity.
    pub(super) fn of(activity: &'a Activity) -> Self {
        let direction = activity.direction.unwrap_or(Direction::Outbound);
        Self {
            id: activity.id.as_str(),
            event_time: time::to_exact(activity.event_time),
            channel: activity.channel.as_deref().unwrap_or(FALLBACK_CHANNEL),
            event_type: &activity.event_type,
            direction,
            sdr_agent_id: activity.sdr_agent_id.as_deref(),
            event_text: activity.event_text.as_ref(),
            metadata: ActivityMetadata(&activity.metadata),
            actor: direction.actor(),
        }
    }
}

#[cfg(feature = "openapi")]
fn event_text() -> utoipa::openapi::Schema {
    use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
    let schema = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Object, Type::Array, Type::Null]));
    let schema = schema.description(Some("What it said: an object or an array."));
    schema.examples([serde_json::json!({"message": "Hablemos mañana"})]).build().into()
}

/// The delivery flags in their documented order, `false` unless stored otherwise, before whatever else was stored.
#[derive(Debug)]
struct ActivityMetadata<'a>(&'a JsonObject);

impl Serialize for ActivityMetadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        static UNSET: Json = Json::Bool(false);
        let flags = DELIVERY_FLAGS.iter().map(|flag| (*flag, self.0.get(flag).unwrap_or(&UNSET)));
        let others = self.0.members().filter(|(key, _)| !DELIVERY_FLAGS.contains(key));
        serializer.collect_map(flags.chain(others))
    }
}

impl Resource for Activity {
    fn view(&self) -> impl Serialize {
        ActivityView::of(self)
    }
}

/// Activities in the order in which they were sent.
impl Resource for [Activity] {
    fn view(&self) -> impl Serialize {
        self.iter().map(ActivityView::of).collect::<Vec<_>>()
    }
}
