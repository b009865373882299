//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::TimeDelta;
use serde_json::{Map, Value, json};
use shared::domain::{ContactId, time};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json, jane};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids
);

fn request(app: &TestApp, id: ContactId) -> TestRequest {
    TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{id}"))
}

async fn send(app: &TestApp, request: &TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, request).await
}

async fn put(app: &TestApp, id: ContactId, body: &Value) -> TestResponse {
    send(app, &request(app, id).json(body)).await
}

/// Stores Jane with this metadata.
async fn jane_with_metadata(app: &TestApp, email: &str, metadata: &Value) -> ContactId {
    let mut body = jane(email);
    body["metadata"] = metadata.clone();
    app.create_contact(&app.org, body, None).await.id
}

#[tokio::test]
async fn the_documented_example_is_updated() {
    let app = TestApp::new().await;
    let john = app.create_john().await;
    app.advance_clock(TimeDelta::minutes(150));

    let response = send(&app, &request(&app, john.id)).await;

    let stored = app.stored_contact(john.id).await.unwrap();
    let (id, org_id) = (john.id, john.org_id);
    let (created_at, updated_at) = (time::to_seconds(john.created_at), time::to_seconds(stored.updated_at));
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "full_name":"John Doe",
            "email":"john.doe@example.com",
            "linkedin_profile":"https://www.linkedin.com/in/johndoe",
            "company":"Tech Corp",
            "locale":"es-ES",
            "timezone":"Europe/Madrid",
            "enrichment":{{"source":"website","campaign":"Q1-2024","updated_source":"crm_sync"}},
            "created_at":"{created_at}",
            "updated_at":"{updated_at}"
        }}"#
    );
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert!(response.header("etag").starts_with("\"2-"), "{}", response.header("etag"));
    assert!(stored.updated_at >= john.updated_at + TimeDelta::minutes(150), "{updated_at}");
}

#[tokio::test]
async fn a_field_that_is_sent_changes_and_the_others_stay() {
    let app = TestApp::new().await;
    let john = app.create_john().await;
    let mut expected = put(&app, john.id, &json!({})).await.json();
    for (field, sent, shown) in [
        // Every field is set,
        ("full_name", json!(" John  Q. Doe "), json!("John Q. Doe")),
        ("email", json!("John.Q.Doe@Example.com"), json!("john.q.doe@example.com")),
        ("linkedin_profile", json!("linkedin.com/in/JohnQDoe/"), json!("https://www.linkedin.com/in/johnqdoe")),
        ("company", json!("New Corp"), json!("New Corp")),
        ("company", json!(" tech corp"), json!("tech corp")),
        ("locale", json!("es_es"), json!("es-ES")),
        ("timezone", json!("europe/madrid"), json!("Europe/Madrid")),
        // and every optional field is cleared.
        ("company", json!(null), json!(null)),
        ("company", json!("Tech Corp"), json!("Tech Corp")),
        ("company", json!(" "), json!(null)),
        ("locale", json!(null), json!(null)),
        ("locale", json!("en"), json!("en")),
        ("locale", json!(""), json!(null)),
        ("timezone", json!(null), json!(null)),
        ("timezone", json!("UTC"), json!("UTC")),
        ("timezone", json!(" "), json!(null)),
    ] {
        app.advance_clock(TimeDelta::seconds(2));

        let response = put(&app, john.id, &json!({field: sent.clone()})).await;

        assert_eq!(response.status, 200, "{field}: {sent}: {}", response.text);
        let contact = response.json();
        assert_ne!(contact["updated_at"], expected["updated_at"], "{field}: {sent}");
        expected["updated_at"] = contact["updated_at"].clone();
        expected[field] = shown;
        assert_eq!(contact, expected, "{field}: {sent}");
        assert!(app.stored_contact(john.id).await.unwrap().updated_at > john.updated_at, "{field}: {sent}");
    }
}

