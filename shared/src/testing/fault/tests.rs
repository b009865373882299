//! Every fault through the real SDK, against the embedded engine. A second proxy, behind the one under test, is the spy
//! that says what reached the engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::TcpListener as StdListener;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, DeleteRequest, Get, KeySchemaElement, KeyType, KeysAndAttributes,
    Put, PutRequest, ScalarAttributeType, TransactGetItem, TransactWriteItem, WriteRequest,
};
use dynoxide::Database;
use futures_util::future::join_all;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::plan::Plan;
use super::*;

const TABLE: &str = "contacts";
const OTHER_TABLE: &str = "activities";

/// How long a broken proxy may hang a test; no correct one comes near.
const RETRY_POLICY: Duration = Duration::from_secs(20);

const OPERATIONS: [Operation; 10] = [
    Operation::GetItem,
    Operation::BatchGetItem,
    Operation::Query,
    Operation::Scan,
    Operation::TransactGetItems,
    Operation::PutItem,
    Operation::UpdateItem,
    Operation::DeleteItem,
    Operation::BatchWriteItem,
    Operation::TransactWriteItems,
];

/// client → proxy → spy → engine
struct Bench {
    proxy: FaultProxy,
    spy: FaultProxy,
    engine: String,
    client: DynamoDb,
    direct: DynamoDb,
}

impl Bench {
    async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let engine = format!("http://{}", listener.local_addr().unwrap());
        let database = Database::memory().unwrap();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
        let spy = FaultProxy::start(&engine).await.unwrap();
        let proxy = FaultProxy::start(&spy.endpoint()).await.unwrap();
        let (client, direct) = (sdk(&proxy.endpoint()), sdk(&engine));
        for table in [TABLE, OTHER_TABLE] {
            create_table(&direct, table).await;
        }
        Self { proxy, spy, engine, client, direct }
    }

    /// Whether the engine holds the item `id`.
    async fn holds(&self, id: &str) -> bool {
        self.direct.get_item().table_name(TABLE).set_key(Some(item(id))).send().await.unwrap().item.is_some()
    }

    async fn put_directly(&self, table: &str, id: &str) {
        self.direct.put_item().table_name(table).set_item(Some(item(id))).send().await.unwrap();
    }

    /// Makes one call of `operation` through the proxy. A write puts (or, where it deletes, removes) `new`.
    async fn call(&self, operation: Operation) -> Outcome {
        let client = &self.client;
        match operation {
            Operation::GetItem => outcome(client.get_item().table_name(TABLE).set_key(Some(item("a"))).send().await),
            Operation::BatchGetItem => {
                outcome(client.batch_get_item().request_items(TABLE, keys(&["a", "b"])).send().await)
            }
            Operation::Query => {
                let query = client.query().table_name(TABLE).key_condition_expression("id = :id");
                outcome(query.expression_attribute_values(":id", text("a")).send().await)
            }
            Operation::Scan => outcome(client.scan().table_name(TABLE).send().await),
            Operation::TransactGetItems => {
                let get = Get::builder().table_name(TABLE).set_key(Some(item("a"))).build().unwrap();
                let get = TransactGetItem::builder().get(get).build();
                outcome(client.transact_get_items().transact_items(get).send().await)
            }
            Operation::PutItem => outcome(client.put_item().table_name(TABLE).set_item(Some(item("new"))).send().await),
            Operation::UpdateItem => {
                outcome(client.update_item().table_name(TABLE).set_key(Some(item("new"))).send().await)
            }
            Operation::DeleteItem => {
                outcome(client.delete_item().table_name(TABLE).set_key(Some(item("new"))).send().await)
            }
            Operation::BatchWriteItem => {
                let writes = ["new", "newer"].map(put_request).to_vec();
                outcome(client.batch_write_item().request_items(TABLE, writes).send().await)
            }
            Operation::TransactWriteItems => outcome(self.transaction(&["new"]).await),
        }
    }

    async fn transaction(&self, ids: &[&str]) -> Result<(), SdkError<TransactWriteItemsError>> {
        let puts = ids.iter().map(|id| {
            let put = Put::builder().table_name(TABLE).set_item(Some(item(id))).build().unwrap();
            TransactWriteItem::builder().put(put).build()
        });
        self.client.transact_write_items().set_transact_items(Some(puts.collect())).send().await.map(drop)
    }

    /// The cancellation reasons' codes of a transaction of three.
    async fn cancellation(&self) -> Vec<(String, Option<String>)> {
        match self.transaction(&["a", "b", "c"]).await.unwrap_err().into_service_error() {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                let reasons = cancelled.cancellation_reasons.unwrap().into_iter();
                reasons.map(|reason| (reason.code.unwrap(), reason.message)).collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

fn sdk(endpoint: &str) -> DynamoDb {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(RETRY_POLICY).build())
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    DynamoDb::from_conf(config.build())
}

async fn create_table(client: &DynamoDb, name: &str) {
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
    let id =
        AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build().unwrap();
    let table = client.create_table().table_name(name).key_schema(key).attribute_definitions(id);
    table.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn item(id: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("id".to_owned(), text(id))])
}

