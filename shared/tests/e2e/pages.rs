//! The requests and answers of the two documentation pages, "Create Contact" and "Manage Contacts".

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{API, Answer, delete, get, ids_by_email, post, put};

const JOHN: &str = "john.doe@example.com";
const JANE: &str = "jane.smith@example.com";

/// As the page has it: a `Value` would forget the order of the metadata.
const JOHN_DOE: &str = r#"{
    "full_name": "John Doe",
    "email": "john.doe@example.com",
    "linkedin_profile": "https://linkedin.com/in/johndoe",
    "company": "Tech Corp",
    "locale": "en-US",
    "timezone": "America/New_York",
    "metadata": {"source": "website", "campaign": "Q1-2024"}
}"#;

fn john() -> Value {
    serde_json::from_str(JOHN_DOE).unwrap()
}

/// A page's answer with what a page cannot know: ids and times. Everything else is compared to the letter.
#[track_caller]
fn assert_is(answer: &Answer, page: &str) {
    let body = answer.json();
    let fill = |page: String, name: &str| page.replace(&format!("<{name}>"), body[name].as_str().unwrap_or_default());
    let expected = ["id", "created_at", "updated_at"].into_iter().fold(page.to_owned(), fill);
    assert_eq!(answer.text, expected.replace("<org_id>", &API.org.org_id));
    for time in ["created_at", "updated_at"] {
        let time = body[time].as_str().unwrap();
        assert!(time.len() == "2024-10-06T12:00:00Z".len() && time.ends_with('Z'), "{time}");
    }
}

