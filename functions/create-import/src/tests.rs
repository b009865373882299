//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::{Id, ImportId, ids, time};
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::CreateImport;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies, idempotency
);

async fn post(app: &TestApp, body: &Value) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).json(body)).await
}

const CAMPAIGN: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

#[tokio::test]
async fn an_import_is_answered_as_the_contract_says() {
    let app = TestApp::new().await;
    for (body, shown) in [
        (
            json!({"source": "csv"}),
            r#""campaign_id":null,"source":"csv","file_name":null,"status":"pending","total_rows":0"#.to_owned(),
        ),
        (
            json!({
                "source": "  Sales NAVIGATOR ", "file_name": " Leads.CSV ", "status": "processing", "total_rows": 5000,
                "campaign_id": CAMPAIGN.to_uppercase(), "mapping_json": {"Name": "full_name"}, "unknown": 1,
            }),
            format!(
                r#""campaign_id":"{CAMPAIGN}","source":"sales navigator","file_name":"Leads.CSV","status":"processing","total_rows":5000"#
            ),
        ),
        (
            json!({
                "source": "x".repeat(100), "file_name": null, "status": null, "total_rows": null, "campaign_id": null,
                "mapping_json": null,
            }),
            format!(
                r#""campaign_id":null,"source":"{}","file_name":null,"status":"pending","total_rows":0"#,
                "x".repeat(100)
            ),
        ),
    ] {
        let answer = post(&app, &body).await;
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let at = time::to_seconds(ids::moment_of(ImportId::parse(&id).unwrap().into()));
        let org_id = app.org.org_id;
        let expected =
            format!(r#"{{"id":"{id}","org_id":"{org_id}",{shown},"created_at":"{at}","updated_at":"{at}"}}"#);
        assert_eq!((answer.status, answer.text.as_str()), (201, expected.as_str()), "{body}");
        assert_eq!(answer.header("location"), format!("/imports/{id}"));
        assert_eq!(answer.header("content-type"), "application/json");
    }
    assert_eq!(app.count_items("import").await, 3);
    assert!(app.items().await.iter().any(|item| item.contains(r#""mapping":{"Name":"full_name"}"#)));
}

#[tokio::test]
async fn every_status_and_every_number_of_rows_is_taken() {
    let app = TestApp::new().await;
    for status in ["pending", "processing", "completed", "failed"] {
        assert_eq!(post(&app, &json!({"source": "csv", "status": status})).await.json()["status"], status);
    }
    for rows in [0, 1, 1_u64 << 53] {
        assert_eq!(post(&app, &json!({"source": "csv", "total_rows": rows})).await.json()["total_rows"], rows);
    }
}

#[tokio::test]
async fn every_faulty_field_is_named_in_the_documented_order() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let with = |name: &str, value: Value| {
        let mut body = json!({"source": "csv"});
        body[name] = value;
        body
    };
    let (rows, status) =
        ("total_rows must be an integer of at least 0", "status must be one of pending processing completed failed");
    for (body, detail) in [
        (json!({}), "source field is required"),
        (with("source", json!(null)), "source field is required"),
        (with("source", json!(" ")), "source must not be blank"),
        (with("source", json!("x".repeat(101))), "source must be at most 100 characters"),
        (with("source", json!("a\u{0}b")), "source must not contain control characters"),
        (with("source", json!(1)), "source must be a string"),
        (with("file_name", json!("")), "file_name must not be blank"),
        (with("file_name", json!("x".repeat(256))), "file_name must be at most 255 characters"),
        (with("file_name", json!({})), "file_name must be a string"),
        (with("campaign_id", json!("q1")), "campaign_id must be a valid UUID"),
        (with("campaign_id", json!(CAMPAIGN.replace('-', ""))), "campaign_id must be a valid UUID"),
        (with("campaign_id", json!(1)), "campaign_id must be a string"),
        (with("status", json!("done")), status),
        (with("status", json!("Pending")), status),
        (with("status", json!("")), status),
        (with("status", json!(true)), "status must be a string"),
        (with("total_rows", json!(-1)), rows),
        (with("total_rows", json!(1.5)), rows),
        (with("total_rows", json!("10")), rows),
        (with("total_rows", json!((1_u64 << 53) + 1)), "total_rows must be at most 9007199254740992"),
        (with("mapping_json", json!([])), "mapping_json must be a JSON object"),
        (with("mapping_json", json!({"": 1})), "mapping_json must not have empty keys"),
        (with("mapping_json", json!({"a": "x".repeat(64 * 1024)})), "mapping_json must be at most 64 KiB"),
        (
            json!({"mapping_json": 1, "total_rows": -1, "status": "x", "campaign_id": "x", "file_name": 1}),
            &format!(
                "source field is required; file_name must be a string; campaign_id must be a valid UUID; {status}; {rows}; mapping_json must be a JSON object"
            ),
        ),
    ] {
        let answer = post(&app, &body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    assert_eq!(app.items().await, before);
}
