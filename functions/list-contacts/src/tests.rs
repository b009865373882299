//! `handle` behind the whole way of a request, on a table of its own.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::{Contact, ContactId, ContactPatch, Id, ImportId, Locale, Patch, ids, time};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, jane};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::ListContacts;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, lists
);

/// The ids of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(|page| page.values_of("id")).collect()
}

/// Stores so many contacts, a second apart, and gives their ids, newest first.
async fn contacts(app: &TestApp, count: usize, import_id: Option<ImportId>) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.insert(0, contact(app, &json!({}), import_id).await.id.to_string());
    }
    ids
}

/// Stores Jane Doe with another address and these members, a second after whoever was before.
async fn contact(app: &TestApp, changes: &Value, import_id: Option<ImportId>) -> Contact {
    app.advance_clock(TimeDelta::seconds(1));
    let mut body = jane(&format!("{}@example.com", ids::uuid_at(Utc::now())));
    for (name, value) in changes.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    app.create_contact(&app.org, body, import_id).await
}

#[tokio::test]
async fn contacts_are_shown_newest_first_in_the_form_of_the_page() {
    let app = TestApp::new().await;
    app.create_contact(&app.other, jane("theirs@example.com"), None).await;
    let john = app.create_john().await;
    let jane = contact(&app, &json!({"email": "jane.smith@example.com"}), None).await;
    let (org_id, jane_id, john_id) = (app.org.org_id, jane.id, john.id);
    let [jane_at, john_at] = [&jane, &john].map(|contact| time::to_seconds(contact.created_at));
    let expected = format!(
        r#"[{{"id":"{jane_id}","org_id":"{org_id}","full_name":"Jane Doe","email":"jane.smith@example.com","linkedin_profile":"https://www.linkedin.com/in/janedoe","company":null,"locale":null,"timezone":null,"enrichment":null,"created_at":"{jane_at}","updated_at":"{jane_at}"}},{{"id":"{john_id}","org_id":"{org_id}","full_name":"John Doe","email":"john.doe@example.com","linkedin_profile":"https://www.linkedin.com/in/johndoe","company":"Tech Corp","locale":"en-US","timezone":"America/New_York","enrichment":{{"source":"website","campaign":"Q1-2024"}},"created_at":"{john_at}","updated_at":"{john_at}"}}]"#
    );
    let answer = app.list(ENDPOINT, handle, "").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!((answer.header("content-type"), answer.header("link")), ("application/json", ""));
}

#[tokio::test]
async fn each_filter_narrows_the_list() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let empty_import = app.create_import(&app.org).await;
    let theirs = app.create_import(&app.other).await;
    app.create_contact(&app.other, jane("c@example.com"), Some(theirs)).await;
    let a = contact(&app, &json!({"email": "a@example.com", "company": "Tech Corp"}), Some(import_id)).await;
    let b = contact(&app, &json!({"email": "b@example.com", "company": "Other Corp"}), Some(import_id)).await;
    let c = contact(&app, &json!({"email": "c@example.com", "company": "tech  corp"}), None).await;
    let d = contact(&app, &json!({"email": "d@example.com"}), None).await;
    let [after_a, after_b, before_b] =
        [a.created_at, b.created_at, b.created_at - TimeDelta::milliseconds(1)].map(time::to_millis);
    let with_offset = after_b.replace('Z', "%2B00:00");
    let unknown = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    let all = vec![&d, &c, &b, &a];
    for (query, expected) in [
        (String::new(), all.clone()),
        ("unknown=x".to_owned(), all),
        (format!("import_id={import_id}"), vec![&b, &a]),
        (format!("import_id={}", import_id.to_string().to_uppercase()), vec![&b, &a]),
        (format!("import_id={empty_import}"), vec![]),
        (format!("import_id={unknown}"), vec![]),
        (format!("import_id={theirs}"), vec![]),
        ("email=c@example.com".to_owned(), vec![&c]),
        ("email=%20C%40EXAMPLE.com".to_owned(), vec![&c]),
        ("email=x@example.com".to_owned(), vec![]),
        ("company=Tech+Corp".to_owned(), vec![&c, &a]),
        ("company=%20TECHCORP%20".to_owned(), vec![&c, &a]),
        ("company=Tech".to_owned(), vec![]),
        (format!("created_after={after_a}"), vec![&d, &c, &b]),
        (format!("created_after={after_b}"), vec![&d, &c]),
        (format!("created_after={before_b}"), vec![&d, &c, &b]),
        (format!("created_after={with_offset}"), vec![&d, &c]),
        (format!("updated_after={after_b}"), vec![&d, &c]),
        ("created_after=0001-01-01T00:00:00Z&updated_after=9999-12-31T23:59:59Z".to_owned(), vec![]),
        ("created_after=9999-12-31T23:59:59.999Z".to_owned(), vec![]),
        (format!("import_id={import_id}&company=tech+corp"), vec![&a]),
        (format!("import_id={import_id}&email=b@example.com"), vec![&b]),
        (format!("import_id={import_id}&email=c@example.com"), vec![]),
        (format!("import_id={unknown}&email=b@example.com"), vec![]),
        (format!("import_id={import_id}&created_after={after_a}"), vec![&b]),
        ("email=a@example.com&company=other+corp".to_owned(), vec![]),
        (format!("company=tech+corp&updated_after={after_a}&created_after={after_a}&limit=1"), vec![&c]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|contact| contact.id.to_string()).collect();
        for limit in ["", "&limit=1", "&limit=2"] {
            if !(query.contains("limit") && limit.contains("limit")) {
                let query = format!("{query}{limit}");
                assert_eq!(pages(&app, &query).await.concat(), expected, "{query}");
            }
        }
    }
}

