//! The behaviour that all endpoints share: paths, bodies, headers, repeated requests, versions, pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::Endpoint;
use uuid::Uuid;

use crate::client::{
    API, Request, Response, delete, get, jane, new_campaign, new_contact, new_email, new_import, post, put, rows,
    rows_of_all_pages,
};

const REUSED: &str = "Idempotency-Key was already used for a different request";

#[test]
fn a_path_may_end_with_a_slash() {
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
fn every_route_exists_with_and_without_its_trailing_slash() {
    for endpoint in Endpoint::ALL {
        let spec = endpoint.spec();
        // Without a credential, the values of path parameters do not matter: `/contacts/{contact_id}` is `/contacts/contact_id`.
        let path = spec.path.replace(['{', '}'], "");
        for slash in ["", "/"] {
            let response = Request::new(spec.method.as_str(), &format!("{path}{slash}")).anonymous().send();
            response.expect_error(401, "Invalid or missing authentication credentials");
        }
    }
}

#[test]
fn an_unknown_path_or_method_is_rejected() {
    for (method, path) in
        [("GET", "/nothing"), ("PUT", "/contacts"), ("GET", "/contacts/a/b/c"), ("DELETE", "/imports")]
    {
        let response = Request::new(method, path).send();
        assert!([404, 405].contains(&response.status), "{response:?}");
    }
}

/// Valid requests that have a body.
fn requests_with_body() -> [Request; 3] {
    let contact = format!("/contacts/{}", new_contact());
    [
        post("/contacts", &jane(&new_email())),
        put(&contact, &json!({"locale": "es-ES"})),
        post("/imports", &json!({"source": "csv"})),
    ]
}

#[test]
fn a_body_of_another_content_type_is_rejected() {
    for request in requests_with_body() {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
            let response = request.clone().header("content-type", content_type).send();
            response.expect_error(415, "Content-Type must be application/json");
        }
    }
}

#[test]
fn a_compressed_body_is_rejected() {
    for request in requests_with_body() {
        let response = request.header("content-encoding", "gzip").send();
        response.expect_error(415, "Content-Encoding must be identity: send the body uncompressed");
    }
}

#[test]
fn a_byte_order_mark_before_a_body_is_skipped() {
    let body = format!("\u{feff}{}", jane(&new_email()));
    post("/contacts", &json!(null)).body(body).send().expect(201);
}

#[test]
fn empty_parameters_and_an_empty_api_key_count_as_not_sent() {
    let email = new_email();
    post("/contacts", &jane(&email)).send().expect(201);
    let list = format!("/contacts?email={email}&company=&import_id=&created_after=&limit=&cursor=");

    let contacts = get(&list).bearer(&API.org.jwt).key("").send().expect(200).json();

    assert_eq!(contacts[0]["email"], json!(email));
}

#[test]
fn integers_and_booleans_are_read_from_text() {
    let import = post("/imports", &json!({"source": "csv", "total_rows": " 500 "})).send().expect(201).json();
    assert_eq!(import["total_rows"], 500);
    let campaign = post("/campaigns", &json!({"name": "Q1", "publish_posts": "off"})).send().expect(201).json();
    assert_eq!(campaign["publish_posts"], false);
}

#[test]
fn a_body_over_the_size_limit_is_rejected() {
    const MAX: usize = 512 * 1024;
    for request in requests_with_body() {
        let response = request.body(" ".repeat(MAX + 1)).send();
        response.expect_error(413, &format!("Request body must be at most {MAX} bytes"));
    }
}

#[test]
fn a_body_that_is_not_a_json_object_is_rejected() {
    for request in requests_with_body() {
        for (body, line, column) in [("", 1, 0), ("{", 1, 1), ("{\n  \"email\": }", 2, 12), ("nothing", 1, 2)] {
            let detail = format!("Validation error: body is not valid JSON (line {line}, column {column})");
            request.clone().body(body).send().expect_error(400, &detail);
        }
        request.body("[]").send().expect_error(400, "Validation error: body must be a JSON object");
    }
}

