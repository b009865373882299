//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::{LeadId, time};
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids
);

async fn patch_text(app: &TestApp, id: LeadId, body: &str) -> TestResponse {
    let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/campaign-leads/{id}")).text(body);
    app.send(ENDPOINT, handle, &request).await
}

async fn patch(app: &TestApp, id: LeadId, body: &Value) -> TestResponse {
    patch_text(app, id, &body.to_string()).await
}

#[tokio::test]
async fn the_documented_example_is_returned_in_the_documented_order() {
    let app = TestApp::new().await;
    let lead = app.create_lead().await;
    app.advance_clock(TimeDelta::minutes(1));

    let response = patch(&app, lead.id(), &TestRequest::example(ENDPOINT).body()).await;

    let (id, campaign_id, contact_id) = (lead.id(), lead.key.campaign_id, lead.key.contact_id);
    let created_at = time::to_seconds(lead.created_at);
    let updated_at = response.json()["updated_at"].as_str().unwrap().to_owned();
    let expected = format!(
        r#"{{
            "id":"{id}",
            "campaign_id":"{campaign_id}",
            "contact_id":"{contact_id}",
            "lead_status":"in_progress",
            "lead_score":87.5,
            "lead_phase":"contacted",
            "is_contact":null,
            "current_lead_step_id":null,
            "created_at":"{created_at}",
            "updated_at":"{updated_at}"
        }}"#
    );
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("etag"), "");
    assert_ne!(updated_at, created_at);
}

#[tokio::test]
async fn a_field_that_is_sent_changes_and_the_others_stay() {
    let app = TestApp::new().await;
    let id = app.create_lead().await.id();
    let mut expected = patch(&app, id, &json!({})).await.json();
    for (field, sent, shown) in [
        // lead_status
        ("lead_status", json!("in_progress"), json!("in_progress")),
        ("lead_status", json!("ended"), json!("ended")),
        ("lead_status", json!("paused"), json!("paused")),
        ("lead_status", json!("pending"), json!("pending")),
        // lead_score and lead_phase are set,
        ("lead_score", json!(87.5), json!(87.5)),
        ("lead_score", json!(0), json!(0)),
        ("lead_score", json!(-3), json!(-3)),
        ("lead_phase", json!(" Erstes Gespräch "), json!("Erstes Gespräch")),
        ("lead_phase", json!("é".repeat(100)), json!("é".repeat(100))),
        // and cleared.
        ("lead_score", json!(null), json!(null)),
        ("lead_phase", json!(" "), json!(null)),
        ("lead_phase", json!("x"), json!("x")),
        ("lead_phase", json!(null), json!(null)),
    ] {
        app.advance_clock(TimeDelta::seconds(10));

        let response = patch(&app, id, &json!({field: sent})).await;

        assert_eq!(response.status, 200, "{field}: {sent}: {}", response.text);
        let lead = response.json();
        assert_ne!(lead["updated_at"], expected["updated_at"], "{field}: {sent}");
        expected["updated_at"] = lead["updated_at"].clone();
        expected[field] = shown;
        assert_eq!(lead, expected, "{field}: {sent}");
        let stored = patch(&app, id, &json!({})).await.json();
        assert_eq!(stored, expected, "{field}: {sent}");
    }
}

#[tokio::test]
async fn a_score_keeps_every_digit() {
    let app = TestApp::new().await;
    let id = app.create_lead().await.id();
    for (sent, shown) in [
        ("0.30000000000000004", "0.30000000000000004"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("1e2", "100"),
        ("-1.50", "-1.5"),
        ("1E-130", "1e-130"),
        ("\" 87.50 \"", "87.5"),
    ] {
        let response = patch_text(&app, id, &format!(r#"{{"lead_score": {sent}}}"#)).await;
        assert!(response.text.contains(&format!(r#""lead_score":{shown},"#)), "{sent}: {}", response.text);
    }
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let app = TestApp::new().await;
    let id = app.create_lead().await.id();
    let first = patch(&app, id, &json!({"lead_status": "paused", "lead_score": 1.5, "lead_phase": "warm"})).await;
    let before = app.items().await;
    app.advance_clock(TimeDelta::hours(1));
    for body in [
        json!({}),
        json!({"unknown": 1, "contact_id": null, "is_contact": false}),
        json!({"lead_status": "paused"}),
        json!({"lead_score": 1.50, "lead_phase": " warm "}),
        // The lead as it was returned.
        first.json(),
    ] {
        let response = patch(&app, id, &body).await;
        assert_eq!(response.status, 200, "{body}: {}", response.text);
        assert_eq!(response.text, first.text, "{body}");
        assert_eq!(app.items().await, before, "{body}");
    }
}

#[tokio::test]
async fn clearing_absent_fields_writes_nothing() {
    let app = TestApp::new().await;
    let id = app.create_lead().await.id();
    let before = app.items().await;

    let response = patch(&app, id, &json!({"lead_score": null, "lead_phase": null})).await;

    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn validation_errors_name_each_field_in_the_documented_order() {
    let app = TestApp::new().await;
    let id = app.create_lead().await.id();
    let before = app.items().await;
    let status = "lead_status must be one of pending in_progress ended paused";
    let score = "lead_score must be a number of at most 38 significant digits between 1e-130 and 1e126";
    let all_fields = "lead_status must be a string; \
                      lead_score must be a number of at most 38 significant digits between 1e-130 and 1e126; \
                      lead_phase must be a string";
    let long_phase = json!({"lead_phase": "x".repeat(101)}).to_string();
    for (body, detail) in [
        // lead_status
        (r#"{"lead_status": null}"#, "lead_status must not be null"),
        (r#"{"lead_status": ""}"#, status),
        (r#"{"lead_status": "PENDING"}"#, status),
        (r#"{"lead_status": "new"}"#, status),
        // lead_score
        (r#"{"lead_score": "x"}"#, score),
        (r#"{"lead_score": true}"#, score),
        (r#"{"lead_score": [1]}"#, score),
        (r#"{"lead_score": 1e126}"#, score),
        (r#"{"lead_score": 1e-131}"#, score),
        (r#"{"lead_score": 123456789012345678901234567890123456789}"#, score),
        // lead_phase
        (&long_phase, "lead_phase must be at most 100 characters"),
        ("{\"lead_phase\": \"a\u{FFFD}\"}", "lead_phase must not contain the replacement character U+FFFD"),
        (r#"{"lead_phase": "a\nb"}"#, "lead_phase must not contain control characters"),
        // Every field at once.
        (r#"{"lead_phase": 1, "lead_score": {}, "lead_status": []}"#, all_fields),
    ] {
        let response = patch_text(&app, id, body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn a_lead_of_a_deleted_contact_or_campaign_is_a_404_and_nothing_is_written() {
    let app = TestApp::new().await;
    let (of_deleted_contact, of_deleted_campaign) = (app.create_lead().await, app.create_lead().await);
    let principal = app.principal(&app.org).await;
    app.ctx().contacts(&principal).delete(of_deleted_contact.key.contact_id, None).await.unwrap();
    app.ctx().campaigns(&principal).delete(of_deleted_campaign.key.campaign_id).await.unwrap();
    let before = app.items().await;
    for lead in [of_deleted_contact, of_deleted_campaign] {
        for body in [json!({}), json!({"lead_status": "ended"})] {
            let response = patch(&app, lead.id(), &body).await;
            assert_eq!(response.status, 404, "{body}: {}", response.text);
            assert_eq!(response.detail(), "Lead not found", "{body}");
        }
    }
    assert_eq!(app.items().await, before);
}
