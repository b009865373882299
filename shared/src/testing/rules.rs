//! The contract's "Rules for every endpoint", as checks that each endpoint's own tests run on it.
//!
//! Each takes the endpoint and its handler, and panics naming the request that was answered wrongly.

/// Makes a test of each rule that is named, in a module of its own.
#[macro_export]
macro_rules! every_endpoint {
    ($endpoint:expr, $handle:ident: $($rule:ident),+ $(,)?) => {
        /// The contract's rules for every endpoint, each a test.
        mod every_endpoint {
            use super::*;

            $(
                #[tokio::test]
                async fn $rule() {
                    $crate::testing::rules::$rule($endpoint, $handle).await;
                }
            )+
        }
    };
}

use std::future::Future;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::tenant::{forged, token};
use super::{JWT_SECRET, Tenant, TestApp, TestRequest, TestResponse, fault, jane};
use crate::app::RequestContext;
use crate::domain::{Kind, Scope};
use crate::dynamodb::keys;
use crate::endpoint::{ACTIVITY_ID, BodySpec, Endpoint, Header, ParamKind, Spec};
use crate::http::{ApiError, Request, Response};

const UNAUTHENTICATED: &str = "InvalidValue or missing authentication credentials";

/// A request that the endpoint answers with success, on a contact of the organization's own where it names one.
pub async fn valid_request(app: &TestApp, endpoint: Endpoint) -> TestRequest {
    let email = format!("{}@example.com", Uuid::new_v4());
    let request = TestRequest::to(endpoint, &app.org);
    match endpoint {
        Endpoint::GetContact | Endpoint::UpdateContact | Endpoint::DeleteContact => {
            request.path(format!("/contacts/{}", app.jane(&email).await.id))
        }
        Endpoint::CreateContact => request.json(&jane(&email)),
        Endpoint::BulkUploadContacts => request.json(&json!([jane(&email)])),
        Endpoint::RecordActivities => request.path(format!("/contacts/{}/activities", app.jane(&email).await.id)),
        Endpoint::UpdateActivity => {
            let contact = app.jane(&email).await.id;
            let id =
                app.activity(contact, json!({"event_time": "2024-04-18T10:15:00Z", "event_type": "replied"})).await.id;
            request
                .path(format!("/contacts/{contact}/activities/{}", id.as_str()))
                .json(&json!({"metadata": {"opened": true}}))
        }
        Endpoint::GetCampaign | Endpoint::UpdateCampaign | Endpoint::DeleteCampaign => {
            request.path(format!("/campaigns/{}", app.campaign(json!({"name": "Q1"})).await.id))
        }
        Endpoint::GetImport | Endpoint::UpdateImport | Endpoint::DeleteImport => {
            request.path(format!("/imports/{}", app.import(&app.org).await))
        }
        Endpoint::LinkImports => {
            let (campaign, import) = (app.campaign(json!({"name": "Q1"})).await.id, app.import(&app.org).await);
            app.create(&app.org, jane(&email), Some(import)).await;
            request.path(format!("/campaign-imports/{campaign}/imports")).json(&json!({"import_ids": [import]}))
        }
        Endpoint::GetCampaignLead | Endpoint::UpdateCampaignLead => {
            request.path(format!("/campaign-leads/{}", app.lead().await.id()))
        }
        Endpoint::RevokeApiKey => request.path(format!("/api-keys/{}", app.api_key(Scope::ALL).await.1.id)),
        Endpoint::ListContacts
        | Endpoint::CreateImport
        | Endpoint::ListImports
        | Endpoint::CreateCampaign
        | Endpoint::ListCampaigns
        | Endpoint::ListCampaignLeads
        | Endpoint::ListCompanies
        | Endpoint::CreateApiKey
        | Endpoint::ListApiKeys => request,
    }
}

