//! Requests through `serve` and `handle`. Each test has a table of its own.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::domain::{Activity, ActivityId, ContactId, TimelineFilter, TimelinePage, time};
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json, parse_body};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids, idempotency
);

const EVENT_TIME: &str = "2024-04-18T10:15:00Z";

fn request(app: &TestApp, contact: ContactId) -> TestRequest {
    TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{contact}/activities"))
}

async fn send(app: &TestApp, request: &TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, request).await
}

async fn post(app: &TestApp, contact: ContactId, body: &Value) -> TestResponse {
    send(app, &request(app, contact).json(body)).await
}

/// The contact's timeline: id and time of each activity, in the order of the timeline.
async fn timeline(app: &TestApp, contact: ContactId) -> Vec<(String, String)> {
    let page = TimelinePage { filter: TimelineFilter::Any, page: 0, limit: 200, after: None };
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    let (_, timeline) = contacts.get::<Activity>(contact, &page).await.unwrap();
    let activities = timeline.activities.iter();
    activities.map(|activity| (activity.id.as_str().to_owned(), time::to_millis(activity.event_time))).collect()
}

/// Merges metadata into an activity, as its sender does later.
async fn merge_metadata(app: &TestApp, contact: ContactId, id: &str, metadata: Value) {
    let activities = app.ctx().activities(&app.principal(&app.org).await, contact);
    let patch = parse_body(json!({"metadata": metadata}));
    Box::pin(activities.update(&ActivityId::parse(id).unwrap(), &patch)).await.unwrap();
}

/// In a response, each quotation mark of an activity takes four bytes.
#[tokio::test]
async fn the_longest_activities_are_returned_in_one_response() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    let line = |length| "\"".repeat(length);
    let longest = json!({
        "event_time": EVENT_TIME,
        "event_type": line(100),
        "channel": line(100),
        "sdr_agent_id": line(200),
        "event_text": [line(20 * 1024 / 2 - 3)],
    });

    let response = post(&app, jane, &json!(vec![longest; 50])).await;

    assert_eq!((response.status, response.json().as_array().unwrap().len()), (201, 50));
}

#[tokio::test]
async fn activities_are_returned_in_the_order_sent_and_stored_in_the_order_of_events() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    let mut body = request(&app, jane).body();
    // The later event is sent first.
    body.as_array_mut().unwrap().reverse();

    let response = post(&app, jane, &body).await;

    let expected = r#"[
        {
            "id":"act_124",
            "event_time":"2024-04-18T11:02:00Z",
            "channel":"email",
            "event_type":"replied",
            "direction":"inbound",
            "event_text":{"message":"Hablemos mañana"},
            "metadata":{"delivered":true,"opened":true,"clicked":true,"replied":true},
            "actor":"Humano"
        },
        {
            "id":"act_123",
            "event_time":"2024-04-18T10:15:00Z",
            "channel":"linkedin",
            "event_type":"message_sent",
            "direction":"outbound",
            "sdr_agent_id":"usr_abc",
            "event_text":[{"message":"Hola Jane, ¿comentamos?"}],
            "metadata":{"delivered":true,"opened":true,"clicked":false,"replied":false},
            "actor":"SDR"
        }
    ]"#;
    assert_eq!(response.status, 201);
    assert_eq!(response.text, compact_json(expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("location"), "");
    let stored: Vec<_> = timeline(&app, jane).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(stored, ["act_123", "act_124"]);
}

#[tokio::test]
async fn a_single_activity_without_optional_fields_has_defaults() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    let absent = json!({"event_time": EVENT_TIME, "event_type": "opened"});
    let null = json!({
        "id": null, "campaign_id": null, "channel": null, "direction": null, "sdr_agent_id": null, "event_text": null,
        "metadata": null, "event_time": EVENT_TIME, "event_type": " opened ", "contact_id": 1,
    });
    for body in [absent, null] {
        let response = post(&app, jane, &body).await;

        let activities = response.json();
        let id = activities[0]["id"].as_str().unwrap();
        let expected = format!(
            r#"[
                {{
                    "id":"{id}",
                    "event_time":"2024-04-18T10:15:00Z",
                    "channel":"sistema",
                    "event_type":"opened",
                    "direction":"outbound",
                    "event_text":null,
                    "metadata":{{"delivered":false,"opened":false,"clicked":false,"replied":false}},
                    "actor":"SDR"
                }}
            ]"#
        );
        assert_eq!(response.status, 201, "{body}");
        assert_eq!(response.text, compact_json(&expected), "{body}");
    }
}

#[tokio::test]
async fn a_generated_id_is_act_and_32_hexadecimal_digits() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;

    let response = post(&app, jane, &json!({"event_time": EVENT_TIME, "event_type": "opened"})).await;

    let activities = response.json();
    let digits = activities[0]["id"].as_str().unwrap().strip_prefix("act_").unwrap();
    assert_eq!(digits.len(), 32, "{digits}");
    assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digits}");
}

