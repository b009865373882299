//! `handle` behind the whole way of a request, on a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::ImportId;
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::UpdateImport;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const TWO: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

async fn put(app: &TestApp, id: ImportId, body: &Value) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(format!("/imports/{id}")).json(body)).await
}

/// An import that has something in every field.
async fn full(app: &TestApp) -> ImportId {
    let body = json!({
        "source": "csv", "file_name": "leads.csv", "campaign_id": ONE, "status": "processing", "total_rows": 3,
        "mapping_json": {"Name": "full_name", "Score": 1.50},
    });
    app.create_import_from(&app.org, body).await.id
}

/// The import's item.
async fn item(app: &TestApp) -> String {
    app.items().await.into_iter().find(|item| item.contains(r#""type":"import""#)).unwrap()
}

#[tokio::test]
async fn only_what_is_sent_changes() {
    let app = TestApp::new().await;
    let id = full(&app).await;
    let mut expected = put(&app, id, &json!({})).await.json();
    for (field, sent, shown) in [
        ("source", json!(" Sales NAVIGATOR "), json!("sales navigator")),
        ("file_name", json!(" More.CSV "), json!("More.CSV")),
        ("campaign_id", json!(TWO.to_uppercase()), json!(TWO)),
        ("status", json!("completed"), json!("completed")),
        ("total_rows", json!(1_u64 << 53), json!(1_u64 << 53)),
        ("total_rows", json!(0), json!(0)),
        ("file_name", json!(null), json!(null)),
        ("campaign_id", json!(null), json!(null)),
        ("file_name", json!("again.csv"), json!("again.csv")),
        ("campaign_id", json!(ONE), json!(ONE)),
        ("status", json!("pending"), json!("pending")),
    ] {
        app.advance_clock(TimeDelta::seconds(2));
        let answer = put(&app, id, &json!({field: sent.clone()})).await;
        let last = std::mem::replace(&mut expected["updated_at"], answer.json()["updated_at"].clone());
        assert_ne!(last, expected["updated_at"], "{field}: {sent}");
        expected[field] = shown;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{field}: {sent}");
    }
    assert!(item(&app).await.contains(r#""mapping":{"Name":"full_name","Score":1.5}"#), "{}", item(&app).await);
}

#[tokio::test]
async fn the_mapping_is_replaced_and_cleared_as_a_whole() {
    let app = TestApp::new().await;
    let id = full(&app).await;
    for (sent, stored) in [
        (json!({"Mail": {"to": "email"}}), Some(r#""mapping":{"Mail":{"to":"email"}}"#)),
        (json!({}), Some(r#""mapping":{}"#)),
        (json!(null), None),
        (json!({"A": null}), Some(r#""mapping":{"A":null}"#)),
    ] {
        app.advance_clock(TimeDelta::seconds(2));
        let before = item(&app).await;
        let answer = put(&app, id, &json!({"mapping_json": sent.clone()})).await;
        let item = item(&app).await;
        assert_eq!(answer.status, 200, "{sent}");
        assert_eq!(item.contains("mapping"), stored.is_some(), "{sent}: {item}");
        assert!(item.contains(stored.unwrap_or_default()), "{sent}: {item}");
        assert_ne!(item, before, "{sent}");
    }
}

#[tokio::test]
async fn an_update_answers_every_field_in_its_order() {
    let app = TestApp::new().await;
    let id = app.create_import(&app.org).await;
    let answer = put(&app, id, &json!({"status": "failed", "mapping_json": {"Name": "full_name"}})).await;
    let body = answer.json();
    let (created, updated, org_id) = (&body["created_at"], &body["updated_at"], app.org.org_id);
    let expected = format!(
        r#"{{"id":"{id}","org_id":"{org_id}","campaign_id":null,"source":"csv","file_name":null,"status":"failed","total_rows":0,"created_at":{created},"updated_at":{updated}}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!((answer.header("content-type"), answer.header("location")), ("application/json", ""));
}

#[tokio::test]
async fn what_changes_nothing_leaves_the_import_alone() {
    let app = TestApp::new().await;
    let id = full(&app).await;
    let before = app.items().await;
    let first = put(&app, id, &json!({})).await;
    app.advance_clock(TimeDelta::hours(1));
    let mut as_shown = first.json();
    as_shown["contacts_count"] = json!(7);
    for body in [
        json!({}),
        json!({"unknown": 1, "id": ONE, "org_id": ONE, "created_at": "x"}),
        json!({"source": " CSV", "status": "processing", "total_rows": 3}),
        json!({"campaign_id": ONE.to_uppercase(), "file_name": "leads.csv "}),
        json!({"mapping_json": {"Score": 1.5, "Name": "full_name"}}),
        as_shown,
    ] {
        let answer = put(&app, id, &body).await;
        assert_eq!((answer.status, &answer.text), (200, &first.text), "{body}");
        assert_eq!(app.items().await, before, "{body}");
    }
    let empty = app.create_import(&app.org).await;
    let before = app.items().await;
    let cleared = json!({"file_name": null, "campaign_id": null, "mapping_json": null});
    assert_eq!(put(&app, empty, &cleared).await.status, 200);
    assert_eq!(app.items().await, before, "what is not there need not be cleared");
}

#[tokio::test]
async fn every_fault_is_named_and_nothing_is_written() {
    let app = TestApp::new().await;
    let id = full(&app).await;
    let before = app.items().await;
    let status = "status must be one of pending processing completed failed";
    for (body, detail) in [
        (json!({"source": null}), "source must not be null"),
        (json!({"source": " "}), "source must not be blank"),
        (json!({"source": "x".repeat(101)}), "source must be at most 100 characters"),
        (json!({"source": 1}), "source must be a string"),
        (json!({"file_name": ""}), "file_name must not be blank"),
        (json!({"file_name": "x".repeat(256)}), "file_name must be at most 255 characters"),
        (json!({"campaign_id": ""}), "campaign_id must be a valid UUID"),
        (json!({"campaign_id": 1}), "campaign_id must be a string"),
        (json!({"status": null}), "status must not be null"),
        (json!({"status": "Completed"}), status),
        (json!({"total_rows": null}), "total_rows must not be null"),
        (json!({"total_rows": -1}), "total_rows must be an integer of at least 0"),
        (json!({"total_rows": (1_u64 << 53) + 1}), "total_rows must be at most 9007199254740992"),
        (json!({"mapping_json": []}), "mapping_json must be a JSON object"),
        (json!({"mapping_json": {"": 1}}), "mapping_json must not have empty keys"),
        (
            json!({"mapping_json": 1, "total_rows": null, "status": "x", "campaign_id": "x", "file_name": 1, "source": null}),
            &format!(
                "source must not be null; file_name must be a string; campaign_id must be a valid UUID; {status}; total_rows must not be null; mapping_json must be a JSON object"
            ),
        ),
    ] {
        let answer = put(&app, id, &body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn an_update_brings_no_deleted_import_back() {
    let app = TestApp::new().await;
    let id = full(&app).await;
    app.ctx().imports(&app.principal(&app.org).await).delete(id).await.unwrap();
    let before = app.items().await;
    for body in [json!({}), json!({"status": "completed"}), json!({"file_name": null})] {
        let answer = put(&app, id, &body).await;
        assert_eq!((answer.status, answer.detail()), (404, "Import not found".to_owned()), "{body}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_updates_at_once_to_several_fields_none_is_lost() {
    let app = TestApp::new().await;
    let id = full(&app).await;
    let bodies = [
        json!({"source": "crm"}),
        json!({"file_name": null}),
        json!({"campaign_id": TWO}),
        json!({"status": "completed"}),
        json!({"total_rows": 40}),
    ];
    for answer in futures_util::future::join_all(bodies.iter().map(|body| put(&app, id, body))).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let shown = put(&app, id, &json!({})).await.json();
    for (field, value) in bodies.iter().flat_map(|body| body.as_object().unwrap()) {
        assert_eq!(shown[field], *value, "{field}");
    }
}
