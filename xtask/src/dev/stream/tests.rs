use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{TimeDelta, Utc};
use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use shared::app::App;
use shared::auth::{Credentials, Principal};
use shared::config::Config;
use shared::domain::{ActivityId, Clock, ContactId, ImportId};
use shared::dynamodb::{RetryPolicy, Table, keys, schema};
use shared::testing::fault::{FaultProxy, HoldPoint, Operation};
use shared::testing::{JWT_SECRET, Tenant, invocation, jane, new_contact, parse_body};
use shared::wire::NewActivities;
use shared::worker::process_batch;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::database::Database;
use super::super::server::{TABLE, function_variables};
use super::*;

const ACTIVITIES: usize = 2_000;
const KILLS: usize = 5;

/// An engine, an event source mapping, and a gateway whose worker runs in this process.
struct Local {
    engine: Arc<Engine>,
    table: Table,
    app: App,
    tenant: Tenant,
    event_source: EventSourceMapping,
    /// How many times the worker was killed.
    killed: Arc<AtomicUsize>,
    _gateway: JoinSet<()>,
}

impl Local {
    /// Starts with a clock that is `late`, and a worker that is killed at its first `kills` invocations, each time after
    /// it has deleted some items and before it responds.
    async fn start(late: TimeDelta, kills: usize) -> Self {
        let database = Database::Memory.start(Path::new("")).await.unwrap();
        let engine = database.engine.clone().unwrap();
        let variables = function_variables(&database, JWT_SECRET);
        let config = |url: &str| {
            let variable = |name: &str| variables.get(name).cloned();
            let mut config = Config::read(variable).unwrap();
            config.database.endpoint = Some(url.to_owned());
            config
        };
        let table = Table::new(&config(&engine.url()).database, RetryPolicy::default());
        table.create_if_missing(Some(schema::stream())).await.unwrap();
        let clock = Clock::new(move || Utc::now() - late);
        let app = App::with(&config(&engine.url()), clock, shared::system::rng(), RetryPolicy::default());

        let proxy = FaultProxy::start(&engine.url()).await.unwrap();
        let worker = App::new(&config(&proxy.endpoint()));
        let killed = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, worker, proxy, kills, killed.clone()));
        let event_source = EventSourceMapping::new(&database, TABLE, &variables, &gateway).unwrap();
        Self { engine, table, app, tenant: Tenant::new(), event_source, killed, _gateway: serving }
    }

    async fn principal(&self) -> Principal {
        let token = self.tenant.jwt(JWT_SECRET, TimeDelta::hours(1));
        let credentials = Credentials { api_key: None, authorization: Some(&format!("Bearer {token}")) };
        let app = self.app.request_context(Instant::now() + CALL_TIMEOUT, "test");
        let Ok(principal) = app.authenticate(credentials).await else { panic!("the token is valid") };
        principal
    }

    /// Creates an import.
    async fn import(&self) -> ImportId {
        let (app, principal) =
            (self.app.request_context(Instant::now() + CALL_TIMEOUT, "test"), self.principal().await);
        let imports = app.imports(&principal);
        let import = imports.draft(parse_body(json!({"source": "csv"})));
        imports.create(&import, None).await.unwrap();
        import.id
    }

    /// Creates a contact with this number of activities, and deletes it.
    async fn deleted_contact(&self, activities: usize, import: Option<ImportId>) -> ContactId {
        let (app, principal) =
            (self.app.request_context(Instant::now() + CALL_TIMEOUT, "test"), self.principal().await);
        let contacts = app.contacts(&principal);
        let contact = contacts.draft(new_contact(jane("jane@example.com")), import);
        contacts.create(&contact, None).await.unwrap();
        let timeline = app.activities(&principal, contact.id);
        let body =
            |number| json!({"id": format!("act_{number}"), "event_time": "2024-04-18T10:15:00Z", "event_type": "x"});
        for bodies in (0..activities).map(body).collect::<Vec<_>>().chunks(50) {
            let NewActivities(new) = parse_body(json!(bodies));
            timeline.record(&timeline.draft(new), |_| None).await.unwrap();
        }
        assert_eq!(self.items("activity").await, activities);
        contacts.delete(contact.id, None).await.unwrap();
        contact.id
    }

    /// The number of items of a type.
    async fn items(&self, kind: &str) -> usize {
        let kind = format!("\"type\":\"{kind}\"");
        self.table.dump().await.unwrap().iter().filter(|item| item.contains(&kind)).count()
    }

    /// Reads the stream until it has no new records.
    async fn drain(&mut self) {
        while self.event_source.poll().await.unwrap() > 0 {}
    }
}

/// An event source mapping without a running engine.
fn event_source(database_url: &str, gateway: &str) -> Option<EventSourceMapping> {
    let database = RunningDatabase { url: database_url.parse().unwrap(), engine: None };
    EventSourceMapping::new(&database, TABLE, &Variables::new(), gateway)
}

