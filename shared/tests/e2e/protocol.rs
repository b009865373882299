//! What every endpoint has in common: paths, bodies, headers, repeats, versions, pages.

use std::collections::BTreeSet;

use serde_json::json;
use shared::Endpoint;
use uuid::Uuid;

use crate::client::{Request, delete, get, jane, new_contact, new_email, new_import, post, put, rows};

#[test]
fn a_path_answers_with_and_without_its_trailing_slash() {
    for slash in ["", "/"] {
        let id = post(&format!("/contacts{slash}"), &jane(&new_email())).send().expect(201).id();
        let contact = format!("/contacts/{id}{slash}");
        get(&contact).send().expect(200);
        put(&contact, &json!({"locale": "es-ES"})).send().expect(200);
        delete(&contact).send().expect(200);
        get(&format!("/contacts{slash}?limit=1")).send().expect(200);
        post(&format!("/imports{slash}"), &json!({"source": "csv"})).send().expect(201);
    }
}

#[test]
fn what_is_not_routed_is_not_answered() {
    for (method, path) in
        [("GET", "/nothing"), ("PUT", "/contacts"), ("GET", "/contacts/a/b/c"), ("DELETE", "/imports")]
    {
        let answer = Request::new(method, path).send();
        assert!([404, 405].contains(&answer.status), "{answer:?}");
    }
}

/// The requests that carry a body.
fn with_bodies() -> [Request; 3] {
    let contact = format!("/contacts/{}", new_contact());
    [
        post("/contacts", &jane(&new_email())),
        put(&contact, &json!({"locale": "es-ES"})),
        post("/imports", &json!({"source": "csv"})),
    ]
}

#[test]
fn a_body_is_json_of_a_bounded_size() {
    const MAX: usize = 512 * 1024;
    for request in with_bodies() {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
            let answer = request.clone().header("content-type", content_type).send();
            answer.refused(415, "Content-Type must be application/json");
        }
        let answer = request.clone().body(" ".repeat(MAX + 1)).send();
        answer.refused(413, &format!("Request body must be at most {MAX} bytes"));
        for (body, place) in [("", (1, 0)), ("{", (1, 1)), ("{\n  \"email\": }", (2, 12)), ("nothing", (1, 2))] {
            let (line, column) = place;
            let detail = format!("Validation error: body is not valid JSON (line {line}, column {column})");
            request.clone().body(body).send().refused(400, &detail);
        }
        request.clone().body("[]").send().refused(400, "Validation error: body must be a JSON object");
    }
}

#[test]
fn a_content_type_may_be_missing_or_have_parameters() {
    for content_type in [None, Some("application/json; charset=utf-8"), Some("Application/JSON")] {
        for request in with_bodies() {
            let request = request.without("content-type");
            let request =
                content_type.into_iter().fold(request, |request, value| request.header("content-type", value));
            let answer = request.send();
            assert!([200, 201].contains(&answer.status), "{content_type:?}: {answer:?}");
        }
    }
}

#[test]
fn every_faulty_field_is_named_in_the_documented_order() {
    let body =
        json!({"email": "no address", "linkedin_profile": 7, "locale": "e", "timezone": "Mars/Base", "metadata": []});
    let answer = post("/contacts", &body).send().expect(400);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    let faults = detail.strip_prefix("Validation error: ").unwrap();
    let fields: Vec<_> = faults.split("; ").map(|fault| fault.split(' ').next().unwrap()).collect();
    assert_eq!(fields, ["full_name", "email", "linkedin_profile", "locale", "timezone", "metadata"], "{detail}");
    let uuid = "Validation error: contact_id must be a valid UUID";
    for request in [get("/contacts/1"), delete("/contacts/1"), put("/contacts/1", &json!({}))] {
        request.send().refused(400, uuid);
    }
    let answer = post("/contacts", &jane(&new_email())).header("x-import-id", "1").send();
    answer.refused(400, "Validation error: X-Import-ID must be a valid UUID");
    get("/contacts?limit=0").send().refused(400, "Validation error: limit must be an integer from 1 to 1000");
}

