//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::{Id, Import, ImportId};
use shared::testing::{TestApp, TestRequest, parse_body};
use shared::{Endpoint, Response};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, lists
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const TWO: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

/// The sources of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(|page| page.values_of("source")).collect()
}

/// Stores an import one second after the previous one.
async fn import(app: &TestApp, body: Value) -> Import {
    app.advance_clock(TimeDelta::seconds(1));
    app.create_import_from(&app.org, body).await
}

/// Stores the imports `n0` to `n8`, every third of them completed; their sources, newest first.
async fn nine_imports(app: &TestApp) -> Vec<String> {
    let mut sources = Vec::new();
    for n in 0..9 {
        let status = if n % 3 == 0 { "completed" } else { "pending" };
        import(app, json!({"source": format!("n{n}"), "status": status})).await;
        sources.insert(0, format!("n{n}"));
    }
    sources
}

#[tokio::test]
async fn imports_are_listed_newest_first_in_the_form_of_a_new_import() {
    let app = TestApp::new().await;
    let one = import(&app, TestRequest::example(Endpoint::CreateImport).body()).await;
    let two = import(&app, json!({"source": "crm", "mapping_json": {"Name": "full_name"}, "campaign_id": ONE})).await;

    let response = app.list(ENDPOINT, handle, "").await;

    let one_alone = |row| serde_json::to_value(Response::ok(row)).unwrap()["body"].as_str().unwrap().to_owned();
    assert_eq!(response.status, 200);
    assert_eq!(response.text, format!("[{},{}]", one_alone(&two), one_alone(&one)));
    assert_eq!(response.values_of("source"), ["crm", "csv"]);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("link"), "");
}

#[tokio::test]
async fn the_list_is_filtered_by_status_and_by_campaign() {
    let app = TestApp::new().await;
    for (source, status, campaign_id) in [
        ("a", "pending", Some(ONE)),
        ("b", "processing", Some(ONE)),
        ("c", "processing", Some(TWO)),
        ("d", "completed", None),
        ("e", "failed", Some(ONE)),
    ] {
        import(&app, json!({"source": source, "status": status, "campaign_id": campaign_id})).await;
    }
    for (query, expected) in [
        // No filter.
        (String::new(), ["e", "d", "c", "b", "a"].as_slice()),
        ("unknown=x".to_owned(), &["e", "d", "c", "b", "a"]),
        // By status.
        ("status=pending".to_owned(), &["a"]),
        ("status=processing".to_owned(), &["c", "b"]),
        ("status=completed".to_owned(), &["d"]),
        ("status=failed".to_owned(), &["e"]),
        // By campaign.
        (format!("campaign_id={ONE}"), &["e", "b", "a"]),
        (format!("campaign_id={}", TWO.to_uppercase()), &["c"]),
        // By both.
        (format!("campaign_id={ONE}&status=processing"), &["b"]),
        (format!("campaign_id={TWO}&status=pending"), &[]),
    ] {
        assert_eq!(app.list(ENDPOINT, handle, &query).await.values_of("source"), expected, "{query}");
    }
}

#[tokio::test]
async fn the_pages_together_are_the_list() {
    let app = TestApp::new().await;
    let sources = nine_imports(&app).await;

    assert_eq!(pages(&app, "limit=4").await.concat(), sources);
    assert_eq!(pages(&app, "status=completed&limit=2").await, [vec!["n6", "n3"], vec!["n0"]]);
}

#[tokio::test]
async fn changes_between_two_pages_neither_skip_nor_repeat_a_row() {
    let app = TestApp::new().await;
    let sources = nine_imports(&app).await;
    let first = app.list(ENDPOINT, handle, "limit=4").await;
    let last_of_first = ImportId::parse(&first.values_of("id")[3]).unwrap();

    import(&app, json!({"source": "new"})).await;
    let imports = app.ctx().imports(&app.principal(&app.org).await);
    imports.update(last_of_first, &parse_body(json!({"source": "changed"}))).await.unwrap();
    imports.delete(last_of_first).await.unwrap();

    let second = app.list(ENDPOINT, handle, &first.next_page_query(ENDPOINT).unwrap()).await;
    assert_eq!(second.values_of("source"), sources[4..8]);
}

#[tokio::test]
async fn an_invalid_query_is_a_validation_error() {
    let app = TestApp::new().await;
    let status = "status must be one of pending processing completed failed";
    let campaign_id = "campaign_id must be a valid UUID";
    let all_parameters = "limit must be an integer from 1 to 1000; \
                          cursor must be the cursor of a Link header; \
                          status must be one of pending processing completed failed; \
                          campaign_id must be a valid UUID";
    for (query, detail) in [
        ("status=PENDING", status),
        ("status=active", status),
        ("status=pending&status=failed", "status must be given once"),
        ("campaign_id=42", campaign_id),
        ("campaign_id=all", campaign_id),
        ("campaign_id=x&status=x&cursor=x&limit=x", all_parameters),
    ] {
        let response = app.list(ENDPOINT, handle, query).await;
        assert_eq!(response.status, 400, "{query}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{query}");
    }
}
