//! Requests through `serve` and `handle`. Each test has a table of its own.

use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::ContactId;
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids
);

const EVENT_TIME: &str = "2024-04-18T10:15:00.250Z";

async fn patch(app: &TestApp, contact: ContactId, activity: &str, body: &Value) -> TestResponse {
    let path = format!("/contacts/{contact}/activities/{activity}");
    app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.org).path(path).json(body)).await
}

/// Stores Jane with the activity `act_1` of this metadata.
async fn jane_with_activity(app: &TestApp, metadata: Value) -> ContactId {
    let jane = app.create_jane("jane@example.com").await.id;
    record(app, jane, "act_1", EVENT_TIME, metadata).await;
    jane
}

async fn record(app: &TestApp, contact: ContactId, id: &str, event_time: &str, metadata: Value) {
    let body = json!({"id": id, "event_time": event_time, "event_type": "message_sent", "metadata": metadata});
    app.record_activity(contact, body).await;
}

/// Stores Jane with the first activity of the documented example, and the documented request that updates it.
async fn documented_example(app: &TestApp) -> TestRequest {
    let jane = app.create_jane("jane@example.com").await.id;
    app.record_activity(jane, TestRequest::example(Endpoint::RecordActivities).body()[0].clone()).await;
    TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{jane}/activities/act_123"))
}

#[tokio::test]
async fn the_documented_example_changes_the_metadata_and_nothing_else() {
    let app = TestApp::new().await;
    let request = documented_example(&app).await;

    let response = app.send(ENDPOINT, handle, &request).await;

    let expected = r#"{
        "id":"act_123",
        "event_time":"2024-04-18T10:15:00Z",
        "channel":"linkedin",
        "event_type":"message_sent",
        "direction":"outbound",
        "sdr_agent_id":"usr_abc",
        "event_text":[{"message":"Hola Jane, ¿comentamos?"}],
        "metadata":{"delivered":true,"opened":true,"clicked":true,"replied":false},
        "actor":"SDR"
    }"#;
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(expected));
}

