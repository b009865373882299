//! `handle` behind the whole way of a request, on a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::{CampaignId, ImportId};
use shared::dynamodb::Parent;
use shared::testing::{TestApp, TestRequest, TestResponse, jane};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::LinkImports;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids, idempotency_locks
);

const ACCOUNT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

async fn link(app: &TestApp, campaign: CampaignId, body: &Value) -> TestResponse {
    let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/campaign-imports/{campaign}/imports")).json(body);
    app.send(ENDPOINT, handle, &request).await
}

/// A campaign of this account, and an import with so many contacts.
async fn campaign_and_import(app: &TestApp, contacts: usize) -> (CampaignId, ImportId) {
    let body = json!({"name": "Q1", "status": "active", "provider_account_id": [ACCOUNT]});
    let (campaign, import) = (app.create_campaign(body).await.id, app.create_import(&app.org).await);
    for _ in 0..contacts {
        app.create_contact(&app.org, jane(&format!("{}@example.com", uuid::Uuid::new_v4())), Some(import)).await;
    }
    (campaign, import)
}

#[tokio::test]
async fn the_answer_counts_what_the_call_did() {
    let app = TestApp::new().await;
    let (campaign, import) = campaign_and_import(&app, 3).await;
    let (rival, second) = campaign_and_import(&app, 2).await;
    let answer = async |campaign: CampaignId, imports: &[ImportId]| {
        let answer = link(&app, campaign, &json!({"import_ids": imports})).await;
        assert_eq!((answer.status, answer.header("content-type")), (201, "application/json"), "{}", answer.text);
        assert_eq!((answer.header("etag"), answer.header("location")), ("", ""));
        answer.text
    };
    let told = |campaign: CampaignId, [imports, considered, excluded, inserted]: [usize; 4]| {
        format!(
            r#"{{"campaign_id":"{campaign}","linked_imports":{imports},"considered_contacts":{considered},"excluded_contacts":{excluded},"inserted_leads":{inserted}}}"#
        )
    };
    assert_eq!(answer(campaign, &[import]).await, told(campaign, [1, 3, 0, 3]));
    assert_eq!(answer(campaign, &[import]).await, told(campaign, [1, 3, 3, 0]), "a repeat inserts nothing");
    assert_eq!(answer(rival, &[import, second]).await, told(rival, [2, 5, 3, 2]), "three are the other's already");
    assert_eq!(
        answer(campaign, &[second, second, import]).await,
        told(campaign, [2, 5, 5, 0]),
        "an import counts once"
    );
    let empty = app.create_import(&app.org).await;
    assert_eq!(answer(campaign, &[empty]).await, told(campaign, [1, 0, 0, 0]));
    assert_eq!(app.count_items("lead").await, 5);
}

#[tokio::test]
async fn an_import_knows_the_campaign_it_was_linked_to_last() {
    let app = TestApp::new().await;
    let (first, import) = campaign_and_import(&app, 1).await;
    let (second, _) = campaign_and_import(&app, 0).await;
    let sk = format!("\"sk\":\"{}\"", Parent::Import(import).key(app.org.org_id).sk);
    let stored = async || app.items().await.into_iter().find(|item| item.contains(&sk)).unwrap();
    let unlinked = stored().await;
    assert!(!unlinked.contains("campaign_id"));
    for campaign in [first, second] {
        app.advance_clock(TimeDelta::hours(1));
        link(&app, campaign, &json!({"import_ids": [import]})).await;
        let linked = stored().await;
        assert!(linked.contains(&format!("\"campaign_id\":\"{campaign}\"")), "{linked}");
        app.advance_clock(TimeDelta::hours(1));
        link(&app, campaign, &json!({"import_ids": [import]})).await;
        assert_eq!(stored().await, linked, "nothing changed, so it was not touched");
    }
}

#[tokio::test]
async fn every_fault_is_named_and_nothing_is_written() {
    let app = TestApp::new().await;
    let (campaign, import) = campaign_and_import(&app, 1).await;
    let before = app.items().await;
    let number = "import_ids must hold 1 to 100 imports";
    let uuids = "import_ids must hold valid UUIDs";
    for (body, detail) in [
        (json!({}), "import_ids field is required"),
        (json!({"import_ids": null}), "import_ids field is required"),
        (json!({"import_ids": []}), number),
        (json!({"import_ids": vec![import; 101]}), number),
        (json!({"import_ids": ["x"]}), uuids),
        (json!({"import_ids": [import, ""]}), uuids),
        (json!({"import_ids": import}), "import_ids must be an array of strings"),
        (json!({"import_ids": [1]}), "import_ids must be an array of strings"),
        (json!({"import_ids": [null]}), "import_ids must be an array of strings"),
    ] {
        let answer = link(&app, campaign, &body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    assert_eq!(app.items().await, before);
    let most = json!({"import_ids": vec![import.to_string().to_uppercase(); 100]});
    assert_eq!(link(&app, campaign, &most).await.json()["linked_imports"], 1);
}

#[tokio::test]
async fn an_import_that_is_not_there_is_not_found_and_nothing_is_written() {
    let app = TestApp::new().await;
    let (campaign, import) = campaign_and_import(&app, 1).await;
    let theirs = app.create_import(&app.other).await;
    let before = app.items().await;
    for missing in [theirs, uuid::Uuid::now_v7().into()] {
        for imports in [vec![missing], vec![import, missing], vec![missing, import]] {
            let answer = link(&app, campaign, &json!({"import_ids": imports})).await;
            assert_eq!((answer.status, answer.detail()), (404, "Import not found".to_owned()));
        }
    }
    let campaign = uuid::Uuid::now_v7().into();
    let answer = link(&app, campaign, &json!({"import_ids": [theirs]})).await;
    assert_eq!((answer.status, answer.detail()), (404, "Campaign not found".to_owned()), "the path goes first");
    assert_eq!(app.items().await, before);
}
