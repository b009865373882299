//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::ImportId;
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const TWO: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

async fn put(app: &TestApp, id: ImportId, body: &Value) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(format!("/imports/{id}")).json(body)).await
}

/// Stores an import with a value in every field.
async fn full_import(app: &TestApp) -> ImportId {
    let body = json!({
        "source": "csv",
        "file_name": "leads.csv",
        "campaign_id": ONE,
        "status": "processing",
        "total_rows": 3,
        "mapping_json": {"Name": "full_name", "Score": 1.50},
    });
    app.create_import_from(&app.org, body).await.id
}

/// The stored item of the only import.
async fn item(app: &TestApp) -> String {
    app.items().await.into_iter().find(|item| item.contains(r#""type":"import""#)).unwrap()
}

#[tokio::test]
async fn every_field_is_returned_in_the_documented_order() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;

    let response = put(&app, id, &json!({"status": "failed", "mapping_json": {"Name": "full_name"}})).await;

    let import = response.json();
    let org_id = app.org.org_id;
    let (created_at, updated_at) = (import["created_at"].as_str().unwrap(), import["updated_at"].as_str().unwrap());
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "campaign_id":null,
            "source":"csv",
            "file_name":null,
            "status":"failed",
            "total_rows":0,
            "created_at":"{created_at}",
            "updated_at":"{updated_at}"
        }}"#
    );
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("location"), "");
}