/// An endpoint's path and method are its own, with and without the trailing slash, and said before anything else.
pub async fn routes<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    let app = TestApp::new().await;
    let spec = endpoint.spec();
    for slash in ["", "/"] {
        let request = valid_request(&app, endpoint).await;
        let path = format!("{}{slash}", request.event().raw_path.trim_end_matches('/'));
        let answer = app.send(endpoint, handle, &request.path(&path)).await;
        assert_eq!(answer.status, u64::from(spec.success), "{path}: {}", answer.text);
    }
    for path in ["", "/", "/nowhere", "/contacts/a/b", "//contacts", "/Contacts/", "/imports/x/y"] {
        let answer = app.send(endpoint, handle, &TestRequest::example(endpoint).path(path)).await;
        assert_eq!((answer.status, answer.detail()), (404, "Not found".to_owned()), "{path}");
    }
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "get", ""] {
        if method != spec.method.as_str() {
            let answer = app.send(endpoint, handle, &TestRequest::example(endpoint).method(method)).await;
            assert_eq!((answer.status, answer.detail()), (405, "Method not allowed".to_owned()), "{method}");
            assert_eq!(answer.header("allow"), spec.method.as_str(), "{method}");
        }
    }
}

/// Who is let in, who is not known, and who may not.
pub async fn credentials<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    let app = TestApp::new().await;
    let (org, scope) = (&app.org, endpoint.spec().scope);
    let success = u64::from(endpoint.spec().success);
    let mut refused = bad_keys(org);
    refused.extend(bad_headers(org).into_iter().map(|(why, header)| (why, None, Some(header))));
    refused.push(("neither", None, None));
    refused.push(("both, and the key decides", Some(Tenant::new().admin_key.in_clear().to_owned()), Some(good(org))));
    for (why, key, authorization) in refused {
        let answer = send_as(&app, endpoint, handle, key.as_deref(), authorization.as_deref()).await;
        assert_eq!((answer.status, answer.detail()), (401, UNAUTHENTICATED.to_owned()), "{why}");
        assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="contacts", ApiKey realm="contacts""#, "{why}");
    }
    let scoped = |scopes: &str| bearer(org, &json!({"scope": scopes}));
    let but = |name: &str, value: Value| bearer(org, &json!({"scope": "admin", name: value}));
    let (read, write) = (scope == Scope::Read, scope == Scope::Write);
    let admin = Some(org.admin_key.in_clear().to_owned());
    for (who, key, authorization, may) in [
        ("the admin key", admin.clone(), None, true),
        ("the key, the token being bad", admin, Some("Bearer x.y.z".to_owned()), true),
        ("the read-only key", Some(org.read_key.in_clear().to_owned()), None, read),
        ("a token without scopes", None, Some(good(org)), read || write),
        ("another spelling of the scheme", None, Some(scoped("admin").replace("Bearer ", "bearer  ")), true),
        ("a token that ended 30 s ago", None, Some(but("exp", json!(at(-30)))), true),
        ("a token that begins in 30 s", None, Some(but("nbf", json!(at(30)))), true),
        ("a token whose times have fractions", None, Some(but("exp", json!(4_102_444_800.5))), true),
        ("a token that may read", None, Some(scoped("openid read")), read),
        ("a token that may write", None, Some(scoped("write")), write),
        ("a token that may do both", None, Some(scoped("read write")), read || write),
        ("a token that may do everything", None, Some(scoped("admin")), true),
        ("a token that may do nothing here", None, Some(scoped("")), false),
        ("a token of another platform", None, Some(scoped("profile reads READ")), false),
    ] {
        let answer = send_as(&app, endpoint, handle, key.as_deref(), authorization.as_deref()).await;
        assert_eq!(answer.status, if may { success } else { 403 }, "{who}: {}", answer.text);
        if !may {
            assert_eq!(answer.detail(), "You do not have permission to access this resource", "{who}");
        }
    }
}

