//! `handle` behind the whole way of a request, on a table of its own.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::ContactId;
use shared::testing::{TestApp, TestRequest, TestResponse, jane, contact_patch};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::BulkUploadContacts;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, idempotency_locks
);

async fn send(app: &TestApp, request: TestRequest) -> TestResponse {
    app.send(ENDPOINT, handle, &request).await
}

fn to(app: &TestApp) -> TestRequest {
    TestRequest::to(ENDPOINT, &app.org)
}

async fn post(app: &TestApp, query: &str, rows: &Value) -> TestResponse {
    send(app, to(app).query(query).json(rows)).await
}

async fn post_csv(app: &TestApp, query: &str, csv: &str) -> TestResponse {
    send(app, to(app).query(query).header("content-type", "text/csv").text(csv)).await
}

/// Created, updated, skipped: and that they are all rows.
#[track_caller]
fn counts(answer: &TestResponse, rows: usize) -> (u64, u64, usize) {
    let body = answer.json();
    let count = |name: &str| body[name].as_u64().unwrap_or_else(|| panic!("{name}: {}", answer.text));
    let (created, updated, skipped) = (count("created"), count("updated"), body["skipped"].as_array().unwrap().len());
    assert_eq!(created + updated, count("inserted"));
    assert_eq!(body["details"].as_array().unwrap().len() as u64, count("inserted"));
    assert_eq!(usize::try_from(created + updated).unwrap() + skipped, rows, "{}", answer.text);
    (created, updated, skipped)
}

/// What an answer says of the contact of a row that was written.
fn id_of(answer: &TestResponse, place: usize) -> ContactId {
    shared::domain::Id::parse(answer.json()["details"][place]["id"].as_str().unwrap()).unwrap()
}

fn with(mut row: Value, name: &str, value: Value) -> Value {
    row[name] = value;
    row
}

#[tokio::test]
async fn rows_are_created_or_updated_and_answered_in_their_order() {
    let app = TestApp::new().await;
    let known = app.create_jane("known@example.com").await;
    let rows = json!([
        with(jane("New@Example.com "), "metadata", json!({"b": 1, "a": null})),
        with(with(jane("known@example.com"), "full_name", json!("Jane  Smith")), "company", json!("Acme")),
        jane("other@example.com"),
    ]);
    let answer = post(&app, "", &rows).await;
    let (first, other) = (id_of(&answer, 0), id_of(&answer, 2));
    let expected = format!(
        r#"{{"inserted":3,"details":[{{"id":"{first}","email":"new@example.com","full_name":"Jane Doe"}},{{"id":"{}","email":"known@example.com","full_name":"Jane Smith"}},{{"id":"{other}","email":"other@example.com","full_name":"Jane Doe"}}],"created":2,"updated":1,"skipped":[]}}"#,
        known.id
    );
    assert_eq!((answer.status, answer.text.as_str()), (201, expected.as_str()));
    assert_eq!((answer.header("content-type"), answer.header("location")), ("application/json", ""));
    let updated = app.stored_contact(known.id).await.unwrap();
    assert_eq!((updated.version, updated.details.full_name.as_str()), (2, "Jane Smith"));
    assert_eq!(updated.details.company.unwrap().as_str(), "Acme");
    let created = app.stored_contact(first).await.unwrap();
    assert_eq!(
        (created.version, created.enrichment.key_order.len(), created.enrichment.object.members().len()),
        (1, 0, 1)
    );
    let kinds = [app.count_items("contact").await, app.count_items("email_lock").await, app.count_items("company").await];
    assert_eq!(kinds, [3, 3, 1]);

    let items = app.items().await;
    let again = post(&app, "", &rows).await;
    assert_eq!((again.status, counts(&again, 3)), (201, (0, 3, 0)));
    assert_eq!(app.items().await, items, "nothing changes, and so nothing is written");
}

