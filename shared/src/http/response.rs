//! Responses.

use std::fmt;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::aws_lambda_events::encodings::Body;
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::domain::Id;
use crate::endpoint::Endpoint;
use crate::wire::{Detail, JsonRow, Message, Report, Resource};

/// A response: a status, headers, and a JSON body unless it is a 304.
///
/// Its serialized form is stored under an `Idempotency-Key` for 24 hours, so a change of its fields has to read the old form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

impl Response {
    /// 200 with a resource, and its `ETag` if it has versions: the version for `If-Match`, then a hash of the content, which
    /// also changes with the parts that have no version, such as the timeline.
    pub fn ok(resource: &(impl Resource + ?Sized)) -> Self {
        let response = Self::json(200, &resource.view());
        match resource.version() {
            Some(version) => {
                let body = response.body.as_deref().unwrap_or_default();
                let hash = hex::encode(&digest(&SHA256, body.as_bytes()).as_ref()[..8]);
                response.with("etag", format!("\"{version}-{hash}\""))
            }
            None => response,
        }
    }

    /// 201 with a new resource.
    pub fn created(resource: &(impl Resource + ?Sized)) -> Self {
        Self { status: 201, ..Self::ok(resource) }
    }

    /// 200 with an array of resources.
    pub(super) fn list(rows: &[JsonRow]) -> Self {
        // Joined here, because serde does not know the length, and a body that grows is copied again and again.
        let mut body = String::with_capacity(2 + rows.iter().map(|row| row.as_str().len() + 1).sum::<usize>());
        body.push('[');
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                body.push(',');
            }
            body.push_str(row.as_str());
        }
        body.push(']');
        Self::with_json_body(200, body)
    }

    /// The report of a bulk upload: 200 after a dry run, 207 with a warning, 201 otherwise.
    pub fn bulk_report(report: &Report<'_>, dry_run: bool, warning: Option<&str>) -> Self {
        let status = match (dry_run, warning) {
            (true, _) => 200,
            (false, Some(_)) => 207,
            (false, None) => 201,
        };
        Self::json(status, &report.view(dry_run, warning))
    }

    /// 200 with a message that confirms the request.
    pub fn message(message: String) -> Self {
        Self::json(200, &Message { message })
    }

    /// An error: `{"detail": "<one sentence>"}`.
    pub(super) fn error(status: u16, detail: &str) -> Self {
        Self::json(status, &Detail { detail })
    }

    /// A response without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// The response as a 304: the client has its content already (RFC 9110 §15.4.5).
    pub(super) fn not_modified(self) -> Self {
        Self {
            status: 304,
            headers: self.headers.into_iter().filter(|(name, _)| name != "content-type").collect(),
            body: None,
        }
    }

    /// Adds the headers that every response has. A response belongs to the credential of its request, so that no cache may
    /// share it (`Vary`) or keep it at all (RFC 9111 §5.2.2.5): it holds personal data, and once an API key in clear. A client
    /// may keep a response with an `ETag` if it asks each time whether that is still current (§5.2.2.4).
    pub(super) fn with_common_headers(self, request_id: &str) -> Self {
        let cache_control = if self.header("etag").is_some() { "private, no-cache" } else { "no-store" };
        self.with("cache-control", cache_control)
            .with("vary", "X-API-Key, Authorization")
            .with("x-content-type-options", "nosniff")
            .with("x-request-id", request_id)
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds the path of the new resource: that of the endpoint that reads it, with its id (RFC 9110 §10.2.2).
    #[must_use]
    pub fn with_location(self, endpoint: Endpoint, id: impl Id) -> Self {
        self.with("location", endpoint.path_with(|_| id))
    }

    /// Adds a link to the next page, if there is one: the same path with this query (RFC 8288).
    #[must_use]
    pub fn with_next(self, path: &str, query: Option<String>) -> Self {
        match query {
            Some(query) => self.with("link", format!("<{path}?{query}>; rel=\"next\"")),
            None => self,
        }
    }

    /// Puts the path of the client's base URL before the paths in `Location` and `Link`.
    #[must_use]
    pub(super) fn with_base_path(mut self, base_path: &str) -> Self {
        for (name, value) in &mut self.headers {
            match name.as_str() {
                "location" => value.insert_str(0, base_path),
                "link" => value.insert_str("<".len(), base_path),
                _ => {}
            }
        }
        self
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn json(status: u16, value: &impl Serialize) -> Self {
        // Serializing fails only for a map whose keys are not strings, and no view has one.
        let (status, body) = match serde_json::to_string(value) {
            Ok(body) => (status, body),
            Err(_) => (500, r#"{"detail":"Internal server error"}"#.to_owned()),
        };
        Self::with_json_body(status, body)
    }

    fn with_json_body(status: u16, body: String) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), "application/json".to_owned())], body: Some(body) }
    }
}

/// Shows the status only: the body may hold personal data, or an API key in clear.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

impl From<Response> for ApiGatewayV2httpResponse {
    fn from(Response { status, headers, body }: Response) -> Self {
        let mut response = Self::default();
        response.status_code = status.into();
        response.body = body.map(Body::Text);
        response.headers = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            // Names are constants and values are visible ASCII. A value that is not would be left out.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers.insert(name, value);
            }
        }
        response
    }
}
