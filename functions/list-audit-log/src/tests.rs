//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::{ContactId, Scope, time};
use shared::dynamodb::keys;
use shared::testing::tenant::sign_jwt;
use shared::testing::{JWT_SECRET, TestApp, TestResponse, compact_json};
use uuid::Uuid;

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, lists
);

/// The ids of the subjects on every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(subjects).collect()
}

/// The ids of the subjects that a page shows.
fn subjects(page: &TestResponse) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.text);
    let rows = page.json();
    rows.as_array().unwrap().iter().map(|row| row["subject"]["id"].as_str().unwrap().to_owned()).collect()
}

/// Creates a contact and deletes it one second after the previous one; its id.
async fn delete_contact(app: &TestApp) -> ContactId {
    app.advance_clock(TimeDelta::seconds(1));
    let id = app.create_jane("jane@example.com").await.id;
    app.ctx().contacts(&app.principal(&app.org).await).delete(id, None).await.unwrap();
    id
}

/// Deletes this number of contacts; their ids, newest first.
async fn delete_contacts(app: &TestApp, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.insert(0, delete_contact(app).await.to_string());
    }
    ids
}

#[tokio::test]
async fn an_entry_shows_who_did_what_and_when_in_which_request() {
    let app = TestApp::new().await;
    app.stop_clock();
    let contact = delete_contact(&app).await;
    let at = time::to_millis(app.ctx().now());

    let response = app.list(ENDPOINT, handle, "").await;

    let (id, keys) = (response.values_of("id")[0].clone(), app.ctx().api_keys(&app.principal(&app.org).await));
    let keys = keys.list::<shared::domain::ApiKey>(None, None).await.unwrap().rows;
    let admin = keys.iter().find(|key| key.name.as_str() == "admin").unwrap().id;
    let expected = format!(
        r#"[{{
            "id":"{id}",
            "at":"{at}",
            "actor":{{"type":"api_key","id":"{admin}"}},
            "action":"contact.deleted",
            "subject":{{"type":"contact","id":"{contact}"}},
            "request_id":"test"
        }}]"#
    );
    assert_eq!((response.status, response.text.as_str()), (200, compact_json(&expected).as_str()));
    assert_eq!((response.header("content-type"), response.header("link")), ("application/json", ""));
}

