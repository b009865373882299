//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::{ActivityId, ApiKey, ApiKeySecret, CampaignId, Contact, ContactId, time};
use shared::dynamodb::keys::{self, Key};
use shared::testing::{Tenant, TestApp, TestRequest, TestResponse, compact_json, jane, parse_body};
use shared::wire::NewActivities;
use uuid::Uuid;

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
);

fn request(app: &TestApp, id: ContactId, query: &str) -> TestRequest {
    TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{id}")).query(query)
}

async fn send(app: &TestApp, request: &TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, request).await
}

async fn get(app: &TestApp, id: ContactId, query: &str) -> TestResponse {
    send(app, &request(app, id, query)).await
}

/// Records an activity with these fields beside the required ones.
async fn record(app: &TestApp, contact: &Contact, event_time: &str, id: &str, fields: Value) {
    let mut body = json!({"id": id, "event_time": event_time, "event_type": "message_sent"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    app.record_activity(contact.id, body).await;
}

/// Records one activity per minute, `act_0` and on: one for each campaign in this list, or without a campaign.
async fn record_timeline(app: &TestApp, contact: &Contact, campaigns: &[Option<CampaignId>]) {
    for (minute, campaign) in campaigns.iter().enumerate() {
        let fields = json!({"campaign_id": campaign.map(|id| id.to_string())});
        record(app, contact, &format!("2024-04-18T10:{minute:02}:00Z"), &format!("act_{minute}"), fields).await;
    }
}

/// Stores a campaign of this status.
async fn campaign(app: &TestApp, status: &str) -> CampaignId {
    app.create_campaign(json!({"name": "Q1", "status": status})).await.id
}

async fn set_status(app: &TestApp, campaign: CampaignId, status: &str) {
    let campaigns = app.ctx().campaigns(&app.principal(&app.org).await);
    campaigns.update(campaign, &parse_body(json!({"status": status}))).await.unwrap();
}

/// The ids of the activities that a response has.
fn activity_ids(response: &TestResponse) -> Vec<String> {
    assert_eq!(response.status, 200, "{}", response.text);
    let contact = response.json();
    let activities = contact["activities"].as_array().unwrap();
    activities.iter().map(|activity| activity["id"].as_str().unwrap().to_owned()).collect()
}

/// The query of the next page in the `Link` header, if there is a next page.
fn next_page(response: &TestResponse, contact: &Contact) -> Option<String> {
    let link = response.header("link");
    if link.is_empty() {
        return None;
    }
    let query = link.strip_prefix(&format!("</contacts/{}?", contact.id)).expect(link);
    Some(query.strip_suffix(">; rel=\"next\"").expect(link).to_owned())
}

#[tokio::test]
async fn the_documented_example_is_returned_with_its_timeline_in_event_order() {
    let app = TestApp::new().await;
    let mut body = jane("jane@example.com");
    body["company"] = json!("Tech Corp");
    let jane = app.create_contact(&app.org, body, None).await;
    let mut activities = TestRequest::example(Endpoint::RecordActivities).body();
    // The later event is recorded first.
    activities.as_array_mut().unwrap().reverse();
    app.record_activity(jane.id, activities).await;

    let response = send(&app, &TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{}", jane.id))).await;

    let (id, org_id) = (jane.id, jane.org_id);
    let created_at = time::to_seconds(jane.created_at);
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "full_name":"Jane Doe",
            "email":"jane@example.com",
            "linkedin_profile":"https://www.linkedin.com/in/janedoe",
            "company":"Tech Corp",
            "locale":null,
            "timezone":null,
            "account_id":null,
            "enrichment":null,
            "should_enrich_data":null,
            "created_at":"{created_at}",
            "updated_at":"{created_at}",
            "activities":[
                {{
                    "id":"act_123",
                    "event_time":"2024-04-18T10:15:00Z",
                    "channel":"linkedin",
                    "event_type":"message_sent",
                    "direction":"outbound",
                    "sdr_agent_id":"usr_abc",
                    "event_text":[{{"message":"Hola Jane, ¿comentamos?"}}],
                    "metadata":{{"delivered":true,"opened":true,"clicked":false,"replied":false}},
                    "actor":"SDR"
                }},
                {{
                    "id":"act_124",
                    "event_time":"2024-04-18T11:02:00Z",
                    "channel":"email",
                    "event_type":"replied",
                    "direction":"inbound",
                    "event_text":{{"message":"Hablemos mañana"}},
                    "metadata":{{"delivered":true,"opened":true,"clicked":true,"replied":true}},
                    "actor":"Humano"
                }}
            ]
        }}"#
    );
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert!(response.header("etag").starts_with("\"1-"), "{}", response.header("etag"));
    assert_eq!(response.header("link"), "");
}

