//! `handle` behind the whole way of a request, on a table of its own.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::{ActivityId, ApiKey, CampaignId, Contact, ContactId, time};
use shared::dynamodb::keys;
use shared::testing::{Tenant, TestApp, TestRequest, TestResponse, jane, parse_body};
use shared::wire::NewActivities;
use uuid::Uuid;

use super::handle;

const ENDPOINT: Endpoint = Endpoint::GetContact;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, isolation, path_ids
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

/// Records an activity with these fields beside what every one has.
async fn activity(app: &TestApp, contact: &Contact, event_time: &str, id: &str, fields: Value) {
    let mut body = json!({"id": id, "event_time": event_time, "event_type": "message_sent"});
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    app.record_activity(contact.id, body).await;
}

/// Stores a campaign of this status.
async fn campaign(app: &TestApp, status: &str) -> CampaignId {
    app.create_campaign(json!({"name": "Q1", "status": status})).await.id
}

async fn set_status(app: &TestApp, campaign: CampaignId, status: &str) {
    let campaigns = app.ctx().campaigns(&app.principal(&app.org).await);
    campaigns.update(campaign, &parse_body(json!({"status": status}))).await.unwrap();
}

/// Records one activity a minute: of a campaign each, or of none.
async fn timeline(app: &TestApp, contact: &Contact, campaigns: &[Option<CampaignId>]) {
    for (minute, campaign) in campaigns.iter().enumerate() {
        let fields = json!({"campaign_id": campaign.map(|id| id.to_string())});
        activity(app, contact, &format!("2024-04-18T10:{minute:02}:00Z"), &format!("act_{minute}"), fields).await;
    }
}

