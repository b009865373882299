//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::{Campaign, CampaignId, Id};
use shared::testing::{TestApp, TestRequest, parse_body};
use shared::{Endpoint, Response};

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, lists
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const TWO: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

/// The names of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(|page| page.values_of("name")).collect()
}

/// Stores a campaign one second after the previous one.
async fn campaign(app: &TestApp, body: Value) -> Campaign {
    app.advance_clock(TimeDelta::seconds(1));
    app.create_campaign(body).await
}

/// Stores the campaigns `n0` to `n8`, every third of them active; their names, newest first.
async fn nine_campaigns(app: &TestApp) -> Vec<String> {
    let mut names = Vec::new();
    for n in 0..9 {
        let status = if n % 3 == 0 { "active" } else { "draft" };
        campaign(app, json!({"name": format!("n{n}"), "status": status})).await;
        names.insert(0, format!("n{n}"));
    }
    names
}

/// In a response, each quotation mark of a description takes four bytes.
#[tokio::test]
async fn campaigns_that_do_not_fit_into_one_response_are_on_the_next_page() {
    let app = TestApp::new().await;
    let description = "\"".repeat(5_000);
    for n in 0..400 {
        app.create_campaign(json!({"name": format!("n{n}"), "description": description})).await;
    }

    let pages = pages(&app, "").await;

    let mut names = pages.concat();
    assert_eq!((pages.len(), names.len()), (2, 400));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 400, "no campaign is repeated");
}

#[tokio::test]
async fn campaigns_are_listed_newest_first_in_the_form_of_a_single_campaign() {
    let app = TestApp::new().await;
    let one = campaign(&app, TestRequest::example(Endpoint::CreateCampaign).body()).await;
    let two = campaign(&app, json!({"name": "Q2"})).await;

    let response = app.list(ENDPOINT, handle, "").await;

    let one_alone = |row| serde_json::to_value(Response::ok(row)).unwrap()["body"].as_str().unwrap().to_owned();
    assert_eq!(response.status, 200);
    assert_eq!(response.text, format!("[{},{}]", one_alone(&two), one_alone(&one)));
    assert_eq!(response.values_of("name"), ["Q2", "Q1-2024"]);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("link"), "");
}

#[tokio::test]
async fn the_list_is_filtered_by_status_and_by_profile() {
    let app = TestApp::new().await;
    for (name, status, icp_profile_id) in [
        ("a", "draft", Some(ONE)),
        ("b", "active", Some(ONE)),
        ("c", "active", Some(TWO)),
        ("d", "paused", None),
        ("e", "archived", Some(ONE)),
    ] {
        campaign(&app, json!({"name": name, "status": status, "icp_profile_id": icp_profile_id})).await;
    }
    for (query, expected) in [
        // No filter.
        (String::new(), ["e", "d", "c", "b", "a"].as_slice()),
        ("unknown=x".to_owned(), &["e", "d", "c", "b", "a"]),
        // By status.
        ("status=draft".to_owned(), &["a"]),
        ("status=active".to_owned(), &["c", "b"]),
        ("status=paused".to_owned(), &["d"]),
        ("status=archived".to_owned(), &["e"]),
        // By profile.
        (format!("icp_profile_id={ONE}"), &["e", "b", "a"]),
        (format!("icp_profile_id={}", TWO.to_uppercase()), &["c"]),
        // By both.
        (format!("icp_profile_id={ONE}&status=active"), &["b"]),
        (format!("icp_profile_id={TWO}&status=draft"), &[]),
    ] {
        assert_eq!(app.list(ENDPOINT, handle, &query).await.values_of("name"), expected, "{query}");
    }
}

#[tokio::test]
async fn the_pages_together_are_the_list() {
    let app = TestApp::new().await;
    let names = nine_campaigns(&app).await;

    assert_eq!(pages(&app, "limit=4").await.concat(), names);
    assert_eq!(pages(&app, "status=active&limit=2").await.concat(), ["n6", "n3", "n0"]);
}

#[tokio::test]
async fn changes_between_two_pages_neither_skip_nor_repeat_a_row() {
    let app = TestApp::new().await;
    let names = nine_campaigns(&app).await;
    let first = app.list(ENDPOINT, handle, "limit=4").await;
    let last_of_first = CampaignId::parse(&first.values_of("id")[3]).unwrap();

    campaign(&app, json!({"name": "new"})).await;
    let campaigns = app.ctx().campaigns(&app.principal(&app.org).await);
    campaigns.update(last_of_first, &parse_body(json!({"name": "changed"}))).await.unwrap();
    campaigns.delete(last_of_first).await.unwrap();

    let second = app.list(ENDPOINT, handle, &first.next_page_query(ENDPOINT).unwrap()).await;
    assert_eq!(second.values_of("name"), names[4..8]);
}

#[tokio::test]
async fn an_invalid_query_is_a_validation_error() {
    let app = TestApp::new().await;
    let status = "status must be one of draft active paused archived";
    let icp_profile_id = "icp_profile_id must be a valid UUID";
    let all_parameters = "limit must be an integer from 1 to 1000; \
                          cursor must be the cursor of a Link header; \
                          status must be one of draft active paused archived; \
                          icp_profile_id must be a valid UUID";
    for (query, detail) in [
        ("status=ACTIVE", status),
        ("status=active&status=draft", "status must be given once"),
        ("icp_profile_id=42", icp_profile_id),
        ("icp_profile_id=x&status=x&cursor=x&limit=x", all_parameters),
    ] {
        let response = app.list(ENDPOINT, handle, query).await;
        assert_eq!(response.status, 400, "{query}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{query}");
    }
}
