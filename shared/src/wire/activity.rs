//! Activities: request bodies, and the view in responses.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
#[cfg(feature = "openapi")]
use utoipa::openapi::{
    RefOr, Schema, Type,
    schema::{Array, ObjectBuilder, OneOfBuilder, SchemaType},
};

use super::body::{BODY, FromBody, ObjectBody, body_elements, body_object};
#[cfg(feature = "openapi")]
use super::fields::Component;
use super::fields::{FieldValue, Fields, FromFields, Input, Purpose};
use super::view::Resource;
use crate::domain::activity::{DELIVERY_FLAGS, FALLBACK_CHANNEL, MAX_BATCH, MAX_BYTES, TOO_LARGE, content_len};
use crate::domain::text::Line;
use crate::domain::{
    Activity, ActivityDetails, ActivityPatch, Direction, InvalidValue, Json, JsonObject, NewActivity, PathSegment,
    ValidationErrors, time,
};

impl FromFields for NewActivity {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let id = fields
            .optional("id", "Sender's id; generated if not sent. With `event_time` it identifies the activity: a repeat changes nothing.");
        let campaign_id = fields.optional("campaign_id", "Campaign that the activity belongs to.");
        let event_time =
            fields.example("2024-04-18T10:15:00Z").required("event_time", "Time of the event, with its offset.");
        let channel = fields.example("linkedin").optional("channel", "Communication channel.");
        let event_type = fields.example("message_sent").required("event_type", "Type of the event.");
        let direction = fields.optional("direction", "`outbound` or `inbound`.");
        let sdr_agent_id = fields.example("usr_abc").optional("sdr_agent_id", "Agent that acted.");
        let event_text =
            fields.optional("event_text", "Content: an object or an array.").into_value().map(|EventText(text)| text);
        let metadata: JsonObject = fields
            .optional("metadata", "Delivery flags and the sender's own members.")
            .into_value()
            .unwrap_or_default();
        if content_len(event_text.as_ref(), &metadata) > MAX_BYTES {
            fields.add("metadata", TOO_LARGE);
        }
        let event_time = event_time?;
        let details = ActivityDetails {
            campaign_id: campaign_id.into_value(),
            channel: channel.into_value(),
            event_type: event_type?,
            direction: direction.into_value(),
            sdr_agent_id: sdr_agent_id.into_value(),
        };
        Some(Self { id: id.into_value(), event_time, details, event_text, metadata: metadata.without_nulls() })
    }
}

impl ObjectBody for NewActivity {
    const SCHEMA: &'static str = "NewActivity";
    const PURPOSE: Purpose = Purpose::Create;
}

/// The content of an activity: a JSON object or array.
struct EventText(Json);

impl FieldValue for EventText {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        const EXPECTED: &str = "a JSON object or array";
        match Json::parse(&input.json(EXPECTED)?)? {
            text @ (Json::Object(_) | Json::Array(_)) => Ok(Self(text)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                Err(InvalidValue::WrongType { expected: EXPECTED })
            }
        }
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        event_text().into()
    }
}

/// Activities to record: one object, or an array of 1 to 50.
#[derive(Debug)]
pub struct NewActivities(pub Vec<NewActivity>);

impl FromBody for NewActivities {
    fn from_body(body: &RawValue) -> Result<Self, ValidationErrors> {
        if !body.get().starts_with('[') {
            return Ok(Self(vec![body_object(body, NewActivity::PURPOSE)?]));
        }
        let elements = body_elements(body)?;
        if !(1..=MAX_BATCH).contains(&elements.len()) {
            let wrong = InvalidValue::WrongCount { min: 1, max: MAX_BATCH, elements: "activities" };
            return Err(ValidationErrors::one(BODY, wrong));
        }
        let mut errors = ValidationErrors::default();
        let mut activities = Vec::with_capacity(elements.len());
        for (index, element) in elements.into_iter().enumerate() {
            match body_object(element, NewActivity::PURPOSE) {
                Ok(activity) => activities.push(activity),
                Err(nested) => errors.nest(PathSegment::Activity(index + 1), nested),
            }
        }
        errors.finish(Some(Self(activities)))
    }
}

