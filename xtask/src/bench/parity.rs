//! The check that programs respond equally, before they are timed.
//!
//! Ours responds first, and each peer has to respond with the same status and the same text. What differs by design is replaced
//! before: the id, the email and the times of the contact that each creates for itself, and the words of validation errors.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use uuid::Uuid;

use super::event::EventTemplate;
use super::function::Function;
use super::results::OURS;
use super::testbed::Testbed;
use super::variant::{Operation, Variant};

/// Responses by what was requested.
type Responses = BTreeMap<&'static str, Response>;

/// How the `detail` of every 400 begins. The rest is in the words of the library that validates.
const VALIDATION_ERROR: &str = "Validation error: ";

/// What the client sees of a response, without its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Response {
    status: u64,
    body: String,
}

/// The statuses of our responses.
const STATUSES: [(&str, u64); 9] = [
    ("a page of 50 activities", 200),
    ("a missing contact", 404),
    ("a list of 100 contacts", 200),
    ("a new contact", 201),
    ("a contact with an email that is taken", 409),
    ("an invalid contact", 400),
    ("an unknown API key", 401),
    ("an update of metadata", 200),
    ("an updated contact", 200),
];

/// Fails if a peer responds differently. `ours` are the variants of this checkout, and say which operations are measured.
pub(super) async fn check(root: &Path, testbed: &Testbed, ours: &[Variant], peers: &[Variant]) -> Result<()> {
    let mut names: Vec<_> = peers.iter().map(|variant| variant.name.as_str()).collect();
    names.dedup();
    let us = Program { root, testbed, variants: ours, name: OURS };
    let others: Vec<_> = names.into_iter().map(|name| Program { root, testbed, variants: peers, name }).collect();
    // All reads come before all writes, which the list would show.
    let expected = us.read().await?;
    check_statuses(&expected)?;
    for program in &others {
        compare(program.name, &expected, &program.read().await?)?;
    }
    let expected = us.write().await?;
    check_statuses(&expected)?;
    for program in &others {
        compare(program.name, &expected, &program.write().await?)?;
    }
    Ok(())
}

/// One program: the variants of a name.
struct Program<'a> {
    root: &'a Path,
    testbed: &'a Testbed,
    variants: &'a [Variant],
    name: &'a str,
}

impl Program<'_> {
    /// Reads what the testbed has stored.
    async fn read(&self) -> Result<Responses> {
        let mut responses = Responses::new();
        if let Some(mut get) = self.start(Operation::Get50).await? {
            let event = self.testbed.scene(Operation::Get50)?.event();
            responses.insert("a page of 50 activities", Response::to(&mut get, event).await?);
            let missing = self.template(Operation::Get0)?.event(Operation::Get0, &Uuid::now_v7().to_string(), 0);
            responses.insert("a missing contact", Response::to(&mut get, missing).await?);
        }
        if let Some(mut list) = self.start(Operation::List).await? {
            let event = self.testbed.scene(Operation::List)?.event();
            responses.insert("a list of 100 contacts", Response::to(&mut list, event).await?);
        }
        Ok(responses)
    }

    /// Creates a contact, updates it, and reads it.
    async fn write(&self) -> Result<Responses> {
        let mut responses = Responses::new();
        let Some(mut create) = self.start(Operation::Create).await? else { return Ok(responses) };
        let event = self.testbed.scene(Operation::Create)?.event();
        let created = Response::to(&mut create, event.clone()).await?;
        let contact = Contact::parse(&created).with_context(|| format!("{} creates no contact", self.name))?;
        let taken = Response::to(&mut create, event.clone()).await?;
        let invalid = Response::to(&mut create, with_invalid_body(&event)?).await?;
        responses.insert("a new contact", contact.replace(created));
        responses.insert("a contact with an email that is taken", contact.replace(taken));
        responses.insert("an invalid contact", invalid.without_words_of_validation());
        responses.insert("an unknown API key", Response::to(&mut create, with_unknown_key(&event)?).await?);

        if let Some(mut update) = self.start(Operation::Update).await? {
            let event = self.template(Operation::Update)?.event(Operation::Update, &contact.id, 1);
            responses.insert("an update of metadata", contact.replace(Response::to(&mut update, event).await?));
        }
        if let Some(mut get) = self.start(Operation::Get0).await? {
            let event = self.template(Operation::Get0)?.event(Operation::Get0, &contact.id, 0);
            responses.insert("an updated contact", contact.replace(Response::to(&mut get, event).await?));
        }
        Ok(responses)
    }

    /// Starts the function of an operation; `None` if the operation is not measured.
    async fn start(&self, operation: Operation) -> Result<Option<Function>> {
        let is_wanted = |variant: &&Variant| variant.name == self.name && variant.operations.contains(&operation);
        match self.variants.iter().find(is_wanted) {
            Some(variant) => Ok(Some(self.testbed.scene(operation)?.start(variant).await?)),
            None => Ok(None),
        }
    }

    fn template(&self, operation: Operation) -> Result<EventTemplate> {
        EventTemplate::read(self.root, operation, self.testbed.app.org.admin_key.in_clear())
    }
}

impl Response {
    /// The response to an event.
    async fn to(function: &mut Function, event: Vec<u8>) -> Result<Self> {
        Self::parse(&function.invoke(event).await?.body)
    }

