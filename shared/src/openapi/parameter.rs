//! The parameters of an operation: in its path, its query and its headers.

use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{Ref, RefOr, Required};

use super::{REQUEST_ID, date_time, string, uuid};
use crate::domain::{ActivityId, TextValue};
use crate::endpoint::{ACTIVITY_ID, Header, MAX_IDEMPOTENCY_KEY, MAX_REQUEST_ID, Repeat};
use crate::repositories::idempotency::RECORD_LIFETIME;
use crate::wire::param::{IntegerRange, Param, ParamKind};

/// A UUID in hyphenated form.
const UUID: &str = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$";

pub(super) fn in_path(name: &str, example: Option<Value>) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    let schema = if name == ACTIVITY_ID { ActivityId::text_schema() } else { uuid().into() };
    parameter.schema(Some(schema)).example(example).build()
}

pub(super) fn in_query(param: &Param) -> Parameter {
    let schema: RefOr<Schema> = match param.kind {
        ParamKind::Text => string().into(),
        ParamKind::Email => string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Email))).into(),
        ParamKind::Choice(choice) => Ref::from_schema_name(choice.name).into(),
        ParamKind::Uuid => uuid().into(),
        ParamKind::Time => date_time().into(),
        ParamKind::Boolean => ObjectBuilder::new().schema_type(Type::Boolean).default(Some(Value::from(false))).into(),
        ParamKind::Integer(IntegerRange { min, max, default }) => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(min))
            .maximum(Some(max))
            .default(default.map(Value::from))
            .into(),
    };
    let parameter = ParameterBuilder::new().name(param.name).parameter_in(ParameterIn::Query).schema(Some(schema));
    parameter.required(Required::False).description(Some(param.description)).build()
}

pub(super) fn in_header(header: Header) -> Parameter {
    let idempotency_description;
    let (description, schema) = match header {
        // Not of the format `uuid`: some generated clients would send an object of their UUID type, which is no header.
        Header::ImportId => ("Import that the contacts are linked to", string().pattern(Some(UUID))),
        Header::IdempotencyKey(repeat) => {
            idempotency_description = idempotency(repeat);
            (&*idempotency_description, visible_ascii(MAX_IDEMPOTENCY_KEY))
        }
        Header::IfMatch => ("`ETag` of the version that may be changed, a list of them, or `*`", string()),
        Header::IfNoneMatch => ("`ETag` of the response that the client has, a list of them, or `*`", string()),
    };
    optional_header(header.name(), description, schema)
}

pub(super) fn request_id() -> Parameter {
    optional_header(REQUEST_ID, "Id of the request, by which its log line is found", visible_ascii(MAX_REQUEST_ID))
}

fn idempotency(repeat: Repeat) -> String {
    let safe_to_repeat = |response: &str| {
        let hours = RECORD_LIFETIME.num_hours();
        format!(
            "Makes the request safe to repeat: for {hours} hours, repeats with the same key have no further effect and \
             get {response}"
        )
    };
    match repeat {
        Repeat::Replayed => safe_to_repeat("the same response"),
        Repeat::Run => {
            "Keeps the request from running twice at once: a repeat with the same key gets 409 while the request is in \
             progress. After that the repeat runs again, which is harmless"
                .to_owned()
        }
        Repeat::Refused(_) => safe_to_repeat("409"),
    }
}

fn optional_header(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
    parameter.description(Some(description)).schema(Some(schema)).build()
}

fn visible_ascii(max: usize) -> ObjectBuilder {
    string().min_length(Some(1)).max_length(Some(max)).pattern(Some("^[!-~]+$"))
}
