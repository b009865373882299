//! Requests through `serve` and `handle`. Each test has a table of its own.

use serde_json::json;
use shared::Endpoint;
use shared::domain::{AuditAction, CampaignId};
use shared::dynamodb::Parent;
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

fn request(app: &TestApp, id: CampaignId) -> TestRequest {
    TestRequest::to(ENDPOINT, &app.org).path(format!("/campaigns/{id}"))
}

async fn delete(app: &TestApp, id: CampaignId) -> TestResponse {
    app.send(ENDPOINT, handle, &request(app, id)).await
}

#[tokio::test]
async fn the_response_names_the_deleted_campaign() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;

    let response = delete(&app, id).await;

    assert_eq!(response.status, 200);
    assert_eq!(response.text, format!(r#"{{"message":"Campaign {id} eliminada"}}"#));
    assert_eq!(response.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_campaign_is_deleted_with_its_lead_magnet_and_leaves_a_tombstone() {
    let app = TestApp::new().await;
    app.create_campaign(TestRequest::example(Endpoint::CreateCampaign).body()).await;
    let before = app.items().await;
    let id = app.create_campaign(TestRequest::example(Endpoint::CreateCampaign).body()).await.id;

    delete(&app, id).await;

    let mut items = app.items().await;
    items.retain(|item| !item.contains(r#""type":"audit_entry""#));
    let (tombstones, others): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| item.contains(r#""type":"tombstone""#));
    assert_eq!(others, before, "the other campaign, its lead magnet and the active campaigns stay");
    assert_eq!(tombstones.len(), 1, "{tombstones:?}");
    assert!(tombstones[0].contains(&Parent::Campaign(id).tombstone(app.org.org_id).pk), "{tombstones:?}");
    assert!(tombstones[0].contains("expires_at"), "{tombstones:?}");
}

#[tokio::test]
async fn deleting_the_last_campaign_deletes_the_last_lead_magnet() {
    let app = TestApp::new().await;
    let id = app.create_campaign(TestRequest::example(Endpoint::CreateCampaign).body()).await.id;

    assert_eq!(delete(&app, id).await.status, 200);

    assert_eq!(app.count_items("lead_magnet").await, 0);
}

#[tokio::test]
async fn a_deleted_campaign_is_not_among_the_active_campaigns() {
    let app = TestApp::new().await;
    for status in ["draft", "active", "paused", "archived"] {
        let id = app.create_campaign(json!({"name": "Q1", "status": status})).await.id;

        assert_eq!(delete(&app, id).await.status, 200, "{status}");

        let items = app.items().await;
        let active = items.iter().find(|item| item.contains(r#""type":"active_campaigns""#));
        assert!(active.is_none_or(|active| !active.contains("campaign_ids")), "{status}: {active:?}");
    }
}

#[tokio::test]
async fn a_deleted_campaign_cannot_be_deleted_again() {
    let app = TestApp::new().await;
    for status in ["draft", "active", "paused", "archived"] {
        let id = app.create_campaign(json!({"name": "Q1", "status": status})).await.id;
        assert_eq!(delete(&app, id).await.status, 200, "{status}");
        let before = app.items().await;

        let response = delete(&app, id).await;

        assert_eq!(response.status, 404, "{status}: {}", response.text);
        assert_eq!(response.detail(), "Campaign not found", "{status}");
        assert_eq!(app.items().await, before, "{status}: nothing is written");
    }
}

#[tokio::test]
async fn a_deleted_campaign_is_in_the_audit_log_once() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1", "status": "active"})).await.id;

    for status in [200, 404] {
        let request = request(&app, id).header("x-request-id", &format!("id-of-the-{status}"));
        assert_eq!(app.send(ENDPOINT, handle, &request).await.status, status);
    }

    assert_eq!(app.audited().await, [(AuditAction::CampaignDeleted, id.to_string(), "id-of-the-200".to_owned())]);
}

#[tokio::test]
async fn a_body_and_the_headers_of_other_endpoints_are_ignored() {
    let app = TestApp::new().await;
    for (name, value) in [("content-type", "text/plain"), ("idempotency-key", ""), ("if-match", "x")] {
        let id = app.create_campaign(json!({"name": "Q1"})).await.id;
        let response = app.send(ENDPOINT, handle, &request(&app, id).header(name, value).text("{")).await;
        assert_eq!(response.status, 200, "{name}: {}", response.text);
    }
}