#[tokio::test]
async fn a_new_company_is_created_once() {
    let app = TestApp::new().await;
    let john = app.create_john().await;
    for company in ["New Corp", " tech corp", "NEW CORP", "Tech Corp"] {
        assert_eq!(put(&app, john.id, &json!({"company": company})).await.status, 200, "{company}");
    }
    assert_eq!(app.count_items("company").await, 2, "New Corp and Tech Corp");
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let app = TestApp::new().await;
    let john = app.create_john().await;
    let before = app.items().await;
    let first = put(&app, john.id, &json!({})).await;
    let mut as_returned_by_get = first.json();
    as_returned_by_get["activities"] = json!([]);
    app.advance_clock(TimeDelta::hours(1));
    for body in [
        // No known field.
        json!({}),
        json!({"unknown": 1}),
        // The stored values in another spelling.
        json!({"email": " JOHN.DOE@example.com", "full_name": "John Doe"}),
        json!({"company": "Tech Corp"}),
        json!({"linkedin_profile": "http://linkedin.com/in/JohnDoe?x"}),
        json!({"locale": "EN_us", "timezone": "america/new_york"}),
        // Metadata that merges into itself.
        json!({"metadata": {}}),
        json!({"metadata": {"source": "website", "absent": null}}),
        json!({"enrichment": {"source": "website", "campaign": "Q1-2024"}}),
        as_returned_by_get,
    ] {
        let response = put(&app, john.id, &body).await;
        assert_eq!(response.status, 200, "{body}: {}", response.text);
        assert_eq!(response.text, first.text, "{body}");
        assert_eq!(response.header("etag"), first.header("etag"), "{body}");
        assert_eq!(app.items().await, before, "{body}");
    }
}

#[tokio::test]
async fn clearing_absent_fields_changes_nothing() {
    let app = TestApp::new().await;
    let jane = app.create_jane("jane@example.com").await;
    let first = put(&app, jane.id, &json!({})).await;

    let second = put(&app, jane.id, &first.json()).await;

    assert_eq!(first.json()["company"], json!(null));
    assert_eq!(second, first);
}

#[tokio::test]
async fn validation_errors_name_each_field_in_the_documented_order() {
    let app = TestApp::new().await;
    let john = app.create_john().await;
    let before = app.items().await;
    let not_a_profile = "linkedin_profile must be a profile URL on linkedin.com: \
                         https://www.linkedin.com/in/…, not a short link or another site";
    let differs = "metadata must be the same as enrichment where both are sent";
    let all_fields = "full_name must be a string; email must be a valid email address; \
                      linkedin_profile must not be null; company must be a string; locale must be a string; \
                      timezone must be an IANA time zone name; metadata must be a JSON object";
    for (body, detail) in [
        // A required field cannot be cleared.
        (json!({"full_name": null}), "full_name must not be null"),
        (json!({"email": null}), "email must not be null"),
        (json!({"linkedin_profile": null}), "linkedin_profile must not be null"),
        (json!({"full_name": " "}), "full_name must not be blank"),
        (json!({"email": ""}), "email must not be blank"),
        (json!({"linkedin_profile": ""}), not_a_profile),
        // An optional field must be valid.
        (json!({"locale": "e"}), "locale must be a BCP 47 language tag"),
        (json!({"metadata": {"": 1}}), "metadata must not have empty keys"),
        // metadata and its alias enrichment must be the same.
        (json!({"enrichment": {"a": 1}, "metadata": {"a": 2}}), differs),
        (json!({"enrichment": {"a": 1}, "metadata": null}), differs),
        // Every field at once.
        (
            json!({
                "metadata": 1, "timezone": "x", "locale": 1, "company": [], "linkedin_profile": null, "email": "x",
                "full_name": {},
            }),
            all_fields,
        ),
    ] {
        let response = put(&app, john.id, &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn metadata_is_merged_as_in_rfc_7396() {
    let app = TestApp::new().await;
    let long_key = "k".repeat(300);
    let cases = [
        // The examples of RFC 7396, appendix A, in which both sides are objects.
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"a": "foo"}), json!({"b": [null, {"c": null}]}), json!({"a": "foo", "b": [null, {"c": null}]})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        // Nested objects, which take a read before the write.
        (json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": null}, "d": 3}), json!({"a": {"c": 2}, "d": 3})),
        (json!({"a": {"b": 1}}), json!({"a": 1}), json!({"a": 1})),
        (json!({"a": 1}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}})),
        (json!({"a": {"b": 1}}), json!({"a": null}), json!({})),
        (json!({"a": {"b": 1}}), json!({"a": {}}), json!({"a": {"b": 1}})),
        // The patch as a whole.
        (json!({"a": 1}), json!({}), json!({"a": 1})),
        (json!({"a": 1}), json!(null), json!({})),
        // Keys that need escaping in an expression of DynamoDB.
        (
            json!({"a.b": 1}),
            json!({"#0": 1, ":0": 2, "size": 3, "a": 4}),
            json!({"#0": 1, ":0": 2, "a": 4, "a.b": 1, "size": 3}),
        ),
        (json!({}), json!({&long_key: "x"}), json!({&long_key: "x"})),
    ];
    for (index, (original, patch, merged)) in cases.into_iter().enumerate() {
        let id = jane_with_metadata(&app, &format!("jane.{index}@example.com"), &original).await;

        let response = put(&app, id, &json!({"metadata": patch})).await;

        // Empty metadata is shown as null.
        let shown = if merged == json!({}) { json!(null) } else { merged.clone() };
        assert_eq!(response.status, 200, "{original} {patch}: {}", response.text);
        assert_eq!(response.json()["enrichment"], shown, "{original} {patch}");
        let stored = app.stored_contact(id).await.unwrap().enrichment;
        assert_eq!(serde_json::to_value(&stored.object).unwrap(), merged, "{original} {patch}");
    }
}

