//! The walk while three in ten requests are killed before or after a database call, and sent again.

use anyhow::Result;
use serde_json::Value;
use shared::testing::fault::Operation;

use super::Run;
use super::client::Hazard;
use super::walk::{Sabotage, Walk};

/// Runs the test. The deliberate fault is that one transaction in sixteen stops after its first item.
pub(super) async fn run(run: &Run<'_>) -> Result<String> {
    let steps = if run.is_full { 600 } else { 25 };
    let sabotage = if run.is_sabotaged { Sabotage::Rewrite(break_transaction) } else { Sabotage::None };
    let walk = Walk { seed: run.seed, steps, hazard: Hazard::Kills, sabotage };
    walk.run().await.map(|summary| summary.to_string())
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