#[test]
fn every_example_of_the_pages_comes_out_as_printed() {
    for id in [JOHN, JANE].into_iter().flat_map(ids_by_email) {
        delete(&format!("/contacts/{id}")).send().expect(200);
    }
    let import = post("/imports/", &json!({"source": "csv", "status": "processing"})).send().expect(201);

    // Create Contact
    let created = post("/contacts/", &john()).body(JOHN_DOE).header("x-import-id", &import.id()).send().expect(201);
    assert_is(
        &created,
        concat!(
            r#"{"id":"<id>","org_id":"<org_id>","full_name":"John Doe","email":"john.doe@example.com","#,
            r#""linkedin_profile":"https://www.linkedin.com/in/johndoe","company":"Tech Corp","locale":"en-US","#,
            r#""timezone":"America/New_York","enrichment":{"source":"website","campaign":"Q1-2024"},"#,
            r#""created_at":"<created_at>","updated_at":"<updated_at>"}"#
        ),
    );
    assert_eq!(created.header("content-type"), "application/json");
    let path = format!("/contacts/{}", created.id());
    assert_eq!(created.header("location"), path);

    let least =
        json!({"full_name": "Jane Smith", "email": JANE, "linkedin_profile": "https://linkedin.com/in/janesmith"});
    let answer = post("/contacts/", &least).header("x-import-id", &import.id()).send().expect(201);
    assert_is(
        &answer,
        concat!(
            r#"{"id":"<id>","org_id":"<org_id>","full_name":"Jane Smith","email":"jane.smith@example.com","#,
            r#""linkedin_profile":"https://www.linkedin.com/in/janesmith","company":null,"locale":null,"#,
            r#""timezone":null,"enrichment":null,"created_at":"<created_at>","updated_at":"<updated_at>"}"#
        ),
    );

    let mut no_email = john();
    no_email.as_object_mut().unwrap().remove("email");
    post("/contacts/", &no_email).send().refused(400, "Validation error: email field is required");
    let taken = "Contact with email 'john.doe@example.com' already exists";
    post("/contacts/", &john()).send().refused(409, taken);
    let unauthorized = "Invalid or missing authentication credentials";
    post("/contacts/", &john()).anonymous().send().refused(401, unauthorized);

    // Manage Contacts
    let answer = get(&format!("{path}?campaign_id=all&page=0&limit=50")).send().expect(200);
    assert_is(
        &answer,
        concat!(
            r#"{"id":"<id>","org_id":"<org_id>","full_name":"John Doe","email":"john.doe@example.com","#,
            r#""linkedin_profile":"https://www.linkedin.com/in/johndoe","company":"Tech Corp","locale":"en-US","#,
            r#""timezone":"America/New_York","account_id":null,"#,
            r#""enrichment":{"source":"website","campaign":"Q1-2024"},"should_enrich_data":null,"#,
            r#""created_at":"<created_at>","updated_at":"<updated_at>","activities":[]}"#
        ),
    );

    // The organization's other campaigns must not hide what belongs to none.
    let timeline = json!([
        {
            "id": "act_123", "event_time": "2024-04-18T10:15:00Z", "channel": "linkedin",
            "event_type": "message_sent", "direction": "outbound", "sdr_agent_id": "usr_abc",
            "event_text": [{"message": "Hola Jane, ¿comentamos?"}], "metadata": {"delivered": true, "opened": true},
        },
        {
            "id": "act_124", "event_time": "2024-04-18T11:02:00Z", "channel": "email", "event_type": "replied",
            "direction": "inbound", "event_text": {"message": "Hablemos mañana"},
            "metadata": {"delivered": true, "opened": true, "clicked": true, "replied": true},
        },
    ]);
    post(&format!("{path}/activities"), &timeline).send().expect(201);
    let answer = get(&format!("{path}?campaign_id=any&page=0&limit=50")).send().expect(200);
    let activities = concat!(
        r#""activities":[{"id":"act_123","event_time":"2024-04-18T10:15:00Z","channel":"linkedin","#,
        r#""event_type":"message_sent","direction":"outbound","sdr_agent_id":"usr_abc","#,
        r#""event_text":[{"message":"Hola Jane, ¿comentamos?"}],"#,
        r#""metadata":{"delivered":true,"opened":true,"clicked":false,"replied":false},"actor":"SDR"},"#,
        r#"{"id":"act_124","event_time":"2024-04-18T11:02:00Z","channel":"email","event_type":"replied","#,
        r#""direction":"inbound","event_text":{"message":"Hablemos mañana"},"#,
        r#""metadata":{"delivered":true,"opened":true,"clicked":true,"replied":true},"actor":"Humano"}]}"#
    );
    assert!(answer.text.ends_with(activities), "{answer:?}");

    let changes = json!({"locale": "es-ES", "timezone": "Europe/Madrid", "metadata": {"updated_source": "crm_sync"}});
    let answer = put(&path, &changes).send().expect(200);
    assert_is(
        &answer,
        concat!(
            r#"{"id":"<id>","org_id":"<org_id>","full_name":"John Doe","email":"john.doe@example.com","#,
            r#""linkedin_profile":"https://www.linkedin.com/in/johndoe","company":"Tech Corp","locale":"es-ES","#,
            r#""timezone":"Europe/Madrid","#,
            r#""enrichment":{"source":"website","campaign":"Q1-2024","updated_source":"crm_sync"},"#,
            r#""created_at":"<created_at>","updated_at":"<updated_at>"}"#
        ),
    );
    assert_eq!(answer.json()["created_at"], created.json()["created_at"]);

    let answer = delete(&path).send().expect(200);
    assert_eq!(answer.text, format!(r#"{{"message":"Contacto {} eliminado"}}"#, created.id()));
    for request in [get(&path), delete(&path), put(&path, &changes)] {
        request.send().refused(404, "Contact not found");
    }
    get(&format!("/contacts/{}", Uuid::now_v7())).send().refused(404, "Contact not found");
    get(&path).anonymous().send().refused(401, unauthorized);
    delete(&path).key(&API.org.read_key).send().refused(403, "You do not have permission to access this resource");

    // The address is free at once.
    post("/contacts/", &john()).send().expect(201);
}
