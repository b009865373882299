//! Requests through `serve` and `handle`. Each test has a table of its own.

use serde_json::{Value, json};
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies, idempotency
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const TWO: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

async fn post(app: &TestApp, body: &Value) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).json(body)).await
}

/// The stored item of this type, if there is one.
async fn item(app: &TestApp, kind: &str) -> Option<String> {
    let kind = format!("\"type\":\"{kind}\"");
    app.items().await.into_iter().find(|item| item.contains(&kind))
}

#[tokio::test]
async fn a_campaign_has_defaults_for_every_field_but_its_name() {
    let app = TestApp::new().await;

    let response = post(&app, &json!({"name": " Q1 2024 "})).await;

    let campaign = response.json();
    let (id, org_id) = (campaign["id"].as_str().unwrap(), app.org.org_id);
    let created_at = campaign["created_at"].as_str().unwrap();
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "name":"Q1 2024",
            "description":null,
            "status":"draft",
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
            "updated_at":"{created_at}"
        }}"#
    );
    assert_eq!(response.status, 201);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("location"), format!("/campaigns/{id}"));
    assert_eq!(item(&app, "lead_magnet").await, None);
    assert_eq!(item(&app, "active_campaigns").await, None);
}

#[tokio::test]
async fn null_and_blank_fields_are_as_good_as_absent_ones() {
    let app = TestApp::new().await;
    let mut expected = post(&app, &json!({"name": "Q1 2024"})).await.json();

    let response = post(
        &app,
        &json!({
            "name": "Q1 2024", "description": null, "service_id": null, "icp_profile_id": null,
            "target_meeting_type": " ", "seller_name": null, "provider_account_id": null,
            "availability_data": null, "lead_magnet": null, "id": 1,
        }),
    )
    .await;

    let campaign = response.json();
    for generated in ["id", "created_at", "updated_at"] {
        expected[generated] = campaign[generated].clone();
    }
    assert_eq!(campaign, expected);
}

#[tokio::test]
async fn every_field_is_stored_and_returned() {
    let app = TestApp::new().await;

    let response = post(
        &app,
        &json!({
            "name": "Q1",
            "description": " one\n two ",
            "status": "active",
            "service_id": ONE.to_uppercase(),
            "icp_profile_id": TWO,
            "target_meeting_type": " demo ",
            "review_required_default": "auto",
            "seller_name": "Jane Doe",
            "provider_account_id": [TWO, ONE],
            "publish_posts": false,
            "availability_data":
                {"start_working": "00:00", "end_working": "23:59", "weekend_work": true, "calendar_id": "c"},
            "lead_magnet": {
                "name": "Guide",
                "description": " ",
                "url": "https://example.com/g.pdf",
                "content_type": "ebook",
            },
        }),
    )
    .await;

    let campaign = response.json();
    let (id, org_id) = (campaign["id"].as_str().unwrap(), app.org.org_id);
    let lead_magnet_id = campaign["lead_magnet_id"].as_str().unwrap();
    let created_at = campaign["created_at"].as_str().unwrap();
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "name":"Q1",
            "description":"one\n two",
            "status":"active",
            "service_id":"{ONE}",
            "icp_profile_id":"{TWO}",
            "target_meeting_type":"demo",
            "review_required_default":"auto",
            "seller_name":"Jane Doe",
            "provider_account_id":["{TWO}","{ONE}"],
            "publish_posts":false,
            "availability_data":{{
                "start_working":"00:00",
                "end_working":"23:59",
                "weekend_work":true,
                "calendar_id":"c"
            }},
            "lead_magnet_id":"{lead_magnet_id}",
            "created_at":"{created_at}",
            "updated_at":"{created_at}"
        }}"#
    );
    assert_eq!(response.status, 201);
    assert_eq!(response.text, compact_json(&expected));
}

#[tokio::test]
async fn a_lead_magnet_is_stored_under_the_id_that_the_campaign_shows() {
    let app = TestApp::new().await;
    let lead_magnet = json!({"name": "Guide", "url": "https://example.com/g.pdf", "content_type": "ebook"});

    let response = post(&app, &json!({"name": "Q1", "lead_magnet": lead_magnet})).await;

    let campaign = response.json();
    let stored = item(&app, "lead_magnet").await.unwrap();
    for part in [campaign["lead_magnet_id"].as_str().unwrap(), "Guide", "https://example.com/g.pdf", "ebook"] {
        assert!(stored.contains(part), "{part}: {stored}");
    }
}

#[tokio::test]
async fn active_campaigns_are_added_to_the_set_of_active_campaigns() {
    let app = TestApp::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let response = post(&app, &json!({"name": "Q1", "status": "active"})).await;
        ids.push(response.json()["id"].as_str().unwrap().to_owned());
    }

    let active_campaigns = item(&app, "active_campaigns").await.unwrap();

    for id in &ids {
        assert!(active_campaigns.contains(id), "{active_campaigns}");
    }
}

