//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::ContactId;
use shared::testing::{TestApp, TestRequest, TestResponse};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::UpdateActivity;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids
);

const AT: &str = "2024-04-18T10:15:00.250Z";

async fn send(app: &TestApp, contact: ContactId, id: &str, body: &Value) -> TestResponse {
    let path = format!("/contacts/{contact}/activities/{id}");
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(path).json(body)).await
}

/// Jane, with one activity of this metadata.
async fn jane(app: &TestApp, metadata: Value) -> ContactId {
    let id = app.create_jane("jane@example.com").await.id;
    activity(app, id, "act_1", AT, metadata).await;
    id
}

async fn activity(app: &TestApp, contact: ContactId, id: &str, at: &str, metadata: Value) {
    let body = json!({"id": id, "event_time": at, "event_type": "message_sent", "metadata": metadata});
    app.record_activity(contact, body).await;
}

#[tokio::test]
async fn metadata_is_merged_into_an_activity_and_nothing_else_changes() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let example = TestRequest::example(Endpoint::RecordActivities).body()[0].clone();
    app.record_activity(id, example).await;
    let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{id}/activities/act_123"));
    let answer = app.send(ENDPOINT, handle, &request).await;
    let expected = r#"{"id":"act_123","event_time":"2024-04-18T10:15:00Z","channel":"linkedin","event_type":"message_sent","direction":"outbound","sdr_agent_id":"usr_abc","event_text":[{"message":"Hola Jane, ¿comentamos?"}],"metadata":{"delivered":true,"opened":true,"clicked":true,"replied":false},"actor":"SDR"}"#;
    assert_eq!((answer.status, answer.text.as_str()), (200, expected));
    let items = app.items().await;
    assert_eq!(app.send(ENDPOINT, handle, &request).await, answer, "what changes nothing");
    assert_eq!(app.items().await, items, "writes nothing");
}

