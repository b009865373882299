//! The API's description: OpenAPI 3.1, made of the route table and the wire types and committed as `openapi.json`.
//!
//! A new endpoint needs its [`Spec`] and an arm of `bodies`; statuses, parameters and headers follow from those.

use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::openapi::header::Header as ResponseHeader;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{Array, Components, KnownFormat, ObjectBuilder, OneOf, Schema, SchemaFormat, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HeaderBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder,
    Paths, Ref, RefOr, Required, Server,
};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::activity::MAX_BATCH;
use crate::domain::{
    ActivityPatch, CampaignPatch, ContactPatch, ImportPatch, InvalidValue, Kind, LeadPatch, NewActivity, NewApiKey,
    NewContact, NewImport, ValidationErrors, ids,
};
use crate::endpoint::{ACTIVITY_ID, BodySpec, Endpoint, Header, Media, Method, Param, ParamKind, Repeat, Spec};
use crate::http::{ApiError, Response as ApiResponse};
use crate::wire::fields::object_schema;
use crate::wire::{
    ActivityView, ApiKeyView, CampaignView, CompanyView, ContactView, ContactWithTimelineView, CreatedApiKeyView,
    Detail, FromBody, ImportIds, ImportView, ImportWithCountView, LeadView, LinkedView, MAX_ROWS, Message, NewCampaign,
    ObjectBody, ReportView,
};

const JSON: &str = "application/json";
const REQUEST_ID: &str = "X-Request-ID";
const API_KEY: &str = "ApiKeyAuth";
const BEARER: &str = "BearerAuth";

const ABOUT: &str = "Contacts of an organization, with their timeline, and the imports they were loaded with.\n\n\
    Every path also answers with a trailing slash. Every error is `{\"detail\": \"<one sentence>\"}`; a 400 names all \
    faulty fields at once. What another organization owns answers as if it did not exist. Unknown fields are ignored.";

/// The headers that answers can have, and what each says.
const RESPONSE_HEADERS: [(&str, &str); 7] = [
    ("ETag", "The version of the contact, for `If-Match`, and of this answer, for `If-None-Match`"),
    ("Idempotent-Replayed", "`true`: the answer that was stored under this `Idempotency-Key`"),
    ("Link", "The address of the page that follows, `rel=\"next\"` (RFC 8288); missing on the last one"),
    ("Location", "Where the new thing can be read"),
    ("Retry-After", "Seconds to wait before the request is sent again"),
    ("WWW-Authenticate", "The schemes that a credential can come in"),
    (REQUEST_ID, "The id of the request: the client's, or one that was made"),
];

/// The document.
pub fn document() -> OpenApi {
    let info = InfoBuilder::new().title("Contacts API").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    let license = LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).identifier(Some(env!("CARGO_PKG_LICENSE")));
    let mut paths = Paths::new();
    for &endpoint in Endpoint::ALL {
        let spec = endpoint.spec();
        paths.add_path_operation(spec.path, vec![method(spec.method)], operation(&spec, &bodies(endpoint)));
    }
    OpenApiBuilder::new()
        .info(info.license(Some(license.build())).build())
        .servers(Some([Server::new("/")]))
        .paths(paths)
        .components(Some(components()))
        .build()
}

/// The document as it is committed: indented, with a line break at its end.
///
/// # Errors
/// A fault of the generator: the document is texts and numbers, which JSON holds.
pub fn text() -> serde_json::Result<String> {
    Ok(document().to_pretty_json()? + "\n")
}

/// What the route table does not say of an endpoint.
struct Bodies {
    /// What it takes.
    request: Option<RefOr<Schema>>,
    /// What is wrong with a request that sends nothing.
    missing: Option<ValidationErrors>,
    /// What it answers a success with.
    response: RefOr<Schema>,
    /// The statuses that a success can have beside the usual one.
    also: &'static [u16],
    /// Whether that has an `ETag`.
    versioned: bool,
    /// How it can refuse beside what [`refusals`] derives.
    refusals: Vec<ApiError>,
    /// The schemas that the others refer to.
    schemas: Vec<(String, RefOr<Schema>)>,
}

