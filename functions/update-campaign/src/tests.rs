//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::CampaignId;
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

async fn put(app: &TestApp, id: CampaignId, body: &Value) -> TestResponse {
    let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/campaigns/{id}")).json(body);
    app.send(ENDPOINT, handle, &request).await
}

/// The stored item of this type.
async fn item(app: &TestApp, kind: &str) -> String {
    let kind = format!("\"type\":\"{kind}\"");
    app.items().await.into_iter().find(|item| item.contains(&kind)).unwrap()
}

#[tokio::test]
async fn every_field_is_returned_in_the_documented_order() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;

    let response = put(&app, id, &json!({"status": "archived"})).await;

    let campaign = response.json();
    let org_id = app.org.org_id;
    let (created_at, updated_at) = (campaign["created_at"].as_str().unwrap(), campaign["updated_at"].as_str().unwrap());
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "name":"Q1",
            "description":null,
            "status":"archived",
            "service_id":null,
            "icp_profile_id":null,
            "target_meeting_type":null,
            "review_required_default":"human_review",
            "seller_name":null,
            "provider_account_id":[],
            "publish_posts":true,
            "availability_data":null,
            "lead_magnet_id":null,
            "created_at":"{created_at}",
            "updated_at":"{updated_at}"
        }}"#
    );
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_field_that_is_sent_changes_and_the_others_stay() {
    let app = TestApp::new().await;
    let id = app.create_campaign(TestRequest::example(Endpoint::CreateCampaign).body()).await.id;
    let mut expected = put(&app, id, &json!({})).await.json();
    let hours = json!({"start_working": "08:00", "end_working": "12:00"});
    let all_hours = json!({
        "start_working": "08:00", "end_working": "12:00", "weekend_work": false, "calendar_id": null,
    });
    for (field, sent, shown) in [
        // Every field is set,
        ("name", json!(" Q2 "), json!("Q2")),
        ("description", json!("d"), json!("d")),
        ("status", json!("paused"), json!("paused")),
        ("service_id", json!(ONE), json!(ONE)),
        ("icp_profile_id", json!(ONE), json!(ONE)),
        ("target_meeting_type", json!("demo"), json!("demo")),
        ("review_required_default", json!("auto"), json!("auto")),
        ("seller_name", json!("Jane Doe"), json!("Jane Doe")),
        ("provider_account_id", json!([ONE]), json!([ONE])),
        ("publish_posts", json!(false), json!(false)),
        ("availability_data", hours, all_hours),
        // and every optional field is cleared.
        ("description", json!(" "), json!(null)),
        ("service_id", json!(null), json!(null)),
        ("icp_profile_id", json!(null), json!(null)),
        ("target_meeting_type", json!(null), json!(null)),
        ("seller_name", json!(null), json!(null)),
        ("provider_account_id", json!(null), json!([])),
        ("availability_data", json!(null), json!(null)),
    ] {
        app.advance_clock(TimeDelta::seconds(2));

        let response = put(&app, id, &json!({field: sent.clone()})).await;

        assert_eq!(response.status, 200, "{field}: {sent}: {}", response.text);
        let campaign = response.json();
        assert_ne!(campaign["updated_at"], expected["updated_at"], "{field}: {sent}");
        expected["updated_at"] = campaign["updated_at"].clone();
        expected[field] = shown;
        assert_eq!(campaign, expected, "{field}: {sent}");
    }
    let stored = app.ctx().campaigns(&app.principal(&app.org).await).get(id).await.unwrap();
    assert_eq!(stored.version, 19, "each of the 18 changes is one version");
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1", "status": "active", "provider_account_id": [ONE]})).await.id;
    let before = app.items().await;
    let first = put(&app, id, &json!({})).await;
    app.advance_clock(TimeDelta::hours(1));
    for body in [
        json!({}),
        json!({"unknown": 1}),
        json!({"name": " Q1", "status": "active"}),
        json!({"description": null, "availability_data": null, "lead_magnet": null}),
        json!({"provider_account_id": [ONE.to_uppercase()], "publish_posts": true}),
        // The campaign as it was returned.
        first.json(),
    ] {
        let response = put(&app, id, &body).await;
        assert_eq!(response.status, 200, "{body}: {}", response.text);
        assert_eq!(response.text, first.text, "{body}");
        assert_eq!(app.items().await, before, "{body}");
    }
}

