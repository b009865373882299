//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::{Value, json};
use shared::domain::Campaign;
use shared::testing::{TestApp, TestRequest, parse_body};
use shared::{Endpoint, Response};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::ListCampaigns;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, lists
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const TWO: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

/// The names of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(|page| page.values_of("name")).collect()
}

/// Stores a campaign, a second after whichever was before.
async fn campaign(app: &TestApp, body: Value) -> Campaign {
    app.advance_clock(chrono::TimeDelta::seconds(1));
    app.create_campaign(body).await
}

#[tokio::test]
async fn campaigns_are_listed_newest_first_as_they_are_shown() {
    let app = TestApp::new().await;
    let one = campaign(&app, TestRequest::example(Endpoint::CreateCampaign).body()).await;
    let two = campaign(&app, json!({"name": "Q2"})).await;
    let answer = app.list(ENDPOINT, handle, "").await;
    let expected: Value = serde_json::to_value(Response::list([&two, &one])).unwrap();
    assert_eq!((answer.status, &json!(answer.text)), (200, &expected["body"]));
    assert_eq!(answer.values_of("name"), ["Q2", "Q1-2024"]);
    assert_eq!((answer.header("content-type"), answer.header("link")), ("application/json", ""));
}

#[tokio::test]
async fn a_list_is_filtered_by_status_and_by_profile() {
    let app = TestApp::new().await;
    for (name, status, profile) in [
        ("a", "draft", json!(ONE)),
        ("b", "active", json!(ONE)),
        ("c", "active", json!(TWO)),
        ("d", "paused", json!(null)),
        ("e", "archived", json!(ONE)),
    ] {
        campaign(&app, json!({"name": name, "status": status, "icp_profile_id": profile})).await;
    }
    for (query, expected) in [
        (String::new(), ["e", "d", "c", "b", "a"].as_slice()),
        ("status=draft".to_owned(), &["a"]),
        ("status=active".to_owned(), &["c", "b"]),
        ("status=paused".to_owned(), &["d"]),
        ("status=archived".to_owned(), &["e"]),
        (format!("icp_profile_id={ONE}"), &["e", "b", "a"]),
        (format!("icp_profile_id={}", TWO.to_uppercase()), &["c"]),
        (format!("icp_profile_id={ONE}&status=active"), &["b"]),
        (format!("icp_profile_id={TWO}&status=draft"), &[]),
        ("unknown=x".to_owned(), &["e", "d", "c", "b", "a"]),
    ] {
        assert_eq!(app.list(ENDPOINT, handle, &query).await.values_of("name"), expected, "{query}");
    }
}

#[tokio::test]
async fn a_list_goes_on_where_its_page_ended() {
    let app = TestApp::new().await;
    let mut expected = Vec::new();
    for n in 0..9 {
        let status = if n % 3 == 0 { "active" } else { "draft" };
        campaign(&app, json!({"name": format!("n{n}"), "status": status})).await;
        expected.insert(0, format!("n{n}"));
    }
    assert_eq!(pages(&app, "limit=4").await.concat(), expected);
    assert_eq!(pages(&app, "status=active&limit=2").await.concat(), ["n6", "n3", "n0"]);
    // What others do between two pages neither skips nor repeats a row.
    let first = app.list(ENDPOINT, handle, "limit=4").await;
    let cursor = first.next_page_query(ENDPOINT).unwrap();
    campaign(&app, json!({"name": "new"})).await;
    let last = first.json()[3]["id"].as_str().unwrap().to_owned();
    let campaigns = app.ctx().campaigns(&app.principal(&app.org).await);
    let id = shared::domain::Id::parse(&last).unwrap();
    campaigns.update(id, &parse_body(json!({"name": "changed"}))).await.unwrap();
    campaigns.delete(id).await.unwrap();
    assert_eq!(app.list(ENDPOINT, handle, &cursor).await.values_of("name"), expected[4..8]);
}

#[tokio::test]
async fn what_is_wrong_with_the_query_is_said_at_once() {
    let app = TestApp::new().await;
    let limit = "limit must be an integer from 1 to 1000";
    let status = "status must be one of draft active paused archived";
    let profile = "icp_profile_id must be a valid UUID";
    let all = format!("{limit}; cursor must be the cursor of a Link header; {status}; {profile}");
    for (query, detail) in [
        ("status=", status),
        ("status=ACTIVE", status),
        ("status=active&status=draft", "status must be given once"),
        ("icp_profile_id=42", profile),
        ("icp_profile_id=", profile),
        ("icp_profile_id=x&status=x&cursor=x&limit=x", &all),
    ] {
        let answer = app.list(ENDPOINT, handle, query).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
}
