//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::json;
use shared::Endpoint;
use shared::domain::time;
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::GetCampaign;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

#[tokio::test]
async fn a_campaign_is_answered_as_it_was_when_created() {
    let app = TestApp::new().await;
    let campaign = app.create_campaign(TestRequest::example(Endpoint::CreateCampaign).body()).await;
    let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/campaigns/{}", campaign.id));
    let answer = app.send(ENDPOINT, handle, &request).await;
    let (id, org_id, at) = (campaign.id, campaign.org_id, time::to_seconds(campaign.created_at));
    let magnet = campaign.lead_magnet_id.unwrap();
    let expected = format!(
        r#"{{"id":"{id}","org_id":"{org_id}","name":"Q1-2024","description":null,"status":"active","service_id":null,"icp_profile_id":null,"target_meeting_type":null,"review_required_default":"human_review","seller_name":null,"provider_account_id":[],"publish_posts":true,"availability_data":{{"start_working":"09:00","end_working":"18:00","weekend_work":false,"calendar_id":null}},"lead_magnet_id":"{magnet}","created_at":"{at}","updated_at":"{at}"}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!((answer.header("content-type"), answer.header("location")), ("application/json", ""));
}

#[tokio::test]
async fn what_cannot_be_read_is_a_fault_and_says_nothing() {
    let app = TestApp::new().await;
    let campaign = app.create_campaign(json!({"name": "Q1"})).await;
    let key = keys::campaign(campaign.org_id, campaign.id);
    app.put_item(&key, json!({"type": {"S": "campaign"}, "id": {"S": "canary"}})).await;
    let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/campaigns/{}", campaign.id));
    let answer = app.send(ENDPOINT, handle, &request).await;
    assert_eq!((answer.status, answer.text.as_str()), (500, r#"{"detail":"Internal server error"}"#));
}
