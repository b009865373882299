//! Requests through `serve` and `handle`. Each test has a table of its own.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use shared::domain::{Contact, ContactId, Id, ImportId, time};
use shared::dynamodb::keys::{self, Key};
use shared::system;
use shared::testing::{TestApp, TestRequest, compact_json, contact_patch, jane};
use tokio::time::Instant;

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, lists
);

/// The ids of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(|page| page.values_of("id")).collect()
}

/// The ids of the whole list.
async fn every_page(app: &TestApp, query: &str) -> Vec<String> {
    pages(app, query).await.concat()
}

/// Stores Jane Doe with an email of her own and these fields, one second after the previous contact.
async fn contact(app: &TestApp, fields: &Value, import_id: Option<ImportId>) -> Contact {
    app.advance_clock(TimeDelta::seconds(1));
    let mut body = jane(&format!("{}@example.com", system::rng().uuid_v7(Utc::now())));
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    app.create_contact(&app.org, body, import_id).await
}

/// Stores three contacts. Their ids, newest first.
async fn three_contacts(app: &TestApp) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, contact(app, &json!({}), None).await.id.to_string());
    }
    ids
}

async fn delete(app: &TestApp, id: &str) {
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    contacts.delete(ContactId::parse(id).unwrap(), None).await.unwrap();
}

#[tokio::test]
async fn contacts_are_listed_newest_first_in_the_documented_form() {
    let app = TestApp::new().await;
    app.create_contact(&app.other, jane("theirs@example.com"), None).await;
    let john = app.create_john().await;
    let jane = contact(&app, &json!({"email": "jane.smith@example.com"}), None).await;

    let response = app.list(ENDPOINT, handle, "").await;

    let (org_id, jane_id, john_id) = (app.org.org_id, jane.id, john.id);
    let (jane_created_at, john_created_at) = (time::to_seconds(jane.created_at), time::to_seconds(john.created_at));
    let expected = format!(
        r#"[
            {{
                "id":"{jane_id}",
                "org_id":"{org_id}",
                "full_name":"Jane Doe",
                "email":"jane.smith@example.com",
                "linkedin_profile":"https://www.linkedin.com/in/janedoe",
                "company":null,
                "locale":null,
                "timezone":null,
                "enrichment":null,
                "created_at":"{jane_created_at}",
                "updated_at":"{jane_created_at}"
            }},
            {{
                "id":"{john_id}",
                "org_id":"{org_id}",
                "full_name":"John Doe",
                "email":"john.doe@example.com",
                "linkedin_profile":"https://www.linkedin.com/in/johndoe",
                "company":"Tech Corp",
                "locale":"en-US",
                "timezone":"America/New_York",
                "enrichment":{{"source":"website","campaign":"Q1-2024"}},
                "created_at":"{john_created_at}",
                "updated_at":"{john_created_at}"
            }}
        ]"#
    );
    assert_eq!(response.status, 200);
    assert_eq!(response.text, compact_json(&expected));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("link"), "");
}