#[tokio::test]
async fn an_update_by_bulk_changes_what_an_update_changes() {
    let app = TestApp::new().await;
    let full = json!({
        "full_name": "Jane Doe", "email": "jane@example.com", "linkedin_profile": "https://linkedin.com/in/janedoe",
        "company": "Acme", "locale": "en-US", "timezone": "Europe/Madrid", "metadata": {"a": 1, "n": {"x": 1, "y": 2}},
    });
    for change in [
        json!({}),
        json!({"company": null, "locale": null}),
        json!({"company": " ", "timezone": "Europe/Paris"}),
        json!({"metadata": {"a": null, "n": {"x": null, "z": 3}}}),
        json!({"metadata": null}),
        json!({"enrichment": {"b": 2}}),
    ] {
        let one = app.create_contact(&app.org, full.clone(), None).await;
        let mut row = full.clone();
        row.as_object_mut().unwrap().remove("metadata");
        row.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let contacts = app.ctx().contacts(&app.principal(&app.org).await);
        assert_eq!(post(&app, "", &json!([row])).await.status, 201, "{change}");
        let bulk = app.stored_contact(one.id).await.unwrap();
        contacts.delete(one.id, None).await.unwrap();
        let two = app.create_contact(&app.org, full.clone(), None).await;
        let put = contacts.update(two.id, &contact_patch(row), None).await.unwrap();
        contacts.delete(two.id, None).await.unwrap();
        let seen = |contact: &shared::domain::Contact| {
            let shown = serde_json::to_value(shared::wire::ContactView::of(contact)).unwrap();
            (with(with(with(shown, "id", json!(0)), "created_at", json!(0)), "updated_at", json!(0)), contact.version)
        };
        assert_eq!(seen(&bulk), seen(&put), "{change}");
    }
}

#[tokio::test]
async fn an_address_that_comes_twice_is_one_contact() {
    let app = TestApp::new().await;
    let rows = json!([
        with(jane("jane@example.com"), "metadata", json!({"a": 1, "b": 1})),
        jane("john@example.com"),
        with(with(jane("JANE@example.com"), "metadata", json!({"b": null, "c": 2})), "locale", json!("es")),
        with(jane(" jane@example.com"), "full_name", json!("Jane Smith")),
    ]);
    let answer = post(&app, "", &rows).await;
    assert_eq!(counts(&answer, 4), (2, 2, 0));
    let jane = id_of(&answer, 0);
    assert_eq!([id_of(&answer, 2), id_of(&answer, 3)], [jane, jane]);
    assert_eq!(answer.json()["details"][0]["full_name"], "Jane Smith", "what it is in the end");
    let stored = app.stored_contact(jane).await.unwrap();
    assert_eq!((stored.version, stored.details.locale.unwrap().as_str()), (1, "es"), "it is one write");
    assert_eq!(serde_json::to_value(&stored.enrichment.object).unwrap(), json!({"a": 1, "c": 2}));

    // There and back again is no change.
    let items = app.items().await;
    let rows = json!([rows[0].clone(), rows[2].clone(), rows[3].clone()]);
    assert_eq!(counts(&post(&app, "", &rows).await, 3), (0, 3, 0));
    assert_eq!(app.items().await, items);
}

#[tokio::test]
async fn rows_become_members_of_the_import() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    app.create_jane("known@example.com").await;
    let rows = json!([jane("known@example.com"), jane("new@example.com"), jane("new@example.com")]);
    let request = to(&app).header("x-import-id", &import_id.to_string()).json(&rows);
    let answer = send(&app, request.clone()).await;
    assert_eq!((answer.status, counts(&answer, 3)), (201, (1, 2, 0)));
    for place in [0, 1] {
        assert!(app.stored_contact(id_of(&answer, place)).await.unwrap().import_ids.iter().eq([&import_id]));
    }
    assert_eq!(app.count_items("membership").await, 2);
    let items = app.items().await;
    assert_eq!(counts(&send(&app, request).await, 3), (0, 3, 0));
    assert_eq!(app.items().await, items);
}

#[tokio::test]
async fn an_unknown_import_is_warned_of_and_the_rows_are_written() {
    let mut app = TestApp::new().await;
    let foreign = app.create_import(&app.other).await.to_string();
    let gone = app.create_import(&app.org).await;
    app.ctx().imports(&app.principal(&app.org).await).delete(gone).await.unwrap();
    app.restart();
    for (n, id) in ["7c9e6679-7425-40de-944b-e07fc1f90ae7", &foreign, &gone.to_string()].into_iter().enumerate() {
        let request = to(&app).header("x-import-id", id).json(&json!([jane(&format!("{n}@example.com"))]));
        let answer = send(&app, request).await;
        assert_eq!((answer.status, counts(&answer, 1)), (207, (1, 0, 0)));
        assert_eq!(answer.json()["warning"], "Import not found: its contacts are linked to no import");
    }
    assert_eq!((app.count_items("contact").await, app.count_items("membership").await), (3, 0));
}

