//! Requests through `serve` and `handle`. Each test has a table of its own.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::ApiError;
use shared::domain::{Contact, ContactId, Id};
use shared::testing::{TestApp, TestRequest, TestResponse, compact_json, contact_patch, jane};
use shared::wire::ContactView;
use uuid::Uuid;

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, idempotency_locks
);

fn request(app: &TestApp) -> TestRequest {
    TestRequest::to(ENDPOINT, &app.org)
}

async fn send(app: &TestApp, request: &TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, request).await
}

async fn post(app: &TestApp, query: &str, rows: &Value) -> TestResponse {
    send(app, &request(app).query(query).json(rows)).await
}

async fn post_csv(app: &TestApp, query: &str, csv: &str) -> TestResponse {
    send(app, &request(app).query(query).header("content-type", "text/csv").text(csv)).await
}

/// Jane's row with these fields added or replaced; `null` is sent as `null`.
fn jane_with(email: &str, fields: &Value) -> Value {
    let mut row = jane(email);
    for (name, value) in fields.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

/// The numbers of a report.
#[derive(Debug, PartialEq)]
struct Counts {
    created: u64,
    updated: u64,
    skipped: u64,
}

/// The numbers of a report, after a check that they agree with each other.
#[track_caller]
fn counts(response: &TestResponse) -> Counts {
    let report = response.json();
    let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {}", response.text));
    let (inserted, created, updated) = (number("inserted"), number("created"), number("updated"));
    assert_eq!(created + updated, inserted);
    assert_eq!(report["details"].as_array().unwrap().len() as u64, inserted);
    let skipped = number("skipped_count");
    assert_eq!(report["skipped"].as_array().unwrap().len() as u64, skipped.min(1_000));
    Counts { created, updated, skipped }
}

/// The contact id in this place of the report's details.
fn id_of(response: &TestResponse, place: usize) -> ContactId {
    ContactId::parse(response.json()["details"][place]["id"].as_str().unwrap()).unwrap()
}

/// Two new rows around the row of a stored contact, which gets another name and a company.
fn two_new_rows_and_a_known_one() -> Value {
    json!([
        jane_with("New@Example.com ", &json!({"metadata": {"b": 1, "a": null}})),
        jane_with("known@example.com", &json!({"full_name": "Jane  Smith", "company": "Acme"})),
        jane("other@example.com"),
    ])
}

#[tokio::test]
async fn rows_are_created_or_updated_and_reported_in_their_order() {
    let app = TestApp::new().await;
    let known = app.create_jane("known@example.com").await.id;

    let response = post(&app, "", &two_new_rows_and_a_known_one()).await;

    let (first, third) = (id_of(&response, 0), id_of(&response, 2));
    let expected = format!(
        r#"{{
            "inserted":3,
            "details":[
                {{"id":"{first}","email":"new@example.com","full_name":"Jane Doe"}},
                {{"id":"{known}","email":"known@example.com","full_name":"Jane Smith"}},
                {{"id":"{third}","email":"other@example.com","full_name":"Jane Doe"}}
            ],
            "created":2,
            "updated":1,
            "skipped":[],
            "skipped_count":0
        }}"#
    );
    assert_eq!(response.status, 201);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("location"), "");
}

/// A row with the longest name, and with an email that no other index has. In a response, each quotation mark of the name
/// takes four bytes.
fn longest_row(index: usize) -> Value {
    let domain = format!("{}.{}.{}.com", "a".repeat(60), "b".repeat(60), "c".repeat(59));
    jane_with(&format!("{index:064}@{domain}"), &json!({"full_name": "\"".repeat(200)}))
}

#[tokio::test]
async fn a_report_names_a_thousand_skipped_rows_and_counts_all() {
    let app = TestApp::new().await;
    let invalid = vec![json!({"email": "\"".repeat(254)}); 5_000];

    let response = post(&app, "on_error=skip", &json!(invalid)).await;

    let report = response.json();
    assert_eq!((response.status, &report["inserted"], &report["skipped_count"]), (201, &json!(0), &json!(5_000)));
    let skipped = report["skipped"].as_array().unwrap();
    assert_eq!((skipped.len(), &skipped[999]["row"]), (1_000, &json!(1_000)));
}

#[tokio::test]
async fn the_longest_report_is_one_response() {
    let app = TestApp::new().await;
    let mut rows = vec![json!({"email": "\"".repeat(254)}); 1_000];
    rows.extend((0..4_000).map(longest_row));

    let response = post(&app, "on_error=skip&dry_run=true", &json!(rows)).await;

    assert_eq!(response.status, 200);
    assert_eq!(counts(&response), Counts { created: 4_000, updated: 0, skipped: 1_000 });
}