#[tokio::test]
async fn absent_fields_of_an_activity_have_defaults() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let metadata = json!({"metadata": {"zeta": null, "a": 1, "clicked": "twice", "Z": [{}]}});
    record(&app, &jane, "2024-04-18T10:15:00.250Z", "act_1", metadata).await;

    let response = get(&app, jane.id, "").await;

    let expected = r#"
        "activities":[
            {
                "id":"act_1",
                "event_time":"2024-04-18T10:15:00.250Z",
                "channel":"sistema",
                "event_type":"message_sent",
                "direction":"outbound",
                "event_text":null,
                "metadata":{"delivered":false,"opened":false,"clicked":"twice","replied":false,"Z":[{}],"a":1},
                "actor":"SDR"
            }
        ]}"#;
    assert!(response.text.ends_with(&compact_json(expected)), "{}", response.text);
}

#[tokio::test]
async fn the_actor_follows_from_the_direction() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let cases = [
        (json!("outbound"), "outbound", "SDR"),
        (json!("inbound"), "inbound", "Humano"),
        (json!(null), "outbound", "SDR"),
    ];
    for (minute, (sent, direction, actor)) in cases.into_iter().enumerate() {
        let fields = json!({"direction": sent, "sdr_agent_id": "usr_abc"});
        record(&app, &jane, &format!("2024-04-18T10:{minute:02}:00Z"), "act_1", fields).await;

        let activity = get(&app, jane.id, "").await.json()["activities"][minute].clone();

        assert_eq!(activity["direction"], direction, "{sent}");
        assert_eq!(activity["actor"], actor, "{sent}");
        assert_eq!(activity["sdr_agent_id"], "usr_abc", "{sent}: the agent is the same in every direction");
    }
}

#[tokio::test]
async fn without_an_active_campaign_the_timeline_has_every_activity() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let draft = campaign(&app, "draft").await;
    record_timeline(&app, &jane, &[Some(draft), None]).await;
    for query in ["", "campaign_id=all", "campaign_id=any"] {
        assert_eq!(activity_ids(&get(&app, jane.id, query).await), ["act_0", "act_1"], "{query}");
    }
}

