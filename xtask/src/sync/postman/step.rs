//! A step of the walk: one request to an endpoint.

use shared::Endpoint;

/// The requests of one use case.
pub(super) struct Folder {
    pub(super) name: &'static str,
    /// What it is for, and what has to run before it; in Markdown.
    pub(super) description: &'static str,
    pub(super) steps: &'static [Step],
}

/// A request. Everything that is not here follows from the endpoint's declarations.
pub(super) struct Step {
    pub(super) endpoint: Endpoint,
    /// The name of the request, unique in the collection; blank: the endpoint's summary.
    pub(super) name: &'static str,
    /// What there is to learn from this request, before the endpoint's own description; in Markdown.
    pub(super) note: &'static str,
    pub(super) credential: Credential,
    /// The values of ids in the path, where they are not in the variable with the id's name.
    pub(super) ids: &'static [(&'static str, &'static str)],
    /// The query parameters that are sent. The others of the endpoint are shown, and not sent.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// The headers that are sent. The others of the endpoint are shown, and not sent.
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: Body,
    /// The status of the response, if it is not the endpoint's usual one.
    pub(super) status: Option<u16>,
    /// The text of an error, if it is not the example in `openapi.json`. Variables are replaced.
    pub(super) detail: Option<&'static str>,
    /// Names and bodies of further tests, in JavaScript; `body` is the parsed response.
    pub(super) tests: &'static [(&'static str, &'static str)],
    /// Variables for later requests, each with its value as a JavaScript expression; `body` is the parsed response.
    pub(super) hands_on: &'static [(&'static str, &'static str)],
}

/// The credential of a request.
pub(super) enum Credential {
    /// The collection's: the API key.
    ApiKey,
    /// The token. The request is skipped if the environment has none.
    Token,
    /// No credential.
    Missing,
}

/// The body of a request.
pub(super) enum Body {
    /// That of the endpoint's example event, if it has one, with these texts replaced.
    Example(&'static [(&'static str, &'static str)]),
    Json(&'static str),
    Csv(&'static str),
}

impl Step {
    /// The usual request to an endpoint, with the example body.
    pub(super) const fn to(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            name: "",
            note: "",
            credential: Credential::ApiKey,
            ids: &[],
            query: &[],
            headers: &[],
            body: Body::Example(&[]),
            status: None,
            detail: None,
            tests: &[],
            hands_on: &[],
        }
    }

    /// The name of the request.
    pub(super) fn name(&self) -> &'static str {
        if self.name.is_empty() { self.endpoint.spec().summary } else { self.name }
    }

    /// The expected status of the response.
    pub(super) fn status(&self) -> u16 {
        self.status.unwrap_or(self.endpoint.spec().success.status)
    }
}
