//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::json;
use shared::Endpoint;
use shared::domain::{LeadId, time};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::GetCampaignLead;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

async fn get(app: &TestApp, id: LeadId) -> TestResponse {
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(format!("/campaign-leads/{id}"))).await
}

#[tokio::test]
async fn a_lead_is_answered_as_it_was_made() {
    let app = TestApp::new().await;
    let lead = app.create_lead().await;
    let answer = get(&app, lead.id()).await;
    let (id, campaign, contact) = (lead.id(), lead.key.campaign_id, lead.key.contact_id);
    let at = time::to_seconds(lead.created_at);
    let expected = format!(
        r#"{{"id":"{id}","campaign_id":"{campaign}","contact_id":"{contact}","lead_status":"pending","lead_score":null,"lead_phase":null,"is_contact":true,"current_lead_step_id":null,"created_at":"{at}","updated_at":"{at}"}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!((answer.header("content-type"), answer.header("etag")), ("application/json", ""));
}

#[tokio::test]
async fn what_a_sender_stored_is_shown() {
    const STEP: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    let app = TestApp::new().await;
    let lead = app.create_lead().await;
    let mut item = json!({
        "type": {"S": "lead"}, "campaign_id": {"S": lead.key.campaign_id}, "contact_id": {"S": lead.key.contact_id},
        "lead_status": {"S": "paused"}, "lead_score": {"N": "-0.25"}, "lead_phase": {"S": "warm"},
        "current_lead_step_id": {"S": STEP},
        "created_at": {"S": "2024-10-06T12:00:00.999Z"}, "updated_at": {"S": "2024-10-07T12:00:00.001Z"},
    });
    for (name, value) in keys::lead_in_indexes(app.org.org_id, lead.key) {
        item[name] = json!({"S": value});
    }
    app.put_item(&keys::lead(app.org.org_id, lead.key), item).await;
    let shown = get(&app, lead.id()).await.json();
    let expected = json!({
        "id": lead.id(), "campaign_id": lead.key.campaign_id, "contact_id": lead.key.contact_id,
        "lead_status": "paused", "lead_score": -0.25, "lead_phase": "warm", "is_contact": true,
        "current_lead_step_id": STEP, "created_at": "2024-10-06T12:00:00Z", "updated_at": "2024-10-07T12:00:00Z",
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn a_lead_goes_with_its_contact_and_with_its_campaign() {
    let app = TestApp::new().await;
    let principal = app.principal(&app.org).await;
    let (of_contact, of_campaign, stays) = (app.create_lead().await, app.create_lead().await, app.create_lead().await);
    app.ctx().contacts(&principal).delete(of_contact.key.contact_id, None).await.unwrap();
    app.ctx().campaigns(&principal).delete(of_campaign.key.campaign_id).await.unwrap();
    for gone in [of_contact, of_campaign] {
        let answer = get(&app, gone.id()).await;
        assert_eq!((answer.status, answer.detail()), (404, "Lead not found".to_owned()));
    }
    assert_eq!(get(&app, stays.id()).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_fault_and_says_nothing() {
    let app = TestApp::new().await;
    let lead = app.create_lead().await;
    for broken in [json!({"lead_status": {"S": "canary"}}), json!({"lead_score": {"S": "canary"}})] {
        let mut item = json!({"type": {"S": "lead"}});
        for (name, value) in keys::lead_in_indexes(app.org.org_id, lead.key) {
            item[name] = json!({"S": value});
        }
        item.as_object_mut().unwrap().extend(broken.as_object().unwrap().clone());
        app.put_item(&keys::lead(app.org.org_id, lead.key), item).await;
        let answer = get(&app, lead.id()).await;
        assert_eq!((answer.status, answer.text.as_str()), (500, r#"{"detail":"Internal server error"}"#));
    }
}