#[tokio::test]
async fn activities_are_filtered_by_campaign() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let [active, paused] = [campaign(&app, "active").await, campaign(&app, "paused").await];
    // An activity can name a campaign that the organization does not have.
    let [unknown, unused] = [CampaignId::from(Uuid::from_u128(1)), CampaignId::from(Uuid::from_u128(2))];
    record_timeline(&app, &jane, &[Some(active), None, Some(paused), Some(active), Some(unknown)]).await;
    let active_in_upper_case = active.to_string().to_uppercase();
    for (query, expected) in [
        // The active campaigns, which is the default.
        (String::new(), ["act_0", "act_3"].as_slice()),
        ("campaign_id=all".to_owned(), &["act_0", "act_3"]),
        // Every activity.
        ("campaign_id=any".to_owned(), &["act_0", "act_1", "act_2", "act_3", "act_4"]),
        // One campaign.
        (format!("campaign_id={active}"), &["act_0", "act_3"]),
        (format!("campaign_id={active_in_upper_case}"), &["act_0", "act_3"]),
        (format!("campaign_id={paused}"), &["act_2"]),
        (format!("campaign_id={unknown}"), &[]),
        (format!("campaign_id={unused}"), &[]),
    ] {
        assert_eq!(activity_ids(&get(&app, jane.id, &query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn a_change_of_a_campaigns_status_shows_in_the_next_response() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let [one, two] = [campaign(&app, "active").await, campaign(&app, "active").await];
    record_timeline(&app, &jane, &[Some(one), Some(two), None]).await;
    for (campaign, status, expected) in [
        (one, "active", ["act_0", "act_1"].as_slice()),
        (one, "paused", &["act_1"]),
        // Without an active campaign the timeline has every activity.
        (two, "archived", &["act_0", "act_1", "act_2"]),
        (one, "active", &["act_0"]),
        (one, "draft", &["act_0", "act_1", "act_2"]),
    ] {
        set_status(&app, campaign, status).await;
        for query in ["", "campaign_id=all"] {
            assert_eq!(activity_ids(&get(&app, jane.id, query).await), expected, "{campaign} {status} {query}");
        }
    }
}

#[tokio::test]
async fn a_campaign_is_found_by_its_id_in_every_status() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let [one, two] = [campaign(&app, "active").await, campaign(&app, "active").await];
    record_timeline(&app, &jane, &[Some(one), Some(two), None]).await;
    for status in ["active", "paused", "archived", "draft"] {
        set_status(&app, one, status).await;
        assert_eq!(activity_ids(&get(&app, jane.id, &format!("campaign_id={one}")).await), ["act_0"], "{status}");
    }
}

#[tokio::test]
async fn activities_of_a_deleted_campaign_are_only_in_the_unfiltered_timeline() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let [deleted, active] = [campaign(&app, "active").await, campaign(&app, "active").await];
    record_timeline(&app, &jane, &[Some(deleted), Some(active)]).await;
    app.ctx().campaigns(&app.principal(&app.org).await).delete(deleted).await.unwrap();
    for (query, expected) in [
        (format!("campaign_id={deleted}"), [].as_slice()),
        (String::new(), &["act_1"]),
        ("campaign_id=all".to_owned(), &["act_1"]),
        ("campaign_id=any".to_owned(), &["act_0", "act_1"]),
    ] {
        assert_eq!(activity_ids(&get(&app, jane.id, &query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn a_campaign_of_another_organization_has_no_activities() {
    let app = TestApp::new().await;
    let foreign = campaign(&app, "active").await;
    let contact = app.create_contact(&app.other, jane("jane@example.com"), None).await;
    let activities = app.ctx().activities(&app.principal(&app.other).await, contact.id);
    let NewActivities(new) = parse_body(json!({
        "id": "act_1", "event_time": "2024-04-18T10:15:00Z", "event_type": "x", "campaign_id": foreign,
    }));
    activities.record(&activities.draft(new), |_| None).await.unwrap();
    for (query, expected) in [
        (format!("campaign_id={foreign}"), [].as_slice()),
        (String::new(), &["act_1"]),
        ("campaign_id=any".to_owned(), &["act_1"]),
    ] {
        let request = TestRequest::to(ENDPOINT, &app.other).path(format!("/contacts/{}", contact.id)).query(&query);
        let response = send(&app, &request).await;
        assert_eq!(activity_ids(&response), expected, "{query}");
        assert_eq!(response.header("link"), "", "{query}");
    }
}

#[tokio::test]
async fn the_links_lead_through_every_page_of_the_timeline() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let [active, paused] = [campaign(&app, "active").await, campaign(&app, "paused").await];
    // Every third activity passes the filter, so that a page needs more than one read.
    let campaigns: Vec<_> = (0..30).map(|index| Some(if index % 3 == 0 { active } else { paused })).collect();
    record_timeline(&app, &jane, &campaigns).await;
    let every: Vec<_> = (0..30).map(|index| format!("act_{index}")).collect();
    let every_third: Vec<_> = (0..30).step_by(3).map(|index| format!("act_{index}")).collect();
    for (first_page, lengths, expected) in [
        ("limit=4".to_owned(), vec![4, 4, 2], &every_third),
        (format!("page=0&limit=5&campaign_id={active}"), vec![5, 5], &every_third),
        ("limit=10".to_owned(), vec![10], &every_third),
        ("limit=200".to_owned(), vec![10], &every_third),
        ("campaign_id=any&limit=29".to_owned(), vec![29, 1], &every),
    ] {
        let mut pages = Vec::new();
        let mut query = Some(first_page.clone());
        while let Some(current) = query {
            let response = get(&app, jane.id, &current).await;
            pages.push(activity_ids(&response));
            query = next_page(&response, &jane);
        }
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{first_page}");
        assert_eq!(pages.concat(), *expected, "{first_page}");
    }
}

/// In a response, each quotation mark of an activity takes four bytes.
#[tokio::test]
async fn a_page_of_long_activities_ends_early_and_its_link_goes_on() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let ids: Vec<_> = (100..250).map(|index| format!("act_{index}")).collect();
    for id in &ids {
        record(&app, &jane, "2024-04-18T10:15:00Z", id, json!({"event_text": ["\"".repeat(10_000)]})).await;
    }

    let mut pages = Vec::new();
    let mut query = Some("limit=200".to_owned());
    while let Some(current) = query {
        let response = get(&app, jane.id, &current).await;
        pages.push(activity_ids(&response));
        query = next_page(&response, &jane);
    }

    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [85, 65]);
    assert_eq!(pages.concat(), ids);
}

#[tokio::test]
async fn a_page_past_the_end_is_empty() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    record_timeline(&app, &jane, &[None; 10]).await;
    for query in ["page=3&limit=4", "page=1000000&limit=200"] {
        let response = get(&app, jane.id, query).await;
        assert_eq!(response.json()["activities"], json!([]), "{query}");
    }
}

#[tokio::test]
async fn the_next_link_is_exact_although_an_earlier_event_arrives_between_pages() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    record_timeline(&app, &jane, &[None; 5]).await;
    let first = get(&app, jane.id, "limit=2").await;
    assert_eq!(activity_ids(&first), ["act_0", "act_1"]);

    record(&app, &jane, "2020-01-01T00:00:00Z", "late", json!({})).await;

    let by_link = get(&app, jane.id, &next_page(&first, &jane).unwrap()).await;
    let by_number = get(&app, jane.id, "limit=2&page=1").await;
    assert_eq!(activity_ids(&by_link), ["act_2", "act_3"]);
    assert_eq!(activity_ids(&by_number), ["act_1", "act_2"], "the number alone shifts the page");
}

#[tokio::test]
async fn a_malformed_position_is_a_validation_error() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    for after in ["x", "2024-04-18T10:15:00Z", "2024-04-18T10:15:00Z_", "_act_1", "2024-04-18T10:15:00Z_a%23b"] {
        let response = get(&app, jane.id, &format!("after={after}")).await;
        assert_eq!(response.status, 400, "{after}: {}", response.text);
        assert_eq!(response.detail(), "Validation error: after must be the position of a Link header", "{after}");
    }
}

