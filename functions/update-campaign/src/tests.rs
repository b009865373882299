//! `handle` behind the whole way of a request, on a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::CampaignId;
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::UpdateCampaign;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

async fn put(app: &TestApp, id: CampaignId, body: &Value) -> TestResponse {
    let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/campaigns/{id}")).json(body);
    app.send(ENDPOINT, handle, &request).await
}

/// The item of this type, if there is one.
async fn item(app: &TestApp, kind: &str) -> Option<String> {
    let kind = format!("\"type\":\"{kind}\"");
    app.items().await.into_iter().find(|item| item.contains(&kind))
}

fn magnet(name: &str) -> Value {
    json!({"name": name, "url": "https://example.com/guide.pdf", "content_type": "pdf"})
}

#[tokio::test]
async fn only_what_is_sent_changes() {
    let app = TestApp::new().await;
    let id = app.create_campaign(TestRequest::example(Endpoint::CreateCampaign).body()).await.id;
    let mut expected = put(&app, id, &json!({})).await.json();
    let hours = json!({"start_working": "08:00", "end_working": "12:00", "weekend_work": false, "calendar_id": null});
    for (field, sent, shown) in [
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
        ("availability_data", json!({"start_working": "08:00", "end_working": "12:00"}), hours),
        ("description", json!(" "), json!(null)),
        ("service_id", json!(null), json!(null)),
        ("icp_profile_id", json!(null), json!(null)),
        ("target_meeting_type", json!(null), json!(null)),
        ("seller_name", json!(null), json!(null)),
        ("provider_account_id", json!(null), json!([])),
        ("availability_data", json!(null), json!(null)),
    ] {
        app.advance_clock(TimeDelta::seconds(2));
        let answer = put(&app, id, &json!({field: sent.clone()})).await;
        let last = std::mem::replace(&mut expected["updated_at"], answer.json()["updated_at"].clone());
        assert_ne!(last, expected["updated_at"], "{field}");
        expected[field] = shown;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{field}: {sent}");
    }
    let stored = app.ctx().campaigns(&app.principal(&app.org).await).get(id).await.unwrap();
    assert_eq!(stored.version, 19, "each change is one");
}

#[tokio::test]
async fn an_update_answers_every_field_in_its_order() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;
    let answer = put(&app, id, &json!({"status": "archived"})).await;
    let body = answer.json();
    let (created, updated, org_id) = (&body["created_at"], &body["updated_at"], app.org.org_id);
    let expected = format!(
        r#"{{"id":"{id}","org_id":"{org_id}","name":"Q1","description":null,"status":"archived","service_id":null,"icp_profile_id":null,"target_meeting_type":null,"review_required_default":"human_review","seller_name":null,"provider_account_id":[],"publish_posts":true,"availability_data":null,"lead_magnet_id":null,"created_at":{created},"updated_at":{updated}}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn what_changes_nothing_leaves_the_campaign_alone() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1", "status": "active", "provider_account_id": [ONE]})).await.id;
    let before = app.items().await;
    let first = put(&app, id, &json!({})).await;
    app.advance_clock(TimeDelta::hours(1));
    let as_shown = first.json();
    for body in [
        json!({}),
        json!({"unknown": 1}),
        json!({"name": " Q1", "status": "active"}),
        json!({"description": null, "availability_data": null, "lead_magnet": null}),
        json!({"provider_account_id": [ONE.to_uppercase()], "publish_posts": true}),
        as_shown,
    ] {
        let answer = put(&app, id, &body).await;
        assert_eq!((answer.status, &answer.text), (200, &first.text), "{body}");
        assert_eq!(app.items().await, before, "{body}");
    }
}

#[tokio::test]
async fn every_fault_is_named_and_nothing_is_written() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;
    let before = app.items().await;
    for (body, detail) in [
        (json!({"name": null}), "name must not be null"),
        (json!({"name": ""}), "name must not be blank"),
        (json!({"status": null}), "status must not be null"),
        (json!({"review_required_default": null}), "review_required_default must not be null"),
        (json!({"publish_posts": null}), "publish_posts must not be null"),
        (
            json!({"availability_data": {"start_working": "10:00", "end_working": "09:59"}}),
            "availability_data end_working must be after start_working",
        ),
        (json!({"lead_magnet": {"name": "x", "content_type": "pdf"}}), "lead_magnet url field is required"),
        (
            json!({"lead_magnet": 1, "availability_data": 1, "status": 1, "name": 1}),
            "name must be a string; status must be a string; availability_data must be a JSON object; lead_magnet must be a JSON object",
        ),
    ] {
        let answer = put(&app, id, &body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_lead_magnet_is_made_replaced_and_removed_with_its_campaign() {
    let app = TestApp::new().await;
    let id = app.create_campaign(json!({"name": "Q1"})).await.id;
    let set =
        async |magnet: Value| put(&app, id, &json!({"lead_magnet": magnet})).await.json()["lead_magnet_id"].clone();
    let made = set(magnet("Guide")).await;
    let stored = item(&app, "lead_magnet").await.unwrap();
    assert!(stored.contains(made.as_str().unwrap()) && stored.contains("Guide"), "{stored}");
    let replaced = set(magnet("Book")).await;
    let stored = item(&app, "lead_magnet").await.unwrap();
    assert_eq!(replaced, made, "it keeps its id");
    assert!(stored.contains("Book") && !stored.contains("Guide"), "{stored}");
    assert_eq!(app.count_items("lead_magnet").await, 1);
    assert_eq!(put(&app, id, &json!({"name": "Q2"})).await.json()["lead_magnet_id"], made, "not sent, it stays");
    assert_eq!(set(json!(null)).await, json!(null));
    assert_eq!(app.count_items("lead_magnet").await, 0);
    assert_ne!(set(magnet("Guide")).await, made, "a new one is another one");
}

#[tokio::test]
async fn the_status_and_the_active_campaigns_change_together() {
    let app = TestApp::new().await;
    let [one, other] = [
        app.create_campaign(json!({"name": "Q1"})).await.id,
        app.create_campaign(json!({"name": "Q2", "status": "active"})).await.id,
    ];
    for (status, active) in
        [("active", true), ("active", true), ("paused", false), ("active", true), ("archived", false), ("draft", false)]
    {
        assert_eq!(put(&app, one, &json!({"status": status})).await.status, 200);
        let set = item(&app, "active_campaigns").await.unwrap();
        assert_eq!(set.contains(&one.to_string()), active, "{status}: {set}");
        assert!(set.contains(&other.to_string()), "{status}: {set}");
    }
    put(&app, other, &json!({"status": "paused"})).await;
    let set = item(&app, "active_campaigns").await.unwrap();
    assert!(!set.contains("campaign_ids"), "none is left: {set}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flips_at_once_leave_the_active_campaigns_those_whose_status_says_so() {
    let app = TestApp::new().await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(app.create_campaign(json!({"name": "Q1", "status": if n < 2 { "active" } else { "draft" }})).await.id);
    }
    let flips = (0..20).map(|n| {
        let (app, id, status) = (&app, ids[n % 4], ["active", "paused", "active", "archived", "draft"][n % 5]);
        async move { put(app, id, &json!({"status": status})).await }
    });
    for answer in futures_util::future::join_all(flips).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let set = item(&app, "active_campaigns").await.unwrap();
    for id in ids {
        let active = put(&app, id, &json!({})).await.json()["status"] == "active";
        assert_eq!(set.contains(&id.to_string()), active, "{id}: {set}");
    }
}
