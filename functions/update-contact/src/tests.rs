//! `handle` behind the whole way of a request, on a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::{Contact, ContactId, time};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, TestResponse, jane};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::UpdateContact;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies, isolation, path_ids
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

/// John Doe of the pages, with every field.
async fn john(app: &TestApp) -> Contact {
    app.john().await
}

#[tokio::test]
async fn the_example_of_the_page_is_answered_as_the_page_says() {
    let app = TestApp::new().await;
    let john = john(&app).await;
    app.pass(TimeDelta::minutes(150));
    let answer = send(&app, &request(&app, john.id)).await;
    let (id, org_id, created_at) = (john.id, john.org_id, time::to_seconds(john.created_at()));
    let stored = app.stored(id).await.unwrap();
    assert!(stored.updated_at >= john.updated_at + TimeDelta::minutes(150), "{}", stored.updated_at);
    let updated_at = time::to_seconds(stored.updated_at);
    let expected = format!(
        r#"{{"id":"{id}","org_id":"{org_id}","full_name":"John Doe","email":"john.doe@example.com","linkedin_profile":"https://www.linkedin.com/in/johndoe","company":"Tech Corp","locale":"es-ES","timezone":"Europe/Madrid","enrichment":{{"source":"website","campaign":"Q1-2024","updated_source":"crm_sync"}},"created_at":"{created_at}","updated_at":"{updated_at}"}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("etag").starts_with("\"2-"), "{}", answer.header("etag"));
}

#[tokio::test]
async fn only_what_is_sent_changes() {
    let app = TestApp::new().await;
    let john = john(&app).await;
    let mut expected = put(&app, john.id, &json!({})).await.json();
    for (field, sent, shown) in [
        ("full_name", json!(" John  Q. Doe "), json!("John Q. Doe")),
        ("email", json!("John.Q.Doe@Example.com"), json!("john.q.doe@example.com")),
        ("linkedin_profile", json!("linkedin.com/in/JohnQDoe/"), json!("https://www.linkedin.com/in/johnqdoe")),
        ("company", json!("New Corp"), json!("New Corp")),
        ("company", json!(" tech corp"), json!("tech corp")),
        ("locale", json!("es_es"), json!("es-ES")),
        ("timezone", json!("europe/madrid"), json!("Europe/Madrid")),
        ("company", json!(null), json!(null)),
        ("company", json!("Tech Corp"), json!("Tech Corp")),
        ("company", json!(" "), json!(null)),
        ("locale", json!(null), json!(null)),
        ("timezone", json!(null), json!(null)),
    ] {
        app.pass(TimeDelta::seconds(2));
        let answer = put(&app, john.id, &json!({field: sent.clone()})).await;
        let last = std::mem::replace(&mut expected["updated_at"], answer.json()["updated_at"].clone());
        assert_ne!(last, expected["updated_at"], "{field}");
        expected[field] = shown;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{field}: {sent}");
        assert!(app.stored(john.id).await.unwrap().updated_at > john.updated_at);
    }
    assert_eq!(app.count("company").await, 2, "the new one, and the one of any spelling");
}

#[tokio::test]
async fn what_changes_nothing_leaves_the_contact_alone() {
    let app = TestApp::new().await;
    let john = john(&app).await;
    let before = app.items().await;
    let first = put(&app, john.id, &json!({})).await;
    let mut as_shown = first.json();
    as_shown["activities"] = json!([]);
    app.pass(TimeDelta::hours(1));
    for body in [
        json!({}),
        json!({"unknown": 1}),
        json!({"email": " JOHN.DOE@example.com", "full_name": "John Doe"}),
        json!({"company": "Tech Corp"}),
        json!({"linkedin_profile": "http://linkedin.com/in/JohnDoe?x"}),
        json!({"locale": "EN_us", "timezone": "america/new_york"}),
        json!({"metadata": {}}),
        json!({"metadata": {"source": "website", "absent": null}}),
        json!({"enrichment": {"source": "website", "campaign": "Q1-2024"}}),
        as_shown,
    ] {
        let answer = put(&app, john.id, &body).await;
        assert_eq!((answer.status, &answer.text), (200, &first.text), "{body}");
        assert_eq!(answer.header("etag"), first.header("etag"), "{body}");
        assert_eq!(app.items().await, before, "{body}");
    }
    // Nor does clearing what is clear.
    let jane = app.jane("jane@example.com").await;
    let shown = put(&app, jane.id, &json!({})).await;
    assert_eq!(put(&app, jane.id, &shown.json()).await, shown);
}

#[tokio::test]
async fn every_faulty_field_is_named_in_the_documented_order() {
    let app = TestApp::new().await;
    let john = john(&app).await;
    let before = app.items().await;
    for (body, detail) in [
        (json!({"full_name": null}), "full_name must not be null"),
        (json!({"email": null}), "email must not be null"),
        (json!({"linkedin_profile": null}), "linkedin_profile must not be null"),
        (json!({"full_name": " "}), "full_name must not be blank"),
        (json!({"email": ""}), "email must not be blank"),
        (json!({"locale": "e"}), "locale must be a BCP 47 language tag"),
        (json!({"metadata": {"": 1}}), "metadata must not have empty keys"),
        (
            json!({"enrichment": {"a": 1}, "metadata": {"a": 2}}),
            "metadata must be the same as enrichment where both are sent",
        ),
        (
            json!({"enrichment": {"a": 1}, "metadata": null}),
            "metadata must be the same as enrichment where both are sent",
        ),
        (
            json!({
                "metadata": 1, "timezone": "x", "locale": 1, "company": [], "linkedin_profile": null, "email": "x",
                "full_name": {},
            }),
            "full_name must be a string; email must be a valid email address; linkedin_profile must not be null; company must be a string; locale must be a string; timezone must be an IANA time zone name; metadata must be a JSON object",
        ),
    ] {
        let answer = put(&app, john.id, &body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    let linkedin = put(&app, john.id, &json!({"linkedin_profile": ""})).await;
    assert_eq!(linkedin.status, 400, "{}", linkedin.text);
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn metadata_is_merged_as_the_rfc_says() {
    let app = TestApp::new().await;
    // RFC 7396, appendix A, as far as both sides are objects; and the ways that take an update another way.
    for (index, (original, patch, merged)) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!(null)),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"a": "foo"}), json!({"b": [null, {"c": null}]}), json!({"a": "foo", "b": [null, {"c": null}]})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        (json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": null}, "d": 3}), json!({"a": {"c": 2}, "d": 3})),
        (json!({"a": {"b": 1}}), json!({"a": 1}), json!({"a": 1})),
        (json!({"a": 1}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}})),
        (json!({"a": {"b": 1}}), json!({"a": null}), json!(null)),
        (json!({"a": {"b": 1}}), json!({"a": {}}), json!({"a": {"b": 1}})),
        (json!({"a": 1}), json!({}), json!({"a": 1})),
        (json!({"a": 1}), json!(null), json!(null)),
        (
            json!({"a.b": 1}),
            json!({"#0": 1, ":0": 2, "size": 3, "a": 4}),
            json!({"#0": 1, ":0": 2, "a": 4, "a.b": 1, "size": 3}),
        ),
        (json!({}), json!({"k".repeat(300): "x"}), json!({"k".repeat(300): "x"})),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = jane(&format!("jane.{index}@example.com"));
        body["metadata"] = original.clone();
        let id = app.create(&app.org, body, None).await.id;
        let answer = put(&app, id, &json!({"metadata": patch})).await;
        assert_eq!((answer.status, &answer.json()["enrichment"]), (200, &merged), "{original} {patch}");
        let stored = app.stored(id).await.unwrap().enrichment;
        let merged = if merged.is_null() { json!({}) } else { merged };
        assert_eq!(serde_json::to_value(&stored).unwrap(), merged, "{original} {patch}");
    }
    let many: serde_json::Map<_, _> = (0..200).map(|index| (format!("k{index}"), json!(index))).collect();
    let answer = put(&app, john(&app).await.id, &json!({"metadata": many})).await;
    assert_eq!(answer.json()["enrichment"].as_object().unwrap().len(), 202);
}

