//! Events of API Gateway (version 2 of the format): the example events of the endpoints with other values.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::variant::Operation;

/// An example event, and the credential to send.
#[derive(Debug, Clone)]
pub(super) struct EventTemplate {
    event: Value,
}

/// The body of a new contact. Not a [`Value`], which would sort the keys of the metadata: their order is stored.
#[derive(Serialize)]
struct NewContact {
    full_name: &'static str,
    email: String,
    linkedin_profile: &'static str,
    company: &'static str,
    locale: &'static str,
    timezone: &'static str,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Metadata {
    source: &'static str,
    campaign: &'static str,
}

/// The five keys that an update sets are `key_0` to `key_4`.
const UPDATED_KEYS: usize = 5;

impl EventTemplate {
    /// Reads the example event of the operation's endpoint.
    pub(super) fn read(root: &Path, operation: Operation, api_key: &str) -> Result<Self> {
        let file = root.join("events").join(operation.function()).with_extension("json");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let event = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
        Ok(Self::new(event, api_key))
    }

    fn new(mut event: Value, api_key: &str) -> Self {
        event["headers"]["x-api-key"] = json!(api_key);
        // The example event asks for all campaigns; the defaults are what clients use.
        event["rawQueryString"] = json!("");
        if let Some(event) = event.as_object_mut() {
            event.remove("queryStringParameters");
        }
        Self { event }
    }

    /// The event of one more request. `contact` is the one to read or update, and `number` is different in every request.
    pub(super) fn event(&self, operation: Operation, contact: &str, number: u128) -> Vec<u8> {
        let event = match operation {
            Operation::Create => self.clone().with_body(&NewContact::new(number)),
            Operation::Update => self.clone().with_contact(contact).with_body(&update(number)),
            Operation::Get0 | Operation::Get50 => self.clone().with_contact(contact),
            Operation::List => self.clone().with_query("limit", "100"),
            // Bulk uploads have their size: see `bulk`.
            Operation::Bulk => self.clone().with_body(&[NewContact::new(number)]),
        };
        event.event.to_string().into_bytes()
    }

    /// The event of a bulk upload of new contacts.
    pub(super) fn bulk(&self, rows: usize, number: u128) -> Vec<u8> {
        let rows: Vec<_> = (0..rows).map(|row| NewContact::new(number + row as u128)).collect();
        self.clone().with_body(&rows).event.to_string().into_bytes()
    }

    fn with_contact(mut self, contact: &str) -> Self {
        let path = format!("/contacts/{contact}");
        self.event["rawPath"] = json!(path);
        self.event["requestContext"]["http"]["path"] = json!(path);
        self.event["pathParameters"] = json!({"contact_id": contact});
        self
    }

    fn with_query(mut self, name: &str, value: &str) -> Self {
        self.event["rawQueryString"] = json!(format!("{name}={value}"));
        self.event["queryStringParameters"] = json!({name: value});
        self
    }

    fn with_body(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        // Without a text, the function says what is wrong.
        self.event["body"] = json!(serde_json::to_string(body).ok());
        self.event["isBase64Encoded"] = json!(false);
        self
    }
}

impl NewContact {
    fn new(number: u128) -> Self {
        Self {
            full_name: "John Doe",
            email: format!("john.doe.{number:032x}@example.com"),
            linkedin_profile: "https://linkedin.com/in/johndoe",
            company: "Tech Corp",
            locale: "en-US",
            timezone: "America/New_York",
            metadata: Metadata { source: "website", campaign: "Q1-2024" },
        }
    }
}

fn update(number: u128) -> Value {
    let mut metadata = serde_json::Map::new();
    for key in 0..UPDATED_KEYS {
        metadata.insert(format!("key_{key}"), json!(format!("value {:016x}", number + key as u128)));
    }
    json!({"metadata": metadata})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    fn event(operation: Operation, contact: &str) -> Value {
        let root = workspace::find_root().unwrap();
        let template = EventTemplate::read(&root, operation, "sk_test_secret").unwrap();
        serde_json::from_slice(&template.event(operation, contact, 7)).unwrap()
    }

    #[test]
    fn an_event_names_its_contact_wherever_api_gateway_does() {
        let event = event(Operation::Get50, "01924dd1-4a80-7000-8000-0000000000ff");
        assert_eq!(event["rawPath"], "/contacts/01924dd1-4a80-7000-8000-0000000000ff");
        assert_eq!(event["requestContext"]["http"]["path"], event["rawPath"]);
        assert_eq!(event["pathParameters"]["contact_id"], "01924dd1-4a80-7000-8000-0000000000ff");
        assert_eq!(event["headers"]["x-api-key"], "sk_test_secret");
        assert_eq!(event["rawQueryString"], "");
        assert_eq!(event["queryStringParameters"], Value::Null);
    }

    #[test]
    fn a_list_asks_for_100_contacts() {
        let event = event(Operation::List, "");
        assert_eq!(event["rawQueryString"], "limit=100");
        assert_eq!(event["queryStringParameters"], json!({"limit": "100"}));
    }

    #[test]
    fn every_request_that_creates_has_another_email() {
        let root = workspace::find_root().unwrap();
        let template = EventTemplate::read(&root, Operation::Create, "key").unwrap();
        let email = |number| {
            let event: Value = serde_json::from_slice(&template.event(Operation::Create, "", number)).unwrap();
            let body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
            body["email"].as_str().unwrap().to_owned()
        };
        assert_ne!(email(1), email(2));
        assert!(email(1).ends_with("1@example.com"));
    }

    #[test]
    fn the_metadata_of_a_new_contact_is_in_the_order_of_the_example() {
        let event = event(Operation::Create, "");
        let body = event["body"].as_str().unwrap();
        assert!(body.ends_with(r#""metadata":{"source":"website","campaign":"Q1-2024"}}"#), "{body}");
    }

    #[test]
    fn a_bulk_upload_has_as_many_rows_as_it_is_asked_for() {
        let root = workspace::find_root().unwrap();
        let template = EventTemplate::read(&root, Operation::Bulk, "key").unwrap();
        let event: Value = serde_json::from_slice(&template.bulk(3, 0)).unwrap();
        let rows: Vec<Value> = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
        assert_eq!(rows.len(), 3);
        assert_ne!(rows[0]["email"], rows[1]["email"]);
    }
}
