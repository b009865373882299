//! The bodies of responses. Each item in one becomes a row at once (see `dynamodb::exchange`).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::HashMap;

use crate::dynamodb::StoredItem;
use crate::dynamodb::capacity::CapacityBody;
use crate::dynamodb::error::{self, Error};
use crate::dynamodb::item::{Item, string};
use crate::dynamodb::keys::Key;

/// A value that a read makes of each item.
pub(crate) trait StoredRow: Send + 'static {
    /// The row of an item, which may be of another type than expected, or not readable.
    fn from_item(item: &StoredItem<'_>) -> Self;
}

/// For a caller that looks at attributes. It must not write the item back, because binary values and number sets have lost their
/// content.
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
    #[serde(default = "Vec::new", deserialize_with = "null_as_default")]
    pub(super) items: Vec<Row<R>>,
    /// In every response, so that a body without it, such as one of an intermediary, is no empty page.
    pub(super) count: u64,
    last_evaluated_key: Option<Row<Item>>,
    pub(super) consumed_capacity: Option<CapacityBody>,
}

/// The body of a response to a `BatchGetItem`. Items and keys are by table.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound = "R: StoredRow")]
pub(super) struct BatchGetBody<R> {
    /// In every response, as the count is in that of a Query.
    pub(super) responses: HashMap<String, Vec<Row<R>>>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) unprocessed_keys: HashMap<String, UnprocessedKeys>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) consumed_capacity: Vec<CapacityBody>,
}

/// The body of a response to an `UpdateItem` that returns the item as it is afterwards: the write is applied, so a body without
/// the item must not be taken for a failed call.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound = "R: StoredRow")]
pub(super) struct UpdateBody<R> {
    #[serde(default = "Row::of_no_item")]
    pub(super) attributes: Row<R>,
    pub(super) consumed_capacity: Option<CapacityBody>,
}

/// The body of a response to a `GetItem`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound = "R: StoredRow")]
pub(super) struct GetBody<R> {
    pub(super) item: Option<Row<R>>,
    pub(super) consumed_capacity: Option<CapacityBody>,
}

/// The body of a response to a write that returns no item. The SDK takes one without any body for success.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WriteBody {
    pub(super) consumed_capacity: Option<CapacityBody>,
}

/// The body of a response to a `BatchWriteItem`. Writes are by table.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchWriteBody {
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) unprocessed_items: HashMap<String, Vec<UnprocessedWrite>>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) consumed_capacity: Vec<CapacityBody>,
}

/// A write that a call has left for the next one. All of them are deletions.
#[derive(Deserialize)]
pub(super) enum UnprocessedWrite {
    DeleteRequest {
        #[serde(rename = "Key")]
        key: Key,
    },
}

/// The body of a response to a Scan.
#[cfg(feature = "operator")]
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ScanBody {
    pub(super) items: Vec<Row<Item>>,
    pub(super) last_evaluated_key: Option<Key>,
    pub(super) consumed_capacity: Option<CapacityBody>,
}

/// The keys that a call has left for the next one.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UnprocessedKeys {
    pub(super) keys: Vec<Key>,
}

/// A row in a body.
pub(super) struct Row<R>(pub(super) R);

impl<R: StoredRow> Row<R> {
    /// The row of an item without attributes.
    fn of_no_item() -> Self {
        Self(R::from_item(&StoredItem::default()))
    }
}

impl<'de, R: StoredRow> Deserialize<'de> for Row<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StoredItem::deserialize(deserializer).map(|item| Self(R::from_item(&item)))
    }
}

impl<R> QueryBody<R> {
    /// The sort key after which the range may hold more, by the name of its attribute; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Unexpected`] for a key without that attribute: a list must not end there as if it were complete.
    pub(super) fn last_evaluated_sk(&self, attribute: &str) -> error::Result<Option<String>> {
        let Some(Row(key)) = &self.last_evaluated_key else { return Ok(None) };
        match string(key, attribute) {
            Some(sort_key) => Ok(Some(sort_key)),
            None => Err(Error::Unexpected("a Query ended at a key without a sort key".to_owned())),
        }
    }
}

/// Deserializes a key from its two attributes.
impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StoredItem::deserialize(deserializer)?.key().ok_or_else(|| D::Error::custom("a key without its attributes"))
    }
}

/// Reads a member that is `null` like one that is absent.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The rows without their wrappers.
pub(super) fn into_rows<R>(rows: Vec<Row<R>>) -> Vec<R> {
    rows.into_iter().map(|Row(row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_null_members_of_a_body_are_empty() {
        for body in
            [r#"{"Count": 0}"#, r#"{"Count": 0, "Items": null, "LastEvaluatedKey": null, "ConsumedCapacity": null}"#]
        {
            let body: QueryBody<()> = serde_json::from_str(body).unwrap();
            assert!(body.items.is_empty() && body.consumed_capacity.is_none());
            assert_eq!(body.last_evaluated_sk("sk"), Ok(None));
        }
        for body in [r#"{"Responses": {}}"#, r#"{"Responses": {}, "UnprocessedKeys": null, "ConsumedCapacity": null}"#]
        {
            let body: BatchGetBody<()> = serde_json::from_str(body).unwrap();
            assert!(body.responses.is_empty() && body.unprocessed_keys.is_empty() && body.consumed_capacity.is_empty());
        }
    }

    #[test]
    fn a_page_that_ends_at_a_key_without_a_sort_key_is_an_error() {
        for key in ["{}", r#"{"pk": {"S": "a"}}"#, r#"{"sk": {"N": "1"}}"#] {
            let body = format!(r#"{{"Count": 0, "LastEvaluatedKey": {key}}}"#);
            let body: QueryBody<()> = serde_json::from_str(&body).unwrap();
            assert!(body.last_evaluated_sk("sk").is_err(), "{key}");
        }
    }

    #[test]
    fn an_update_without_the_item_has_an_item_without_attributes() {
        let body: UpdateBody<Item> = serde_json::from_str("{}").unwrap();
        assert_eq!(body.attributes.0, Item::new());
    }

    #[test]
    fn a_body_of_another_form_is_an_error() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"__type": "InternalServerError"}"#,
            r#"{"Count": 1, "Items": [{"a": 1}]}"#,
            r#"{"Count": 1, "Items": [{"a": {"S": "x"}}"#,
        ] {
            assert!(serde_json::from_str::<QueryBody<()>>(body).is_err(), "{body}");
            assert!(serde_json::from_str::<BatchGetBody<()>>(body).is_err(), "{body}");
        }
        assert!(serde_json::from_str::<GetBody<()>>("").is_err());
        assert!(serde_json::from_str::<WriteBody>("").is_err());
        assert!(serde_json::from_str::<BatchWriteBody>("").is_err());
    }
}