/// A file with what goes wrong in files: 300 rows, 40 of them bad, of different kinds.
fn three_hundred() -> (String, BTreeSet<usize>) {
    let mut lines = vec!["\u{FEFF}Email;Full_Name;LINKEDIN_PROFILE;company;locale;timezone;metadata".to_owned()];
    let mut bad = BTreeSet::new();
    for n in 1..=300 {
        let (mut email, mut name, mut profile, mut metadata) =
            (format!("jane.{n}@example.com"), "\"Doe; Jane\"", format!("https://linkedin.com/in/jane-{n}"), "");
        let (mut locale, mut timezone, mut end) = ("es-ES", "Europe/Madrid", "");
        if n % 7 == 3 && bad.len() < 40 {
            bad.insert(n);
            match bad.len() % 8 {
                0 => email = "no address".to_owned(),
                1 => name = "",
                2 => profile = "https://linkedin.com/company/acme".to_owned(),
                3 => locale = "español",
                4 => timezone = "Madrid",
                5 => metadata = "[1]",
                6 => end = ";one too many",
                _ => email.clear(),
            }
        }
        if n % 50 == 0 {
            lines.extend([String::new(), ";;;;;;".to_owned()]);
        }
        lines.push(format!("{email};{name};{profile};\"Acme \"\"{n}\"\"\";{locale};{timezone};{metadata}{end}"));
    }
    (lines.join("\r\n"), bad)
}

