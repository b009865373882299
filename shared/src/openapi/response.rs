//! The responses of an operation, and their headers.

use utoipa::ToSchema;
use utoipa::openapi::header::Header;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{Array, Schema};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr};

use super::{REQUEST_ID, example, string};
use crate::endpoint::{Endpoint, Media, Method, Repeat, Spec};
use crate::http::{ApiError, Response as ApiResponse};
use crate::wire::Detail;

/// The headers that responses can have, each with its description.
pub(super) const HEADERS: [(&str, &str); 9] = [
    ("ETag", "Version of the contact, for `If-Match`, and of this response, for `If-None-Match`"),
    ("Idempotent-Replayed", "`true`: this is the response that was stored under the `Idempotency-Key`"),
    ("Link", "URL of the next page, `rel=\"next\"` (RFC 8288); missing on the last page"),
    ("Location", "URL of the new resource"),
    ("RateLimit", "What is left of each rate limit: `r` requests, and `t` seconds until all are left again"),
    (
        "RateLimit-Policy",
        "The rate limits of the credential, if it has any: `q` requests at once, and as many in `w` seconds",
    ),
    ("Retry-After", "Seconds to wait before the request is repeated"),
    ("WWW-Authenticate", "The accepted authentication schemes"),
    (REQUEST_ID, "Id of the request: the client's, or a generated one"),
];

/// The headers of a credential with rate limits. Every response but the 401 has them; described are those that clients act on.
const QUOTA_HEADERS: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

pub(super) fn header(description: &str) -> Header {
    HeaderBuilder::new().schema(Some(string())).description(Some(description)).build()
}

pub(super) fn success(endpoint: Endpoint, status: u16) -> Response {
    let spec = endpoint.spec();
    let mut headers = QUOTA_HEADERS.to_vec();
    if spec.success.has_etag {
        headers.push("ETag");
    }
    if spec.is_paged() {
        headers.push("Link");
    }
    if creates_readable_resource(spec) {
        headers.push("Location");
    }
    if spec.repeat() == Some(Repeat::Replayed) {
        headers.push("Idempotent-Replayed");
    }
    let schema = Ref::from_schema_name((spec.success.describe)().name);
    let schema: RefOr<Schema> = if spec.success.is_list { Array::new(schema).into() } else { schema.into() };
    let content = ContentBuilder::new().schema(Some(schema)).example(example::response(endpoint, status)).build();
    with_headers(described(status).content(Media::Json.as_str(), content), &headers)
}

/// Whether a GET of the new resource by its id exists, so that the response can name its URL.
fn creates_readable_resource(spec: &Spec) -> bool {
    let reads_one = |other: &Spec| {
        let parent = other.path.rsplit_once("/{").map(|(parent, _)| parent);
        other.method == Method::Get && parent == Some(spec.path)
    };
    spec.success.status == 201 && Endpoint::ALL.iter().any(|endpoint| reads_one(endpoint.spec()))
}

pub(super) fn not_modified() -> Response {
    with_headers(described(304), &[["ETag"].as_slice(), &QUOTA_HEADERS].concat())
}

/// The response to an error, with the error itself as the example unless the documentation has another one. Gives its
/// status, too.
pub(super) fn error(endpoint: Endpoint, error: &ApiError) -> (u16, Response) {
    let response: ApiResponse = error.clone().into_response();
    let schema = Ref::from_schema_name(Detail::name());
    let derived = response.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
    let example = example::response(endpoint, response.status).or(derived);
    let content = ContentBuilder::new().schema(Some(schema)).example(example).build();
    let mut headers = Vec::new();
    for name in ["Retry-After", "WWW-Authenticate"] {
        if response.header(&name.to_ascii_lowercase()).is_some() {
            headers.push(name);
        }
    }
    if matches!(error, ApiError::TooManyRequests { .. }) {
        headers.extend(QUOTA_HEADERS);
    }
    let described = described(response.status).content(Media::Json.as_str(), content);
    (response.status, with_headers(described, &headers))
}

/// A response with the reason phrase of its status as the description.
fn described(status: u16) -> ResponseBuilder {
    let status = lambda_http::http::StatusCode::from_u16(status).ok();
    ResponseBuilder::new().description(status.and_then(|status| status.canonical_reason()).unwrap_or_default())
}

/// Adds these headers, and the one that every response has.
fn with_headers(mut response: ResponseBuilder, names: &[&str]) -> Response {
    for name in names.iter().chain([&REQUEST_ID]) {
        response = response.header_ref(*name, Ref::new(format!("#/components/headers/{name}")));
    }
    response.build()
}
