//! Requests as the gateway passes them on, and answers as it gets them back.

use std::path::Path;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use serde_json::{Value, json};

use super::tenant::Tenant;
use crate::endpoint::Endpoint;
use crate::http::Event;

/// A request in the making: the endpoint's example event, changed.
#[derive(Debug, Clone)]
pub struct TestRequest(Value);

impl TestRequest {
    /// The example event of an endpoint, as `events/` has it, with this organization's admin key.
    pub fn to(endpoint: Endpoint, tenant: &Tenant) -> Self {
        Self::example(endpoint).header("x-api-key", tenant.admin_key.in_clear())
    }

    /// The example event of an endpoint, as `events/` has it.
    pub fn example(endpoint: Endpoint) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(format!("{}.json", endpoint.name()));
        let text = std::fs::read_to_string(&file).expect("every endpoint has an example event");
        Self(serde_json::from_str(&text).expect("an example event is JSON"))
    }

    /// With another path.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.0["rawPath"] = json!(path.into());
        self
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.0["requestContext"]["http"]["method"] = json!(method);
        self
    }

    /// With another query.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        self.0["rawQueryString"] = json!(query);
        self
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0["headers"][name] = json!(value);
        self
    }

    /// Without this header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0["headers"].as_object_mut().expect("an event has headers").remove(name);
        self
    }

    /// With another JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.text(body.to_string())
    }

    /// With another body.
    #[must_use]
    pub fn text(mut self, body: impl Into<String>) -> Self {
        self.0["body"] = json!(body.into());
        self
    }

    /// With a body of any bytes, as the gateway passes those on.
    #[must_use]
    pub fn bytes(mut self, body: &[u8]) -> Self {
        use base64::Engine as _;
        self.0["body"] = json!(base64::engine::general_purpose::STANDARD.encode(body));
        self.0["isBase64Encoded"] = json!(true);
        self
    }

    /// The example's body.
    pub fn body(&self) -> Value {
        self.0["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
    }

    /// The event.
    pub fn event(&self) -> Event {
        serde_json::from_value(self.0.clone()).expect("any event can be read")
    }
}

/// An answer, as the gateway gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResponse {
    /// The status.
    pub status: u64,
    /// The headers.
    pub headers: Value,
    /// The body to the letter; empty where there is none.
    pub text: String,
}

impl TestResponse {
    pub(super) fn new(response: &ApiGatewayV2httpResponse) -> Self {
        let response = serde_json::to_value(response).expect("an answer is JSON");
        Self {
            status: response["statusCode"].as_u64().expect("an answer has a status"),
            headers: response["headers"].clone(),
            text: response["body"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].as_str().unwrap_or_default()
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("a body is JSON")
    }

    /// This member of each row of a list.
    pub fn each(&self, member: &str) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.text);
        let rows = self.json();
        let rows = rows.as_array().expect("a list is an array").iter();
        rows.map(|row| row[member].as_str().expect("every row has the member").to_owned()).collect()
    }

    /// The query of the page of the endpoint's list that follows, if one does.
    pub fn next(&self, endpoint: Endpoint) -> Option<String> {
        let link = Some(self.header("link")).filter(|link| !link.is_empty())?;
        let own = link.strip_prefix(&format!("<{}/?", endpoint.spec().path));
        let query = own.and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).expect("a link to the list's next page");
        Some(query.to_owned())
    }

    /// The sentence of an error, after checking that there is nothing else in the body.
    pub fn detail(&self) -> String {
        let body = self.json();
        let members = body.as_object().expect("an error is an object");
        assert_eq!(members.keys().collect::<Vec<_>>(), ["detail"], "an error is its detail and nothing else");
        assert_eq!(self.header("content-type"), "application/json");
        members["detail"].as_str().expect("the detail is a sentence").to_owned()
    }
}