#[tokio::test]
async fn a_number_stays_exact() {
    let app = TestApp::new().await;
    let id = app.jane("jane@example.com").await.id;
    for (body, status) in [
        (r#"{"metadata":{"n":12345678901234567890123456789012345678}}"#, 200),
        (r#"{"metadata":{"o":{"n":0.1234567890123456789012345678901234567}}}"#, 200),
        (r#"{"metadata":{"n":123456789012345678901234567890123456789}}"#, 400),
        (r#"{"metadata":{"o":{"n":1e126}}}"#, 400),
    ] {
        assert_eq!(send(&app, &request(&app, id).text(body)).await.status, status, "{body}");
    }
    let text = put(&app, id, &json!({})).await.text;
    let enrichment = r#""enrichment":{"n":12345678901234567890123456789012345678,"o":{"n":0.1234567890123456789012345678901234567}}"#;
    assert!(text.contains(enrichment), "{text}");
}

#[tokio::test]
async fn a_contact_does_not_outgrow_its_item() {
    const PART: usize = 60_000;
    let app = TestApp::new().await;
    let id = app.jane("jane@example.com").await.id;
    // Flat and nested metadata go different ways.
    let flat = |index: usize| json!({"metadata": {format!("k{index}"): "x".repeat(PART)}});
    let nested = |index: usize| json!({"metadata": {"nested": {format!("k{index}"): "x".repeat(PART)}}});
    for index in 0..10 {
        assert_eq!(put(&app, id, &flat(0)).await.status, 200, "the same again, time {index}");
    }
    for index in 1..5 {
        assert_eq!(put(&app, id, &flat(index)).await.status, 200, "{index}");
    }
    let before = app.items().await;
    for too_much in [flat(5), nested(5)] {
        let answer = put(&app, id, &too_much).await;
        let detail = "Validation error: metadata would grow the contact past 350 KB";
        assert_eq!((answer.status, answer.detail().as_str()), (400, detail));
        assert_eq!(app.items().await, before);
    }
    assert_eq!(put(&app, id, &json!({"full_name": "Jane", "metadata": {"small": 1}})).await.status, 200);
    assert_eq!(put(&app, id, &json!({"metadata": {"k1": null}})).await.status, 200);
    assert_eq!(put(&app, id, &nested(1)).await.status, 200, "there is room again");
    let sent = put(&app, id, &json!({"metadata": {"k": "x".repeat(64 * 1024)}})).await;
    assert_eq!((sent.status, sent.detail()), (400, "Validation error: metadata must be at most 64 KiB".to_owned()));
}

#[tokio::test]
async fn what_the_database_counts_is_what_a_contact_may_have() {
    let app = TestApp::new().await;
    // As JSON a digit in an array is two bytes, in the database it is more; and the order of keys is stored beside them.
    let body = format!(r#"{{"{}":1,"a":1}}"#, "z".repeat(65_000));
    let john = jane("john@example.com").to_string().replace('}', &format!(r#","metadata":{body}}}"#));
    let id = app.create_from(&john).await.id;
    let ones = json!(vec![1; 32_000]);
    let statuses: Vec<_> = {
        let mut statuses = Vec::new();
        for index in 0..8 {
            statuses.push(put(&app, id, &json!({"metadata": {format!("k{index}"): ones}})).await.status);
        }
        statuses
    };
    assert!(statuses.contains(&200) && statuses.iter().all(|status| [200, 400].contains(status)), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&400));
}

#[tokio::test]
async fn a_changed_address_frees_the_old_one_and_takes_the_new_one() {
    let app = TestApp::new().await;
    let (john, jane_doe) = (john(&app).await, app.jane("jane@example.com").await);
    app.create(&app.other, jane("theirs@example.com"), None).await;

    let before = app.items().await;
    for email in ["jane@example.com", " JANE@Example.com"] {
        let answer = put(&app, john.id, &json!({"email": email, "full_name": "X", "company": "New Corp"})).await;
        let detail = "Contact with email 'jane@example.com' already exists";
        assert_eq!((answer.status, answer.detail().as_str()), (409, detail));
    }
    assert_eq!(app.items().await, before, "nothing of a refused update is written");

    assert_eq!(put(&app, john.id, &json!({"email": "theirs@example.com"})).await.status, 200);
    assert_eq!(app.count("email_lock").await, 3);
    assert_eq!(put(&app, jane_doe.id, &json!({"email": "john.doe@example.com"})).await.status, 200, "it is free");
    assert_eq!(put(&app, john.id, &json!({"email": "john.doe@example.com"})).await.status, 409, "it is taken");
    app.jane("jane@example.com").await;
    assert_eq!((app.count("contact").await, app.count("email_lock").await), (4, 4));
}

#[tokio::test]
async fn if_match_compares_the_version() {
    const STALE: &str = "Contact has changed since it was read";
    const GARBAGE: &str = "Validation error: If-Match must be * or a list of quoted entity tags";
    let app = TestApp::new().await;
    // An update without a read, one with it, one that moves an address, and one of nothing.
    let bodies =
        [json!({"full_name": "X"}), json!({"metadata": {"a": {}}}), json!({"email": "x@example.com"}), json!({})];
    for (index, body) in bodies.into_iter().enumerate() {
        let id = app.jane(&format!("jane.{index}@example.com")).await.id;
        let before = app.items().await;
        for (tags, status, detail) in [
            ("\"99-a\"", 412, STALE),
            ("\"0-a\", \"2-a\"", 412, STALE),
            ("W/\"1-a\"", 412, STALE),
            ("\"1\"", 412, STALE),
            ("\"abc\"", 412, STALE),
            ("1-a", 400, GARBAGE),
            ("\"1-a", 400, GARBAGE),
            ("\"1-a\" \"1-b\"", 400, GARBAGE),
            ("", 400, GARBAGE),
        ] {
            let answer = send(&app, &request(&app, id).header("if-match", tags).json(&body)).await;
            assert_eq!((answer.status, answer.detail().as_str()), (status, detail), "{tags} {body}");
            assert_eq!(app.items().await, before, "{tags} {body}");
        }
        let no_op = body == json!({});
        for (tags, version) in [("\"99-a\", \"1-any\"", 2), ("*", 2)] {
            let answer = send(&app, &request(&app, id).header("if-match", tags).json(&body)).await;
            let etag = format!("\"{}-", if no_op { 1 } else { version });
            assert_eq!(answer.status, 200, "{tags} {body}: {}", answer.text);
            assert!(answer.header("etag").starts_with(&etag), "{tags} {body}: {}", answer.header("etag"));
        }
        let theirs = request(&app, id).header("if-match", "*").header("x-api-key", app.other.admin_key.in_clear());
        assert_eq!(send(&app, &theirs.json(&body)).await.status, 404, "what is not there has no version");
        put(&app, id, &json!({"email": format!("jane.{index}@example.com")})).await;
    }
}

#[tokio::test]
async fn a_contact_that_cannot_be_read_is_a_fault_and_says_nothing() {
    let app = TestApp::new().await;
    let contact = app.jane("jane@example.com").await;
    let key = keys::contact(app.org.org_id, contact.id);
    for garbage in [
        json!({"type": {"S": "contact"}, "email": {"S": "canary"}}),
        json!({"type": {"S": "import"}, "full_name": {"S": "canary"}, "enrichment": {"M": {}}}),
        json!({"enrichment": {"SS": ["canary"]}, "type": {"S": "contact"}}),
    ] {
        app.put_item(&key, garbage).await;
        for body in [json!({"full_name": "X"}), json!({"metadata": {"a": {}}}), json!({})] {
            let answer = put(&app, contact.id, &body).await;
            assert_eq!((answer.status, answer.text.as_str()), (500, r#"{"detail":"Internal server error"}"#), "{body}");
        }
    }
}