#[test]
fn a_content_type_may_be_missing_or_have_parameters() {
    let assert_accepted = |response: &Response| assert!([200, 201].contains(&response.status), "{response:?}");
    for request in requests_with_body() {
        assert_accepted(&request.without_header("content-type").send());
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
        for request in requests_with_body() {
            assert_accepted(&request.header("content-type", content_type).send());
        }
    }
}

#[test]
fn validation_errors_are_listed_in_the_documented_order() {
    let body = json!({
        "email": "no address",
        "linkedin_profile": 7,
        "locale": "e",
        "timezone": "Mars/Base",
        "metadata": [],
    });
    let response = post("/contacts", &body).send().expect(400);
    let detail = response.json()["detail"].as_str().unwrap().to_owned();
    let errors = detail.strip_prefix("Validation error: ").unwrap().split("; ");
    let fields: Vec<&str> = errors.map(|error| error.split(' ').next().unwrap()).collect();
    assert_eq!(fields, ["full_name", "email", "linkedin_profile", "locale", "timezone", "metadata"], "{detail}");
}

#[test]
fn path_header_and_query_parameters_are_validated() {
    let not_a_uuid = "Validation error: contact_id must be a valid UUID";
    for request in [get("/contacts/1"), delete("/contacts/1"), put("/contacts/1", &json!({}))] {
        request.send().expect_error(400, not_a_uuid);
    }
    let response = post("/contacts", &jane(&new_email())).header("x-import-id", "1").send();
    response.expect_error(400, "Validation error: X-Import-ID must be a valid UUID");
    let response = get("/contacts?limit=0").send();
    response.expect_error(400, "Validation error: limit must be an integer from 1 to 1000");
}

#[test]
fn every_response_has_the_requests_id() {
    for endpoint in Endpoint::ALL {
        let spec = endpoint.spec();
        let path = spec.path.replace("{contact_id}", &Uuid::now_v7().to_string());
        let id = format!("test-{}", Uuid::new_v4());
        let response = Request::new(spec.method.as_str(), &path).header("x-request-id", &id).send();
        assert_eq!(response.header("x-request-id"), id, "{response:?}");
    }
}

#[test]
fn an_invalid_request_id_is_replaced() {
    let contact = format!("/contacts/{}", new_contact());
    for invalid in ["a b", &"x".repeat(129)] {
        let response = get(&contact).header("x-request-id", invalid).send().expect(200);
        let id = response.header("x-request-id");
        assert!(!id.is_empty() && id != invalid, "{response:?}");
    }
}

#[test]
fn a_repeated_request_gets_the_first_response_again() {
    let (key, body) = (Uuid::new_v4().to_string(), jane(&new_email()));
    let first = post("/contacts", &body).header("idempotency-key", &key).send().expect(201);
    assert_eq!(first.header("idempotent-replayed"), "");

    // The response is the first one, although the contact no longer exists.
    delete(&format!("/contacts/{}", first.id())).send().expect(200);
    for path in ["/contacts", "/contacts/"] {
        let repeated = post(path, &body).header("idempotency-key", &key).send().expect(201);
        assert_eq!(repeated.text, first.text);
        assert_eq!(repeated.header("etag"), first.header("etag"));
        assert_eq!(repeated.header("idempotent-replayed"), "true");
    }
}

#[test]
fn an_idempotency_key_of_a_different_request_is_rejected() {
    let key = Uuid::new_v4().to_string();
    let request = post("/contacts", &jane(&new_email())).header("idempotency-key", &key);
    request.send().expect(201);
    post("/contacts", &jane(&new_email())).header("idempotency-key", &key).send().expect_error(422, REUSED);
    request.header("x-import-id", &new_import()).send().expect_error(422, REUSED);
}