#[tokio::test]
async fn each_filter_narrows_the_list() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let empty_import = app.create_import(&app.org).await;
    let import_of_other_org = app.create_import(&app.other).await;
    app.create_contact(&app.other, jane("c@example.com"), Some(import_of_other_org)).await;
    let a = contact(&app, &json!({"email": "a@example.com", "company": "Tech Corp"}), Some(import_id)).await;
    let b = contact(&app, &json!({"email": "b@example.com", "company": "Other Corp"}), Some(import_id)).await;
    let c = contact(&app, &json!({"email": "c@example.com", "company": "tech  corp"}), None).await;
    let d = contact(&app, &json!({"email": "d@example.com"}), None).await;
    let time_a = time::to_millis(a.created_at);
    let time_b = time::to_millis(b.created_at);
    let just_before_b = time::to_millis(b.created_at - TimeDelta::milliseconds(1));
    let time_b_with_offset = time_b.replace('Z', "%2B00:00");
    let import_in_upper_case = import_id.to_string().to_uppercase();
    let unknown = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    for (query, expected) in [
        // No filter.
        (String::new(), vec![&d, &c, &b, &a]),
        ("unknown=x".to_owned(), vec![&d, &c, &b, &a]),
        // By import.
        (format!("import_id={import_id}"), vec![&b, &a]),
        (format!("import_id={import_in_upper_case}"), vec![&b, &a]),
        (format!("import_id={empty_import}"), vec![]),
        (format!("import_id={unknown}"), vec![]),
        (format!("import_id={import_of_other_org}"), vec![]),
        // By email.
        ("email=c@example.com".to_owned(), vec![&c]),
        ("email=%20C%40EXAMPLE.com".to_owned(), vec![&c]),
        ("email=x@example.com".to_owned(), vec![]),
        // By company.
        ("company=Tech+Corp".to_owned(), vec![&c, &a]),
        ("company=%20TECHCORP%20".to_owned(), vec![&c, &a]),
        ("company=Tech".to_owned(), vec![]),
        // By time.
        (format!("created_after={time_a}"), vec![&d, &c, &b]),
        (format!("created_after={time_b}"), vec![&d, &c]),
        (format!("created_after={just_before_b}"), vec![&d, &c, &b]),
        (format!("created_after={time_b_with_offset}"), vec![&d, &c]),
        (format!("updated_after={time_b}"), vec![&d, &c]),
        ("created_after=0001-01-01T00:00:00Z&updated_after=9999-12-31T23:59:59Z".to_owned(), vec![]),
        ("created_after=9999-12-31T23:59:59.999Z".to_owned(), vec![]),
        // By several.
        (format!("import_id={import_id}&company=tech+corp"), vec![&a]),
        (format!("import_id={import_id}&email=b@example.com"), vec![&b]),
        (format!("import_id={import_id}&email=c@example.com"), vec![]),
        (format!("import_id={unknown}&email=b@example.com"), vec![]),
        (format!("import_id={import_id}&created_after={time_a}"), vec![&b]),
        ("email=a@example.com&company=other+corp".to_owned(), vec![]),
        (format!("company=tech+corp&updated_after={time_a}&created_after={time_a}"), vec![&c]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|contact| contact.id.to_string()).collect();
        // The list is the same in one page and in several.
        for limit in ["", "&limit=1", "&limit=2"] {
            assert_eq!(every_page(&app, &format!("{query}{limit}")).await, expected, "{query}{limit}");
        }
    }
}

#[tokio::test]
async fn the_memberships_of_a_deleted_import_are_hidden() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let member = contact(&app, &json!({}), Some(import_id)).await;
    // A deleted import keeps its memberships until `cascade-delete` removes them.
    let deleted = ImportId::parse("7c9e6679-7425-40de-944b-e07fc1f90ae7").unwrap();
    app.put_item(&keys::membership(app.org.org_id, deleted, member.id), json!({"type": {"S": "membership"}})).await;

    let of_deleted = app.list(ENDPOINT, handle, &format!("import_id={deleted}")).await;
    let of_existing = app.list(ENDPOINT, handle, &format!("import_id={import_id}")).await;

    assert_eq!(of_deleted.text, "[]");
    assert_eq!(of_existing.values_of("id"), [member.id.to_string()]);
}

#[tokio::test]
async fn updated_after_finds_the_contacts_that_changed() {
    let app = TestApp::new().await;
    contact(&app, &json!({}), None).await;
    let [oldest, newest] = [contact(&app, &json!({}), None).await, contact(&app, &json!({}), None).await];
    let query = format!("updated_after={}", time::to_millis(newest.updated_at));
    app.advance_clock(TimeDelta::seconds(10));
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);

    contacts.update(oldest.id, &contact_patch(json!({"company": null})), None).await.unwrap();
    assert!(every_page(&app, &query).await.is_empty(), "an update that changes nothing");

    contacts.update(oldest.id, &contact_patch(json!({"locale": "en"})), None).await.unwrap();
    assert_eq!(every_page(&app, &query).await, [oldest.id.to_string()]);
}