fn keys(ids: &[&str]) -> KeysAndAttributes {
    let keys = ids.iter().map(|id| item(id)).collect();
    KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().unwrap()
}

fn put_request(id: &str) -> WriteRequest {
    WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item(id))).build().unwrap()).build()
}

/// What the SDK makes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Done,
    /// An error of the operation's model, by its code.
    Modeled(String),
    /// An error that the model does not know, or (without a code) an answer that makes no sense.
    Unmodeled(String),
    /// The connection failed before an answer came.
    Lost,
}

impl Outcome {
    fn modeled(code: &str) -> Self {
        Self::Modeled(code.to_owned())
    }
}

fn outcome<T, E: ProvideErrorMetadata + std::fmt::Debug>(result: Result<T, SdkError<E>>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(SdkError::ServiceError(error)) => {
            let code = error.err().code().unwrap_or_default().to_owned();
            let modeled = !format!("{:?}", error.err()).starts_with("Unhandled");
            if modeled { Outcome::Modeled(code) } else { Outcome::Unmodeled(code) }
        }
        Err(SdkError::DispatchFailure(_)) => Outcome::Lost,
        Err(other) => panic!("{other:?}"),
    }
}

/// A fault of `kind`, what the SDK makes of it, and whether the engine executes the call.
fn sample(kind: Kind, operation: Operation) -> (Fault, Outcome, bool) {
    let cancelled = Outcome::modeled("TransactionCanceledException");
    let over = Throttling::ProvisionedThroughputExceeded;
    match kind {
        Kind::Unavailable => (Fault::Unavailable, Outcome::modeled("InternalServerError"), false),
        Kind::Throttled => (Fault::Throttled(over), Outcome::modeled("ProvisionedThroughputExceededException"), false),
        Kind::Conflict if Kind::Cancelled.applies_to(operation) => (Fault::Conflict, cancelled, false),
        Kind::Conflict => (Fault::Conflict, Outcome::modeled("TransactionConflictException"), false),
        Kind::Cancelled => (Fault::Cancelled(vec![Reason::ThrottlingError]), cancelled, false),
        Kind::InProgress => (Fault::InProgress, Outcome::modeled("TransactionInProgressException"), false),
        Kind::ResetBefore => (Fault::ResetBefore, Outcome::Lost, false),
        Kind::ResetAfter => (Fault::ResetAfter, Outcome::Lost, true),
        Kind::Slow => (Fault::Slow(Duration::from_millis(1)), Outcome::Done, true),
        Kind::Unprocessed => (Fault::Unprocessed, Outcome::Done, true),
        Kind::Garbage => (Fault::Garbage, Outcome::Unmodeled(String::new()), true),
    }
}

#[tokio::test]
async fn every_fault_on_every_operation_is_what_the_sdk_expects_of_dynamodb() {
    let bench = Bench::new().await;
    let mut tried = BTreeSet::new();
    for operation in OPERATIONS {
        for &kind in Kind::ALL.iter().filter(|kind| kind.applies_to(operation)) {
            let (fault, expected, executed) = sample(kind, operation);
            assert_eq!(fault.kind(), kind);
            bench.proxy.inject(operation, fault.clone());
            assert_eq!(bench.call(operation).await, expected, "{kind:?} on {operation:?}");
            assert_eq!(bench.spy.take_calls().len(), usize::from(executed), "{kind:?} on {operation:?}");
            let calls: Vec<_> = bench.proxy.take_calls().into_iter().map(|call| (call.operation, call.fault)).collect();
            assert_eq!(calls, [(operation, Some(fault))]);
            tried.insert(kind);
        }
        assert_eq!(bench.call(operation).await, Outcome::Done, "{operation:?} after its faults");
        assert_eq!(bench.proxy.take_calls()[0].fault, None);
        assert_eq!(bench.spy.take_calls()[0].operation, operation);
    }
    assert_eq!(tried.len(), Kind::ALL.len());
}