#[tokio::test]
async fn a_field_that_is_sent_changes_and_the_others_stay() {
    let app = TestApp::new().await;
    let id = full_import(&app).await;
    let mut expected = put(&app, id, &json!({})).await.json();
    for (field, sent, shown) in [
        // Every field is set,
        ("source", json!(" Sales NAVIGATOR "), json!("sales navigator")),
        ("file_name", json!(" More.CSV "), json!("More.CSV")),
        ("campaign_id", json!(TWO.to_uppercase()), json!(TWO)),
        ("status", json!("completed"), json!("completed")),
        ("total_rows", json!(1_u64 << 53), json!(1_u64 << 53)),
        ("total_rows", json!(0), json!(0)),
        // every optional field is cleared,
        ("file_name", json!(null), json!(null)),
        ("campaign_id", json!(null), json!(null)),
        // and set again.
        ("file_name", json!("again.csv"), json!("again.csv")),
        ("campaign_id", json!(ONE), json!(ONE)),
        ("status", json!("pending"), json!("pending")),
    ] {
        app.advance_clock(TimeDelta::seconds(2));

        let response = put(&app, id, &json!({field: sent.clone()})).await;

        assert_eq!(response.status, 200, "{field}: {sent}: {}", response.text);
        let import = response.json();
        assert_ne!(import["updated_at"], expected["updated_at"], "{field}: {sent}");
        expected["updated_at"] = import["updated_at"].clone();
        expected[field] = shown;
        assert_eq!(import, expected, "{field}: {sent}");
    }
    let stored = item(&app).await;
    assert!(stored.contains(r#""mapping":{"Name":"full_name","Score":1.5}"#), "{stored}");
}

#[tokio::test]
async fn the_mapping_is_replaced_as_a_whole() {
    let app = TestApp::new().await;
    let id = full_import(&app).await;
    for (sent, stored) in [
        (json!({"Mail": {"to": "email"}}), r#""mapping":{"Mail":{"to":"email"}}"#),
        (json!({}), r#""mapping":{}"#),
        (json!({"A": null}), r#""mapping":{"A":null}"#),
    ] {
        app.advance_clock(TimeDelta::seconds(2));
        let before = item(&app).await;

        let response = put(&app, id, &json!({"mapping_json": sent.clone()})).await;

        let after = item(&app).await;
        assert_eq!(response.status, 200, "{sent}: {}", response.text);
        assert!(after.contains(stored), "{sent}: {after}");
        assert_ne!(after, before, "{sent}");
    }
}

#[tokio::test]
async fn the_mapping_is_cleared_with_null_and_can_be_set_again() {
    let app = TestApp::new().await;
    let id = full_import(&app).await;

    assert_eq!(put(&app, id, &json!({"mapping_json": null})).await.status, 200);
    assert!(!item(&app).await.contains("mapping"));

    assert_eq!(put(&app, id, &json!({"mapping_json": {"A": null}})).await.status, 200);
    assert!(item(&app).await.contains(r#""mapping":{"A":null}"#));
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let app = TestApp::new().await;
    let id = full_import(&app).await;
    let before = app.items().await;
    let first = put(&app, id, &json!({})).await;
    app.advance_clock(TimeDelta::hours(1));
    let mut as_returned_by_get = first.json();
    as_returned_by_get["contacts_count"] = json!(7);
    for body in [
        json!({}),
        json!({"unknown": 1, "id": ONE, "org_id": ONE, "created_at": "x"}),
        json!({"source": " CSV", "status": "processing", "total_rows": 3}),
        json!({"campaign_id": ONE.to_uppercase(), "file_name": "leads.csv "}),
        json!({"mapping_json": {"Score": 1.5, "Name": "full_name"}}),
        as_returned_by_get,
    ] {
        let response = put(&app, id, &body).await;
        assert_eq!(response.status, 200, "{body}: {}", response.text);
        assert_eq!(response.text, first.text, "{body}");
        assert_eq!(app.items().await, before, "{body}");
    }
}

#[tokio::test]
async fn clearing_absent_fields_writes_nothing() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;
    let before = app.items().await;

    let response = put(&app, id, &json!({"file_name": null, "campaign_id": null, "mapping_json": null})).await;

    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn validation_errors_name_each_field_in_the_documented_order() {
    let app = TestApp::new().await;
    let id = full_import(&app).await;
    let before = app.items().await;
    let status = "status must be one of pending processing completed failed";
    let all_fields = "source must not be null; file_name must be a string; campaign_id must be a valid UUID; \
                      status must be one of pending processing completed failed; total_rows must not be null; \
                      mapping_json must be a JSON object";
    for (body, detail) in [
        // source
        (json!({"source": null}), "source must not be null"),
        (json!({"source": " "}), "source must not be blank"),
        (json!({"source": "x".repeat(101)}), "source must be at most 100 characters"),
        (json!({"source": 1}), "source must be a string"),
        // file_name
        (json!({"file_name": ""}), "file_name must not be blank"),
        (json!({"file_name": "x".repeat(256)}), "file_name must be at most 255 characters"),
        // campaign_id
        (json!({"campaign_id": ""}), "campaign_id must be a valid UUID"),
        (json!({"campaign_id": 1}), "campaign_id must be a string"),
        // status
        (json!({"status": null}), "status must not be null"),
        (json!({"status": "Completed"}), status),
        // total_rows
        (json!({"total_rows": null}), "total_rows must not be null"),
        (json!({"total_rows": -1}), "total_rows must be an integer of at least 0"),
        (json!({"total_rows": (1_u64 << 53) + 1}), "total_rows must be at most 9007199254740992"),
        // mapping_json
        (json!({"mapping_json": []}), "mapping_json must be a JSON object"),
        (json!({"mapping_json": {"": 1}}), "mapping_json must not have empty keys"),
        // Every field at once.
        (
            json!({
                "mapping_json": 1, "total_rows": null, "status": "x", "campaign_id": "x", "file_name": 1,
                "source": null,
            }),
            all_fields,
        ),
    ] {
        let response = put(&app, id, &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn a_deleted_import_is_a_404_and_nothing_is_written() {
    let app = TestApp::new().await;
    let id = full_import(&app).await;
    app.ctx().imports(&app.principal(&app.org).await).delete(id).await.unwrap();
    let before = app.items().await;
    for body in [json!({}), json!({"status": "completed"}), json!({"file_name": null})] {
        let response = put(&app, id, &body).await;
        assert_eq!(response.status, 404, "{body}: {}", response.text);
        assert_eq!(response.detail(), "Import not found", "{body}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_of_different_fields_all_take_effect() {
    let app = TestApp::new().await;
    let id = full_import(&app).await;
    let bodies = [
        json!({"source": "crm"}),
        json!({"file_name": null}),
        json!({"campaign_id": TWO}),
        json!({"status": "completed"}),
        json!({"total_rows": 40}),
    ];

    for response in futures_util::future::join_all(bodies.iter().map(|body| put(&app, id, body))).await {
        assert_eq!(response.status, 200, "{}", response.text);
    }

    let import = put(&app, id, &json!({})).await.json();
    assert_eq!(import["source"], "crm");
    assert_eq!(import["file_name"], json!(null));
    assert_eq!(import["campaign_id"], TWO);
    assert_eq!(import["status"], "completed");
    assert_eq!(import["total_rows"], 40);
}