#[tokio::test]
async fn an_invalid_query_is_a_validation_error() {
    let app = TestApp::new().await;
    let created_after = "created_after must be an RFC 3339 time with its offset";
    let updated_after = "updated_after must be an RFC 3339 time with its offset";
    let all_parameters = "limit must be an integer from 1 to 1000; \
                          cursor must be the cursor of a Link header; \
                          import_id must be a valid UUID; \
                          email must be a valid email address; \
                          company must not be blank; \
                          created_after must be an RFC 3339 time with its offset; \
                          updated_after must be an RFC 3339 time with its offset";
    for (query, detail) in [
        ("import_id=x", "import_id must be a valid UUID"),
        ("email=x", "email must be a valid email address"),
        ("email=%20", "email must not be blank"),
        ("company=%20", "company must not be blank"),
        ("created_after=2024-10-06", created_after),
        ("created_after=2024-10-06T12:00:00", created_after),
        ("updated_after=yesterday", updated_after),
        ("email=a@example.com&email=b@example.com", "email must be given once"),
        ("updated_after=x&created_after=x&company=%20&email=x&import_id=x&cursor=x&limit=x", all_parameters),
    ] {
        let response = app.list(ENDPOINT, handle, query).await;
        assert_eq!(response.status, 400, "{query}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{query}");
    }
}

#[tokio::test]
async fn changes_between_two_pages_neither_skip_nor_repeat_a_row() {
    for filter in ["", "import_id=", "company=Tech+Corp"] {
        let app = TestApp::new().await;
        let import_id = app.create_import(&app.org).await;
        let filter = filter.replace("import_id=", &format!("import_id={import_id}"));
        let tech_corp = json!({"company": "Tech Corp"});
        // Newest first.
        let mut ids = Vec::new();
        for _ in 0..7 {
            ids.insert(0, contact(&app, &tech_corp, Some(import_id)).await.id.to_string());
        }

        // Before the second page is read, the last row of the first one is deleted, the last row of the list is deleted,
        // and a contact is created. Before each of the following pages, the last row of the previous one is deleted and
        // a contact is created.
        let mut seen = Vec::new();
        let mut query = Some(format!("{filter}&limit=2"));
        while let Some(current) = query {
            let response = app.list(ENDPOINT, handle, &current).await;
            let page = response.values_of("id");
            assert!(page.len() <= 2, "{filter}: {page:?}");
            if seen.is_empty() {
                delete(&app, &ids[6]).await;
            }
            if let Some(last) = page.last() {
                delete(&app, last).await;
            }
            contact(&app, &tech_corp, Some(import_id)).await;
            seen.extend(page);
            query = response.next_page_query(ENDPOINT);
        }

        assert_eq!(seen, ids[..6], "{filter}");
    }
}

#[tokio::test]
async fn the_next_link_is_the_query_with_another_cursor() {
    let app = TestApp::new().await;
    three_contacts(&app).await;

    let first = app.list(ENDPOINT, handle, "limit=1&created_after=2024-10-06T12:00:00%2B02:00&x=%26").await;
    let second = app.list(ENDPOINT, handle, &first.next_page_query(ENDPOINT).unwrap()).await;

    let (first_next, second_next) =
        (first.next_page_query(ENDPOINT).unwrap(), second.next_page_query(ENDPOINT).unwrap());
    let (first_query, first_cursor) = first_next.split_once("&cursor=").unwrap();
    let (second_query, second_cursor) = second_next.split_once("&cursor=").unwrap();
    assert_eq!(first_query, "limit=1&created_after=2024-10-06T12%3A00%3A00%2B02%3A00&x=%26");
    assert_eq!(second_query, first_query);
    assert_ne!(second_cursor, first_cursor);
}

#[tokio::test]
async fn the_last_page_has_no_next_link() {
    let app = TestApp::new().await;
    three_contacts(&app).await;

    let first = app.list(ENDPOINT, handle, "limit=2").await;
    let second = app.list(ENDPOINT, handle, &first.next_page_query(ENDPOINT).unwrap()).await;
    let just_full = app.list(ENDPOINT, handle, "limit=3").await;

    assert_eq!(second.next_page_query(ENDPOINT), None);
    assert_eq!(just_full.next_page_query(ENDPOINT), None, "a page that holds the whole list");
}

#[tokio::test]
async fn a_cursor_finds_nothing_of_another_organization() {
    let app = TestApp::new().await;
    three_contacts(&app).await;
    let cursor = app.list(ENDPOINT, handle, "limit=1").await.next_page_query(ENDPOINT).unwrap();

    let response = app.send(ENDPOINT, handle, &TestRequest::to(ENDPOINT, &app.other).query(&cursor)).await;

    assert_eq!(response.text, "[]");
}

