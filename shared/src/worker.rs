//! The worker on the table's stream (AWS, "DynamoDB Streams and AWS Lambda triggers").
//!
//! A batch's records are worked off in their order. At the first that fails the rest is handed back, and the stream sends
//! it again from there (AWS, "Reporting batch item failures"): every step is safe to repeat.

use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::app::{App, time_left};
use crate::config::Config;
use crate::domain::OrgId;
use crate::dynamodb::Parent;
use crate::telemetry;

/// The longest that one batch may take, where the function's own limit is not known.
const LONGEST: Duration = Duration::from_mins(1);
/// What is kept back of the function's time limit for handing the rest back.
const RESERVE: Duration = Duration::from_secs(2);

/// A batch of the stream. Only what is needed of it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Batch {
    records: Vec<Record>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record {
    event_name: String,
    dynamodb: Change,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Change {
    keys: Keys,
    sequence_number: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Keys {
    pk: Text,
    sk: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Text {
    s: String,
}

/// Where a batch has to be sent again from: nowhere, if all of it is done.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    batch_item_failures: Vec<Failure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

impl Record {
    /// What has gone, if this record says that something has.
    fn gone(&self) -> Option<(OrgId, Parent)> {
        let Keys { pk, sk } = &self.dynamodb.keys;
        Parent::at(&pk.s, &sk.s).filter(|_| self.event_name == "REMOVE")
    }
}

/// Runs the worker's function.
///
/// # Errors
/// The configuration's, or the runtime's.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let process = App::new(&Config::from_env()?);
    process.connect().await;
    lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Batch>| {
        let process = process.clone();
        async move {
            let LambdaEvent { payload, context } = event;
            let deadline = Instant::now() + time_left(context.deadline(), RESERVE).unwrap_or(LONGEST);
            Ok::<_, lambda_runtime::Error>(work(&process, &payload, deadline).await)
        }
    }))
    .await
}

/// Works off a batch until the deadline.
pub async fn work(process: &App, batch: &Batch, deadline: Instant) -> Outcome {
    for record in &batch.records {
        let Some((org, parent)) = record.gone() else { continue };
        match process.clear(org, parent, deadline).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(operation = "cascade_delete", org_id = %org, deleted),
            Err(error) => {
                tracing::error!(operation = "cascade_delete", org_id = %org, fault = ?error);
                return Outcome {
                    batch_item_failures: vec![Failure { item_identifier: record.dynamodb.sequence_number.clone() }],
                };
            }
        }
    }
    Outcome::default()
}