type Credential = (&'static str, Option<String>, Option<String>);

fn bad_keys(org: &Tenant) -> Vec<Credential> {
    let admin = org.admin_key.in_clear();
    let bad = |why, key: &str| (why, Some(key.to_owned()), None);
    vec![
        bad("an unknown key", Tenant::new().admin_key.in_clear()),
        bad("an unknown key of another length", "sk_live_1234567890abcdef"),
        bad("a revoked key", org.revoked_key.in_clear()),
        bad("an expired key", org.expired_key.in_clear()),
        bad("an empty key", ""),
        bad("a prefix", "sk_test_"),
        bad("another prefix", &admin.replace("sk_test_", "pk_test_")),
        bad("a live key in the place of a test key", &admin.replace("sk_test_", "sk_live_")),
        bad("a key and more", &format!("{admin}0")),
        bad("less than a key", &admin[..admin.len() - 1]),
        bad("a key twice", &format!("{admin},{admin}")),
        bad("what is no text of a key", "sk_test_\u{e9}"),
        bad("a long key", &format!("sk_test_{}", "0".repeat(10_000))),
    ]
}

fn bad_headers(org: &Tenant) -> Vec<(&'static str, String)> {
    let bad = |why, claims: Value| (why, bearer(org, &claims));
    let under =
        |header: Value| format!("Bearer {}", forged(JWT_SECRET, &header, &claims(org, &json!({"exp": at(600)}))));
    let unsigned = under(json!({"alg": "none"}));
    let (unsigned, _) = unsigned.rsplit_once('.').expect("a token has a signature");
    vec![
        bad("a token that ended 90 s ago", json!({"exp": at(-90)})),
        bad("a token without an end", json!({"exp": null})),
        bad("a token whose end is no time", json!({"exp": "tomorrow"})),
        bad("a token without a subject", json!({"sub": null})),
        bad("a token without an organization", json!({"org_id": null})),
        bad("a token of what is no organization", json!({"org_id": "acme"})),
        bad("a token that begins in 90 s", json!({"nbf": at(90)})),
        bad("a token whose scope is no text", json!({"scope": ["read"]})),
        ("another secret", format!("Bearer {}", token("another secret", &claims(org, &json!({}))))),
        ("no signature, the algorithm none", format!("{unsigned}.")),
        ("the algorithm none, but a signature", under(json!({"alg": "none"}))),
        ("another algorithm", under(json!({"alg": "HS512"}))),
        ("another kind of algorithm", under(json!({"alg": "RS256"}))),
        ("no algorithm", under(json!({"typ": "JWT"}))),
        ("another scheme", good(org).replace("Bearer", "Basic")),
        ("no scheme", good(org).replace("Bearer ", "")),
        ("no token", "Bearer".to_owned()),
        ("an empty token", "Bearer ".to_owned()),
        ("what is no token", "Bearer x.y.z".to_owned()),
        ("a key in the token's place", format!("Bearer {}", org.admin_key.in_clear())),
        ("an empty header", String::new()),
    ]
}

fn at(seconds: i64) -> i64 {
    (Utc::now() + TimeDelta::seconds(seconds)).timestamp()
}

/// The claims of a good token, changed; `null` leaves one out.
fn claims(org: &Tenant, changes: &Value) -> Value {
    let mut claims = json!({"sub": "user", "org_id": org.org_id, "exp": at(600)});
    for (name, value) in changes.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    if let Some(claims) = claims.as_object_mut() {
        claims.retain(|_, value| !value.is_null());
    }
    claims
}

fn bearer(org: &Tenant, changes: &Value) -> String {
    format!("Bearer {}", token(JWT_SECRET, &claims(org, changes)))
}

fn good(org: &Tenant) -> String {
    bearer(org, &json!({}))
}

async fn send_as<H, F>(
    app: &TestApp,
    endpoint: Endpoint,
    handle: H,
    key: Option<&str>,
    authorization: Option<&str>,
) -> TestResponse
where
    H: Fn(RequestContext, Request) -> F,
    F: Future<Output = Result<Response, ApiError>>,
{
    let mut request = Box::pin(valid_request(app, endpoint)).await.without("x-api-key");
    for (name, value) in [("x-api-key", key), ("authorization", authorization)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    app.send(endpoint, handle, &request).await
}

/// What is wrong is refused in the documented order: a request has all the faults that follow one, and is told of that.
pub async fn order_of_refusals<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    let app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await;
    let faults = faults(&app, endpoint).await;
    for (index, (status, detail, _)) in faults.iter().enumerate() {
        let request = faults[index..].iter().rev().fold(good.clone(), |request, (_, _, spoil)| spoil(request));
        let answer = app.send(endpoint, handle, &request).await;
        assert_eq!(answer.status, *status, "{}", answer.text);
        assert!(answer.detail().contains(detail), "{detail}: {}", answer.text);
    }
    assert_eq!(app.send(endpoint, handle, &good).await.status, u64::from(endpoint.spec().success));
}

type Fault = (u64, String, Box<dyn Fn(TestRequest) -> TestRequest>);

/// What can be wrong with a request to this endpoint, in the documented order.
async fn faults(app: &TestApp, endpoint: Endpoint) -> Vec<Fault> {
    fn fault(status: u64, detail: impl Into<String>, spoil: impl Fn(TestRequest) -> TestRequest + 'static) -> Fault {
        (status, detail.into(), Box::new(spoil))
    }
    let Spec { path, scope, body, headers, query, .. } = endpoint.spec();
    let other_scope = bearer(&app.org, &json!({"scope": if scope == Scope::Read { "write" } else { "read" }}));
    let mut faults = vec![
        fault(404, "Not found", |request| request.path("/nowhere")),
        fault(405, "Method not allowed", |request| request.method("OPTIONS")),
        fault(401, UNAUTHENTICATED, |request| request.header("authorization", "")),
        fault(403, "You do not have permission", move |request| {
            request.without("x-api-key").header("authorization", &other_scope)
        }),
    ];
    if let Some(BodySpec { max: limit, .. }) = body {
        faults.push(fault(415, "Content-Type", |request| request.header("content-type", "text/plain")));
        faults.push(fault(413, "at most", move |request| request.text("{".repeat(limit + 1))));
    }
    let named = named(endpoint);
    if let Some(Named { malformed, .. }) = &named {
        faults.push(fault(400, malformed, move |request| request.path(path_of(endpoint, "42"))));
    }
    if path.contains(ACTIVITY_ID) {
        faults.push(fault(400, "Validation error: activity_id must be", |request| {
            let path = request.event().raw_path;
            request.path(format!("{path}%20"))
        }));
    }
    for header in headers {
        let name = header.name().to_ascii_lowercase();
        faults.push(fault(400, header.name(), move |request| request.header(&name, "not\u{e9}")));
    }
    // Not everything is good for a parameter that is no free text.
    if let Some(param) = query.iter().find(|param| param.kind != ParamKind::Text) {
        let name = param.name;
        faults.push(fault(400, name, move |request| request.query(&format!("{name}=x"))));
    }
    if body.is_some() {
        faults.push(fault(400, "body is not valid JSON", |request| request.text("{")));
    }
    if let Some(Named { missing, .. }) = &named {
        faults.push(fault(404, missing, move |request| request.path(path_of(endpoint, &Uuid::new_v4().to_string()))));
    }
    if path.contains(ACTIVITY_ID) {
        faults.push(fault(404, "Activity not found", |request| {
            let path = request.event().raw_path;
            request.path(format!("{path}-unknown"))
        }));
    }
    if headers.contains(&Header::ImportId) && endpoint != Endpoint::BulkUploadContacts {
        faults
            .push(fault(404, "Import not found", |request| request.header("x-import-id", &Uuid::new_v4().to_string())));
    }
    if headers.contains(&Header::IfMatch) {
        faults.push(fault(412, "has changed", |request| request.header("if-match", "\"99-x\"")));
    }
    if matches!(endpoint, Endpoint::CreateContact | Endpoint::UpdateContact) {
        app.jane("taken@example.com").await;
        faults.push(fault(409, "'taken@example.com'", |request| request.json(&jane("taken@example.com"))));
    }
    faults
}

/// The thing that an endpoint's path names first.
struct Named {
    /// What is said of an id that is none.
    malformed: String,
    /// What is said where it is not there.
    missing: String,
}

fn named(endpoint: Endpoint) -> Option<Named> {
    let id = endpoint.spec().path_ids().next()?;
    let kind = Kind::of_path_id(id).unwrap_or_else(|| panic!("an id that names no kind of thing: {id}"));
    let malformed = format!("Validation error: {id} must be a valid UUID");
    Some(Named { malformed, missing: format!("{} not found", kind.name()) })
}

/// The endpoint's path with this id of the thing that it names first.
fn path_of(endpoint: Endpoint, id: &str) -> String {
    let spec = endpoint.spec();
    let value = |name| if name == ACTIVITY_ID { "act_123" } else { id };
    spec.path_ids().fold(spec.path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), value(name)))
}

