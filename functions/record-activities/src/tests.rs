//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::{ActivityId, ContactId, TimelineFilter, TimelinePage};
use shared::testing::{TestApp, TestRequest, TestResponse, parse_body};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::RecordActivities;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids, idempotency
);

const AT: &str = "2024-04-18T10:15:00Z";
const MOST: usize = 20 * 1024;

fn request(app: &TestApp, contact: ContactId) -> TestRequest {
    TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{contact}/activities"))
}

async fn send(app: &TestApp, request: &TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, request).await
}

async fn post(app: &TestApp, contact: ContactId, body: &Value) -> TestResponse {
    send(app, &request(app, contact).json(body)).await
}

/// The contact's timeline: each activity's id and time.
async fn timeline(app: &TestApp, contact: ContactId) -> Vec<(String, String)> {
    let page = TimelinePage { filter: TimelineFilter::Any, page: 0, limit: 200, after: None };
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    let (_, timeline) = contacts.get(contact, &page).await.unwrap();
    let shown = |activity: &shared::domain::Activity| {
        (activity.id.as_str().to_owned(), shared::domain::time::to_millis(activity.details.event_time))
    };
    timeline.activities.iter().map(shown).collect()
}

/// Merges metadata into an activity, as its sender does later.
async fn learn(app: &TestApp, contact: ContactId, id: &str, metadata: Value) {
    let activities = app.ctx().activities(&app.principal(&app.org).await, contact);
    let (id, patch) = (ActivityId::parse(id).unwrap(), parse_body(json!({"metadata": metadata})));
    Box::pin(activities.update(&id, &patch)).await.unwrap();
}

#[tokio::test]
async fn activities_are_answered_as_the_timeline_shows_them_in_the_order_sent() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let mut body = request(&app, id).body();
    body.as_array_mut().unwrap().reverse();
    let answer = post(&app, id, &body).await;
    let expected = r#"[{"id":"act_124","event_time":"2024-04-18T11:02:00Z","channel":"email","event_type":"replied","direction":"inbound","event_text":{"message":"Hablemos mañana"},"metadata":{"delivered":true,"opened":true,"clicked":true,"replied":true},"actor":"Humano"},{"id":"act_123","event_time":"2024-04-18T10:15:00Z","channel":"linkedin","event_type":"message_sent","direction":"outbound","sdr_agent_id":"usr_abc","event_text":[{"message":"Hola Jane, ¿comentamos?"}],"metadata":{"delivered":true,"opened":true,"clicked":false,"replied":false},"actor":"SDR"}]"#;
    assert_eq!((answer.status, answer.text.as_str()), (201, expected));
    assert_eq!((answer.header("content-type"), answer.header("location")), ("application/json", ""));
    let ids: Vec<_> = timeline(&app, id).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["act_123", "act_124"], "the timeline is in the order of events");
}

#[tokio::test]
async fn one_activity_is_enough_and_what_it_lacks_falls_back() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let nothing = json!({
        "id": null, "campaign_id": null, "channel": null, "direction": null, "sdr_agent_id": null, "event_text": null,
        "metadata": null, "event_time": AT, "event_type": " opened ", "contact_id": 1,
    });
    for body in [json!({"event_time": AT, "event_type": "opened"}), nothing] {
        let answer = post(&app, id, &body).await;
        let generated = answer.json()[0]["id"].as_str().unwrap_or_default().to_owned();
        let hex = generated.strip_prefix("act_").unwrap_or_default();
        assert!(hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{}", answer.text);
        let expected = format!(
            r#"[{{"id":"{generated}","event_time":"2024-04-18T10:15:00Z","channel":"sistema","event_type":"opened","direction":"outbound","event_text":null,"metadata":{{"delivered":false,"opened":false,"clicked":false,"replied":false}},"actor":"SDR"}}]"#
        );
        assert_eq!((answer.status, answer.text), (201, expected));
    }
    let many = vec![json!({"event_time": AT, "event_type": "opened"}); 50];
    assert_eq!(post(&app, id, &json!(many)).await.status, 201);
    let ids: std::collections::BTreeSet<_> = timeline(&app, id).await.into_iter().collect();
    assert_eq!(ids.len(), 52, "every generated id is another one");
}

#[tokio::test]
async fn an_array_holds_one_to_fifty_activities() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let many = |count: usize| -> Value {
        (0..count).map(|n| json!({"id": format!("act_{n}"), "event_time": AT, "event_type": "opened"})).collect()
    };
    for count in [0, 51] {
        let answer = post(&app, id, &many(count)).await;
        let detail = "Validation error: body must hold 1 to 50 activities";
        assert_eq!((answer.status, answer.detail().as_str()), (400, detail), "{count}");
    }
    assert_eq!(app.count_items("activity").await, 0);
    for count in [1, 50] {
        let answer = post(&app, id, &many(count)).await;
        assert_eq!((answer.status, answer.json().as_array().unwrap().len()), (201, count));
        assert_eq!(app.count_items("activity").await, count);
    }
}

