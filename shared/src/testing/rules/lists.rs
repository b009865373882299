//! Lists, page by page.

use serde_json::json;

use super::credentials::bearer;
use super::valid_request::new_email;
use crate::domain::Scope;
use crate::endpoint::Endpoint;
use crate::http::Handler;
use crate::testing::{Tenant, TestApp, TestRequest, jane};

/// A list comes in pages of the requested size, each of which continues where the previous one ended, and holds the rows
/// of one organization.
pub async fn lists(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    create_three_rows_of_every_list(&app).await;
    pages_have_the_requested_size(&app, endpoint, handle).await;
    links_begin_with_the_path_of_the_base_url(&app, endpoint, handle).await;
    organizations_see_their_own_rows(&app, endpoint, handle).await;
    empty_parameters_count_as_not_sent(&app, endpoint, handle).await;
    invalid_queries_are_refused(&app, endpoint, handle).await;
}

async fn create_three_rows_of_every_list(app: &TestApp) {
    for company in ["Tech Corp", "Other Corp", "First Corp"] {
        let mut contact = jane(&new_email());
        contact["company"] = json!(company);
        app.create_contact(&app.org, contact, None).await;
        // Together with its contact, its import and its campaign.
        app.create_lead().await;
        // Together with an entry of the audit log.
        app.create_api_key(&[Scope::Read]).await;
    }
}

async fn pages_have_the_requested_size(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let ids = app.list(endpoint, handle, "").await.values_of("id");
    for (limit, size) in [("1", 1), ("2", 2), ("0010", 10), ("1000", 1000), (&ids.len().to_string(), ids.len())] {
        let responses = app.list_all_pages(endpoint, handle, &format!("limit={limit}&unknown=x")).await;

        let pages: Vec<_> = responses.iter().map(|page| page.values_of("id")).collect();
        assert_eq!(pages, ids.chunks(size).collect::<Vec<_>>(), "{limit}");
    }
}

async fn links_begin_with_the_path_of_the_base_url(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let ids = app.list(endpoint, handle, "").await.values_of("id");
    let at_stage = TestRequest::to(endpoint, &app.org).stage("v1");

    let first = app.send(endpoint, handle, &at_stage.clone().query("limit=1")).await;

    let link = first.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    let (path, query) = link.and_then(|link| link.split_once('?')).expect("there are three rows");
    assert_eq!(path, format!("/v1{}/", endpoint.spec().path));

    let second = app.send(endpoint, handle, &at_stage.path(path).query(query)).await;

    assert_eq!(second.values_of("id"), ids[1..2]);
}

async fn organizations_see_their_own_rows(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let ids = app.list(endpoint, handle, "").await.values_of("id");
    let second_page =
        app.list(endpoint, handle, "limit=1").await.next_page_query(endpoint).expect("there are three rows");
    let new_organization = bearer(&Tenant::new(), &json!({"scope": "admin"}));
    let without_rows =
        TestRequest::example(endpoint).without_header("x-api-key").header("authorization", &new_organization);
    for query in ["", &second_page] {
        let response = app.send(endpoint, handle, &without_rows.clone().query(query)).await;

        assert_eq!((response.status, response.text.as_str(), response.header("link")), (200, "[]", ""), "{query}");
    }

    let of_other = app.send(endpoint, handle, &TestRequest::to(endpoint, &app.other)).await.values_of("id");

    assert!(of_other.iter().all(|id| !ids.contains(id)), "{of_other:?}");
}

async fn empty_parameters_count_as_not_sent(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let all = app.list(endpoint, handle, "").await;
    for param in endpoint.spec().query {
        let response = app.list(endpoint, handle, &format!("{}=", param.name)).await;

        assert_eq!((response.status, &response.text), (200, &all.text), "{}", param.name);
    }
    let ids = app.list(endpoint, handle, "limit=&limit=1&limit=").await.values_of("id");
    assert_eq!(ids, all.values_of("id")[..1]);
}

async fn invalid_queries_are_refused(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let second_page =
        app.list(endpoint, handle, "limit=1").await.next_page_query(endpoint).expect("there are three rows");
    let cursor_twice = format!("{second_page}&{second_page}").replace("limit=1", "");
    let (limit, cursor) = ("limit must be an integer from 1 to 1000", "cursor must be the cursor of a Link header");
    for (query, detail) in [
        ("limit=0", limit),
        ("limit=1001", limit),
        ("limit=-1", limit),
        ("limit=1e2", limit),
        ("limit=1&limit=2", "limit must be given once"),
        ("cursor=x", cursor),
        ("cursor=AAAAAAAAAAAAAAAAAAAAAB", cursor),
        ("cursor=AAAAAAAAAAAAAAAAAAAAAA==", cursor),
        ("cursor=CONTACT%23x", cursor),
        (&cursor_twice, "cursor must be given once"),
        ("cursor=x&limit=x", &format!("{limit}; {cursor}")),
    ] {
        let response = app.list(endpoint, handle, query).await;

        assert_eq!((response.status, response.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
}