#[tokio::test]
async fn two_hundred_keys_are_merged_at_once() {
    let app = TestApp::new().await;
    let john = app.create_john().await;
    let metadata: Map<_, _> = (0..200).map(|index| (format!("k{index}"), json!(index))).collect();

    let response = put(&app, john.id, &json!({"metadata": metadata})).await;

    let enrichment = response.json()["enrichment"].clone();
    assert_eq!(enrichment.as_object().unwrap().len(), 202, "with the two keys from before");
}

#[tokio::test]
async fn a_number_of_up_to_38_digits_stays_exact() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    for body in [
        r#"{"metadata":{"n":12345678901234567890123456789012345678}}"#,
        r#"{"metadata":{"o":{"n":0.1234567890123456789012345678901234567}}}"#,
    ] {
        let response = send(&app, &request(&app, id).text(body)).await;
        assert_eq!(response.status, 200, "{body}: {}", response.text);
    }

    let text = put(&app, id, &json!({})).await.text;

    let n = r#""n":12345678901234567890123456789012345678"#;
    let o = r#""o":{"n":0.1234567890123456789012345678901234567}"#;
    assert!(text.contains(&format!(r#""enrichment":{{{n},{o}}}"#)), "{text}");
}

#[tokio::test]
async fn a_number_that_cannot_be_stored_exactly_is_a_validation_error() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    for body in [r#"{"metadata":{"n":123456789012345678901234567890123456789}}"#, r#"{"metadata":{"o":{"n":1e126}}}"#] {
        let response = send(&app, &request(&app, id).text(body)).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
    }
}

/// An update of one key of the metadata with a value of 60 kB. It needs no read.
fn flat_update(index: usize) -> Value {
    json!({"metadata": {format!("k{index}"): "x".repeat(60_000)}})
}

/// An update of one key of an object in the metadata with a value of 60 kB. It needs a read.
fn nested_update(index: usize) -> Value {
    json!({"metadata": {"nested": {format!("k{index}"): "x".repeat(60_000)}}})
}

/// Stores Jane with five values of 60 kB in her metadata. A sixth would pass the limit of 350 KB.
async fn large_jane(app: &TestApp) -> ContactId {
    let id = app.create_jane("jane@example.com").await.id;
    for index in 0..5 {
        assert_eq!(put(app, id, &flat_update(index)).await.status, 200, "{index}");
    }
    id
}

#[tokio::test]
async fn the_same_metadata_again_does_not_grow_a_contact() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    for time in 0..10 {
        assert_eq!(put(&app, id, &flat_update(0)).await.status, 200, "time {time}");
    }
}

#[tokio::test]
async fn metadata_past_the_limit_of_the_contact_is_a_validation_error_and_nothing_is_written() {
    let app = TestApp::new().await;
    let id = large_jane(&app).await;
    let before = app.items().await;
    for body in [flat_update(5), nested_update(5)] {
        let response = put(&app, id, &body).await;
        assert_eq!(response.status, 400, "{}", response.text);
        assert_eq!(response.detail(), "Validation error: metadata would grow the contact past 350 KB");
        assert_eq!(app.items().await, before);
    }
}

