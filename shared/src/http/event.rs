//! What the gateway sends: an API Gateway HTTP API event, payload format 2.0 (AWS, "Create AWS Lambda proxy
//! integrations for HTTP APIs").
//!
//! `lambda_http` has a conversion of its own, which panics for a host or a query that is no URI; this one takes any
//! event there can be and reads only what is needed. Route keys and parsed path parameters are not: the local gateway
//! has none.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

/// A request, as the gateway passes it on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// The path, as the client sent it.
    pub raw_path: String,
    /// What follows the `?`, as the client sent it. The local gateway sends `null` where nothing does.
    #[serde(deserialize_with = "null_as_default")]
    pub raw_query_string: String,
    /// Names in lower case; of repeated headers the values are joined by commas.
    pub headers: BTreeMap<String, String>,
    /// The gateway's own facts.
    pub request_context: RequestContext,
    body: Option<String>,
    is_base64_encoded: bool,
}

/// What the gateway says of a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestContext {
    /// The gateway's id of the request.
    pub request_id: Option<String>,
    /// The request line.
    pub http: RequestLine,
}

/// What the gateway says of the request line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RequestLine {
    /// `GET`, `POST`, …
    pub method: String,
}

fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Event {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let exact = self.headers.get(name);
        exact
            .or_else(|| self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
            .map(String::as_str)
    }

    /// The body's bytes. The gateway encodes what it does not take for text.
    pub fn body(&self) -> Vec<u8> {
        let body = self.body.as_deref().unwrap_or_default();
        if self.is_base64_encoded {
            // What does not decode is no body of ours either way, and is refused as what it is.
            STANDARD.decode(body).unwrap_or_else(|_| body.into())
        } else {
            body.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_gateway_sends_null_for_no_query() {
        let event: Event = serde_json::from_str(r#"{"rawPath": "/contacts", "rawQueryString": null}"#).unwrap();
        assert_eq!(event.raw_query_string, "");
    }
}
