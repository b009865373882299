//! Requests as API Gateway passes them to a function.

use std::path::Path;

use serde_json::{Value, json};

use super::Tenant;
use crate::endpoint::Endpoint;
use crate::http::Event;
use crate::page::Page;

/// A request: the endpoint's example event, changed by the methods of a builder.
#[derive(Debug, Clone)]
pub struct TestRequest(Value);

impl TestRequest {
    /// The example request of an endpoint, with the organization's admin key.
    pub fn to(endpoint: Endpoint, tenant: &Tenant) -> Self {
        Self::example(endpoint).header("x-api-key", tenant.admin_key.in_clear())
    }

    /// The example request of an endpoint, unchanged from `events/`.
    pub fn example(endpoint: Endpoint) -> Self {
        Self::example_of_function(endpoint.name())
    }

    /// The example request of a page, unchanged from `events/`.
    pub fn example_of_page(page: Page) -> Self {
        Self::example_of_function(page.name())
    }

    fn example_of_function(name: &str) -> Self {
        let file = format!("{name}.json");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(file);
        let text = std::fs::read_to_string(&file).expect("every function has an example event");
        Self(serde_json::from_str(&text).expect("an example event is JSON"))
    }

    /// Replaces the path.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.0["rawPath"] = json!(path.into());
        self
    }

    /// Sends the request by the gateway's own domain to a stage with this name, which the gateway puts before the path.
    #[must_use]
    pub fn stage(mut self, stage: &str) -> Self {
        let domain = format!(
            "{}.execute-api.us-east-1.amazonaws.com",
            self.0["requestContext"]["apiId"].as_str().unwrap_or_default()
        );
        self.0["requestContext"]["domainName"] = json!(domain);
        self.0["requestContext"]["stage"] = json!(stage);
        let path = format!("/{stage}{}", self.event().raw_path);
        self.path(path)
    }

    /// Replaces the method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.0["requestContext"]["http"]["method"] = json!(method);
        self
    }

    /// Replaces the query string.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        self.0["rawQueryString"] = json!(query);
        self
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0["headers"][name] = json!(value);
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.0["headers"].as_object_mut().expect("an event has headers").remove(name);
        self
    }

    /// Replaces the body by JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.text(body.to_string())
    }

    /// Replaces the body by text.
    #[must_use]
    pub fn text(mut self, body: impl Into<String>) -> Self {
        self.0["body"] = json!(body.into());
        self
    }

    /// Replaces the body by bytes, which API Gateway passes in Base64.
    #[must_use]
    pub fn bytes(mut self, body: &[u8]) -> Self {
        use base64::Engine as _;
        self.0["body"] = json!(base64::engine::general_purpose::STANDARD.encode(body));
        self.0["isBase64Encoded"] = json!(true);
        self
    }

    /// The body as JSON; `null` if it is anything else.
    pub fn body(&self) -> Value {
        let text = self.0["body"].as_str().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The event as JSON.
    pub fn into_json(self) -> Value {
        self.0
    }

    /// The event that API Gateway sends.
    pub fn event(&self) -> Event {
        serde_json::from_value(self.0.clone()).expect("an event can be read")
    }
}
