//! Two AWS services that a local API needs for its worker: DynamoDB's removal of expired items, and Lambda's event source
//! mapping, which sends the records of the table's stream to the function (AWS, "Using AWS Lambda with Amazon DynamoDB").

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::dynamodb::Parent;
use shared::endpoint::WORKER;
use shared::testing::engine::Engine;
use tokio::time::{Instant, sleep, timeout};

use super::database::RunningDatabase;
use super::server::Variables;
use super::warn;

/// The shortest interval between two removals of expired items. DynamoDB takes up to a few days.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(30);
/// The interval in relation to the duration of a removal, which reads the whole table: it takes 0.5 % of the time.
const EXPIRY_IDLE_FACTOR: u32 = 200;
/// The first delay before another read of a stream without new records, and before a retry.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The longest of these delays, each of which is twice as long as the one before.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// The time limit of one call: longer than the worker's own limit for one batch.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);
/// The most records in one invocation of the worker, as in the template.
const BATCH_SIZE: usize = 100;

/// Removes expired items at an interval, without end.
pub(super) async fn remove_expired_items(engine: Arc<Engine>) {
    let mut interval = EXPIRY_INTERVAL;
    loop {
        sleep(interval).await;
        let started = Instant::now();
        if let Err(error) = engine.remove_expired().await {
            warn(&format!("cannot remove expired items: {error}"));
        }
        interval = EXPIRY_INTERVAL.max(started.elapsed() * EXPIRY_IDLE_FACTOR);
    }
}

/// Sends the records of a local table's stream to the worker, starting with the oldest record at every start. The worker
/// accepts repeated records, so no position is stored. Records that have been delivered are removed from the embedded engine.
///
/// It calls the engine without an SDK, because the JSON of a record in DynamoDB's API is the JSON of a record in Lambda's
/// event.
pub(super) struct EventSourceMapping {
    client: Client<HttpConnector, Full<Bytes>>,
    database_url: String,
    /// `None` for another engine than the embedded one, which has to trim its streams itself.
    engine: Option<Arc<Engine>>,
    authorization: String,
    table: &'static str,
    invocation_url: String,
    /// The position in each shard, by shard id.
    positions: BTreeMap<String, Position>,
}

/// A position in a shard.
#[derive(Clone)]
enum Position {
    /// The shard iterator for the next record.
    At(String),
    /// The shard is closed, and all its records have been read.
    End,
}

/// The response of `ListStreams`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamList {
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stream {
    stream_arn: String,
}

/// The response of `DescribeStream`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamDetails {
    stream_description: StreamDescription,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamDescription {
    shards: Vec<Shard>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shard {
    shard_id: String,
}

/// The response of `GetShardIterator`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardIterator {
    shard_iterator: String,
}

/// The response of `GetRecords`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordPage {
    #[serde(default)]
    records: Vec<Value>,
    next_shard_iterator: Option<String>,
}

/// The response of the worker.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchResponse {
    batch_item_failures: Vec<BatchItemFailure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

