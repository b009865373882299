//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::{CampaignId, ImportId};
use shared::dynamodb::Parent;
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json, jane};
use uuid::Uuid;

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids, idempotency_locks
);

const ACCOUNT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

async fn link(app: &TestApp, campaign: CampaignId, body: &Value) -> TestResponse {
    let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/campaign-imports/{campaign}/imports")).json(body);
    app.send(ENDPOINT, handle, &request).await
}

async fn link_imports(app: &TestApp, campaign: CampaignId, imports: &[ImportId]) -> TestResponse {
    link(app, campaign, &json!({"import_ids": imports})).await
}

/// An active campaign. All of them share one account, so they compete for contacts.
async fn campaign(app: &TestApp) -> CampaignId {
    app.create_campaign(json!({"name": "Q1", "status": "active", "provider_account_id": [ACCOUNT]})).await.id
}

/// An import with so many contacts.
async fn import(app: &TestApp, contacts: usize) -> ImportId {
    let import = app.create_import(&app.org).await;
    for _ in 0..contacts {
        app.create_contact(&app.org, jane(&format!("{}@example.com", Uuid::new_v4())), Some(import)).await;
    }
    import
}

#[tokio::test]
async fn every_contact_of_an_import_becomes_a_lead() {
    let app = TestApp::new().await;
    let (campaign, import) = (campaign(&app).await, import(&app, 3).await);

    let response = link_imports(&app, campaign, &[import]).await;

    let expected = format!(
        r#"{{
            "campaign_id":"{campaign}",
            "linked_imports":1,
            "considered_contacts":3,
            "excluded_contacts":0,
            "inserted_leads":3
        }}"#
    );
    assert_eq!(response.status, 201);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("etag"), "");
    assert_eq!(response.header("location"), "");
    assert_eq!(app.count_items("lead").await, 3);
}

#[tokio::test]
async fn an_import_that_is_linked_again_adds_no_leads() {
    let app = TestApp::new().await;
    let (campaign, import) = (campaign(&app).await, import(&app, 3).await);
    link_imports(&app, campaign, &[import]).await;

    let response = link_imports(&app, campaign, &[import]).await;

    assert_eq!(response.status, 201);
    assert_eq!(
        response.json(),
        json!({
            "campaign_id": campaign,
            "linked_imports": 1,
            "considered_contacts": 3,
            "excluded_contacts": 3,
            "inserted_leads": 0,
        })
    );
    assert_eq!(app.count_items("lead").await, 3);
}

#[tokio::test]
async fn leads_of_a_competing_campaign_are_excluded() {
    let app = TestApp::new().await;
    let (first, second) = (campaign(&app).await, campaign(&app).await);
    let (shared, new) = (import(&app, 3).await, import(&app, 2).await);
    link_imports(&app, first, &[shared]).await;

    let response = link_imports(&app, second, &[shared, new]).await;

    assert_eq!(response.status, 201);
    assert_eq!(
        response.json(),
        json!({
            "campaign_id": second,
            "linked_imports": 2,
            "considered_contacts": 5,
            "excluded_contacts": 3,
            "inserted_leads": 2,
        })
    );
    assert_eq!(app.count_items("lead").await, 5);
}

#[tokio::test]
async fn a_repeated_import_id_counts_once() {
    let app = TestApp::new().await;
    let campaign = campaign(&app).await;
    let (first, second) = (import(&app, 3).await, import(&app, 2).await);
    link_imports(&app, campaign, &[first, second]).await;

    let response = link_imports(&app, campaign, &[second, second, first]).await;

    assert_eq!(response.status, 201);
    assert_eq!(
        response.json(),
        json!({
            "campaign_id": campaign,
            "linked_imports": 2,
            "considered_contacts": 5,
            "excluded_contacts": 5,
            "inserted_leads": 0,
        })
    );
}

