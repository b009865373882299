//! Organizations are isolated from each other.

use uuid::Uuid;

use super::{NamedResource, path_with_id, success, valid_request};
use crate::endpoint::Endpoint;
use crate::http::Handler;
use crate::testing::TestApp;

/// The response for another organization's resource equals, to the byte, the response for a missing one, and the resource
/// stays as it is.
pub async fn isolation(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let own = valid_request(&app, endpoint).await;
    let before = app.items().await;
    let foreign = own.clone().header("x-api-key", app.other.admin_key.in_clear());
    let missing = foreign.clone().path(path_with_id(endpoint, &Uuid::new_v4().to_string()));

    let of_missing = app.send(endpoint, handle, &missing).await;
    let of_foreign = app.send(endpoint, handle, &foreign).await;

    let detail = NamedResource::of(endpoint).expect("the path names a resource").missing;
    assert_eq!((of_missing.status, of_missing.detail()), (404, detail));
    assert_eq!(of_foreign, of_missing);
    assert_eq!(app.items().await, before);
    assert_eq!(app.send(endpoint, handle, &own).await.status, success(endpoint));
}
