//! The event by which API Gateway invokes a function: an HTTP API event of payload format 2.0 (AWS, "Create AWS Lambda proxy
//! integrations for HTTP APIs").
//!
//! The conversion of `lambda_http` panics for a host or a query that is no URI. This one accepts every event and reads only
//! the members that the pipeline needs. It does not rely on the route key or the parsed path parameters, which the local
//! gateway (`cargo lambda watch`) does not send.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

/// A request, as the gateway sends it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// The path: the endpoint's, after the stage of the gateway if that has a name (`route.rs`).
    pub raw_path: String,
    /// The query without its `?`, as the client sent it. The local gateway sends `null` for no query.
    #[serde(deserialize_with = "null_as_default")]
    pub raw_query_string: String,
    /// The headers. The gateway writes names in lower case and joins the values of a repeated header by commas.
    pub headers: BTreeMap<String, String>,
    /// The gateway's own data about the request.
    pub request_context: GatewayContext,
    body: Option<String>,
    is_base64_encoded: bool,
}

/// The gateway's own data about a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayContext {
    /// The gateway's id of the request.
    pub request_id: Option<String>,
    /// The request line.
    pub http: RequestLine,
    /// The stage that serves the request.
    stage: Option<String>,
    /// The gateway's id of the API.
    api_id: Option<String>,
    /// The domain that the client called.
    domain_name: Option<String>,
}

/// The request line (RFC 9112 §3).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RequestLine {
    /// `GET`, `POST`, …
    pub method: String,
}

fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl GatewayContext {
    /// The path of the stage in URLs of the gateway's own domain, such as `/v1`; blank for the stage `$default`.
    pub fn stage_path(&self) -> String {
        match self.stage.as_deref() {
            None | Some("$default") => String::new(),
            Some(stage) => format!("/{stage}"),
        }
    }

    /// Whether the client called a custom domain. The gateway's own begins with the API's id.
    pub fn has_custom_domain(&self) -> bool {
        match (&self.domain_name, &self.api_id) {
            (Some(domain), Some(api)) => !domain.starts_with(&format!("{api}.execute-api.")),
            _ => false,
        }
    }
}

impl Event {
    /// The value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        if let Some(value) = self.headers.get(name) {
            return Some(value);
        }
        // The local gateway may keep the client's spelling.
        self.headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Takes the bytes of the body out of the event. The gateway encodes a body as base64 unless its content type is text.
    pub fn take_body(&mut self) -> Vec<u8> {
        let body = self.body.take().unwrap_or_default();
        if self.is_base64_encoded {
            // The gateway sends no malformed base64. If it did, the endpoint would refuse the text as a malformed body.
            STANDARD.decode(&body).unwrap_or_else(|_| body.into_bytes())
        } else {
            body.into_bytes()
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