#[tokio::test]
async fn a_campaign_of_another_status_is_not_among_the_active_campaigns() {
    let app = TestApp::new().await;
    for status in ["draft", "paused", "archived"] {
        let response = post(&app, &json!({"name": "Q1", "status": status})).await;
        assert_eq!(response.status, 201, "{status}: {}", response.text);
        assert_eq!(response.json()["status"], status);
        assert_eq!(item(&app, "active_campaigns").await, None, "{status}");
    }
}

#[tokio::test]
async fn an_active_campaign_beyond_the_limit_is_a_conflict_and_nothing_is_written() {
    let app = TestApp::new().await;
    app.put_active_campaigns(999).await;
    let active = json!({"name": "Q1", "status": "active"});
    assert_eq!(post(&app, &active).await.status, 201);
    let before = app.items().await;

    let response = post(&app, &active).await;

    assert_eq!(response.status, 409);
    assert_eq!(response.detail(), "An organization can have at most 1000 active campaigns");
    assert_eq!(app.items().await, before);
    assert_eq!(post(&app, &json!({"name": "Q1"})).await.status, 201, "a draft is created");
}

#[tokio::test]
async fn every_content_type_of_a_lead_magnet_is_accepted() {
    let app = TestApp::new().await;
    for content_type in ["pdf", "doc", "docx", "video", "image", "webpage", "ebook"] {
        let lead_magnet = json!({"name": "Guide", "url": "http://example.com", "content_type": content_type});
        let response = post(&app, &json!({"name": "Q1", "lead_magnet": lead_magnet})).await;
        assert_eq!(response.status, 201, "{content_type}: {}", response.text);
        assert!(response.json()["lead_magnet_id"].is_string(), "{content_type}: {}", response.text);
    }
    assert_eq!(app.count_items("lead_magnet").await, 7);
}

#[tokio::test]
async fn a_lead_magnet_needs_no_content_type() {
    let app = TestApp::new().await;
    for lead_magnet in [
        json!({"name": "Guide", "url": "https://example.com"}),
        json!({"name": "Guide", "url": "https://example.com", "content_type": null}),
    ] {
        let response = post(&app, &json!({"name": "Q1", "lead_magnet": lead_magnet})).await;

        assert_eq!(response.status, 201, "{lead_magnet}: {}", response.text);
        let stored = item(&app, "lead_magnet").await.unwrap();
        assert!(!stored.contains("content_type"), "{stored}");
    }
}

#[tokio::test]
async fn booleans_are_read_leniently() {
    let app = TestApp::new().await;
    for (sent, read) in [(json!("FALSE"), false), (json!("off"), false), (json!(0), false), (json!("Yes"), true)] {
        let hours = json!({"start_working": "09:00", "end_working": "10:00", "weekend_work": sent});
        let response =
            post(&app, &json!({"name": "Q1", "publish_posts": sent, "availability_data": hours})).await.json();

        assert_eq!(response["publish_posts"], read, "{sent}");
        assert_eq!(response["availability_data"]["weekend_work"], read, "{sent}");
    }
}

/// A body with this field beside the name.
fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"name": "Q1"});
    body[field] = value;
    body
}

/// A body with these working hours.
fn with_hours(start: &str, end: &str) -> Value {
    with("availability_data", json!({"start_working": start, "end_working": end}))
}

/// A body with a lead magnet that has this field replaced.
fn with_lead_magnet(field: &str, value: Value) -> Value {
    let mut lead_magnet = json!({"name": "Guide", "url": "https://example.com", "content_type": "pdf"});
    lead_magnet[field] = value;
    with("lead_magnet", lead_magnet)
}