/// The request's id comes from the client if it is sane and is on every answer.
pub async fn request_ids<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
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
        for spoiled in [good.clone().path("/nowhere"), good.clone().without("x-api-key")] {
            let answer = app.send(endpoint, handle, &spoiled.header("x-request-id", sent)).await;
            assert_eq!(answer.header("x-request-id"), echoed, "{sent}");
        }
    }
    assert_eq!(app.send(endpoint, handle, &good).await.header("x-request-id"), GATEWAY);
}

/// A bug is 500 and says nothing of itself.
pub async fn bugs<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    const BUG: &str = r#"{"detail":"Internal server error"}"#;
    let mut app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await.header("x-request-id", "id-of-a-bug");
    let panicking = |_, _| async {
        assert_eq!(1, 2, "canary");
        Err(ApiError::NoRoute)
    };
    let failing = |_, _| async { Err(ApiError::Internal("canary".to_owned())) };
    for answer in [app.send(endpoint, panicking, &good).await, app.send(endpoint, failing, &good).await] {
        assert_eq!((answer.status, answer.text.as_str()), (500, BUG));
        assert_eq!(answer.header("x-request-id"), "id-of-a-bug");
    }
    let key = keys::api_key(&app.org.admin_key.hash());
    app.put_item(&key, json!({"type": {"S": "api_key"}, "id": {"S": "canary"}})).await;
    app.restart();
    let answer = app.send(endpoint, handle, &good).await;
    assert_eq!((answer.status, answer.text.as_str()), (500, BUG));
}

