//! The examples of the two pages of documentation, "Create Contact" and "Manage Contacts", in the order of the pages.

use serde_json::{Value, json};
use shared::testing::compact_json;
use uuid::Uuid;

use crate::client::{API, Response, delete, get, ids_by_email, new_import, post, put};

const UNAUTHORIZED: &str = "Invalid or missing authentication credentials";
const FORBIDDEN: &str = "You do not have permission to access this resource";

/// The body of the page. It is sent as text, because a `Value` would sort the members of the metadata.
const JOHN_DOE: &str = r#"{
    "full_name": "John Doe",
    "email": "john.doe@example.com",
    "linkedin_profile": "https://linkedin.com/in/johndoe",
    "company": "Tech Corp",
    "locale": "en-US",
    "timezone": "America/New_York",
    "metadata": {"source": "website", "campaign": "Q1-2024"}
}"#;

fn john_doe() -> Value {
    serde_json::from_str(JOHN_DOE).unwrap()
}

fn jane_smith() -> Value {
    json!({
        "full_name": "Jane Smith",
        "email": "jane.smith@example.com",
        "linkedin_profile": "https://linkedin.com/in/janesmith",
    })
}

/// Compares a body with the page's, member by member in the same order. The placeholders `<id>`, `<org_id>`,
/// `<created_at>` and `<updated_at>` stand for the values of the response.
#[track_caller]
fn assert_body(response: &Response, expected: &str) {
    let body = response.json();
    let mut expected = compact_json(expected).replace("<org_id>", &API.org.org_id);
    for name in ["id", "created_at", "updated_at"] {
        expected = expected.replace(&format!("<{name}>"), body[name].as_str().unwrap());
    }
    assert_eq!(response.text, expected);
    for name in ["created_at", "updated_at"] {
        let time = body[name].as_str().unwrap();
        assert_eq!(time.len(), "2024-10-06T12:00:00Z".len(), "{time}");
        assert!(time.ends_with('Z'), "{time}");
    }
}

#[test]
fn the_examples_of_the_documentation_are_exact() {
    delete_contacts_of_earlier_runs();
    let created = create_contact_page();
    manage_contacts_page(&created);
}

fn delete_contacts_of_earlier_runs() {
    for email in ["john.doe@example.com", "jane.smith@example.com"] {
        for id in ids_by_email(email) {
            delete(&format!("/contacts/{id}")).send().expect(200);
        }
    }
}

/// Returns the response that created John Doe.
fn create_contact_page() -> Response {
    let import_id = new_import();

    let created = post("/contacts/", &john_doe()).body(JOHN_DOE).header("x-import-id", &import_id).send().expect(201);
    assert_body(
        &created,
        r#"{
            "id": "<id>",
            "org_id": "<org_id>",
            "full_name": "John Doe",
            "email": "john.doe@example.com",
            "linkedin_profile": "https://www.linkedin.com/in/johndoe",
            "company": "Tech Corp",
            "locale": "en-US",
            "timezone": "America/New_York",
            "enrichment": {"source": "website", "campaign": "Q1-2024"},
            "created_at": "<created_at>",
            "updated_at": "<updated_at>"
        }"#,
    );
    assert_eq!(created.header("content-type"), "application/json");
    assert_eq!(created.header("location"), format!("{}/contacts/{}", API.base_path(), created.id()));

    let required_fields_only = post("/contacts/", &jane_smith()).header("x-import-id", &import_id).send().expect(201);
    assert_body(
        &required_fields_only,
        r#"{
            "id": "<id>",
            "org_id": "<org_id>",
            "full_name": "Jane Smith",
            "email": "jane.smith@example.com",
            "linkedin_profile": "https://www.linkedin.com/in/janesmith",
            "company": null,
            "locale": null,
            "timezone": null,
            "enrichment": null,
            "created_at": "<created_at>",
            "updated_at": "<updated_at>"
        }"#,
    );

    let mut without_email = john_doe();
    without_email.as_object_mut().unwrap().remove("email");
    post("/contacts/", &without_email).send().expect_error(400, "Validation error: email field is required");
    let taken = "Contact with email 'john.doe@example.com' already exists";
    post("/contacts/", &john_doe()).send().expect_error(409, taken);
    post("/contacts/", &john_doe()).anonymous().send().expect_error(401, UNAUTHORIZED);

    created
}

