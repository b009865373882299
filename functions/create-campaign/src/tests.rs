//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::{Value, json};
use shared::Endpoint;
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::CreateCampaign;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies, idempotency
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const TWO: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

async fn post(app: &TestApp, body: &Value) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).json(body)).await
}

/// The item of this type, if there is one.
async fn item(app: &TestApp, kind: &str) -> Option<String> {
    let kind = format!("\"type\":\"{kind}\"");
    app.items().await.into_iter().find(|item| item.contains(&kind))
}

#[tokio::test]
async fn a_campaign_is_answered_with_its_defaults() {
    let app = TestApp::new().await;
    let answer = post(&app, &json!({"name": " Q1 2024 "})).await;
    let body = answer.json();
    let (id, at) = (body["id"].as_str().unwrap(), body["created_at"].as_str().unwrap());
    let org_id = app.org.org_id;
    let expected = format!(
        r#"{{"id":"{id}","org_id":"{org_id}","name":"Q1 2024","description":null,"status":"draft","service_id":null,"icp_profile_id":null,"target_meeting_type":null,"review_required_default":"human_review","seller_name":null,"provider_account_id":[],"publish_posts":true,"availability_data":null,"lead_magnet_id":null,"created_at":"{at}","updated_at":"{at}"}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (201, expected.as_str()));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("location"), format!("/campaigns/{id}"));
    assert_eq!((item(&app, "lead_magnet").await, item(&app, "active_campaigns").await), (None, None));
    let nulls = json!({
        "name": "Q1 2024", "description": null, "service_id": null, "icp_profile_id": null, "target_meeting_type": " ",
        "seller_name": null, "provider_account_id": null, "availability_data": null, "lead_magnet": null, "id": 1,
    });
    let mut same = post(&app, &nulls).await.json();
    same["id"] = body["id"].clone();
    same["created_at"] = body["created_at"].clone();
    same["updated_at"] = body["updated_at"].clone();
    assert_eq!(same, body);
}

#[tokio::test]
async fn what_is_sent_is_kept_and_answered() {
    let app = TestApp::new().await;
    let answer = post(
        &app,
        &json!({
            "name": "Q1", "description": " one\n two ", "status": "active", "service_id": ONE.to_uppercase(),
            "icp_profile_id": TWO, "target_meeting_type": " demo ", "review_required_default": "auto",
            "seller_name": "Jane Doe", "provider_account_id": [TWO, ONE], "publish_posts": false,
            "availability_data": {"start_working": "00:00", "end_working": "23:59", "weekend_work": true, "calendar_id": "c"},
            "lead_magnet": {"name": "Guide", "description": " ", "url": "https://example.com/g.pdf", "content_type": "ebook"},
        }),
    )
    .await;
    let body = answer.json();
    let (id, magnet, at) = (&body["id"], &body["lead_magnet_id"], &body["created_at"]);
    let org_id = app.org.org_id;
    let expected = format!(
        r#"{{"id":{id},"org_id":"{org_id}","name":"Q1","description":"one\n two","status":"active","service_id":"{ONE}","icp_profile_id":"{TWO}","target_meeting_type":"demo","review_required_default":"auto","seller_name":"Jane Doe","provider_account_id":["{TWO}","{ONE}"],"publish_posts":false,"availability_data":{{"start_working":"00:00","end_working":"23:59","weekend_work":true,"calendar_id":"c"}},"lead_magnet_id":{magnet},"created_at":{at},"updated_at":{at}}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (201, expected.as_str()));
    let stored = item(&app, "lead_magnet").await.unwrap();
    for part in [magnet.as_str().unwrap(), "Guide", "https://example.com/g.pdf", "ebook"] {
        assert!(stored.contains(part), "{part}: {stored}");
    }
    assert!(item(&app, "active_campaigns").await.unwrap().contains(id.as_str().unwrap()));
}

#[tokio::test]
async fn only_an_active_campaign_is_among_the_active_ones() {
    let app = TestApp::new().await;
    for status in ["draft", "paused", "archived"] {
        let answer = post(&app, &json!({"name": "Q1", "status": status})).await;
        assert_eq!((answer.status, &answer.json()["status"]), (201, &json!(status)));
        assert_eq!(item(&app, "active_campaigns").await, None, "{status}");
    }
    let mut active = Vec::new();
    for _ in 0..3 {
        active.push(post(&app, &json!({"name": "Q1", "status": "active"})).await.json()["id"].clone());
    }
    let set = item(&app, "active_campaigns").await.unwrap();
    assert!(active.iter().all(|id| set.contains(id.as_str().unwrap())), "{set}");
}

#[tokio::test]
async fn every_kind_of_lead_magnet_is_taken() {
    let app = TestApp::new().await;
    for kind in ["pdf", "doc", "docx", "video", "image", "webpage", "ebook"] {
        let magnet = json!({"name": "Guide", "url": "http://example.com", "content_type": kind});
        let answer = post(&app, &json!({"name": "Q1", "lead_magnet": magnet})).await;
        assert!(answer.status == 201 && answer.json()["lead_magnet_id"].is_string(), "{kind}: {}", answer.text);
    }
    assert_eq!(app.count_items("lead_magnet").await, 7);
}

#[tokio::test]
async fn every_fault_is_named_and_nothing_is_written() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let with = |name: &str, value: Value| json!({"name": "Q1", name: value});
    let hours = |start: &str, end: &str| with("availability_data", json!({"start_working": start, "end_working": end}));
    let magnet = |name: &str, value: Value| {
        let mut magnet = json!({"name": "Guide", "url": "https://example.com", "content_type": "pdf"});
        magnet[name] = value;
        with("lead_magnet", magnet)
    };
    let (long, longer) = ("x".repeat(201), "x".repeat(5_001));
    let kinds = "lead_magnet content_type must be one of pdf doc docx video image webpage ebook";
    let (start, end) = ("availability_data start_working must be a time as HH:MM", "availability_data end_working");
    for (body, detail) in [
        (json!({}), "name field is required".to_owned()),
        (with("name", json!(null)), "name field is required".to_owned()),
        (with("name", json!(" ")), "name must not be blank".to_owned()),
        (with("name", json!(long)), "name must be at most 200 characters".to_owned()),
        (with("name", json!("a\nb")), "name must not contain control characters".to_owned()),
        (with("description", json!(longer)), "description must be at most 5000 characters".to_owned()),
        (with("status", json!("running")), "status must be one of draft active paused archived".to_owned()),
        (with("status", json!("Active")), "status must be one of draft active paused archived".to_owned()),
        (with("status", json!(true)), "status must be a string".to_owned()),
        (with("service_id", json!("42")), "service_id must be a valid UUID".to_owned()),
        (with("icp_profile_id", json!(42)), "icp_profile_id must be a string".to_owned()),
        (with("target_meeting_type", json!(long)), "target_meeting_type must be at most 200 characters".to_owned()),
        (
            with("review_required_default", json!("no")),
            "review_required_default must be one of human_review auto".to_owned(),
        ),
        (with("seller_name", json!(long)), "seller_name must be at most 200 characters".to_owned()),
        (with("provider_account_id", json!(ONE)), "provider_account_id must be an array of strings".to_owned()),
        (with("provider_account_id", json!([ONE, 1])), "provider_account_id must be an array of strings".to_owned()),
        (with("provider_account_id", json!([ONE, "x"])), "provider_account_id must hold valid UUIDs".to_owned()),
        (
            with("provider_account_id", json!(vec![ONE; 101])),
            "provider_account_id must hold at most 100 accounts".to_owned(),
        ),
        (with("publish_posts", json!("true")), "publish_posts must be true or false".to_owned()),
        (with("availability_data", json!([])), "availability_data must be a JSON object".to_owned()),
        (hours("09:00", "09:00"), format!("{end} must be after start_working")),
        (hours("18:00", "09:00"), format!("{end} must be after start_working")),
        (hours("9:00", "24:00"), format!("{start}; {end} must be a time as HH:MM")),
        (
            with("availability_data", json!({})),
            format!("availability_data start_working field is required; {end} field is required"),
        ),
        (
            with(
                "availability_data",
                json!({"calendar_id": long, "weekend_work": 1, "end_working": "09:00", "start_working": "09:00"}),
            ),
            format!(
                "{end} must be after start_working; availability_data weekend_work must be true or false; availability_data calendar_id must be at most 200 characters"
            ),
        ),
        (with("lead_magnet", json!("x")), "lead_magnet must be a JSON object".to_owned()),
        (magnet("url", json!(null)), "lead_magnet url field is required".to_owned()),
        (magnet("url", json!("ftp://example.com")), "lead_magnet url must be an http or https URL".to_owned()),
        (magnet("content_type", json!("PDF")), kinds.to_owned()),
        (magnet("description", json!(longer)), "lead_magnet description must be at most 5000 characters".to_owned()),
        (
            with("lead_magnet", json!({})),
            "lead_magnet name field is required; lead_magnet url field is required; lead_magnet content_type field is required".to_owned(),
        ),
        (
            json!({
                "lead_magnet": {"content_type": "x", "name": "Guide"}, "availability_data": {"end_working": "x", "start_working": "08:00"},
                "publish_posts": 1, "provider_account_id": ["x"], "seller_name": 1, "review_required_default": 1,
                "target_meeting_type": 1, "icp_profile_id": "x", "service_id": "x", "status": "x", "description": 1, "name": "",
            }),
            format!(
                "name must not be blank; description must be a string; status must be one of draft active paused archived; service_id must be a valid UUID; icp_profile_id must be a valid UUID; target_meeting_type must be a string; review_required_default must be a string; seller_name must be a string; provider_account_id must hold valid UUIDs; publish_posts must be true or false; {end} must be a time as HH:MM; lead_magnet url field is required; {kinds}"
            ),
        ),
    ] {
        let answer = post(&app, &body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    assert_eq!(app.items().await, before);
    for body in [
        with("name", json!("x".repeat(200))),
        with("provider_account_id", json!(vec![ONE; 100])),
        hours("09:00", "09:01"),
    ] {
        assert_eq!(post(&app, &body).await.status, 201, "{body}");
    }
}