#[tokio::test]
async fn generated_ids_are_unique() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    let fifty = vec![json!({"event_time": EVENT_TIME, "event_type": "opened"}); 50];

    let response = post(&app, jane, &json!(fifty)).await;

    assert_eq!(response.status, 201, "{}", response.text);
    let ids: BTreeSet<_> = timeline(&app, jane).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 50);
}

/// So many activities with ids of their own.
fn activities(count: usize) -> Value {
    (0..count).map(|n| json!({"id": format!("act_{n}"), "event_time": EVENT_TIME, "event_type": "opened"})).collect()
}

#[tokio::test]
async fn an_array_of_one_to_fifty_activities_is_valid() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    for count in [1, 50] {
        let response = post(&app, jane, &activities(count)).await;
        assert_eq!(response.status, 201, "{count}: {}", response.text);
        assert_eq!(response.json().as_array().unwrap().len(), count);
        assert_eq!(app.count_items("activity").await, count);
    }
}

#[tokio::test]
async fn an_array_of_another_length_is_a_validation_error() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    for count in [0, 51] {
        let response = post(&app, jane, &activities(count)).await;
        assert_eq!(response.status, 400, "{count}: {}", response.text);
        assert_eq!(response.detail(), "Validation error: body must hold 1 to 50 activities", "{count}");
    }
    assert_eq!(app.count_items("activity").await, 0);
}

fn valid_activity() -> Value {
    json!({"id": "act_1", "event_time": EVENT_TIME, "event_type": "opened"})
}

/// A valid activity with this field replaced.
fn with(field: &str, value: Value) -> Value {
    let mut activity = valid_activity();
    activity[field] = value;
    activity
}

#[tokio::test]
async fn validation_errors_name_each_field_in_the_documented_order() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    let event_time = "event_time must be an RFC 3339 time with its offset";
    let id = "id must be 1 to 128 characters of A-Z a-z 0-9 _ . : -";
    let event_text = "event_text must be a JSON object or array";
    let x101 = "x".repeat(101);
    let x201 = "x".repeat(201);
    for (body, errors) in [
        // Required fields.
        (json!({}), vec!["event_time field is required", "event_type field is required"]),
        // event_time
        (with("event_time", json!(null)), vec!["event_time field is required"]),
        (with("event_time", json!("2024-04-18T10:15:00")), vec![event_time]),
        (with("event_time", json!("2024-04-18")), vec![event_time]),
        // event_type
        (with("event_type", json!("")), vec!["event_type must not be blank"]),
        // id
        (with("id", json!("")), vec![id]),
        (with("id", json!("a".repeat(129))), vec![id]),
        (with("id", json!("a b")), vec![id]),
        (with("id", json!("a#b")), vec![id]),
        (with("id", json!("a/b")), vec![id]),
        (with("id", json!("\u{e1}")), vec![id]),
        // direction
        (with("direction", json!("Inbound")), vec!["direction must be one of outbound inbound"]),
        // event_text
        (with("event_text", json!("x")), vec![event_text]),
        (with("event_text", json!(1)), vec![event_text]),
        // metadata
        (with("metadata", json!({"": 1})), vec!["metadata must not have empty keys"]),
        // Every field at once.
        (
            json!({
                "metadata": [], "event_text": "x", "sdr_agent_id": x201, "direction": "up", "event_type": x101,
                "channel": " ", "event_time": 1, "campaign_id": "x", "id": 1,
            }),
            vec![
                "id must be a string",
                "campaign_id must be a valid UUID",
                "event_time must be a string",
                "channel must not be blank",
                "event_type must be at most 100 characters",
                "direction must be one of outbound inbound",
                "sdr_agent_id must be at most 200 characters",
                "event_text must be a JSON object or array",
                "metadata must be a JSON object",
            ],
        ),
    ] {
        let alone = post(&app, jane, &body).await;
        assert_eq!(alone.status, 400, "{body}: {}", alone.text);
        assert_eq!(alone.detail(), format!("Validation error: {}", errors.join("; ")), "{body}");

        let second_of_array = post(&app, jane, &json!([valid_activity(), body])).await;
        let errors: Vec<_> = errors.iter().map(|error| format!("activity 2: {error}")).collect();
        assert_eq!(second_of_array.status, 400, "{body}: {}", second_of_array.text);
        assert_eq!(second_of_array.detail(), format!("Validation error: {}", errors.join("; ")), "{body}");
    }
    assert_eq!(app.count_items("activity").await, 0);
}