impl EventSourceMapping {
    /// A mapping from a table to the worker behind the gateway. `None` for DynamoDB itself, where only Lambda reads the
    /// stream.
    pub(super) fn new(
        database: &RunningDatabase,
        table: &'static str,
        variables: &Variables,
        gateway_url: &str,
    ) -> Option<Self> {
        if !database.url.is_local() {
            warn(&format!(
                "no {WORKER} runs here for a table in DynamoDB: without a deployed one, deletes stay incomplete"
            ));
            return None;
        }
        let variable = |name| variables.get(name).cloned().or_else(|| env::var(name).ok()).unwrap_or_default();
        // No local engine checks the signature or the date, but each requires them. DynamoDB Local has separate tables for
        // each key and region.
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/20240101/{}/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_REGION"),
        );
        Some(Self {
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            database_url: database.url.to_string(),
            engine: database.engine.clone(),
            authorization,
            table,
            invocation_url: format!("{gateway_url}/2015-03-31/functions/{WORKER}/invocations"),
            positions: BTreeMap::new(),
        })
    }

    /// Reads the stream without end. The first of several consecutive errors is printed as a warning.
    pub(super) async fn run(mut self) {
        let mut is_failing = false;
        let mut backoff = POLL_INTERVAL;
        loop {
            match self.poll().await {
                Ok(0) => {
                    is_failing = false;
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
                Ok(_) => {
                    is_failing = false;
                    backoff = POLL_INTERVAL;
                }
                Err(error) => {
                    if !is_failing {
                        warn(&format!("cannot read the stream of the table, trying again: {error:#}"));
                    }
                    is_failing = true;
                    // A shard iterator expires. The next poll starts with the oldest records.
                    self.positions.clear();
                    sleep(MAX_BACKOFF).await;
                }
            }
        }
    }

    /// Reads one page of each shard, parents before children, and delivers and trims the records. Returns the number of
    /// records read.
    async fn poll(&mut self) -> Result<usize> {
        let list: StreamList = self.call_streams_api("ListStreams", &json!({"TableName": self.table})).await?;
        let stream = list.streams.into_iter().next().context("the table has no stream")?.stream_arn;
        let details: StreamDetails = self.call_streams_api("DescribeStream", &json!({"StreamArn": stream})).await?;
        let mut read = 0;
        for Shard { shard_id } in details.stream_description.shards {
            let position = match self.positions.get(&shard_id) {
                Some(position) => position.clone(),
                None => Position::At(self.first_iterator(&stream, &shard_id).await?),
            };
            let Position::At(iterator) = position else { continue };
            let page: RecordPage = self.call_streams_api("GetRecords", &json!({"ShardIterator": iterator})).await?;
            let records = page.records.len();
            read += records;
            self.deliver_all(page.records).await;
            self.trim(records).await?;
            self.positions.insert(shard_id, page.next_shard_iterator.map_or(Position::End, Position::At));
        }
        Ok(read)
    }

    /// Removes the oldest records, which have been delivered. The embedded engine has a single shard.
    async fn trim(&self, records: usize) -> Result<()> {
        if let Some(engine) = &self.engine
            && records > 0
        {
            let trimmed = engine.trim_stream(self.table, records).await;
            trimmed.map_err(|error| anyhow!("cannot trim the stream: {error}"))?;
        }
        Ok(())
    }

    /// The shard iterator for the oldest record of a shard.
    async fn first_iterator(&self, stream: &str, shard: &str) -> Result<String> {
        let input = json!({"StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        let response: ShardIterator = self.call_streams_api("GetShardIterator", &input).await?;
        Ok(response.shard_iterator)
    }

    /// Delivers the records that pass the event filter, in batches.
    async fn deliver_all(&self, mut records: Vec<Value>) {
        records.retain(matches_event_filter);
        for batch in records.chunks(BATCH_SIZE) {
            self.deliver(batch).await;
        }
    }

    /// Invokes the worker until it has processed the whole batch. Each retry starts with the first failed record.
    async fn deliver(&self, batch: &[Value]) {
        let mut remaining = batch;
        let mut backoff = POLL_INTERVAL;
        loop {
            match self.invoke(remaining).await {
                Ok(processed) => remaining = &remaining[processed..],
                Err(error) => warn(&format!("{WORKER} failed, trying again: {error:#}")),
            }
            if remaining.is_empty() {
                return;
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// Invokes the worker once. Returns how many records, from the first one on, it has processed.
    async fn invoke(&self, records: &[Value]) -> Result<usize> {
        let request = Request::post(&self.invocation_url).header(CONTENT_TYPE, "application/json");
        let response: BatchResponse = self.send(request, &json!({"Records": records})).await?;
        // Lambda retries from the earliest failure, and everything if it does not know the identifier (AWS, "Reporting
        // batch item failures").
        let position = |failure: &BatchItemFailure| {
            records
                .iter()
                .position(|record| sequence_number(record) == Some(failure.item_identifier.as_str()))
                .unwrap_or(0)
        };
        Ok(response.batch_item_failures.iter().map(position).min().unwrap_or(records.len()))
    }

    /// Calls an operation of the DynamoDB Streams API.
    async fn call_streams_api<T: DeserializeOwned>(&self, operation: &str, input: &Value) -> Result<T> {
        let request = Request::post(&self.database_url)
            .header(CONTENT_TYPE, "application/x-amz-json-1.0")
            .header(AUTHORIZATION, &self.authorization)
            .header("x-amz-date", "20240101T000000Z")
            .header("x-amz-target", format!("DynamoDBStreams_20120810.{operation}"));
        self.send(request, input).await.with_context(|| operation.to_owned())
    }

    async fn send<T: DeserializeOwned>(&self, request: hyper::http::request::Builder, body: &Value) -> Result<T> {
        let request = request.body(Full::from(body.to_string()))?;
        let exchange = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, anyhow::Error>((status, body))
        };
        let (status, body) = timeout(CALL_TIMEOUT, exchange).await.context("no response in time")??;
        let text = || String::from_utf8_lossy(&body);
        ensure!(status.is_success(), "status {status}: {}", text());
        serde_json::from_slice(&body).with_context(|| format!("unexpected response: {}", text()))
    }
}

/// The event filter of the template: the worker wants the removal of parents and tombstones only.
fn matches_event_filter(record: &Value) -> bool {
    let key = |name: &str| record["dynamodb"]["Keys"][name]["S"].as_str().unwrap_or_default();
    record["eventName"] == "REMOVE" && Parent::at(key("pk"), key("sk")).is_some()
}

fn sequence_number(record: &Value) -> Option<&str> {
    record["dynamodb"]["SequenceNumber"].as_str()
}
