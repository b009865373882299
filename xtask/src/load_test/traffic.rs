//! What an organization sends: the requests, and their times.

use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::{Agent, Error, http};
use uuid::Uuid;

use super::report::{Outcome, Tally};

/// An organization without restraint sends one upload in so many requests.
const UPLOAD_INTERVAL: usize = 20;
/// The rows of an upload.
const UPLOAD_ROWS: usize = 50;

/// A client with the credentials of one organization.
pub(super) struct Client<'a> {
    agent: &'a Agent,
    base_url: &'a str,
    api_key: &'a str,
}

/// The times at which requests are due.
pub(super) struct Schedule {
    pub(super) first: Instant,
    pub(super) interval: Duration,
    pub(super) end: Instant,
}

/// A response.
struct Response {
    status: u16,
    has_retry_after: bool,
    body: String,
}

/// Sends requests at their times. A request that is sent late, because the response before it was, counts from the time at
/// which it was due.
pub(super) fn send_at_rate(client: &Client<'_>, schedule: &Schedule) -> Tally {
    let Schedule { first, interval, end } = *schedule;
    let (mut work, mut tally, mut due) = (Work::new(client), Tally::default(), first);
    while due < end && Instant::now() < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let outcome = work.send_next();
        tally.add(outcome, due.elapsed());
        due += interval;
    }
    tally
}

/// Sends the next request as soon as any response to the previous one has arrived.
pub(super) fn send_without_restraint(client: &Client<'_>, end: Instant) -> Tally {
    let (mut work, mut tally) = (Work::new(client), Tally::default());
    for count in 1_usize.. {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        let outcome = if count.is_multiple_of(UPLOAD_INTERVAL) { client.upload() } else { work.send_next() };
        tally.add(outcome, sent.elapsed());
    }
    tally
}

/// The work of a user: contacts, one after the other. A contact is created, read, found in the list, updated, and gets an
/// activity.
struct Work<'a> {
    client: &'a Client<'a>,
    next: Step,
}

/// A request, with the path of the contact that it concerns.
enum Step {
    Create,
    Get(String),
    List(String),
    Update(String),
    RecordActivity(String),
}

impl<'a> Work<'a> {
    fn new(client: &'a Client<'a>) -> Self {
        Self { client, next: Step::Create }
    }

    /// Sends the next request. Without a contact, because it could not be created, the next one is to create one again.
    fn send_next(&mut self) -> Outcome {
        let (outcome, next) = match mem::replace(&mut self.next, Step::Create) {
            Step::Create => self.client.create_contact(),
            Step::Get(path) => (self.client.outcome("GET", &path, None, 200), Step::List(path)),
            Step::List(path) => (self.client.outcome("GET", "/contacts/?limit=20", None, 200), Step::Update(path)),
            Step::Update(path) => {
                let patch = json!({"metadata": {"seen": Uuid::new_v4()}});
                (self.client.outcome("PUT", &path, Some(&patch), 200), Step::RecordActivity(path))
            }
            Step::RecordActivity(path) => {
                let activity = json!({"event_time": "2024-02-01T09:00:00Z", "channel": "email", "event_type": "sent"});
                (self.client.outcome("POST", &format!("{path}/activities"), Some(&activity), 201), Step::Create)
            }
        };
        self.next = next;
        outcome
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(agent: &'a Agent, base_url: &'a str, api_key: &'a str) -> Self {
        Self { agent, base_url, api_key }
    }

    fn create_contact(&self) -> (Outcome, Step) {
        let response = self.send("POST", "/contacts/", Some(&new_contact()));
        let id = match &response {
            Ok(response) if response.status == 201 => contact_id(&response.body),
            _ => None,
        };
        let next = if let Some(id) = id { Step::Get(format!("/contacts/{id}")) } else { Step::Create };
        (outcome("POST /contacts/", response, 201), next)
    }

    fn upload(&self) -> Outcome {
        let rows: Value = (0..UPLOAD_ROWS).map(|_| new_contact()).collect();
        self.outcome("POST", "/contacts/bulk", Some(&rows), 201)
    }

    /// Sends a request, and compares the status of the response.
    fn outcome(&self, method: &str, path: &str, body: Option<&Value>, expected: u16) -> Outcome {
        outcome(&format!("{method} {path}"), self.send(method, path, body), expected)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Response, Error> {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.base_url));
        let request = request.header("x-api-key", self.api_key).header("content-type", "application/json");
        let mut response = match body {
            Some(body) => self.agent.run(request.body(body.to_string())?),
            None => self.agent.run(request.body(())?),
        }?;
        Ok(Response {
            status: response.status().as_u16(),
            has_retry_after: response.headers().contains_key("retry-after"),
            body: response.body_mut().read_to_string()?,
        })
    }
}

/// The outcome of a request, which is named in the text of a failure.
fn outcome(request: &str, response: Result<Response, Error>, expected: u16) -> Outcome {
    match response {
        Err(error) => Outcome::NoResponse(format!("{request}: {error}")),
        Ok(Response { status, .. }) if status == expected => Outcome::Success,
        Ok(Response { status: 429, has_retry_after, .. }) => Outcome::TooManyRequests { has_retry_after },
        Ok(Response { status, body, .. }) => {
            Outcome::Unexpected { status, text: format!("{request}: {status} {body}") }
        }
    }
}

fn new_contact() -> Value {
    let id = Uuid::new_v4().simple();
    json!({
        "full_name": "Jane Doe", "email": format!("jane.{id}@example.com"),
        "linkedin_profile": "https://linkedin.com/in/janedoe", "metadata": {"source": "load"},
    })
}

fn contact_id(body: &str) -> Option<String> {
    let contact: Value = serde_json::from_str(body).ok()?;
    Some(contact["id"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, has_retry_after: bool) -> Response {
        Response { status, has_retry_after, body: "{}".to_owned() }
    }

    #[test]
    fn a_response_is_compared_with_the_expected_status() {
        for (response, expected) in [
            (Ok(response(201, false)), Outcome::Success),
            (Ok(response(200, false)), Outcome::Unexpected { status: 200, text: "POST /contacts/: 200 {}".to_owned() }),
            (Ok(response(429, true)), Outcome::TooManyRequests { has_retry_after: true }),
            (Ok(response(429, false)), Outcome::TooManyRequests { has_retry_after: false }),
            (Ok(response(503, true)), Outcome::Unexpected { status: 503, text: "POST /contacts/: 503 {}".to_owned() }),
            (Err(Error::HostNotFound), Outcome::NoResponse("POST /contacts/: host not found".to_owned())),
        ] {
            assert_eq!(outcome("POST /contacts/", response, 201), expected);
        }
    }
}
