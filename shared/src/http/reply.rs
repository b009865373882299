//! Answers.

use std::fmt;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::aws_lambda_events::encodings::Body;
use lambda_http::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An answer: a status, headers, a JSON body.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

/// A thing that can be answered with: how it is shown, and where and in which version it is.
pub trait Resource {
    /// What is shown of it.
    fn view(&self) -> impl Serialize;

    /// Where it can be read.
    fn location(&self) -> Option<String> {
        None
    }

    /// The version part of its `ETag`, if it has versions.
    fn version(&self) -> Option<u64> {
        None
    }
}

/// The body of every error.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Error))]
pub(crate) struct Detail<'a> {
    /// What went wrong, in one sentence.
    #[cfg_attr(feature = "openapi", schema(examples("Validation error: email field is required")))]
    detail: &'a str,
}

/// What is answered where there is no thing to show.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Message {
    /// What was done.
    #[cfg_attr(feature = "openapi", schema(examples("Contacto 550e8400-e29b-41d4-a716-446655440000 eliminado")))]
    message: String,
}

impl Reply {
    /// 200 with a thing.
    pub fn ok(resource: &(impl Resource + ?Sized)) -> Self {
        let reply = Self::json(200, &resource.view());
        match resource.version() {
            Some(version) => {
                let body = reply.body.as_deref().unwrap_or_default();
                let hash = hex::encode(&Sha256::digest(body)[..8]);
                reply.with("etag", format!("\"{version}-{hash}\""))
            }
            None => reply,
        }
    }

    /// 201 with a new thing.
    pub fn created(resource: &(impl Resource + ?Sized)) -> Self {
        let reply = Self { status: 201, ..Self::ok(resource) };
        match resource.location() {
            Some(location) => reply.with("location", location),
            None => reply,
        }
    }

    /// 200 with things.
    pub fn list<'a, T: Resource + 'a>(things: impl IntoIterator<Item = &'a T>) -> Self {
        Self::json(200, &things.into_iter().map(T::view).collect::<Vec<_>>())
    }

    /// 200 with a sentence.
    pub fn message(message: String) -> Self {
        Self::json(200, &Message { message })
    }

    /// An error: `{"detail": "<one sentence>"}`.
    pub(super) fn error(status: u16, detail: &str) -> Self {
        Self::json(status, &Detail { detail })
    }

    /// 304: the client has this already (RFC 9110 §15.4.5).
    pub(super) fn not_modified(self) -> Self {
        Self {
            status: 304,
            headers: self.headers.into_iter().filter(|(name, _)| name != "content-type").collect(),
            body: None,
        }
    }

    /// The answer with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The answer with the address of the page that follows, if one does (RFC 8288).
    #[must_use]
    pub fn with_next(self, next: Option<String>) -> Self {
        match next {
            Some(address) => self.with("link", format!("<{address}>; rel=\"next\"")),
            None => self,
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn json(status: u16, value: &impl Serialize) -> Self {
        // No view has a map with keys other than texts, the only thing that could fail; if one did, it would be our fault.
        let (status, body) = match serde_json::to_string(value) {
            Ok(body) => (status, body),
            Err(_) => (500, r#"{"detail":"Internal server error"}"#.to_owned()),
        };
        Self { status, headers: vec![("content-type".to_owned(), "application/json".to_owned())], body: Some(body) }
    }
}

/// Without the body, which may hold personal data, or a key in clear.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

impl From<Reply> for ApiGatewayV2httpResponse {
    fn from(reply: Reply) -> Self {
        let mut response = Self::default();
        response.status_code = reply.status.into();
        response.body = reply.body.map(Body::Text);
        for (name, value) in reply.headers {
            // Every value is ASCII of our own making; what is not a header is left out rather than failing the answer.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers.insert(name, value);
            }
        }
        response
    }
}
