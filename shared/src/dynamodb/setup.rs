//! Making the table on a local engine, from the same `keys` that every item goes by. The deployed table is the
//! template's, which a test holds to `keys`.

use std::time::Duration;

use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{PutRequest, StreamSpecification, WriteRequest};
use tokio::time::Instant;

use super::error::error_chain;
use super::item::Item;
use super::transaction::Transaction;
use super::{CapacityMeter, Table, keys};

impl Table {
    /// Makes the table unless it is there, with the stream that its worker reads, or with none where nobody does: both
    /// local engines read a stream's records with every write. `true` where it was made.
    ///
    /// # Errors
    /// A description of what the engine said.
    pub async fn create_if_missing(&self, stream: Option<StreamSpecification>) -> Result<bool, String> {
        let create = self
            .client
            .create_table()
            .table_name(&*self.name)
            .set_attribute_definitions(Some(keys::attribute_definitions()))
            .set_key_schema(Some(keys::key_schema()))
            .set_global_secondary_indexes(Some(keys::indexes()))
            .billing_mode(keys::billing_mode())
            .set_stream_specification(stream);
        match create.send().await {
            Ok(_) => self.until_active().await?,
            Err(error) if error.code() == Some("ResourceInUseException") => {
                return self.until_active().await.map(|()| false);
            }
            Err(error) => return Err(error_chain(&error)),
        }
        let forget =
            self.client.update_time_to_live().table_name(&*self.name).time_to_live_specification(keys::time_to_live());
        forget.send().await.map_err(|error| error_chain(&error))?;
        Ok(true)
    }

    /// Waits until the table can be used: DynamoDB takes some seconds to make one.
    async fn until_active(&self) -> Result<(), String> {
        const LONGEST: Duration = Duration::from_mins(2);
        let active = self.client.wait_until_table_exists().table_name(&*self.name).wait(LONGEST).await;
        active.map(drop).map_err(|error| error_chain(&error))
    }

    /// Stores any item, in DynamoDB's JSON: what tests say others have written.
    ///
    /// # Errors
    /// The database's, or what in the text is no item.
    pub async fn put_item(&self, item: serde_json::Value) -> Result<(), String> {
        let item: serde_dynamo::Item = serde_json::from_value(item).map_err(|error| error.to_string())?;
        self.put(item.into()).await.map_err(|error| error.to_string())
    }

    /// Writes an item over whatever lies there.
    pub(crate) async fn put(&self, item: Item) -> super::Result<()> {
        let client = self.client(Instant::now() + Duration::from_secs(25), CapacityMeter::default());
        let mut transaction = Transaction::new(client.table_name());
        transaction.put((), item);
        client.commit(transaction).await.map(drop)
    }

    /// Stores many items, in DynamoDB's JSON.
    ///
    /// # Errors
    /// A description of what the engine said, or what in the text is no item.
    pub async fn put_items(&self, items: Vec<serde_json::Value>) -> Result<(), String> {
        const ITEMS_A_CALL: usize = 25;
        for chunk in items.chunks(ITEMS_A_CALL) {
            let write = |item: &serde_json::Value| {
                let item: serde_dynamo::Item =
                    serde_json::from_value(item.clone()).map_err(|error| error.to_string())?;
                let put =
                    PutRequest::builder().set_item(Some(item.into())).build().map_err(|error| error_chain(&error))?;
                Ok::<_, String>(WriteRequest::builder().put_request(put).build())
            };
            let writes = chunk.iter().map(write).collect::<Result<Vec<_>, _>>()?;
            let write = self.client.batch_write_item().request_items(&*self.name, writes);
            let left = write.send().await.map_err(|error| error_chain(&error))?.unprocessed_items;
            if left.is_some_and(|left| !left.is_empty()) {
                return Err("the engine left items unprocessed".to_owned());
            }
        }
        Ok(())
    }

    /// Every item of the table, each as text. For tests, which count and search them.
    ///
    /// # Errors
    /// A description of what the engine said.
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