/// A database that stays away is 503, to be tried again, whatever the endpoint was about to ask of it.
pub async fn unavailable<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    const LONGEST: Duration = Duration::from_millis(200);
    let mut app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await;
    let proxy = app.behind_faults().await;
    // Who asks is known by then.
    let _ = app.principal(&app.org).await;
    proxy.randomly(0, 1.0, &[fault::Kind::Unavailable]);
    let answer = app.send_by(Instant::now() + LONGEST, endpoint, handle, &good).await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (503, r#"{"detail":"Service temporarily unavailable, try again"}"#)
    );
    assert_eq!(answer.header("retry-after"), "1");
    proxy.calm();
    assert_eq!(app.send(endpoint, handle, &good).await.status, u64::from(endpoint.spec().success));
}

/// Another organization's thing is, to the byte, one that is not there, and stays as it is.
pub async fn isolation<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    let app = TestApp::new().await;
    let theirs = valid_request(&app, endpoint).await;
    let before = app.items().await;
    let as_other = theirs.clone().header("x-api-key", app.other.admin_key.in_clear());
    let nowhere = as_other.clone().path(path_of(endpoint, &Uuid::new_v4().to_string()));
    let missing = app.send(endpoint, handle, &nowhere).await;
    let detail = named(endpoint).expect("the path names a thing").missing;
    assert_eq!((missing.status, missing.detail()), (404, detail));
    let foreign = app.send(endpoint, handle, &as_other).await;
    assert_eq!(foreign, missing);
    assert_eq!(app.items().await, before);
    assert_eq!(app.send(endpoint, handle, &theirs).await.status, u64::from(endpoint.spec().success));
}

/// A path's id is a UUID in its hyphenated form, in either case.
pub async fn path_ids<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    let app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await;
    let path = good.event().raw_path;
    let id = path.split('/').nth(2).expect("the path names a thing").to_owned();
    let malformed = named(endpoint).expect("the path names a thing").malformed;
    for wrong in ["42", "", "%20", &id[1..], &id.replace('-', ""), &format!("{{{id}}}"), &format!("{id}x")] {
        let answer = app.send(endpoint, handle, &good.clone().path(path.replace(&id, wrong))).await;
        // Without the id at its end it is the path of another endpoint.
        let expected =
            if wrong.is_empty() && path.ends_with(&id) { (404, "Not found") } else { (400, malformed.as_str()) };
        assert_eq!((answer.status, answer.detail().as_str()), expected, "{wrong}");
    }
    let answer = app.send(endpoint, handle, &good.path(path.replace(&id, &id.to_uppercase()))).await;
    assert_eq!(answer.status, u64::from(endpoint.spec().success), "{}", answer.text);
}

