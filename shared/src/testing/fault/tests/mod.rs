//! The proxy between the real SDK and the embedded engine.

mod batches;
mod faults;
mod forwarding;
mod holds;
mod random;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, Get, KeySchemaElement, KeyType, KeysAndAttributes, Put,
    PutRequest, ScalarAttributeType, TransactGetItem, TransactWriteItem, WriteRequest,
};
use dynoxide::Database;
use tokio::net::TcpListener;

use super::{Fault, FaultKind, FaultProxy, Operation};

const TABLE: &str = "contacts";
const OTHER_TABLE: &str = "activities";

/// The longest a test waits for a broken proxy; a correct one is far below.
const TIMEOUT: Duration = Duration::from_secs(20);

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

/// A client, the proxy under test, a second proxy that records what reaches the engine, and the engine, in this order.
struct Bench {
    client: DynamoDb,
    proxy: FaultProxy,
    recorder: FaultProxy,
    engine: String,
    direct_client: DynamoDb,
}

impl Bench {
    async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let engine = format!("http://{}", listener.local_addr().unwrap());
        let database = Database::memory().unwrap();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
        let recorder = FaultProxy::start(&engine).await.unwrap();
        let proxy = FaultProxy::start(&recorder.endpoint()).await.unwrap();
        let client = sdk_client(&proxy.endpoint());
        let direct_client = sdk_client(&engine);
        for table in [TABLE, OTHER_TABLE] {
            create_table(&direct_client, table).await;
        }
        Self { client, proxy, recorder, engine, direct_client }
    }

    /// Whether the engine stores an item with this id.
    async fn is_stored(&self, id: &str) -> bool {
        let get = self.direct_client.get_item().table_name(TABLE).set_key(Some(item(id)));
        get.send().await.unwrap().item.is_some()
    }

    /// Stores an item past the proxies.
    async fn put_directly(&self, table: &str, id: &str) {
        self.direct_client.put_item().table_name(table).set_item(Some(item(id))).send().await.unwrap();
    }

    /// Makes one call of `operation` through the proxy. A write stores the item `new`; a delete removes it.
    async fn call(&self, operation: Operation) -> Outcome {
        let client = &self.client;
        match operation {
            Operation::GetItem => outcome(client.get_item().table_name(TABLE).set_key(Some(item("a"))).send().await),
            Operation::BatchGetItem => {
                outcome(client.batch_get_item().request_items(TABLE, keys(&["a", "b"])).send().await)
            }
            Operation::Query => {
                let query = client.query().table_name(TABLE).key_condition_expression("id = :id");
                outcome(query.expression_attribute_values(":id", string("a")).send().await)
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
            Operation::TransactWriteItems => outcome(self.put_in_transaction(&["new"]).await),
        }
    }

    async fn put_in_transaction(&self, ids: &[&str]) -> Result<(), SdkError<TransactWriteItemsError>> {
        let mut transaction = self.client.transact_write_items();
        for id in ids {
            let put = Put::builder().table_name(TABLE).set_item(Some(item(id))).build().unwrap();
            transaction = transaction.transact_items(TransactWriteItem::builder().put(put).build());
        }
        transaction.send().await.map(drop)
    }

    /// Makes a transaction of three items that is canceled, and returns the code and the message of each item's reason.
    async fn cancellation_reasons(&self) -> Vec<(String, Option<String>)> {
        let error = self.put_in_transaction(&["a", "b", "c"]).await.unwrap_err().into_service_error();
        let TransactWriteItemsError::TransactionCanceledException(canceled) = error else { panic!("{error:?}") };
        let reasons = canceled.cancellation_reasons.unwrap().into_iter();
        reasons.map(|reason| (reason.code.unwrap(), reason.message)).collect()
    }

    /// The kinds of the injected faults, call by call, since the last time.
    fn take_fault_kinds(&self) -> Vec<Option<FaultKind>> {
        self.proxy.take_calls().iter().map(|call| call.fault.as_ref().map(Fault::kind)).collect()
    }
}

fn sdk_client(endpoint: &str) -> DynamoDb {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
        .http_client(crate::http_client());
    DynamoDb::from_conf(config.build())
}

async fn create_table(client: &DynamoDb, name: &str) {
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
    let id =
        AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build().unwrap();
    let table = client.create_table().table_name(name).key_schema(key).attribute_definitions(id);
    table.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}

fn string(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn item(id: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("id".to_owned(), string(id))])
}

fn keys(ids: &[&str]) -> KeysAndAttributes {
    let keys = ids.iter().map(|id| item(id)).collect();
    KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().unwrap()
}

fn put_request(id: &str) -> WriteRequest {
    WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item(id))).build().unwrap()).build()
}

/// The result of a call, as the SDK reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Success,
    /// An error in the operation's model, by its code.
    ModeledError(String),
    /// An error outside the operation's model, by its code; without a code, a response that cannot be parsed.
    UnmodeledError(String),
    /// The connection failed before a response arrived.
    ConnectionFailed,
}

impl Outcome {
    fn modeled_error(code: &str) -> Self {
        Self::ModeledError(code.to_owned())
    }
}

fn outcome<T, E: ProvideErrorMetadata + std::fmt::Debug>(result: Result<T, SdkError<E>>) -> Outcome {
    match result {
        Ok(_) => Outcome::Success,
        Err(SdkError::ServiceError(error)) => {
            let code = error.err().code().unwrap_or_default().to_owned();
            // `Unhandled` is the deprecated variant in which each operation's error enum reports unmodeled errors.
            let modeled = !format!("{:?}", error.err()).starts_with("Unhandled");
            if modeled { Outcome::ModeledError(code) } else { Outcome::UnmodeledError(code) }
        }
        Err(SdkError::DispatchFailure(_)) => Outcome::ConnectionFailed,
        Err(other) => panic!("{other:?}"),
    }
}