#[tokio::test]
async fn a_page_has_fifty_activities_by_default() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    record_timeline(&app, &jane, &[None; 51]).await;

    let response = get(&app, jane.id, "").await;

    assert_eq!(activity_ids(&response).len(), 50);
    let next_page = next_page(&response, &jane).unwrap();
    assert!(next_page.starts_with("campaign_id=all&page=1&limit=50&after="), "{next_page}");
}

#[tokio::test]
async fn activities_of_the_same_time_are_ordered_by_id() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    record(&app, &jane, "2024-04-18T10:00:00Z", "A", json!({})).await;
    for id in ["b", "B", "a"] {
        record(&app, &jane, "2024-04-18T09:00:00Z", id, json!({})).await;
    }

    let response = get(&app, jane.id, "").await;

    assert_eq!(activity_ids(&response), ["B", "a", "b", "A"]);
}

#[tokio::test]
async fn an_invalid_query_is_a_validation_error() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let page = "page must be an integer from 0 to 1000000";
    let limit = "limit must be an integer from 1 to 200";
    let campaign_id = "campaign_id must be a valid UUID, \"all\" or \"any\"";
    for (query, detail) in [
        // page
        ("page=-1", page),
        ("page=1.0", page),
        ("page=%201", page),
        ("page=1000001", page),
        // limit
        ("limit=0", limit),
        ("limit=201", limit),
        ("limit=99999999999999999999", limit),
        ("limit=+5", limit),
        // campaign_id
        ("campaign_id=ALL", campaign_id),
        ("campaign_id=42", campaign_id),
        // A parameter twice, and several errors at once.
        ("limit=5&limit=6", "limit must be given once"),
        ("limit=x&page=x&campaign_id=x", &format!("{campaign_id}; {page}; {limit}")),
    ] {
        let response = get(&app, jane.id, query).await;
        assert_eq!(response.status, 400, "{query}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{query}");
    }
}