/// A body is JSON by its content type and in fact, one object, and not too long.
pub async fn bodies<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    let app = TestApp::new().await;
    let success = u64::from(endpoint.spec().success);
    for content_type in [
        None,
        Some("application/json"),
        Some("application/json; charset=utf-8"),
        Some("Application/JSON;charset=\"utf-8\""),
        Some(" application/json ;x=y"),
    ] {
        let request = valid_request(&app, endpoint).await.without("content-type");
        let request = content_type.into_iter().fold(request, |request, value| request.header("content-type", value));
        let answer = app.send(endpoint, handle, &request).await;
        assert_eq!(answer.status, success, "{content_type:?}: {}", answer.text);
    }
    let good = valid_request(&app, endpoint).await;
    for content_type in
        ["text/plain", "application/json+x", "application/jsonp", "text/csv", "multipart/form-data; a=b", "x"]
    {
        let answer = app.send(endpoint, handle, &good.clone().header("content-type", content_type)).await;
        let expected = (415, "Content-Type must be application/json".to_owned());
        assert_eq!((answer.status, answer.detail()), expected, "{content_type}");
    }
    // Where an array is a body too, its endpoint's own tests say what is wrong with one.
    let takes_arrays = good.body().is_array();
    let is_array = |body: &[u8]| body.trim_ascii_start().starts_with(b"[");
    for (body, detail) in malformed_bodies().into_iter().filter(|(body, _)| !(takes_arrays && is_array(body))) {
        let answer = app.send(endpoint, handle, &good.clone().bytes(&body)).await;
        let body = String::from_utf8_lossy(&body);
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: body {detail}")), "{body}");
    }
    let limit = endpoint.spec().body.expect("the endpoint takes a body").max;
    let body = good.body().to_string();
    let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
    let answer = app.send(endpoint, handle, &good.clone().text(padded(limit + 1))).await;
    let expected = (413, format!("Request body must be at most {limit} bytes"));
    assert_eq!((answer.status, answer.detail()), expected);
    let answer = app.send(endpoint, handle, &good.text(padded(limit))).await;
    assert_eq!(answer.status, success, "the longest body: {}", answer.text);
    // As the gateway passes a body on whose content type it does not know; and what the contract does not name.
    let request = valid_request(&app, endpoint).await;
    let mut body = request.body();
    let object = if takes_arrays { &mut body[0] } else { &mut body };
    object["unknown"] = json!({"id": [null]});
    let answer = app.send(endpoint, handle, &request.bytes(body.to_string().as_bytes())).await;
    assert_eq!(answer.status, success, "an encoded body with an unknown field: {}", answer.text);
}

/// What is no JSON object, and what is said of it.
fn malformed_bodies() -> Vec<(Vec<u8>, String)> {
    let syntax = |body: &str, line: u32, column: u32| {
        (body.as_bytes().to_vec(), format!("is not valid JSON (line {line}, column {column})"))
    };
    let other = |body: &str, detail: &str| (body.as_bytes().to_vec(), detail.to_owned());
    let mut bodies = vec![
        syntax("", 1, 0),
        syntax(" \n ", 2, 1),
        syntax("{", 1, 1),
        syntax("{\"a\": 1,}", 1, 9),
        syntax("{\n  \"a\": tru }", 2, 11),
        syntax("{'a': 1}", 1, 2),
        syntax("{} {}", 1, 4),
        syntax("\u{feff}{}", 1, 1),
        syntax("{\"a\": NaN}", 1, 7),
        syntax("{\"a\": \"\u{1}\"}", 1, 7),
        syntax("full_name=Jane", 1, 2),
        other("\n {\"\\ud800\": 1}", "must hold only valid Unicode text"),
        other("[]", "must be a JSON object"),
        other(" [{}]", "must be a JSON object"),
        other("\"{}\"", "must be a JSON object"),
        other("null", "must be a JSON object"),
        other("42", "must be a JSON object"),
    ];
    bodies.push((b"{\"a\": \"\xff\"}".to_vec(), "is not valid JSON (line 1, column 8)".to_owned()));
    bodies
}