fn shown(answer: &TestResponse) -> Vec<String> {
    let body = answer.json();
    let activities = body["activities"].as_array().unwrap();
    activities.iter().map(|activity| activity["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_example_of_the_page_is_answered_as_the_page_says() {
    let app = TestApp::new().await;
    let mut body = jane("jane@example.com");
    body["company"] = json!("Tech Corp");
    let jane = app.create_contact(&app.org, body, None).await;
    // Recorded as their senders have them, the later one first.
    let mut recorded = TestRequest::example(Endpoint::RecordActivities).body();
    recorded.as_array_mut().unwrap().reverse();
    app.record_activity(jane.id, recorded).await;
    let answer = send(&app, &TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{}", jane.id))).await;
    let (id, org_id, at) = (jane.id, jane.org_id, time::to_seconds(jane.created_at));
    let expected = format!(
        r#"{{"id":"{id}","org_id":"{org_id}","full_name":"Jane Doe","email":"jane@example.com","linkedin_profile":"https://www.linkedin.com/in/janedoe","company":"Tech Corp","locale":null,"timezone":null,"account_id":null,"enrichment":null,"should_enrich_data":null,"created_at":"{at}","updated_at":"{at}","activities":[{{"id":"act_123","event_time":"2024-04-18T10:15:00Z","channel":"linkedin","event_type":"message_sent","direction":"outbound","sdr_agent_id":"usr_abc","event_text":[{{"message":"Hola Jane, ¿comentamos?"}}],"metadata":{{"delivered":true,"opened":true,"clicked":false,"replied":false}},"actor":"SDR"}},{{"id":"act_124","event_time":"2024-04-18T11:02:00Z","channel":"email","event_type":"replied","direction":"inbound","event_text":{{"message":"Hablemos mañana"}},"metadata":{{"delivered":true,"opened":true,"clicked":true,"replied":true}},"actor":"Humano"}}]}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("etag").starts_with("\"1-"), "{}", answer.header("etag"));
    assert_eq!(answer.header("link"), "");
}

#[tokio::test]
async fn what_an_activity_lacks_falls_back() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let metadata = json!({"metadata": {"zeta": null, "a": 1, "clicked": "twice", "Z": [{}]}});
    activity(&app, &jane, "2024-04-18T10:15:00.250Z", "act_1", metadata).await;
    let answer = get(&app, jane.id, "").await;
    let expected = r#""activities":[{"id":"act_1","event_time":"2024-04-18T10:15:00.250Z","channel":"sistema","event_type":"message_sent","direction":"outbound","event_text":null,"metadata":{"delivered":false,"opened":false,"clicked":"twice","replied":false,"Z":[{}],"a":1},"actor":"SDR"}]}"#;
    assert!(answer.text.ends_with(expected), "{}", answer.text);
}

#[tokio::test]
async fn the_actor_is_the_one_of_the_direction() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    for (minute, (sent, direction, actor)) in [
        (json!("outbound"), "outbound", "SDR"),
        (json!("inbound"), "inbound", "Humano"),
        (json!(null), "outbound", "SDR"),
    ]
    .into_iter()
    .enumerate()
    {
        let agent = json!({"direction": sent, "sdr_agent_id": "usr_abc"});
        activity(&app, &jane, &format!("2024-04-18T10:{minute:02}:00Z"), "act_1", agent).await;
        let shown = get(&app, jane.id, "").await.json()["activities"][minute].clone();
        assert_eq!((&shown["direction"], &shown["actor"]), (&json!(direction), &json!(actor)), "{sent}");
        assert_eq!(shown["sdr_agent_id"], "usr_abc", "who acted is no matter of the direction");
    }
}

#[tokio::test]
async fn activities_are_filtered_by_campaign() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let [ours, paused] = [campaign(&app, "draft").await, campaign(&app, "paused").await];
    let [elsewhere, unknown] = [CampaignId::from(Uuid::from_u128(1)), CampaignId::from(Uuid::from_u128(2))];
    // Senders may name a campaign that the organization does not have.
    timeline(&app, &jane, &[Some(ours), None, Some(paused), Some(ours), Some(elsewhere)]).await;
    let of = |id: CampaignId| format!("campaign_id={id}");
    let every = ["act_0", "act_1", "act_2", "act_3", "act_4"].as_slice();
    for query in ["", "campaign_id=all", "campaign_id=any"] {
        assert_eq!(shown(&get(&app, jane.id, query).await), every, "no campaign is active: {query}");
    }
    set_status(&app, ours, "active").await;
    for (query, expected) in [
        (String::new(), ["act_0", "act_3"].as_slice()),
        ("campaign_id=all".to_owned(), &["act_0", "act_3"]),
        ("campaign_id=any".to_owned(), every),
        (of(ours), &["act_0", "act_3"]),
        (of(ours).to_uppercase().replace("CAMPAIGN_ID", "campaign_id"), &["act_0", "act_3"]),
        (of(paused), &["act_2"]),
        (of(elsewhere), &[]),
        (of(unknown), &[]),
    ] {
        assert_eq!(shown(&get(&app, jane.id, &query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn another_status_is_seen_by_the_next_read() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let [one, two] = [campaign(&app, "active").await, campaign(&app, "active").await];
    timeline(&app, &jane, &[Some(one), Some(two), None]).await;
    let every = ["act_0", "act_1", "act_2"].as_slice();
    for (id, status, expected) in [
        (one, "active", ["act_0", "act_1"].as_slice()),
        (one, "paused", &["act_1"]),
        (two, "archived", every),
        (one, "active", &["act_0"]),
        (one, "draft", every),
    ] {
        set_status(&app, id, status).await;
        for query in ["", "campaign_id=all"] {
            assert_eq!(shown(&get(&app, jane.id, query).await), expected, "{id} {status} {query}");
        }
        // Asked for by its id, a campaign is shown whatever its status.
        assert_eq!(shown(&get(&app, jane.id, &format!("campaign_id={one}")).await), ["act_0"], "{status}");
    }
}

#[tokio::test]
async fn a_campaign_that_is_gone_shows_nothing() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let [gone, stays] = [campaign(&app, "active").await, campaign(&app, "active").await];
    timeline(&app, &jane, &[Some(gone), Some(stays)]).await;
    app.ctx().campaigns(&app.principal(&app.org).await).delete(gone).await.unwrap();
    for (query, expected) in [
        (format!("campaign_id={gone}"), [].as_slice()),
        (String::new(), &["act_1"]),
        ("campaign_id=all".to_owned(), &["act_1"]),
        ("campaign_id=any".to_owned(), &["act_0", "act_1"]),
    ] {
        let answer = get(&app, jane.id, &query).await;
        assert_eq!(
            (answer.status, shown(&answer).as_slice()),
            (200, expected.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
            "{query}"
        );
    }
}

#[tokio::test]
async fn another_organizations_campaign_gives_an_empty_list() {
    let app = TestApp::new().await;
    // A campaign of the test's organization is the other organization's foreign one.
    let foreign = campaign(&app, "active").await;
    let theirs = app.create_contact(&app.other, jane("jane@example.com"), None).await;
    let activities = app.ctx().activities(&app.principal(&app.other).await, theirs.id);
    let body = json!({"event_time": "2024-04-18T10:15:00Z", "event_type": "x", "campaign_id": foreign.to_string()});
    let NewActivities(new) = parse_body(body);
    activities.record(&activities.draft(new), |_| None).await.unwrap();
    for (query, count) in [(format!("campaign_id={foreign}"), 0), (String::new(), 1), ("campaign_id=any".to_owned(), 1)]
    {
        let request = TestRequest::to(ENDPOINT, &app.other).path(format!("/contacts/{}", theirs.id)).query(&query);
        let answer = send(&app, &request).await;
        assert_eq!((answer.status, shown(&answer).len(), answer.header("link")), (200, count, ""), "{query}");
    }
}

#[tokio::test]
async fn the_timeline_is_read_page_by_page() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let [ours, paused] = [campaign(&app, "active").await, campaign(&app, "paused").await];
    // Every third is shown, so that a page needs more than one read.
    let campaigns: Vec<_> = (0..30).map(|index| Some(if index % 3 == 0 { ours } else { paused })).collect();
    timeline(&app, &jane, &campaigns).await;
    for (first, expected) in [
        ("limit=4".to_owned(), vec![4, 4, 2]),
        (format!("page=0&limit=5&campaign_id={ours}"), vec![5, 5]),
        ("limit=10".to_owned(), vec![10]),
        ("campaign_id=any&limit=29".to_owned(), vec![29, 1]),
        ("limit=200".to_owned(), vec![10]),
    ] {
        let (mut query, mut ids, mut lengths) = (first.clone(), Vec::new(), Vec::new());
        loop {
            let answer = get(&app, jane.id, &query).await;
            assert_eq!(answer.status, 200, "{query}");
            lengths.push(shown(&answer).len());
            ids.extend(shown(&answer));
            let Some(next) = answer.header("link").strip_prefix(&format!("</contacts/{}?", jane.id)) else { break };
            query = next.strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        }
        assert_eq!(lengths, expected, "{first}");
        let step = if first.contains("any") { 1 } else { 3 };
        assert_eq!(ids, (0..30).step_by(step).map(|index| format!("act_{index}")).collect::<Vec<_>>(), "{first}");
    }
    assert!(shown(&get(&app, jane.id, "page=3&limit=4").await).is_empty());
    assert!(shown(&get(&app, jane.id, "page=1000000&limit=200").await).is_empty());
}

#[tokio::test]
async fn pages_that_are_followed_by_their_links_are_exact_whatever_arrives_meanwhile() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    timeline(&app, &jane, &[None; 5]).await;
    let answer = get(&app, jane.id, "limit=2").await;
    assert_eq!(shown(&answer), ["act_0", "act_1"]);
    // An event of long ago is told late: by their numbers alone, the pages would shift.
    activity(&app, &jane, "2020-01-01T00:00:00Z", "late", json!({})).await;
    let query = answer.header("link").split(['?', '>']).nth(1).unwrap().to_owned();
    assert_eq!(shown(&get(&app, jane.id, &query).await), ["act_2", "act_3"]);
    assert_eq!(shown(&get(&app, jane.id, "limit=2&page=1").await), ["act_1", "act_2"]);
    for after in ["", "x", "2024-04-18T10:15:00Z", "2024-04-18T10:15:00Z_", "_act_1", "2024-04-18T10:15:00Z_a%23b"] {
        let answer = get(&app, jane.id, &format!("after={after}")).await;
        let detail = "Validation error: after must be the position of a Link header";
        assert_eq!((answer.status, answer.detail().as_str()), (400, detail), "{after}");
    }
}

#[tokio::test]
async fn a_page_has_fifty_activities_in_the_order_of_events_unless_asked_otherwise() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    timeline(&app, &jane, &[None; 51]).await;
    let answer = get(&app, jane.id, "").await;
    assert_eq!(shown(&answer).len(), 50);
    let next = format!("</contacts/{}?campaign_id=all&page=1&limit=50&after=", jane.id);
    assert!(answer.header("link").starts_with(&next), "{}", answer.header("link"));
    for id in ["b", "B", "a"] {
        activity(&app, &jane, "2024-04-18T09:00:00Z", id, json!({})).await;
    }
    assert_eq!(shown(&get(&app, jane.id, "limit=4").await), ["B", "a", "b", "act_0"], "of one moment: by their ids");
}

#[tokio::test]
async fn what_is_wrong_with_the_query_is_said_at_once() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let (page, limit) = ("page must be an integer from 0 to 1000000", "limit must be an integer from 1 to 200");
    let campaign = "campaign_id must be a valid UUID, \"all\" or \"any\"";
    let every = format!("{campaign}; {page}; {limit}");
    for (query, detail) in [
        ("page=-1", page),
        ("page=", page),
        ("page=1.0", page),
        ("page=%201", page),
        ("page=1000001", page),
        ("limit=0", limit),
        ("limit=201", limit),
        ("limit=99999999999999999999", limit),
        ("limit=+5", limit),
        ("campaign_id=", campaign),
        ("campaign_id=ALL", campaign),
        ("campaign_id=42", campaign),
        ("limit=5&limit=6", "limit must be given once"),
        ("limit=x&page=x&campaign_id=x", &every),
    ] {
        let answer = get(&app, jane.id, query).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
    for query in ["limit=200&page=0", "limit=1", "unknown=x", "campaign_id=any&&", "%70age=0"] {
        assert_eq!(get(&app, jane.id, query).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn an_answer_that_the_client_has_is_not_sent_again() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let first = get(&app, jane.id, "").await;
    let etag = first.header("etag").to_owned();
    let with = async |tags: &str| send(&app, &request(&app, jane.id, "").header("if-none-match", tags)).await;
    for tags in [etag.clone(), format!("W/{etag}"), format!("\"1-x\", {etag}"), "*".to_owned()] {
        let answer = with(&tags).await;
        assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{tags}");
        assert_eq!((answer.header("etag"), answer.header("content-type")), (etag.as_str(), ""), "{tags}");
    }
    for tags in ["\"1-0000000000000000\"", "\"1\"", "\"x\""] {
        assert_eq!(with(tags).await, first, "{tags}");
    }
    let detail = "Validation error: If-None-Match must be * or a list of quoted entity tags";
    for tags in ["", "1-x", "\"x", "*, *"] {
        let answer = with(tags).await;
        assert_eq!((answer.status, answer.detail().as_str()), (400, detail), "{tags}");
    }
    timeline(&app, &jane, &[None]).await;
    let answer = with(&etag).await;
    assert_eq!(answer.status, 200, "the timeline is part of the answer");
    assert!(answer.header("etag").starts_with("\"1-"), "and no part of the contact's version");
}

#[tokio::test]
async fn what_cannot_be_read_is_a_fault_and_says_nothing() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let event_time = time::parse("2024-04-18T10:15:00Z").unwrap();
    let key = keys::activity(jane.org_id, jane.id, event_time, &ActivityId::parse("act_1").unwrap());
    let item = |direction: &str| {
        let text = |text: &str| json!({"S": text});
        json!({
            "type": text("activity"), "id": text("act_1"), "event_time": text("2024-04-18T10:15:00.000Z"),
            "event_type": text("x"), "direction": text(direction),
        })
    };
    app.put_item(&key, item("canary")).await;
    let is_a_fault = async || {
        let answer = get(&app, jane.id, "").await;
        assert_eq!((answer.status, answer.text.as_str()), (500, r#"{"detail":"Internal server error"}"#));
    };
    is_a_fault().await;
    app.put_item(&key, item("inbound")).await;
    assert_eq!(get(&app, jane.id, "").await.status, 200);
    app.put_item(&keys::contact(jane.org_id, jane.id), json!({"type": {"S": "contact"}, "email": {"S": "canary"}}))
        .await;
    is_a_fault().await;
}

#[tokio::test]
async fn a_key_is_believed_for_a_minute_and_an_unknown_one_refused_for_five_seconds() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let status = async |key: &str| send(&app, &request(&app, jane.id, "").header("x-api-key", key)).await.status;
    let known: Vec<(_, ApiKey)> = app.org.api_keys();
    let (secret, key) = &known[0];
    assert_eq!(status(secret.in_clear()).await, 200);
    app.put_api_key(secret, &ApiKey { revoked_at: Some(Utc::now()), ..key.clone() }).await;
    app.advance_clock(TimeDelta::seconds(30));
    assert_eq!(status(secret.in_clear()).await, 200);
    app.advance_clock(TimeDelta::seconds(30));
    assert_eq!(status(secret.in_clear()).await, 401);

    let end = Utc::now() + TimeDelta::seconds(150);
    app.put_api_key(secret, &ApiKey { valid_until: Some(end), ..key.clone() }).await;
    app.advance_clock(TimeDelta::seconds(60));
    assert_eq!(status(secret.in_clear()).await, 200);
    app.advance_clock(TimeDelta::seconds(31));
    assert_eq!(status(secret.in_clear()).await, 401, "a key that is remembered ends in time too");

    let newcomer = Tenant::new();
    let (secret, key) = &newcomer.api_keys()[0];
    assert_eq!(status(secret.in_clear()).await, 401);
    app.put_api_key(secret, &ApiKey { org_id: app.org.org_id, ..key.clone() }).await;
    assert_eq!(status(secret.in_clear()).await, 401);
    app.advance_clock(TimeDelta::seconds(5));
    assert_eq!(status(secret.in_clear()).await, 200);
}