#[tokio::test]
async fn of_three_hundred_rows_the_forty_bad_ones_are_named() {
    let app = TestApp::new().await;
    let (csv, bad) = three_hundred();
    assert_eq!(bad.len(), 40);
    let before = app.items().await;
    let answer = post_csv(&app, "", &csv).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    let detail = answer.detail();
    let named = |detail: &str| -> BTreeSet<usize> {
        let rows = detail.strip_prefix("Validation error: ").unwrap().split("; ");
        rows.map(|row| row.strip_prefix("row ").unwrap().split(':').next().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(named(&detail), bad);
    let first = "Validation error: row 3: full_name field is required; row 10: linkedin_profile must be ";
    assert!(detail.starts_with(first), "{detail}");
    assert_eq!(app.items().await, before, "one bad row, and nothing is written");

    for (time, outcome) in [("first", (260, 0, 40)), ("second", (0, 260, 40))] {
        let answer = post_csv(&app, "on_error=skip", &csv).await;
        assert_eq!((answer.status, counts(&answer, 300)), (201, outcome), "{time}");
        let body = answer.json();
        let skipped = body["skipped"].as_array().unwrap();
        let rows: BTreeSet<_> =
            skipped.iter().map(|row| usize::try_from(row["row"].as_u64().unwrap()).unwrap()).collect();
        assert_eq!(rows, bad, "{time}");
        // What is said of the rows together is what is said of each.
        let together = skipped.iter().map(|row| {
            let faults = row["detail"].as_str().unwrap().strip_prefix("Validation error: ").unwrap();
            format!("row {}: {faults}", row["row"])
        });
        assert_eq!(format!("Validation error: {}", together.collect::<Vec<_>>().join("; ")), detail, "{time}");
        assert_eq!(app.count_items("contact").await, 260, "{time}");
    }
    let (mut csv, bad) = three_hundred();
    csv = csv.replace("jane.1@example.com", "jane.1000@example.com");
    let answer = post_csv(&app, "on_error=skip", &csv).await;
    assert_eq!(counts(&answer, 300), (1, 259, bad.len()), "one of them is new");
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_writes_nothing() {
    let app = TestApp::new().await;
    let known = app.create_jane("known@example.com").await;
    let before = app.items().await;
    let rows = json!([jane("new@example.com"), with(jane("known@example.com"), "locale", json!("es")), jane("x")]);
    let answer = post(&app, "dry_run=true&on_error=skip", &rows).await;
    let expected = format!(
        r#"{{"inserted":2,"details":[{{"id":null,"email":"new@example.com","full_name":"Jane Doe"}},{{"id":"{}","email":"known@example.com","full_name":"Jane Doe"}}],"created":1,"updated":1,"skipped":[{{"row":3,"email":"x","detail":"Validation error: email must be a valid email address"}}]}}"#,
        known.id
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!(post(&app, "dry_run=true", &rows).await.status, 400, "as it would be");
    let request = to(&app).query("dry_run=true").header("x-import-id", &uuid::Uuid::nil().to_string());
    let answer = send(&app, request.json(&json!([jane("new@example.com")]))).await;
    assert_eq!(answer.status, 200);
    assert!(answer.json()["warning"].is_string());
    assert_eq!(app.items().await, before);
    assert_eq!(post(&app, "dry_run=false", &json!([jane("new@example.com")])).await.status, 201);
}

#[tokio::test]
async fn what_is_wrong_with_a_row_is_said_of_the_row() {
    let app = TestApp::new().await;
    let before = app.items().await;
    let long = json!({"full_name": "x".repeat(201), "email": 1, "linkedin_profile": null});
    for (rows, detail) in [
        (json!([null]), "row 1: body must be a JSON object"),
        (json!([jane("a@example.com"), []]), "row 2: body must be a JSON object"),
        (
            json!([{}, jane("a@example.com"), long]),
            "row 1: full_name field is required; row 1: email field is required; row 1: linkedin_profile field is required; \
             row 3: full_name must be at most 200 characters; row 3: email must be a string; \
             row 3: linkedin_profile field is required",
        ),
        (
            json!([with(with(jane("a@example.com"), "metadata", json!({})), "enrichment", json!({"a": 1}))]),
            "row 1: metadata must be the same as enrichment where both are sent",
        ),
    ] {
        let answer = post(&app, "", &rows).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")));
    }
    for (body, detail) in [
        ("", "body is not valid JSON (line 1, column 0)"),
        ("[{]", "body is not valid JSON (line 1, column 3)"),
        ("{}", "body must be a JSON array"),
        ("null", "body must be a JSON array"),
        ("\"[]\"", "body must be a JSON array"),
    ] {
        let answer = send(&app, to(&app).text(body)).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{body}");
    }
    // A hundred are named; the others are counted.
    let rows: Value = (0..103).map(|_| json!({})).collect();
    let detail = post(&app, "", &rows).await.detail();
    assert!(detail.ends_with("row 100: linkedin_profile field is required; and 3 more rows"), "{detail}");
    let answer = post(&app, "on_error=skip", &rows).await;
    assert_eq!((answer.status, counts(&answer, 103)), (201, (0, 0, 103)));
    assert_eq!(answer.json()["skipped"][102]["email"], Value::Null);
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn metadata_that_would_outgrow_a_contact_is_a_bad_row() {
    let app = TestApp::new().await;
    let known = app.create_jane("jane@example.com").await;
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    for n in 0..5 {
        let part = contact_patch(json!({"metadata": {n.to_string(): "x".repeat(64_000)}}));
        contacts.update(known.id, &part, None).await.unwrap();
    }
    let before = app.items().await;
    let rows = json!([
        jane("new@example.com"),
        with(jane("jane@example.com"), "metadata", json!({"more": "x".repeat(60_000)})),
        with(jane("jane@example.com"), "locale", json!("es")),
        jane("no address"),
    ]);
    let answer = post(&app, "", &rows).await;
    let expected = "Validation error: row 2: metadata would grow the contact past 350 KB; \
                    row 4: email must be a valid email address";
    assert_eq!((answer.status, answer.detail().as_str()), (400, expected));
    assert_eq!(app.items().await, before, "it is found before anything is written");
    let answer = post(&app, "on_error=skip", &rows).await;
    assert_eq!((answer.status, counts(&answer, 4)), (201, (1, 1, 2)));
    assert_eq!(answer.json()["skipped"][0]["email"], "jane@example.com");
    assert_eq!(app.stored_contact(known.id).await.unwrap().details.locale.unwrap().as_str(), "es");
}

#[tokio::test]
async fn an_upload_has_at_most_five_thousand_rows_and_four_million_bytes() {
    let app = TestApp::new().await;
    let too_many = (413, "Request must have at most 5000 rows".to_owned());
    let rows = |count: usize| (0..count).map(|_| json!({})).collect::<Value>();
    let answer = post(&app, "dry_run=true&on_error=skip", &rows(5_000)).await;
    assert_eq!((answer.status, counts(&answer, 5_000)), (200, (0, 0, 5_000)));
    let answer = post(&app, "on_error=skip", &rows(5_001)).await;
    assert_eq!((answer.status, answer.detail()), too_many);
    let csv = |count: usize| format!("email,full_name,linkedin_profile\n{}", "x\n".repeat(count));
    let answer = post_csv(&app, "dry_run=true&on_error=skip", &csv(5_000)).await;
    assert_eq!((answer.status, counts(&answer, 5_000)), (200, (0, 0, 5_000)));
    let answer = post_csv(&app, "", &csv(5_001)).await;
    assert_eq!((answer.status, answer.detail()), too_many);

    let row = with(jane("jane@example.com"), "unknown", json!(""));
    let padded = |length: usize| {
        let padding = length - json!([row]).to_string().len();
        json!([with(row.clone(), "unknown", json!("x".repeat(padding)))]).to_string()
    };
    let answer = send(&app, to(&app).text(padded(4_000_001))).await;
    let expected = (413, "Request body must be at most 4000000 bytes".to_owned());
    assert_eq!((answer.status, answer.detail()), expected);
    assert_eq!(send(&app, to(&app).text(padded(4_000_000))).await.status, 201);
}

#[tokio::test]
async fn a_body_is_json_csv_or_a_form() {
    let app = TestApp::new().await;
    let csv = "email,full_name,linkedin_profile\njane@example.com,Jane Doe,in/janedoe\n";
    let form =
        format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"l.csv\"\r\n\r\n{csv}\r\n--b--\r\n");
    for (content_type, body) in [
        (Some("application/json; charset=utf-8"), json!([jane("jane@example.com")]).to_string()),
        (None, json!([jane("jane@example.com")]).to_string()),
        (Some("text/csv"), csv.to_owned()),
        (Some("Text/CSV; header=present; charset=\"utf-8\""), csv.to_owned()),
        (Some("multipart/form-data; boundary=b"), form.clone()),
        (Some("Multipart/Form-Data; boundary=\"b\""), form.clone()),
    ] {
        let request = to(&app).without_header("content-type");
        let request = content_type.iter().fold(request, |request, value| request.header("content-type", value));
        for request in [request.clone().text(&body), request.bytes(body.as_bytes())] {
            let answer = send(&app, request).await;
            assert_eq!((answer.status, answer.json()["inserted"].as_u64()), (201, Some(1)), "{content_type:?}");
        }
    }
    for content_type in ["text/plain", "text/csvx", "multipart/mixed; boundary=b", "application/x-www-form-urlencoded"]
    {
        let answer = send(&app, to(&app).header("content-type", content_type).text(csv)).await;
        let detail = "Content-Type must be application/json or multipart/form-data or text/csv";
        assert_eq!((answer.status, answer.detail().as_str()), (415, detail), "{content_type}");
    }
    for (content_type, body, detail) in [
        ("text/csv", "", "the file is empty"),
        ("text/csv", "email,full_name\n", "the header lacks linkedin_profile"),
        ("text/csv", "email,full_name,linkedin_profile\na,b,\"c", "line 2: a quoted value is never closed"),
        ("multipart/form-data", "x", "the form cannot be read: its Content-Type has no boundary"),
        ("multipart/form-data; boundary=b", "--b--\r\n", "the form has no part named file"),
    ] {
        let answer = send(&app, to(&app).query("on_error=skip").header("content-type", content_type).text(body)).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Failed to parse CSV file: {detail}")), "{body}");
    }
    let answer = send(&app, to(&app).header("content-type", "text/csv").bytes(b"email,full_name\n\xff")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.detail().starts_with("Failed to parse CSV file: line 2: not UTF-8 text"), "{}", answer.text);
    for nothing in ["[]", " [ ] "] {
        let answer = send(&app, to(&app).text(nothing)).await;
        let none = r#"{"inserted":0,"details":[],"created":0,"updated":0,"skipped":[]}"#;
        assert_eq!((answer.status, answer.text.as_str()), (201, none));
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_query_is_said_at_once() {
    let app = TestApp::new().await;
    let (on_error, dry_run) = ("on_error must be one of abort skip", "dry_run must be true or false");
    for (query, detail) in [
        ("on_error=ignore", on_error.to_owned()),
        ("on_error=", on_error.to_owned()),
        ("dry_run=1", dry_run.to_owned()),
        ("dry_run", dry_run.to_owned()),
        ("dry_run=true&dry_run=true", "dry_run must be given once".to_owned()),
        ("dry_run=yes&on_error=SKIP", format!("{on_error}; {dry_run}")),
    ] {
        let answer = post(&app, query, &json!([jane("jane@example.com")])).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
    assert_eq!(app.count_items("contact").await, 0);
}

#[tokio::test]
async fn each_organization_has_its_own_contacts() {
    let app = TestApp::new().await;
    let ours = app.create_jane("jane@example.com").await;
    let rows = json!([with(jane("jane@example.com"), "full_name", json!("Jane Smith"))]);
    let theirs = send(&app, TestRequest::to(ENDPOINT, &app.other).json(&rows)).await;
    assert_eq!(counts(&theirs, 1), (1, 0, 0));
    assert_ne!(id_of(&theirs, 0), ours.id);
    assert_eq!(app.stored_contact(ours.id).await.unwrap(), ours);
}

#[tokio::test]
async fn a_form_is_the_same_request_under_any_boundary() {
    let app = TestApp::new().await;
    let form = |boundary: &str, row: &str| {
        let header = "Content-Disposition: form-data; name=\"file\"";
        let csv = format!("email,full_name,linkedin_profile\n{row}");
        let request =
            to(&app).header("content-type", &format!("multipart/form-data; charset=utf-8; Boundary=\"{boundary}\""));
        let body = format!("--{boundary}\r\n{header}\r\n\r\n{csv}\r\n--{boundary}--\r\n");
        request.header("idempotency-key", "key-1").text(body)
    };
    let jane = "jane@example.com,Jane Doe,in/janedoe";
    let meanwhile = |_, _| async {
        for (row, boundary, status) in
            [(jane, "b1", 409), (jane, "----another", 409), ("john@example.com,John Doe,in/johndoe", "b1", 422)]
        {
            assert_eq!(send(&app, form(boundary, row)).await.status, status, "{boundary} {row}");
        }
        Err(shared::ApiError::NoRoute)
    };
    assert_eq!(app.send(ENDPOINT, meanwhile, &form("b1", jane)).await.status, 404);
    assert_eq!(send(&app, form("b2", jane)).await.status, 201);
}

#[tokio::test]
async fn a_cell_in_which_nothing_can_be_seen_was_not_sent() {
    let app = TestApp::new().await;
    let known = app.create_contact(&app.org, with(jane("jane@example.com"), "company", json!("Acme")), None).await;
    let csv = "email,full_name,linkedin_profile,company\njane@example.com,Jane Smith,in/janedoe,\u{200B}\n\u{FEFF},\u{200B}, ,\n";
    assert_eq!(counts(&post_csv(&app, "", csv).await, 1), (0, 1, 0));
    let stored = app.stored_contact(known.id).await.unwrap();
    assert_eq!((stored.details.full_name.as_str(), stored.details.company), ("Jane Smith", known.details.company));
}

#[tokio::test]
async fn what_is_no_address_for_its_length_is_not_repeated() {
    let app = TestApp::new().await;
    let rows: Value = [254, 255].map(|length| jane(&"x".repeat(length))).into_iter().collect();
    let answer = post(&app, "on_error=skip", &rows).await;
    let skipped = answer.json()["skipped"].clone();
    assert_eq!((&skipped[0]["email"], &skipped[1]["email"]), (&json!("x".repeat(254)), &Value::Null));
}
