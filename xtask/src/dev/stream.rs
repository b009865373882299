//! What the services do between a delete and the worker: DynamoDB removes what has expired, and Lambda brings the
//! table's stream to the function (AWS, "Using AWS Lambda with Amazon DynamoDB").

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use shared::endpoint::WORKER;
use shared::table::Parent;
use shared::testing::engine::Engine;
use tokio::time::{sleep, timeout};

/// How often expired items are looked for. DynamoDB takes its time with them: days, if it must.
const EXPIRY: Duration = Duration::from_secs(30);
/// How long the stream is left alone when it had nothing new.
const IDLE: Duration = Duration::from_millis(250);
/// The longest pause before something that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest that one call may take: longer than the worker works at one batch.
const LONGEST_CALL: Duration = Duration::from_secs(90);
/// The most records that the worker is given at a time, as the template says.
const BATCH: usize = 100;

/// Removes what has expired, again and again.
pub(crate) async fn expire(engine: Arc<Engine>) {
    loop {
        sleep(EXPIRY).await;
        if let Err(error) = engine.remove_expired().await {
            tell(&format!("the engine cannot remove what has expired: {error}"));
        }
    }
}

/// Brings the records of a local table's stream to the worker, from the oldest on: what an earlier session left undone
/// is done now, and what it did is found done.
///
/// It speaks the engine's JSON as it is, for the records in it are those of Lambda's events.
pub(crate) struct Pump {
    client: Client<HttpConnector, Full<Bytes>>,
    engine: String,
    authorization: String,
    table: &'static str,
    worker: String,
    /// By shard: where to read on, or `None` where it has been read to its end.
    positions: BTreeMap<String, Option<String>>,
}

impl Pump {
    /// A pump between an engine and the gateway. None for DynamoDB itself: there, Lambda is the pump.
    pub(crate) fn new(
        engine: &str,
        table: &'static str,
        settings: &BTreeMap<&str, String>,
        gateway: &str,
    ) -> Option<Self> {
        if !engine.starts_with("http://") {
            tell("the table is DynamoDB's own: only a deployed cascade-delete clears up behind deletes");
            return None;
        }
        let setting = |name| settings.get(name).cloned().or_else(|| env::var(name).ok()).unwrap_or_default();
        // No local engine checks the signature, but DynamoDB Local keeps tables apart by the key and the region.
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/20240418/{}/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
            setting("AWS_ACCESS_KEY_ID"),
            setting("AWS_REGION"),
        );
        Some(Self {
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            engine: engine.to_owned(),
            authorization,
            table,
            worker: format!("{gateway}/2015-03-31/functions/{WORKER}/invocations"),
            positions: BTreeMap::new(),
        })
    }

    /// Pumps until it is stopped.
    pub(crate) async fn run(mut self) {
        let mut failing = false;
        loop {
            match self.round().await {
                Ok(0) => sleep(IDLE).await,
                Ok(_) => {}
                Err(error) => {
                    if !failing {
                        tell(&format!("cannot read the table's stream, and try again: {error:#}"));
                    }
                    // An iterator does not live for ever. Whatever is read twice is done already.
                    self.positions.clear();
                    sleep(LONGEST_PAUSE).await;
                    failing = true;
                    continue;
                }
            }
            failing = false;
        }
    }

    /// Reads on in every shard, parents before their children, and has done what is to do. The number of records read.
    async fn round(&mut self) -> Result<usize> {
        let streams = self.ask("ListStreams", &json!({"TableName": self.table})).await?;
        let stream = streams["Streams"][0]["StreamArn"].as_str().context("the table has no stream")?;
        let description = self.ask("DescribeStream", &json!({"StreamArn": stream})).await?;
        let mut read = 0;
        for shard in description["StreamDescription"]["Shards"].as_array().into_iter().flatten() {
            let shard = shard["ShardId"].as_str().context("a shard has no id")?;
            let position = match self.positions.get(shard) {
                Some(position) => position.clone(),
                None => Some(self.beginning(stream, shard).await?),
            };
            let Some(position) = position else { continue };
            let page = self.ask("GetRecords", &json!({"ShardIterator": position})).await?;
            let records = page["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
            read += records.len();
            let wanted: Vec<_> = records.iter().filter(|record| wakes(record)).cloned().collect();
            for batch in wanted.chunks(BATCH) {
                self.deliver(batch).await;
            }
            let next = page["NextShardIterator"].as_str().map(str::to_owned);
            self.positions.insert(shard.to_owned(), next);
        }
        Ok(read)
    }

    async fn beginning(&self, stream: &str, shard: &str) -> Result<String> {
        let wanted = json!({"StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        let answer = self.ask("GetShardIterator", &wanted).await?;
        answer["ShardIterator"].as_str().map(str::to_owned).context("a shard has no beginning")
    }

    /// Has the worker work off a batch, however often it takes; each time from the first record that it handed back.
    async fn deliver(&self, batch: &[Value]) {
        let mut left = batch;
        let mut pause = IDLE;
        while !left.is_empty() {
            match self.invoke(left).await {
                Ok(done) => left = &left[done..],
                Err(error) => tell(&format!("{WORKER} failed, and is tried again: {error:#}")),
            }
            if !left.is_empty() {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Lets the worker work at some records. How many of them are done.
    async fn invoke(&self, records: &[Value]) -> Result<usize> {
        let request = Request::post(&self.worker).header(CONTENT_TYPE, "application/json");
        let outcome = self.send(request, &json!({"Records": records})).await?;
        let failures = outcome["batchItemFailures"].as_array().with_context(|| format!("it answers {outcome}"))?;
        let Some(failure) = failures.first() else { return Ok(records.len()) };
        // Of a record that it was not given, it says that nothing is done (AWS, "Reporting batch item failures").
        let is_it = |record: &Value| record["dynamodb"]["SequenceNumber"] == failure["itemIdentifier"];
        Ok(records.iter().position(is_it).unwrap_or(0))
    }

    /// Asks the engine for an operation of DynamoDB Streams.
    async fn ask(&self, operation: &str, input: &Value) -> Result<Value> {
        let request = Request::post(&self.engine)
            .header(CONTENT_TYPE, "application/x-amz-json-1.0")
            .header(AUTHORIZATION, &self.authorization)
            .header("x-amz-target", format!("DynamoDBStreams_20120810.{operation}"));
        self.send(request, input).await.context(operation.to_owned())
    }

    async fn send(&self, request: hyper::http::request::Builder, body: &Value) -> Result<Value> {
        let request = request.body(Full::from(body.to_string()))?;
        let answer = async {
            let answer = self.client.request(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            Ok::<_, anyhow::Error>((status, body))
        };
        let (status, body) = timeout(LONGEST_CALL, answer).await.context("no answer")??;
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).context("the answer is no JSON")
    }
}

/// Whether the worker wants to know of a record: what the template's event filter lets through.
fn wakes(record: &Value) -> bool {
    let key = |name: &str| record["dynamodb"]["Keys"][name]["S"].as_str().unwrap_or_default();
    record["eventName"] == "REMOVE" && Parent::at(key("pk"), key("sk")).is_some()
}

#[expect(
    clippy::print_stderr,
    reason = "what keeps local behaviour from being the deployed one is the developer's to know"
)]
fn tell(line: &str) {
    eprintln!("{line}");
}