fn manage_contacts_page(created: &Response) {
    let path = format!("/contacts/{}", created.id());

    let contact = get(&format!("{path}?campaign_id=all&page=0&limit=50")).send().expect(200);
    assert_body(
        &contact,
        r#"{
            "id": "<id>",
            "org_id": "<org_id>",
            "full_name": "John Doe",
            "email": "john.doe@example.com",
            "linkedin_profile": "https://www.linkedin.com/in/johndoe",
            "company": "Tech Corp",
            "locale": "en-US",
            "timezone": "America/New_York",
            "account_id": null,
            "enrichment": {"source": "website", "campaign": "Q1-2024"},
            "should_enrich_data": null,
            "created_at": "<created_at>",
            "updated_at": "<updated_at>",
            "activities": []
        }"#,
    );

    activities_of_the_page(&path);

    let changes = json!({
        "locale": "es-ES",
        "timezone": "Europe/Madrid",
        "metadata": {"updated_source": "crm_sync"},
    });
    let updated = put(&path, &changes).send().expect(200);
    assert_body(
        &updated,
        r#"{
            "id": "<id>",
            "org_id": "<org_id>",
            "full_name": "John Doe",
            "email": "john.doe@example.com",
            "linkedin_profile": "https://www.linkedin.com/in/johndoe",
            "company": "Tech Corp",
            "locale": "es-ES",
            "timezone": "Europe/Madrid",
            "enrichment": {"source": "website", "campaign": "Q1-2024", "updated_source": "crm_sync"},
            "created_at": "<created_at>",
            "updated_at": "<updated_at>"
        }"#,
    );
    assert_eq!(updated.json()["created_at"], created.json()["created_at"]);

    delete_of_the_page(&path, created, &changes);
}

fn delete_of_the_page(path: &str, created: &Response, changes: &Value) {
    let deleted = delete(path).send().expect(200);
    assert_eq!(deleted.text, format!(r#"{{"message":"Contacto {} eliminado"}}"#, created.id()));
    for request in [get(path), delete(path), put(path, changes)] {
        request.send().expect_error(404, "Contact not found");
    }
    get(&format!("/contacts/{}", Uuid::now_v7())).send().expect_error(404, "Contact not found");
    get(path).anonymous().send().expect_error(401, UNAUTHORIZED);
    delete(path).key(&API.org.read_key).send().expect_error(403, FORBIDDEN);

    // The email of a deleted contact is free at once.
    post("/contacts/", &john_doe()).send().expect(201);
}

fn activities_of_the_page(path: &str) {
    let activities = json!([
        {
            "id": "act_123",
            "event_time": "2024-04-18T10:15:00Z",
            "channel": "linkedin",
            "event_type": "message_sent",
            "direction": "outbound",
            "sdr_agent_id": "usr_abc",
            "event_text": [{"message": "Hola Jane, ¿comentamos?"}],
            "metadata": {"delivered": true, "opened": true},
        },
        {
            "id": "act_124",
            "event_time": "2024-04-18T11:02:00Z",
            "channel": "email",
            "event_type": "replied",
            "direction": "inbound",
            "event_text": {"message": "Hablemos mañana"},
            "metadata": {"delivered": true, "opened": true, "clicked": true, "replied": true},
        },
    ]);
    post(&format!("{path}/activities"), &activities).send().expect(201);

    // With `any`, because the activities belong to no campaign: with `all`, active campaigns of other tests hide them.
    let contact = get(&format!("{path}?campaign_id=any&page=0&limit=50")).send().expect(200);
    let (_, timeline) = contact.text.split_once(r#""activities":"#).unwrap();
    let expected = r#"[
        {
            "id": "act_123",
            "event_time": "2024-04-18T10:15:00Z",
            "channel": "linkedin",
            "event_type": "message_sent",
            "direction": "outbound",
            "sdr_agent_id": "usr_abc",
            "event_text": [{"message": "Hola Jane, ¿comentamos?"}],
            "metadata": {"delivered": true, "opened": true, "clicked": false, "replied": false},
            "actor": "SDR"
        },
        {
            "id": "act_124",
            "event_time": "2024-04-18T11:02:00Z",
            "channel": "email",
            "event_type": "replied",
            "direction": "inbound",
            "event_text": {"message": "Hablemos mañana"},
            "metadata": {"delivered": true, "opened": true, "clicked": true, "replied": true},
            "actor": "Humano"
        }
    ]}"#;
    assert_eq!(timeline, compact_json(expected));
}
