//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::{ContactId, Id, ids, time};
use shared::testing::{Tenant, TestApp, TestRequest, TestResponse, jane};
use shared::wire::ContactView;

use super::handle;

const ENDPOINT: Endpoint = Endpoint::CreateContact;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, bodies, idempotency
);

async fn send(app: &TestApp, request: &TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, request).await
}

async fn post(app: &TestApp, body: &Value) -> TestResponse {
    send(app, &TestRequest::to(ENDPOINT, &app.org).json(body)).await
}

/// Jane's body with these members in it; `null` stays `null`.
fn jane_with(email: &str, changes: &Value) -> Value {
    let mut body = jane(email);
    for (name, value) in changes.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn created_at(id: &str) -> String {
    time::to_seconds(ids::moment_of(ContactId::parse(id).unwrap().into()))
}

#[tokio::test]
async fn the_example_of_the_page_is_answered_as_the_page_says() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await.to_string();
    let answer = send(&app, &TestRequest::to(ENDPOINT, &app.org).header("x-import-id", &import_id)).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let (org_id, at) = (app.org.org_id, created_at(&id));
    let expected = format!(
        r#"{{"id":"{id}","org_id":"{org_id}","full_name":"John Doe","email":"john.doe@example.com","linkedin_profile":"https://www.linkedin.com/in/johndoe","company":"Tech Corp","locale":"en-US","timezone":"America/New_York","enrichment":{{"source":"website","campaign":"Q1-2024"}},"created_at":"{at}","updated_at":"{at}"}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (201, expected.as_str()));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("location"), format!("/contacts/{id}"));
    let hash = answer.header("etag").strip_prefix("\"1-").and_then(|rest| rest.strip_suffix('"')).unwrap();
    assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    for (kind, count) in [("contact", 1), ("email_lock", 1), ("membership", 1), ("company", 1), ("import", 1)] {
        assert_eq!(app.count_items(kind).await, count, "{kind}");
    }
    let stored = app.stored_contact(ContactId::parse(&id).unwrap()).await.unwrap();
    assert_eq!(stored.import_ids.iter().map(ToString::to_string).collect::<Vec<_>>(), [import_id]);
}

#[tokio::test]
async fn what_is_optional_shows_null() {
    let app = TestApp::new().await;
    for (index, body) in [
        json!({}),
        json!({"company": null, "locale": null, "timezone": null, "metadata": null}),
        json!({"company": " \u{a0}", "metadata": {}}),
        json!({"metadata": {"a": null}}),
        json!({"enrichment": null}),
    ]
    .iter()
    .enumerate()
    {
        let email = format!("jane.{index}@example.com");
        let answer = post(&app, &jane_with(&email, body)).await;
        let id = answer.json()["id"].as_str().unwrap_or_default().to_owned();
        let (org_id, at) = (app.org.org_id, created_at(&id));
        let expected = format!(
            r#"{{"id":"{id}","org_id":"{org_id}","full_name":"Jane Doe","email":"{email}","linkedin_profile":"https://www.linkedin.com/in/janedoe","company":null,"locale":null,"timezone":null,"enrichment":null,"created_at":"{at}","updated_at":"{at}"}}"#
        );
        assert_eq!((answer.status, answer.text), (201, expected), "{body}");
    }
    assert_eq!(app.count_items("company").await, 0);
}

#[tokio::test]
async fn values_are_normalized() {
    let app = TestApp::new().await;
    let answer = post(
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
    assert_eq!(answer.status, 201, "{}", answer.text);
    for (field, value) in [
        ("full_name", "Jos\u{e9} Garc\u{ed}a"),
        ("email", "jane+x@xn--bcher-kva.example"),
        ("linkedin_profile", "https://www.linkedin.com/in/jos%C3%A9-garc%C3%ADa"),
        ("company", "Tech  Corp"),
        ("locale", "en-US"),
        ("timezone", "Asia/Calcutta"),
    ] {
        assert_eq!(answer.json()[field], value);
    }
}

#[tokio::test]
async fn every_faulty_field_is_named_in_the_documented_order() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let with = |changes: Value| jane_with("jane@example.com", &changes);
    let only = |field: &str| {
        let mut body = with(json!({}));
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let linkedin = "must be the URL of a person's LinkedIn profile: https://www.linkedin.com/in/…, not of another page";
    for (body, detail) in [
        (json!({}), "full_name field is required; email field is required; linkedin_profile field is required"),
        (only("full_name"), "full_name field is required"),
        (only("email"), "email field is required"),
        (only("linkedin_profile"), "linkedin_profile field is required"),
        (with(json!({"email": null})), "email field is required"),
        (with(json!({"full_name": ""})), "full_name must not be blank"),
        (with(json!({"full_name": " \u{200b}"})), "full_name must not be blank"),
        (with(json!({"full_name": "x".repeat(201)})), "full_name must be at most 200 characters"),
        (with(json!({"full_name": "Jane\nDoe"})), "full_name must not contain control characters"),
        (with(json!({"full_name": ["Jane"]})), "full_name must be a string"),
        (with(json!({"email": "\t"})), "email must not be blank"),
        (with(json!({"email": "jane"})), "email must be a valid email address"),
        (with(json!({"email": 1})), "email must be a string"),
        (with(json!({"linkedin_profile": "https://linkedin.com/company/x"})), &format!("linkedin_profile {linkedin}")),
        (with(json!({"linkedin_profile": {}})), "linkedin_profile must be a string"),
        (with(json!({"company": "x".repeat(201)})), "company must be at most 200 characters"),
        (with(json!({"company": true})), "company must be a string"),
        (with(json!({"locale": "e"})), "locale must be a BCP 47 language tag"),
        (with(json!({"locale": 1.5})), "locale must be a string"),
        (with(json!({"timezone": "PST"})), "timezone must be an IANA time zone name"),
        (with(json!({"timezone": false})), "timezone must be a string"),
        (with(json!({"metadata": []})), "metadata must be a JSON object"),
        (with(json!({"metadata": "{}"})), "metadata must be a JSON object"),
        (with(json!({"enrichment": 1})), "enrichment must be a JSON object"),
        (
            json!({
                "enrichment": "y", "metadata": "x", "timezone": 1, "locale": 1, "company": 1,
                "linkedin_profile": 1, "email": 1, "full_name": 1,
            }),
            "full_name must be a string; email must be a string; linkedin_profile must be a string; company must be a string; locale must be a string; timezone must be a string; metadata must be a JSON object; enrichment must be a JSON object",
        ),
        (
            json!({"full_name": null, "email": " ", "timezone": "Mars/Phobos"}),
            "full_name field is required; email must not be blank; linkedin_profile field is required; timezone must be an IANA time zone name",
        ),
    ] {
        let answer = post(&app, &body).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_text_that_is_no_unicode_is_refused_and_a_field_may_stand_once() {
    let app = TestApp::new().await;
    let body = jane("jane@example.com").to_string();
    for (body, detail) in [
        (body.replace("Jane Doe", "\\ud83d"), "full_name must be a string"),
        (body.replace('}', ",\"metadata\":{\"a\":\"\\ud83d\"}}"), "metadata must hold only valid Unicode text"),
        (body.replace('}', ",\"email\":\"x\"}"), "body must not have a field twice"),
    ] {
        let answer = send(&app, &TestRequest::to(ENDPOINT, &app.org).text(&*body)).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
}

#[tokio::test]
async fn enrichment_is_another_name_of_metadata() {
    let app = TestApp::new().await;
    for (index, (body, shown)) in [
        (json!({"enrichment": {"a": 1}}), json!({"a": 1})),
        (json!({"enrichment": {"a": 1, "b": 2}, "metadata": {"b": 2, "a": 1}}), json!({"a": 1, "b": 2})),
        (json!({"enrichment": null, "metadata": null}), json!(null)),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = post(&app, &jane_with(&format!("jane.{index}@example.com"), &body)).await;
        assert_eq!((answer.status, &answer.json()["enrichment"]), (201, &shown), "{body}");
    }
    let different = json!({"enrichment": {"a": 1}, "metadata": {"a": 2}});
    let answer = post(&app, &jane_with("jane@example.com", &different)).await;
    let detail = "Validation error: metadata must be the same as enrichment where both are sent";
    assert_eq!((answer.status, answer.detail().as_str()), (400, detail));
}

#[tokio::test]
async fn metadata_is_kept_exactly_or_refused() {
    let app = TestApp::new().await;
    let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let sized = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - r#"{"a":""}"#.len()));
    let digits = "1234567890".repeat(4);
    let numbers = "must not hold numbers of more than 38 significant digits or outside 1e-130 to 1e126";
    let request = |email: &str, metadata: &str| {
        let body = jane(email).to_string().replace('}', &format!(r#","metadata":{metadata}}}"#));
        TestRequest::to(ENDPOINT, &app.org).text(body)
    };
    let kept = [
        (r#"{"n":12345678901234567890123456789012345678}"#.to_owned(), None),
        (r#"{"n":[0.1,-0.25,1e125,1e-130,9007199254740993]}"#.to_owned(), None),
        (r#"{"n":[1.50,1E2,-0]}"#.to_owned(), Some(r#"{"n":[1.5,100,0]}"#)),
        (r#"{"b":[null,true,"",{"c":{}}],"a":{"n":null}}"#.to_owned(), Some(r#"{"b":[null,true,"",{"c":{}}],"a":{}}"#)),
        (r#"{"\u00e9":"\ud83d\ude00 \"\\\n"}"#.to_owned(), Some("{\"é\":\"😀 \\\"\\\\\\n\"}")),
        (nested(16), None),
        (sized(64 * 1024), None),
    ];
    for (index, (metadata, shown)) in kept.iter().enumerate() {
        let answer = send(&app, &request(&format!("jane.{index}@example.com"), metadata)).await;
        let shown = format!(r#""enrichment":{},"created_at""#, shown.unwrap_or(metadata));
        assert!(answer.status == 201 && answer.text.contains(&shown), "{metadata}: {}", answer.text);
        let id = ContactId::parse(answer.json()["id"].as_str().unwrap()).unwrap();
        let stored = serde_json::to_string(&ContactView::of(&app.stored_contact(id).await.unwrap())).unwrap();
        assert!(stored.contains(&shown), "{metadata}: {stored}");
    }
    let refused = [
        (format!(r#"{{"n":{}}}"#, &digits[..39]), numbers),
        (r#"{"n":1e126}"#.to_owned(), numbers),
        (r#"{"n":1e-131}"#.to_owned(), numbers),
        (r#"{"n":1e99999999999999999999}"#.to_owned(), numbers),
        (r#"{"a":{"":1}}"#.to_owned(), "must not have empty keys"),
        (nested(17), "must be at most 16 levels deep"),
        (nested(5000), "must be at most 16 levels deep"),
        (sized(64 * 1024 + 1), "must be at most 64 KiB"),
    ];
    for (metadata, detail) in refused {
        let answer = send(&app, &request("refused@example.com", &metadata)).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: metadata {detail}")));
    }
}

#[tokio::test]
async fn an_import_that_is_not_the_organizations_writes_nothing() {
    let app = TestApp::new().await;
    let theirs = app.create_import(&app.other).await.to_string();
    let before = app.items().await;
    let not_found = (404, "Import not found".to_owned());
    let malformed = (400, "Validation error: X-Import-ID must be a valid UUID".to_owned());
    for (import_id, expected) in [
        ("7c9e6679-7425-40de-944b-e07fc1f90ae7", &not_found),
        (&theirs, &not_found),
        ("import-1", &malformed),
        ("", &malformed),
        (&format!("{theirs},{theirs}"), &malformed),
    ] {
        let answer = send(&app, &TestRequest::to(ENDPOINT, &app.org).header("x-import-id", import_id)).await;
        assert_eq!(&(answer.status, answer.detail()), expected, "{import_id}");
    }
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_company_is_created_once_per_organization() {
    let mut app = TestApp::new().await;
    let of = |tenant: &Tenant, index: usize, company: &str| {
        let body = jane_with(&format!("jane.{index}@example.com"), &json!({"company": company}));
        TestRequest::to(ENDPOINT, tenant).json(&body)
    };
    for (index, company) in ["Tech Corp", "tech corp", " TECH  CORP ", "TechCorp"].into_iter().enumerate() {
        let answer = send(&app, &of(&app.org, index, company)).await;
        assert_eq!((answer.status, &answer.json()["company"]), (201, &json!(company.trim())));
        assert_eq!(app.count_items("company").await, 1, "{company}");
        if index == 1 {
            // The others by another process, which remembers none.
            app.restart();
        }
    }
    let companies: Vec<_> = app.items().await.into_iter().filter(|item| item.contains(r#""type":"company""#)).collect();
    assert!(companies[0].contains(r#""name":"Tech Corp""#), "the first spelling stays: {companies:?}");
    assert_eq!(send(&app, &of(&app.org, 10, "Tech Corporation")).await.status, 201);
    assert_eq!(send(&app, &of(&app.other, 11, "Tech Corp")).await.status, 201);
    assert_eq!(app.count_items("company").await, 3);
}

#[tokio::test]
async fn an_address_is_one_contacts_within_its_organization() {
    let mut app = TestApp::new().await;
    assert_eq!(post(&app, &jane("John.Doe@Example.com")).await.status, 201);
    let before = app.items().await;
    for email in ["john.doe@example.com", " JOHN.DOE@EXAMPLE.COM "] {
        let answer = post(&app, &jane_with(email, &json!({"company": "New Corp"}))).await;
        let detail = "Contact with email 'john.doe@example.com' already exists";
        assert_eq!((answer.status, answer.detail().as_str()), (409, detail), "{email}");
        app.restart();
    }
    assert_eq!(app.items().await, before, "nothing of a refused contact is written, its company neither");
    for other in ["johndoe@example.com", "john.doe+x@example.com"] {
        assert_eq!(post(&app, &jane(other)).await.status, 201, "{other}");
    }
    let theirs = TestRequest::to(ENDPOINT, &app.other).json(&jane("john.doe@example.com"));
    assert_eq!(send(&app, &theirs).await.status, 201);
}

#[tokio::test]
async fn a_key_that_is_sent_again_under_another_import_is_another_request() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await.to_string();
    let request = TestRequest::to(ENDPOINT, &app.org).header("idempotency-key", "key");
    let first = send(&app, &request).await;
    assert_eq!(send(&app, &request).await.text, first.text);
    let other = send(&app, &request.header("x-import-id", &import_id)).await;
    assert_eq!(other.status, 422, "{}", other.text);
    // A refusal is no answer to keep, nor does it wait for one.
    let again = TestRequest::to(ENDPOINT, &app.org).header("idempotency-key", "another-key");
    assert_eq!(send(&app, &again).await.status, 409);
    assert_eq!((app.count_items("contact").await, app.count_items("idempotency").await), (1, 1));
}