#[tokio::test]
async fn a_large_contact_takes_small_metadata_and_more_once_some_is_removed() {
    let app = TestApp::new().await;
    let id = large_jane(&app).await;

    let small = put(&app, id, &json!({"full_name": "Jane", "metadata": {"small": 1}})).await;
    let removed = put(&app, id, &json!({"metadata": {"k1": null}})).await;
    let large = put(&app, id, &nested_update(1)).await;

    assert_eq!([small.status, removed.status, large.status], [200, 200, 200]);
}

#[tokio::test]
async fn metadata_of_more_than_64_kib_in_one_request_is_a_validation_error() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;

    let response = put(&app, id, &json!({"metadata": {"k": "x".repeat(64 * 1024)}})).await;

    assert_eq!(response.status, 400);
    assert_eq!(response.detail(), "Validation error: metadata must be at most 64 KiB");
}

#[tokio::test]
async fn the_size_of_a_contact_is_counted_as_dynamodb_counts_it() {
    let app = TestApp::new().await;
    // A digit in an array has two bytes as JSON and more in DynamoDB. The long key is stored a second time, in the order
    // of the keys.
    let metadata = format!(r#"{{"{}":1,"a":1}}"#, "z".repeat(65_000));
    let body = jane("john@example.com").to_string().replace('}', &format!(r#","metadata":{metadata}}}"#));
    let id = app.create_contact_from_json(&body).await.id;
    let digits = json!(vec![1; 32_000]);

    let mut statuses = Vec::new();
    for index in 0..8 {
        statuses.push(put(&app, id, &json!({"metadata": {format!("k{index}"): digits}})).await.status);
    }

    // Were the size counted as JSON, DynamoDB would refuse an item past its limit, which is a 500.
    assert!(statuses.iter().all(|status| [200, 400].contains(status)), "{statuses:?}");
    assert_eq!(statuses.first(), Some(&200));
    assert_eq!(statuses.last(), Some(&400));
}

#[tokio::test]
async fn an_email_of_another_contact_is_a_conflict_and_nothing_is_written() {
    let app = TestApp::new().await;
    let john = app.create_john().await;
    app.create_jane("jane@example.com").await;
    let before = app.items().await;
    for email in ["jane@example.com", " JANE@Example.com"] {
        let response = put(&app, john.id, &json!({"email": email, "full_name": "X", "company": "New Corp"})).await;
        assert_eq!(response.status, 409, "{email}: {}", response.text);
        assert_eq!(response.detail(), "Contact with email 'jane@example.com' already exists", "{email}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn an_email_of_a_contact_of_another_organization_is_free() {
    let app = TestApp::new().await;
    let john = app.create_john().await;
    app.create_contact(&app.other, jane("theirs@example.com"), None).await;

    let response = put(&app, john.id, &json!({"email": "theirs@example.com"})).await;

    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(app.count_items("email_lock").await, 2);
}

#[tokio::test]
async fn a_changed_email_frees_the_old_one() {
    let app = TestApp::new().await;
    let (john, jane) = (app.create_john().await, app.create_jane("jane@example.com").await);
    assert_eq!(put(&app, john.id, &json!({"email": "john@example.com"})).await.status, 200);

    let taken_by_jane = put(&app, jane.id, &json!({"email": "john.doe@example.com"})).await;
    let wanted_back_by_john = put(&app, john.id, &json!({"email": "john.doe@example.com"})).await;
    app.create_jane("jane@example.com").await;

    assert_eq!(taken_by_jane.status, 200, "{}", taken_by_jane.text);
    assert_eq!(wanted_back_by_john.status, 409, "{}", wanted_back_by_john.text);
    assert_eq!(app.count_items("contact").await, 3);
    assert_eq!(app.count_items("email_lock").await, 3);
}

/// One body for each way that an update is written.
fn bodies() -> [Value; 4] {
    [
        // Without a read.
        json!({"full_name": "X"}),
        // With a read, for nested metadata.
        json!({"metadata": {"a": {}}}),
        // In a transaction with the locks of two emails.
        json!({"email": "x@example.com"}),
        // Not at all.
        json!({}),
    ]
}

#[tokio::test]
async fn if_match_of_another_version_is_a_412_and_nothing_is_written() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let before = app.items().await;
    for body in bodies() {
        for tags in ["\"99-a\"", "\"0-a\", \"2-a\"", "\"+1-a\"", "W/\"1-a\"", "\"1\"", "\"abc\""] {
            let response = send(&app, &request(&app, id).header("if-match", tags).json(&body)).await;
            assert_eq!(response.status, 412, "{tags} {body}: {}", response.text);
            assert_eq!(response.detail(), "Contact has changed since it was read", "{tags} {body}");
            assert_eq!(app.items().await, before, "{tags} {body}");
        }
    }
}

#[tokio::test]
async fn if_match_may_list_more_versions_than_one_condition_takes() {
    for body in bodies() {
        let app = TestApp::new().await;
        let id = app.create_jane("jane@example.com").await.id;
        let tags = |first: u32| {
            let tags: Vec<_> = (first..first + 150).map(|version| format!("\"{version}-a\"")).collect();
            tags.join(", ")
        };

        let stale = send(&app, &request(&app, id).header("if-match", &tags(2)).json(&body)).await;
        let current = send(&app, &request(&app, id).header("if-match", &tags(1)).json(&body)).await;

        assert_eq!((stale.status, current.status), (412, 200), "{body}: {}", current.text);
    }
}

#[tokio::test]
async fn a_malformed_if_match_is_a_validation_error_and_nothing_is_written() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    let before = app.items().await;
    let detail = "Validation error: If-Match must be * or a list of quoted entity tags";
    for body in bodies() {
        for tags in ["1-a", "\"1-a", "\"1-a\" \"1-b\"", ""] {
            let response = send(&app, &request(&app, id).header("if-match", tags).json(&body)).await;
            assert_eq!(response.status, 400, "{tags} {body}: {}", response.text);
            assert_eq!(response.detail(), detail, "{tags} {body}");
            assert_eq!(app.items().await, before, "{tags} {body}");
        }
    }
}

#[tokio::test]
async fn if_match_of_the_stored_version_updates_and_any_version_then_changes_nothing() {
    for body in bodies() {
        let app = TestApp::new().await;
        let id = app.create_jane("jane@example.com").await.id;
        let version = if body == json!({}) { 1 } else { 2 };
        // The second update has nothing left to change.
        for tags in ["\"99-a\", \"1-any\"", "*"] {
            let response = send(&app, &request(&app, id).header("if-match", tags).json(&body)).await;
            assert_eq!(response.status, 200, "{tags} {body}: {}", response.text);
            let etag = response.header("etag");
            assert!(etag.starts_with(&format!("\"{version}-")), "{tags} {body}: {etag}");
        }
    }
}

#[tokio::test]
async fn if_match_of_any_version_is_a_404_for_an_unknown_contact() {
    let app = TestApp::new().await;
    let id = app.create_jane("jane@example.com").await.id;
    for body in bodies() {
        let request = request(&app, id).header("if-match", "*").header("x-api-key", app.other.admin_key.in_clear());
        let response = send(&app, &request.json(&body)).await;
        assert_eq!(response.status, 404, "{body}: {}", response.text);
    }
}

#[tokio::test]
async fn an_unreadable_contact_is_a_500_without_details() {
    let app = TestApp::new().await;
    let contact = app.create_jane("jane@example.com").await;
    let key = keys::contact(app.org.org_id, contact.id);
    for unreadable in [
        json!({"type": {"S": "contact"}, "email": {"S": "canary"}}),
        json!({"type": {"S": "import"}, "full_name": {"S": "canary"}, "enrichment": {"M": {}}}),
        json!({"enrichment": {"SS": ["canary"]}, "type": {"S": "contact"}}),
    ] {
        app.put_item(&key, unreadable.clone()).await;
        for body in [json!({"full_name": "X"}), json!({"metadata": {"a": {}}}), json!({})] {
            let response = put(&app, contact.id, &body).await;
            assert_eq!(response.status, 500, "{unreadable} {body}: {}", response.text);
            assert_eq!(response.detail(), "Internal server error", "{unreadable} {body}");
        }
    }
}