#[tokio::test]
async fn every_throttling_has_its_error() {
    let bench = Bench::new().await;
    let codes = ["ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"];
    for (&throttling, code) in Throttling::ALL.iter().zip(codes) {
        for operation in OPERATIONS {
            bench.proxy.inject(operation, Fault::Throttled(throttling));
            assert_eq!(bench.call(operation).await, Outcome::modeled(code), "{operation:?}");
        }
    }
    assert_eq!(bench.spy.take_calls(), []);
}

#[tokio::test]
async fn an_answer_is_lost_before_or_after_the_engine_writes() {
    let bench = Bench::new().await;
    for (fault, written) in [(Fault::ResetBefore, false), (Fault::ResetAfter, true)] {
        bench.proxy.inject(Operation::TransactWriteItems, fault);
        assert_eq!(bench.call(Operation::TransactWriteItems).await, Outcome::Lost);
        assert_eq!(bench.holds("new").await, written);
    }
}

#[tokio::test]
async fn a_reset_is_a_reset_and_not_an_end() {
    let bench = Bench::new().await;
    bench.proxy.inject(Operation::Scan, Fault::ResetBefore);
    let mut socket = TcpStream::connect(bench.proxy.address).await.unwrap();
    socket.write_all(raw("Scan", r#"{"TableName":"contacts"}"#).as_bytes()).await.unwrap();
    let error = socket.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn reasons_stand_at_their_index_and_are_padded() {
    let bench = Bench::new().await;
    let inject = |reasons: &[Reason]| {
        bench.proxy.inject(Operation::TransactWriteItems, Fault::Cancelled(reasons.to_vec()));
    };
    let codes = |reasons: Vec<(String, Option<String>)>| reasons.into_iter().map(|(code, _)| code).collect::<Vec<_>>();

    inject(&[Reason::ConditionalCheckFailed, Reason::TransactionConflict]);
    let reasons = bench.cancellation().await;
    assert_eq!(reasons[0], ("ConditionalCheckFailed".to_owned(), Some("The conditional request failed".to_owned())));
    assert_eq!(reasons[1], ("TransactionConflict".to_owned(), Some("Transaction is ongoing for the item".to_owned())));
    assert_eq!(reasons[2], ("None".to_owned(), None));

    inject(&[Reason::None, Reason::ThrottlingError, Reason::ProvisionedThroughputExceeded]);
    assert_eq!(codes(bench.cancellation().await), ["None", "ThrottlingError", "ProvisionedThroughputExceeded"]);

    inject(&[Reason::TransactionConflict; 4]);
    let error = bench.transaction(&["a", "b", "c"]).await.unwrap_err().into_service_error();
    assert_eq!(error.message(), Some("4 reasons were injected into a transaction of 3 items"));
}

#[tokio::test]
async fn a_conflict_hits_one_item_and_sooner_or_later_each() {
    let bench = Bench::new().await;
    let mut hit = BTreeSet::new();
    for _ in 0..32 {
        bench.proxy.inject(Operation::TransactWriteItems, Fault::Conflict);
        let reasons = bench.cancellation().await;
        let culprits: Vec<_> = (0..3).filter(|&index| reasons[index].0 == "TransactionConflict").collect();
        assert_eq!(culprits.len(), 1);
        assert_eq!(reasons.iter().filter(|(code, _)| code == "None").count(), 2);
        hit.extend(culprits);
    }
    assert_eq!(hit, BTreeSet::from([0, 1, 2]));
}

#[test]
fn a_cancellation_has_the_services_wire_shape() {
    let answer = answer::cancelled(vec![Reason::None, Reason::TransactionConflict], 2);
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers()["content-type"], "application/x-amz-json-1.0");
    assert_eq!(answer.headers()["x-amzn-requestid"].len(), 52);
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(
        body,
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons \
                        [None, TransactionConflict]",
            "CancellationReasons": [
                { "Code": "None" },
                { "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" },
            ],
        })
    );
}