#[tokio::test]
async fn created_and_updated_contacts_are_stored() {
    let app = TestApp::new().await;
    let known = app.create_jane("known@example.com").await;

    let response = post(&app, "", &two_new_rows_and_a_known_one()).await;

    let updated = app.stored_contact(known.id).await.unwrap();
    assert_eq!(updated.version, 2);
    assert_eq!(updated.details.full_name.as_str(), "Jane Smith");
    assert_eq!(updated.details.company.unwrap().as_str(), "Acme");
    let created = app.stored_contact(id_of(&response, 0)).await.unwrap();
    assert_eq!(created.version, 1);
    assert_eq!(serde_json::to_value(&created.enrichment.object).unwrap(), json!({"b": 1}));
    assert_eq!(created.enrichment.key_order.len(), 0, "one key needs no order");
    assert_eq!(app.count_items("contact").await, 3);
    assert_eq!(app.count_items("email_lock").await, 3);
    assert_eq!(app.count_items("company").await, 1);
}

#[tokio::test]
async fn an_upload_that_changes_nothing_writes_nothing() {
    let app = TestApp::new().await;
    app.create_jane("known@example.com").await;
    post(&app, "", &two_new_rows_and_a_known_one()).await;
    let before = app.items().await;

    let response = post(&app, "", &two_new_rows_and_a_known_one()).await;

    assert_eq!(response.status, 201);
    assert_eq!(counts(&response), Counts { created: 0, updated: 3, skipped: 0 });
    assert_eq!(app.items().await, before);
}

/// A contact as it is shown, with its version, without what differs between equal contacts.
fn comparable(contact: &Contact) -> (Value, u64) {
    let mut shown = serde_json::to_value(ContactView::of(contact)).unwrap();
    for generated in ["id", "created_at", "updated_at"] {
        shown.as_object_mut().unwrap().remove(generated);
    }
    (shown, contact.version)
}

#[tokio::test]
async fn a_row_updates_a_contact_as_a_single_update_does() {
    let full = json!({
        "full_name": "Jane Doe",
        "email": "jane@example.com",
        "linkedin_profile": "https://linkedin.com/in/janedoe",
        "company": "Acme",
        "locale": "en-US",
        "timezone": "Europe/Madrid",
        "metadata": {"a": 1, "n": {"x": 1, "y": 2}},
    });
    let app = TestApp::new().await;
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    for changes in [
        json!({}),
        json!({"company": null, "locale": null}),
        json!({"company": " ", "timezone": "Europe/Paris"}),
        json!({"metadata": {"a": null, "n": {"x": null, "z": 3}}}),
        json!({"metadata": null}),
        json!({"enrichment": {"b": 2}}),
    ] {
        let mut row = full.clone();
        row.as_object_mut().unwrap().remove("metadata");
        for (name, value) in changes.as_object().unwrap() {
            row[name] = value.clone();
        }

        let id = app.create_contact(&app.org, full.clone(), None).await.id;
        assert_eq!(post(&app, "", &json!([row])).await.status, 201, "{changes}");
        let by_row = app.stored_contact(id).await.unwrap();
        contacts.delete(id, None).await.unwrap();

        let id = app.create_contact(&app.org, full.clone(), None).await.id;
        let by_update = contacts.update(id, &contact_patch(row), None).await.unwrap();
        contacts.delete(id, None).await.unwrap();

        assert_eq!(comparable(&by_row), comparable(&by_update), "{changes}");
    }
}

/// Four rows, of which three are of one email and change it step by step.
fn three_rows_of_one_email() -> [Value; 4] {
    [
        jane_with("jane@example.com", &json!({"metadata": {"a": 1, "b": 1}})),
        jane("john@example.com"),
        jane_with("JANE@example.com", &json!({"metadata": {"b": null, "c": 2}, "locale": "es"})),
        jane_with(" jane@example.com", &json!({"full_name": "Jane Smith"})),
    ]
}

#[tokio::test]
async fn rows_of_one_email_are_merged_into_one_contact_and_one_write() {
    let app = TestApp::new().await;

    let response = post(&app, "", &json!(three_rows_of_one_email())).await;

    let jane = id_of(&response, 0);
    assert_eq!(counts(&response), Counts { created: 2, updated: 2, skipped: 0 });
    assert_eq!([id_of(&response, 2), id_of(&response, 3)], [jane, jane]);
    assert_eq!(response.json()["details"][0]["full_name"], "Jane Smith", "every row shows the merged contact");
    let stored = app.stored_contact(jane).await.unwrap();
    assert_eq!(stored.version, 1);
    assert_eq!(stored.details.locale.unwrap().as_str(), "es");
    assert_eq!(serde_json::to_value(&stored.enrichment.object).unwrap(), json!({"a": 1, "c": 2}));
}