    fn parse(response: &[u8]) -> Result<Self> {
        let response: Value = serde_json::from_slice(response).context("a response is not JSON")?;
        let status = response["statusCode"].as_u64().context("a response has no status")?;
        Ok(Self { status, body: response["body"].as_str().unwrap_or_default().to_owned() })
    }

    fn without_words_of_validation(self) -> Self {
        let detail = detail(&self.body).filter(|detail| detail.starts_with(VALIDATION_ERROR));
        match detail {
            Some(_) => Self { body: VALIDATION_ERROR.to_owned(), ..self },
            None => self,
        }
    }
}

/// The contact that a program has created, and the parts of it that are different in each.
struct Contact {
    id: String,
    email: String,
    created_at: String,
}

impl Contact {
    fn parse(created: &Response) -> Option<Self> {
        let body: Value = serde_json::from_str(&created.body).ok()?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        Some(Self { id: text("id")?, email: text("email")?, created_at: text("created_at")? })
    }

    fn replace(&self, mut response: Response) -> Response {
        let mut body = response.body.replace(&self.id, "<id>").replace(&self.email, "<email>");
        // An update may come a second later.
        let times = [Some(self.created_at.clone()), updated_at(&body)];
        for time in times.into_iter().flatten().filter(|time| has_form_of_time(time)) {
            body = body.replace(&time, "<time>");
        }
        response.body = body;
        response
    }
}

/// The `updated_at` of a contact.
fn updated_at(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    body["updated_at"].as_str().map(str::to_owned)
}

fn has_form_of_time(text: &str) -> bool {
    chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ").is_ok()
}

fn detail(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    body["detail"].as_str().map(str::to_owned)
}

/// The event with a body in which two fields are invalid and one is missing.
fn with_invalid_body(event: &[u8]) -> Result<Vec<u8>> {
    let mut event: Value = serde_json::from_slice(event)?;
    event["body"] = json!(json!({"full_name": "", "email": "nowhere"}).to_string());
    Ok(event.to_string().into_bytes())
}

fn with_unknown_key(event: &[u8]) -> Result<Vec<u8>> {
    let mut event: Value = serde_json::from_slice(event)?;
    event["headers"]["x-api-key"] = json!(format!("sk_test_{}", "0".repeat(56)));
    Ok(event.to_string().into_bytes())
}

/// Fails if a response of ours has another status than it should, because equal errors would look like agreement.
fn check_statuses(ours: &Responses) -> Result<()> {
    for (request, Response { status, body }) in ours {
        let expected = STATUSES.iter().find(|(name, _)| name == request).map(|(_, status)| *status);
        ensure!(Some(*status) == expected, "our response to {request} is {status} {body}");
    }
    Ok(())
}

/// Fails at the first request to which a peer responds differently.
fn compare(peer: &str, expected: &Responses, found: &Responses) -> Result<()> {
    for (request, expected) in expected {
        let found = found.get(request).with_context(|| format!("{peer} has no response for {request}"))?;
        ensure!(
            found == expected,
            "{peer} responds differently to {request}\nexpected: {} {}\nfound:    {} {}",
            expected.status,
            expected.body,
            found.status,
            found.body
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u64, body: &str) -> Response {
        Response { status, body: body.to_owned() }
    }

    #[test]
    fn contacts_of_two_programs_are_equal_but_for_what_each_creates() {
        let created = |number: u32, email: &str, time: &str| {
            let id = format!("01924dd1-4a80-7000-8000-{number:012}");
            let body = format!(r#"{{"id":"{id}","email":"{email}","created_at":"{time}","updated_at":"{time}"}}"#);
            let response = response(201, &body);
            Contact::parse(&response).unwrap().replace(response)
        };
        let first = created(1, "a@example.com", "2024-10-06T12:00:00Z");
        let second = created(7, "b@example.com", "2024-10-06T12:00:09Z");
        assert_eq!(first, second);
        assert_ne!(first, created(7, "b@example.com", "2024-10-06 12:00"));
    }

    #[test]
    fn a_validation_error_may_have_other_words() {
        let error = |detail: &str| response(400, &json!({"detail": detail}).to_string()).without_words_of_validation();
        assert_eq!(error("Validation error: email is invalid"), error("Validation error: email nowhere"));
        assert_ne!(error("Validation error: email is invalid"), error("Bad Request"));
    }

    #[test]
    fn a_different_response_is_an_error_that_shows_both() {
        let expected = Responses::from([("a missing contact", response(404, r#"{"detail":"Contact not found"}"#))]);
        let found = Responses::from([("a missing contact", response(404, r#"{"detail":"Not Found"}"#))]);
        assert!(compare("node", &expected, &expected).is_ok());
        let error = compare("node", &expected, &found).unwrap_err().to_string();
        assert_eq!(
            error,
            "node responds differently to a missing contact\n\
             expected: 404 {\"detail\":\"Contact not found\"}\n\
             found:    404 {\"detail\":\"Not Found\"}"
        );
    }

    #[test]
    fn our_own_responses_have_to_be_right() {
        let of = |status| Responses::from([("an unknown API key", response(status, ""))]);
        assert!(check_statuses(&of(401)).is_ok());
        let error = check_statuses(&of(503)).unwrap_err().to_string();
        assert_eq!(error, "our response to an unknown API key is 503 ");
    }

    #[test]
    fn a_missing_response_is_an_error() {
        let expected = Responses::from([("a missing contact", response(404, ""))]);
        assert!(compare("python", &expected, &Responses::new()).is_err());
    }
}