/// Responds to invocations one after the other. A killed worker does not respond.
async fn serve(listener: TcpListener, worker: App, proxy: FaultProxy, kills: usize, killed: Arc<AtomicUsize>) {
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        let service = service_fn(async |request: Request<hyper::body::Incoming>| {
            let path = request.uri().path().to_owned();
            assert_eq!(path, "/2015-03-31/functions/cascade-delete/invocations");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let batch = serde_json::from_slice(&body).unwrap();
            let working = process_batch(&worker, &batch, invocation(Instant::now() + CALL_TIMEOUT));
            if killed.load(Ordering::Relaxed) < kills {
                let mut held = proxy.hold(Operation::BatchWriteItem, HoldPoint::AfterExecution);
                tokio::select! {
                    _ = working => panic!("the worker deletes nothing"),
                    () = held.reached() => {}
                }
                killed.fetch_add(1, Ordering::Relaxed);
                return Err("killed");
            }
            let outcome = serde_json::to_string(&working.await).unwrap();
            Ok(Response::new(Full::new(Bytes::from(outcome))))
        });
        // The error of a killed worker, which closes the connection.
        let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(connection), service).await;
    }
}

#[tokio::test]
async fn a_deleted_contact_is_removed_although_the_worker_is_killed_five_times() {
    let mut local = Local::start(TimeDelta::zero(), KILLS).await;
    local.deleted_contact(ACTIVITIES, None).await;
    assert_eq!(local.items("activity").await, ACTIVITIES);
    local.drain().await;
    assert_eq!(local.killed.load(Ordering::Relaxed), KILLS);
    assert_eq!((local.items("contact").await, local.items("activity").await), (0, 0));
}

#[tokio::test]
async fn an_activity_of_a_late_writer_is_removed_with_the_tombstone() {
    // The tombstone of 16 minutes ago has expired.
    let mut local = Local::start(TimeDelta::minutes(16), 0).await;
    let contact = local.deleted_contact(1, None).await;
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
async fn memberships_are_found_by_the_old_images_of_the_contact_and_of_its_tombstone() {
    // The tombstone of 16 minutes ago has expired.
    let mut local = Local::start(TimeDelta::minutes(16), 0).await;
    let import = local.import().await;
    let contact = local.deleted_contact(0, Some(import)).await;
    let key = keys::membership(local.tenant.org_id, import, contact);
    let item = json!({"pk": {"S": key.pk}, "sk": {"S": key.sk}, "type": {"S": "membership"}});
    // Each time, a late writer has written the membership.
    local.table.put_item(item.clone()).await.unwrap();
    local.drain().await;
    assert_eq!((local.items("membership").await, local.items("tombstone").await), (0, 1));

    local.table.put_item(item).await.unwrap();
    local.engine.remove_expired().await.unwrap();
    local.drain().await;
    assert_eq!((local.items("membership").await, local.items("tombstone").await), (0, 0));
}

#[tokio::test]
async fn reading_the_stream_from_the_start_again_changes_nothing() {
    let mut local = Local::start(TimeDelta::zero(), 0).await;
    // Another engine than the embedded one keeps what has been read.
    local.event_source.engine = None;
    local.deleted_contact(3, None).await;
    local.drain().await;
    let before = local.table.dump().await.unwrap();
    local.event_source.positions.clear();
    assert!(local.event_source.poll().await.unwrap() > 0, "the old records are read again");
    assert_eq!(local.table.dump().await.unwrap(), before);
}

#[tokio::test]
async fn delivered_records_are_removed_from_the_embedded_engine() {
    let mut local = Local::start(TimeDelta::zero(), 0).await;
    local.deleted_contact(3, None).await;
    local.drain().await;
    local.event_source.positions.clear();
    assert_eq!(local.event_source.poll().await.unwrap(), 0, "no old record is left");

    local.deleted_contact(3, None).await;
    local.drain().await;
    assert_eq!(local.items("activity").await, 0, "later records are delivered");
}

#[tokio::test]
async fn a_batch_is_retried_from_the_first_failed_record() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = format!("http://{}", listener.local_addr().unwrap());
    let event_source = event_source("http://127.0.0.1:8000", &gateway).unwrap();
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let responses = [
        (200, r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#),
        (200, r#"{"errorType":"panic"}"#),
        (500, r#"{"batchItemFailures":[]}"#),
        (200, r#"{"batchItemFailures":[{"itemIdentifier":"unknown"}]}"#),
        (200, r#"{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":"2"}]}"#),
        (200, r#"{"batchItemFailures":[]}"#),
    ];
    let worker = async {
        for (status, response) in responses {
            let (connection, _) = listener.accept().await.unwrap();
            let service = service_fn(async |request: Request<hyper::body::Incoming>| {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                sender.send(serde_json::from_slice::<Value>(&body).unwrap()).unwrap();
                Response::builder().status(status).body(Full::new(Bytes::from(response)))
            });
            http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(connection), service).await.unwrap();
        }
    };
    let batch = ["1", "2", "3"].map(|number| json!({"dynamodb": {"SequenceNumber": number}}));
    tokio::join!(worker, event_source.deliver(&batch));
    let mut first_records = Vec::new();
    while let Ok(event) = received.try_recv() {
        first_records.push(event["Records"][0]["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned());
    }
    assert_eq!(first_records, ["1", "2", "2", "2", "2", "2"]);
}

#[test]
fn a_table_in_dynamodb_has_no_local_event_source() {
    let gateway = "http://127.0.0.1:9000";
    assert!(event_source("http://127.0.0.1:8000", gateway).is_some());
    assert!(event_source("https://dynamodb.us-east-1.amazonaws.com", gateway).is_none());
}

#[test]
fn only_the_removal_of_a_parent_or_a_tombstone_invokes_the_worker() {
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
        assert_eq!(matches_event_filter(&record), expected, "{record}");
    }
}