#[tokio::test]
async fn half_of_a_batch_read_comes_back_unread() {
    let bench = Bench::new().await;
    for (table, id) in [(TABLE, "a"), (TABLE, "b"), (TABLE, "c"), (OTHER_TABLE, "d"), (OTHER_TABLE, "e")] {
        bench.put_directly(table, id).await;
    }
    bench.proxy.inject(Operation::BatchGetItem, Fault::Unprocessed);
    let mut wanted =
        HashMap::from([(TABLE.to_owned(), keys(&["a", "b", "c"])), (OTHER_TABLE.to_owned(), keys(&["d", "e"]))]);
    let (mut found, mut rounds) = (Vec::new(), Vec::new());
    while !wanted.is_empty() {
        let answer = bench.client.batch_get_item().set_request_items(Some(wanted)).send().await.unwrap();
        let here: Vec<_> = answer.responses.unwrap().into_values().flatten().collect();
        rounds.push(here.len());
        found.extend(here.into_iter().map(|item| item["id"].as_s().unwrap().clone()));
        wanted = answer.unprocessed_keys.unwrap_or_default();
        assert!(
            wanted.values().all(|keys| keys.consistent_read == Some(true)),
            "a table's settings stay with its keys"
        );
    }
    found.sort();
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
    assert_eq!(rounds, [3, 2]);
}

#[tokio::test]
async fn half_of_a_batch_write_comes_back_unwritten() {
    let bench = Bench::new().await;
    bench.put_directly(TABLE, "old").await;
    bench.proxy.inject(Operation::BatchWriteItem, Fault::Unprocessed);
    let delete = DeleteRequest::builder().set_key(Some(item("old"))).build().unwrap();
    let writes = vec![put_request("new"), WriteRequest::builder().delete_request(delete).build()];
    let answer = bench.client.batch_write_item().request_items(TABLE, writes.clone()).send().await.unwrap();
    assert_eq!(answer.unprocessed_items().unwrap()[TABLE], writes[1..]);
    assert!(bench.holds("new").await && bench.holds("old").await);
    bench.client.batch_write_item().set_request_items(answer.unprocessed_items).send().await.unwrap();
    assert!(!bench.holds("old").await);
}

#[tokio::test]
async fn a_batch_of_one_of_which_nothing_is_processed_is_throttled() {
    let bench = Bench::new().await;
    bench.proxy.inject(Operation::BatchGetItem, Fault::Unprocessed);
    let result = bench.client.batch_get_item().request_items(TABLE, keys(&["a"])).send().await;
    assert_eq!(outcome(result), Outcome::modeled("ProvisionedThroughputExceededException"));
    assert_eq!(bench.spy.take_calls(), []);
}

#[test]
fn what_the_engine_itself_left_unprocessed_stays_so() {
    let request =
        json!({ "RequestItems": { "t": { "Keys": [1, 2, 3, 4], "ConsistentRead": true }, "u": { "Keys": [5] } } });
    let (half, rest) = answer::halve(request.to_string().as_bytes()).unwrap();
    let half: Value = serde_json::from_slice(&half).unwrap();
    assert_eq!(half, json!({ "RequestItems": { "t": { "Keys": [1, 2, 3], "ConsistentRead": true } } }));
    let engines =
        json!({ "Responses": { "t": [1] }, "UnprocessedKeys": { "t": { "Keys": [2, 3], "ConsistentRead": true } } });
    let mut answer = Response::new(Bytes::from(engines.to_string()));
    answer.headers_mut().insert("x-amz-crc32", 1.into());
    let answer = rest.hand_back(answer);
    assert_eq!(answer.headers().get("x-amz-crc32"), None, "the checksum was the old body's");
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    let unprocessed = json!({ "t": { "Keys": [2, 3, 4], "ConsistentRead": true }, "u": { "Keys": [5] } });
    assert_eq!(body, json!({ "Responses": { "t": [1] }, "UnprocessedKeys": unprocessed }));
}

