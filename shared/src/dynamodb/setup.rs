//! Creation and inspection of a table on a local engine, for tests and `cargo dev`.
//!
//! The table is created from the definitions in `schema`. The deployed table is created by the template, which a contract
//! test compares with them.

use std::time::Duration;

use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{PutRequest, StreamSpecification, WriteRequest};
use tokio::time::Instant;

use super::error::error_chain;
use super::item::{ItemJson, expect_built};
use super::keys::Key;
use super::{CapacityMeter, Conditional, Table, schema};

impl Table {
    /// Creates the table unless it exists; `true` if it was created.
    ///
    /// A table without a worker needs no `stream`, which slows down every write on both local engines.
    ///
    /// # Errors
    /// The engine's error as text.
    pub async fn create_if_missing(&self, stream: Option<StreamSpecification>) -> Result<bool, String> {
        let create = self
            .client
            .create_table()
            .table_name(&*self.name)
            .set_attribute_definitions(Some(schema::attribute_definitions()))
            .set_key_schema(Some(schema::key_schema()))
            .set_global_secondary_indexes(Some(schema::indexes()))
            .billing_mode(schema::billing_mode())
            .set_stream_specification(stream);
        match create.send().await {
            Ok(_) => self.wait_until_active().await?,
            Err(error) if error.code() == Some("ResourceInUseException") => {
                return self.wait_until_active().await.map(|()| false);
            }
            Err(error) => return Err(error_chain(&error)),
        }
        let time_to_live = self
            .client
            .update_time_to_live()
            .table_name(&*self.name)
            .time_to_live_specification(schema::time_to_live());
        time_to_live.send().await.map_err(|error| error_chain(&error))?;
        Ok(true)
    }

    /// Waits until the table is active, which takes DynamoDB some seconds.
    async fn wait_until_active(&self) -> Result<(), String> {
        const TIMEOUT: Duration = Duration::from_mins(2);
        let active = self.client.wait_until_table_exists().table_name(&*self.name).wait(TIMEOUT).await;
        active.map(drop).map_err(|error| error_chain(&error))
    }

    /// Stores any item, given in DynamoDB's JSON.
    ///
    /// # Errors
    /// The database's error as text, or the reason why the JSON is not an item.
    pub async fn put_item(&self, item: serde_json::Value) -> Result<(), String> {
        let item = ItemJson::from_json(&item).ok_or("the item is no JSON object")?;
        self.put(&item).await.map_err(|error| error.to_string())
    }

    /// Writes an item, replacing the stored one.
    pub(crate) async fn put(&self, item: &ItemJson) -> super::Result<()> {
        let client = self.client(Instant::now() + Duration::from_secs(25), CapacityMeter::default());
        let mut transaction = client.transaction();
        transaction.put((), item);
        // A put without a condition cannot be refused.
        match client.commit(transaction).await? {
            Conditional::Applied(()) | Conditional::Refused(_) => Ok(()),
        }
    }

    /// Deletes an item if it exists.
    ///
    /// # Errors
    /// The database's error as text.
    pub async fn delete_item(&self, key: &Key) -> Result<(), String> {
        let client = self.client(Instant::now() + Duration::from_secs(25), CapacityMeter::default());
        client.batch_delete(std::slice::from_ref(key)).await.map_err(|error| error.to_string())
    }

    /// Stores many items, given in DynamoDB's JSON.
    ///
    /// # Errors
    /// The engine's error as text, or the reason why the JSON is not an item.
    pub async fn put_items(&self, items: Vec<serde_json::Value>) -> Result<(), String> {
        const MAX_ITEMS_PER_CALL: usize = 25;
        for chunk in items.chunks(MAX_ITEMS_PER_CALL) {
            let mut writes = Vec::with_capacity(chunk.len());
            for item in chunk {
                let item: serde_dynamo::Item =
                    serde_json::from_value(item.clone()).map_err(|error| error.to_string())?;
                let put = expect_built(PutRequest::builder().set_item(Some(item.into())).build());
                writes.push(WriteRequest::builder().put_request(put).build());
            }
            let write = self.client.batch_write_item().request_items(&*self.name, writes);
            let output = write.send().await.map_err(|error| error_chain(&error))?;
            if output.unprocessed_items.is_some_and(|unprocessed| !unprocessed.is_empty()) {
                return Err("the engine left items unprocessed".to_owned());
            }
        }
        Ok(())
    }

    /// Every item of the table as JSON text, for tests that count and search items.
    ///
    /// # Errors
    /// The engine's error as text.
    pub async fn dump(&self) -> Result<Vec<String>, String> {
        let mut items = Vec::new();
        let mut pages =
            self.client.scan().table_name(&*self.name).consistent_read(true).into_paginator().items().send();
        while let Some(item) = pages.next().await {
            let item: serde_json::Value =
                serde_dynamo::aws_sdk_dynamodb_1::from_item(item.map_err(|error| error_chain(&error))?)
                    .map_err(|error| error.to_string())?;
            items.push(item.to_string());
        }
        Ok(items)
    }
}