#[tokio::test]
async fn an_import_without_contacts_can_be_linked() {
    let app = TestApp::new().await;
    let (campaign, empty) = (campaign(&app).await, import(&app, 0).await);

    let response = link_imports(&app, campaign, &[empty]).await;

    assert_eq!(response.status, 201);
    assert_eq!(
        response.json(),
        json!({
            "campaign_id": campaign,
            "linked_imports": 1,
            "considered_contacts": 0,
            "excluded_contacts": 0,
            "inserted_leads": 0,
        })
    );
}

/// The stored item of the import.
async fn item(app: &TestApp, import: ImportId) -> String {
    let sort_key = format!("\"sk\":\"{}\"", Parent::Import(import).key(app.org.org_id).sk);
    app.items().await.into_iter().find(|item| item.contains(&sort_key)).unwrap()
}

#[tokio::test]
async fn an_import_stores_the_campaign_that_it_was_linked_to_last() {
    let app = TestApp::new().await;
    let import = import(&app, 1).await;
    assert!(!item(&app, import).await.contains("campaign_id"));
    for campaign in [campaign(&app).await, campaign(&app).await] {
        link_imports(&app, campaign, &[import]).await;
        let linked = item(&app, import).await;
        assert!(linked.contains(&format!("\"campaign_id\":\"{campaign}\"")), "{linked}");
    }
}

#[tokio::test]
async fn an_import_that_is_linked_again_is_not_written_again() {
    let app = TestApp::new().await;
    let (campaign, import) = (campaign(&app).await, import(&app, 1).await);
    link_imports(&app, campaign, &[import]).await;
    let linked = item(&app, import).await;
    app.advance_clock(TimeDelta::hours(1));

    link_imports(&app, campaign, &[import]).await;

    assert_eq!(item(&app, import).await, linked);
}

#[tokio::test]
async fn invalid_import_ids_are_a_validation_error_and_nothing_is_written() {
    let app = TestApp::new().await;
    let (campaign, import) = (campaign(&app).await, import(&app, 1).await);
    let before = app.items().await;
    let number = "import_ids must hold 1 to 100 imports";
    let uuids = "import_ids must hold valid UUIDs";
    let strings = "import_ids must be an array of strings";
    for (body, detail) in [
        (json!({}), "import_ids field is required"),
        (json!({"import_ids": null}), "import_ids field is required"),
        (json!({"import_ids": []}), number),
        (json!({"import_ids": vec![import; 101]}), number),
        (json!({"import_ids": ["x"]}), uuids),
        (json!({"import_ids": [import, ""]}), uuids),
        (json!({"import_ids": import}), strings),
        (json!({"import_ids": [1]}), strings),
        (json!({"import_ids": [null]}), strings),
    ] {
        let response = link(&app, campaign, &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn one_hundred_import_ids_in_upper_case_are_valid() {
    let app = TestApp::new().await;
    let (campaign, import) = (campaign(&app).await, import(&app, 1).await);

    let response = link(&app, campaign, &json!({"import_ids": vec![import.to_string().to_uppercase(); 100]})).await;

    assert_eq!(response.json()["linked_imports"], 1);
}

#[tokio::test]
async fn an_unknown_import_is_a_404_and_nothing_is_written() {
    let app = TestApp::new().await;
    let (campaign, import) = (campaign(&app).await, import(&app, 1).await);
    let import_of_other_org = app.create_import(&app.other).await;
    let before = app.items().await;
    for unknown in [import_of_other_org, Uuid::now_v7().into()] {
        for imports in [vec![unknown], vec![import, unknown], vec![unknown, import]] {
            let response = link_imports(&app, campaign, &imports).await;
            assert_eq!(response.status, 404, "{}", response.text);
            assert_eq!(response.detail(), "Import not found");
        }
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn an_unknown_campaign_is_reported_before_an_unknown_import() {
    let app = TestApp::new().await;
    let before = app.items().await;

    let response = link_imports(&app, Uuid::now_v7().into(), &[Uuid::now_v7().into()]).await;

    assert_eq!(response.status, 404);
    assert_eq!(response.detail(), "Campaign not found");
    assert_eq!(app.items().await, before);
}
