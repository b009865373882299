//! The SDK floor: a function's database calls through `lambda_runtime` and `aws-sdk-dynamodb`.

use std::collections::HashMap;
use std::env;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem,
};
use bench_floor::{
    CONTACT_TEXTS, CallValues, LIST_LIMIT, LOCK_SK, MAX_BYTES_BEFORE_UPDATE, MAX_CONCURRENT_CALLS, METADATA,
    METADATA_BYTES, Operation, RANGE_CONDITION, ROWS_PER_TRANSACTION, TIMELINE_LIMIT, Task, UPDATE_CONDITION,
    UPDATE_EXPRESSION, UPDATE_GROWTH, UPDATE_NAMES, UPDATED_KEYS, variable,
};
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;

type Item = HashMap<String, AttributeValue>;

/// The client and what it is asked for.
struct Floor {
    client: Client,
    task: Task,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let floor: &'static Floor = Box::leak(Box::new(Floor { client: client()?, task: Task::from_env()? }));
    floor.connect().await;
    let service = service_fn(move |_: LambdaEvent<IgnoredAny>| async move {
        floor.perform().await?;
        Ok::<_, Error>(&*floor.task.response)
    });
    Box::pin(lambda_runtime::run_concurrent(service)).await
}

/// The client of the functions: see `shared/src/aws` and `Table`.
fn client() -> Result<Client, Error> {
    let token = env::var("AWS_SESSION_TOKEN").ok();
    let (key, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(variable("AWS_REGION")?))
        .credentials_provider(Credentials::new(key, secret, token, None, "environment"))
        .http_client(shared::http_client())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .endpoint_url(variable("AWS_ENDPOINT_URL_DYNAMODB")?);
    Ok(Client::from_conf(config.build()))
}

impl Floor {
    /// Opens the connections as the functions do: at once, because a call takes a connection that is free before it opens
    /// another.
    async fn connect(&self) {
        join_all((0..self.task.operation.connections()).map(|_| self.read_unused_key())).await;
    }

    async fn read_unused_key(&self) {
        let get = self.client.get_item().table_name(&self.task.table).set_key(Some(key("KEY#unused", "KEY")));
        // A failure shows at the first request.
        let _ = get.consistent_read(true).return_consumed_capacity(ReturnConsumedCapacity::Total).send().await;
    }

    async fn perform(&self) -> Result<(), Error> {
        match self.task.operation {
            Operation::Create => self.create(1).await,
            Operation::Update => self.update().await,
            Operation::Get => self.get().await,
            Operation::List => self.list().await,
            Operation::Bulk => self.bulk().await,
        }
    }

    /// Creates contacts in one transaction.
    async fn create(&self, rows: usize) -> Result<(), Error> {
        let mut write = self.client.transact_write_items();
        for _ in 0..rows {
            let values = self.task.next_values();
            write = write.transact_items(self.put_new(self.contact_item(&values))?);
            write = write.transact_items(self.put_new(lock_item(&values))?);
            write = write.client_request_token(values.request_token);
        }
        write.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await?;
        Ok(())
    }

    async fn bulk(&self) -> Result<(), Error> {
        let mut transactions = Vec::new();
        let mut rows = self.task.rows;
        while rows > 0 {
            let size = rows.min(ROWS_PER_TRANSACTION);
            transactions.push(self.create(size));
            rows -= size;
        }
        stream::iter(transactions).buffer_unordered(MAX_CONCURRENT_CALLS).try_collect().await
    }

    async fn update(&self) -> Result<(), Error> {
        let values = self.task.next_values();
        let contact = self.task.contact(&values);
        let mut attributes = Item::new();
        for index in 0..UPDATED_KEYS {
            attributes.insert(format!(":u{index}"), text(values.updated_value(index)));
        }
        attributes.insert(":u5".to_owned(), number(UPDATE_GROWTH));
        attributes.insert(":u6".to_owned(), number("1"));
        attributes.insert(":u7".to_owned(), text(&values.now));
        attributes.insert(":c0".to_owned(), number(MAX_BYTES_BEFORE_UPDATE));
        attributes.insert(":c1".to_owned(), text(&values.now));
        let update = self
            .client
            .update_item()
            .table_name(&self.task.table)
            .set_key(Some(key(self.task.org_pk(), format!("CONTACT#{contact}"))))
            .update_expression(UPDATE_EXPRESSION)
            .condition_expression(UPDATE_CONDITION)
            .set_expression_attribute_names(Some(names(&UPDATE_NAMES)))
            .set_expression_attribute_values(Some(attributes))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        update.send().await?;
        Ok(())
    }

    async fn get(&self) -> Result<(), Error> {
        let values = self.task.next_values();
        let contact = self.task.contact(&values);
        let keys = KeysAndAttributes::builder()
            .keys(key(self.task.org_pk(), format!("CONTACT#{contact}")))
            .keys(key(self.task.org_pk(), "ACTIVE_CAMPAIGNS"))
            .consistent_read(true)
            .build()?;
        let items = self
            .client
            .batch_get_item()
            .request_items(&self.task.table, keys)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let pk = format!("{}#CONTACT#{contact}", self.task.org_pk());
        let activities =
            self.query(&pk, "ACTIVITY#", "ACTIVITY$").scan_index_forward(true).limit(TIMELINE_LIMIT.into());
        tokio::try_join!(async { items.send().await.map_err(Error::from) }, async {
            activities.send().await.map_err(Error::from)
        })?;
        Ok(())
    }

    async fn list(&self) -> Result<(), Error> {
        let pk = self.task.org_pk();
        self.query(&pk, "CONTACT#", "CONTACT$").scan_index_forward(false).limit(LIST_LIMIT.into()).send().await?;
        Ok(())
    }

    fn query(&self, pk: &str, first: &str, last: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.task.table)
            .key_condition_expression(RANGE_CONDITION)
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_names("#sk", "sk")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":first", text(first))
            .expression_attribute_values(":last", text(last))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    fn contact_item(&self, values: &CallValues) -> Item {
        let mut item = key(self.task.org_pk(), format!("CONTACT#{}", values.id));
        for (name, value) in CONTACT_TEXTS {
            item.insert(name.to_owned(), text(value));
        }
        item.insert("email".to_owned(), text(&values.email));
        item.insert("created_at".to_owned(), text(&values.now));
        item.insert("updated_at".to_owned(), text(&values.now));
        item.insert("version".to_owned(), number("1"));
        item.insert("growing_bytes".to_owned(), number(METADATA_BYTES));
        let (mut order, mut enrichment) = (Vec::new(), Item::new());
        for (name, value) in METADATA {
            order.push(text(name));
            enrichment.insert(name.to_owned(), text(value));
        }
        item.insert("enrichment_order".to_owned(), AttributeValue::L(order));
        item.insert("enrichment".to_owned(), AttributeValue::M(enrichment));
        item
    }

    fn put_new(&self, item: Item) -> Result<TransactWriteItem, Error> {
        let put = Put::builder()
            .table_name(&self.task.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#c0)")
            .expression_attribute_names("#c0", "pk");
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }
}

fn lock_item(values: &CallValues) -> Item {
    let mut item = key(&values.lock_pk, LOCK_SK);
    item.insert("type".to_owned(), text("email_lock"));
    item.insert("contact_id".to_owned(), text(&values.id));
    item
}

fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

fn names(names: &[(&str, &str)]) -> HashMap<String, String> {
    names.iter().map(|(placeholder, name)| ((*placeholder).to_owned(), (*name).to_owned())).collect()
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: &str) -> AttributeValue {
    AttributeValue::N(value.to_owned())
}