#[tokio::test]
async fn rows_of_one_email_that_cancel_each_other_write_nothing() {
    let app = TestApp::new().await;
    let [first, john, third, fourth] = three_rows_of_one_email();
    post(&app, "", &json!([first, john, third, fourth])).await;
    let before = app.items().await;

    // The first row adds the key `b` again, the second one removes it.
    let response = post(&app, "", &json!([first, third, fourth])).await;

    assert_eq!(counts(&response), Counts { created: 0, updated: 3, skipped: 0 });
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn rows_become_members_of_the_import() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    app.create_jane("known@example.com").await;
    let rows = json!([jane("known@example.com"), jane("new@example.com"), jane("new@example.com")]);

    let response = send(&app, &request(&app).header("x-import-id", &import_id.to_string()).json(&rows)).await;

    assert_eq!(response.status, 201);
    assert_eq!(counts(&response), Counts { created: 1, updated: 2, skipped: 0 });
    for place in [0, 1] {
        let stored = app.stored_contact(id_of(&response, place)).await.unwrap();
        assert!(stored.import_ids.iter().eq([&import_id]), "{:?}", stored.import_ids);
    }
    assert_eq!(app.count_items("membership").await, 2);
}

#[tokio::test]
async fn rows_that_are_members_already_are_not_written_again() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await.to_string();
    let request = request(&app).header("x-import-id", &import_id).json(&json!([jane("jane@example.com")]));
    send(&app, &request).await;
    let before = app.items().await;

    let response = send(&app, &request).await;

    assert_eq!(counts(&response), Counts { created: 0, updated: 1, skipped: 0 });
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn an_unknown_import_is_a_warning_and_the_rows_are_written() {
    let mut app = TestApp::new().await;
    let unknown = "7c9e6679-7425-40de-944b-e07fc1f90ae7".to_owned();
    let import_of_other_org = app.create_import(&app.other).await.to_string();
    let deleted = app.create_import(&app.org).await;
    app.ctx().imports(&app.principal(&app.org).await).delete(deleted).await.unwrap();
    // A new process has no import cached.
    app.restart();
    for (n, import_id) in [unknown, import_of_other_org, deleted.to_string()].iter().enumerate() {
        let rows = json!([jane(&format!("{n}@example.com"))]);
        let response = send(&app, &request(&app).header("x-import-id", import_id).json(&rows)).await;
        assert_eq!(response.status, 207, "{import_id}: {}", response.text);
        assert_eq!(counts(&response), Counts { created: 1, updated: 0, skipped: 0 }, "{import_id}");
        let warning = "Contacts inserted/updated, but bulk attach to import failed: import not found";
        assert_eq!(response.json()["warning"], warning, "{import_id}");
    }
    assert_eq!(app.count_items("contact").await, 3);
    assert_eq!(app.count_items("membership").await, 0);
}

/// A spreadsheet's export with 300 rows, among them empty lines, and the numbers of its 40 invalid rows.
fn file_with_forty_invalid_rows() -> (String, BTreeSet<usize>) {
    let mut lines = vec!["\u{FEFF}Email;Full_Name;LINKEDIN_PROFILE;company;locale;timezone;metadata".to_owned()];
    let mut invalid = BTreeSet::new();
    for n in 1..=300 {
        let mut email = format!("jane.{n}@example.com");
        let mut name = "\"Doe; Jane\"";
        let mut profile = format!("https://linkedin.com/in/jane-{n}");
        let mut locale = "es-ES";
        let mut timezone = "Europe/Madrid";
        let mut metadata = "";
        let mut surplus_cell = "";
        if n % 7 == 3 && invalid.len() < 40 {
            invalid.insert(n);
            match invalid.len() % 8 {
                0 => email = "no email".to_owned(),
                1 => name = "",
                2 => profile = "https://linkedin.com/company/acme".to_owned(),
                3 => locale = "español",
                4 => timezone = "Madrid",
                5 => metadata = "[1]",
                6 => surplus_cell = ";surplus",
                _ => email.clear(),
            }
        }
        if n % 50 == 0 {
            lines.extend([String::new(), ";;;;;;".to_owned()]);
        }
        let company = format!("\"Acme \"\"{n}\"\"\"");
        lines.push(format!("{email};{name};{profile};{company};{locale};{timezone};{metadata}{surplus_cell}"));
    }
    assert_eq!(invalid.len(), 40);
    (lines.join("\r\n"), invalid)
}