#[tokio::test]
async fn validation_errors_of_several_activities_are_reported_together() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;

    let response = post(&app, jane, &json!([{}, valid_activity(), 42, [], with("id", json!("#"))])).await;

    assert_eq!(response.status, 400);
    assert_eq!(
        response.detail(),
        "Validation error: activity 1: event_time field is required; activity 1: event_type field is required; \
         activity 3: body must be a JSON object; activity 4: body must be a JSON object; \
         activity 5: id must be 1 to 128 characters of A-Z a-z 0-9 _ . : -"
    );
    assert_eq!(app.count_items("activity").await, 0);
}

#[tokio::test]
async fn an_id_of_128_characters_is_valid() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;

    let response = post(&app, jane, &with("id", json!("Az09_.:-".repeat(16)))).await;

    assert_eq!(response.status, 201, "{}", response.text);
}

/// The request with this `Idempotency-Key`, if there is one.
fn with_key(request: TestRequest, idempotency_key: Option<&str>) -> TestRequest {
    match idempotency_key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    }
}

#[tokio::test]
async fn a_repeated_activity_is_returned_as_it_is_stored_and_not_overwritten() {
    for idempotency_key in [None, Some("key-1")] {
        let app = TestApp::new().await;
        let jane = app.create_jane("jane@example.com").await.id;
        let body = request(&app, jane).body();
        let first = post(&app, jane, &body).await;
        merge_metadata(&app, jane, "act_123", json!({"clicked": true, "mail": {"client": "x"}})).await;
        let before = app.items().await;

        // The same id and time in another spelling, every other field different; then a new activity.
        let changed = json!({
            "id": "act_123",
            "event_time": "2024-04-18T12:15:00+02:00",
            "event_type": "another",
            "channel": null,
            "metadata": {"delivered": false},
        });
        let new = json!({"id": "new", "event_time": EVENT_TIME, "event_type": "x"});
        let sent = request(&app, jane).json(&json!([changed, new, body[1]]));
        let response = send(&app, &with_key(sent, idempotency_key)).await;

        let mut stored = first.json()[0].clone();
        stored["metadata"] = json!({
            "delivered": true, "opened": true, "clicked": true, "replied": false, "mail": {"client": "x"},
        });
        let returned = response.json();
        assert_eq!(response.status, 201, "{idempotency_key:?}: {}", response.text);
        assert_eq!(returned[0], stored, "{idempotency_key:?}");
        assert_eq!(returned[1]["id"], "new", "{idempotency_key:?}");
        assert_eq!(returned[2], first.json()[1], "{idempotency_key:?}");
        let after = app.items().await;
        assert!(before.iter().all(|item| after.contains(item)), "{idempotency_key:?}: an item was overwritten");
        // The new activity, and the idempotency record.
        let expected_new_items = if idempotency_key.is_some() { 2 } else { 1 };
        assert_eq!(after.len() - before.len(), expected_new_items, "{idempotency_key:?}");
    }
}

#[tokio::test]
async fn the_first_of_equal_activities_in_an_array_is_stored() {
    for idempotency_key in [None, Some("key-1")] {
        let app = TestApp::new().await;
        let jane = app.create_jane("jane@example.com").await.id;
        let activity = |event_time: &str, event_type: &str| json!({"id": "act_1", "event_time": event_time, "event_type": event_type});
        let body = json!([
            activity("2024-04-18T10:15:00.123Z", "first"),
            activity("2024-04-18T10:15:00.124Z", "a millisecond later"),
            activity("2024-04-18T10:15:00.123Z", "second"),
            // Times are equal up to the millisecond.
            activity("2024-04-18T12:15:00.123456+02:00", "third"),
        ]);

        let response = send(&app, &with_key(request(&app, jane).json(&body), idempotency_key)).await;

        assert_eq!(response.status, 201, "{idempotency_key:?}: {}", response.text);
        let returned = response.json();
        let types: Vec<_> =
            returned.as_array().unwrap().iter().map(|activity| activity["event_type"].as_str().unwrap()).collect();
        assert_eq!(types, ["first", "a millisecond later", "first", "first"], "{idempotency_key:?}");
        let expected = ["2024-04-18T10:15:00.123Z", "2024-04-18T10:15:00.124Z"]
            .map(|event_time| ("act_1".to_owned(), event_time.to_owned()));
        assert_eq!(timeline(&app, jane).await, expected, "{idempotency_key:?}");
    }
}

