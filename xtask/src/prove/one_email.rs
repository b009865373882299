//! Many requests that want one email at once: creates, uploads, and changes of another contact's email.

use anyhow::{Result, bail};
use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::domain::{ContactFilter, ContactId, Email};
use shared::repositories::Error;
use shared::testing::TestApp;
use shared::testing::fault::Operation;

use super::client::{Client, Hazard};
use super::{Run, Violation};

/// The clients, each with a process of its own.
const CLIENTS: usize = 64;

/// The outcome of a request that wanted the email.
enum Outcome {
    /// This contact has the email now, and had not before.
    Won(ContactId),
    /// The request was merged into this contact, which has the email.
    Merged(ContactId),
    /// The email is taken.
    Lost,
}

/// A client, and the contact whose email it changes.
struct Contender {
    client: Client,
    contact: ContactId,
    rng: Rng,
}

/// Runs the test. The deliberate fault is that an email's lock is written without its condition.
pub(super) async fn run(run: &Run<'_>) -> Result<String> {
    let rounds = if run.is_full { 1_500 } else { 30 };
    let test = TestApp::new().await;
    let mut rng = Rng::with_seed(run.seed);
    let mut contenders = Vec::new();
    for number in 0..CLIENTS {
        let mut client = Client::new(&test, Hazard::None, rng.fork()).await;
        if run.is_sabotaged {
            client.proxy.rewrite(remove_condition_of_lock);
        }
        let contact = client.create_contact(&body(&format!("client-{number}@example.com")), None).await.response?;
        contenders.push(Contender { client, contact, rng: rng.fork() });
    }
    for round in 0..rounds {
        let email = format!("round-{round}@example.com");
        let outcomes = join_all(contenders.iter_mut().map(|contender| contender.contend(&email))).await;
        let winner = check_outcomes(&email, outcomes.into_iter().collect::<Result<Vec<_>>>()?)?;
        let filter = ContactFilter { email: Some(Email::parse(&email)?), ..ContactFilter::default() };
        let found = contenders[0].client.list_contacts(&filter, 10).await?;
        if found.iter().map(|contact| contact.id).collect::<Vec<_>>() != [winner] {
            return Err(Violation::error(format!("{email} of contact {winner} is shown with {found:?}")));
        }
    }
    let (contacts, locks) = (test.count_items("contact").await, test.count_items("email_lock").await);
    if contacts != locks {
        return Err(Violation::error(format!("{contacts} contacts have {locks} locks")));
    }
    Ok(format!("{rounds} rounds of {CLIENTS} clients; left: {contacts} contacts, {locks} locks"))
}

impl Contender {
    /// Tries to get the email in one of three ways.
    async fn contend(&mut self, email: &str) -> Result<Outcome> {
        let Self { client, contact, rng } = self;
        let outcome = match rng.u8(..4) {
            0 => client.update_contact(*contact, &json!({"email": email}), None).await.response.map(|_| *contact),
            1 => {
                let rows = [body(email), body(email)];
                let uploaded = client.upload(&rows, None).await.response?;
                return match uploaded.as_slice() {
                    [(true, contact), _] => Ok(Outcome::Won(contact.id)),
                    [(false, contact), _] => Ok(Outcome::Merged(contact.id)),
                    _ => bail!("the upload of {email} has {} outcomes", uploaded.len()),
                };
            }
            _ => client.create_contact(&body(email), None).await.response,
        };
        match outcome {
            Ok(contact) => Ok(Outcome::Won(contact)),
            Err(Error::EmailTaken(taken)) if taken.as_str() == email => Ok(Outcome::Lost),
            Err(error) => Err(Violation::error(format!("{email} is refused with {error:?}"))),
        }
    }
}

/// The one contact that got the email, into which all uploads were merged.
fn check_outcomes(email: &str, outcomes: Vec<Outcome>) -> Result<ContactId> {
    let (mut winners, mut merged) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Outcome::Won(contact) => winners.push(contact),
            Outcome::Merged(contact) => merged.push(contact),
            Outcome::Lost => {}
        }
    }
    match winners[..] {
        [winner] if merged.iter().all(|contact| *contact == winner) => Ok(winner),
        _ => {
            let strays = merged.iter().filter(|contact| !winners.contains(contact)).count();
            let won = winners.len();
            Err(Violation::error(format!(
                "{won} requests got {email}; {strays} uploads were merged into other contacts"
            )))
        }
    }
}

fn remove_condition_of_lock(operation: Operation, request: &mut Value) {
    if operation != Operation::TransactWriteItems {
        return;
    }
    for item in request["TransactItems"].as_array_mut().into_iter().flatten() {
        if item["Put"]["Item"]["type"]["S"] == "email_lock"
            && let Some(put) = item["Put"].as_object_mut()
        {
            put.remove("ConditionExpression");
            put.remove("ExpressionAttributeNames");
        }
    }
}

fn body(email: &str) -> Value {
    json!({
        "full_name": "Jane Doe",
        "email": email,
        "linkedin_profile": "https://www.linkedin.com/in/janedoe",
    })
}
