//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::json;
use shared::Endpoint;
use shared::domain::CampaignId;
use shared::dynamodb::Parent;
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::DeleteCampaign;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

async fn delete(app: &TestApp, id: CampaignId) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(format!("/campaigns/{id}"))).await
}

#[tokio::test]
async fn a_campaign_goes_with_what_it_offers_and_leaves_a_tombstone() {
    let app = TestApp::new().await;
    let stays = app.create_campaign(TestRequest::example(Endpoint::CreateCampaign).body()).await;
    let before = app.items().await;
    let id = app.create_campaign(TestRequest::example(Endpoint::CreateCampaign).body()).await.id;
    let answer = delete(&app, id).await;
    let message = format!(r#"{{"message":"Campaign {id} eliminada"}}"#);
    assert_eq!((answer.status, &answer.text), (200, &message));
    assert_eq!(answer.header("content-type"), "application/json");
    let mut after = app.items().await;
    let tombstone = after.iter().position(|item| item.contains(r#""type":"tombstone""#)).unwrap();
    let tombstone = after.remove(tombstone);
    let key = Parent::Campaign(id).tombstone(app.org.org_id);
    assert!(tombstone.contains(&key.pk) && tombstone.contains("expires_at"), "{tombstone}");
    assert_eq!(after, before, "nothing else is left, the active campaigns are as before");
    assert_eq!(delete(&app, stays.id).await.status, 200);
    assert_eq!(app.count_items("lead_magnet").await, 0);
}

#[tokio::test]
async fn what_is_gone_is_not_found_and_stays_so() {
    let app = TestApp::new().await;
    for status in ["draft", "active", "paused", "archived"] {
        let id = app.create_campaign(json!({"name": "Q1", "status": status})).await.id;
        assert_eq!(delete(&app, id).await.status, 200, "{status}");
        let before = app.items().await;
        let again = delete(&app, id).await;
        assert_eq!((again.status, again.detail()), (404, "Campaign not found".to_owned()), "{status}");
        assert_eq!(app.items().await, before, "{status}");
        let set = before.iter().find(|item| item.contains(r#""type":"active_campaigns""#));
        assert!(set.is_none_or(|set| !set.contains("campaign_ids")), "{status}: {set:?}");
    }
}

#[tokio::test]
async fn a_body_and_an_idempotency_key_mean_nothing_here() {
    let app = TestApp::new().await;
    for (name, value) in [("content-type", "text/plain"), ("idempotency-key", ""), ("if-match", "x")] {
        let id = app.create_campaign(json!({"name": "Q1"})).await.id;
        let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/campaigns/{id}"));
        let answer = app.send(ENDPOINT, handle, &request.header(name, value).text("{")).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
    }
}