#[tokio::test]
async fn a_valid_query_is_accepted_in_every_spelling() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    for query in [
        "limit=200&page=0",
        "limit=1",
        "unknown=x",
        "campaign_id=any&&",
        "%70age=0",
        "campaign_id=&page=&limit=&after=",
    ] {
        let response = get(&app, jane.id, query).await;
        assert_eq!(response.status, 200, "{query}: {}", response.text);
    }
}

#[tokio::test]
async fn an_unchanged_contact_is_a_304_without_a_body() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let etag = get(&app, jane.id, "").await.header("etag").to_owned();
    for tags in [&etag, &format!("W/{etag}"), &format!("\"1-x\", {etag}"), "*"] {
        let response = send(&app, &request(&app, jane.id, "").header("if-none-match", tags)).await;
        assert_eq!(response.status, 304, "{tags}");
        assert_eq!(response.text, "", "{tags}");
        assert_eq!(response.header("etag"), etag, "{tags}");
        assert_eq!(response.header("content-type"), "", "{tags}");
    }
}

#[tokio::test]
async fn another_etag_gets_the_whole_response() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let whole = get(&app, jane.id, "").await;
    for tags in ["\"1-0000000000000000\"", "\"1\"", "\"x\""] {
        let response = send(&app, &request(&app, jane.id, "").header("if-none-match", tags)).await;
        assert_eq!(response, whole, "{tags}");
    }
}

#[tokio::test]
async fn a_malformed_if_none_match_is_a_validation_error() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    for tags in ["", "1-x", "\"x", "*, *"] {
        let response = send(&app, &request(&app, jane.id, "").header("if-none-match", tags)).await;
        assert_eq!(response.status, 400, "{tags}: {}", response.text);
        let detail = "Validation error: If-None-Match must be * or a list of quoted entity tags";
        assert_eq!(response.detail(), detail, "{tags}");
    }
}

#[tokio::test]
async fn a_new_activity_changes_the_etag_but_not_the_version_in_it() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let etag = get(&app, jane.id, "").await.header("etag").to_owned();
    record_timeline(&app, &jane, &[None]).await;

    let response = send(&app, &request(&app, jane.id, "").header("if-none-match", &etag)).await;

    assert_eq!(response.status, 200);
    assert_ne!(response.header("etag"), etag);
    assert!(response.header("etag").starts_with("\"1-"), "{}", response.header("etag"));
}