#[tokio::test]
async fn a_cursor_of_a_list_with_other_filters_is_a_position_in_this_list() {
    let app = TestApp::new().await;
    let ids = three_contacts(&app).await;
    let second = app.stored_contact(ContactId::parse(&ids[1]).unwrap()).await.unwrap();
    let created_at = time::to_millis(second.created_at);
    let next =
        app.list(ENDPOINT, handle, "limit=2").await.next_page_query(ENDPOINT).unwrap().replace("limit=2", "limit=9");
    for (query, expected) in [
        (next.clone(), vec![ids[2].clone()]),
        (format!("{next}&created_after={created_at}"), vec![]),
        (format!("{next}&created_after=9999-01-01T00:00:00Z"), vec![]),
    ] {
        assert_eq!(every_page(&app, &query).await, expected, "{query}");
    }
}

/// The number of contacts of [`large_contacts`]: more than one response can hold, or four reads of 1 MB find.
const LARGE_CONTACTS: usize = 100;

/// Stores contacts of 46 kB each, the first of `First Corp`, the others of `Tech Corp`. In a response, where each of their
/// quotation marks takes four bytes, they take 92 kB. Their ids, newest first.
async fn large_contacts(app: &TestApp, import_id: ImportId) -> Vec<String> {
    let notes = "x".repeat(30_000) + &"\"".repeat(15_500);
    let mut ids = Vec::new();
    for index in 0..LARGE_CONTACTS {
        let company = if index == 0 { "First Corp" } else { "Tech Corp" };
        let fields = json!({"company": company, "metadata": {"notes": notes}});
        ids.insert(0, contact(app, &fields, Some(import_id)).await.id.to_string());
    }
    ids
}

#[tokio::test]
async fn a_list_without_a_limit_is_one_response_of_every_row_that_fits() {
    const CONTACTS: usize = 6_001;
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let ids = app.put_contacts(import_id, CONTACTS).await;
    let newest_first: Vec<_> = ids.iter().rev().map(ToString::to_string).collect();
    for query in [String::new(), "updated_after=2024-01-01T00:00:00Z".to_owned(), format!("import_id={import_id}")] {
        let response = app.list(ENDPOINT, handle, &query).await;

        assert_eq!((response.status, response.header("link")), (200, ""), "{query}");
        assert!(response.values_of("id") == newest_first, "{query}: every contact, once, in order");
    }
}

#[tokio::test]
async fn a_list_that_is_long_when_its_time_is_over_ends_with_a_link() {
    /// Enough for the first read, too little for another one.
    const TIME_LIMIT: Duration = Duration::from_secs(4);
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let ids = large_contacts(&app, import_id).await;
    for query in ["company=tech+corp".to_owned(), format!("import_id={import_id}")] {
        let request = TestRequest::to(ENDPOINT, &app.org).query(query.as_str());

        let response = app.send_with_deadline(Instant::now() + TIME_LIMIT, ENDPOINT, handle, &request).await;

        let rows = response.values_of("id");
        assert!(!rows.is_empty() && ids.starts_with(&rows), "{query}: {rows:?}");
        assert!(response.next_page_query(ENDPOINT).is_some(), "{query}");
    }
}

#[tokio::test]
async fn a_page_ends_before_its_limit_when_the_response_is_full() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let ids = large_contacts(&app, import_id).await;
    let of_tech_corp = &ids[..LARGE_CONTACTS - 1];
    for (query, expected) in [
        (String::new(), ids.as_slice()),
        ("company=techcorp".to_owned(), of_tech_corp),
        (format!("import_id={import_id}"), &ids),
    ] {
        let pages = pages(&app, &query).await;
        assert!(pages.len() > 1, "{query}");
        assert_eq!(pages.concat(), expected, "{query}");
    }
    let rows_of_first_page = app.list(ENDPOINT, handle, "").await.values_of("id").len();
    assert!(rows_of_first_page > 60, "a page of {rows_of_first_page} rows is not full");
}

