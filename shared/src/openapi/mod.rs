//! The description of the API: OpenAPI 3.1, generated from the route table and committed as `openapi.json`.
//!
//! Nothing here names an endpoint: parameters, statuses, headers and bodies follow from each [`Spec`](crate::endpoint::Spec).

mod example;
mod operation;
mod parameter;
mod response;
mod simplify;

use std::collections::BTreeSet;

use utoipa::openapi::schema::{Components, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths,
    ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::endpoint::{Endpoint, Method};
use crate::wire::Detail;
use crate::wire::param::ParamKind;

const REQUEST_ID: &str = "X-Request-ID";
const API_KEY: &str = "ApiKeyAuth";
const BEARER: &str = "BearerAuth";

const ABOUT: &str = "Contacts of an organization with their timelines, the imports that loaded them, and the campaigns \
    that address them.\n\n\
    Every path is served with and without a trailing slash. The body of every error is `{\"detail\": \"<one sentence>\"}`; \
    a 400 names all invalid fields at once. A resource of another organization is treated as if it did not exist. \
    Unknown fields are ignored. No response may be cached (`Cache-Control: no-store`), but a client may keep one with an `ETag` \
    and ask each time whether it is still current.\n\n\
    Each operation needs one scope of the credential: `read`, `write` or `admin`. `write` implies reading what the call \
    itself names: a `PUT` shows the contact, and a dry run of an upload shows which emails exist. `admin` allows everything.";

/// The kinds of resources, by the first segment of their paths, each with its description.
const TAGS: [(&str, &str); 8] = [
    ("contacts", "People, each with one email, and the activities of their timelines"),
    ("imports", "Groups of contacts that were loaded together"),
    ("campaigns", "Campaigns that address contacts"),
    ("campaign-imports", "The imports whose contacts a campaign addresses"),
    ("campaign-leads", "Contacts in campaigns, with their progress"),
    ("companies", "Companies that contacts work for; they come into being with their first contact"),
    ("api-keys", "Credentials of the organization"),
    ("audit-log", "Who did what, for administrators and auditors"),
];

/// The document. Only its text, [`text`], has the examples of requests and of the platform's documentation.
pub fn document() -> OpenApi {
    let info = InfoBuilder::new().title("Contacts API").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    let license = LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).identifier(Some(env!("CARGO_PKG_LICENSE")));
    let contact = ContactBuilder::new().name(Some("The operator of this deployment"));
    // Relative to the URL of this document, so that requests go to the stage or the custom domain that has served it.
    let server = ServerBuilder::new().url(".").description(Some("The API that serves this document"));
    let tags = TAGS.map(|(name, description)| TagBuilder::new().name(name).description(Some(description)).build());
    let mut paths = Paths::new();
    for endpoint in Endpoint::ALL {
        let spec = endpoint.spec();
        paths.add_path_operation(spec.path, vec![method(spec.method)], operation::of(*endpoint));
    }
    OpenApiBuilder::new()
        .info(info.contact(Some(contact.build())).license(Some(license.build())).build())
        .servers(Some([server.build()]))
        .tags(Some(tags))
        .paths(paths)
        .components(Some(components()))
        .build()
}

/// The document as it is committed: indented, with a line break at its end.
///
/// # Errors
/// A bug in the generator: JSON can represent every part of the document.
pub fn text() -> serde_json::Result<String> {
    Ok(example::fill(&document().to_pretty_json()?) + "\n")
}

fn components() -> Components {
    let api_key = ApiKeyValue::with_description(
        "X-API-Key",
        "A key of the organization; it takes precedence over a token in the same request",
    );
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let bearer = bearer.description(Some("A token with `sub`, `org_id` and `exp`, and optionally `nbf` and `scope`"));
    let mut components = ComponentsBuilder::new()
        .schema(Detail::name(), Detail::schema())
        .security_scheme(API_KEY, SecurityScheme::ApiKey(ApiKey::Header(api_key)))
        .security_scheme(BEARER, SecurityScheme::Http(bearer.build()))
        .parameter(REQUEST_ID, parameter::request_id());
    let mut bodies = BTreeSet::new();
    for endpoint in Endpoint::ALL {
        let spec = endpoint.spec();
        let request = spec.body.map(|body| (body.describe)());
        for body in request.into_iter().chain([(spec.success.describe)()]) {
            bodies.insert(body.name.clone());
            components = components.schema(body.name, body.schema).schemas_from_iter(body.referenced);
        }
        for param in spec.query {
            if let ParamKind::Choice(choice) = param.kind {
                components = components.schema(choice.name, choice.schema());
            }
        }
    }
    for (name, description) in response::HEADERS {
        components = components.header(name, response::header(description));
    }
    let mut components = components.build();
    simplify::simplify(&mut components, &bodies);
    components
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

fn date_time() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}