fn bodies(endpoint: Endpoint) -> Bodies {
    let email_taken = || ApiError::EmailTaken("john.doe@example.com".to_owned());
    match endpoint {
        Endpoint::CreateContact => {
            Bodies::one::<ContactView>().versioned().takes::<NewContact>().refuses(email_taken())
        }
        Endpoint::GetContact => Bodies::one::<ContactWithTimelineView>().versioned(),
        Endpoint::UpdateContact => {
            Bodies::one::<ContactView>().versioned().takes::<ContactPatch>().refuses(email_taken())
        }
        Endpoint::DeleteContact | Endpoint::DeleteImport | Endpoint::DeleteCampaign | Endpoint::RevokeApiKey => {
            Bodies::one::<Message>()
        }
        Endpoint::ListContacts => Bodies::list::<ContactView>(),
        Endpoint::BulkUploadContacts => {
            Bodies::one::<ReportView>().takes::<NewContact>().many(0, MAX_ROWS).or_answers(&[200, 207])
        }
        Endpoint::CreateImport => Bodies::one::<ImportView>().takes::<NewImport>(),
        Endpoint::ListImports => Bodies::list::<ImportView>(),
        Endpoint::GetImport => Bodies::one::<ImportWithCountView>(),
        Endpoint::UpdateImport => Bodies::one::<ImportView>().takes::<ImportPatch>(),
        Endpoint::RecordActivities => Bodies::list::<ActivityView>().takes::<NewActivity>().or_many(MAX_BATCH),
        Endpoint::UpdateActivity => Bodies::one::<ActivityView>().takes::<ActivityPatch>(),
        Endpoint::CreateCampaign => Bodies::one::<CampaignView>().takes::<NewCampaign>(),
        Endpoint::ListCampaigns => Bodies::list::<CampaignView>(),
        Endpoint::GetCampaign => Bodies::one::<CampaignView>(),
        Endpoint::UpdateCampaign => Bodies::one::<CampaignView>().takes::<CampaignPatch>(),
        Endpoint::LinkImports => Bodies::one::<LinkedView>().takes::<ImportIds>(),
        Endpoint::ListCampaignLeads => Bodies::list::<LeadView>(),
        Endpoint::GetCampaignLead => Bodies::one::<LeadView>(),
        Endpoint::UpdateCampaignLead => Bodies::one::<LeadView>().takes::<LeadPatch>(),
        Endpoint::ListCompanies => Bodies::list::<CompanyView>(),
        Endpoint::CreateApiKey => Bodies::one::<CreatedApiKeyView>().takes::<NewApiKey>(),
        Endpoint::ListApiKeys => Bodies::list::<ApiKeyView>(),
    }
}

impl Bodies {
    fn one<T: ToSchema>() -> Self {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        let response = Ref::from_schema_name(T::name()).into();
        Self { request: None, missing: None, response, also: &[], versioned: false, refusals: Vec::new(), schemas }
    }

    fn list<T: ToSchema>() -> Self {
        Self { response: Array::new(Ref::from_schema_name(T::name())).into(), ..Self::one::<T>() }
    }

    fn versioned(self) -> Self {
        Self { versioned: true, ..self }
    }

    fn refuses(mut self, refusal: ApiError) -> Self {
        self.refusals.push(refusal);
        self
    }

    fn takes<T: ObjectBody>(mut self) -> Self {
        let schema = object_schema::<T>(T::PURPOSE, &mut self.schemas);
        let nothing = RawValue::from_string("{}".to_owned()).ok();
        let missing = nothing.and_then(|nothing| T::from_body(&nothing).err());
        self.schemas.push((T::SCHEMA.to_owned(), schema.into()));
        Self { request: Some(Ref::from_schema_name(T::SCHEMA).into()), missing, ..self }
    }

    /// An array of them.
    fn many(mut self, least: usize, most: usize) -> Self {
        let array = |one| Array::builder().items(one).min_items(Some(least)).max_items(Some(most)).into();
        self.request = self.request.map(array);
        self
    }

    /// One of them, or an array of up to `most`.
    fn or_many(mut self, most: usize) -> Self {
        let one = self.request.clone();
        self = self.many(1, most);
        let either = one.zip(self.request).map(|(one, many)| OneOf::builder().item(one).item(many).build());
        Self { request: either.map(|either| RefOr::T(Schema::OneOf(either))), ..self }
    }

    fn or_answers(self, also: &'static [u16]) -> Self {
        Self { also, ..self }
    }
}