#[tokio::test]
async fn every_fault_is_named_with_its_activity_and_nothing_is_written() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let good = json!({"id": "act_1", "event_time": AT, "event_type": "opened"});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let time = "event_time must be an RFC 3339 time with its offset";
    let (name, text) = ("id must be 1 to 128 characters of A-Z a-z 0-9 _ . : -", "must be a JSON object or array");
    let all = "id must be a string; campaign_id must be a valid UUID; event_time must be a string; channel must not be blank; event_type must be at most 100 characters; direction must be one of outbound inbound; sdr_agent_id must be at most 200 characters; event_text must be a JSON object or array; metadata must be a JSON object";
    let all_wrong = json!({
        "metadata": [], "event_text": "x", "sdr_agent_id": "x".repeat(201), "direction": "up",
        "event_type": "x".repeat(101), "channel": " ", "event_time": 1, "campaign_id": "x", "id": 1,
    });
    for (body, detail) in [
        (json!({}), "event_time field is required; event_type field is required".to_owned()),
        (with("event_time", json!(null)), "event_time field is required".to_owned()),
        (with("event_time", json!("2024-04-18T10:15:00")), time.to_owned()),
        (with("event_time", json!("2024-04-18")), time.to_owned()),
        (with("event_type", json!("")), "event_type must not be blank".to_owned()),
        (with("id", json!("")), name.to_owned()),
        (with("id", json!("a".repeat(129))), name.to_owned()),
        (with("id", json!("a b")), name.to_owned()),
        (with("id", json!("a#b")), name.to_owned()),
        (with("id", json!("a/b")), name.to_owned()),
        (with("id", json!("\u{e1}")), name.to_owned()),
        (with("direction", json!("Inbound")), "direction must be one of outbound inbound".to_owned()),
        (with("event_text", json!("x")), format!("event_text {text}")),
        (with("event_text", json!(1)), format!("event_text {text}")),
        (with("metadata", json!({"": 1})), "metadata must not have empty keys".to_owned()),
        (all_wrong.clone(), all.to_owned()),
    ] {
        let answer = post(&app, id, &body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
        let answer = post(&app, id, &json!([good, body])).await;
        let detail: Vec<_> = detail.split("; ").map(|fault| format!("activity 2: {fault}")).collect();
        let detail = format!("Validation error: {}", detail.join("; "));
        assert_eq!((answer.status, answer.detail()), (400, detail), "{body}");
    }
    let answer = post(&app, id, &json!([{}, good, 42, [], with("id", json!("#"))])).await;
    let detail = format!(
        "Validation error: activity 1: event_time field is required; activity 1: event_type field is required; activity 3: body must be a JSON object; activity 4: body must be a JSON object; activity 5: {name}"
    );
    assert_eq!((answer.status, answer.detail()), (400, detail));
    assert_eq!(app.count_items("activity").await, 0);
    let longest = with("id", json!("Az09_.:-".repeat(16)));
    assert_eq!(post(&app, id, &longest).await.status, 201);
}

#[tokio::test]
async fn a_repeat_overwrites_nothing_and_answers_what_is_stored() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let body = request(&app, id).body();
    for key in [None, Some("key-1")] {
        let with_key =
            |request: TestRequest| key.into_iter().fold(request, |all, key| all.header("idempotency-key", key));
        let first = post(&app, id, &body).await;
        learn(&app, id, "act_123", json!({"clicked": true, "mail": {"client": "x"}})).await;
        let items = app.items().await;
        let mut changed = body.clone();
        changed[0]["event_type"] = json!("another");
        changed[0]["metadata"] = json!({"delivered": false});
        changed[0]["channel"] = json!(null);
        changed[0]["event_time"] = json!("2024-04-18T12:15:00+02:00");
        // With a new one between, which commits beside what is there already.
        let new =
            json!({"id": format!("new-{key:?}").replace(['"', '(', ')'], ""), "event_time": AT, "event_type": "x"});
        let sent = json!([changed[0], new, changed[1]]);
        let again = send(&app, &with_key(request(&app, id).json(&sent))).await;
        let mut expected = first.json();
        expected[0]["metadata"] = json!({
            "delivered": true, "opened": true, "clicked": true, "replied": false, "mail": {"client": "x"},
        });
        let answered = again.json();
        assert_eq!((again.status, &answered[0], &answered[2]), (201, &expected[0], &expected[1]), "{key:?}");
        assert_eq!(answered[1]["id"], new["id"]);
        let stored = app.items().await;
        assert!(items.iter().all(|item| stored.contains(item)), "{key:?}: nothing is overwritten");
        assert_eq!(stored.len(), items.len() + 1 + usize::from(key.is_some()), "{key:?}");
    }
}

