//! Requests through `serve` and `handle`. Each test has a table of its own.

use serde_json::{Value, json};
use shared::domain::{Lead, LeadId, time};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

async fn get(app: &TestApp, id: LeadId) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(format!("/campaign-leads/{id}"))).await
}

/// Replaces the stored lead by an item with these attributes, in DynamoDB's JSON, and those of its indexes.
async fn put_lead(app: &TestApp, lead: &Lead, mut attributes: Value) {
    attributes["type"] = json!({"S": "lead"});
    for (name, value) in keys::lead_in_indexes(app.org.org_id, lead.key) {
        attributes[name] = json!({"S": value});
    }
    app.put_item(&keys::lead(app.org.org_id, lead.key), attributes).await;
}

#[tokio::test]
async fn a_new_lead_is_pending_without_score_and_phase() {
    let app = TestApp::new().await;
    let lead = app.create_lead().await;

    let response = get(&app, lead.id()).await;

    let (id, campaign_id, contact_id) = (lead.id(), lead.key.campaign_id, lead.key.contact_id);
    let created_at = time::to_seconds(lead.created_at);
    let expected = format!(
        r#"{{
            "id":"{id}",
            "campaign_id":"{campaign_id}",
            "contact_id":"{contact_id}",
            "lead_status":"pending",
            "lead_score":null,
            "lead_phase":null,
            "is_contact":null,
            "current_lead_step_id":null,
            "created_at":"{created_at}",
            "updated_at":"{created_at}"
        }}"#
    );
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("etag"), "");
}

#[tokio::test]
async fn every_stored_field_is_returned() {
    const STEP: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    let app = TestApp::new().await;
    let lead = app.create_lead().await;
    let (campaign_id, contact_id) = (lead.key.campaign_id, lead.key.contact_id);
    let stored = json!({
        "campaign_id": {"S": campaign_id},
        "contact_id": {"S": contact_id},
        "lead_status": {"S": "paused"},
        "lead_score": {"N": "-0.25"},
        "lead_phase": {"S": "warm"},
        "current_lead_step_id": {"S": STEP},
        "created_at": {"S": "2024-10-06T12:00:00.999Z"},
        "updated_at": {"S": "2024-10-07T12:00:00.001Z"},
    });
    put_lead(&app, &lead, stored).await;

    let response = get(&app, lead.id()).await;

    assert_eq!(
        response.json(),
        json!({
            "id": lead.id(),
            "campaign_id": campaign_id,
            "contact_id": contact_id,
            "lead_status": "paused",
            "lead_score": -0.25,
            "lead_phase": "warm",
            "is_contact": null,
            "current_lead_step_id": STEP,
            "created_at": "2024-10-06T12:00:00Z",
            "updated_at": "2024-10-07T12:00:00Z",
        })
    );
}

#[tokio::test]
async fn a_lead_of_a_deleted_contact_is_not_found() {
    let app = TestApp::new().await;
    let (lead, other) = (app.create_lead().await, app.create_lead().await);
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    contacts.delete(lead.key.contact_id, None).await.unwrap();

    let response = get(&app, lead.id()).await;

    assert_eq!(response.status, 404);
    assert_eq!(response.detail(), "Lead not found");
    assert_eq!(get(&app, other.id()).await.status, 200);
}

#[tokio::test]
async fn a_lead_of_a_deleted_campaign_is_not_found() {
    let app = TestApp::new().await;
    let (lead, other) = (app.create_lead().await, app.create_lead().await);
    let campaigns = app.ctx().campaigns(&app.principal(&app.org).await);
    campaigns.delete(lead.key.campaign_id).await.unwrap();

    let response = get(&app, lead.id()).await;

    assert_eq!(response.status, 404);
    assert_eq!(response.detail(), "Lead not found");
    assert_eq!(get(&app, other.id()).await.status, 200);
}

#[tokio::test]
async fn an_unreadable_lead_is_a_500_without_details() {
    let app = TestApp::new().await;
    let lead = app.create_lead().await;
    for unreadable in [json!({"lead_status": {"S": "canary"}}), json!({"lead_score": {"S": "canary"}})] {
        put_lead(&app, &lead, unreadable.clone()).await;
        let response = get(&app, lead.id()).await;
        assert_eq!(response.status, 500, "{unreadable}: {}", response.text);
        assert_eq!(response.detail(), "Internal server error", "{unreadable}");
    }
}