/// A request that is sent again under its key is answered again, and done once.
pub async fn idempotency<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    const DAY: TimeDelta = TimeDelta::hours(24);
    let app = TestApp::new().await;
    let good = valid_request(&app, endpoint).await;
    let keyed = good.clone().header("idempotency-key", "key-1");
    let send = async |request: &TestRequest| app.send(endpoint, handle, request).await;

    let first = send(&keyed).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""), "{}", first.text);
    let items = app.items().await;
    app.pass(DAY - TimeDelta::minutes(1));
    let path = keyed.event().raw_path;
    for same in [keyed.clone(), keyed.clone().path(path.trim_end_matches('/')), keyed.clone().without("content-type")] {
        let again = send(&same).await;
        assert_eq!((again.status, &again.text), (201, &first.text));
        let mut headers = again.headers.clone();
        headers.as_object_mut().map(|headers| headers.remove("idempotent-replayed"));
        assert_eq!((headers, again.header("idempotent-replayed")), (first.headers.clone(), "true"));
    }
    let body = good.event().body();
    for other in [
        keyed.clone().query("a=b"),
        keyed.clone().text(format!("{} ", String::from_utf8_lossy(&body))),
        keyed.clone().text("{"),
    ] {
        let answer = send(&other).await;
        let expected = (422, "Idempotency-Key was already used for a different request".to_owned());
        assert_eq!((answer.status, answer.detail()), expected);
    }
    assert_eq!(app.items().await, items);

    app.pass(TimeDelta::minutes(1));
    assert_eq!(send(&keyed).await.header("idempotent-replayed"), "", "an answer is kept for a day");

    let theirs = valid_request(&app, endpoint).await.header("idempotency-key", "key-2");
    assert_eq!(send(&theirs).await.status, 201);
    // A thing of one organization is none of the other's: there, a key is a path's.
    let ours = match named(endpoint) {
        None => theirs.header("x-api-key", app.other.admin_key.in_clear()),
        Some(_) => valid_request(&app, endpoint).await.header("idempotency-key", "key-2"),
    };
    let answer = send(&ours).await;
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (201, ""), "a key is one organization's");

    let wrong = good.clone().text("{").header("idempotency-key", "key-3");
    assert_eq!(send(&wrong).await.status, 400);
    let mended = valid_request(&app, endpoint).await.path(path.clone()).header("idempotency-key", "key-3");
    assert_eq!(send(&mended).await.status, 201, "only a success is kept");
    let unauthenticated = send(&mended.without("x-api-key")).await;
    assert_eq!(unauthenticated.status, 401, "a kept answer is for its organization");

    for key in ["", " ", "two words", "\u{e9}", &"k".repeat(256)] {
        let answer = send(&good.clone().header("idempotency-key", key)).await;
        let detail = "Validation error: Idempotency-Key must be 1 to 255 visible ASCII characters";
        assert_eq!((answer.status, answer.detail().as_str()), (400, detail), "{key}");
    }
    let longest = valid_request(&app, endpoint).await.header("idempotency-key", &"k".repeat(255));
    assert_eq!(send(&longest).await.status, 201);

    let kept = keys::idempotency(app.org.org_id, "POST", path.trim_end_matches('/'), "key-4");
    app.put_item(&kept, json!({"type": {"S": "idempotency"}, "answer": {"S": "canary"}})).await;
    let answer = send(&good.header("idempotency-key", "key-4")).await;
    assert_eq!((answer.status, answer.detail()), (500, "Internal server error".to_owned()));
}

