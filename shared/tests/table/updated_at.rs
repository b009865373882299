//! `updated_at` of writes that overtake each other: it never goes back.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use shared::RequestContext;
use shared::domain::RequiredVersion;
use shared::testing::{TestApp, contact_patch, jane, parse_body};

use crate::bulk::{send, unhurried_ctx, upload};

/// Contexts of two requests, of which the first one arrived five seconds before the second.
fn early_and_late(test: &TestApp) -> (RequestContext, RequestContext) {
    let early = unhurried_ctx(test);
    test.advance_clock(TimeDelta::seconds(5));
    (early, unhurried_ctx(test))
}

/// Asserts that the write of a request that was overtaken has the time of the write before it.
#[track_caller]
fn assert_never_back(first: DateTime<Utc>, then: DateTime<Utc>, write: &str) {
    assert!(then >= first, "{write}: {then} is earlier than {first}");
    assert!(then - first < TimeDelta::seconds(5), "{write}: {then} is ahead of the clock");
}

#[tokio::test]
async fn a_contact() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    for (n, (body, required)) in [
        (json!({"metadata": {"a": 1}}), None),
        (json!({"metadata": {"a": 1}}), Some(RequiredVersion::OneOf(vec![2]))),
        (json!({"metadata": {"a": {"b": 1}}}), None),
        (json!({"email": "new@example.com"}), None),
    ]
    .into_iter()
    .enumerate()
    {
        let id = test.create_jane(&format!("{n}@example.com")).await.id;
        let (early, late) = early_and_late(&test);
        let overtaking = late.contacts(&principal).update(id, &contact_patch(json!({"locale": "es"})), None).await;
        let overtaken = early.contacts(&principal).update(id, &contact_patch(body.clone()), required.as_ref()).await;
        let overtaken = overtaken.unwrap();
        assert_never_back(overtaking.unwrap().updated_at, overtaken.updated_at, &body.to_string());
        assert_eq!(test.stored_contact(id).await, Some(overtaken), "{body}");
    }
}

#[tokio::test]
async fn a_contact_of_an_upload() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let id = test.create_jane("jane@example.com").await.id;
    let (early, late) = early_and_late(&test);
    let overtaking = late.contacts(&principal).update(id, &contact_patch(json!({"locale": "es"})), None).await;
    let mut row = jane("jane@example.com");
    row["timezone"] = json!("UTC");
    send(&test, &early, &upload([row]), None).await.unwrap();
    let stored = test.stored_contact(id).await.unwrap();
    assert_eq!(stored.version, 3);
    assert_never_back(overtaking.unwrap().updated_at, stored.updated_at, "upload");
}

#[tokio::test]
async fn an_import() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let id = test.create_import(&test.org).await;
    let campaign = test.create_campaign(json!({"name": "Q1"})).await.id;
    let (early, late) = early_and_late(&test);
    let overtaking = late.imports(&principal).update(id, &parse_body(json!({"status": "completed"}))).await.unwrap();
    let overtaken = early.imports(&principal).update(id, &parse_body(json!({"total_rows": 1}))).await.unwrap();
    assert_never_back(overtaking.updated_at, overtaken.updated_at, "update");
    early.leads(&principal).link(campaign, &[id].into()).await.unwrap();
    let (linked, _) = early.imports(&principal).get(id).await.unwrap();
    assert_eq!(linked.details.campaign_id, Some(campaign));
    assert_never_back(overtaking.updated_at, linked.updated_at, "link");
    // An overtaken update that changes nothing keeps the time of the last change.
    let unchanged = early.imports(&principal).update(id, &parse_body(json!({"total_rows": 1}))).await.unwrap();
    assert_eq!(unchanged, linked);
}

#[tokio::test]
async fn a_campaign() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let id = test.create_campaign(json!({"name": "Q1"})).await.id;
    let (early, late) = early_and_late(&test);
    let overtaking = late.campaigns(&principal).update(id, &parse_body(json!({"status": "active"}))).await.unwrap();
    let overtaken = early.campaigns(&principal).update(id, &parse_body(json!({"name": "Q2"}))).await.unwrap();
    assert_never_back(overtaking.updated_at, overtaken.updated_at, "update");
}

#[tokio::test]
async fn a_lead() {
    let test = TestApp::new().await;
    let principal = test.principal(&test.org).await;
    let id = test.create_lead().await.id();
    let (early, late) = early_and_late(&test);
    let overtaking = late.leads(&principal).update(id, &parse_body(json!({"lead_status": "ended"}))).await.unwrap();
    let overtaken = early.leads(&principal).update(id, &parse_body(json!({"lead_score": 1}))).await.unwrap();
    assert_never_back(overtaking.updated_at, overtaken.updated_at, "update");
}
