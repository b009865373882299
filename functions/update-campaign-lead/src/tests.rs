//! `handle` behind the whole way of a request, on a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::{LeadId, time};
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::UpdateCampaignLead;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids
);

async fn patch_text(app: &TestApp, id: LeadId, body: &str) -> TestResponse {
    let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/campaign-leads/{id}")).text(body);
    app.send(ENDPOINT, handle, &request).await
}

async fn patch(app: &TestApp, id: LeadId, body: &Value) -> TestResponse {
    patch_text(app, id, &body.to_string()).await
}

#[tokio::test]
async fn only_what_is_sent_changes() {
    let app = TestApp::new().await;
    let lead = app.create_lead().await;
    let mut expected = patch(&app, lead.id(), &json!({})).await.json();
    for (field, sent, shown) in [
        ("lead_status", json!("in_progress"), json!("in_progress")),
        ("lead_status", json!("ended"), json!("ended")),
        ("lead_status", json!("paused"), json!("paused")),
        ("lead_status", json!("pending"), json!("pending")),
        ("lead_score", json!(87.5), json!(87.5)),
        ("lead_score", json!(0), json!(0)),
        ("lead_score", json!(-3), json!(-3)),
        ("lead_phase", json!(" Erstes Gespräch "), json!("Erstes Gespräch")),
        ("lead_phase", json!("é".repeat(100)), json!("é".repeat(100))),
        ("lead_score", json!(null), json!(null)),
        ("lead_phase", json!(" "), json!(null)),
        ("lead_phase", json!("x"), json!("x")),
        ("lead_phase", json!(null), json!(null)),
    ] {
        app.advance_clock(TimeDelta::seconds(10));
        let answer = patch(&app, lead.id(), &json!({field: sent})).await;
        assert_eq!(answer.status, 200, "{field}: {}", answer.text);
        let answer = answer.json();
        assert_ne!(answer["updated_at"], expected["updated_at"], "{field}");
        expected["updated_at"] = answer["updated_at"].clone();
        expected[field] = shown;
        assert_eq!(answer, expected, "{field}");
        assert_eq!(patch(&app, lead.id(), &json!({})).await.json(), expected, "it is what is stored");
    }
}

#[tokio::test]
async fn the_answer_is_the_lead_in_the_documented_order() {
    let app = TestApp::new().await;
    let lead = app.create_lead().await;
    app.advance_clock(TimeDelta::minutes(1));
    let body = TestRequest::example(ENDPOINT).body();
    let answer = patch(&app, lead.id(), &body).await;
    let (id, campaign, contact) = (lead.id(), lead.key.campaign_id, lead.key.contact_id);
    let created = time::to_seconds(lead.created_at);
    let updated = answer.json()["updated_at"].clone();
    assert_ne!(updated, json!(created));
    let expected = format!(
        r#"{{"id":"{id}","campaign_id":"{campaign}","contact_id":"{contact}","lead_status":"in_progress","lead_score":87.5,"lead_phase":"contacted","is_contact":true,"current_lead_step_id":null,"created_at":"{created}","updated_at":{updated}}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!((answer.header("content-type"), answer.header("etag")), ("application/json", ""));
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
    ] {
        let answer = patch_text(&app, id, &format!("{{\"lead_score\": {sent}}}")).await;
        assert!(answer.text.contains(&format!("\"lead_score\":{shown},")), "{sent}: {}", answer.text);
    }
}

#[tokio::test]
async fn what_changes_nothing_leaves_the_lead_alone() {
    let app = TestApp::new().await;
    let id = app.create_lead().await.id();
    let first = patch(&app, id, &json!({"lead_status": "paused", "lead_score": 1.5, "lead_phase": "warm"})).await;
    let before = app.items().await;
    app.advance_clock(TimeDelta::hours(1));
    let as_shown = first.json();
    for body in [
        json!({}),
        json!({"unknown": 1, "contact_id": null, "is_contact": false}),
        json!({"lead_status": "paused"}),
        json!({"lead_score": 1.50, "lead_phase": " warm "}),
        as_shown,
    ] {
        let answer = patch(&app, id, &body).await;
        assert_eq!((answer.status, &answer.text), (200, &first.text), "{body}");
        assert_eq!(app.items().await, before, "{body}");
    }
    let cleared = app.create_lead().await;
    let before = app.items().await;
    let answer = patch(&app, cleared.id(), &json!({"lead_score": null, "lead_phase": null})).await;
    assert_eq!((answer.status, app.items().await), (200, before), "what is not there is not removed");
}

#[tokio::test]
async fn every_fault_is_named_and_nothing_is_written() {
    let app = TestApp::new().await;
    let id = app.create_lead().await.id();
    let before = app.items().await;
    let status = "lead_status must be one of pending in_progress ended paused";
    let score = "lead_score must be a number of at most 38 significant digits between 1e-130 and 1e126";
    let all = format!("lead_status must be a string; {score}; lead_phase must be a string");
    for (body, detail) in [
        (r#"{"lead_status": null}"#, "lead_status must not be null"),
        (r#"{"lead_status": ""}"#, status),
        (r#"{"lead_status": "PENDING"}"#, status),
        (r#"{"lead_status": "new"}"#, status),
        (r#"{"lead_score": "1"}"#, score),
        (r#"{"lead_score": true}"#, score),
        (r#"{"lead_score": [1]}"#, score),
        (r#"{"lead_score": 1e126}"#, score),
        (r#"{"lead_score": 1e-131}"#, score),
        (r#"{"lead_score": 123456789012345678901234567890123456789}"#, score),
        (&json!({"lead_phase": "x".repeat(101)}).to_string(), "lead_phase must be at most 100 characters"),
        (r#"{"lead_phase": "a\nb"}"#, "lead_phase must not contain control characters"),
        (r#"{"lead_phase": 1, "lead_score": {}, "lead_status": []}"#, &all),
    ] {
        let answer = patch_text(&app, id, body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_lead_whose_contact_or_campaign_is_gone_is_not_found() {
    let app = TestApp::new().await;
    let principal = app.principal(&app.org).await;
    let (of_contact, of_campaign) = (app.create_lead().await, app.create_lead().await);
    app.ctx().contacts(&principal).delete(of_contact.key.contact_id, None).await.unwrap();
    app.ctx().campaigns(&principal).delete(of_campaign.key.campaign_id).await.unwrap();
    let before = app.items().await;
    for gone in [of_contact, of_campaign] {
        for body in [json!({}), json!({"lead_status": "ended"})] {
            let answer = patch(&app, gone.id(), &body).await;
            assert_eq!((answer.status, answer.detail()), (404, "Lead not found".to_owned()));
        }
    }
    assert_eq!(app.items().await, before);
}
