//! Requests through `serve` and `handle`. Each test has a table of its own.

use serde_json::{Value, json};
use shared::domain::{ContactId, Id, time};
use shared::testing::{Tenant, TestApp, TestRequest, TestResponse, compact_json, jane};
use shared::wire::ContactView;

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, bodies, idempotency
);

async fn send(app: &TestApp, request: &TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, request).await
}

async fn post(app: &TestApp, body: &Value) -> TestResponse {
    send(app, &TestRequest::to(ENDPOINT, &app.org).json(body)).await
}

/// Jane's body with these fields added or replaced; `null` is sent as `null`.
fn jane_with(email: &str, fields: &Value) -> Value {
    let mut body = jane(email);
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn id_of(response: &TestResponse) -> ContactId {
    assert_eq!(response.status, 201, "{}", response.text);
    ContactId::parse(response.json()["id"].as_str().unwrap()).unwrap()
}

/// When the stored contact was created, as responses show it.
async fn created_at(app: &TestApp, id: ContactId) -> String {
    time::to_seconds(app.stored_contact(id).await.unwrap().created_at)
}

#[tokio::test]
async fn the_location_works_for_the_base_url_of_the_request() {
    let mut app = TestApp::new().await;
    app.restart_with_base_path("crm/v2");
    let on_domain = |email| TestRequest::to(ENDPOINT, &app.org).json(&jane(email));
    for (request, base_path) in [
        (on_domain("jane.1@example.com"), "/crm/v2"),
        (on_domain("jane.2@example.com").stage("$default").path("/contacts"), ""),
        (on_domain("jane.3@example.com").stage("v1"), "/v1"),
        (on_domain("jane.4@example.com").stage("contacts"), "/contacts"),
    ] {
        let response = send(&app, &request).await;

        let expected = format!("{base_path}/contacts/{}", id_of(&response));
        assert_eq!(response.header("location"), expected, "{:?}", request.event());
    }
}

#[tokio::test]
async fn the_documented_example_is_created() {
    let app = TestApp::new().await;

    let response = send(&app, &TestRequest::to(ENDPOINT, &app.org)).await;

    let id = id_of(&response);
    let org_id = app.org.org_id;
    let created_at = created_at(&app, id).await;
    let expected = format!(
        r#"{{
            "id":"{id}",
            "org_id":"{org_id}",
            "full_name":"John Doe",
            "email":"john.doe@example.com",
            "linkedin_profile":"https://www.linkedin.com/in/johndoe",
            "company":"Tech Corp",
            "locale":"en-US",
            "timezone":"America/New_York",
            "enrichment":{{"source":"website","campaign":"Q1-2024"}},
            "created_at":"{created_at}",
            "updated_at":"{created_at}"
        }}"#
    );
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("location"), format!("/contacts/{id}"));
}

#[tokio::test]
async fn the_etag_is_version_one_and_a_hash() {
    let app = TestApp::new().await;

    let response = post(&app, &jane("jane@example.com")).await;

    let etag = response.header("etag");
    let hash = etag.strip_prefix("\"1-").and_then(|rest| rest.strip_suffix('"')).expect(etag);
    assert_eq!(hash.len(), 16, "{etag}");
    assert!(hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{etag}");
}

#[tokio::test]
async fn a_contact_is_stored_with_its_lock_its_import_and_its_company() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;

    let request = TestRequest::to(ENDPOINT, &app.org).header("x-import-id", &import_id.to_string());
    let response = send(&app, &request).await;

    let stored = app.stored_contact(id_of(&response)).await.unwrap();
    assert!(stored.import_ids.iter().eq([&import_id]), "{:?}", stored.import_ids);
    for kind in ["contact", "email_lock", "membership", "company", "import"] {
        assert_eq!(app.count_items(kind).await, 1, "{kind}");
    }
}

