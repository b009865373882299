//! Requests through `serve` and `handle`. Each test has a table of its own.

use serde_json::json;
use shared::Endpoint;
use shared::domain::{CampaignId, time};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

async fn get(app: &TestApp, id: CampaignId) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(format!("/campaigns/{id}"))).await
}

#[tokio::test]
async fn a_campaign_is_returned_as_it_was_created() {
    let app = TestApp::new().await;
    let campaign = app.create_campaign(TestRequest::example(Endpoint::CreateCampaign).body()).await;

    let response = get(&app, campaign.id).await;

    let (id, org_id) = (campaign.id, campaign.org_id);
    let lead_magnet_id = campaign.lead_magnet_id.unwrap();
    let created_at = time::to_seconds(campaign.created_at);
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "name":"Q1-2024",
            "description":null,
            "status":"active",
            "service_id":null,
            "icp_profile_id":null,
            "target_meeting_type":null,
            "review_required_default":"human_review",
            "seller_name":null,
            "provider_account_id":[],
            "publish_posts":true,
            "availability_data":{{
                "start_working":"09:00",
                "end_working":"18:00",
                "weekend_work":false,
                "calendar_id":null
            }},
            "lead_magnet_id":"{lead_magnet_id}",
            "created_at":"{created_at}",
            "updated_at":"{created_at}"
        }}"#
    );
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("location"), "");
}

#[tokio::test]
async fn an_unreadable_campaign_is_a_500_without_details() {
    let app = TestApp::new().await;
    let campaign = app.create_campaign(json!({"name": "Q1"})).await;
    let key = keys::campaign(campaign.org_id, campaign.id);
    app.put_item(&key, json!({"type": {"S": "campaign"}, "id": {"S": "canary"}})).await;

    let response = get(&app, campaign.id).await;

    assert_eq!(response.status, 500);
    assert_eq!(response.detail(), "Internal server error");
}