#[tokio::test]
async fn an_empty_page_with_a_next_link_is_not_the_end() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let ids = large_contacts(&app, import_id).await;

    let few_at_a_time = pages(&app, "company=first+corp&limit=10").await;
    let all = pages(&app, "company=first+corp").await;

    assert!(few_at_a_time[0].is_empty(), "the match lies after more contacts than one page reads: {few_at_a_time:?}");
    assert_eq!(few_at_a_time.concat(), ids[LARGE_CONTACTS - 1..]);
    assert_eq!(all, [&ids[LARGE_CONTACTS - 1..]], "without a limit, every read is one response");
}

#[tokio::test]
async fn an_unreadable_contact_hides_no_other() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let tech_corp = json!({"company": "Tech Corp"});
    let oldest = contact(&app, &tech_corp, Some(import_id)).await.id.to_string();
    let unreadable = app.create_contact(&app.org, jane("jane@example.com"), Some(import_id)).await;
    let newest = contact(&app, &tech_corp, Some(import_id)).await.id.to_string();
    let item = json!({"type": {"S": "contact"}, "email": {"S": "canary"}, "enrichment": {"M": {}}});
    app.put_item(&keys::contact(app.org.org_id, unreadable.id), item).await;
    for query in ["", "company=techcorp", &format!("import_id={import_id}")] {
        for limit in ["", "&limit=1", "&limit=2"] {
            assert_eq!(every_page(&app, &format!("{query}{limit}")).await, [&*newest, &oldest], "{query}{limit}");
        }
    }
    assert_eq!(app.list(ENDPOINT, handle, "email=jane@example.com").await.text, "[]");
}

#[tokio::test]
async fn an_item_with_an_unreadable_key_ends_no_list() {
    let app = TestApp::new().await;
    let oldest = app.create_jane("oldest@example.com").await.id;
    let key = keys::contact(app.org.org_id, oldest);
    for suffix in ["a", "b", "c"] {
        let key = Key { sk: format!("{}{suffix}", key.sk), ..key.clone() };
        app.put_item(&key, json!({"type": {"S": "contact"}})).await;
    }
    let newest = app.create_jane("newest@example.com").await.id;
    for query in ["", "limit=1", "limit=2"] {
        assert_eq!(every_page(&app, query).await, [newest.to_string(), oldest.to_string()], "{query}");
    }
}

#[tokio::test]
async fn stored_text_is_shown_as_it_is_even_if_it_breaks_a_rule_of_today() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let jane = app.create_contact(&app.org, jane("jane@example.com"), Some(import_id)).await;
    let item = json!({
        "type": {"S": "contact"},
        "full_name": {"S": " jane\tdoe\u{1F600}".repeat(100)},
        "email": {"S": "Jane@example.com\u{A9}"},
        "linkedin_profile": {"S": "https://lnkd.in/jane"},
        "company": {"S": ""},
        "locale": {"S": "english (us)"},
        "timezone": {"S": "Mars/Olympus_Mons"},
        "enrichment": {"M": {}},
        "created_at": {"S": "0000-04-18T10:15:00.000Z"},
        "updated_at": {"S": "2024-04-18T10:15:00.000Z"},
        "version": {"N": "1"},
    });
    app.put_item(&keys::contact(app.org.org_id, jane.id), item.clone()).await;
    for query in ["", &format!("import_id={import_id}")] {
        let response = app.list(ENDPOINT, handle, query).await;

        let row = &response.json()[0];
        for field in ["full_name", "email", "linkedin_profile", "company", "locale", "timezone"] {
            assert_eq!(row[field], item[field]["S"], "{query} {field}");
        }
    }
}

#[tokio::test]
async fn an_unreadable_email_lock_is_a_500_without_details() {
    let app = TestApp::new().await;
    let contact = app.create_jane("jane@example.com").await;
    let lock = keys::email_lock(app.org.org_id, &contact.details.email);
    app.put_item(&lock, json!({"type": {"S": "email_lock"}, "contact_id": {"S": "canary"}})).await;

    let response = app.list(ENDPOINT, handle, "email=jane@example.com").await;

    assert_eq!(response.status, 500);
    assert_eq!(response.detail(), "Internal server error");
}