#[test]
fn an_idempotency_key_of_a_failed_request_can_be_used_again() {
    let key = Uuid::new_v4().to_string();
    post("/imports", &json!({})).header("idempotency-key", &key).send().expect(400);
    post("/imports", &json!({"source": "csv"})).header("idempotency-key", &key).send().expect(201);
}

#[test]
fn an_upload_or_a_link_can_be_repeated_at_once_with_its_idempotency_key() {
    let upload = post("/contacts/bulk", &json!([jane(&new_email())]));
    let link = json!({"import_ids": [new_import()]});
    let link = post(&format!("/campaign-imports/{}/imports", new_campaign("draft")), &link);
    for request in [upload, link] {
        let request = request.header("idempotency-key", &Uuid::new_v4().to_string());
        request.send().expect(201);
        // The first request has released the lock of the key.
        request.send().expect(201);
    }
}

#[test]
fn a_write_with_a_stale_version_is_rejected() {
    const STALE: &str = "Contact has changed since it was read";
    let contact = format!("/contacts/{}", new_contact());
    let stale = get(&contact).send().expect(200).header("etag").to_owned();
    let updated = put(&contact, &json!({"locale": "es-ES"})).header("if-match", &stale).send().expect(200);

    put(&contact, &json!({"locale": "en-US"})).header("if-match", &stale).send().expect_error(412, STALE);
    delete(&contact).header("if-match", &stale).send().expect_error(412, STALE);

    delete(&contact).header("if-match", updated.header("etag")).send().expect(200);
}

#[test]
fn a_read_of_a_known_version_has_no_body() {
    let contact = format!("/contacts/{}", new_contact());
    let stale = get(&contact).send().expect(200).header("etag").to_owned();
    put(&contact, &json!({"locale": "es-ES"})).send().expect(200);
    let read = get(&contact).send().expect(200);

    let not_modified = get(&contact).header("if-none-match", read.header("etag")).send().expect(304);
    assert_eq!(not_modified.text, "");
    assert_eq!(not_modified.header("etag"), read.header("etag"));

    get(&contact).header("if-none-match", &stale).send().expect(200);
}

#[test]
fn an_update_without_a_change_keeps_the_version() {
    let contact = format!("/contacts/{}", new_contact());
    let updated = put(&contact, &json!({"locale": "es-ES"})).send().expect(200);
    let unchanged = put(&contact, &json!({"locale": "es-ES"})).send().expect(200);
    assert_eq!(unchanged.text, updated.text);
    assert_eq!(unchanged.header("etag"), updated.header("etag"));
}

#[test]
fn the_pages_of_a_list_contain_every_row_once_newest_first() {
    let import_id = new_import();
    let create = |import_id: &str| {
        post("/contacts", &jane(&new_email())).header("x-import-id", import_id).send().expect(201).id()
    };
    let mut created: Vec<String> = (0..7).map(|_| create(&import_id)).collect();
    created.reverse();

    let mut listed: Vec<String> = Vec::new();
    let mut next = Some(get(&format!("/contacts?import_id={import_id}&limit=3")));
    while let Some(request) = next {
        let page = request.send().expect(200);
        let rows = page.json().as_array().unwrap().clone();
        assert!(rows.len() <= 3, "{page:?}");
        listed.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        next = page.next_page();
        // A contact of another import that is created meanwhile does not shift the pages.
        create(&new_import());
    }

    assert_eq!(listed, created);
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), 7);
    assert_eq!(rows_of_all_pages(&format!("/contacts?import_id={import_id}&limit=1")).len(), 7);
}

#[test]
fn an_unknown_filter_value_matches_nothing_and_an_unknown_cursor_is_rejected() {
    assert_eq!(rows(&format!("/contacts?import_id={}", Uuid::now_v7())), Vec::<Value>::new());
    get("/contacts?cursor=unknown").send().expect(400);
}
