//! A random walk of concurrent writers, checked against a model while they write and by a scan of the table at the end.
//!
//! Each writer has emails, imports and campaigns for itself. No other writer uses them, so a model knows every response and
//! every stored value exactly. A third of the steps are on emails, imports and campaigns that all writers share. There the
//! order of the writes decides, so only what holds for every order is checked: an outcome is possible, a version has one
//! content, an update that succeeded is not lost, a contact that was created exists until its delete was sent.
//!
//! Each writer and reader has a process of its own, with its own caches, as functions have. The worker processes the
//! table's stream meanwhile. At the end all tombstones expire, the worker processes the rest, and the scan finds each
//! lock, membership, lead and activity that does not match its parents.

mod choices;
mod contended;
mod model;
mod own;
mod reader;
mod scan;
mod worker;
mod world;
mod writer;

use std::collections::BTreeMap;

use anyhow::Result;
use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::Value;
use shared::testing::fault::Operation;

use self::reader::Reader;
use self::worker::Worker;
use self::world::World;
use self::writer::Writer;
use super::Run;
use super::client::{Client, Hazard, Log};

const WRITERS: usize = 24;
const READERS: usize = 2;

/// The parameters of a walk.
pub(super) struct Walk {
    pub(super) seed: u64,
    /// The steps of each writer.
    pub(super) steps: usize,
    pub(super) hazard: Hazard,
    /// The deliberate fault.
    pub(super) sabotage: Sabotage,
}

/// A deliberate fault.
#[derive(Clone, Copy)]
pub(super) enum Sabotage {
    /// None.
    None,
    /// Nothing processes the stream.
    NoWorker,
    /// The clients' calls to the database are changed.
    Rewrite(fn(Operation, &mut Value)),
}

/// What a walk did.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) steps: usize,
    pub(super) log: Log,
    /// The number of items of each type at the end.
    items: BTreeMap<String, usize>,
}

/// Runs the walk without failures. The deliberate fault is that the worker does not run.
pub(super) async fn run(run: &Run<'_>) -> Result<String> {
    let steps = if run.is_full { 1_000 } else { 40 };
    let sabotage = if run.is_sabotaged { Sabotage::NoWorker } else { Sabotage::None };
    let walk = Walk { seed: run.seed, steps, hazard: Hazard::None, sabotage };
    walk.run().await.map(|summary| summary.to_string())
}

impl Walk {
    /// Walks, and checks.
    pub(super) async fn run(&self) -> Result<Summary> {
        let mut rng = Rng::with_seed(self.seed);
        let world = World::new().await?;
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            writers.push(Writer::new(number, self.client(&world, &mut rng).await, rng.fork(), &world));
        }
        let mut readers = Vec::new();
        for _ in 0..READERS {
            readers.push(Reader::new(self.client(&world, &mut rng).await, rng.fork(), &world));
        }
        let mut worker = Worker::new(self.client(&world, &mut rng).await, rng.fork(), &world);
        let steps = self.walk(&world, &mut writers, &mut readers, &mut worker).await;

        for writer in &mut writers {
            writer.client.end_hazard();
        }
        join_all(writers.iter_mut().map(Writer::check_own)).await;
        let items = scan::check(&world, &writers).await;
        world.check_versions();
        let clients = writers.into_iter().map(|writer| writer.client);
        let clients = clients.chain(readers.into_iter().map(|reader| reader.client)).chain([worker.client]);
        let log = clients.fold(Log::default(), |sum, client| sum.plus(client.log));
        world.into_result()?;
        Ok(Summary { steps, log, items })
    }

    /// Lets the writers, the readers and the worker run. Returns the number of steps.
    async fn walk(
        &self,
        world: &World,
        writers: &mut [Writer<'_>],
        readers: &mut [Reader<'_>],
        worker: &mut Worker<'_>,
    ) -> usize {
        let writing = async {
            let steps = join_all(writers.iter_mut().map(|writer| writer.run(self.steps))).await;
            world.end();
            steps.into_iter().sum()
        };
        let reading = join_all(readers.iter_mut().map(Reader::run));
        let has_worker = !matches!(self.sabotage, Sabotage::NoWorker);
        let working = async {
            if has_worker {
                worker.run().await;
            }
        };
        let (steps, _, ()) = tokio::join!(writing, reading, working);
        world.test.remove_expired().await;
        if has_worker {
            worker.finish().await;
        }
        steps
    }

    async fn client(&self, world: &World, rng: &mut Rng) -> Client {
        let client = Client::new(&world.test, self.hazard, rng.fork()).await;
        if let Sabotage::Rewrite(rewrite) = self.sabotage {
            client.proxy.rewrite(rewrite);
        }
        client
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { steps, log, items } = self;
        write!(f, "{steps} steps of {WRITERS} writers, {} requests, {} calls", log.requests, log.calls)?;
        if log.faults > 0 {
            write!(f, ", {} of them failed", log.faults)?;
        }
        if log.kills > 0 {
            write!(f, ", {} requests killed at {} points", log.kills, log.kill_points.len())?;
        }
        let stored: Vec<_> = ["contact", "membership", "lead", "activity"]
            .iter()
            .map(|name| format!("{} {name}", items.get(*name).unwrap_or(&0)))
            .collect();
        write!(f, "; left: {}", stored.join(", "))
    }
}

impl Log {
    /// The sum of two logs.
    fn plus(mut self, other: Self) -> Self {
        let Self { requests, calls, faults, kills, kill_points } = other;
        self.requests += requests;
        self.calls += calls;
        self.faults += faults;
        self.kills += kills;
        self.kill_points.extend(kill_points);
        self
    }
}
