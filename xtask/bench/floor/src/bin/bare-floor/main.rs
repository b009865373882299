//! The bare floor: a function's database calls through `lambda_runtime` and a client that signs and sends them by hand.
//!
//! A client for a measurement: it has neither retries nor time limits, and as many connections as the operation has calls at
//! once. The items of responses are parsed into maps of attributes.

mod client;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;

use bench_floor::{
    CONTACT_TEXTS, CallValues, LIST_LIMIT, LOCK_SK, MAX_BYTES_BEFORE_UPDATE, METADATA, METADATA_BYTES, Operation,
    RANGE_CONDITION, TIMELINE_LIMIT, Task, UPDATE_CONDITION, UPDATE_EXPRESSION, UPDATE_GROWTH, UPDATE_NAMES,
    UPDATED_KEYS,
};
use client::Client;
use futures_util::future::try_join_all;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The attributes of an item.
type Item = HashMap<String, AttributeValue>;

/// A value of the table's items.
#[derive(Deserialize)]
#[expect(dead_code, reason = "a client would return the values")]
enum AttributeValue {
    S(String),
    N(String),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(rename = "NULL")]
    Null(bool),
    L(Vec<AttributeValue>),
    M(HashMap<String, AttributeValue>),
    #[serde(rename = "SS")]
    StringSet(Vec<String>),
}

/// The items in the response to any call.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(dead_code, reason = "a client would return the items")]
struct Output {
    #[serde(default)]
    items: Vec<Item>,
    #[serde(default)]
    responses: HashMap<String, Vec<Item>>,
    #[serde(default)]
    attributes: Item,
    last_evaluated_key: Option<Item>,
}

/// The client and what it is asked for.
struct Floor {
    client: Client,
    task: Task,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let task = Task::from_env()?;
    let connections = task.operation.connections();
    let client = Client::connect(connections).await?;
    let floor: &'static Floor = Box::leak(Box::new(Floor { client, task }));
    // What the functions read before their first event.
    let unused = format!(
        r#"{{"TableName":"{}","Key":{},"ConsistentRead":true,"ReturnConsumedCapacity":"TOTAL"}}"#,
        floor.task.table,
        key("KEY#unused", "KEY")
    );
    try_join_all((0..connections).map(|connection| floor.client.call(connection, "GetItem", unused.clone()))).await?;
    let service = service_fn(move |_: LambdaEvent<IgnoredAny>| async move {
        floor.perform().await?;
        Ok::<_, Error>(&*floor.task.response)
    });
    Box::pin(lambda_runtime::run_concurrent(service)).await
}

impl Floor {
    async fn perform(&self) -> Result<(), Error> {
        match self.task.operation {
            Operation::Create => self.create().await,
            Operation::Update => self.update().await,
            Operation::Get => self.get().await,
            Operation::List => self.list().await,
            Operation::Bulk => Err("the bare floor has no bulk upload".into()),
        }
    }

    async fn create(&self) -> Result<(), Error> {
        let values = self.task.next_values();
        let (contact, lock) = (self.put_new(&self.contact_item(&values)), self.put_new(&lock_item(&values)));
        let token = &values.request_token;
        let body = format!(
            r#"{{"TransactItems":[{contact},{lock}],"ReturnConsumedCapacity":"TOTAL","ClientRequestToken":"{token}"}}"#
        );
        self.call(0, "TransactWriteItems", body).await
    }

