//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::json;
use shared::Endpoint;
use shared::domain::{CompanyId, CompanyName, Id, ids, time};
use shared::dynamodb::keys;
use shared::testing::{Tenant, TestApp, jane};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::ListCompanies;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, lists
);

/// The names of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(|page| page.values_of("name")).collect()
}

/// Stores a contact of this company.
async fn at(app: &TestApp, tenant: &Tenant, company: &str) {
    let mut body = jane(&format!("{}@example.com", ids::uuid_at(chrono::Utc::now())));
    body["company"] = json!(company);
    app.create_contact(tenant, body, None).await;
}

#[tokio::test]
async fn what_contacts_named_is_shown_in_its_first_spelling() {
    let app = TestApp::new().await;
    at(&app, &app.org, " Tech  Corp ").await;
    at(&app, &app.org, "TECHCORP").await;
    let answer = app.list(ENDPOINT, handle, "").await;
    let id = answer.json()[0]["id"].as_str().unwrap().to_owned();
    let made = time::to_seconds(ids::moment_of(CompanyId::parse(&id).unwrap().into()));
    let org_id = app.org.org_id;
    let expected = format!(r#"[{{"id":"{id}","org_id":"{org_id}","name":"Tech  Corp","created_at":"{made}"}}]"#);
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!((answer.header("content-type"), answer.header("link")), ("application/json", ""));
}

#[tokio::test]
async fn a_company_is_found_by_its_name_as_it_is_compared() {
    let app = TestApp::new().await;
    for company in ["Acme Inc.", "Große Straße", "Café", "株式会社アクメ", "AT&T"] {
        at(&app, &app.org, company).await;
    }
    at(&app, &app.other, "Theirs").await;
    for (query, expected) in [
        ("name=Acme+Inc.", ["Acme Inc."].as_slice()),
        ("name=%20acme%20%20INC.%20", &["Acme Inc."]),
        ("name=acmeinc.", &["Acme Inc."]),
        ("name=GROSSE+STRASSE", &["Große Straße"]),
        ("name=cafe%CC%81", &["Café"]),
        ("name=%E6%A0%AA%E5%BC%8F%E4%BC%9A%E7%A4%BE%E3%82%A2%E3%82%AF%E3%83%A1", &["株式会社アクメ"]),
        ("name=at%26t", &["AT&T"]),
        ("name=Acme", &[]),
        ("name=Acme+Inc", &[]),
        ("name=Theirs", &[]),
        ("name=%23", &[]),
        ("name=Acme+Inc.&limit=1", &["Acme Inc."]),
    ] {
        let answer = app.list(ENDPOINT, handle, query).await;
        assert_eq!(answer.values_of("name"), expected, "{query}");
        assert_eq!(answer.header("link"), "", "{query}");
    }
}

#[tokio::test]
async fn a_list_goes_on_where_its_page_ended() {
    let app = TestApp::new().await;
    // In the order of their compared names: case and space do not count, and no script is left out.
    let expected = ["3M", "acme", "ACME Inc.", "b c", "BD", "Zeta", "Ärzte", "Ωmega", "株式会社アクメ", "🚀"];
    for company in [6, 0, 9, 3, 1, 8, 2, 5, 7, 4].map(|index: usize| expected[index]) {
        at(&app, &app.org, company).await;
    }
    assert_eq!(pages(&app, "limit=4").await.concat(), expected);
    // What others make between two pages neither skips nor repeats a row.
    let first = app.list(ENDPOINT, handle, "limit=4").await;
    let next = first.next_page_query(ENDPOINT).unwrap();
    at(&app, &app.org, "Abel").await;
    at(&app, &app.org, "Yak").await;
    assert_eq!(app.list(ENDPOINT, handle, &next).await.values_of("name"), ["BD", "Yak", "Zeta", "Ärzte"]);
    let cursor = next.split("cursor=").nth(1).unwrap();
    for (name, expected) in [("Zeta", vec!["Zeta"]), ("b+c", vec![]), ("acme", vec![])] {
        let answer = app.list(ENDPOINT, handle, &format!("cursor={cursor}&name={name}")).await;
        assert_eq!(answer.values_of("name"), expected, "{name}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_query_is_said_at_once() {
    let app = TestApp::new().await;
    let limit = "limit must be an integer from 1 to 1000";
    let cursor = "cursor must be the cursor of a Link header";
    let all = format!("{limit}; {cursor}; name must not be blank");
    // The place of an id, which is none among names.
    let of_another_list = "cursor=AZJN0UqAcACAAAAAAAAAAQ";
    for (query, detail) in [
        (of_another_list, cursor),
        ("cursor=YWNtZQ", cursor),
        ("name=", "name must not be blank"),
        ("name=+%C2%A0", "name must not be blank"),
        ("name=a&name=b", "name must be given once"),
        ("name=&cursor=%23&limit=x", &all),
    ] {
        let answer = app.list(ENDPOINT, handle, query).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_a_fault_and_says_nothing() {
    let app = TestApp::new().await;
    let key = keys::company(app.org.org_id, &CompanyName::parse("Acme").unwrap().key());
    app.put_item(&key, json!({"type": {"S": "company"}, "id": {"S": "canary"}})).await;
    for query in ["", "name=Acme"] {
        let answer = app.list(ENDPOINT, handle, query).await;
        assert_eq!((answer.status, answer.text.as_str()), (500, r#"{"detail":"Internal server error"}"#), "{query}");
    }
}