fn operation(spec: &Spec, bodies: &Bodies) -> Operation {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(spec.operation_id))
        .summary(Some(spec.summary))
        .tag(spec.path.split('/').nth(1).unwrap_or_default())
        .securities(Some([API_KEY, BEARER].map(|scheme| SecurityRequirement::new(scheme, [spec.scope.as_str()]))))
        .parameters(Some(spec.path_ids().map(path_parameter)))
        .parameters(Some(spec.query.iter().map(query_parameter)))
        .parameters(Some(spec.headers.iter().map(|header| request_header(*header))))
        .parameter_ref(Ref::new(format!("#/components/parameters/{REQUEST_ID}")));
    for refusal in refusals(spec, bodies) {
        let reply = refusal.into_response();
        operation = operation.response(reply.status.to_string(), error_response(&reply));
    }
    if spec.headers.contains(&Header::IfNoneMatch) {
        operation = operation.response("304", with_headers(described(304), &["ETag"]));
    }
    let request = spec.body.zip(bodies.request.clone()).map(|(spec, schema)| request_body(spec, &schema));
    for status in [spec.success].iter().chain(bodies.also) {
        operation = operation.response(status.to_string(), success_response(spec, bodies, *status));
    }
    operation.request_body(request).build()
}

/// Every way an endpoint can refuse, an example each; of two with one status the last is shown.
fn refusals(spec: &Spec, bodies: &Bodies) -> Vec<ApiError> {
    let has = |header| spec.headers.contains(&header);
    let always = [
        ApiError::Unauthorized,
        ApiError::Forbidden,
        ApiError::Internal(String::new()),
        ApiError::Unavailable,
        invalid(spec, bodies),
    ];
    // Who answers 207 does without the import.
    let needs_import = has(Header::ImportId) && !bodies.also.contains(&207);
    let not_found =
        needs_import.then_some(Kind::Import).into_iter().chain(spec.path_ids().filter_map(Kind::of_path_id));
    let sometimes = [
        has(Header::IfMatch).then_some(ApiError::PreconditionFailed),
        spec.repeat().map(|_| ApiError::KeyReused),
        spec.repeat().and_then(|repeat| match repeat {
            Repeat::Replayed => None,
            Repeat::Run => Some(ApiError::InProgress { seconds: 60 }),
            Repeat::Refused(kind) => Some(ApiError::AlreadyCreated(kind)),
        }),
        spec.body.map(|body| ApiError::BodyTooLarge { limit: body.max }),
        spec.body.map(|body| ApiError::UnsupportedMediaType { supported: body.media }),
    ];
    let derived = always.into_iter().chain(not_found.map(ApiError::NotFound)).chain(sometimes.into_iter().flatten());
    derived.chain(bodies.refusals.iter().cloned()).collect()
}

/// A fault that a request of this endpoint can have.
fn invalid(spec: &Spec, bodies: &Bodies) -> ApiError {
    match (&bodies.missing, spec.path_ids().next(), spec.query.first()) {
        (Some(missing), ..) => ApiError::Invalid(missing.clone()),
        (None, Some(id), _) => ApiError::invalid(id, ids::INVALID_UUID),
        (None, None, Some(param)) => ApiError::invalid(param.name, InvalidValue::Rule("must be given once")),
        (None, None, None) => ApiError::invalid("body", InvalidValue::WrongType { expected: "a JSON object" }),
    }
}

/// Whether it creates things that an endpoint reads by their ids.
fn is_read_by_id(spec: &Spec) -> bool {
    let parent = |path: &'static str| path.rsplit_once("/{").map(|(parent, _)| parent);
    let reads = |other: Spec| other.method == Method::Get && parent(other.path) == Some(spec.path);
    spec.success == 201 && Endpoint::ALL.iter().any(|endpoint| reads(endpoint.spec()))
}

fn path_parameter(name: &str) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.schema(Some(if name == ACTIVITY_ID { string() } else { uuid() })).build()
}

fn query_parameter(param: &Param) -> Parameter {
    let schema = match param.kind {
        ParamKind::Text => string(),
        ParamKind::Uuid => uuid(),
        ParamKind::Boolean => ObjectBuilder::new().schema_type(Type::Boolean).default(Some(Value::from(false))),
        ParamKind::Time => string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
        ParamKind::Integer { min, max, default } => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(min))
            .maximum(Some(max))
            .default(Some(Value::from(default))),
    };
    let parameter = ParameterBuilder::new().name(param.name).parameter_in(ParameterIn::Query).schema(Some(schema));
    parameter.required(Required::False).description(Some(param.description)).build()
}