    async fn update(&self) -> Result<(), Error> {
        let values = self.task.next_values();
        let (table, now) = (&self.task.table, &values.now);
        let key = key(&self.task.org_pk(), &format!("CONTACT#{}", self.task.contact(&values)));
        let mut names = Vec::new();
        for (placeholder, name) in UPDATE_NAMES {
            names.push(format!(r#""{placeholder}":"{name}""#));
        }
        let mut attributes = String::new();
        for index in 0..UPDATED_KEYS {
            write!(attributes, r#"":u{index}":{{"S":"{}"}},"#, values.updated_value(index))?;
        }
        let names = names.join(",");
        let body = format!(
            r#"{{"TableName":"{table}","Key":{key},"ReturnValues":"ALL_NEW","ReturnConsumedCapacity":"TOTAL","#
        ) + &format!(
            r#""UpdateExpression":"{UPDATE_EXPRESSION}","ConditionExpression":"{UPDATE_CONDITION}","#
        ) + &format!(
            r#""ExpressionAttributeNames":{{{names}}},"ExpressionAttributeValues":{{{attributes}":u5":{{"N":"{UPDATE_GROWTH}"}},"#
        ) + &format!(
            r#"":u6":{{"N":"1"}},":u7":{{"S":"{now}"}},":c0":{{"N":"{MAX_BYTES_BEFORE_UPDATE}"}},":c1":{{"S":"{now}"}}}},"#
        ) + r#""ReturnValuesOnConditionCheckFailure":"ALL_OLD"}"#;
        self.call(0, "UpdateItem", body).await
    }

    async fn get(&self) -> Result<(), Error> {
        let values = self.task.next_values();
        let contact = self.task.contact(&values);
        let (table, pk) = (&self.task.table, self.task.org_pk());
        let (contact_key, campaigns_key) = (key(&pk, &format!("CONTACT#{contact}")), key(&pk, "ACTIVE_CAMPAIGNS"));
        let keys = format!(r#"{{"Keys":[{contact_key},{campaigns_key}],"ConsistentRead":true}}"#);
        let batch = format!(r#"{{"RequestItems":{{"{table}":{keys}}},"ReturnConsumedCapacity":"TOTAL"}}"#);
        let activities_pk = format!("{pk}#CONTACT#{contact}");
        let query = self.query(&activities_pk, "ACTIVITY#", "ACTIVITY$", true, TIMELINE_LIMIT);
        tokio::try_join!(self.call(0, "BatchGetItem", batch), self.call(1, "Query", query))?;
        Ok(())
    }

    async fn list(&self) -> Result<(), Error> {
        let query = self.query(&self.task.org_pk(), "CONTACT#", "CONTACT$", false, LIST_LIMIT);
        self.call(0, "Query", query).await
    }

    /// Makes a call and parses its response.
    async fn call(&self, connection: usize, operation: &str, body: String) -> Result<(), Error> {
        let response = self.client.call(connection, operation, body).await?;
        let output: Output = serde_json::from_slice(&response)?;
        black_box(output);
        Ok(())
    }

    fn query(&self, pk: &str, first: &str, last: &str, forward: bool, limit: u16) -> String {
        let table = &self.task.table;
        let values = format!(r#"":pk":{{"S":"{pk}"}},":first":{{"S":"{first}"}},":last":{{"S":"{last}"}}"#);
        format!(r#"{{"TableName":"{table}","Limit":{limit},"ConsistentRead":true,"ScanIndexForward":{forward},"#)
            + &format!(r#""ReturnConsumedCapacity":"TOTAL","KeyConditionExpression":"{RANGE_CONDITION}","#)
            + &format!(
                r##""ExpressionAttributeNames":{{"#pk":"pk","#sk":"sk"}},"ExpressionAttributeValues":{{{values}}}}}"##
            )
    }

    fn put_new(&self, item: &str) -> String {
        let table = &self.task.table;
        format!(r#"{{"Put":{{"Item":{item},"TableName":"{table}","ConditionExpression":"attribute_not_exists(#c0)","#)
            + r##""ExpressionAttributeNames":{"#c0":"pk"}}}"##
    }

    fn contact_item(&self, values: &CallValues) -> String {
        let CallValues { id, email, now, .. } = values;
        let (mut texts, mut order, mut metadata) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in CONTACT_TEXTS {
            texts.push(format!(r#""{name}":{{"S":"{value}"}}"#));
        }
        for (name, value) in METADATA {
            order.push(format!(r#"{{"S":"{name}"}}"#));
            metadata.push(format!(r#""{name}":{{"S":"{value}"}}"#));
        }
        let (texts, order, metadata) = (texts.join(","), order.join(","), metadata.join(","));
        let pk = self.task.org_pk();
        format!(
            r#"{{"pk":{{"S":"{pk}"}},"sk":{{"S":"CONTACT#{id}"}},"email":{{"S":"{email}"}},{texts},"version":{{"N":"1"}},"#
        ) + &format!(
            r#""created_at":{{"S":"{now}"}},"updated_at":{{"S":"{now}"}},"growing_bytes":{{"N":"{METADATA_BYTES}"}},"#
        ) + &format!(r#""enrichment_order":{{"L":[{order}]}},"enrichment":{{"M":{{{metadata}}}}}}}"#)
    }
}

fn lock_item(values: &CallValues) -> String {
    let CallValues { lock_pk, id, .. } = values;
    format!(
        r#"{{"pk":{{"S":"{lock_pk}"}},"sk":{{"S":"{LOCK_SK}"}},"type":{{"S":"email_lock"}},"contact_id":{{"S":"{id}"}}}}"#
    )
}

fn key(pk: &str, sk: &str) -> String {
    format!(r#"{{"pk":{{"S":"{pk}"}},"sk":{{"S":"{sk}"}}}}"#)
}