#[tokio::test]
async fn a_repeated_update_writes_nothing() {
    let app = TestApp::new().await;
    let request = documented_example(&app).await;
    let first = app.send(ENDPOINT, handle, &request).await;
    let before = app.items().await;

    let second = app.send(ENDPOINT, handle, &request).await;

    assert_eq!(second, first);
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn metadata_is_merged_as_in_rfc_7396() {
    let app = TestApp::new().await;
    let jane = jane_with_activity(&app, json!({"delivered": true, "mail": {"client": "x", "ip": "y"}, "n": 1})).await;
    // Each patch is merged into the result of the previous one.
    for (metadata, merged) in [
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
        let response = patch(&app, jane, "act_1", &json!({"metadata": metadata})).await;

        let mut expected = merged;
        expected["clicked"] = json!(false);
        expected["replied"] = json!(false);
        assert_eq!(response.status, 200, "{metadata}: {}", response.text);
        assert_eq!(response.json()["metadata"], expected, "{metadata}");
    }
}

#[tokio::test]
async fn a_number_keeps_every_digit() {
    let app = TestApp::new().await;
    let jane = jane_with_activity(&app, json!({})).await;

    let response = patch(&app, jane, "act_1", &json!({"metadata": {"n": 12_345_678_901_234_567_890_u64}})).await;

    assert!(response.text.contains(r#""n":12345678901234567890"#), "{}", response.text);
}

#[tokio::test]
async fn an_activity_is_found_by_its_time_or_else_the_earliest_of_its_id() {
    let app = TestApp::new().await;
    let jane = jane_with_activity(&app, json!({"which": "earlier"})).await;
    record(&app, jane, "act_1", "2024-04-18T10:16:00Z", json!({"which": "later"})).await;
    record(&app, jane, "xact_1", "2024-04-18T10:14:00Z", json!({"which": "another id"})).await;
    let cases = [
        (json!("2024-04-18T10:15:00.250Z"), "earlier"),
        (json!("2024-04-18T12:15:00.250999+02:00"), "earlier"),
        (json!("2024-04-18T10:16:00Z"), "later"),
        (json!(null), "earlier"),
    ];
    for (n, (event_time, which)) in cases.into_iter().enumerate() {
        let response = patch(&app, jane, "act_1", &json!({"event_time": event_time, "metadata": {"n": n}})).await;
        assert_eq!(response.status, 200, "{event_time}: {}", response.text);
        assert_eq!(response.json()["metadata"]["which"], which, "{event_time}");
        assert_eq!(response.json()["metadata"]["n"], n, "{event_time}");
    }
}

#[tokio::test]
async fn an_activity_of_another_time_is_not_found() {
    let app = TestApp::new().await;
    let jane = jane_with_activity(&app, json!({})).await;
    for event_time in ["2024-04-18T10:15:00Z", "2024-04-18T10:15:00.251Z"] {
        let response = patch(&app, jane, "act_1", &json!({"event_time": event_time, "metadata": {"n": 1}})).await;
        assert_eq!(response.status, 404, "{event_time}: {}", response.text);
        assert_eq!(response.detail(), "Activity not found", "{event_time}");
    }
}

#[tokio::test]
async fn an_activity_without_its_time_is_found_past_the_one_megabyte_of_a_query() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await.id;
    // A hundred activities of 20 kB.
    for hour in [10, 11] {
        let activity = |minute: u32| {
            json!({
                "id": format!("act_{hour}_{minute}"),
                "event_time": format!("2024-04-18T{hour}:{minute:02}:00Z"),
                "event_type": "x",
                "event_text": {"k": "x".repeat(20_000)},
            })
        };
        app.record_activity(jane, (0..50).map(activity).collect()).await;
    }

    let last = patch(&app, jane, "act_11_49", &json!({"metadata": {"opened": true}})).await;
    let unknown = patch(&app, jane, "act_11_50", &json!({"metadata": {"opened": true}})).await;

    assert_eq!(last.status, 200, "{}", last.text);
    assert_eq!(last.json()["id"], "act_11_49");
    assert_eq!(unknown.status, 404, "{}", unknown.text);
}

#[tokio::test]
async fn an_unknown_activity_is_not_found() {
    let app = TestApp::new().await;
    let jane = jane_with_activity(&app, json!({})).await;
    for unknown in ["act_2", "act", "1", "ct_1", "ACT_1", &"x".repeat(128)] {
        let response = patch(&app, jane, unknown, &json!({"metadata": {"opened": true}})).await;
        assert_eq!(response.status, 404, "{unknown}: {}", response.text);
        assert_eq!(response.detail(), "Activity not found", "{unknown}");
    }
}

#[tokio::test]
async fn an_activity_of_a_deleted_contact_is_a_404_and_nothing_is_written() {
    let app = TestApp::new().await;
    let jane = jane_with_activity(&app, json!({})).await;
    app.ctx().contacts(&app.principal(&app.org).await).delete(jane, None).await.unwrap();
    let before = app.items().await;
    for body in [json!({"metadata": {"opened": true}}), json!({"metadata": {"opened": true}, "event_time": EVENT_TIME})]
    {
        let response = patch(&app, jane, "act_1", &body).await;
        assert_eq!(response.status, 404, "{body}: {}", response.text);
        assert_eq!(response.detail(), "Contact not found", "{body}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn validation_errors_name_each_field_in_the_documented_order() {
    let app = TestApp::new().await;
    let jane = jane_with_activity(&app, json!({})).await;
    let before = app.items().await;
    let all_fields = "metadata must be a JSON object; event_time must be an RFC 3339 time with its offset";
    for (body, detail) in [
        (json!({}), "metadata field is required"),
        (json!({"metadata": null}), "metadata field is required"),
        (json!({"metadata": []}), "metadata must be a JSON object"),
        (json!({"metadata": {"": 1}}), "metadata must not have empty keys"),
        (json!({"metadata": {}, "event_time": 5}), "event_time must be a string"),
        (json!({"event_time": "2024-04-18", "metadata": 1}), all_fields),
    ] {
        let response = patch(&app, jane, "act_1", &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn a_malformed_activity_id_is_a_validation_error_and_nothing_is_written() {
    let app = TestApp::new().await;
    let jane = jane_with_activity(&app, json!({})).await;
    let before = app.items().await;
    for malformed in ["a%20b", "act_1#", &"x".repeat(129)] {
        let response = patch(&app, jane, malformed, &json!({"metadata": {}})).await;
        assert_eq!(response.status, 400, "{malformed}: {}", response.text);
        let detail = "Validation error: activity_id must be 1 to 128 characters of A-Z a-z 0-9 _ . : -";
        assert_eq!(response.detail(), detail, "{malformed}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_path_without_an_activity_id_is_a_404() {
    let app = TestApp::new().await;
    let jane = jane_with_activity(&app, json!({})).await;

    let response = patch(&app, jane, "", &json!({"metadata": {}})).await;

    assert_eq!(response.status, 404);
    assert_eq!(response.detail(), "Not found");
}

/// Stores Jane with the activity `act_1`, whose text and metadata have 20,016 bytes together.
async fn jane_with_large_activity(app: &TestApp) -> ContactId {
    let jane = app.create_jane("jane@example.com").await.id;
    let body = json!({
        "id": "act_1",
        "event_time": EVENT_TIME,
        "event_type": "x",
        "event_text": {"k": "x".repeat(10_000)},
        "metadata": {"k": "x".repeat(10_000)},
    });
    app.record_activity(jane, body).await;
    jane
}

#[tokio::test]
async fn metadata_past_the_limit_of_the_activity_is_a_validation_error_and_nothing_is_written() {
    let app = TestApp::new().await;
    let jane = jane_with_large_activity(&app).await;
    let before = app.items().await;

    let response = patch(&app, jane, "act_1", &json!({"metadata": {"more": "x".repeat(500)}})).await;

    assert_eq!(response.status, 400);
    assert_eq!(response.detail(), "Validation error: metadata would grow the activity past 20 KiB");
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn metadata_up_to_the_limit_of_the_activity_is_merged() {
    let app = TestApp::new().await;
    let jane = jane_with_large_activity(&app).await;

    let response = patch(&app, jane, "act_1", &json!({"metadata": {"more": "x".repeat(400)}})).await;

    assert_eq!(response.status, 200, "{}", response.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_concurrent_updates_are_all_merged() {
    let app = TestApp::new().await;
    let jane = jane_with_activity(&app, json!({})).await;
    // Half of the updates at the top level, half of them in a nested object; half with the time, half without.
    let bodies: Vec<_> = (0..20)
        .map(|n| {
            let event_time = if n % 2 == 0 { json!(EVENT_TIME) } else { json!(null) };
            let mut metadata = json!({format!("k{n}"): n});
            if n >= 10 {
                metadata = json!({"nested": metadata});
            }
            json!({"metadata": metadata, "event_time": event_time})
        })
        .collect();

    let updates = bodies.iter().map(|body| patch(&app, jane, "act_1", body));
    for response in futures_util::future::join_all(updates).await {
        assert_eq!(response.status, 200, "{}", response.text);
    }

    let metadata = patch(&app, jane, "act_1", &json!({"metadata": {}})).await.json()["metadata"].clone();
    for n in 0..10 {
        assert_eq!(metadata[format!("k{n}")], n, "{metadata}");
    }
    for n in 10..20 {
        assert_eq!(metadata["nested"][format!("k{n}")], n, "{metadata}");
    }
}