fn request_header(header: Header) -> Parameter {
    let (description, schema) = match header {
        Header::ImportId => ("The import that the contact is linked to", uuid()),
        Header::IdempotencyKey(repeat) => (
            match repeat {
                Repeat::Replayed => {
                    "Makes the request safe to repeat: for 24 hours the same key has one effect and gets the same answer"
                }
                Repeat::Run => {
                    "Keeps the request from running twice at once: while it is in progress the same key gets 409, and \
                     after that it runs again, which is harmless"
                }
                Repeat::Refused(_) => {
                    "Makes the request safe to repeat: for 24 hours the same key has one effect, and a repeat gets 409"
                }
            },
            string().min_length(Some(1)).max_length(Some(255)).pattern(Some("^[!-~]+$")),
        ),
        Header::IfMatch => ("The `ETag` of the version that may be changed, several, or `*`", string()),
        Header::IfNoneMatch => ("The `ETag` of the answer that is there already, several, or `*`", string()),
    };
    header_parameter(header.name(), description, schema)
}

fn header_parameter(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
    parameter.description(Some(description)).schema(Some(schema)).build()
}

fn request_body(spec: BodySpec, schema: &RefOr<Schema>) -> RequestBody {
    let about = format!("At most {} bytes", spec.max);
    let body = RequestBodyBuilder::new().description(Some(about)).required(Some(Required::True));
    let content = |media: Media| {
        let schema = match media {
            Media::Json => schema.clone(),
            // A form with one file in it.
            Media::Multipart => ObjectBuilder::new().property("file", string()).required("file").into(),
            Media::Csv => string().into(),
        };
        ContentBuilder::new().schema(Some(schema)).build()
    };
    spec.media.iter().fold(body, |body, media| body.content(media.as_str(), content(*media))).build()
}

fn success_response(spec: &Spec, bodies: &Bodies, status: u16) -> Response {
    let paged = spec.query.iter().any(|param| matches!(param.name, "page" | "cursor"));
    let headers = [
        bodies.versioned.then_some("ETag"),
        paged.then_some("Link"),
        is_read_by_id(spec).then_some("Location"),
        (spec.repeat() == Some(Repeat::Replayed)).then_some("Idempotent-Replayed"),
    ];
    let content = ContentBuilder::new().schema(Some(bodies.response.clone())).build();
    let headers: Vec<_> = headers.into_iter().flatten().collect();
    with_headers(described(status).content(JSON, content), &headers)
}

fn error_response(reply: &ApiResponse) -> Response {
    let schema = Ref::from_schema_name(Detail::name());
    let example = reply.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
    let response =
        described(reply.status).content(JSON, ContentBuilder::new().schema(Some(schema)).example(example).build());
    let headers = ["Retry-After", "WWW-Authenticate"];
    let headers: Vec<_> =
        headers.into_iter().filter(|name| reply.header(&name.to_ascii_lowercase()).is_some()).collect();
    with_headers(response, &headers)
}

/// A response whose description is its status in words.
fn described(status: u16) -> ResponseBuilder {
    let status = lambda_http::http::StatusCode::from_u16(status).ok();
    ResponseBuilder::new().description(status.and_then(|status| status.canonical_reason()).unwrap_or_default())
}

/// With these headers, and the one that every answer has.
fn with_headers(response: ResponseBuilder, names: &[&str]) -> Response {
    let link = |name: &str| Ref::new(format!("#/components/headers/{name}"));
    names.iter().chain([&REQUEST_ID]).fold(response, |response, name| response.header_ref(*name, link(name))).build()
}

fn components() -> Components {
    let api_key = ApiKeyValue::with_description("X-API-Key", "A key of the organization; decides where both are sent");
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let bearer = bearer.description(Some("A token with `sub`, `org_id` and `exp`, and optionally `scope`"));
    let request_id = string().min_length(Some(1)).max_length(Some(128)).pattern(Some("^[!-~]+$"));
    let request_id = header_parameter(REQUEST_ID, "An id for the request, to find it by", request_id);
    let schemas = Endpoint::ALL.iter().flat_map(|endpoint| bodies(*endpoint).schemas);
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas.chain([(Detail::name().into_owned(), Detail::schema())]))
        .security_scheme(API_KEY, SecurityScheme::ApiKey(ApiKey::Header(api_key)))
        .security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    let components = components.parameter(REQUEST_ID, request_id);
    RESPONSE_HEADERS.into_iter().fold(components, |all, (name, says)| all.header(name, response_header(says))).build()
}

fn response_header(description: &str) -> ResponseHeader {
    HeaderBuilder::new().schema(Some(string())).description(Some(description)).build()
}

fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn uuid() -> ObjectBuilder {
    string().format(Some(SchemaFormat::Custom("uuid".to_owned())))
}