#[tokio::test]
async fn optional_fields_are_null_when_they_are_absent_null_or_blank() {
    let app = TestApp::new().await;
    let cases = [
        json!({}),
        json!({"company": null, "locale": null, "timezone": null, "metadata": null}),
        json!({"company": " \u{a0}", "locale": "", "timezone": " \t", "metadata": {}}),
        json!({"metadata": {"a": null}}),
        json!({"enrichment": null}),
    ];
    for (index, fields) in cases.iter().enumerate() {
        let email = format!("jane.{index}@example.com");

        let response = post(&app, &jane_with(&email, fields)).await;

        let id = id_of(&response);
        let org_id = app.org.org_id;
        let created_at = created_at(&app, id).await;
        let expected = format!(
            r#"{{
                "id":"{id}",
                "org_id":"{org_id}",
                "full_name":"Jane Doe",
                "email":"{email}",
                "linkedin_profile":"https://www.linkedin.com/in/janedoe",
                "company":null,
                "locale":null,
                "timezone":null,
                "enrichment":null,
                "created_at":"{created_at}",
                "updated_at":"{created_at}"
            }}"#
        );
        assert_eq!(response.text, compact_json(&expected), "{fields}");
    }
    assert_eq!(app.count_items("company").await, 0);
}

#[tokio::test]
async fn values_are_normalized() {
    let app = TestApp::new().await;

    let response = post(
        &app,
        &json!({
            "full_name": "  Jose\u{301}  \u{a0}Garci\u{301}a ",
            "email": " JANE+x@B\u{fc}cher.Example ",
            "linkedin_profile": "http://ES.linkedin.com/in/Jos%C3%A9-Garc%C3%ADa/?trk=x#y",
            "company": "  Tech  Corp ",
            "locale": "EN_us",
            "timezone": "asia/calcutta",
        }),
    )
    .await;

    assert_eq!(response.status, 201, "{}", response.text);
    let contact = response.json();
    assert_eq!(contact["full_name"], "Jos\u{e9} Garc\u{ed}a");
    assert_eq!(contact["email"], "jane+x@xn--bcher-kva.example");
    assert_eq!(contact["linkedin_profile"], "https://www.linkedin.com/in/jos%C3%A9-garc%C3%ADa");
    assert_eq!(contact["company"], "Tech  Corp");
    assert_eq!(contact["locale"], "en-US");
    assert_eq!(contact["timezone"], "Asia/Calcutta");
}