#[tokio::test]
async fn a_slow_answer_is_the_engines_own() {
    let bench = Bench::new().await;
    let delay = Duration::from_millis(50);
    bench.proxy.inject(Operation::PutItem, Fault::Slow(delay));
    let start = Instant::now();
    assert_eq!(bench.call(Operation::PutItem).await, Outcome::Done);
    assert!(start.elapsed() >= delay);
    assert!(bench.holds("new").await);
}

#[tokio::test]
async fn a_script_is_played_in_order_and_to_its_operation_only() {
    let bench = Bench::new().await;
    bench.proxy.inject(Operation::GetItem, Fault::Unavailable);
    bench.proxy.inject(Operation::GetItem, Fault::Throttled(Throttling::Throttling));
    bench.proxy.inject(Operation::GetItem, Fault::Garbage);
    assert_eq!(bench.call(Operation::Scan).await, Outcome::Done);
    assert_eq!(bench.call(Operation::GetItem).await, Outcome::modeled("InternalServerError"));
    assert_eq!(bench.call(Operation::GetItem).await, Outcome::modeled("ThrottlingException"));
    bench.proxy.calm();
    assert_eq!(bench.call(Operation::GetItem).await, Outcome::Done);
    let faults: Vec<_> = bench.proxy.take_calls().iter().map(|call| call.fault.as_ref().map(Fault::kind)).collect();
    assert_eq!(faults, [None, Some(Kind::Unavailable), Some(Kind::Throttled), None]);
    assert_eq!(bench.proxy.take_calls(), []);
}

#[tokio::test]
#[should_panic(expected = "DynamoDB never answers Query with Conflict")]
async fn a_fault_that_cannot_happen_is_refused() {
    let proxy = FaultProxy::start("http://127.0.0.1:1").await.unwrap();
    proxy.inject(Operation::Query, Fault::Conflict);
}

#[tokio::test]
async fn a_call_is_held_before_or_after_the_engine() {
    for (moment, written) in [(Moment::Before, false), (Moment::After, true)] {
        let bench = Bench::new().await;
        let mut hold = bench.proxy.hold(Operation::PutItem, moment);
        let interleaving = async {
            hold.reached().await;
            assert_eq!(bench.holds("new").await, written, "{moment:?}");
            bench.put_directly(TABLE, "meanwhile").await;
            assert_eq!(bench.call(Operation::Scan).await, Outcome::Done, "others pass");
            hold.release();
        };
        assert_eq!(tokio::join!(bench.call(Operation::PutItem), interleaving).0, Outcome::Done);
        assert!(bench.holds("new").await);
        assert_eq!(bench.proxy.take_calls()[0].fault, None);
    }
}

#[tokio::test]
async fn a_dropped_hold_holds_nothing() {
    let bench = Bench::new().await;
    drop(bench.proxy.hold(Operation::GetItem, Moment::Before));
    assert_eq!(bench.call(Operation::GetItem).await, Outcome::Done);
}

#[tokio::test]
#[should_panic(expected = "the proxy was calmed or dropped before one arrived")]
async fn a_hold_that_can_never_be_reached_says_so() {
    let proxy = FaultProxy::start("http://127.0.0.1:1").await.unwrap();
    let mut hold = proxy.hold(Operation::GetItem, Moment::Before);
    proxy.calm();
    timeout(RETRY_POLICY, hold.reached()).await.expect("it waits on");
}

