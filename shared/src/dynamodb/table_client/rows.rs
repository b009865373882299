//! The bodies of responses with many items, each of which becomes a row at once (see `dynamodb::read_response`).

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_smithy_runtime_api::client::interceptors::context::Output;
use serde::{Deserialize, Deserializer};

use crate::dynamodb::StoredItem;
use crate::dynamodb::capacity::CapacityBody;
use crate::dynamodb::item::Item;
use crate::dynamodb::keys::Key;
use crate::dynamodb::read_response::ResponseBody;

/// What a read makes of an item.
pub(crate) trait StoredRow: Send + 'static {
    /// The row of an item, which may be of another type than expected, or not readable.
    fn from_item(item: &StoredItem<'_>) -> Self;
}

impl StoredRow for Item {
    fn from_item(item: &StoredItem<'_>) -> Self {
        item.to_item()
    }
}

/// For a caller that needs no row.
impl StoredRow for () {
    fn from_item(_: &StoredItem<'_>) {}
}

/// The key of an item; `None` for one without its key attributes.
impl StoredRow for Option<Key> {
    fn from_item(item: &StoredItem<'_>) -> Self {
        item.key()
    }
}

/// The body of a response to a Query.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound = "R: StoredRow")]
pub(super) struct QueryBody<R> {
    #[serde(default = "Vec::new")]
    pub(super) items: Vec<Row<R>>,
    #[serde(default)]
    pub(super) count: u64,
    pub(super) last_evaluated_key: Option<Row<Item>>,
    pub(super) consumed_capacity: Option<CapacityBody>,
}

/// The body of a response to a `BatchGetItem`. Items and keys are by table.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound = "R: StoredRow")]
pub(super) struct BatchGetBody<R> {
    #[serde(default = "HashMap::new")]
    pub(super) responses: HashMap<String, Vec<Row<R>>>,
    #[serde(default)]
    pub(super) unprocessed_keys: HashMap<String, UnprocessedKeys>,
    #[serde(default)]
    pub(super) consumed_capacity: Vec<CapacityBody>,
}

/// The body of a response to an `UpdateItem` that returns the item as it is afterwards.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound = "R: StoredRow")]
pub(super) struct UpdateBody<R> {
    pub(super) attributes: Row<R>,
    pub(super) consumed_capacity: Option<CapacityBody>,
}

/// The keys that a call has left for the next one.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UnprocessedKeys {
    pub(super) keys: Vec<Row<Item>>,
}

/// A row in a body.
pub(super) struct Row<R>(pub(super) R);

impl<'de, R: StoredRow> Deserialize<'de> for Row<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StoredItem::deserialize(deserializer).map(|item| Self(R::from_item(&item)))
    }
}

impl<R: StoredRow> ResponseBody for QueryBody<R> {
    fn empty_output() -> Output {
        Output::erase(QueryOutput::builder().build())
    }
}

impl<R: StoredRow> ResponseBody for BatchGetBody<R> {
    fn empty_output() -> Output {
        Output::erase(BatchGetItemOutput::builder().build())
    }
}

impl<R: StoredRow> ResponseBody for UpdateBody<R> {
    fn empty_output() -> Output {
        Output::erase(UpdateItemOutput::builder().build())
    }
}

/// The rows without their wrappers.
pub(super) fn unwrap<R>(rows: Vec<Row<R>>) -> Vec<R> {
    rows.into_iter().map(|Row(row)| row).collect()
}
