//! One operation per endpoint.

use utoipa::openapi::path::{Operation, OperationBuilder};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{Array, KnownFormat, ObjectBuilder, OneOf, Schema, SchemaFormat};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required};

use super::{API_KEY, BEARER, REQUEST_ID, example, parameter, response, string};
use crate::domain::json::JSON_OBJECT;
use crate::domain::{InvalidValue, Kind, ids};
use crate::endpoint::{BodySpec, Conflict, Endpoint, Header, Media, Repeat, Shape, Spec};
use crate::http::ApiError;
use crate::repositories::idempotency::LOCK_LIFETIME;
use crate::wire::BODY;
use crate::wire::param::REPEATED;

const NO_SCOPES: [&str; 0] = [];

pub(super) fn of(endpoint: Endpoint) -> Operation {
    let spec = endpoint.spec();
    let mut operation = OperationBuilder::new()
        .operation_id(Some(endpoint.operation_id()))
        .summary(Some(spec.summary))
        .description(Some(format!("{}\n\nRequires the scope `{}`.", spec.description, spec.scope.as_str())))
        .tag(spec.resource())
        // The scope is in the description: only requirements of OAuth 2 may list scopes.
        .securities(Some([API_KEY, BEARER].map(|scheme| SecurityRequirement::new(scheme, NO_SCOPES))))
        .parameters(Some(spec.path_ids().map(|name| parameter::in_path(name, example::path_value(endpoint, name)))))
        .parameters(Some(spec.query.iter().map(parameter::in_query)))
        .parameters(Some(spec.headers.iter().map(|header| parameter::in_header(*header))))
        .parameter_ref(Ref::new(format!("#/components/parameters/{REQUEST_ID}")))
        .request_body(spec.body.as_ref().map(|body| request_body(endpoint, body)));
    for error in errors(spec) {
        let (status, response) = response::error(endpoint, &error);
        operation = operation.response(status.to_string(), response);
    }
    if spec.headers.contains(&Header::IfNoneMatch) {
        operation = operation.response("304", response::not_modified());
    }
    for status in [spec.success.status].iter().chain(spec.success.also) {
        operation = operation.response(status.to_string(), response::success(endpoint, *status));
    }
    operation.build()
}

fn request_body(endpoint: Endpoint, body: &BodySpec) -> RequestBody {
    let mut described = RequestBodyBuilder::new()
        .description(Some(format!("At most {} bytes", body.limit)))
        .required(Some(Required::True));
    for media in body.media {
        let schema = match media {
            Media::Json => json(body),
            // A form with one file in it.
            Media::Multipart => ObjectBuilder::new().property("file", file()).required("file").into(),
            Media::Csv => string().into(),
        };
        let example = if *media == Media::Json { Some(example::request(endpoint)) } else { None };
        let content = ContentBuilder::new().schema(Some(schema)).example(example);
        described = described.content(media.as_str(), content.build());
    }
    described.build()
}

fn file() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).description(Some("A CSV file with a header"))
}

fn json(body: &BodySpec) -> RefOr<Schema> {
    let object = Ref::from_schema_name((body.describe)().name);
    let array =
        |min: usize, max: usize| Array::builder().items(object.clone()).min_items(Some(min)).max_items(Some(max));
    match body.shape {
        Shape::Object => object.into(),
        Shape::Array { min, max } => array(min, max).into(),
        Shape::ObjectOrArray { max } => {
            let either = OneOf::builder().item(object.clone()).item(array(1, max)).build();
            RefOr::T(Schema::OneOf(either))
        }
    }
}

/// Every way in which an endpoint can refuse a request, each with example values. Of two with one status the last is shown.
fn errors(spec: &Spec) -> Vec<ApiError> {
    let mut errors = vec![
        ApiError::Unauthorized,
        ApiError::TooManyRequests { seconds: 1 },
        ApiError::Forbidden,
        ApiError::Internal(String::new()),
        ApiError::Unavailable,
        invalid(spec),
    ];
    if spec.requires_import() {
        errors.push(ApiError::NotFound(Kind::Import));
    }
    errors.extend(spec.path_ids().filter_map(Kind::of_path_id).map(ApiError::NotFound));
    if spec.headers.contains(&Header::IfMatch) {
        errors.push(ApiError::PreconditionFailed);
    }
    if let Some(repeat) = spec.repeat() {
        errors.push(ApiError::KeyReused);
        match repeat {
            Repeat::Replayed => {}
            Repeat::Run => errors.push(ApiError::InProgress { seconds: LOCK_LIFETIME.num_seconds() }),
            Repeat::Refused(kind) => errors.push(ApiError::AlreadyCreated(kind)),
        }
    }
    if let Some(body) = spec.body {
        errors.push(ApiError::BodyTooLarge { limit: body.limit });
        errors.push(ApiError::UnsupportedMediaType { supported: body.media });
    }
    errors.extend(spec.conflicts.iter().map(|conflict| match conflict {
        Conflict::EmailTaken => ApiError::EmailTaken("john.doe@example.com".to_owned()),
        Conflict::TooManyActiveCampaigns => ApiError::TooManyActiveCampaigns,
        Conflict::LastAdminKey => ApiError::LastAdminKey,
    }));
    errors
}

/// An example of a request that this endpoint refuses as invalid.
fn invalid(spec: &Spec) -> ApiError {
    if let Some(missing) = spec.body.and_then(|body| (body.describe)().missing) {
        ApiError::Invalid(missing)
    } else if let Some(id) = spec.path_ids().next() {
        ApiError::invalid(id, ids::INVALID_UUID)
    } else if let Some(param) = spec.query.first() {
        ApiError::invalid(param.name, REPEATED)
    } else {
        ApiError::invalid(BODY, InvalidValue::WrongType { expected: JSON_OBJECT })
    }
}
