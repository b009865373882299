//! The walk while three in ten requests are killed before or after a database call, and most of them sent again; and deletes of
//! contacts with many children, each killed at another call and not sent again.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use fastrand::Rng;
use serde_json::{Value, json};
use shared::domain::{CampaignId, ContactId, Kind, LeadFilter};
use shared::repositories::Error;
use shared::testing::TestApp;
use shared::testing::fault::Operation;

use super::client::{Client, Hazard};
use super::walk::{Sabotage, Walk};
use super::{Run, Violation};

/// More children than one transaction deletes.
const LEADS: usize = 110;
/// A delete makes fewer calls.
const MAX_CALLS: usize = 6;

/// Runs the test. The deliberate fault is that one transaction in sixteen stops after its first item.
pub(super) async fn run(run: &Run<'_>) -> Result<String> {
    let steps = if run.is_full { 600 } else { 25 };
    let sabotage = if run.is_sabotaged { Sabotage::Rewrite(break_transaction) } else { Sabotage::None };
    let walk = Walk { seed: run.seed, steps, hazard: Hazard::Kills, sabotage };
    let summary = walk.run().await?;
    let killed = kill_deletes().await?;
    Ok(format!("{summary}; {killed} deletes of {LEADS} leads killed"))
}

/// Kills the delete of a contact before and after each of its calls: the contact is gone, or it has all of its leads.
/// Returns the number of deletes that were killed.
async fn kill_deletes() -> Result<usize> {
    let test = TestApp::new().await;
    let mut client = Client::new(&test, Hazard::None, Rng::with_seed(0)).await;
    let points: Vec<_> = (0..MAX_CALLS).flat_map(|calls| [(calls, false), (calls, true)]).collect();
    let (contacts, campaigns) = contacts_with_leads(&mut client, points.len()).await?;
    let mut killed = 0;
    for (contact, (calls_before, is_executed)) in contacts.into_iter().zip(points) {
        let response = client.kill_delete(contact, calls_before, is_executed).await;
        killed += usize::from(response.is_none());
        match client.get_contact(contact).await {
            Err(Error::NotFound(Kind::Contact)) => continue,
            found => found.map(drop).context("a contact cannot be read")?,
        }
        let filter = LeadFilter { contact_id: Some(contact), ..LeadFilter::default() };
        let leads = client.list_leads(&filter).await?;
        let found: BTreeSet<_> = leads.into_iter().map(|lead| lead.key.campaign_id).collect();
        if response.is_some() || found != campaigns {
            let when = if is_executed { "after" } else { "before" };
            return Err(Violation::error(format!(
                "a delete killed {when} call {calls_before} leaves the contact with {} of {} leads: {response:?}",
                found.len(),
                campaigns.len()
            )));
        }
    }
    Ok(killed)
}

/// Contacts that are leads of the same campaigns.
async fn contacts_with_leads(client: &mut Client, count: usize) -> Result<(Vec<ContactId>, BTreeSet<CampaignId>)> {
    let import = client.create_import().await?;
    let mut rows = Vec::new();
    for number in 0..count {
        let email = format!("{number}@example.com");
        rows.push(json!({"full_name": "Jane Doe", "email": email, "linkedin_profile": "linkedin.com/in/janedoe"}));
    }
    let uploaded = client.upload(&rows, Some(import)).await.response?;
    let mut campaigns = BTreeSet::new();
    for _ in 0..LEADS {
        let campaign = client.create_campaign(&json!({"name": "Q1"})).await?;
        client.link(campaign, &BTreeSet::from([import])).await.response?;
        campaigns.insert(campaign);
    }
    Ok((uploaded.into_iter().map(|(_, contact)| contact.id).collect(), campaigns))
}

/// Leaves only the first item of a transaction whose token begins with 0.
fn break_transaction(operation: Operation, request: &mut Value) {
    let is_chosen = request["ClientRequestToken"].as_str().is_some_and(|token| token.starts_with('0'));
    if operation == Operation::TransactWriteItems
        && is_chosen
        && let Some(items) = request["TransactItems"].as_array_mut()
    {
        items.truncate(1);
    }
}
