//! The walk while three in ten database calls fail, in every way of the fault proxy.

use anyhow::Result;
use serde_json::Value;
use shared::testing::fault::Operation;

use super::Run;
use super::client::Hazard;
use super::walk::{Sabotage, Walk};

/// Runs the test. The deliberate fault is that an attempt of a transaction is not recognized as the repeat of another.
pub(super) async fn run(run: &Run<'_>) -> Result<String> {
    let steps = if run.is_full { 300 } else { 15 };
    let sabotage = if run.is_sabotaged { Sabotage::Rewrite(remove_request_token) } else { Sabotage::None };
    let walk = Walk { seed: run.seed, steps, hazard: Hazard::Faults, sabotage };
    walk.run().await.map(|summary| summary.to_string())
}

fn remove_request_token(operation: Operation, request: &mut Value) {
    if operation == Operation::TransactWriteItems
        && let Some(request) = request.as_object_mut()
    {
        request.remove("ClientRequestToken");
    }
}
