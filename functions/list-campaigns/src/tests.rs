//! `handle` behind the whole way of a request, on a table of its own.

use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::Campaign;
use shared::http::{CampaignView, Reply};
use shared::testing::{Answer, Request, TestApp, read};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::ListCampaigns;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs
);

const ONE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const TWO: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae8";

async fn list(app: &TestApp, query: &str) -> Answer {
    app.send(ENDPOINT, handle, &Request::to(ENDPOINT, &app.org).query(query)).await
}

/// The names that an answer shows, in its order.
fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    body.as_array().unwrap().iter().map(|campaign| campaign["name"].as_str().unwrap().to_owned()).collect()
}

/// Every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    let (mut query, mut pages) = (query.to_owned(), Vec::new());
    loop {
        let answer = list(app, &query).await;
        pages.push(names(&answer));
        let Some(link) = answer.header("link").strip_prefix("</campaigns/?") else { return pages };
        link.strip_suffix(">; rel=\"next\"").unwrap().clone_into(&mut query);
    }
}

/// Stores a campaign, a second after whichever was before.
async fn campaign(app: &TestApp, body: Value) -> Campaign {
    app.pass(chrono::TimeDelta::seconds(1));
    app.campaign(body).await
}

#[tokio::test]
async fn campaigns_are_listed_newest_first_as_they_are_shown() {
    let app = TestApp::new().await;
    let answer = list(&app, "").await;
    assert_eq!((answer.status, answer.text.as_str(), answer.header("link")), (200, "[]", ""));
    let one = campaign(&app, Request::example(Endpoint::CreateCampaign).body()).await;
    let two = campaign(&app, json!({"name": "Q2"})).await;
    let answer = list(&app, "").await;
    let expected = Reply::list([&two, &one].map(CampaignView::of));
    let expected: Value = serde_json::to_value(expected).unwrap();
    assert_eq!((answer.status, &json!(answer.text)), (200, &expected["body"]));
    assert_eq!(names(&answer), ["Q2", "Q1-2024"]);
    assert_eq!((answer.header("content-type"), answer.header("link")), ("application/json", ""));
    let theirs = Request::to(ENDPOINT, &app.other).query("");
    assert_eq!(app.send(ENDPOINT, handle, &theirs).await.text, "[]", "each organization sees its own");
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
        assert_eq!(names(&list(&app, &query).await), expected, "{query}");
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
    for (query, lengths) in
        [("limit=4", vec![4, 4, 1]), ("limit=3", vec![3, 3, 3]), ("limit=9", vec![9]), ("limit=1000", vec![9])]
    {
        let pages = pages(&app, query).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{query}");
        assert_eq!(pages.concat(), expected, "{query}");
    }
    assert_eq!(pages(&app, "status=active&limit=2").await.concat(), ["n6", "n3", "n0"]);
    // What others do between two pages neither skips nor repeats a row.
    let first = list(&app, "limit=4").await;
    let cursor = first.header("link").split(['?', '>']).nth(1).unwrap().to_owned();
    campaign(&app, json!({"name": "new"})).await;
    let last = first.json()[3]["id"].as_str().unwrap().to_owned();
    let campaigns = app.app().campaigns(&app.principal(&app.org).await);
    let id = shared::domain::Id::parse(&last).unwrap();
    campaigns.update(id, &read(json!({"name": "changed"}))).await.unwrap();
    campaigns.delete(id).await.unwrap();
    assert_eq!(names(&list(&app, &cursor).await), expected[4..8]);
}

#[tokio::test]
async fn what_is_wrong_with_the_query_is_said_at_once() {
    let app = TestApp::new().await;
    let limit = "limit must be an integer from 1 to 1000";
    let status = "status must be one of draft active paused archived";
    let profile = "icp_profile_id must be a valid UUID";
    let all = format!("{limit}; cursor must be the cursor of a Link header; {status}; {profile}");
    for (query, detail) in [
        ("limit=0", limit),
        ("limit=1001", limit),
        ("status=", status),
        ("status=ACTIVE", status),
        ("status=active&status=draft", "status must be given once"),
        ("icp_profile_id=42", profile),
        ("icp_profile_id=", profile),
        ("icp_profile_id=x&status=x&cursor=x&limit=x", &all),
    ] {
        let answer = list(&app, query).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
}