/// The numbers of the rows that a validation error names.
fn rows_in(detail: &str) -> BTreeSet<usize> {
    let errors = detail.strip_prefix("Validation error: ").unwrap().split("; ");
    errors.map(|error| error.strip_prefix("row ").unwrap().split(':').next().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn one_invalid_row_aborts_the_upload_and_every_invalid_row_is_named() {
    let app = TestApp::new().await;
    let (csv, invalid) = file_with_forty_invalid_rows();
    let before = app.items().await;

    let response = post_csv(&app, "", &csv).await;

    assert_eq!(response.status, 400, "{}", response.text);
    let detail = response.detail();
    assert_eq!(rows_in(&detail), invalid);
    let first_errors = "Validation error: row 3: full_name field is required; row 10: linkedin_profile must be ";
    assert!(detail.starts_with(first_errors), "{detail}");
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn with_on_error_skip_the_valid_rows_are_written() {
    let app = TestApp::new().await;
    let (csv, invalid) = file_with_forty_invalid_rows();

    let first = post_csv(&app, "on_error=skip", &csv).await;
    let second = post_csv(&app, "on_error=skip", &csv).await;
    let third = post_csv(&app, "on_error=skip", &csv.replace("jane.1@example.com", "jane.1000@example.com")).await;

    assert_eq!([first.status, second.status, third.status], [201, 201, 201]);
    assert_eq!(counts(&first), Counts { created: 260, updated: 0, skipped: 40 });
    assert_eq!(counts(&second), Counts { created: 0, updated: 260, skipped: 40 });
    assert_eq!(counts(&third), Counts { created: 1, updated: 259, skipped: invalid.len() as u64 });
    assert_eq!(app.count_items("contact").await, 261);
}

#[tokio::test]
async fn skipped_rows_have_the_errors_that_abort_an_upload() {
    let app = TestApp::new().await;
    let (csv, _) = file_with_forty_invalid_rows();

    let aborted = post_csv(&app, "on_error=abort", &csv).await;
    let skipped = post_csv(&app, "on_error=skip", &csv).await.json()["skipped"].clone();

    let mut errors = Vec::new();
    for row in skipped.as_array().unwrap() {
        let detail = row["detail"].as_str().unwrap().strip_prefix("Validation error: ").unwrap();
        errors.push(format!("row {}: {detail}", row["row"]));
    }
    assert_eq!(aborted.detail(), format!("Validation error: {}", errors.join("; ")));
}

/// A new row, the row of a stored contact and an invalid row.
fn new_known_and_invalid_rows() -> Value {
    json!([jane("new@example.com"), jane_with("known@example.com", &json!({"locale": "es"})), jane("x")])
}

#[tokio::test]
async fn a_dry_run_reports_what_the_upload_would_do_and_writes_nothing() {
    let app = TestApp::new().await;
    let known = app.create_jane("known@example.com").await.id;
    let before = app.items().await;

    let response = post(&app, "dry_run=true&on_error=skip", &new_known_and_invalid_rows()).await;

    let expected = format!(
        r#"{{
            "inserted":2,
            "details":[
                {{"id":null,"email":"new@example.com","full_name":"Jane Doe"}},
                {{"id":"{known}","email":"known@example.com","full_name":"Jane Doe"}}
            ],
            "created":1,
            "updated":1,
            "skipped":[
                {{"row":3,"email":"x","detail":"Validation error: email must be a valid email address"}}
            ],
            "skipped_count":1
        }}"#
    );
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_dry_run_aborts_as_the_upload_would() {
    let app = TestApp::new().await;

    let response = post(&app, "dry_run=true", &new_known_and_invalid_rows()).await;

    assert_eq!(response.status, 400, "{}", response.text);
}

#[tokio::test]
async fn a_dry_run_warns_of_an_unknown_import() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let request = request(&app).query("dry_run=true").header("x-import-id", &Uuid::nil().to_string());

    let response = send(&app, &request.json(&json!([jane("new@example.com")]))).await;

    assert_eq!(response.status, 200, "{}", response.text);
    assert!(response.json()["warning"].is_string(), "{}", response.text);
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn dry_run_false_writes() {
    let app = TestApp::new().await;

    let response = post(&app, "dry_run=false", &json!([jane("new@example.com")])).await;

    assert_eq!(response.status, 201, "{}", response.text);
    assert_eq!(app.count_items("contact").await, 1);
}

#[tokio::test]
async fn validation_errors_name_the_row_and_each_field() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let mistyped = json!({"full_name": "x".repeat(201), "email": 1, "linkedin_profile": null});
    let differing = jane_with("a@example.com", &json!({"metadata": {}, "enrichment": {"a": 1}}));
    let several_rows = "row 1: full_name field is required; row 1: email field is required; \
                        row 1: linkedin_profile field is required; \
                        row 3: full_name must be at most 200 characters; row 3: email must be a string; \
                        row 3: linkedin_profile field is required";
    for (rows, detail) in [
        (json!([null]), "row 1: body must be a JSON object"),
        (json!([jane("a@example.com"), []]), "row 2: body must be a JSON object"),
        (json!([{}, jane("a@example.com"), mistyped]), several_rows),
        (json!([differing]), "row 1: metadata must be the same as enrichment where both are sent"),
    ] {
        let response = post(&app, "", &rows).await;
        assert_eq!(response.status, 400, "{rows}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{rows}");
    }
    assert_eq!(app.items().await, before, "nothing is written");
}

#[tokio::test]
async fn a_body_that_is_no_json_array_is_a_validation_error() {
    let app = TestApp::new().await;
    for (body, detail) in [
        ("", "body is not valid JSON (line 1, column 0)"),
        ("[{]", "body is not valid JSON (line 1, column 3)"),
        ("{}", "body must be a JSON array"),
        ("null", "body must be a JSON array"),
        ("\"[]\"", "body must be a JSON array"),
    ] {
        let response = send(&app, &request(&app).text(body)).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{body}");
    }
}

#[tokio::test]
async fn of_more_than_one_hundred_invalid_rows_the_rest_is_counted() {
    let app = TestApp::new().await;

    let detail = post(&app, "", &json!(vec![json!({}); 103])).await.detail();

    assert!(detail.ends_with("row 100: linkedin_profile field is required; and 3 more rows"), "{detail}");
}

#[tokio::test]
async fn every_skipped_row_is_reported() {
    let app = TestApp::new().await;
    let before = app.items().await;

    let response = post(&app, "on_error=skip", &json!(vec![json!({}); 103])).await;

    assert_eq!(response.status, 201);
    assert_eq!(counts(&response), Counts { created: 0, updated: 0, skipped: 103 });
    assert_eq!(response.json()["skipped"][102]["email"], Value::Null);
    assert_eq!(app.items().await, before);
}

/// Stores Jane with five values of 64 kB in her metadata, and rows of which the second would pass her limit of 350 KB.
async fn rows_that_outgrow_jane(app: &TestApp) -> (ContactId, Value) {
    let id = app.create_jane("jane@example.com").await.id;
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    for n in 0..5 {
        let metadata = json!({"metadata": {n.to_string(): "x".repeat(64_000)}});
        contacts.update(id, &contact_patch(metadata), None).await.unwrap();
    }
    let rows = json!([
        jane("new@example.com"),
        jane_with("jane@example.com", &json!({"metadata": {"more": "x".repeat(60_000)}})),
        jane_with("jane@example.com", &json!({"locale": "es"})),
        jane("no email"),
    ]);
    (id, rows)
}

#[tokio::test]
async fn a_row_that_outgrows_its_contact_is_invalid_and_nothing_is_written() {
    let app = TestApp::new().await;
    let (_, rows) = rows_that_outgrow_jane(&app).await;
    let before = app.items().await;

    let response = post(&app, "", &rows).await;

    assert_eq!(response.status, 400);
    assert_eq!(
        response.detail(),
        "Validation error: row 2: metadata would grow the contact past 350 KB; \
         row 4: email must be a valid email address"
    );
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn a_row_that_outgrows_its_contact_is_skipped_and_the_next_row_of_the_contact_is_written() {
    let app = TestApp::new().await;
    let (jane, rows) = rows_that_outgrow_jane(&app).await;

    let response = post(&app, "on_error=skip", &rows).await;

    assert_eq!(response.status, 201);
    assert_eq!(counts(&response), Counts { created: 1, updated: 1, skipped: 2 });
    assert_eq!(response.json()["skipped"][0]["email"], "jane@example.com");
    assert_eq!(app.stored_contact(jane).await.unwrap().details.locale.unwrap().as_str(), "es");
}

#[tokio::test]
async fn a_json_upload_has_at_most_five_thousand_rows() {
    let app = TestApp::new().await;

    let most = post(&app, "dry_run=true&on_error=skip", &json!(vec![json!({}); 5_000])).await;
    let too_many = post(&app, "on_error=skip", &json!(vec![json!({}); 5_001])).await;

    assert_eq!(most.status, 200);
    assert_eq!(counts(&most), Counts { created: 0, updated: 0, skipped: 5_000 });
    assert_eq!(too_many.status, 413);
    assert_eq!(too_many.detail(), "Request must have at most 5000 rows");
}

#[tokio::test]
async fn a_csv_upload_has_at_most_five_thousand_rows() {
    let app = TestApp::new().await;
    let csv = |rows: usize| format!("email,full_name,linkedin_profile\n{}", "x\n".repeat(rows));

    let most = post_csv(&app, "dry_run=true&on_error=skip", &csv(5_000)).await;
    let too_many = post_csv(&app, "", &csv(5_001)).await;

    assert_eq!(most.status, 200);
    assert_eq!(counts(&most), Counts { created: 0, updated: 0, skipped: 5_000 });
    assert_eq!(too_many.status, 413);
    assert_eq!(too_many.detail(), "Request must have at most 5000 rows");
}

#[tokio::test]
async fn an_upload_has_at_most_four_million_bytes() {
    let app = TestApp::new().await;
    let padded = |bytes: usize| {
        let rows = |padding: &str| json!([jane_with("jane@example.com", &json!({"unknown": padding}))]).to_string();
        rows(&"x".repeat(bytes - rows("").len()))
    };

    let most = send(&app, &request(&app).text(padded(4_000_000))).await;
    let too_many = send(&app, &request(&app).text(padded(4_000_001))).await;

    assert_eq!(most.status, 201);
    assert_eq!(too_many.status, 413);
    assert_eq!(too_many.detail(), "Request body must be at most 4000000 bytes");
}

const CSV: &str = "email,full_name,linkedin_profile\njane@example.com,Jane Doe,in/janedoe\n";

/// A form whose part `file` holds this file.
fn form(boundary: &str, file: &str) -> String {
    let header = "Content-Disposition: form-data; name=\"file\"; filename=\"l.csv\"";
    format!("--{boundary}\r\n{header}\r\n\r\n{file}\r\n--{boundary}--\r\n")
}

#[tokio::test]
async fn a_body_is_json_csv_or_a_form_sent_as_text_or_as_bytes() {
    let app = TestApp::new().await;
    let json = json!([jane("jane@example.com")]).to_string();
    for (content_type, body) in [
        (Some("application/json; charset=utf-8"), json.clone()),
        (None, json),
        (Some("text/csv"), CSV.to_owned()),
        (Some("Text/CSV; header=present; charset=\"utf-8\""), CSV.to_owned()),
        (Some("multipart/form-data; boundary=b"), form("b", CSV)),
        (Some("Multipart/Form-Data; boundary=\"b\""), form("b", CSV)),
    ] {
        let request = match content_type {
            Some(content_type) => request(&app).header("content-type", content_type),
            None => request(&app).without_header("content-type"),
        };
        for request in [request.clone().text(&body), request.bytes(body.as_bytes())] {
            let response = send(&app, &request).await;
            assert_eq!(response.status, 201, "{content_type:?}: {}", response.text);
            assert_eq!(response.json()["inserted"], 1, "{content_type:?}");
        }
    }
}

#[tokio::test]
async fn another_content_type_is_a_415() {
    let app = TestApp::new().await;
    for content_type in ["text/plain", "text/csvx", "multipart/mixed; boundary=b", "application/x-www-form-urlencoded"]
    {
        let response = send(&app, &request(&app).header("content-type", content_type).text(CSV)).await;
        assert_eq!(response.status, 415, "{content_type}: {}", response.text);
        let detail = "Content-Type must be application/json or multipart/form-data or text/csv";
        assert_eq!(response.detail(), detail, "{content_type}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_parsed_is_an_error_even_with_on_error_skip() {
    let app = TestApp::new().await;
    for (content_type, body, detail) in [
        ("text/csv", "", "the file is empty"),
        ("text/csv", "email,full_name\n", "the header lacks linkedin_profile"),
        ("text/csv", "email,full_name,linkedin_profile\na,b,\"c", "line 2: a quoted value is never closed"),
        ("multipart/form-data", "x", "the form cannot be read: its Content-Type has no boundary"),
        ("multipart/form-data; boundary=b", "--b--\r\n", "the form has no part named file"),
    ] {
        let request = request(&app).query("on_error=skip").header("content-type", content_type).text(body);
        let response = send(&app, &request).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.detail(), format!("Failed to parse CSV file: {detail}"), "{body}");
    }
}

/// The gateway passes a file as bytes, or as text with U+FFFD in place of the bytes that it cannot decode.
#[tokio::test]
async fn a_file_that_is_not_utf_8_is_an_error() {
    const LATIN_1: &[u8] = b"email,full_name,linkedin_profile\njane@example.com,Jos\xe9 Doe,in/josedoe\n";
    let app = TestApp::new().await;
    let decoded = String::from_utf8_lossy(LATIN_1).into_owned();
    let csv = request(&app).header("content-type", "text/csv");
    let multipart = request(&app).header("content-type", "multipart/form-data; boundary=b");
    for request in [csv.clone().bytes(LATIN_1), csv.text(&*decoded), multipart.text(form("b", &decoded))] {
        let response = send(&app, &request).await;

        assert_eq!(response.status, 400, "{request:?}");
        let detail = "Failed to parse CSV file: line 2: wrong encoding, not UTF-8 text; save the file as CSV UTF-8";
        assert_eq!(response.detail(), detail, "{request:?}");
    }
    assert_eq!(app.count_items("contact").await, 0);
}

#[tokio::test]
async fn metadata_of_a_row_may_be_an_object_in_a_string() {
    let app = TestApp::new().await;
    let rows = json!([
        jane_with("1@example.com", &json!({"metadata": {"a": 1}})),
        jane_with("2@example.com", &json!({"metadata": "{\"a\": 1}"})),
        jane_with("3@example.com", &json!({"enrichment": " {\"a\": 1}\n"})),
    ]);

    let response = post(&app, "", &rows).await;

    assert_eq!(response.status, 201, "{}", response.text);
    for place in 0..3 {
        let contact = app.stored_contact(id_of(&response, place)).await.unwrap();
        assert_eq!(comparable(&contact).0["enrichment"], json!({"a": 1}), "{place}");
    }
}

#[tokio::test]
async fn a_string_in_a_row_that_holds_no_object_is_no_metadata() {
    let app = TestApp::new().await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(17), "}".repeat(17));
    let numbers = format!(r#"{{"a":[1{}]}}"#, ",1".repeat(65_536));
    for (metadata, detail) in [
        ("", "metadata must be a JSON object"),
        ("x", "metadata must be a JSON object"),
        ("[]", "metadata must be a JSON object"),
        ("\"{}\"", "metadata must be a JSON object"),
        ("{}{}", "metadata must be a JSON object"),
        (&deep, "metadata must be at most 16 levels deep"),
        (&numbers, "metadata must be at most 64 KiB"),
    ] {
        let response = post(&app, "", &json!([jane_with("a@example.com", &json!({"metadata": metadata}))])).await;

        assert_eq!(response.status, 400, "{metadata:.40}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: row 1: {detail}"), "{metadata:.40}");
    }
}

#[tokio::test]
async fn blank_optional_fields_of_a_row_are_null() {
    let app = TestApp::new().await;
    let rows = json!([jane_with("json@example.com", &json!({"company": " ", "locale": "", "timezone": "\t"}))]);
    let csv =
        "email,full_name,linkedin_profile,company,locale,timezone\ncsv@example.com,Jane Doe,in/janedoe, ,,\u{A0}\n";
    for response in [post(&app, "", &rows).await, post_csv(&app, "", csv).await] {
        let details = app.stored_contact(id_of(&response, 0)).await.unwrap().details;

        assert_eq!(details.company, None);
        assert_eq!(details.locale, None);
        assert_eq!(details.timezone, None);
    }
}

#[tokio::test]
async fn the_values_of_an_upload_are_limited() {
    let app = TestApp::new().await;
    for (body, detail) in [
        (format!("[1{}]", ",1".repeat(1_000_000)), "body must hold at most 1000000 JSON values"),
        (format!(r#"[{{"a":[{{}}{}]}}]"#, ",{}".repeat(600_000)), "body must hold at most 1000000 JSON values"),
    ] {
        let response = send(&app, &request(&app).text(body)).await;

        assert_eq!((response.status, response.detail()), (400, format!("Validation error: {detail}")));
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_a_json_array_is_skipped() {
    let app = TestApp::new().await;

    let response = send(&app, &request(&app).text(format!("\u{FEFF}{}", json!([jane("jane@example.com")])))).await;

    assert_eq!(response.status, 201, "{}", response.text);
}

#[tokio::test]
async fn an_empty_array_is_an_empty_report() {
    let app = TestApp::new().await;
    for body in ["[]", " [ ] "] {
        let response = send(&app, &request(&app).text(body)).await;
        assert_eq!(response.status, 201, "{body}");
        assert_eq!(
            response.text, r#"{"inserted":0,"details":[],"created":0,"updated":0,"skipped":[],"skipped_count":0}"#,
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_invalid_query_is_a_validation_error_and_nothing_is_written() {
    let app = TestApp::new().await;
    let on_error = "on_error must be one of abort skip";
    let dry_run = "dry_run must be true or false";
    for (query, detail) in [
        ("on_error=ignore", on_error),
        ("dry_run=1", dry_run),
        ("dry_run=true&dry_run=true", "dry_run must be given once"),
        ("dry_run=yes&on_error=SKIP", &format!("{on_error}; {dry_run}")),
    ] {
        let response = post(&app, query, &json!([jane("jane@example.com")])).await;
        assert_eq!(response.status, 400, "{query}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{query}");
    }
    assert_eq!(app.count_items("contact").await, 0);
}

#[tokio::test]
async fn a_row_does_not_update_a_contact_of_another_organization() {
    let app = TestApp::new().await;
    let ours = app.create_jane("jane@example.com").await;
    let rows = json!([jane_with("jane@example.com", &json!({"full_name": "Jane Smith"}))]);

    let response = send(&app, &TestRequest::to(ENDPOINT, &app.other).json(&rows)).await;

    assert_eq!(counts(&response), Counts { created: 1, updated: 0, skipped: 0 });
    assert_ne!(id_of(&response, 0), ours.id);
    assert_eq!(app.stored_contact(ours.id).await.unwrap(), ours);
}

/// A form with this row, sent with an `Idempotency-Key`.
fn keyed_form(app: &TestApp, boundary: &str, row: &str) -> TestRequest {
    request(app)
        .header("content-type", &format!("multipart/form-data; charset=utf-8; Boundary=\"{boundary}\""))
        .header("idempotency-key", "key-1")
        .text(form(boundary, &format!("email,full_name,linkedin_profile\n{row}")))
}

#[tokio::test]
async fn a_form_is_the_same_request_under_every_boundary() {
    const JANE: &str = "jane@example.com,Jane Doe,in/janedoe";
    const JOHN: &str = "john@example.com,John Doe,in/johndoe";
    let app = TestApp::new().await;
    // A handler that sends repeats while the first request is in progress, and then fails.
    let repeat_and_fail = |_, _| async {
        for (boundary, row, status) in [("b1", JANE, 409), ("----another", JANE, 409), ("b1", JOHN, 422)] {
            let response = send(&app, &keyed_form(&app, boundary, row)).await;
            assert_eq!(response.status, status, "{boundary} {row}: {}", response.text);
        }
        Err(ApiError::NoRoute)
    };

    let first = app.send(ENDPOINT, repeat_and_fail, &keyed_form(&app, "b1", JANE)).await;
    let second = send(&app, &keyed_form(&app, "b2", JANE)).await;

    assert_eq!(first.status, 404, "{}", first.text);
    assert_eq!(second.status, 201, "{}", second.text);
}

#[tokio::test]
async fn a_cell_of_invisible_characters_is_absent() {
    let app = TestApp::new().await;
    let known = app.create_contact(&app.org, jane_with("jane@example.com", &json!({"company": "Acme"})), None).await;
    let csv = "email,full_name,linkedin_profile,company\n\
               jane@example.com,Jane Smith,in/janedoe,\u{200B}\n\
               \u{FEFF},\u{200B}, ,\n";

    let response = post_csv(&app, "", csv).await;

    assert_eq!(counts(&response), Counts { created: 0, updated: 1, skipped: 0 });
    let stored = app.stored_contact(known.id).await.unwrap();
    assert_eq!(stored.details.full_name.as_str(), "Jane Smith");
    assert_eq!(stored.details.company, known.details.company);
}

#[tokio::test]
async fn a_skipped_row_shows_an_invalid_email_of_at_most_254_characters() {
    let app = TestApp::new().await;
    let (longest, longer) = ("x".repeat(254), "x".repeat(255));

    let response = post(&app, "on_error=skip", &json!([jane(&longest), jane(&longer)])).await;

    let skipped = response.json()["skipped"].clone();
    assert_eq!(skipped[0]["email"], longest);
    assert_eq!(skipped[1]["email"], Value::Null);
}
