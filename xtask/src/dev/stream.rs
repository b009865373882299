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
use shared::dynamodb::Parent;
use shared::endpoint::WORKER;
use shared::testing::engine::Engine;
use tokio::time::{sleep, timeout};

/// How often expired items are looked for. DynamoDB takes its time with them: days, if it must.
const EXPIRY: Duration = Duration::from_secs(30);
/// How long the stream is left alone when it had nothing new.
const IDLE: Duration = Duration::from_millis(250);
/// The longest pause before something that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
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
        // No local engine checks the signature or its date, but each wants some, and DynamoDB Local keeps tables apart by
        // the key and the region.
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/20240101/{}/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
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
        // It goes on from the earliest, or if it was not even given that one, from the start (AWS, "Reporting batch item
        // failures").
        let position = |failure: &Value| {
            let is_it = |record: &Value| record["dynamodb"]["SequenceNumber"] == failure["itemIdentifier"];
            records.iter().position(is_it).unwrap_or(0)
        };
        Ok(failures.iter().map(position).min().unwrap_or(records.len()))
    }

    /// Asks the engine for an operation of DynamoDB Streams.
    async fn ask(&self, operation: &str, input: &Value) -> Result<Value> {
        let request = Request::post(&self.engine)
            .header(CONTENT_TYPE, "application/x-amz-json-1.0")
            .header(AUTHORIZATION, &self.authorization)
            .header("x-amz-date", "20240101T000000Z")
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use chrono::{TimeDelta, Utc};
    use hyper::Response;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use shared::app::App;
    use shared::auth::{Credentials, Principal};
    use shared::config::Config;
    use shared::domain::{ActivityId, Clock, ContactId};
    use shared::dynamodb::{RetryPolicy, Table, keys};
    use shared::testing::fault::{FaultProxy, Moment, Operation};
    use shared::testing::{JWT_SECRET, Tenant, jane, new_contact, read};
    use shared::wire::NewActivities;
    use shared::worker::process_batch;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;
    use tokio::time::Instant;

    use super::super::server::{TABLE, settings};
    use super::*;

    const ACTIVITIES: usize = 2_000;
    const KILLS: usize = 5;

    /// An engine, a pump, and a gateway whose worker runs in this process.
    struct Local {
        engine: Engine,
        table: Table,
        app: App,
        tenant: Tenant,
        pump: Pump,
        /// How often the worker was killed.
        killed: Arc<AtomicUsize>,
        _gateway: JoinSet<()>,
    }

    impl Local {
        /// With a clock that is late by so much, and a worker that is killed so often, each time in the midst of its
        /// work: when some items are deleted, and nobody has heard of it.
        async fn start(late: TimeDelta, kills: usize) -> Self {
            let engine = Engine::in_memory().await.unwrap();
            let settings = settings(&engine.url(), JWT_SECRET, true);
            let config = |url: &str| {
                let variable = |name: &str| settings.get(name).cloned();
                let mut config = Config::read(variable).unwrap();
                config.database.endpoint = Some(url.to_owned());
                config
            };
            let table = Table::new(&config(&engine.url()).database, RetryPolicy::default());
            table.create_if_missing(Some(keys::stream())).await.unwrap();
            let clock = Clock::new(move || Utc::now() - late);
            let app = App::with(&config(&engine.url()), clock, shared::system::rng(), RetryPolicy::default());

            let proxy = FaultProxy::start(&engine.url()).await.unwrap();
            let worker = App::new(&config(&proxy.endpoint()));
            let killed = Arc::new(AtomicUsize::new(0));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let gateway = format!("http://{}", listener.local_addr().unwrap());
            let mut serving = JoinSet::new();
            serving.spawn(serve(listener, worker, proxy, kills, killed.clone()));
            let pump = Pump::new(&engine.url(), TABLE, &settings, &gateway).unwrap();
            Self { engine, table, app, tenant: Tenant::new(), pump, killed, _gateway: serving }
        }

        async fn principal(&self) -> Principal {
            let token = self.tenant.token(JWT_SECRET, TimeDelta::hours(1));
            let credentials = Credentials { api_key: None, authorization: Some(&format!("Bearer {token}")) };
            let app = self.app.request_context(Instant::now() + LONGEST_CALL);
            let Ok(principal) = app.authenticate(credentials).await else { panic!("the token is valid") };
            principal
        }

        /// A contact with so many activities, created and deleted.
        async fn deleted_contact(&self, activities: usize) -> ContactId {
            let (app, principal) = (self.app.request_context(Instant::now() + LONGEST_CALL), self.principal().await);
            let contacts = app.contacts(&principal);
            let contact = contacts.draft(new_contact(jane("jane@example.com")), None);
            contacts.create(&contact, None).await.unwrap();
            let timeline = app.activities(&principal, contact.id);
            let body = |number| json!({"id": format!("act_{number}"), "event_time": "2024-04-18T10:15:00Z", "event_type": "x"});
            for bodies in (0..activities).map(body).collect::<Vec<_>>().chunks(50) {
                let NewActivities(new) = read(json!(bodies));
                timeline.record(&timeline.draft(new), |_| None).await.unwrap();
            }
            assert_eq!(self.items("activity").await, activities);
            contacts.delete(contact.id, None).await.unwrap();
            contact.id
        }

        /// How many items of a type there are.
        async fn items(&self, kind: &str) -> usize {
            let kind = format!("\"type\":\"{kind}\"");
            self.table.dump().await.unwrap().iter().filter(|item| item.contains(&kind)).count()
        }

        /// Pumps until the stream has nothing new.
        async fn drain(&mut self) {
            while self.pump.round().await.unwrap() > 0 {}
        }
    }

    /// Answers invocations one after the other. A worker that is killed does not answer.
    async fn serve(listener: TcpListener, worker: App, proxy: FaultProxy, kills: usize, killed: Arc<AtomicUsize>) {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let service = service_fn(async |request: Request<hyper::body::Incoming>| {
                let path = request.uri().path().to_owned();
                assert_eq!(path, "/2015-03-31/functions/cascade-delete/invocations");
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let batch = serde_json::from_slice(&body).unwrap();
                let working = process_batch(&worker, &batch, Instant::now() + LONGEST_CALL);
                if killed.load(Ordering::Relaxed) < kills {
                    let mut in_the_midst = proxy.hold(Operation::BatchWriteItem, Moment::After);
                    tokio::select! {
                        _ = working => panic!("it has nothing to delete"),
                        () = in_the_midst.reached() => {}
                    }
                    killed.fetch_add(1, Ordering::Relaxed);
                    return Err("killed");
                }
                let outcome = serde_json::to_string(&working.await).unwrap();
                Ok(Response::new(Full::new(Bytes::from(outcome))))
            });
            // Killed, or done with: either way this connection has ended.
            let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(connection), service).await;
        }
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_contact_though_the_worker_is_killed_five_times() {
        let mut local = Local::start(TimeDelta::zero(), KILLS).await;
        local.deleted_contact(ACTIVITIES).await;
        assert_eq!(local.items("activity").await, ACTIVITIES);
        local.drain().await;
        assert_eq!(local.killed.load(Ordering::Relaxed), KILLS);
        assert_eq!((local.items("contact").await, local.items("activity").await), (0, 0));
    }

    #[tokio::test]
    async fn what_a_late_writer_left_goes_with_the_tombstone() {
        // The tombstone is to have its quarter of an hour behind it.
        let mut local = Local::start(TimeDelta::minutes(16), 0).await;
        let contact = local.deleted_contact(1).await;
        local.drain().await;
        let late = ActivityId::parse("act_late").unwrap();
        let key = keys::activity(local.tenant.org_id, contact, Utc::now(), &late);
        let item = json!({"pk": {"S": key.pk}, "sk": {"S": key.sk}, "type": {"S": "activity"}});
        local.table.put_item(item).await.unwrap();
        local.drain().await;
        assert_eq!((local.items("activity").await, local.items("tombstone").await), (1, 1));

        local.engine.remove_expired().await.unwrap();
        local.drain().await;
        assert_eq!((local.items("activity").await, local.items("tombstone").await), (0, 0));
    }

    #[tokio::test]
    async fn a_pump_that_starts_again_repeats_what_was_done_and_harms_nothing() {
        let mut local = Local::start(TimeDelta::zero(), 0).await;
        local.deleted_contact(3).await;
        local.drain().await;
        let before = local.table.dump().await.unwrap();
        local.pump.positions.clear();
        assert!(local.pump.round().await.unwrap() > 0, "it begins at the beginning");
        assert_eq!(local.table.dump().await.unwrap(), before);
    }

    #[tokio::test]
    async fn a_batch_is_sent_again_from_the_record_that_failed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = format!("http://{}", listener.local_addr().unwrap());
        let pump = Pump::new("http://127.0.0.1:8000", TABLE, &BTreeMap::new(), &gateway).unwrap();
        let (sender, mut sent) = tokio::sync::mpsc::unbounded_channel();
        let answers = [
            (200, r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#),
            (200, r#"{"errorType":"panic"}"#),
            (500, r#"{"batchItemFailures":[]}"#),
            (200, r#"{"batchItemFailures":[{"itemIdentifier":"unknown"}]}"#),
            (200, r#"{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":"2"}]}"#),
            (200, r#"{"batchItemFailures":[]}"#),
        ];
        let worker = async {
            for (status, answer) in answers {
                let (connection, _) = listener.accept().await.unwrap();
                let service = service_fn(async |request: Request<hyper::body::Incoming>| {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    sender.send(serde_json::from_slice::<Value>(&body).unwrap()).unwrap();
                    Response::builder().status(status).body(Full::new(Bytes::from(answer)))
                });
                http1::Builder::new()
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(connection), service)
                    .await
                    .unwrap();
            }
        };
        let batch = ["1", "2", "3"].map(|number| json!({"dynamodb": {"SequenceNumber": number}}));
        tokio::join!(worker, pump.deliver(&batch));
        let mut firsts = Vec::new();
        while let Ok(event) = sent.try_recv() {
            firsts.push(event["Records"][0]["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned());
        }
        assert_eq!(firsts, ["1", "2", "2", "2", "2", "2"]);
    }

    #[test]
    fn dynamodb_has_a_pump_of_its_own() {
        let pump = |url| Pump::new(url, TABLE, &BTreeMap::new(), "http://127.0.0.1:9000").is_some();
        assert!(pump("http://127.0.0.1:8000"));
        assert!(!pump("https://dynamodb.us-east-1.amazonaws.com"));
    }

    #[test]
    fn parents_and_tombstones_that_go_wake_the_worker() {
        let org = "ORG#123e4567-e89b-12d3-a456-426614174000";
        let contact = "CONTACT#01924dd1-4a80-7000-8000-000000000001";
        let children = format!("{org}#{contact}");
        for (event, pk, sk, expected) in [
            ("REMOVE", org, contact, true),
            ("REMOVE", &children, "TOMBSTONE", true),
            ("MODIFY", org, contact, false),
            ("INSERT", &children, "TOMBSTONE", false),
            ("REMOVE", &children, "ACTIVITY#2024-04-18T10:15:00.000Z#act_123", false),
        ] {
            let record = json!({"eventName": event, "dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": sk}}}});
            assert_eq!(wakes(&record), expected, "{record}");
        }
    }
}
