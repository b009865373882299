//! The pipeline of a page: from the gateway's event to a document that caches may keep.
//!
//! It is the pipeline of an endpoint (`serve.rs`) without all that depends on the caller: the route, the conditional request,
//! the response, and one log line with the same members.
//!
//! The document and its compressed form are two representations, so each has an `ETag` of its own (RFC 9110 §8.8.3.3).

use std::sync::Arc;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::aws_lambda_events::encodings::Body;
use lambda_runtime::{LambdaEvent, service_fn};
use tokio::time::Instant;

use crate::config::{BasePath, PageConfig};
use crate::dynamodb::ConsumedCapacity;
use crate::invocation::Invocation;
use crate::page::{Page, PageContent};
use crate::telemetry::{self, CommonMetrics, MetricDirectives, RequestLine, RequestMetrics, is_cold_start};

use super::error::ApiError;
use super::event::Event;
use super::headers::EntityTags;
use super::response::Response;
use super::route::{Route, check_method};
use super::serve::request_ids;

/// For five minutes after a deployment, a client may see the page of the release before.
const CACHE_CONTROL: &str = "public, max-age=300";

/// Runs the function of a page until the platform stops its process.
///
/// # Errors
/// An invalid configuration, or a failure of the Lambda runtime.
pub async fn run_page(page: Page, content: PageContent) -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let server = Arc::new(PageServer::new(page, content, PageConfig::from_env()?));
    let service = service_fn(move |event: LambdaEvent<Event>| {
        let server = server.clone();
        async move {
            let LambdaEvent { payload, context } = event;
            // Nothing is waited for, so the deadline does not matter.
            let invocation = Invocation::new(context, Instant::now());
            Ok::<_, lambda_runtime::Error>(server.serve(&payload, &invocation))
        }
    });
    lambda_runtime::run_concurrent(service).await
}

/// What the requests of a page's process share.
#[derive(Debug)]
pub struct PageServer {
    page: Page,
    content: PageContent,
    base_path: BasePath,
    metric_directives: MetricDirectives,
}

impl PageServer {
    /// The server of a page with this content.
    pub fn new(page: Page, content: PageContent, config: PageConfig) -> Self {
        let PageConfig { base_path, metrics_namespace } = config;
        Self { page, content, base_path, metric_directives: MetricDirectives::new(metrics_namespace.as_deref()) }
    }

    /// Serves one request: returns a response in every case, and logs one line.
    pub fn serve(&self, event: &Event, invocation: &Invocation) -> ApiGatewayV2httpResponse {
        let started = Instant::now();
        let cold_start = is_cold_start();
        let ids = request_ids(event, invocation);
        let response = match self.check_route(event) {
            // Caches give this response to other clients, so it has no id that one of them has chosen.
            Ok(()) => self.respond(event, ids.gateway.as_deref().unwrap_or(&ids.request)),
            Err(error) => error.into_response().with_common_headers(&ids.request).into(),
        };
        let status = u16::try_from(response.status_code).unwrap_or_default();
        let metrics = CommonMetrics::new(started.elapsed(), ConsumedCapacity::default(), cold_start);
        let line = RequestLine {
            operation: &self.page.operation_id(),
            ids: &ids,
            caller: None,
            status,
            metrics: RequestMetrics::new(status, metrics),
            error: None,
        };
        line.log(&self.metric_directives);
        response
    }

    fn check_route(&self, event: &Event) -> Result<(), ApiError> {
        Route::find(self.page.path(), event, &self.base_path).ok_or(ApiError::NoRoute)?;
        check_method(event, "GET")
    }

    /// The document, or a 304 if the client has it already. An `If-None-Match` that cannot be parsed names no document.
    fn respond(&self, event: &Event, request_id: &str) -> ApiGatewayV2httpResponse {
        let PageContent { media_type, text, gzip, hash, content_security_policy } = self.content;
        let compressed = accepts_gzip(event);
        let etag = if compressed { format!("\"{hash}-gzip\"") } else { format!("\"{hash}\"") };
        let known = event.header("if-none-match").and_then(|tags| tags.parse::<EntityTags>().ok());
        let is_known = known.is_some_and(|tags| tags.contain(&etag));
        let response = Response::empty(if is_known { 304 } else { 200 })
            .with("etag", etag)
            .with("cache-control", CACHE_CONTROL)
            .with("vary", "Accept-Encoding")
            .with("content-security-policy", content_security_policy)
            .with("referrer-policy", "no-referrer")
            .with("x-content-type-options", "nosniff")
            .with("x-request-id", request_id);
        if is_known {
            return response.into();
        }
        let response = response.with("content-type", media_type);
        if !compressed {
            let mut response = ApiGatewayV2httpResponse::from(response);
            response.body = Some(Body::Text(text.to_owned()));
            return response;
        }
        let mut response = ApiGatewayV2httpResponse::from(response.with("content-encoding", "gzip"));
        response.body = Some(Body::Binary(gzip.to_vec()));
        response.is_base64_encoded = true;
        response
    }
}

/// Whether a client accepts gzip (RFC 9110 §12.5.3). One that accepts any coding gets the document as it is.
fn accepts_gzip(event: &Event) -> bool {
    let accepted = event.header("accept-encoding").unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight != Some(0.0)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn gzip_is_sent_to_clients_that_name_it() {
        for (accepted, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip ; q=0", false),
            ("gzip;q=0.000", false),
            ("deflate, x-gzip-not", false),
            ("*", false),
            ("identity", false),
            ("", false),
        ] {
            let event = serde_json::from_value(json!({"headers": {"accept-encoding": accepted}})).unwrap();
            assert_eq!(accepts_gzip(&event), expected, "{accepted}");
        }
        assert!(!accepts_gzip(&Event::default()));
    }
}