#[tokio::test]
async fn an_import_that_is_gone_has_no_members() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let member = contact(&app, &json!({"email": "jane@example.com"}), Some(import_id)).await;
    // As the table is after an import was deleted, until its memberships are cleared up.
    let gone = ImportId::parse("7c9e6679-7425-40de-944b-e07fc1f90ae7").unwrap();
    app.put_item(&keys::membership(app.org.org_id, gone, member.id), json!({"type": {"S": "membership"}})).await;
    assert_eq!(app.list(ENDPOINT, handle, &format!("import_id={gone}")).await.text, "[]");
    assert_eq!(app.list(ENDPOINT, handle, &format!("import_id={import_id}")).await.values_of("id"), [member.id.to_string()]);
}

#[tokio::test]
async fn updated_after_means_the_last_change() {
    let app = TestApp::new().await;
    let ids = contacts(&app, 3, None).await;
    let newest = app.stored_contact(parse(&ids[0])).await.unwrap();
    app.advance_clock(TimeDelta::seconds(10));
    let patch = ContactPatch { company: Patch::Clear, ..Default::default() };
    let contacts = app.ctx().contacts(&app.principal(&app.org).await);
    contacts.update(parse(&ids[2]), &patch, None).await.unwrap();
    let query = format!("updated_after={}", time::to_millis(newest.updated_at));
    assert!(pages(&app, &query).await.concat().is_empty(), "what changes nothing is no change");
    let patch = ContactPatch { locale: Patch::Set(Locale::parse("en").unwrap()), ..Default::default() };
    contacts.update(parse(&ids[2]), &patch, None).await.unwrap();
    assert_eq!(pages(&app, &query).await.concat(), [ids[2].clone()]);
}

fn parse(id: &str) -> ContactId {
    ContactId::parse(id).unwrap()
}