impl FromFields for ActivityPatch {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let metadata = fields.required("metadata", "Merged into the stored metadata (RFC 7396).");
        let event_time = fields.optional("event_time", "Time of the event: finds the activity without a search.");
        Some(Self { metadata: metadata?, event_time: event_time.into_value() })
    }
}

impl ObjectBody for ActivityPatch {
    const SCHEMA: &'static str = "ActivityUpdate";
    const PURPOSE: Purpose = Purpose::Create;
}

/// An activity.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Activity))]
pub struct ActivityView<'a> {
    #[cfg_attr(feature = "openapi", schema(examples("act_123")))]
    id: &'a str,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-04-18T10:15:00Z")))]
    event_time: String,
    /// `email`, `linkedin`, or `sistema` if no channel was sent.
    #[cfg_attr(feature = "openapi", schema(examples("linkedin")))]
    channel: &'a str,
    #[cfg_attr(feature = "openapi", schema(examples("message_sent")))]
    event_type: &'a str,
    #[cfg_attr(feature = "openapi", schema(inline))]
    direction: Direction,
    /// Agent that acted; left out if none was sent.
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false, examples("usr_abc")))]
    #[serde(skip_serializing_if = "Option::is_none")]
    sdr_agent_id: Option<&'a str>,
    /// Content: an object or an array.
    #[cfg_attr(feature = "openapi", schema(schema_with = event_text_or_null, required))]
    event_text: Option<&'a Json>,
    /// Delivery flags, then the other members.
    #[cfg_attr(feature = "openapi", schema(value_type = JsonObject, inline))]
    metadata: ActivityMetadata<'a>,
    /// `SDR` for outbound, `Humano` for inbound.
    #[cfg_attr(feature = "openapi", schema(examples("SDR")))]
    actor: &'static str,
}

impl<'a> ActivityView<'a> {
    /// The view of an activity.
    pub(super) fn of(activity: &'a Activity) -> Self {
        let direction = activity.details.direction.unwrap_or(Direction::Outbound);
        Self {
            id: activity.id.as_str(),
            event_time: time::to_exact(activity.event_time),
            channel: activity.details.channel.as_ref().map_or(FALLBACK_CHANNEL, |channel| channel.as_str()),
            event_type: activity.details.event_type.as_str(),
            direction,
            sdr_agent_id: activity.details.sdr_agent_id.as_ref().map(Line::as_str),
            event_text: activity.event_text.as_ref(),
            metadata: ActivityMetadata(&activity.metadata),
            actor: direction.actor(),
        }
    }
}

/// Two schemas rather than one with two types: an array has `items`, without which generators of clients drop the type.
#[cfg(feature = "openapi")]
fn event_text() -> OneOfBuilder {
    let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
    let schema = OneOfBuilder::new().item(<JsonObject as utoipa::PartialSchema>::schema()).item(Array::new(any));
    schema.examples([serde_json::json!({"message": "Hablemos mañana"})])
}

#[cfg(feature = "openapi")]
fn event_text_or_null() -> Schema {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    event_text().item(null).description(Some("Content: an object or an array.")).into()
}

/// The metadata: the delivery flags in their documented order, `false` unless stored otherwise, then the other members.
#[derive(Debug)]
struct ActivityMetadata<'a>(&'a JsonObject);

impl Serialize for ActivityMetadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const UNSET: &Json = &Json::Bool(false);
        let flags = DELIVERY_FLAGS.iter().map(|flag| (*flag, self.0.get(flag).unwrap_or(UNSET)));
        let others = self.0.members().filter(|(key, _)| !DELIVERY_FLAGS.contains(key));
        serializer.collect_map(flags.chain(others))
    }
}

impl Resource for Activity {
    fn view(&self) -> impl Serialize {
        ActivityView::of(self)
    }
}

/// The activities of one request, in the order in which they were sent.
impl Resource for [Activity] {
    fn view(&self) -> impl Serialize {
        self.iter().map(ActivityView::of).collect::<Vec<_>>()
    }
}