#[tokio::test]
async fn metadata_is_merged_as_the_rfc_says() {
    let app = TestApp::new().await;
    let id = jane(&app, json!({"delivered": true, "mail": {"client": "x", "ip": "y"}, "n": 1})).await;
    for (patch, shown) in [
        (
            json!({"opened": true}),
            json!({"mail": {"client": "x", "ip": "y"}, "n": 1, "delivered": true, "opened": true}),
        ),
        (
            json!({"mail": {"ip": null, "at": [1]}, "n": null}),
            json!({"mail": {"client": "x", "at": [1]}, "delivered": true, "opened": true}),
        ),
        (json!({"delivered": null, "mail": null}), json!({"delivered": false, "opened": true})),
        (json!({"absent": null}), json!({"delivered": false, "opened": true})),
        (json!({"a": {"b": null}}), json!({"delivered": false, "opened": true, "a": {}})),
        (json!({}), json!({"delivered": false, "opened": true, "a": {}})),
    ] {
        let answer = send(&app, id, "act_1", &json!({"metadata": patch})).await;
        let mut expected = shown;
        expected["clicked"] = json!(false);
        expected["replied"] = json!(false);
        assert_eq!((answer.status, &answer.json()["metadata"]), (200, &expected), "{patch}");
    }
    let text = send(&app, id, "act_1", &json!({"metadata": {"n": 12_345_678_901_234_567_890_u64}})).await.text;
    assert!(text.contains(r#""n":12345678901234567890"#), "{text}");
}

#[tokio::test]
async fn an_activity_is_found_by_its_time_or_without_it() {
    let app = TestApp::new().await;
    let id = jane(&app, json!({})).await;
    activity(&app, id, "act_1", "2024-04-18T10:16:00Z", json!({"later": true})).await;
    activity(&app, id, "xact_1", "2024-04-18T10:14:00Z", json!({})).await;
    let mut patch = json!({"metadata": {"n": 0}});
    for (event_time, status, later) in [
        (json!(AT), 200, false),
        (json!("2024-04-18T12:15:00.250999+02:00"), 200, false),
        (json!("2024-04-18T10:16:00Z"), 200, true),
        // The earliest of that id.
        (json!(null), 200, false),
        (json!("2024-04-18T10:15:00Z"), 404, false),
        (json!("2024-04-18T10:15:00.251Z"), 404, false),
    ] {
        patch["metadata"]["n"] = json!(patch["metadata"]["n"].as_u64().unwrap() + 1);
        patch["event_time"] = event_time;
        let answer = send(&app, id, "act_1", &patch).await;
        assert_eq!(answer.status, status, "{patch}: {}", answer.text);
        if status == 200 {
            let metadata = answer.json()["metadata"].clone();
            assert_eq!((&metadata["n"], metadata["later"] == true), (&patch["metadata"]["n"], later), "{patch}");
        } else {
            assert_eq!(answer.detail(), "Activity not found", "{patch}");
        }
    }
}

#[tokio::test]
async fn an_activity_is_found_in_a_long_timeline() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    // More than one read takes: 1 MB.
    let text = json!({"k": "x".repeat(20_000)});
    for batch in 0..2 {
        let at = |n: i32| format!("2024-04-18T1{batch}:{n:02}:00Z");
        let one =
            |n| json!({"id": format!("act_{batch}_{n}"), "event_time": at(n), "event_type": "x", "event_text": text});
        app.record_activity(id, (0..50).map(one).collect()).await;
    }
    let answer = send(&app, id, "act_1_49", &json!({"metadata": {"opened": true}})).await;
    assert_eq!((answer.status, &answer.json()["id"]), (200, &json!("act_1_49")), "{}", answer.text);
    assert_eq!(send(&app, id, "act_1_50", &json!({"metadata": {"opened": true}})).await.status, 404);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::new().await;
    let id = jane(&app, json!({})).await;
    let body = json!({"metadata": {"opened": true}});
    for unknown in ["act_2", "act", "1", "ct_1", "ACT_1", &"x".repeat(128)] {
        let answer = send(&app, id, unknown, &body).await;
        assert_eq!((answer.status, answer.detail()), (404, "Activity not found".to_owned()), "{unknown}");
    }
    app.ctx().contacts(&app.principal(&app.org).await).delete(id, None).await.unwrap();
    let before = app.items().await;
    for body in [body, json!({"metadata": {"opened": true}, "event_time": AT})] {
        let answer = send(&app, id, "act_1", &body).await;
        assert_eq!((answer.status, answer.detail()), (404, "Contact not found".to_owned()), "{body}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn what_is_wrong_is_said_at_once() {
    let app = TestApp::new().await;
    let id = jane(&app, json!({})).await;
    let before = app.items().await;
    let time = "event_time must be an RFC 3339 time with its offset";
    let every = format!("metadata must be a JSON object; {time}");
    for (body, detail) in [
        (json!({}), "metadata field is required"),
        (json!({"metadata": null}), "metadata field is required"),
        (json!({"metadata": []}), "metadata must be a JSON object"),
        (json!({"metadata": {"": 1}}), "metadata must not have empty keys"),
        (json!({"metadata": {}, "event_time": 5}), "event_time must be a string"),
        (json!({"event_time": "2024-04-18", "metadata": 1}), &every),
    ] {
        let answer = send(&app, id, "act_1", &body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    let detail = "Validation error: activity_id must be 1 to 128 characters of A-Z a-z 0-9 _ . : -";
    for wrong in ["", "a%20b", "act_1#", &"x".repeat(129)] {
        let answer = send(&app, id, wrong, &json!({"metadata": {}})).await;
        // Without its id it is no path of this endpoint.
        let expected = if wrong.is_empty() { (404, "Not found") } else { (400, detail) };
        assert_eq!((answer.status, answer.detail().as_str()), expected, "{wrong}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn an_activity_does_not_outgrow_its_limit() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let long = |length: usize| json!({"k": "x".repeat(length)});
    let body = json!({"id": "act_1", "event_time": AT, "event_type": "x", "event_text": long(10_000), "metadata": long(10_000)});
    app.record_activity(id, body).await;
    let before = app.items().await;
    let answer = send(&app, id, "act_1", &json!({"metadata": {"more": "x".repeat(500)}})).await;
    let detail = "Validation error: metadata would grow the activity past 20 KiB";
    assert_eq!((answer.status, answer.detail().as_str()), (400, detail));
    assert_eq!(app.items().await, before);
    assert_eq!(send(&app, id, "act_1", &json!({"metadata": {"more": "x".repeat(400)}})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_merges_at_once_none_is_lost() {
    let app = TestApp::new().await;
    let id = jane(&app, json!({})).await;
    let merges = (0..20).map(|n| {
        let app = &app;
        // Half of them at one level, half at another; half with the time, half without.
        let metadata = if n < 10 { json!({format!("k{n}"): n}) } else { json!({"inner": {format!("k{n}"): n}}) };
        let event_time = if n % 2 == 0 { json!(AT) } else { json!(null) };
        async move { send(app, id, "act_1", &json!({"metadata": metadata, "event_time": event_time})).await }
    });
    for answer in futures_util::future::join_all(merges).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let metadata = send(&app, id, "act_1", &json!({"metadata": {}})).await.json()["metadata"].clone();
    for n in 0..20 {
        let place = if n < 10 { &metadata } else { &metadata["inner"] };
        assert_eq!(place[format!("k{n}")], n, "{metadata}");
    }
}
