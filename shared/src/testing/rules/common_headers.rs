//! The headers of every response.

use crate::testing::TestResponse;

/// Asserts that a response of whatever status has its request id, and tells caches and browsers what they may do with it.
/// [`TestApp::send`](crate::testing::TestApp::send) asserts it of every response.
#[track_caller]
pub(in crate::testing) fn assert_common_headers(response: &TestResponse) {
    let TestResponse { status, headers, .. } = response;
    let may_be_kept_by_client = !response.header("etag").is_empty();
    let cache_control = if may_be_kept_by_client { "private, no-cache" } else { "no-store" };
    for (name, expected) in
        [("cache-control", cache_control), ("vary", "X-API-Key, Authorization"), ("x-content-type-options", "nosniff")]
    {
        assert_eq!(response.header(name), expected, "{name} of a {status}: {headers}");
    }
    assert_ne!(response.header("x-request-id"), "", "x-request-id of a {status}: {headers}");
}