/// A request that may be repeated holds its key while it is under way, and no longer.
pub async fn leases<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    let app = TestApp::new().await;
    let success = u64::from(endpoint.spec().success);
    let good = valid_request(&app, endpoint).await;
    let keyed = good.clone().header("idempotency-key", "key-1");
    let send = async |request: &TestRequest| app.send(endpoint, handle, request).await;

    for time in ["first", "second"] {
        let answer = send(&keyed).await;
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (success, ""), "{time}: {}", answer.text);
        assert_eq!(app.count("lease").await, 0, "{time}");
    }
    let wrong = keyed.clone().text("{");
    assert_eq!(send(&wrong).await.status, 400);
    let too_late = app.send(endpoint, |_, _| async { Err(ApiError::Unavailable) }, &keyed).await;
    assert_eq!(too_late.status, 503);
    assert_eq!(app.count("lease").await, 0, "what is refused holds nothing");

    // Inside the handler the key is held.
    let meanwhile = |_, _| async {
        let again = send(&keyed).await;
        let detail = "A request with this Idempotency-Key is in progress";
        assert_eq!((again.status, again.detail().as_str()), (409, detail));
        let seconds: u32 = again.header("retry-after").parse().expect("a number of seconds");
        assert!((1..=60).contains(&seconds), "{seconds}");
        let mut others = vec![keyed.clone().text("{}")];
        others.extend(endpoint.spec().query.first().map(|param| keyed.clone().query(&format!("{}=", param.name))));
        let of_import = || keyed.clone().header("x-import-id", "7c9e6679-7425-40de-944b-e07fc1f90ae7");
        others.extend(endpoint.spec().headers.contains(&Header::ImportId).then(of_import));
        for other in others {
            let (answer, detail) = (send(&other).await, "Idempotency-Key was already used for a different request");
            assert_eq!((answer.status, answer.detail().as_str()), (422, detail), "{:?}", other.event());
        }
        assert_eq!(send(&good).await.status, success, "without the key it holds nobody up");
        assert_eq!(send(&good.clone().header("idempotency-key", "key-2")).await.status, success);
        let theirs = keyed.clone().header("x-api-key", app.other.admin_key.in_clear());
        assert_ne!(send(&theirs).await.status, 409, "a key is one organization's");
        app.pass(TimeDelta::seconds(61));
        assert_eq!(send(&keyed).await.status, success, "who died holds it for a minute");
        Err(ApiError::NoRoute)
    };
    let answer = app.send(endpoint, meanwhile, &keyed).await;
    assert_eq!((answer.status, answer.detail()), (404, "Not found".to_owned()), "{}", answer.text);
}

/// A list comes in pages of the size that is asked for, each going on where the one before it ended, and an organization
/// sees its own rows and no others.
pub async fn lists<H, F>(endpoint: Endpoint, handle: H)
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    let app = TestApp::new().await;
    for company in ["Tech Corp", "Other Corp", "First Corp"] {
        let mut contact = jane(&format!("{}@example.com", Uuid::new_v4()));
        contact["company"] = json!(company);
        app.create(&app.org, contact, None).await;
        // With its contact, its import and its campaign.
        app.lead().await;
    }
    let ids = app.list(endpoint, handle, "").await.each("id");
    for (limit, size) in [("1", 1), ("2", 2), ("0010", 10), ("1000", 1000), (&ids.len().to_string(), ids.len())] {
        let pages = app.pages(endpoint, handle, &format!("limit={limit}&unknown=x")).await;
        let pages: Vec<_> = pages.iter().map(|page| page.each("id")).collect();
        assert_eq!(pages, ids.chunks(size).collect::<Vec<_>>(), "{limit}");
    }

    let newcomer = bearer(&Tenant::new(), &json!({"scope": "admin"}));
    let newcomer = TestRequest::example(endpoint).without("x-api-key").header("authorization", &newcomer);
    let second = app.list(endpoint, handle, "limit=1").await.next(endpoint).expect("there are three rows");
    for query in ["", &second] {
        let none = app.send(endpoint, handle, &newcomer.clone().query(query)).await;
        assert_eq!((none.status, none.text.as_str(), none.header("link")), (200, "[]", ""), "{query}");
    }
    let theirs = app.send(endpoint, handle, &TestRequest::to(endpoint, &app.other)).await.each("id");
    assert!(theirs.iter().all(|id| !ids.contains(id)), "each organization sees its own");

    let (limit, cursor) = ("limit must be an integer from 1 to 1000", "cursor must be the cursor of a Link header");
    for (query, detail) in [
        ("limit=0", limit),
        ("limit=1001", limit),
        ("limit=", limit),
        ("limit=-1", limit),
        ("limit=1e2", limit),
        ("limit=1&limit=2", "limit must be given once"),
        ("cursor=", cursor),
        ("cursor=x", cursor),
        ("cursor=AAAAAAAAAAAAAAAAAAAAAB", cursor),
        ("cursor=AAAAAAAAAAAAAAAAAAAAAA==", cursor),
        ("cursor=CONTACT%23x", cursor),
        (&format!("{second}&{second}").replace("limit=1", ""), "cursor must be given once"),
        ("cursor=x&limit=x", &format!("{limit}; {cursor}")),
    ] {
        let answer = app.list(endpoint, handle, query).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
}
