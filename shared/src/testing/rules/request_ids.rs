//! The id of a request.

use super::valid_request;
use crate::endpoint::Endpoint;
use crate::http::Handler;
use crate::testing::TestApp;

/// Every response has the request's id: the client's if that is visible ASCII of a sane length, else the gateway's.
pub async fn request_ids(endpoint: Endpoint, handle: impl Handler) {
    const GATEWAY: &str = "JKJaXmPLvHcESHA=";
    let app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await;
    let (longest, too_long) = ("i".repeat(128), "i".repeat(129));
    for (sent, echoed) in [
        ("a", "a"),
        ("~req-1/{2}!", "~req-1/{2}!"),
        (&longest, &longest),
        (&too_long, GATEWAY),
        ("", GATEWAY),
        ("two words", GATEWAY),
        ("tab\t", GATEWAY),
        ("\u{e9}", GATEWAY),
        ("line\r\nbreak: x", GATEWAY),
    ] {
        for refused in [good.clone().path("/nowhere"), good.clone().without_header("x-api-key")] {
            let response = app.send(endpoint, handle, &refused.header("x-request-id", sent)).await;

            assert_eq!(response.header("x-request-id"), echoed, "{sent}");
        }
    }

    let response = app.send(endpoint, handle, &good).await;

    assert_eq!(response.header("x-request-id"), GATEWAY, "without a client's id");
}
