//! Responses as a function returns them to API Gateway.

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use serde_json::Value;

use crate::endpoint::Endpoint;

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResponse {
    /// The status code.
    pub status: u64,
    /// The headers, by their names in lower case.
    pub headers: Value,
    /// The body as it was sent; empty for a response without a body.
    pub text: String,
}

impl TestResponse {
    /// The response that [`serve`](crate::http::serve) has returned.
    pub fn new(response: &ApiGatewayV2httpResponse) -> Self {
        let response = serde_json::to_value(response).expect("a response is JSON");
        Self {
            status: response["statusCode"].as_u64().expect("a response has a status"),
            headers: response["headers"].clone(),
            text: response["body"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// The value of a header; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].as_str().unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the body is JSON")
    }

    /// The values of one text member in the rows of a list, in the order of the rows.
    pub fn values_of(&self, member: &str) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.text);
        let rows = self.json();
        let rows = rows.as_array().expect("a list is an array").iter();
        rows.map(|row| row[member].as_str().expect("every row has the member").to_owned()).collect()
    }

    /// The query of the next page of the endpoint's list, from the `Link` header; `None` on the last page.
    pub fn next_page_query(&self, endpoint: Endpoint) -> Option<String> {
        let link = self.header("link");
        if link.is_empty() {
            return None;
        }
        let start = format!("<{}/?", endpoint.spec().path);
        let query = link.strip_prefix(&start).and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
        Some(query.expect("the link leads to the next page of the list").to_owned())
    }

    /// The sentence of an error response, after verifying that the body contains nothing else.
    pub fn detail(&self) -> String {
        let body = self.json();
        let members = body.as_object().expect("an error is an object");
        assert_eq!(members.keys().collect::<Vec<_>>(), ["detail"], "an error consists of its detail");
        assert_eq!(self.header("content-type"), "application/json");
        members["detail"].as_str().expect("the detail is text").to_owned()
    }
}

/// JSON without white space between its tokens. Unlike a parsed value, it shows the order of the members.
pub fn compact_json(json: &str) -> String {
    let (mut compact, mut in_string, mut is_escaped) = (String::new(), false, false);
    for c in json.chars() {
        if in_string || !c.is_whitespace() {
            compact.push(c);
        }
        if c == '"' && !is_escaped {
            in_string = !in_string;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    compact
}
