//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::{Value, json};
use shared::domain::Import;
use shared::testing::{TestApp, TestRequest, parse_body};
use shared::{Endpoint, Response};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::ListImports;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, lists
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const TWO: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

/// The sources of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(|page| page.values_of("source")).collect()
}

/// Stores an import, a second after whichever was before.
async fn import(app: &TestApp, body: Value) -> Import {
    app.advance_clock(chrono::TimeDelta::seconds(1));
    app.create_import_from(&app.org, body).await
}

#[tokio::test]
async fn imports_are_listed_newest_first_as_they_are_shown() {
    let app = TestApp::new().await;
    let one = import(&app, TestRequest::example(Endpoint::CreateImport).body()).await;
    let two = import(&app, json!({"source": "crm", "mapping_json": {"Name": "full_name"}, "campaign_id": ONE})).await;
    let answer = app.list(ENDPOINT, handle, "").await;
    let expected: Value = serde_json::to_value(Response::list([&two, &one])).unwrap();
    assert_eq!((answer.status, &json!(answer.text)), (200, &expected["body"]));
    assert_eq!(answer.values_of("source"), ["crm", "csv"]);
    assert_eq!((answer.header("content-type"), answer.header("link")), ("application/json", ""));
}

#[tokio::test]
async fn a_list_is_filtered_by_status_and_by_campaign() {
    let app = TestApp::new().await;
    for (source, status, campaign) in [
        ("a", "pending", json!(ONE)),
        ("b", "processing", json!(ONE)),
        ("c", "processing", json!(TWO)),
        ("d", "completed", json!(null)),
        ("e", "failed", json!(ONE)),
    ] {
        import(&app, json!({"source": source, "status": status, "campaign_id": campaign})).await;
    }
    for (query, expected) in [
        (String::new(), ["e", "d", "c", "b", "a"].as_slice()),
        ("status=pending".to_owned(), &["a"]),
        ("status=processing".to_owned(), &["c", "b"]),
        ("status=completed".to_owned(), &["d"]),
        ("status=failed".to_owned(), &["e"]),
        (format!("campaign_id={ONE}"), &["e", "b", "a"]),
        (format!("campaign_id={}", TWO.to_uppercase()), &["c"]),
        (format!("campaign_id={ONE}&status=processing"), &["b"]),
        (format!("campaign_id={TWO}&status=pending"), &[]),
        ("unknown=x".to_owned(), &["e", "d", "c", "b", "a"]),
    ] {
        assert_eq!(app.list(ENDPOINT, handle, &query).await.values_of("source"), expected, "{query}");
    }
}

#[tokio::test]
async fn a_list_goes_on_where_its_page_ended() {
    let app = TestApp::new().await;
    let mut expected = Vec::new();
    for n in 0..9 {
        let status = if n % 3 == 0 { "completed" } else { "pending" };
        import(&app, json!({"source": format!("n{n}"), "status": status})).await;
        expected.insert(0, format!("n{n}"));
    }
    assert_eq!(pages(&app, "limit=4").await.concat(), expected);
    assert_eq!(pages(&app, "status=completed&limit=2").await, [vec!["n6", "n3"], vec!["n0"]]);
    // What others do between two pages neither skips nor repeats a row.
    let first = app.list(ENDPOINT, handle, "limit=4").await;
    let cursor = first.next_page_query(ENDPOINT).unwrap();
    import(&app, json!({"source": "new"})).await;
    let id = shared::domain::Id::parse(first.json()[3]["id"].as_str().unwrap()).unwrap();
    let imports = app.ctx().imports(&app.principal(&app.org).await);
    imports.update(id, &parse_body(json!({"source": "changed"}))).await.unwrap();
    imports.delete(id).await.unwrap();
    assert_eq!(app.list(ENDPOINT, handle, &cursor).await.values_of("source"), expected[4..8]);
}

#[tokio::test]
async fn what_is_wrong_with_the_query_is_said_at_once() {
    let app = TestApp::new().await;
    let limit = "limit must be an integer from 1 to 1000";
    let status = "status must be one of pending processing completed failed";
    let campaign = "campaign_id must be a valid UUID";
    let all = format!("{limit}; cursor must be the cursor of a Link header; {status}; {campaign}");
    for (query, detail) in [
        ("status=", status),
        ("status=PENDING", status),
        ("status=active", status),
        ("status=pending&status=failed", "status must be given once"),
        ("campaign_id=42", campaign),
        ("campaign_id=all", campaign),
        ("campaign_id=x&status=x&cursor=x&limit=x", &all),
    ] {
        let answer = app.list(ENDPOINT, handle, query).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
}