#[tokio::test]
async fn an_unreadable_activity_hides_no_other() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let event_time = time::parse("2024-04-18T10:15:00Z").unwrap();
    let key = keys::activity(jane.org_id, jane.id, event_time, &ActivityId::parse("act_1").unwrap());
    let item = |direction: &str| {
        json!({
            "type": {"S": "activity"},
            "event_type": {"S": "x"},
            "direction": {"S": direction},
        })
    };
    app.put_item(&key, item("inbound")).await;
    app.record_activity(jane.id, json!({"id": "act_2", "event_time": "2024-04-18T10:15:00Z", "event_type": "x"})).await;
    assert_eq!(get(&app, jane.id, "").await.json()["activities"][0]["id"], "act_1", "readable but for the direction");
    app.put_item(&key, item("canary")).await;

    let response = get(&app, jane.id, "").await;

    assert_eq!(response.status, 200);
    assert_eq!(response.json()["activities"].as_array().unwrap().len(), 1);
    assert_eq!(response.json()["activities"][0]["id"], "act_2");
}

#[tokio::test]
async fn stored_text_is_shown_as_it_is_even_if_it_breaks_a_rule_of_today() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let event_time = time::parse("2024-04-18T10:15:00Z").unwrap();
    let Key { pk, sk } = keys::activity(jane.org_id, jane.id, event_time, &ActivityId::parse("act").unwrap());
    let key = Key { pk, sk: sk + " 1/ü" };
    let item = json!({"type": {"S": "activity"}, "event_type": {"S": "\u{1}"}, "channel": {"S": ""}});
    app.put_item(&key, item).await;

    let activity = get(&app, jane.id, "").await.json()["activities"][0].clone();

    assert_eq!((&activity["id"], &activity["event_type"]), (&json!("act 1/ü"), &json!("\u{1}")));
    assert_eq!(activity["channel"], "");
}

#[tokio::test]
async fn an_unreadable_contact_is_a_500_without_details() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let unreadable = json!({"type": {"S": "contact"}, "email": {"S": "canary"}});
    app.put_item(&keys::contact(jane.org_id, jane.id), unreadable).await;

    let response = get(&app, jane.id, "").await;

    assert_eq!(response.status, 500);
    assert_eq!(response.detail(), "Internal server error");
}

/// The status of a request with this key.
async fn status_with_key(app: &TestApp, contact: &Contact, secret: &ApiKeySecret) -> u64 {
    send(app, &request(app, contact.id, "").header("x-api-key", secret.in_clear())).await.status
}

#[tokio::test]
async fn a_valid_key_is_cached_for_a_minute() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let keys = app.org.api_keys();
    let (secret, key) = &keys[0];
    assert_eq!(status_with_key(&app, &jane, secret).await, 200);

    app.put_api_key(secret, &ApiKey { revoked_at: Some(Utc::now()), ..key.clone() }).await;

    app.advance_clock(TimeDelta::seconds(30));
    assert_eq!(status_with_key(&app, &jane, secret).await, 200);
    app.advance_clock(TimeDelta::seconds(30));
    assert_eq!(status_with_key(&app, &jane, secret).await, 401);
}

#[tokio::test]
async fn a_cached_key_expires_on_time() {
    let app = TestApp::new().await;
    let keys = app.org.api_keys();
    let (secret, key) = &keys[0];
    let expires_at = Utc::now() + TimeDelta::seconds(30);
    app.put_api_key(secret, &ApiKey { valid_until: Some(expires_at), ..key.clone() }).await;
    let jane = app.create_jane("jane@example.com").await;

    assert_eq!(status_with_key(&app, &jane, secret).await, 200);
    app.advance_clock(TimeDelta::seconds(31));
    assert_eq!(status_with_key(&app, &jane, secret).await, 401);
}

#[tokio::test]
async fn an_unknown_key_is_cached_for_five_seconds() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let tenant = Tenant::new();
    let keys = tenant.api_keys();
    let (secret, key) = &keys[0];
    assert_eq!(status_with_key(&app, &jane, secret).await, 401);

    app.put_api_key(secret, &ApiKey { org_id: app.org.org_id, ..key.clone() }).await;

    assert_eq!(status_with_key(&app, &jane, secret).await, 401);
    app.advance_clock(TimeDelta::seconds(5));
    assert_eq!(status_with_key(&app, &jane, secret).await, 200);
}
