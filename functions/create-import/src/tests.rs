//! Requests through `serve` and `handle`. Each test has a table of its own.

use serde_json::{Value, json};
use shared::domain::{Id, ImportId, time};
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies, idempotency
);

const CAMPAIGN: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

async fn post(app: &TestApp, body: &Value) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).json(body)).await
}

fn id_of(response: &TestResponse) -> ImportId {
    assert_eq!(response.status, 201, "{}", response.text);
    ImportId::parse(response.json()["id"].as_str().unwrap()).unwrap()
}

/// When the stored import was created, as responses show it.
async fn created_at(app: &TestApp, id: ImportId) -> String {
    let (import, _) = app.ctx().imports(&app.principal(&app.org).await).get(id).await.unwrap();
    time::to_seconds(import.created_at)
}

#[tokio::test]
async fn an_import_has_defaults_for_every_field_but_its_source() {
    let app = TestApp::new().await;
    let x100 = "x".repeat(100);
    let nulls = json!({
        "source": x100, "file_name": null, "status": null, "total_rows": null, "campaign_id": null, "mapping_json": null,
    });
    for (body, source) in [(json!({"source": "csv"}), "csv"), (nulls, x100.as_str())] {
        let response = post(&app, &body).await;

        let id = id_of(&response);
        let org_id = app.org.org_id;
        let created_at = created_at(&app, id).await;
        let expected = format!(
            r#"{{
                "id":"{id}",
                "org_id":"{org_id}",
                "campaign_id":null,
                "source":"{source}",
                "file_name":null,
                "status":"pending",
                "total_rows":0,
                "created_at":"{created_at}",
                "updated_at":"{created_at}"
            }}"#
        );
        assert_eq!(response.text, compact_json(&expected), "{body}");
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.header("location"), format!("/imports/{id}"));
    }
    assert_eq!(app.count_items("import").await, 2);
}

#[tokio::test]
async fn values_are_normalized_and_the_mapping_is_stored_but_not_returned() {
    let app = TestApp::new().await;

    let response = post(
        &app,
        &json!({
            "source": "  Sales NAVIGATOR ",
            "file_name": " Leads.CSV ",
            "status": "processing",
            "total_rows": 5000,
            "campaign_id": CAMPAIGN.to_uppercase(),
            "mapping_json": {"Name": "full_name"},
            "unknown": 1,
        }),
    )
    .await;

    let id = id_of(&response);
    let org_id = app.org.org_id;
    let created_at = created_at(&app, id).await;
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "campaign_id":"{CAMPAIGN}",
            "source":"sales navigator",
            "file_name":"Leads.CSV",
            "status":"processing",
            "total_rows":5000,
            "created_at":"{created_at}",
            "updated_at":"{created_at}"
        }}"#
    );
    assert_eq!(response.text, compact_json(&expected));
    let items = app.items().await;
    assert!(items.iter().any(|item| item.contains(r#""mapping":{"Name":"full_name"}"#)), "{items:?}");
}

#[tokio::test]
async fn every_status_is_accepted() {
    let app = TestApp::new().await;
    for status in ["pending", "processing", "completed", "failed"] {
        let response = post(&app, &json!({"source": "csv", "status": status})).await;
        assert_eq!(response.json()["status"], status);
    }
}

#[tokio::test]
async fn the_number_of_rows_is_an_integer_up_to_two_to_the_53() {
    let app = TestApp::new().await;
    for (sent, read) in [
        (json!(0), 0_u64),
        (json!(1_u64 << 53), 1 << 53),
        (json!("500"), 500),
        (json!(" +500 "), 500),
        (json!(500.0), 500),
        (json!("500.0"), 500),
        (json!(true), 1),
    ] {
        let response = post(&app, &json!({"source": "csv", "total_rows": sent})).await;
        assert_eq!(response.json()["total_rows"], json!(read), "{sent}");
    }
}

#[tokio::test]
async fn validation_errors_name_each_field_in_the_documented_order() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({"source": "csv"});
        body[field] = value;
        body
    };
    let status = "status must be one of pending processing completed failed";
    let total_rows = "total_rows must be an integer of at least 0";
    let replacement = "must not contain the replacement character U+FFFD";
    let all_fields = "source field is required; file_name must be a string; campaign_id must be a valid UUID; \
                      status must be one of pending processing completed failed; \
                      total_rows must be an integer of at least 0; mapping_json must be a JSON object";
    for (body, detail) in [
        // source
        (json!({}), "source field is required"),
        (with("source", json!(null)), "source field is required"),
        (with("source", json!(" ")), "source must not be blank"),
        (with("source", json!("x".repeat(101))), "source must be at most 100 characters"),
        (with("source", json!("a\u{0}b")), "source must not contain control characters"),
        (with("source", json!("\u{200B}")), "source must not be blank"),
        (with("source", json!("Jos\u{FFFD}")), &format!("source {replacement}")),
        (with("source", json!(1)), "source must be a string"),
        // file_name
        (with("file_name", json!("")), "file_name must not be blank"),
        (with("file_name", json!("\u{200B}\u{FEFF}")), "file_name must not be blank"),
        (with("file_name", json!("Jos\u{FFFD}.csv")), &format!("file_name {replacement}")),
        (with("file_name", json!("x".repeat(256))), "file_name must be at most 255 characters"),
        (with("file_name", json!({})), "file_name must be a string"),
        // campaign_id
        (with("campaign_id", json!("q1")), "campaign_id must be a valid UUID"),
        (with("campaign_id", json!(CAMPAIGN.replace('-', ""))), "campaign_id must be a valid UUID"),
        (with("campaign_id", json!(1)), "campaign_id must be a string"),
        // status
        (with("status", json!("done")), status),
        (with("status", json!("Pending")), status),
        (with("status", json!("")), status),
        (with("status", json!(true)), "status must be a string"),
        // total_rows
        (with("total_rows", json!(-1)), total_rows),
        (with("total_rows", json!(1.5)), total_rows),
        (with("total_rows", json!("")), total_rows),
        (with("total_rows", json!("10.5")), total_rows),
        (with("total_rows", json!((1_u64 << 53) + 1)), "total_rows must be at most 9007199254740992"),
        // mapping_json
        (with("mapping_json", json!([])), "mapping_json must be a JSON object"),
        (with("mapping_json", json!({"": 1})), "mapping_json must not have empty keys"),
        (with("mapping_json", json!({"a": "x".repeat(64 * 1024)})), "mapping_json must be at most 64 KiB"),
        // Every field at once.
        (json!({"mapping_json": 1, "total_rows": -1, "status": "x", "campaign_id": "x", "file_name": 1}), all_fields),
    ] {
        let response = post(&app, &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
    assert_eq!(app.items().await, before, "nothing is written");
}
