//! Request bodies: their media type, their syntax and their size.

use serde_json::json;

use super::{success, valid_request};
use crate::endpoint::Endpoint;
use crate::http::Handler;
use crate::testing::TestApp;
use crate::wire::MAX_VALUES;

/// A body is JSON by its content type and by its syntax, an object (or an array, where the endpoint takes one), and within
/// the endpoint's limit. Unknown fields are ignored.
pub async fn bodies(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    json_content_types_are_accepted(&app, endpoint, handle).await;
    other_content_types_are_refused(&app, endpoint, handle).await;
    encoded_bodies_are_refused(&app, endpoint, handle).await;
    malformed_bodies_are_refused(&app, endpoint, handle).await;
    the_limit_counts_bytes(&app, endpoint, handle).await;
    the_limit_counts_values(&app, endpoint, handle).await;
    a_byte_order_mark_is_skipped(&app, endpoint, handle).await;
    unknown_fields_are_ignored(&app, endpoint, handle).await;
}

async fn json_content_types_are_accepted(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let without = valid_request(app, endpoint).await.without_header("content-type");

    let response = app.send(endpoint, handle, &without).await;

    assert_eq!(response.status, success(endpoint), "no content type: {}", response.text);
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=\"utf-8\"",
        " application/json ;x=y",
    ] {
        let request = valid_request(app, endpoint).await.header("content-type", content_type);

        let response = app.send(endpoint, handle, &request).await;

        assert_eq!(response.status, success(endpoint), "{content_type}: {}", response.text);
    }
}

async fn other_content_types_are_refused(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let good = valid_request(app, endpoint).await;
    for content_type in
        ["text/plain", "application/json+x", "application/jsonp", "text/csv", "multipart/form-data; a=b", "x"]
    {
        let response = app.send(endpoint, handle, &good.clone().header("content-type", content_type)).await;

        let expected = (415, "Content-Type must be application/json".to_owned());
        assert_eq!((response.status, response.detail()), expected, "{content_type}");
    }
}

async fn encoded_bodies_are_refused(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    for content_encoding in ["gzip", "br", "identity, gzip", "aws-chunked", "x"] {
        let encoded = valid_request(app, endpoint).await.header("content-encoding", content_encoding);

        let response = app.send(endpoint, handle, &encoded).await;

        let expected = (415, "Content-Encoding must be identity: send the body uncompressed".to_owned());
        assert_eq!((response.status, response.detail()), expected, "{content_encoding}");
        assert_eq!(response.header("accept-encoding"), "identity");
    }
    for content_encoding in ["", "identity", " Identity "] {
        let plain = valid_request(app, endpoint).await.header("content-encoding", content_encoding);

        let response = app.send(endpoint, handle, &plain).await;

        assert_eq!(response.status, success(endpoint), "{content_encoding:?}: {}", response.text);
    }
}

async fn malformed_bodies_are_refused(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let takes_arrays = endpoint.spec().body.expect("the endpoint takes a body").takes_arrays();
    let good = valid_request(app, endpoint).await;
    for (body, detail) in malformed_bodies() {
        // What is wrong with an array is up to the tests of an endpoint that takes one.
        if takes_arrays && body.trim_ascii_start().starts_with(b"[") {
            continue;
        }
        let response = app.send(endpoint, handle, &good.clone().bytes(&body)).await;

        let expected = (400, format!("Validation error: body {detail}"));
        assert_eq!((response.status, response.detail()), expected, "{}", String::from_utf8_lossy(&body));
    }
}

/// Bodies that are not a JSON object, each with the error that it gets.
fn malformed_bodies() -> Vec<(Vec<u8>, String)> {
    let syntax = |body: &[u8], line: u32, column: u32| {
        (body.to_vec(), format!("is not valid JSON (line {line}, column {column})"))
    };
    let other = |body: &[u8], detail: &str| (body.to_vec(), detail.to_owned());
    vec![
        syntax(b"", 1, 0),
        syntax(b" \n ", 2, 1),
        syntax(b"{", 1, 1),
        syntax(b"{\"a\": 1,}", 1, 9),
        syntax(b"{\n  \"a\": tru }", 2, 11),
        syntax(b"{'a': 1}", 1, 2),
        syntax(b"{} {}", 1, 4),
        syntax("\u{feff}".as_bytes(), 1, 0),
        syntax("\u{feff}\u{feff}{}".as_bytes(), 1, 1),
        syntax(b"{\"a\": NaN}", 1, 7),
        syntax(b"{\"a\": \"\x01\"}", 1, 7),
        syntax(b"{\"a\": \"\xff\"}", 1, 8),
        syntax(b"full_name=Jane", 1, 2),
        other(b"\n {\"\\ud800\": 1}", "must hold only valid Unicode text"),
        other(b"[]", "must be a JSON object"),
        other(b" [{}]", "must be a JSON object"),
        other(b"\"{}\"", "must be a JSON object"),
        other(b"null", "must be a JSON object"),
        other(b"42", "must be a JSON object"),
    ]
}

/// Values are limited because of the memory that they take, in fields that the endpoint does not read too.
async fn the_limit_counts_values(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let good = valid_request(app, endpoint).await;
    let body = format!(r#"{{"unknown": [1{}]}}"#, ",1".repeat(MAX_VALUES));
    if body.len() > endpoint.spec().body.expect("the endpoint takes a body").limit {
        return;
    }

    let response = app.send(endpoint, handle, &good.text(body)).await;

    let expected = (400, format!("Validation error: body must hold at most {MAX_VALUES} JSON values"));
    assert_eq!((response.status, response.detail()), expected);
}

async fn the_limit_counts_bytes(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let limit = endpoint.spec().body.expect("the endpoint takes a body").limit;
    let good = valid_request(app, endpoint).await;
    let body = good.body().to_string();
    let padded_to = |length: usize| body.clone() + &" ".repeat(length - body.len());

    let longest = app.send(endpoint, handle, &good.clone().text(padded_to(limit))).await;
    let too_long = app.send(endpoint, handle, &good.text(padded_to(limit + 1))).await;

    assert_eq!(longest.status, success(endpoint), "{}", longest.text);
    let expected = (413, format!("Request body must be at most {limit} bytes"));
    assert_eq!((too_long.status, too_long.detail()), expected);
}

async fn a_byte_order_mark_is_skipped(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let request = valid_request(app, endpoint).await;
    let body = format!("\u{feff}{}", request.body());

    let response = app.send(endpoint, handle, &request.text(body)).await;

    assert_eq!(response.status, success(endpoint), "{}", response.text);
}

/// The body is encoded, as the gateway encodes a body whose content type is unknown to it.
async fn unknown_fields_are_ignored(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let request = valid_request(app, endpoint).await;
    let mut body = request.body();
    let object = if body.is_array() { &mut body[0] } else { &mut body };
    object["unknown"] = json!({"id": [null]});

    let response = app.send(endpoint, handle, &request.bytes(body.to_string().as_bytes())).await;

    assert_eq!(response.status, success(endpoint), "{}", response.text);
}