#[tokio::test]
async fn a_time_is_stored_in_utc_with_milliseconds() {
    let app = TestApp::new().await;
    let cases = [
        ("2024-04-18T12:15:00+02:00", "2024-04-18T10:15:00.000Z", "2024-04-18T10:15:00Z"),
        ("2024-04-17T22:15:00.5-12:00", "2024-04-18T10:15:00.500Z", "2024-04-18T10:15:00.500Z"),
        ("2024-04-18t10:15:00.1239999z", "2024-04-18T10:15:00.123Z", "2024-04-18T10:15:00.123Z"),
    ];
    for (index, (sent, stored, shown)) in cases.into_iter().enumerate() {
        let jane = app.create_jane(&format!("jane.{index}@example.com")).await.id;
        let body = json!({"id": "act_1", "event_time": sent, "event_type": "opened"});

        let first = post(&app, jane, &body).await;
        let repeat = post(&app, jane, &body).await;

        assert_eq!(first.json()[0]["event_time"], shown, "{sent}");
        assert_eq!(timeline(&app, jane).await, [("act_1".to_owned(), stored.to_owned())], "{sent}");
        assert_eq!(repeat, first, "{sent}: the stored activity is found again");
    }
}

/// The most bytes that text and metadata of an activity may have together.
const MAX_BYTES: usize = 20 * 1024;

/// An activity whose text and metadata have so many bytes together.
fn sized_activity(n: usize, bytes: usize) -> Value {
    let object = |bytes: usize| json!({"k": "x".repeat(bytes - r#"{"k":""}"#.len())});
    json!({
        "id": format!("act_{n}"),
        "event_time": EVENT_TIME,
        "event_type": "x",
        "event_text": object(bytes / 2),
        "metadata": object(bytes - bytes / 2),
    })
}

#[tokio::test]
async fn text_and_metadata_of_more_than_twenty_kibibytes_are_a_validation_error() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;

    let response = post(&app, jane, &json!([sized_activity(1, MAX_BYTES), sized_activity(2, MAX_BYTES + 1)])).await;

    assert_eq!(response.status, 400);
    assert_eq!(
        response.detail(),
        "Validation error: activity 2: metadata and event_text must be at most 20 KiB together"
    );
}

#[tokio::test]
async fn fifty_activities_of_twenty_kibibytes_are_stored() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    let fifty: Vec<_> = (0..50).map(|n| sized_activity(n, MAX_BYTES)).collect();

    let response = post(&app, jane, &json!(fifty)).await;

    assert_eq!(response.status, 201);
    assert_eq!(app.count_items("activity").await, 50);
}

/// Sends so many activities of the largest size with an `Idempotency-Key`.
async fn post_large_with_key(app: &TestApp, contact: ContactId, count: usize) -> TestResponse {
    let body: Vec<_> = (0..count).map(|n| sized_activity(n, MAX_BYTES)).collect();
    send(app, &request(app, contact).json(&json!(body)).header("idempotency-key", "key-1")).await
}

#[tokio::test]
async fn a_response_too_large_for_an_idempotency_record_is_refused_before_a_write() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    let before = app.items().await;
    for count in [18, 50] {
        let response = post_large_with_key(&app, jane, count).await;
        assert_eq!(response.status, 400, "{count}");
        assert_eq!(
            response.detail(),
            "Validation error: body must be smaller to be sent with an Idempotency-Key: its response is too long to be stored",
            "{count}"
        );
        assert_eq!(app.items().await, before, "{count}");
    }
}

#[tokio::test]
async fn a_large_response_is_replayed_under_its_idempotency_key() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;

    let first = post_large_with_key(&app, jane, 16).await;
    let repeat = post_large_with_key(&app, jane, 16).await;

    assert_eq!([first.status, repeat.status], [201, 201]);
    assert_eq!(repeat.header("idempotent-replayed"), "true");
    assert!(repeat.text == first.text, "the texts are too long to print");
    assert_eq!(app.count_items("activity").await, 16);
}

#[tokio::test]
async fn a_replayed_response_is_the_first_one_although_the_activity_has_changed() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    let request = request(&app, jane).header("idempotency-key", "key-1");
    let first = send(&app, &request).await;
    merge_metadata(&app, jane, "act_123", json!({"clicked": true})).await;

    let replayed = send(&app, &request).await;
    let without_key = send(&app, &request.without_header("idempotency-key")).await;

    assert_eq!(replayed.status, 201);
    assert_eq!(replayed.text, first.text);
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    assert_eq!(without_key.json()[0]["metadata"]["clicked"], true, "{}", without_key.text);
}

#[tokio::test]
async fn a_deleted_contact_is_a_404_and_nothing_is_written() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    assert_eq!(send(&app, &request(&app, jane)).await.status, 201);
    app.ctx().contacts(&app.principal(&app.org).await).delete(jane, None).await.unwrap();
    let before = app.items().await;
    for idempotency_key in [None, Some("key-1")] {
        let response = send(&app, &with_key(request(&app, jane), idempotency_key)).await;
        assert_eq!(response.status, 404, "{idempotency_key:?}: {}", response.text);
        assert_eq!(response.detail(), "Contact not found", "{idempotency_key:?}");
        assert_eq!(app.items().await, before, "{idempotency_key:?}");
    }
}
