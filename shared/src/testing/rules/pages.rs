//! The rules that hold for every page.

use std::io::Read;

use flate2::read::GzDecoder;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::aws_lambda_events::encodings::Body;
use serde_json::Value;

use super::assert_common_headers;
use crate::config::PageConfig;
use crate::http::PageServer;
use crate::page::{Page, PageContent};
use crate::repositories::MAX_RESPONSE_BYTES;
use crate::testing::app::{deadline, invocation};
use crate::testing::{Log, TestRequest, TestResponse};

/// Generates the tests of a page, in a module of their own.
#[macro_export]
macro_rules! every_page {
    ($page:expr, $content:expr) => {
        /// The contract's rules for every page.
        mod every_page {
            use super::*;
            use $crate::testing::rules::pages;

            #[test]
            fn the_function_serves_the_page_of_its_name() {
                assert_eq!($page.name(), env!("CARGO_PKG_NAME"));
            }

            #[test]
            fn routes() {
                pages::routes($page, $content);
            }

            #[test]
            fn representations() {
                pages::representations($page, $content);
            }

            #[test]
            fn conditional_requests() {
                pages::conditional_requests($page, $content);
            }

            #[test]
            fn log_lines() {
                pages::log_lines($page, $content);
            }
        }
    };
}

/// A server that knows the path of a custom domain.
fn server(page: Page, content: PageContent) -> PageServer {
    let base_path = "crm/v2".parse().expect("the key of an API mapping");
    PageServer::new(page, content, PageConfig { base_path, metrics_namespace: Some("test".to_owned()) })
}

fn send(server: &PageServer, request: &TestRequest) -> ApiGatewayV2httpResponse {
    let response = server.serve(&request.event(), &invocation(deadline()));
    let len = serde_json::to_vec(&response).expect("a response is JSON").len();
    assert!(len <= MAX_RESPONSE_BYTES, "Lambda takes no response of {len} bytes");
    response
}

/// A page is served at its own path, with and without the trailing slash, on every base URL of the API. Other routes are
/// refused as those of endpoints are.
pub fn routes(page: Page, content: PageContent) {
    let server = server(page, content);
    let request = TestRequest::example_of_page(page);
    let [bare, slash] = [page.path().to_owned(), format!("{}/", page.path())];
    for path in [&bare, &slash] {
        for request in [
            request.clone().path(path),
            request.clone().path(path).stage("v1"),
            request.clone().path(format!("/crm/v2{path}")),
        ] {
            let path = request.event().raw_path;
            assert_eq!(send(&server, &request).status_code, 200, "{path}");
        }
    }
    for path in ["", "/", "/nowhere", &format!("/v1{bare}"), &format!("{bare}/x"), &format!("/{bare}")] {
        let response = TestResponse::new(&send(&server, &request.clone().path(path)));
        assert_eq!((response.status, response.detail()), (404, "Not found".to_owned()), "{path}");
        assert_common_headers(&response);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "HEAD", "get", ""] {
        let response = TestResponse::new(&send(&server, &request.clone().method(method)));
        assert_eq!((response.status, response.detail()), (405, "Method not allowed".to_owned()), "{method}");
        assert_eq!(response.header("allow"), "GET", "{method}");
        assert_common_headers(&response);
    }
}

/// A client that accepts gzip gets the document compressed, another one as it is. Both may be kept by caches, and tell
/// browsers to load nothing from elsewhere.
pub fn representations(page: Page, content: PageContent) {
    let server = server(page, content);
    let request = TestRequest::example_of_page(page).header("x-request-id", "of-a-client");
    let id_of_the_gateway = request.event().request_context.request_id.expect("the gateway gives each request an id");

    let [plain, compressed] = ["identity", "br, gzip;q=0.8"].map(|coding| {
        let response = send(&server, &request.clone().header("accept-encoding", coding));
        let headers = TestResponse::new(&response);
        for (name, expected) in [
            ("content-type", content.media_type),
            ("cache-control", "public, max-age=300"),
            ("content-security-policy", content.content_security_policy),
            ("referrer-policy", "no-referrer"),
            ("vary", "Accept-Encoding"),
            ("x-content-type-options", "nosniff"),
            ("x-request-id", &id_of_the_gateway),
        ] {
            assert_eq!(headers.header(name), expected, "{name}");
        }
        (response, headers)
    });

    assert_eq!((plain.1.header("content-encoding"), compressed.1.header("content-encoding")), ("", "gzip"));
    assert_eq!((plain.0.is_base64_encoded, compressed.0.is_base64_encoded), (false, true));
    assert_eq!(plain.1.text, content.text);
    let Some(Body::Binary(gzip)) = compressed.0.body else { panic!("a compressed document is binary") };
    let mut text = String::new();
    GzDecoder::new(&gzip[..]).read_to_string(&mut text).expect("the body is gzip of UTF-8");
    assert_eq!(text, content.text);
    let policy = content.content_security_policy;
    assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
}

/// A client that names the document that it has gets a 304 without a body; one with another document, or the other
/// representation, gets the document.
pub fn conditional_requests(page: Page, content: PageContent) {
    let server = server(page, content);
    let request = TestRequest::example_of_page(page);
    let etag = |coding: &str| {
        let response = send(&server, &request.clone().header("accept-encoding", coding));
        TestResponse::new(&response).header("etag").to_owned()
    };
    let (plain, compressed) = (etag("identity"), etag("gzip"));
    assert!(plain.starts_with('"') && compressed.starts_with('"') && plain != compressed, "{plain} {compressed}");

    for (coding, known, expected) in [
        ("gzip", compressed.as_str(), 304),
        ("gzip", &format!("\"other\", W/{compressed}"), 304),
        ("identity", &plain, 304),
        ("identity", "*", 304),
        ("identity", &compressed, 200),
        ("gzip", "\"other\"", 200),
        ("gzip", "no tag", 200),
    ] {
        let request = request.clone().header("accept-encoding", coding).header("if-none-match", known);
        let response = TestResponse::new(&send(&server, &request));
        assert_eq!(response.status, expected, "{coding} {known}");
        if expected == 304 {
            assert_eq!((response.text.as_str(), response.header("content-type")), ("", ""), "{coding} {known}");
            assert_eq!(response.header("etag"), if coding == "gzip" { &compressed } else { &plain });
            assert_eq!(response.header("cache-control"), "public, max-age=300");
        }
    }
}

/// A request is logged by one line, as that of an endpoint, which holds nothing that the client has sent.
pub fn log_lines(page: Page, content: PageContent) {
    let server = server(page, content);
    let request = TestRequest::example_of_page(page).query("a=canary").header("x-api-key", "canary");
    let log = Log::start();
    for (request, status) in [(request.clone(), 200), (request.method("POST"), 405)] {
        send(&server, &request);

        let text = log.take();
        let line: Value = serde_json::from_str(&text).expect("one line of JSON");
        assert_eq!((&line["operation"], &line["status"]), (&page.operation_id().into(), &status.into()), "{text}");
        for member in ["request_id", "lambda_request_id", "duration_ms", "client_errors", "_aws"] {
            assert!(!line[member].is_null(), "{member} in {text}");
        }
        assert!(!text.contains("canary"), "{text}");
    }
}
