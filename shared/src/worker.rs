//! The worker on the table's stream, which deletes the children of deleted parents (see `repositories::cascade`).
//!
//! The records of a batch are processed in their order. If one fails, the stream delivers the batch again from that record
//! on (AWS, "Reporting batch item failures"), so every step is safe to repeat.

use std::collections::BTreeSet;
use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use crate::app::App;
use crate::config::Config;
use crate::domain::{Id, ImportId};
use crate::dynamodb::{CapacityMeter, DeletedParent, Parent, keys};
use crate::invocation::{Invocation, time_left};
use crate::telemetry::{self, BatchFailure, BatchLine, BatchMetrics, CommonMetrics, InvocationIds, is_cold_start};
use crate::trace;

/// The longest time for one batch if the function's own time limit is not known.
const MAX_DURATION: Duration = Duration::from_mins(1);
/// The part of the function's time limit that is reserved for reporting a failed record.
const RESERVE: Duration = Duration::from_secs(2);

/// A batch of the stream. Only the fields that are used are parsed.
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
    old_image: OldImage,
    sequence_number: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Keys {
    pk: StringAttribute,
    sk: StringAttribute,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct StringAttribute {
    s: String,
}

/// The attribute of a removed contact, or of its tombstone, that tells where its memberships are.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OldImage {
    import_ids: StringSetAttribute,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StringSetAttribute {
    #[serde(rename = "SS")]
    members: Vec<String>,
}

/// The response to a batch: the record to deliver again, with all records after it; blank if all were processed.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

impl Record {
    /// The parent that was deleted, or whose tombstone has expired; `None` for any other record.
    fn deleted_parent(&self) -> Option<DeletedParent> {
        if self.event_name != "REMOVE" {
            return None;
        }
        let Change { keys: Keys { pk, sk }, old_image, .. } = &self.dynamodb;
        let (org, parent) = Parent::at(&pk.s, &sk.s)?;
        let import_ids: BTreeSet<_> =
            old_image.import_ids.members.iter().filter_map(|id| ImportId::parse(id).ok()).collect();
        Some(DeletedParent { org, parent, import_ids })
    }
}

/// The records of a batch up to the first that failed.
#[derive(Default)]
struct Progress<'a> {
    /// The number of children of the parents that were completed.
    deleted: usize,
    failure: Option<(&'a Record, BatchFailure)>,
}

/// Runs the worker's function.
///
/// # Errors
/// The configuration's, or the runtime's.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let app = App::new(&Config::from_env()?);
    // The worker may read items of organizations, and none of another kind.
    app.connect(&keys::contact(Uuid::nil().into(), Uuid::nil().into())).await;
    let service = service_fn(move |event: LambdaEvent<Batch>| {
        let app = app.clone();
        async move {
            let LambdaEvent { payload, context } = event;
            let deadline = Instant::now() + time_left(context.deadline(), RESERVE).unwrap_or(MAX_DURATION);
            let invocation = Invocation::new(context, deadline);
            // On the heap, because the futures of a batch are nested too deep for the compiler to lay out in those of the runtime.
            Ok::<_, lambda_runtime::Error>(Box::pin(process_batch(&app, &payload, invocation)).await)
        }
    });
    Box::pin(lambda_runtime::run_concurrent(service)).await
}

/// Processes a batch until the deadline, and logs one line.
pub async fn process_batch(app: &App, batch: &Batch, invocation: Invocation) -> Outcome {
    let started = Instant::now();
    let cold_start = is_cold_start();
    let meter = CapacityMeter::default();
    let ids @ InvocationIds { lambda_request_id, trace_id } = InvocationIds::from(&invocation);
    let span = tracing::info_span!("batch", lambda_request_id, trace_id);
    let work = delete_children(app, batch, invocation.deadline, &meter).instrument(span);
    let Progress { deleted, failure } = trace::in_scope(invocation.trace.clone(), work).await;
    let (record, failure) = failure.unzip();
    let line = BatchLine {
        operation: "cascade_delete",
        ids,
        metrics: BatchMetrics {
            common: CommonMetrics::new(started.elapsed(), meter.consumed_capacity(), cold_start),
            deleted_items: deleted,
            failed_records: failure.is_some().into(),
        },
        failure,
    };
    line.log(app.metric_directives());
    Outcome::ending_at(record)
}

/// Deletes the children of all deleted parents of a batch, one parent after the other.
async fn delete_children<'a>(app: &App, batch: &'a Batch, deadline: Instant, meter: &CapacityMeter) -> Progress<'a> {
    let mut progress = Progress::default();
    for record in &batch.records {
        let Some(parent) = record.deleted_parent() else { continue };
        match app.delete_children(&parent, deadline, meter.clone()).await {
            Ok(deleted) => progress.deleted += deleted,
            Err(error) => {
                let failure = BatchFailure { org_id: parent.org, error: error.to_string() };
                progress.failure = Some((record, failure));
                break;
            }
        }
    }
    progress
}

impl Outcome {
    /// The outcome of a batch whose processing ended at this record.
    fn ending_at(failed: Option<&Record>) -> Self {
        let failure = |record: &Record| ItemFailure { item_identifier: record.dynamodb.sequence_number.clone() };
        Self { batch_item_failures: failed.map(failure).into_iter().collect() }
    }
}