#[tokio::test]
async fn validation_errors_name_each_field_in_the_documented_order() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;
    let before = app.items().await;
    let all_fields = "name must be a string; status must be a string; availability_data must be a JSON object; \
                      lead_magnet must be a JSON object";
    for (body, detail) in [
        // A required field cannot be cleared.
        (json!({"name": null}), "name must not be null"),
        (json!({"name": ""}), "name must not be blank"),
        (json!({"status": null}), "status must not be null"),
        (json!({"review_required_default": null}), "review_required_default must not be null"),
        (json!({"publish_posts": null}), "publish_posts must not be null"),
        // An object is replaced as a whole and must be valid on its own.
        (
            json!({"availability_data": {"start_working": "10:00", "end_working": "09:59"}}),
            "availability_data end_working must be after start_working",
        ),
        (json!({"lead_magnet": {"name": "x", "content_type": "pdf"}}), "lead_magnet url field is required"),
        // Several fields at once.
        (json!({"lead_magnet": 1, "availability_data": 1, "status": 1, "name": 1}), all_fields),
    ] {
        let response = put(&app, id, &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
    assert_eq!(app.items().await, before, "nothing is written");
}

/// Sets or clears the lead magnet of a campaign. Returns its id in the response.
async fn put_lead_magnet(app: &TestApp, id: CampaignId, lead_magnet: Value) -> Value {
    put(app, id, &json!({"lead_magnet": lead_magnet})).await.json()["lead_magnet_id"].clone()
}

fn lead_magnet(name: &str) -> Value {
    json!({"name": name, "url": "https://example.com/guide.pdf", "content_type": "pdf"})
}

#[tokio::test]
async fn a_lead_magnet_is_created_with_an_update() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;

    let created = put_lead_magnet(&app, id, lead_magnet("Guide")).await;

    let stored = item(&app, "lead_magnet").await;
    assert!(stored.contains(created.as_str().unwrap()), "{stored}");
    assert!(stored.contains("Guide"), "{stored}");
}

#[tokio::test]
async fn a_lead_magnet_that_is_replaced_keeps_its_id() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;
    let created = put_lead_magnet(&app, id, lead_magnet("Guide")).await;

    let replaced = put_lead_magnet(&app, id, lead_magnet("Book")).await;

    let stored = item(&app, "lead_magnet").await;
    assert_eq!(replaced, created);
    assert!(stored.contains("Book"), "{stored}");
    assert!(!stored.contains("Guide"), "{stored}");
    assert_eq!(app.count_items("lead_magnet").await, 1);
}

#[tokio::test]
async fn a_lead_magnet_that_is_not_sent_stays() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;
    let created = put_lead_magnet(&app, id, lead_magnet("Guide")).await;

    let response = put(&app, id, &json!({"name": "Q2"})).await;

    assert_eq!(response.json()["lead_magnet_id"], created);
}

#[tokio::test]
async fn a_lead_magnet_that_is_null_is_deleted_and_the_next_one_has_another_id() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;
    let first = put_lead_magnet(&app, id, lead_magnet("Guide")).await;

    let cleared = put_lead_magnet(&app, id, json!(null)).await;

    assert_eq!(cleared, json!(null));
    assert_eq!(app.count_items("lead_magnet").await, 0);
    assert_ne!(put_lead_magnet(&app, id, lead_magnet("Guide")).await, first);
}