#[tokio::test]
async fn the_user_of_a_token_and_an_operator_are_shown_by_a_hash() {
    let app = TestApp::new().await;
    let claims = json!({"sub": "jane@example.com", "org_id": app.org.org_id, "exp": 4_102_444_800_u64});
    let token = format!("Bearer {}", sign_jwt(JWT_SECRET, &claims));
    let credentials = shared::auth::Credentials { api_key: None, authorization: Some(&token) };
    let user = app.ctx().authenticate(credentials).await.unwrap();
    let import = app.create_import(&app.org).await;
    app.ctx().imports(&user).delete(import).await.unwrap();
    app.organization().create("Acme".parse().unwrap()).await.unwrap();

    let response = app.list(ENDPOINT, handle, "").await;

    let rows = response.json();
    let mut actors: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["actor"].clone()).collect();
    actors.sort_by_key(|actor| actor["type"].to_string());
    let types: Vec<_> = actors.iter().map(|actor| actor["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["operator", "token"]);
    for actor in &actors {
        let id = actor["id"].as_str().unwrap();
        assert!(id.len() == 16 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    }
    assert!(!response.text.contains("jane"), "{}", response.text);
    let hash = actors[1]["id"].as_str().unwrap();
    assert_eq!(app.list(ENDPOINT, handle, &format!("actor={hash}")).await.values_of("action"), ["import.deleted"]);
}

#[tokio::test]
async fn the_pages_together_are_the_log_newest_first() {
    let app = TestApp::new().await;
    let contacts = delete_contacts(&app, 7).await;

    assert_eq!(pages(&app, "").await, std::slice::from_ref(&contacts));
    assert_eq!(pages(&app, "limit=3").await, contacts.chunks(3).map(<[String]>::to_vec).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_log_is_filtered_by_actor_and_by_action() {
    let app = TestApp::new().await;
    let (secret, key) = app.create_api_key(&[Scope::Write]).await;
    let principal = app.principal_of(&secret).await;
    let [one, two] = [app.create_import(&app.org).await, app.create_import(&app.org).await];
    app.ctx().imports(&principal).delete(one).await.unwrap();
    app.advance_clock(TimeDelta::seconds(1));
    app.ctx().imports(&app.principal(&app.org).await).delete(two).await.unwrap();
    let contact = delete_contact(&app).await.to_string();
    let [one, two] = [one.to_string(), two.to_string()];
    let key = key.id.to_string();
    for (query, expected) in [
        ("action=import.deleted".to_owned(), vec![&two, &one]),
        ("action=contact.deleted".to_owned(), vec![&contact]),
        ("action=api_key.created".to_owned(), vec![&key]),
        ("action=person.erased".to_owned(), vec![]),
        (format!("actor={key}"), vec![&one]),
        (format!("actor={key}&action=contact.deleted"), vec![]),
        (format!("actor={}", Uuid::nil()), vec![]),
    ] {
        assert_eq!(pages(&app, &query).await.concat(), expected.into_iter().cloned().collect::<Vec<_>>(), "{query}");
        assert_eq!(pages(&app, &format!("{query}&limit=1")).await.concat(), pages(&app, &query).await.concat());
    }
}

#[tokio::test]
async fn a_period_begins_with_from_and_ends_before_to() {
    let app = TestApp::new().await;
    app.stop_clock();
    let start = app.ctx().now();
    // One, two, three and four seconds after the start.
    let contacts = delete_contacts(&app, 4).await;
    let at = |millis| time::to_millis(start + TimeDelta::milliseconds(millis));
    for (query, expected) in [
        (format!("from={}", at(2_000)), &contacts[..3]),
        (format!("from={}", at(2_001)), &contacts[..2]),
        (format!("to={}", at(2_000)), &contacts[3..]),
        (format!("to={}", at(2_001)), &contacts[2..]),
        (format!("from={}&to={}", at(2_000), at(4_000)), &contacts[1..3]),
        (format!("from={}&to={}", at(2_000), at(2_000)), &[]),
        (format!("from={}&to={}", at(3_000), at(2_000)), &[]),
        ("from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59.999Z".to_owned(), &contacts[..]),
        ("to=0001-01-01T00:00:00Z".to_owned(), &[]),
        ("from=9999-12-31T23:59:59.999Z".to_owned(), &[]),
    ] {
        assert_eq!(pages(&app, &query).await.concat(), expected, "{query}");
        assert_eq!(pages(&app, &format!("{query}&limit=1")).await.concat(), expected, "{query}");
    }
}

#[tokio::test]
async fn a_cursor_stays_valid_while_entries_are_added_and_for_another_period() {
    let app = TestApp::new().await;
    app.stop_clock();
    let start = app.ctx().now();
    let contacts = delete_contacts(&app, 4).await;
    let first = app.list(ENDPOINT, handle, "limit=2").await;
    let next = first.next_page_query(ENDPOINT).unwrap();

    delete_contact(&app).await;

    let at = |seconds| time::to_millis(start + TimeDelta::seconds(seconds));
    for (period, expected) in [
        (String::new(), &contacts[2..]),
        // The cursor is at the third second: after the period, in it, and before it.
        (format!("&to={}", at(2)), &contacts[3..]),
        (format!("&from={}", at(2)), &contacts[2..3]),
        (format!("&from={}", at(4)), &[]),
    ] {
        let second = app.list(ENDPOINT, handle, &format!("{next}{period}")).await;
        assert_eq!(subjects(&second), expected, "{period}");
    }
}

#[tokio::test]
async fn an_entry_whose_time_is_over_is_hidden_before_it_is_removed() {
    let app = TestApp::new().await;
    app.stop_clock();
    let contact = delete_contact(&app).await.to_string();
    app.advance_clock(TimeDelta::days(400) - TimeDelta::seconds(1));
    assert_eq!(pages(&app, "").await.concat(), [contact]);

    app.advance_clock(TimeDelta::seconds(1));

    assert_eq!(pages(&app, "").await, [Vec::<String>::new()]);
    assert_eq!(app.count_items("audit_entry").await, 1);
}

#[tokio::test]
async fn an_unreadable_entry_hides_no_other() {
    let app = TestApp::new().await;
    let contacts = delete_contacts(&app, 1).await;
    let readable = json!({
        "type": {"S": "audit_entry"},
        "at": {"S": "2024-10-06T12:00:00.000Z"},
        "actor_type": {"S": "token"},
        "actor_id": {"S": "canary"},
        "action": {"S": "contact.deleted"},
        "subject_id": {"S": "canary"},
        "request_id": {"S": "canary"},
        "expires_at": {"N": "99999999999"},
    });
    for (attribute, value) in [
        ("type", json!({"S": "contact"})),
        ("at", json!({"S": "yesterday"})),
        ("action", json!({"S": "contact.renamed"})),
        ("actor_type", json!({"S": "robot"})),
        ("expires_at", json!({"N": "1e30"})),
    ] {
        let mut item: Value = readable.clone();
        item[attribute] = value;
        app.put_item(&keys::audit_entry(app.org.org_id, Uuid::now_v7().into()), item).await;
    }

    assert_eq!(pages(&app, "").await.concat(), contacts);
}

#[tokio::test]
async fn an_invalid_query_is_a_validation_error() {
    let app = TestApp::new().await;
    let action = "action must be one of api_key.created api_key.revoked import.deleted campaign.deleted contact.deleted \
                  organization.created organization.suspended organization.resumed organization.exported organization.partitioned person.erased";
    let time = |name: &str| format!("{name} must be an RFC 3339 time with its offset");
    for (query, detail) in [
        ("action=contact", action.to_owned()),
        ("action=CONTACT.DELETED", action.to_owned()),
        ("from=2024-10-06", time("from")),
        ("to=now", time("to")),
        ("from=2024-10-06T12:00:00", time("from")),
        ("actor=%09", "actor must not be blank".to_owned()),
        ("actor=a&actor=b", "actor must be given once".to_owned()),
        (
            "to=x&from=x&action=x&limit=x&cursor=x",
            format!(
                "limit must be an integer from 1 to 1000; cursor must be the cursor of a Link header; {action}; {}; {}",
                time("from"),
                time("to")
            ),
        ),
    ] {
        let response = app.list(ENDPOINT, handle, query).await;
        assert_eq!((response.status, response.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
}

#[tokio::test]
async fn a_plus_sign_in_a_time_may_be_unencoded() {
    let app = TestApp::new().await;
    let contacts = delete_contacts(&app, 1).await;

    assert_eq!(pages(&app, "from=2024-10-06T12:00:00+02:00").await.concat(), contacts);
}
