//! `cargo xtask load-test`: ten organizations call a running API at once, one of them without restraint, to show that it cannot
//! starve the others.
//!
//! Nine organizations send a small, steady mix of requests; a response other than the expected one to any of them is a failure.
//! The tenth keeps `--in-flight` requests waiting all the time, uploads among them. Where it has a rate limit, most of its
//! responses are 429s, which is as it should be. They have to say when to come back, and with `--limit` the requests that
//! succeed must not exceed the limit in the second half of the load, when the burst is used up.
//!
//! "Without restraint" is a number of waiting requests, since more of them than the API serves at once only wait longer. On
//! AWS no other organization makes them wait. An emulated gateway is one process, for which the requests of all organizations
//! queue: ten in flight already use all of it, and thirty add nothing but the wait of the other nine. Therefore the default
//! is ten. `cargo lambda watch` hangs for good with more than 100 requests waiting for one function, those included that a
//! client has given up.

mod report;
mod traffic;

use std::fs;
use std::io::Write;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;
use shared::testing::http_client;
use ureq::Agent;

use self::report::{Report, Tally};
use self::traffic::{Client, Schedule, send_at_rate, send_without_restraint};
use crate::account::TableOptions;
use crate::dev::DatabaseUrl;
use crate::e2e::no_session;
use crate::org;

/// The organizations with a steady load.
const STEADY: u32 = 9;
/// The time limit of a request: that of API Gateway.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The options of `cargo xtask load-test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Call the API that this session file describes
    ///
    /// The file has the format of target/dev/session.json, which `cargo dev` writes; `base_url`, `dynamodb_url` and
    /// `table_name` are read. Ten organizations are created in the table. They and their contacts stay there.
    #[arg(long, value_name = "FILE")]
    pub(crate) session: PathBuf,
    /// The duration of the load in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) seconds: u64,
    /// The requests per second of each of the nine organizations with a steady load
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rate: u32,
    /// The requests of the organization without restraint that wait for a response at any time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=80))]
    pub(crate) in_flight: u8,
    /// The rate limit of an organization in requests per second: fail also if the tenth one is not held to it
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: Option<u32>,
}

/// The part of a session file that is needed here.
#[derive(Deserialize)]
struct Session {
    base_url: String,
    #[serde(default)]
    dynamodb_url: String,
    table_name: String,
}

/// Creates ten organizations, sends the load, prints a table, and fails unless each of the nine got every response it expects.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let file = &options.session;
    let text = fs::read_to_string(file).with_context(|| no_session(file))?;
    let session: Session = serde_json::from_str(&text).with_context(|| no_session(file))?;
    let mut steady_keys = Vec::new();
    for _ in 0..STEADY {
        steady_keys.push(create_organization(&session).await?);
    }
    let load = Load {
        base_url: session.base_url.trim_end_matches('/').to_owned(),
        steady_keys,
        unrestrained_key: create_organization(&session).await?,
        agent: http_client(REQUEST_TIMEOUT, STEADY as usize + usize::from(options.in_flight)),
        duration: Duration::from_secs(options.seconds),
        rate: options.rate,
        in_flight: options.in_flight,
    };
    let report = tokio::task::spawn_blocking(move || load.send()).await?;
    writeln!(std::io::stdout().lock(), "{report}").context("cannot write to standard output")?;

    let failures = report.failures(options.limit);
    ensure!(failures.is_empty(), "the organizations are not kept apart\n{}", failures.join("\n"));
    Ok(())
}

/// Creates an organization, and returns its admin key.
async fn create_organization(session: &Session) -> Result<String> {
    let Session { dynamodb_url, table_name, .. } = session;
    let dynamodb_url: Option<DatabaseUrl> = if dynamodb_url.is_empty() {
        None
    } else {
        Some(dynamodb_url.parse().map_err(|error| anyhow!("dynamodb_url of the session file: {error}"))?)
    };
    org::create_for_test(&TableOptions::new(table_name, dynamodb_url).connect().await?, "Load").await
}

/// A load to send.
struct Load {
    base_url: String,
    steady_keys: Vec<String>,
    unrestrained_key: String,
    agent: Agent,
    duration: Duration,
    rate: u32,
    in_flight: u8,
}

impl Load {
    /// Sends the load, and waits for the last response.
    fn send(&self) -> Report {
        let half = self.duration / 2;
        let start = Instant::now();
        let (middle, end) = (start + half, start + half * 2);
        let interval = Duration::from_secs(1) / self.rate;
        let client = |key| Client::new(&self.agent, &self.base_url, key);
        thread::scope(|scope| {
            let steady = (0..).zip(&self.steady_keys).map(|(index, key)| {
                // Evenly distributed, instead of all at once.
                let schedule = Schedule { first: start + interval * index / STEADY, interval, end };
                scope.spawn(move || send_at_rate(&client(key), &schedule))
            });
            let unrestrained = (0..self.in_flight).map(|_| {
                scope.spawn(move || {
                    let client = client(&self.unrestrained_key);
                    [middle, end].map(|end| send_without_restraint(&client, end))
                })
            });
            // All threads are started before the first one is waited for.
            let (steady, unrestrained): (Vec<_>, Vec<_>) = (steady.collect(), unrestrained.collect());
            let steady = steady.into_iter().map(result).collect();
            let mut halves = [Tally::default(), Tally::default()];
            for thread in unrestrained {
                for (sum, tally) in halves.iter_mut().zip(result(thread)) {
                    sum.merge(tally);
                }
            }
            Report { steady, unrestrained: halves, half }
        })
    }
}

/// The result of a thread; its panic is one of this thread.
fn result<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}