#[tokio::test]
async fn of_one_activity_twice_in_an_array_the_first_is_the_one() {
    let app = TestApp::new().await;
    for (index, key) in [None, Some("key-1")].into_iter().enumerate() {
        let id = app.create_jane(&format!("jane.{index}@example.com")).await.id;
        let one = |time: &str, event_type: &str| json!({"id": "act_1", "event_time": time, "event_type": event_type});
        let body = json!([
            one("2024-04-18T10:15:00.123Z", "first"),
            one("2024-04-18T10:15:00.124Z", "another moment"),
            one("2024-04-18T10:15:00.123Z", "second"),
            // Below the millisecond no moment differs from another.
            one("2024-04-18T12:15:00.123456+02:00", "third"),
        ]);
        let request = request(&app, id).json(&body);
        let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        let answer = send(&app, &request).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let body = answer.json();
        let types: Vec<_> = body.as_array().unwrap().iter().map(|one| one["event_type"].as_str().unwrap()).collect();
        assert_eq!(types, ["first", "another moment", "first", "first"], "{key:?}");
        let times = ["2024-04-18T10:15:00.123Z", "2024-04-18T10:15:00.124Z"];
        assert_eq!(timeline(&app, id).await, times.map(|time| ("act_1".to_owned(), time.to_owned())));
    }
}

#[tokio::test]
async fn a_time_is_kept_in_utc_to_the_millisecond() {
    let app = TestApp::new().await;
    for (index, (sent, kept)) in [
        ("2024-04-18T12:15:00+02:00", "2024-04-18T10:15:00.000Z"),
        ("2024-04-17T22:15:00.5-12:00", "2024-04-18T10:15:00.500Z"),
        ("2024-04-18t10:15:00.1239999z", "2024-04-18T10:15:00.123Z"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = app.create_jane(&format!("jane.{index}@example.com")).await.id;
        let body = json!({"id": "act_1", "event_time": sent, "event_type": "opened"});
        let answer = post(&app, id, &body).await;
        assert_eq!(answer.json()[0]["event_time"], kept.replace(".000Z", "Z"), "{sent}");
        assert_eq!(timeline(&app, id).await, [("act_1".to_owned(), kept.to_owned())], "{sent}");
        assert_eq!(post(&app, id, &body).await, answer, "{sent}: a repeat is found");
    }
}

/// An activity whose text and metadata are so long together.
fn of_length(id: usize, length: usize) -> Value {
    let (text, metadata) = (length / 2, length - length / 2);
    let fill = |length: usize| json!({"k": "x".repeat(length - r#"{"k":""}"#.len())});
    json!({
        "id": format!("act_{id}"), "event_time": AT, "event_type": "x",
        "event_text": fill(text), "metadata": fill(metadata),
    })
}

#[tokio::test]
async fn an_activity_has_at_most_twenty_kibibytes() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let answer = post(&app, id, &json!([of_length(1, MOST), of_length(2, MOST + 1)])).await;
    let detail = "Validation error: activity 2: metadata and event_text must be at most 20 KiB together";
    assert_eq!((answer.status, answer.detail().as_str()), (400, detail));
    let fifty: Vec<_> = (0..50).map(|n| of_length(n, MOST)).collect();
    assert_eq!(post(&app, id, &json!(fifty)).await.status, 201);
    assert_eq!(app.count_items("activity").await, 50);
}

#[tokio::test]
async fn an_answer_too_long_to_keep_is_refused_before_anything_is_written() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let send_keyed = async |count: usize| {
        let body: Vec<_> = (0..count).map(|n| of_length(n, MOST)).collect();
        send(&app, &request(&app, id).json(&json!(body)).header("idempotency-key", "key-1")).await
    };
    let before = app.items().await;
    for count in [18, 50] {
        let answer = send_keyed(count).await;
        let detail =
            "Validation error: body must be smaller to be sent with an Idempotency-Key: its answer is too long to keep";
        assert_eq!((answer.status, answer.detail().as_str()), (400, detail), "{count}");
        assert_eq!(app.items().await, before, "{count}");
    }
    let first = send_keyed(16).await;
    let again = send_keyed(16).await;
    assert_eq!((first.status, again.status, again.header("idempotent-replayed")), (201, 201, "true"));
    assert_eq!((first.text == again.text, app.count_items("activity").await), (true, 16));
}

#[tokio::test]
async fn a_kept_answer_is_the_one_that_was_given() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let keyed = request(&app, id).header("idempotency-key", "key-1");
    let first = send(&app, &keyed).await;
    learn(&app, id, "act_123", json!({"clicked": true})).await;
    let again = send(&app, &keyed).await;
    assert_eq!((again.status, &again.text, again.header("idempotent-replayed")), (201, &first.text, "true"));
    let fresh = send(&app, &keyed.without_header("idempotency-key")).await;
    assert_eq!(fresh.json()[0]["metadata"]["clicked"], true, "{}", fresh.text);
}

#[tokio::test]
async fn nothing_is_written_to_a_contact_that_is_gone() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    assert_eq!(send(&app, &request(&app, id)).await.status, 201);
    app.ctx().contacts(&app.principal(&app.org).await).delete(id, None).await.unwrap();
    let before = app.items().await;
    for request in [request(&app, id), request(&app, id).header("idempotency-key", "key-1")] {
        let answer = send(&app, &request).await;
        assert_eq!((answer.status, answer.detail()), (404, "Contact not found".to_owned()));
        assert_eq!(app.items().await, before);
    }
}
