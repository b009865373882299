use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::app::RequestContext;
use crate::auth::Actor;
use crate::domain::ContactId;
use crate::dynamodb::{ConsumedCapacity, keys};
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Request, Response};
use crate::testing::app::LAMBDA_REQUEST_ID;
use crate::testing::{JWT_SECRET, Log, TestApp, TestRequest, emf};
use crate::wire::{ContactWithTimeline, ListQuery, TimelineQuery};

const GATEWAY_REQUEST_ID: &str = "JKJaXmPLvHcESHA=";
const TRACE_ID: &str = "1-5759e988-bd862e3fe1be46a994272793";

/// The last of the lines without its metrics, and without the fields that differ between two runs.
fn last_line(log: &Log) -> Value {
    let text = log.take();
    let last = text.lines().last().unwrap();
    let mut line: Value = serde_json::from_str(last).unwrap();
    let metrics = metrics(last);
    for name in metrics.keys().map(String::as_str).chain(["timestamp", "_aws"]) {
        assert!(line.as_object_mut().unwrap().remove(name).is_some(), "{name} in {text}");
    }
    line
}

/// The metrics that CloudWatch makes of a line about an operation.
fn metrics(line: &str) -> BTreeMap<String, f64> {
    let mut extracted = emf::extract(line).unwrap();
    assert_eq!(extracted.len(), 1, "{line}");
    let emf::Metrics { namespace, dimensions, values } = extracted.remove(0);
    assert_eq!(namespace, "test");
    assert!(dimensions.keys().eq(["operation"]), "{line}");
    values
}

async fn list_companies(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let ListQuery { filter, limit, cursor } = request.query()?;
    Ok(request.list(&ctx.companies(request.principal()).list(&filter, limit, cursor).await?))
}

async fn get_contact(ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let (id, query): (ContactId, TimelineQuery) = (request.path_id()?, request.query()?);
    let (contact, timeline) = ctx.contacts(request.principal()).get(id, &query.0).await?;
    Ok(Response::ok(&ContactWithTimeline(contact, timeline)))
}

async fn panicking(_: RequestContext, _: Request) -> Result<Response, ApiError> {
    panic!("a panic of the test")
}

#[tokio::test]
async fn a_line_has_the_ids_of_the_request_and_its_caller() {
    let app = TestApp::new().await;
    let principal = app.principal(&app.org).await;
    let Actor::ApiKey { id: key_id, .. } = principal.actor() else { panic!("{principal:?}") };
    let anonymous = TestRequest::example(Endpoint::ListCompanies).without_header("x-api-key");
    let token = app.org.jwt(JWT_SECRET, TimeDelta::minutes(1));
    let log = Log::start();

    app.send(Endpoint::ListCompanies, list_companies, &anonymous).await;
    let refused = json!({
        "level": "INFO", "operation": "list_companies", "status": 401, "request_id": GATEWAY_REQUEST_ID,
        "gateway_request_id": GATEWAY_REQUEST_ID, "lambda_request_id": LAMBDA_REQUEST_ID, "trace_id": TRACE_ID,
    });
    assert_eq!(last_line(&log), refused);

    let with_key = TestRequest::to(Endpoint::ListCompanies, &app.org).header("x-request-id", "client-1");
    app.send(Endpoint::ListCompanies, list_companies, &with_key).await;
    let by_key = json!({
        "level": "INFO", "operation": "list_companies", "status": 200, "request_id": "client-1",
        "gateway_request_id": GATEWAY_REQUEST_ID, "lambda_request_id": LAMBDA_REQUEST_ID, "trace_id": TRACE_ID,
        "org_id": app.org.org_id, "key_id": key_id.to_string(),
    });
    assert_eq!(last_line(&log), by_key);

    let with_token = anonymous.header("authorization", &format!("Bearer {token}"));
    app.send(Endpoint::ListCompanies, panicking, &with_token).await;
    let mut by_token = last_line(&log);
    let subject_hash = by_token["subject_hash"].take();
    assert_eq!(subject_hash.as_str().map(str::len), Some(16));
    let expected = json!({
        "level": "ERROR", "operation": "list_companies", "status": 500, "request_id": GATEWAY_REQUEST_ID,
        "gateway_request_id": GATEWAY_REQUEST_ID, "lambda_request_id": LAMBDA_REQUEST_ID, "trace_id": TRACE_ID,
        "org_id": app.org.org_id, "subject_hash": null, "error": "panic",
    });
    assert_eq!(by_token, expected);
}