#[test]
fn every_answer_has_the_requests_id() {
    let contact = format!("/contacts/{}", new_contact());
    for endpoint in Endpoint::ALL {
        let spec = endpoint.spec();
        let path = spec.path.replace("{contact_id}", &Uuid::now_v7().to_string());
        let id = format!("test-{}", Uuid::new_v4());
        let answer = Request::new(spec.method.as_str(), &path).header("x-request-id", &id).send();
        assert_eq!(answer.header("x-request-id"), id, "{answer:?}");
    }
    for unsound in ["a b", &"x".repeat(129)] {
        let answer = get(&contact).header("x-request-id", unsound).send().expect(200);
        assert!(!["", unsound].contains(&answer.header("x-request-id")), "{answer:?}");
    }
}

#[test]
fn a_repeat_is_answered_again_and_another_request_is_not() {
    let (key, body) = (Uuid::new_v4().to_string(), jane(&new_email()));
    let request = post("/contacts", &body).header("idempotency-key", &key);
    let first = request.send().expect(201);
    assert_eq!(first.header("idempotent-replayed"), "");
    // Also under the path's other spelling, and after the contact is gone.
    delete(&format!("/contacts/{}", first.id())).send().expect(200);
    for path in ["/contacts", "/contacts/"] {
        let repeat = post(path, &body).header("idempotency-key", &key).send().expect(201);
        assert_eq!((&repeat.text, repeat.header("etag")), (&first.text, first.header("etag")));
        assert_eq!(repeat.header("idempotent-replayed"), "true");
    }
    let reused = "Idempotency-Key was already used for a different request";
    post("/contacts", &jane(&new_email())).header("idempotency-key", &key).send().refused(422, reused);
    request.clone().header("x-import-id", &new_import()).send().refused(422, reused);
    // A refusal is not kept.
    let key = Uuid::new_v4().to_string();
    post("/imports", &json!({})).header("idempotency-key", &key).send().expect(400);
    post("/imports", &json!({"source": "csv"})).header("idempotency-key", &key).send().expect(201);
}

#[test]
fn a_version_guards_a_write_and_saves_a_read() {
    const STALE: &str = "Contact has changed since it was read";
    let contact = format!("/contacts/{}", new_contact());
    let first = get(&contact).send().expect(200).header("etag").to_owned();
    let second = put(&contact, &json!({"locale": "es-ES"})).header("if-match", &first).send().expect(200);
    put(&contact, &json!({"locale": "en-US"})).header("if-match", &first).send().refused(412, STALE);
    delete(&contact).header("if-match", &first).send().refused(412, STALE);

    let read = get(&contact).send().expect(200);
    let known = get(&contact).header("if-none-match", read.header("etag")).send().expect(304);
    assert_eq!((&*known.text, known.header("etag")), ("", read.header("etag")));
    get(&contact).header("if-none-match", &first).send().expect(200);

    // What an update answered is good for the next write, and what changes nothing makes no version.
    let same = put(&contact, &json!({"locale": "es-ES"})).send().expect(200);
    assert_eq!((&same.text, same.header("etag")), (&second.text, second.header("etag")));
    delete(&contact).header("if-match", second.header("etag")).send().expect(200);
}

#[test]
fn pages_of_a_list_hold_every_row_once_newest_first() {
    let import_id = new_import();
    let mut created: Vec<String> = (0..7)
        .map(|_| post("/contacts", &jane(&new_email())).header("x-import-id", &import_id).send().expect(201).id())
        .collect();
    created.reverse();
    let (mut next, mut listed) = (Some(format!("/contacts?import_id={import_id}&limit=3")), Vec::new());
    while let Some(path) = next {
        let page = get(&path).send().expect(200);
        let rows = page.json().as_array().unwrap().clone();
        assert!(rows.len() <= 3, "{page:?}");
        listed.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let link = page.header("link");
        assert!(link.is_empty() || link.ends_with(r#">; rel="next""#), "{link}");
        next = link.strip_prefix('<').and_then(|link| link.split('>').next()).map(str::to_owned);
        // A contact that comes meanwhile moves nothing.
        post("/contacts", &jane(&new_email())).header("x-import-id", &new_import()).send().expect(201);
    }
    let distinct: BTreeSet<_> = listed.iter().collect();
    assert_eq!((listed.len(), distinct.len()), (7, 7));
    assert_eq!(listed, created);
    assert_eq!(rows(&format!("/contacts?import_id={}", Uuid::now_v7())), Vec::<serde_json::Value>::new());
    get("/contacts?cursor=unknown").send().expect(400);
}