#[tokio::test]
async fn validation_errors_name_each_field_in_the_documented_order() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let (x201, x5001) = ("x".repeat(201), "x".repeat(5_001));
    let status = "status must be one of draft active paused archived";
    let end_before_start = "availability_data end_working must be after start_working";
    let not_times = "availability_data start_working must be a time as HH:MM; \
                     availability_data end_working must be a time as HH:MM";
    let no_hours = "availability_data start_working field is required; \
                    availability_data end_working field is required";
    let all_of_availability_data = "availability_data end_working must be after start_working; \
                                    availability_data weekend_work must be true or false; \
                                    availability_data calendar_id must be at most 200 characters";
    let blank_calendar = json!({"start_working": "09:00", "end_working": "10:00", "calendar_id": "\u{200B}"});
    let content_type = "lead_magnet content_type must be one of pdf doc docx video image webpage ebook";
    let empty_lead_magnet = "lead_magnet name field is required; lead_magnet url field is required";
    let all_fields = "name must not be blank; description must be a string; \
                      status must be one of draft active paused archived; service_id must be a valid UUID; \
                      icp_profile_id must be a valid UUID; target_meeting_type must be a string; \
                      review_required_default must be a string; seller_name must be a string; \
                      provider_account_id must hold valid UUIDs; publish_posts must be true or false; \
                      availability_data end_working must be a time as HH:MM; \
                      lead_magnet url field is required; \
                      lead_magnet content_type must be one of pdf doc docx video image webpage ebook";
    for (body, detail) in [
        // name
        (json!({}), "name field is required"),
        (with("name", json!(null)), "name field is required"),
        (with("name", json!(" ")), "name must not be blank"),
        (with("name", json!(x201)), "name must be at most 200 characters"),
        (with("name", json!("a\nb")), "name must not contain control characters"),
        (with("name", json!("\u{200B}\u{FEFF}")), "name must not be blank"),
        (with("name", json!("Campa\u{FFFD}a")), "name must not contain the replacement character U+FFFD"),
        // description
        (with("description", json!(x5001)), "description must be at most 5000 characters"),
        // status
        (with("status", json!("running")), status),
        (with("status", json!("Active")), status),
        (with("status", json!(true)), "status must be a string"),
        // service_id and icp_profile_id
        (with("service_id", json!("42")), "service_id must be a valid UUID"),
        (with("icp_profile_id", json!(42)), "icp_profile_id must be a string"),
        // target_meeting_type, review_required_default and seller_name
        (with("target_meeting_type", json!(x201)), "target_meeting_type must be at most 200 characters"),
        (with("review_required_default", json!("no")), "review_required_default must be one of human_review auto"),
        (with("seller_name", json!(x201)), "seller_name must be at most 200 characters"),
        // provider_account_id
        (with("provider_account_id", json!(ONE)), "provider_account_id must be an array of strings"),
        (with("provider_account_id", json!([ONE, 1])), "provider_account_id must be an array of strings"),
        (with("provider_account_id", json!([ONE, "x"])), "provider_account_id must hold valid UUIDs"),
        (with("provider_account_id", json!(vec![ONE; 101])), "provider_account_id must hold at most 100 accounts"),
        // publish_posts
        (with("publish_posts", json!("maybe")), "publish_posts must be true or false"),
        // availability_data
        (with("availability_data", json!([])), "availability_data must be a JSON object"),
        (with_hours("09:00", "09:00"), end_before_start),
        (with_hours("18:00", "09:00"), end_before_start),
        (with_hours("9:00", "24:00"), not_times),
        (with_hours(" 9:00", "+9:30"), not_times),
        (with("availability_data", blank_calendar), "availability_data calendar_id must not be blank"),
        (with("availability_data", json!({})), no_hours),
        (
            with(
                "availability_data",
                json!({"calendar_id": x201, "weekend_work": 2, "end_working": "09:00", "start_working": "09:00"}),
            ),
            all_of_availability_data,
        ),
        // lead_magnet
        (with("lead_magnet", json!("x")), "lead_magnet must be a JSON object"),
        (with_lead_magnet("url", json!(null)), "lead_magnet url field is required"),
        (with_lead_magnet("url", json!("ftp://example.com")), "lead_magnet url must be an http or https URL"),
        (with_lead_magnet("content_type", json!("PDF")), content_type),
        (with_lead_magnet("description", json!(x5001)), "lead_magnet description must be at most 5000 characters"),
        (with("lead_magnet", json!({})), empty_lead_magnet),
        // Every field at once.
        (
            json!({
                "lead_magnet": {"content_type": "x", "name": "Guide"},
                "availability_data": {"end_working": "x", "start_working": "08:00"},
                "publish_posts": 2,
                "provider_account_id": ["x"],
                "seller_name": 1,
                "review_required_default": 1,
                "target_meeting_type": 1,
                "icp_profile_id": "x",
                "service_id": "x",
                "status": "x",
                "description": 1,
                "name": "",
            }),
            all_fields,
        ),
    ] {
        let response = post(&app, &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn a_repeated_field_of_a_nested_object_is_a_validation_error() {
    let app = TestApp::new().await;
    let body = r#"{"name": "Q1", "lead_magnet": {"name": "Guide", "name": "Guide 2"}}"#;

    let response = app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).text(body)).await;

    assert_eq!(response.status, 400);
    assert_eq!(response.detail(), "Validation error: lead_magnet must not have a field twice");
}

#[tokio::test]
async fn values_at_the_limits_are_valid() {
    let app = TestApp::new().await;
    for body in [
        with("name", json!("x".repeat(200))),
        with("provider_account_id", json!(vec![ONE; 100])),
        with_hours("09:00", "09:01"),
    ] {
        let response = post(&app, &body).await;
        assert_eq!(response.status, 201, "{body}: {}", response.text);
    }
}
