//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::{TimeDelta, Utc};
use serde_json::json;
use shared::domain::{CompanyName, time};
use shared::dynamodb::keys;
use shared::system;
use shared::testing::{Tenant, TestApp, jane};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, lists
);

/// The companies of [`ten_companies`] in the order of the list: by name without case and spaces, in any script.
const TEN_COMPANIES: [&str; 10] =
    ["3M", "acme", "ACME Inc.", "b c", "BD", "Zeta", "Ärzte", "Ωmega", "株式会社アクメ", "🚀"];

/// The names of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(|page| page.values_of("name")).collect()
}

/// Stores a contact of this company.
async fn contact_of(app: &TestApp, tenant: &Tenant, company: &str) {
    let mut body = jane(&format!("{}@example.com", system::rng().uuid_v7(Utc::now())));
    body["company"] = json!(company);
    app.create_contact(tenant, body, None).await;
}

/// Stores contacts of [`TEN_COMPANIES`], in another order than the list's.
async fn ten_companies(app: &TestApp) {
    for index in [6, 0, 9, 3, 1, 8, 2, 5, 7, 4] {
        contact_of(app, &app.org, TEN_COMPANIES[index]).await;
    }
}

#[tokio::test]
async fn a_company_is_shown_in_its_first_spelling() {
    let app = TestApp::new().await;
    contact_of(&app, &app.org, " Tech  Corp ").await;
    contact_of(&app, &app.org, "TECHCORP").await;

    let response = app.list(ENDPOINT, handle, "").await;

    let companies = response.json();
    let (id, org_id) = (companies[0]["id"].as_str().unwrap(), app.org.org_id);
    let created_at = companies[0]["created_at"].as_str().unwrap();
    let expected = format!(r#"[{{"id":"{id}","org_id":"{org_id}","name":"Tech  Corp","created_at":"{created_at}"}}]"#);
    assert_eq!(response.status, 200);
    assert_eq!(response.text, expected);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("link"), "");
    let age = Utc::now() - time::parse(created_at).unwrap();
    assert!(age >= TimeDelta::zero() && age < TimeDelta::minutes(1), "{created_at}");
}

#[tokio::test]
async fn a_company_is_found_by_every_spelling_of_its_name() {
    let app = TestApp::new().await;
    for company in ["Acme Inc.", "Große Straße", "Café", "株式会社アクメ", "AT&T"] {
        contact_of(&app, &app.org, company).await;
    }
    contact_of(&app, &app.other, "Theirs").await;
    for (query, expected) in [
        // Case and spaces.
        ("name=Acme+Inc.", ["Acme Inc."].as_slice()),
        ("name=%20acme%20%20INC.%20", &["Acme Inc."]),
        ("name=acmeinc.", &["Acme Inc."]),
        // Unicode case folding and normalization.
        ("name=GROSSE+STRASSE", &["Große Straße"]),
        ("name=cafe%CC%81", &["Café"]),
        ("name=%E6%A0%AA%E5%BC%8F%E4%BC%9A%E7%A4%BE%E3%82%A2%E3%82%AF%E3%83%A1", &["株式会社アクメ"]),
        ("name=at%26t", &["AT&T"]),
        // Neither a part of a name nor a name of another organization.
        ("name=Acme", &[]),
        ("name=Acme+Inc", &[]),
        ("name=Theirs", &[]),
        ("name=%23", &[]),
        // The one match is the last page.
        ("name=Acme+Inc.&limit=1", &["Acme Inc."]),
    ] {
        let response = app.list(ENDPOINT, handle, query).await;
        assert_eq!(response.values_of("name"), expected, "{query}");
        assert_eq!(response.header("link"), "", "{query}");
    }
}

#[tokio::test]
async fn the_pages_together_are_the_list_by_name() {
    let app = TestApp::new().await;
    ten_companies(&app).await;

    let pages = pages(&app, "limit=4").await;

    assert_eq!(pages.concat(), TEN_COMPANIES);
}

#[tokio::test]
async fn companies_created_between_two_pages_neither_skip_nor_repeat_a_row() {
    let app = TestApp::new().await;
    ten_companies(&app).await;
    let first = app.list(ENDPOINT, handle, "limit=4").await;

    contact_of(&app, &app.org, "Abel").await;
    contact_of(&app, &app.org, "Yak").await;

    let second = app.list(ENDPOINT, handle, &first.next_page_query(ENDPOINT).unwrap()).await;
    assert_eq!(first.values_of("name"), ["3M", "acme", "ACME Inc.", "b c"]);
    assert_eq!(second.values_of("name"), ["BD", "Yak", "Zeta", "Ärzte"]);
}

#[tokio::test]
async fn a_cursor_hides_the_companies_up_to_it_from_a_search_by_name() {
    let app = TestApp::new().await;
    ten_companies(&app).await;
    let first = app.list(ENDPOINT, handle, "limit=4").await.next_page_query(ENDPOINT).unwrap();
    let (_, cursor) = first.split_once("cursor=").unwrap();
    for (name, expected) in [("Zeta", ["Zeta"].as_slice()), ("b+c", &[]), ("acme", &[])] {
        let response = app.list(ENDPOINT, handle, &format!("cursor={cursor}&name={name}")).await;
        assert_eq!(response.values_of("name"), expected, "{name}");
    }
}

#[tokio::test]
async fn an_invalid_query_is_a_validation_error() {
    let app = TestApp::new().await;
    let cursor = "cursor must be the cursor of a Link header";
    let all_parameters = "limit must be an integer from 1 to 1000; \
                          cursor must be the cursor of a Link header; \
                          name must not be blank";
    // The cursor of a list by id, while this list is by name.
    let cursor_by_id = "cursor=AZJN0UqAcACAAAAAAAAAAQ";
    for (query, detail) in [
        (cursor_by_id, cursor),
        ("name=%20", "name must not be blank"),
        ("name=+%C2%A0", "name must not be blank"),
        ("name=a&name=b", "name must be given once"),
        ("name=%20&cursor=%23&limit=x", all_parameters),
    ] {
        let response = app.list(ENDPOINT, handle, query).await;
        assert_eq!(response.status, 400, "{query}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{query}");
    }
}

#[tokio::test]
async fn an_unreadable_company_hides_no_other() {
    let app = TestApp::new().await;
    for company in ["Zenith", "Acme"] {
        contact_of(&app, &app.org, company).await;
    }
    let key = keys::company(app.org.org_id, &CompanyName::parse("Beta").unwrap().key());
    app.put_item(&key, json!({"type": {"S": "company"}, "id": {"S": "canary"}})).await;
    for (query, expected) in [("", &["Acme", "Zenith"][..]), ("name=Beta", &[])] {
        assert_eq!(app.list(ENDPOINT, handle, query).await.values_of("name"), expected, "{query}");
    }
    assert_eq!(pages(&app, "limit=1").await.concat(), ["Acme", "Zenith"]);
}