#[tokio::test]
async fn a_line_has_the_metrics_of_its_request() {
    let app = TestApp::new().await;
    let list = TestRequest::to(Endpoint::ListCompanies, &app.org);
    let anonymous = list.clone().without_header("x-api-key");
    app.send(Endpoint::ListCompanies, list_companies, &list).await;
    let log = Log::start();
    let last_metrics = || metrics(log.take().lines().last().unwrap());

    app.send(Endpoint::ListCompanies, list_companies, &list).await;
    let mut metrics = last_metrics();
    for varying in ["duration_ms", "read_units"] {
        assert!(metrics.remove(varying).unwrap() > 0.0, "{varying}");
    }
    let zeros = ["client_errors", "cold_starts", "server_errors", "throttles", "write_units"];
    assert_eq!(metrics, zeros.map(|name| (name.to_owned(), 0.0)).into());

    app.send(Endpoint::ListCompanies, list_companies, &anonymous).await;
    let refused = last_metrics();
    assert_eq!(json!([refused["client_errors"], refused["server_errors"]]), json!([1.0, 0.0]));
    app.send(Endpoint::ListCompanies, panicking, &list).await;
    let failed = last_metrics();
    assert_eq!(json!([failed["client_errors"], failed["server_errors"]]), json!([0.0, 1.0]));
}

#[test]
fn a_line_without_a_namespace_has_no_metadata() {
    let log = Log::start();
    let metrics = RequestMetrics::new(200, CommonMetrics::new(Duration::ZERO, ConsumedCapacity::default(), false));
    let invocation = InvocationIds { lambda_request_id: LAMBDA_REQUEST_ID, trace_id: None };
    let ids = RequestIds { request: "client-1".to_owned(), gateway: None, invocation };
    let line = RequestLine { operation: "list_companies", ids: &ids, caller: None, status: 200, metrics, error: None };

    line.log(&MetricDirectives::new(None));

    let line = log.take();
    assert!(!line.contains("_aws") && line.contains(r#""duration_ms":0.0"#), "{line}");
}

/// The name of a company is a part of its key; other items hold names and emails as attributes.
#[tokio::test]
async fn an_unreadable_item_is_logged_without_its_values_and_its_key() {
    let app = TestApp::new().await;
    let org = app.org.org_id;
    let contact: ContactId = Uuid::now_v7().into();
    let company = keys::company(org, &"Canary Corp".parse().unwrap());
    let attributes = |item_type: &str| {
        json!({
            "type": {"S": item_type}, "id": {"S": "canary"}, "name": {"S": "Canary Corp"}, "full_name": {"S": "Jane Canary"},
            "email": {"S": "jane@canary.example"}, "created_at": {"S": "canary"},
        })
    };
    for (key, item_type) in [(&company, "company"), (&keys::contact(org, contact), "contact")] {
        app.put_item(key, attributes(item_type)).await;
    }
    let log = Log::start();

    let companies = TestRequest::to(Endpoint::ListCompanies, &app.org).query("").header("x-request-id", "client-1");
    let contact = TestRequest::to(Endpoint::GetContact, &app.org).path(format!("/contacts/{contact}"));
    let statuses = [
        app.send(Endpoint::ListCompanies, list_companies, &companies).await.status,
        app.send(Endpoint::GetContact, get_contact, &contact).await.status,
    ];

    // A list shows the items that can be read.
    assert_eq!(statuses, [200, 500]);
    let text = log.take();
    for kind in ["type company under a sort key of kind COMPANY", "type contact under a sort key of kind CONTACT"] {
        assert!(text.contains(kind), "{text}");
    }
    assert!(!text.to_lowercase().contains("canary"), "{text}");
    let skipped: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let request = json!({
        "name": "request", "request_id": "client-1", "lambda_request_id": LAMBDA_REQUEST_ID, "trace_id": TRACE_ID,
    });
    assert_eq!((&skipped["message"], &skipped["span"]), (&json!("a list leaves out an item"), &request));
}

#[test]
fn a_panic_is_logged_by_its_location() {
    let log = Log::start();
    let location = catch_unwind(Location::caller).unwrap();

    log_panic(Some(location));

    let line: Value = serde_json::from_str(&log.take()).unwrap();
    let place = format!("{}:{}", location.file(), location.line());
    assert_eq!((&line["message"], &line["location"]), (&json!("panic"), &json!(place)));
    assert_eq!(line.as_object().unwrap().len(), 4, "also a timestamp and a level: {line}");
}