/// The fates of `calls` under `seed`, by operation.
fn fates(seed: u64, rate: f64, kinds: &[Kind], calls: &[Operation]) -> BTreeMap<Operation, Vec<Option<Fault>>> {
    let mut plan = Plan::default();
    plan.randomly(seed, rate, kinds);
    let request = Bytes::from_static(br#"{"TransactItems":[{},{},{}]}"#);
    for &operation in calls {
        plan.next(operation, request.clone());
    }
    let mut fates = BTreeMap::<_, Vec<_>>::new();
    for call in plan.calls {
        fates.entry(call.operation).or_default().push(call.fault);
    }
    fates
}

#[test]
fn the_seed_alone_decides_each_operations_fates() {
    let in_turns = OPERATIONS.repeat(40);
    let mut in_blocks = in_turns.clone();
    in_blocks.sort();
    let random = fates(7, 0.5, Kind::ALL, &in_turns);
    assert_eq!(random, fates(7, 0.5, Kind::ALL, &in_turns));
    assert_eq!(random, fates(7, 0.5, Kind::ALL, &in_blocks), "other operations' calls do not matter");
    assert_ne!(random, fates(8, 0.5, Kind::ALL, &in_turns));
    assert_ne!(random[&Operation::GetItem], random[&Operation::Query], "operations do not fail in step");
}

#[test]
fn the_rate_is_the_share_of_calls_spoiled() {
    let calls = [Operation::UpdateItem].repeat(10_000);
    for (rate, expected) in [(0.0, 0..=0), (0.25, 2_350..=2_650), (1.0, 10_000..=10_000)] {
        let spoiled = fates(1, rate, Kind::ALL, &calls)[&Operation::UpdateItem].iter().flatten().count();
        assert!(expected.contains(&spoiled), "{spoiled} at {rate}");
    }
}

#[test]
fn random_faults_are_of_every_kind_that_applies_and_end_by_themselves() {
    for (operation, fates) in fates(3, 1.0, Kind::ALL, &OPERATIONS.repeat(300)) {
        let drawn: BTreeSet<_> = fates.iter().flatten().map(Fault::kind).collect();
        let applicable: BTreeSet<_> = Kind::ALL.iter().copied().filter(|kind| kind.applies_to(operation)).collect();
        assert_eq!(drawn, applicable, "{operation:?}");
        for reasons in fates.iter().flatten().filter_map(|fault| match fault {
            Fault::Cancelled(reasons) => Some(reasons),
            _ => None,
        }) {
            assert_eq!(reasons.len(), 3);
            assert!(reasons.iter().any(|reason| *reason != Reason::None), "something cancelled it");
            assert!(!reasons.contains(&Reason::ConditionalCheckFailed), "a condition that holds never fails");
        }
    }
    let some = fates(3, 1.0, &[Kind::Slow, Kind::Unprocessed], &OPERATIONS.repeat(9));
    assert!(some[&Operation::GetItem].iter().all(|fault| fault.as_ref().map(Fault::kind) == Some(Kind::Slow)));
}

#[tokio::test]
async fn a_client_that_tries_again_survives_the_random_faults() {
    let bench = Bench::new().await;
    bench.proxy.randomly(11, 0.6, Kind::ALL);
    for operation in OPERATIONS.repeat(12) {
        let mut tries = 0;
        while bench.call(operation).await != Outcome::Done {
            tries += 1;
            assert!(tries < 64, "{operation:?} never succeeds");
        }
    }
    let kinds: BTreeSet<_> =
        bench.proxy.take_calls().iter().filter_map(|call| Some(call.fault.as_ref()?.kind())).collect();
    assert_eq!(kinds.len(), Kind::ALL.len());
    bench.proxy.calm();
    for operation in OPERATIONS {
        assert_eq!(bench.call(operation).await, Outcome::Done);
    }
    assert!(bench.proxy.take_calls().iter().all(|call| call.fault.is_none()));
    assert!(bench.holds("new").await);
}

fn raw(operation: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: test\r\nx-amz-target: DynamoDB_20120810.{operation}\r\n\
         content-type: application/x-amz-json-1.0\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=0\r\nx-amz-date: 20260101T000000Z\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One answer from an open connection, without what differs from call to call.
async fn exchange(socket: &mut TcpStream, request: &str) -> (Vec<String>, Vec<u8>) {
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.unwrap();
    let varying = |line: &&str| line.starts_with("date: ") || line.starts_with("x-amzn-requestid: ");
    let mut lines: Vec<_> = head.lines().filter(|line| !varying(line)).map(str::to_owned).collect();
    lines.sort();
    (lines, body)
}

#[tokio::test]
async fn a_clean_proxy_cannot_be_told_from_the_engine() {
    let bench = Bench::new().await;
    let mut proxied = TcpStream::connect(bench.proxy.address).await.unwrap();
    let mut direct = TcpStream::connect(bench.engine.strip_prefix("http://").unwrap()).await.unwrap();
    for (operation, body) in [
        ("PutItem", r#"{"TableName":"contacts","Item":{"id":{"S":"é"}}}"#),
        ("GetItem", r#"{"TableName":"contacts","Key":{"id":{"S":"é"}}}"#),
        ("GetItem", r#"{"TableName":"missing","Key":{"id":{"S":"a"}}}"#),
        ("DescribeTable", r#"{"TableName":"contacts"}"#),
        ("NoSuchOperation", "{}"),
        ("GetItem", "not json"),
    ] {
        let request = raw(operation, body);
        assert_eq!(exchange(&mut proxied, &request).await, exchange(&mut direct, &request).await, "{operation} {body}");
    }
    let seen: Vec<_> = bench.proxy.take_calls().into_iter().map(|call| call.operation).collect();
    let get = Operation::GetItem;
    assert_eq!(seen, [Operation::PutItem, get, get, get], "the other operations go unseen");
}

#[tokio::test]
async fn a_chunked_answer_passes() {
    let engine = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = FaultProxy::start(&format!("http://{}", engine.local_addr().unwrap())).await.unwrap();
    let answer = async {
        let (mut socket, _) = engine.accept().await.unwrap();
        while socket.read_u8().await.unwrap() != b'}' {}
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"Co\r\nA\r\nunt\":   7}\r\n0\r\n\r\n";
        socket.write_all(chunked).await.unwrap();
        socket
    };
    let client = sdk(&proxy.endpoint());
    let (answer, _socket) = tokio::join!(client.scan().table_name(TABLE).send(), answer);
    assert_eq!(answer.unwrap().count, 7);
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let bench = Bench::new().await;
    let ids: Vec<_> = (0..15).map(|n| n.to_string()).collect();
    let blob = AttributeValue::B(Blob::new(vec![7; 300_000]));
    let writes = ids.iter().map(|id| {
        let put = PutRequest::builder().set_item(Some(item(id))).item("blob", blob.clone()).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    });
    bench.client.batch_write_item().request_items(TABLE, writes.collect()).send().await.unwrap();
    assert!(bench.proxy.take_calls()[0].request.len() > 4 << 20);
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let read = bench.client.batch_get_item().request_items(TABLE, keys(&ids)).send().await.unwrap();
    let items = &read.responses.unwrap()[TABLE];
    assert_eq!(items.len(), ids.len());
    assert!(items.iter().all(|item| item["blob"] == blob));
}

#[tokio::test]
async fn a_hundred_calls_at_once_are_all_answered() {
    let bench = Bench::new().await;
    let ids: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    let puts = ids.iter().map(|id| bench.client.put_item().table_name(TABLE).set_item(Some(item(id))).send());
    assert!(join_all(puts).await.iter().all(Result::is_ok));
    assert_eq!(bench.direct.scan().table_name(TABLE).send().await.unwrap().count, 100);
    assert_eq!(bench.proxy.take_calls().len(), 100);
}

#[tokio::test]
async fn a_hundred_calls_can_be_held_at_once() {
    let bench = Bench::new().await;
    let mut holds: Vec<_> = (0..100).map(|_| bench.proxy.hold(Operation::GetItem, Moment::Before)).collect();
    let calls = join_all((0..100).map(|_| bench.call(Operation::GetItem)));
    let release = async {
        join_all(holds.iter_mut().map(Hold::reached)).await;
        drop(holds);
    };
    let (outcomes, ()) = tokio::join!(calls, release);
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Done));
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_calls_and_closes_its_port() {
    let Bench { proxy, client, spy: _spy, .. } = Bench::new().await;
    let (address, relay) = (proxy.address, Arc::downgrade(&proxy.relay));
    let mut hold = proxy.hold(Operation::Scan, Moment::Before);
    let stop = async {
        hold.reached().await;
        drop(proxy);
    };
    let (result, ()) = tokio::join!(client.scan().table_name(TABLE).send(), stop);
    assert_eq!(outcome(result), Outcome::Lost);
    let stopped = async {
        while relay.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(RETRY_POLICY, stopped).await.expect("it serves on");
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_missing_engine_looks_like_one() {
    let unused = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let proxy = FaultProxy::start(&format!("http://{unused}")).await.unwrap();
    let result = sdk(&proxy.endpoint()).scan().table_name(TABLE).send().await;
    assert_eq!(outcome(result), Outcome::Lost);
}

#[tokio::test]
async fn only_plain_http_upstreams_are_taken() {
    for upstream in ["", "127.0.0.1:8000", "https://dynamodb.us-east-1.amazonaws.com", "http://"] {
        let error = FaultProxy::start(upstream).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{upstream}");
    }
}