#[tokio::test]
async fn the_status_decides_whether_a_campaign_is_among_the_active_campaigns() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;
    let other = app.create_campaign(json!({"name": "Q2", "status": "active"})).await.id;
    for (status, is_active) in
        [("active", true), ("active", true), ("paused", false), ("active", true), ("archived", false), ("draft", false)]
    {
        assert_eq!(put(&app, id, &json!({"status": status})).await.status, 200, "{status}");
        let active_campaigns = item(&app, "active_campaigns").await;
        assert_eq!(active_campaigns.contains(&id.to_string()), is_active, "{status}: {active_campaigns}");
        assert!(active_campaigns.contains(&other.to_string()), "{status}: {active_campaigns}");
    }
}

#[tokio::test]
async fn the_active_campaigns_are_empty_once_the_last_one_is_paused() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1", "status": "active"})).await.id;

    put(&app, id, &json!({"status": "paused"})).await;

    let active_campaigns = item(&app, "active_campaigns").await;
    assert!(!active_campaigns.contains("campaign_ids"), "{active_campaigns}");
}

#[tokio::test]
async fn a_campaign_that_becomes_active_beyond_the_limit_is_a_conflict_and_nothing_is_written() {
    let app = TestApp::new().await;
    app.put_active_campaigns(999).await;
    let active = app.create_campaign(json!({"name": "Q1", "status": "active"})).await.id;
    let paused = app.create_campaign(json!({"name": "Q2", "status": "paused"})).await.id;
    let before = app.items().await;

    let response = put(&app, paused, &json!({"name": "Q3", "status": "active"})).await;

    assert_eq!(response.status, 409);
    assert_eq!(response.detail(), "An organization can have at most 1000 active campaigns");
    assert_eq!(app.items().await, before);
    // An active campaign can be changed, and leaves its place to another one.
    assert_eq!(put(&app, active, &json!({"name": "Q4", "status": "active"})).await.status, 200);
    assert_eq!(put(&app, active, &json!({"status": "paused"})).await.status, 200);
    assert_eq!(put(&app, paused, &json!({"status": "active"})).await.status, 200);
    assert_eq!(put(&app, active, &json!({"status": "active"})).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_fill_the_active_campaigns_up_to_the_limit() {
    let app = TestApp::new().await;
    app.put_active_campaigns(995).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(app.create_campaign(json!({"name": "Q1"})).await.id);
    }
    let active = json!({"status": "active"});

    let responses = futures_util::future::join_all(ids.iter().map(|id| put(&app, *id, &active))).await;

    let count = |status| responses.iter().filter(|response| response.status == status).count();
    assert_eq!((count(200), count(409)), (5, 15));
    let active_campaigns: Value = serde_json::from_str(&item(&app, "active_campaigns").await).unwrap();
    assert_eq!(active_campaigns["campaign_ids"].as_array().unwrap().len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_of_status_leave_the_active_campaigns_consistent() {
    const STATUSES: [&str; 5] = ["active", "paused", "active", "archived", "draft"];
    let app = TestApp::new().await;
    let mut ids = Vec::new();
    for status in ["active", "active", "draft", "draft"] {
        ids.push(app.create_campaign(json!({"name": "Q1", "status": status})).await.id);
    }

    // Every campaign gets every status.
    let bodies: Vec<_> = (0..20).map(|n| (ids[n % 4], json!({"status": STATUSES[n % 5]}))).collect();
    let updates = bodies.iter().map(|(id, body)| put(&app, *id, body));
    for response in futures_util::future::join_all(updates).await {
        assert_eq!(response.status, 200, "{}", response.text);
    }

    let active_campaigns = item(&app, "active_campaigns").await;
    for id in ids {
        let status = put(&app, id, &json!({})).await.json()["status"].clone();
        assert_eq!(active_campaigns.contains(&id.to_string()), status == "active", "{id}: {active_campaigns}");
    }
}