#[tokio::test]
async fn validation_errors_name_each_field_in_the_documented_order() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let with = |fields: Value| jane_with("jane@example.com", &fields);
    let without = |field: &str| {
        let mut body = jane("jane@example.com");
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let not_a_profile = "linkedin_profile must be the URL of a person's LinkedIn profile: \
                         https://www.linkedin.com/in/…, not of another page";
    let all_missing = "full_name field is required; email field is required; linkedin_profile field is required";
    let all_mistyped = "full_name must be a string; email must be a string; linkedin_profile must be a string; \
                        company must be a string; locale must be a string; timezone must be a string; \
                        metadata must be a JSON object; enrichment must be a JSON object";
    let several = "full_name field is required; email must not be blank; linkedin_profile field is required; \
                   timezone must be an IANA time zone name";
    for (body, detail) in [
        // Required fields.
        (json!({}), all_missing),
        (without("full_name"), "full_name field is required"),
        (without("email"), "email field is required"),
        (without("linkedin_profile"), "linkedin_profile field is required"),
        (with(json!({"email": null})), "email field is required"),
        // full_name
        (with(json!({"full_name": ""})), "full_name must not be blank"),
        (with(json!({"full_name": " \u{200b}"})), "full_name must not be blank"),
        (with(json!({"full_name": "x".repeat(201)})), "full_name must be at most 200 characters"),
        (with(json!({"full_name": "Jane\nDoe"})), "full_name must not contain control characters"),
        (with(json!({"full_name": "Jos\u{FFFD}"})), "full_name must not contain the replacement character U+FFFD"),
        (with(json!({"full_name": ["Jane"]})), "full_name must be a string"),
        // email
        (with(json!({"email": "\t"})), "email must not be blank"),
        (with(json!({"email": "jane"})), "email must be a valid email address"),
        (with(json!({"email": "jane@example.com©"})), "email must be a valid email address"),
        (with(json!({"email": 1})), "email must be a string"),
        // linkedin_profile
        (with(json!({"linkedin_profile": "https://linkedin.com/company/x"})), not_a_profile),
        (with(json!({"linkedin_profile": {}})), "linkedin_profile must be a string"),
        // company
        (with(json!({"company": "x".repeat(201)})), "company must be at most 200 characters"),
        (with(json!({"company": "Caf\u{FFFD}"})), "company must not contain the replacement character U+FFFD"),
        (with(json!({"company": true})), "company must be a string"),
        // locale
        (with(json!({"locale": "e"})), "locale must be a BCP 47 language tag"),
        (with(json!({"locale": 1.5})), "locale must be a string"),
        // timezone
        (with(json!({"timezone": "PST"})), "timezone must be an IANA time zone name"),
        (with(json!({"timezone": false})), "timezone must be a string"),
        // metadata and enrichment
        (with(json!({"metadata": []})), "metadata must be a JSON object"),
        (with(json!({"metadata": "{}"})), "metadata must be a JSON object"),
        (with(json!({"enrichment": 1})), "enrichment must be a JSON object"),
        // Several fields at once.
        (
            json!({
                "enrichment": "y", "metadata": "x", "timezone": 1, "locale": 1, "company": 1,
                "linkedin_profile": 1, "email": 1, "full_name": 1,
            }),
            all_mistyped,
        ),
        (json!({"full_name": null, "email": " ", "timezone": "Mars/Phobos"}), several),
    ] {
        let response = post(&app, &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn an_unpaired_surrogate_is_a_validation_error() {
    let app = TestApp::new().await;
    let body = jane("jane@example.com").to_string();
    for (body, detail) in [
        (body.replace("Jane Doe", r"\ud83d"), "full_name must be a string"),
        (body.replace('}', r#","metadata":{"a":"\ud83d"}}"#), "metadata must hold only valid Unicode text"),
    ] {
        let response = send(&app, &TestRequest::to(ENDPOINT, &app.org).text(&*body)).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
}

#[tokio::test]
async fn a_repeated_field_is_a_validation_error() {
    let app = TestApp::new().await;
    let body = jane("jane@example.com").to_string().replace('}', r#","email":"x"}"#);

    let response = send(&app, &TestRequest::to(ENDPOINT, &app.org).text(body)).await;

    assert_eq!(response.status, 400);
    assert_eq!(response.detail(), "Validation error: body must not have a field twice");
}

#[tokio::test]
async fn enrichment_is_an_alias_of_metadata() {
    let app = TestApp::new().await;
    let cases = [
        (json!({"enrichment": {"a": 1}}), json!({"a": 1})),
        (json!({"enrichment": {"a": 1, "b": 2}, "metadata": {"b": 2, "a": 1}}), json!({"a": 1, "b": 2})),
        (json!({"enrichment": null, "metadata": null}), json!(null)),
    ];
    for (index, (fields, enrichment)) in cases.into_iter().enumerate() {
        let response = post(&app, &jane_with(&format!("jane.{index}@example.com"), &fields)).await;
        assert_eq!(response.status, 201, "{fields}: {}", response.text);
        assert_eq!(response.json()["enrichment"], enrichment, "{fields}");
    }
}

#[tokio::test]
async fn metadata_that_differs_from_enrichment_is_a_validation_error() {
    let app = TestApp::new().await;
    let different = json!({"enrichment": {"a": 1}, "metadata": {"a": 2}});

    let response = post(&app, &jane_with("jane@example.com", &different)).await;

    assert_eq!(response.status, 400);
    assert_eq!(response.detail(), "Validation error: metadata must be the same as enrichment where both are sent");
}

/// Creates a contact with the text of its metadata passed through unchanged.
async fn post_metadata(app: &TestApp, email: &str, metadata: &str) -> TestResponse {
    let body = jane(email).to_string().replace('}', &format!(r#","metadata":{metadata}}}"#));
    send(app, &TestRequest::to(ENDPOINT, &app.org).text(body)).await
}

/// Metadata of so many nested objects.
fn nested_metadata(levels: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

/// Metadata whose text has so many bytes.
fn sized_metadata(bytes: usize) -> String {
    format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - r#"{"a":""}"#.len()))
}

#[tokio::test]
async fn metadata_is_stored_exactly() {
    let app = TestApp::new().await;
    // Each case shows the metadata as it is sent and as the response has it.
    let cases = [
        // Numbers keep up to 38 digits and lose redundant zeros.
        (r#"{"n":12345678901234567890123456789012345678}"#, r#"{"n":12345678901234567890123456789012345678}"#),
        (r#"{"n":[0.1,-0.25,1e125,1e-130,9007199254740993]}"#, r#"{"n":[0.1,-0.25,1e125,1e-130,9007199254740993]}"#),
        (r#"{"n":[1.50,1E2,-0]}"#, r#"{"n":[1.5,100,0]}"#),
        // A null inside an object removes its key; a null inside an array stays.
        (r#"{"b":[null,true,"",{"c":{}}],"a":{"n":null}}"#, r#"{"b":[null,true,"",{"c":{}}],"a":{}}"#),
        // Escapes become the characters that they stand for.
        (r#"{"\u00e9":"\ud83d\ude00 \"\\\n"}"#, r#"{"é":"😀 \"\\\n"}"#),
        // The deepest and the largest metadata.
        (&nested_metadata(16), &nested_metadata(16)),
        (&sized_metadata(64 * 1024), &sized_metadata(64 * 1024)),
    ];
    for (index, (sent, shown)) in cases.into_iter().enumerate() {
        let response = post_metadata(&app, &format!("jane.{index}@example.com"), sent).await;

        let enrichment = format!(r#""enrichment":{shown},"created_at""#);
        let stored = app.stored_contact(id_of(&response)).await.unwrap();
        let stored = serde_json::to_string(&ContactView::of(&stored)).unwrap();
        assert!(response.text.contains(&enrichment), "{sent}: {}", response.text);
        assert!(stored.contains(&enrichment), "{sent}: {stored}");
    }
}

#[tokio::test]
async fn metadata_outside_the_limits_is_a_validation_error() {
    let app = TestApp::new().await;
    let numbers = "must not hold numbers of more than 38 significant digits or outside 1e-130 to 1e126";
    for (metadata, detail) in [
        // Numbers.
        (r#"{"n":123456789012345678901234567890123456789}"#, numbers),
        (r#"{"n":1e126}"#, numbers),
        (r#"{"n":1e-131}"#, numbers),
        (r#"{"n":1e99999999999999999999}"#, numbers),
        // Keys.
        (r#"{"a":{"":1}}"#, "must not have empty keys"),
        // Depth.
        (&nested_metadata(17), "must be at most 16 levels deep"),
        (&nested_metadata(5000), "must be at most 16 levels deep"),
        // Size.
        (&sized_metadata(64 * 1024 + 1), "must be at most 64 KiB"),
    ] {
        let response = post_metadata(&app, "jane@example.com", metadata).await;
        assert_eq!(response.status, 400, "{metadata}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: metadata {detail}"), "{metadata}");
    }
}

#[tokio::test]
async fn an_unknown_import_is_a_404_and_nothing_is_written() {
    let app = TestApp::new().await;
    let import_of_other_org = app.create_import(&app.other).await.to_string();
    let before = app.items().await;
    for import_id in ["7c9e6679-7425-40de-944b-e07fc1f90ae7", &import_of_other_org] {
        let response = send(&app, &TestRequest::to(ENDPOINT, &app.org).header("x-import-id", import_id)).await;
        assert_eq!(response.status, 404, "{import_id}: {}", response.text);
        assert_eq!(response.detail(), "Import not found", "{import_id}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_malformed_import_id_is_a_validation_error_and_nothing_is_written() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let before = app.items().await;
    for malformed in ["import-1", "", &format!("{import_id},{import_id}")] {
        let response = send(&app, &TestRequest::to(ENDPOINT, &app.org).header("x-import-id", malformed)).await;
        assert_eq!(response.status, 400, "{malformed}: {}", response.text);
        assert_eq!(response.detail(), "Validation error: X-Import-ID must be a valid UUID", "{malformed}");
    }
    assert_eq!(app.items().await, before);
}

/// Creates a contact of this company, with an email of its own.
async fn post_company(app: &TestApp, tenant: &Tenant, email: &str, company: &str) -> TestResponse {
    let body = jane_with(email, &json!({"company": company}));
    send(app, &TestRequest::to(ENDPOINT, tenant).json(&body)).await
}

#[tokio::test]
async fn spellings_of_a_company_are_one_company_with_the_first_spelling() {
    let mut app = TestApp::new().await;
    for (index, company) in ["Tech Corp", "tech corp", " TECH  CORP ", "TechCorp"].into_iter().enumerate() {
        if index == 2 {
            // A new process has no company cached.
            app.restart();
        }
        let response = post_company(&app, &app.org, &format!("jane.{index}@example.com"), company).await;
        assert_eq!(response.status, 201, "{company}: {}", response.text);
        assert_eq!(response.json()["company"], company.trim());
        assert_eq!(app.count_items("company").await, 1, "{company}");
    }
    let items = app.items().await;
    let stored = items.iter().find(|item| item.contains(r#""type":"company""#)).unwrap();
    assert!(stored.contains(r#""name":"Tech Corp""#), "{stored}");
}

#[tokio::test]
async fn another_name_and_another_organization_are_another_company() {
    let app = TestApp::new().await;

    let first = post_company(&app, &app.org, "jane.1@example.com", "Tech Corp").await;
    let other_name = post_company(&app, &app.org, "jane.2@example.com", "Tech Corporation").await;
    let other_org = post_company(&app, &app.other, "jane.3@example.com", "Tech Corp").await;

    assert_eq!([first.status, other_name.status, other_org.status], [201, 201, 201]);
    assert_eq!(app.count_items("company").await, 3);
}

#[tokio::test]
async fn a_duplicate_email_is_a_conflict_and_nothing_is_written() {
    let mut app = TestApp::new().await;
    assert_eq!(post(&app, &jane("John.Doe@Example.com")).await.status, 201);
    let before = app.items().await;
    for email in ["john.doe@example.com", " JOHN.DOE@EXAMPLE.COM "] {
        let response = post(&app, &jane_with(email, &json!({"company": "New Corp"}))).await;
        assert_eq!(response.status, 409, "{email}: {}", response.text);
        assert_eq!(response.detail(), "Contact with email 'john.doe@example.com' already exists");
        app.restart();
    }
    assert_eq!(app.items().await, before, "neither the contact nor its new company");
}

#[tokio::test]
async fn similar_emails_are_different_contacts() {
    let app = TestApp::new().await;
    for email in ["john.doe@example.com", "johndoe@example.com", "john.doe+x@example.com"] {
        assert_eq!(post(&app, &jane(email)).await.status, 201, "{email}");
    }
}

#[tokio::test]
async fn two_organizations_can_have_a_contact_with_the_same_email() {
    let app = TestApp::new().await;
    assert_eq!(post(&app, &jane("john.doe@example.com")).await.status, 201);

    let response = send(&app, &TestRequest::to(ENDPOINT, &app.other).json(&jane("john.doe@example.com"))).await;

    assert_eq!(response.status, 201, "{}", response.text);
}

#[tokio::test]
async fn an_idempotency_key_cannot_be_reused_with_another_import() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await.to_string();
    let request = TestRequest::to(ENDPOINT, &app.org).header("idempotency-key", "key");
    let first = send(&app, &request).await;

    let repeat = send(&app, &request).await;
    let with_import = send(&app, &request.header("x-import-id", &import_id)).await;

    assert_eq!(repeat.text, first.text);
    assert_eq!(with_import.status, 422, "{}", with_import.text);
    assert_eq!(app.count_items("contact").await, 1);
}

#[tokio::test]
async fn a_repeat_replays_history_even_if_the_contact_was_deleted_since() {
    let app = TestApp::new().await;
    let request = TestRequest::to(ENDPOINT, &app.org).header("idempotency-key", "key");
    let first = send(&app, &request).await;
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    contacts.delete(id_of(&first), None).await.unwrap();

    let repeat = send(&app, &request).await;

    assert_eq!((repeat.status, &repeat.text), (201, &first.text));
    assert_eq!(repeat.header("idempotent-replayed"), "true");
    assert_eq!(app.count_items("contact").await, 0, "a repeat creates nothing");
}

#[tokio::test]
async fn a_conflict_is_not_stored_under_its_idempotency_key() {
    let app = TestApp::new().await;
    let request = TestRequest::to(ENDPOINT, &app.org);
    assert_eq!(send(&app, &request.clone().header("idempotency-key", "key")).await.status, 201);

    let conflict = send(&app, &request.header("idempotency-key", "another-key")).await;

    assert_eq!(conflict.status, 409, "{}", conflict.text);
    assert_eq!(app.count_items("idempotency").await, 1);
}
