//! The order in which the defects of a request are refused.

use serde_json::json;
use uuid::Uuid;

use super::credentials::bearer;
use super::{FORBIDDEN, NamedResource, TOO_MANY_REQUESTS, UNAUTHENTICATED, path_with_id, success, valid_request};
use crate::domain::{RateLimit, Scope};
use crate::endpoint::{ACTIVITY_ID, Conflict, Endpoint, Header};
use crate::http::Handler;
use crate::testing::{TestApp, TestRequest, jane};
use crate::wire::param::ParamKind;

/// A request with several defects is refused for the first of them, in the documented order.
pub async fn order_of_refusals(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    // So that the caller that has used up its rate limit does not regain a request.
    app.stop_clock();
    let good = valid_request(&app, endpoint).await;
    let defects = defects(&app, endpoint).await;
    for (index, Defect { status, detail, .. }) in defects.iter().enumerate() {
        // It has this defect and all that follow. The first is applied last, so that it is not undone by another.
        let mut request = good.clone();
        for defect in defects[index..].iter().rev() {
            request = defect.change.apply(request);
        }

        let response = app.send(endpoint, handle, &request).await;

        assert_eq!(response.status, *status, "{}", response.text);
        assert!(response.detail().contains(detail), "{detail}: {}", response.text);
    }
    assert_eq!(app.send(endpoint, handle, &good).await.status, success(endpoint));
}

/// A defect of a request and the refusal that it leads to.
struct Defect {
    status: u64,
    /// A part of the error's sentence.
    detail: String,
    change: Change,
}

/// The change that gives a valid request a defect.
enum Change {
    Path(String),
    PathSuffix(&'static str),
    Query(String),
    Method(&'static str),
    Header(String, String),
    /// This `Authorization` instead of an API key.
    Token(String),
    ApiKey(String),
    Body(String),
}

impl Change {
    fn header(name: &str, value: &str) -> Self {
        Self::Header(name.to_ascii_lowercase(), value.to_owned())
    }

    fn apply(&self, request: TestRequest) -> TestRequest {
        match self {
            Self::Path(path) => request.path(path),
            Self::PathSuffix(suffix) => {
                let path = request.event().raw_path;
                request.path(path + suffix)
            }
            Self::Query(query) => request.query(query),
            Self::Method(method) => request.method(method),
            Self::Header(name, value) => request.header(name, value),
            Self::Token(authorization) => request.without_header("x-api-key").header("authorization", authorization),
            Self::ApiKey(key) => request.header("x-api-key", key),
            Self::Body(body) => request.text(body),
        }
    }
}

/// The defects that a request to this endpoint can have, in the documented order.
async fn defects(app: &TestApp, endpoint: Endpoint) -> Vec<Defect> {
    if endpoint.spec().conflicts.contains(&Conflict::EmailTaken) {
        app.create_jane("taken@example.com").await;
    }
    let mut defects = Vec::new();
    let mut add = |status, detail: &str, change| defects.push(Defect { status, detail: detail.to_owned(), change });
    let other_scope = if endpoint.spec().scope == Scope::Read { Scope::Write } else { Scope::Read };
    let exhausted = exhausted_key(app, other_scope).await;
    add_route_and_credentials(app, other_scope, exhausted, &mut add);
    add_malformed_parts(endpoint, &mut add);
    add_state(endpoint, &mut add);
    defects
}

/// An API key of this scope whose one request per second has been sent.
async fn exhausted_key(app: &TestApp, scope: Scope) -> String {
    let limit = RateLimit::new(1, Some(1)).expect("the limit is valid");
    let (key, _) = app.store_api_key(&[scope], Some(limit)).await;
    let principal = app.principal_of(&key).await;
    assert_eq!(app.ctx().admit(&principal).retry_after, None);
    key.in_clear().to_owned()
}

fn add_route_and_credentials(
    app: &TestApp,
    other_scope: Scope,
    exhausted_key: String,
    add: &mut impl FnMut(u64, &str, Change),
) {
    add(404, "Not found", Change::Path("/nowhere".to_owned()));
    add(405, "Method not allowed", Change::Method("OPTIONS"));
    add(401, UNAUTHENTICATED, Change::Token(String::new()));
    add(429, TOO_MANY_REQUESTS, Change::ApiKey(exhausted_key));
    add(403, FORBIDDEN, Change::Token(bearer(&app.org, &json!({"scope": other_scope.as_str()}))));
}

fn add_malformed_parts(endpoint: Endpoint, add: &mut impl FnMut(u64, &str, Change)) {
    let spec = endpoint.spec();
    if let Some(body) = spec.body {
        add(415, "Content-Type", Change::header("content-type", "text/plain"));
        add(415, "Content-Encoding", Change::header("content-encoding", "gzip"));
        add(413, "at most", Change::Body("{".repeat(body.limit + 1)));
    }
    if let Some(named) = NamedResource::of(endpoint) {
        add(400, &named.malformed, Change::Path(path_with_id(endpoint, "42")));
    }
    if spec.path.contains(ACTIVITY_ID) {
        add(400, "Validation error: activity_id must be", Change::PathSuffix("%20"));
    }
    for header in spec.headers {
        add(400, header.name(), Change::header(header.name(), "not\u{e9}"));
    }
    // Any text is valid for a parameter of free text.
    if let Some(param) = spec.query.iter().find(|param| param.kind != ParamKind::Text) {
        add(400, param.name, Change::Query(format!("{}=x", param.name)));
    }
    if spec.body.is_some() {
        add(400, "body is not valid JSON", Change::Body("{".to_owned()));
    }
}

fn add_state(endpoint: Endpoint, add: &mut impl FnMut(u64, &str, Change)) {
    let spec = endpoint.spec();
    let unknown_id = Uuid::new_v4().to_string();
    if let Some(named) = NamedResource::of(endpoint) {
        add(404, &named.missing, Change::Path(path_with_id(endpoint, &unknown_id)));
    }
    if spec.path.contains(ACTIVITY_ID) {
        add(404, "Activity not found", Change::PathSuffix("-unknown"));
    }
    if spec.requires_import() {
        add(404, "Import not found", Change::header("x-import-id", &unknown_id));
    }
    if spec.headers.contains(&Header::IfMatch) {
        add(412, "has changed", Change::header("if-match", "\"99-x\""));
    }
    if spec.conflicts.contains(&Conflict::EmailTaken) {
        add(409, "'taken@example.com'", Change::Body(jane("taken@example.com").to_string()));
    }
}
