//! The route of an endpoint and the ids in its path.

use super::{NamedResource, success, valid_request};
use crate::endpoint::Endpoint;
use crate::http::Handler;
use crate::testing::{TestApp, TestRequest};

/// An endpoint serves its own path, with and without the trailing slash, and its own method, on every base URL of the API.
/// Other routes are refused before anything else.
pub async fn routes(endpoint: Endpoint, handle: impl Handler) {
    own_route(endpoint, handle).await;
    known_prefixes(endpoint, handle).await;
}

async fn own_route(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    for slash in ["", "/"] {
        let request = valid_request(&app, endpoint).await;
        let path = format!("{}{slash}", request.event().raw_path.trim_end_matches('/'));

        let response = app.send(endpoint, handle, &request.path(&path)).await;

        assert_eq!(response.status, success(endpoint), "{path}: {}", response.text);
    }
    for path in ["", "/", "/nowhere", "/contacts/a/b", "//contacts", "/Contacts/", "/imports/x/y"] {
        let response = app.send(endpoint, handle, &TestRequest::example(endpoint).path(path)).await;

        assert_eq!((response.status, response.detail()), (404, "Not found".to_owned()), "{path}");
    }
    let own = endpoint.spec().method.as_str();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "get", ""] {
        if method == own {
            continue;
        }
        let response = app.send(endpoint, handle, &TestRequest::example(endpoint).method(method)).await;

        assert_eq!((response.status, response.detail()), (405, "Method not allowed".to_owned()), "{method}");
        assert_eq!(response.header("allow"), own, "{method}");
    }
}

/// A path may begin with the stage or with the path of a custom domain. `Location` begins with the path of the client's URL.
async fn known_prefixes(endpoint: Endpoint, handle: impl Handler) {
    let mut app = TestApp::new().await;
    app.restart_with_base_path("crm/v2");
    // The example events come by a custom domain.
    let [mapped, kept, at_stage] = [(); 3].map(|()| valid_request(&app, endpoint));
    let below = |prefix: &str, request: TestRequest| {
        let path = format!("{prefix}{}", request.event().raw_path);
        request.path(path)
    };
    for (request, base_path) in
        [(mapped.await, "/crm/v2"), (below("/crm/v2", kept.await), "/crm/v2"), (at_stage.await.stage("v1"), "/v1")]
    {
        let response = app.send(endpoint, handle, &request).await;

        let path = request.event().raw_path;
        assert_eq!(response.status, success(endpoint), "{path}: {}", response.text);
        let location = response.header("location");
        let expected = format!("{base_path}/{}/", endpoint.spec().resource());
        assert!(location.is_empty() || location.starts_with(&expected), "{path}: {location}");
    }
    for other in ["/v1", "/CRM/v2", "/crm"] {
        let response = app.send(endpoint, handle, &below(other, TestRequest::example(endpoint))).await;

        assert_eq!((response.status, response.detail()), (404, "Not found".to_owned()), "{other}");
    }
}

/// An id in a path is a UUID in its hyphenated form, in upper or lower case.
pub async fn path_ids(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await;
    let path = good.event().raw_path;
    let id = path.split('/').nth(2).expect("the path names a resource").to_owned();
    let malformed = NamedResource::of(endpoint).expect("the path names a resource").malformed;
    for wrong in ["42", "", "%20", &id[1..], &id.replace('-', ""), &format!("{{{id}}}"), &format!("{id}x")] {
        let response = app.send(endpoint, handle, &good.clone().path(path.replace(&id, wrong))).await;

        // A path without the id at its end is the path of another endpoint.
        let expected =
            if wrong.is_empty() && path.ends_with(&id) { (404, "Not found") } else { (400, malformed.as_str()) };
        assert_eq!((response.status, response.detail().as_str()), expected, "{wrong}");
    }

    let response = app.send(endpoint, handle, &good.path(path.replace(&id, &id.to_uppercase()))).await;

    assert_eq!(response.status, success(endpoint), "{}", response.text);
}