#[tokio::test]
async fn what_is_wrong_with_the_query_is_said_at_once() {
    let app = TestApp::new().await;
    let limit = "limit must be an integer from 1 to 1000";
    let cursor = "cursor must be the cursor of a Link header";
    let import_id = "import_id must be a valid UUID";
    let email = "email must be a valid email address";
    let moment = "must be an RFC 3339 time with its offset";
    let every = format!(
        "{limit}; {cursor}; {import_id}; {email}; company must not be blank; created_after {moment}; updated_after {moment}"
    );
    for (query, detail) in [
        ("import_id=x", import_id),
        ("email=x", email),
        ("email=%20", "email must not be blank"),
        ("company=%20", "company must not be blank"),
        ("created_after=2024-10-06", &format!("created_after {moment}")),
        ("created_after=2024-10-06T12:00:00", &format!("created_after {moment}")),
        ("updated_after=yesterday", &format!("updated_after {moment}")),
        ("email=a@example.com&email=b@example.com", "email must be given once"),
        ("updated_after=x&created_after=x&company=&email=x&import_id=x&cursor=x&limit=x", &every),
    ] {
        let answer = app.list(ENDPOINT, handle, query).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_others_write() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    for filter in [String::new(), format!("import_id={import_id}&"), "company=Tech+Corp&".to_owned()] {
        let mut expected = Vec::new();
        for _ in 0..7 {
            let made = contact(&app, &json!({"company": "Tech Corp"}), Some(import_id)).await;
            expected.insert(0, made.id.to_string());
        }
        let mut seen = Vec::new();
        let mut query = Some(format!("{filter}limit=2"));
        let mut gone = Vec::new();
        while let Some(current) = query {
            let answer = app.list(ENDPOINT, handle, &current).await;
            let page = answer.values_of("id");
            assert!(page.len() <= 2);
            // The row that the cursor stands at goes, one that is still to come goes, and new ones are made.
            let last = page.last().cloned();
            let upcoming = expected.iter().rev().find(|id| !seen.contains(*id) && !page.contains(id)).cloned();
            seen.extend(page);
            for id in last.into_iter().chain(upcoming.filter(|_| gone.is_empty())) {
                let contacts = app.ctx().contacts(&app.principal(&app.org).await);
                contacts.delete(parse(&id), None).await.unwrap();
                gone.push(id);
            }
            contact(&app, &json!({"company": "Tech Corp"}), Some(import_id)).await;
            query = answer.next_page_query(ENDPOINT);
        }
        expected.retain(|id| seen.contains(id) || !gone.contains(id));
        assert_eq!(seen, expected, "{filter}");
        assert!(pages(&app, &format!("{filter}limit=3")).await.concat().len() > 1);
        for id in pages(&app, "").await.concat() {
            app.ctx().contacts(&app.principal(&app.org).await).delete(parse(&id), None).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_next_pages_address_is_this_ones_with_another_cursor() {
    let app = TestApp::new().await;
    contacts(&app, 3, None).await;
    let first = app.list(ENDPOINT, handle, "limit=1&created_after=2024-10-06T12:00:00%2B02:00&x=%26").await;
    let first = first.next_page_query(ENDPOINT).unwrap();
    let (query, cursor) = first.split_once("&cursor=").unwrap();
    assert_eq!(query, "limit=1&created_after=2024-10-06T12%3A00%3A00%2B02%3A00&x=%26");
    let second = app.list(ENDPOINT, handle, &first).await.next_page_query(ENDPOINT).unwrap();
    let (same, another) = second.split_once("&cursor=").unwrap();
    assert_eq!(same, query);
    assert_ne!(another, cursor);
    assert_eq!(app.list(ENDPOINT, handle, &second).await.next_page_query(ENDPOINT), None);
    let all = app.list(ENDPOINT, handle, "limit=3").await;
    assert_eq!(all.next_page_query(ENDPOINT), None, "a page that is just full is the last");
}

#[tokio::test]
async fn a_cursor_shows_nothing_of_another_organization() {
    let app = TestApp::new().await;
    let ours = contacts(&app, 3, None).await;
    let second = app.list(ENDPOINT, handle, "limit=1").await.next_page_query(ENDPOINT).unwrap();
    let theirs = TestRequest::to(ENDPOINT, &app.other).query(&second);
    assert_eq!(app.send(ENDPOINT, handle, &theirs).await.text, "[]");
    // Neither does one from a list with other filters, wherever it stands in this one.
    let oldest = app.list(ENDPOINT, handle, "limit=2").await.next_page_query(ENDPOINT).unwrap().replace("limit=2", "limit=9");
    let created = time::to_millis(app.stored_contact(parse(&ours[1])).await.unwrap().created_at);
    for (query, expected) in [
        (oldest.clone(), vec![ours[2].clone()]),
        (format!("{oldest}&created_after={created}"), vec![]),
        (format!("{oldest}&created_after=9999-01-01T00:00:00Z"), vec![]),
    ] {
        assert_eq!(pages(&app, &query).await.concat(), expected, "{query}");
    }
}

#[tokio::test]
async fn a_page_may_end_early_and_only_a_missing_link_is_the_end() {
    const COUNT: usize = 90;
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let mut expected = Vec::new();
    for index in 0..COUNT {
        let company = if index == 0 { "First Corp" } else { "Tech Corp" };
        let changes = json!({"company": company, "metadata": {"notes": "x".repeat(60_000)}});
        expected.insert(0, contact(&app, &changes, Some(import_id)).await.id.to_string());
    }
    for query in [String::new(), "company=techcorp".to_owned(), format!("import_id={import_id}")] {
        let pages = pages(&app, &query).await;
        assert!(pages.len() > 1, "{query}");
        let expected = if query.contains("company") { &expected[..COUNT - 1] } else { &expected };
        assert_eq!(pages.concat(), expected, "{query}");
    }
    let mut answer = app.list(ENDPOINT, handle, "company=first+corp").await;
    assert_eq!(answer.values_of("id").len(), 0, "more was passed over than one page may read");
    while let Some(query) = answer.next_page_query(ENDPOINT) {
        answer = app.list(ENDPOINT, handle, &query).await;
    }
    assert_eq!(answer.values_of("id"), expected[COUNT - 1..]);
    assert!(app.list(ENDPOINT, handle, "").await.text.len() < 6 * 1024 * 1024 - 1024 * 1024);
}

#[tokio::test]
async fn a_contact_that_cannot_be_read_is_a_fault_and_says_nothing() {
    let app = TestApp::new().await;
    let import_id = app.create_import(&app.org).await;
    let contact = app.create_contact(&app.org, jane("jane@example.com"), Some(import_id)).await;
    let garbage = json!({"type": {"S": "contact"}, "email": {"S": "canary"}, "enrichment": {"M": {}}});
    app.put_item(&keys::contact(app.org.org_id, contact.id), garbage).await;
    for query in ["", "email=jane@example.com", "company=x", &format!("import_id={import_id}")] {
        let answer = app.list(ENDPOINT, handle, query).await;
        assert_eq!((answer.status, answer.text.as_str()), (500, r#"{"detail":"Internal server error"}"#), "{query}");
    }
    let lock = keys::email_lock(app.org.org_id, &contact.details.email);
    app.put_item(&lock, json!({"type": {"S": "email_lock"}, "contact_id": {"S": "canary"}})).await;
    assert_eq!(app.list(ENDPOINT, handle, "email=jane@example.com").await.status, 500);
}
