//! The worker on the table's stream.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use shared::testing::{deadline, invocation};
use shared::worker::{Batch, Outcome, process_batch};

use super::world::World;
use crate::prove::client::{Client, MAX_ATTEMPTS};

/// The interval between two reads of the stream.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The most records in one invocation, as in the template.
const BATCH_SIZE: usize = 100;

/// The worker, and its position in the stream.
pub(super) struct Worker<'a> {
    pub(super) client: Client,
    rng: Rng,
    world: &'a World,
    /// The position in the stream.
    iterator: Option<String>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(client: Client, rng: Rng, world: &'a World) -> Self {
        Self { client, rng, world, iterator: None }
    }

    /// Processes the stream until the writers are done.
    pub(super) async fn run(&mut self) {
        while !self.world.is_over() {
            if self.deliver().await == 0 {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    /// Processes the rest of the stream.
    pub(super) async fn finish(&mut self) {
        while self.deliver().await > 0 {}
    }

    /// Delivers the next records of the stream until they are processed, and returns the number of records read.
    async fn deliver(&mut self) -> usize {
        let records = self.world.test.read_stream(&mut self.iterator);
        let is_removal = |record: &&Value| record["eventName"] == "REMOVE";
        let removals: Vec<_> = records.iter().filter(is_removal).collect();
        for records in removals.chunks(BATCH_SIZE) {
            match serde_json::from_value(json!({"Records": records})) {
                Ok(batch) => self.process(&batch).await,
                Err(error) => self.world.violated(format!("records of the stream cannot be read: {error}")),
            }
        }
        records.len()
    }

    /// Processes a batch until it succeeds, and sometimes once more: a stream may repeat its records.
    async fn process(&mut self, batch: &Batch) {
        let app = self.client.app.clone();
        for _ in 0..MAX_ATTEMPTS {
            let processing = process_batch(&app, batch, invocation(deadline()));
            let outcome = self.client.run("process the stream", processing).await;
            let is_repeated = self.rng.u8(..8) == 0;
            if outcome == Some(Outcome::default()) && !is_repeated {
                return;
            }
        }
        self.world.violated(format!("a batch of the stream is not processed in {MAX_ATTEMPTS} attempts"));
    }
}
