//! The two halves of a batch: one for the engine, one handed back to the client as unprocessed.

use bytes::Bytes;
use hyper::Response;
use serde_json::{Map, Value, json};

/// Splits the request of a batch: the half to forward (the larger one, if the number of items is odd) and the items
/// withheld. `None` if nothing can be withheld.
pub(super) fn split(request: &[u8]) -> Option<(Bytes, Withheld)> {
    let mut request: Value = serde_json::from_slice(request).ok()?;
    let tables = request.get_mut("RequestItems")?.as_object_mut()?;
    let total: usize = tables.values_mut().filter_map(items_mut).map(|items| items.len()).sum();

    let mut remaining = total.div_ceil(2);
    let mut withheld = Map::new();
    for (table, entry) in tables.iter_mut() {
        let items = items_mut(entry)?;
        let tail = items.split_off(remaining.min(items.len()));
        remaining -= items.len();
        if !tail.is_empty() {
            let mut withheld_entry = entry.clone();
            *items_mut(&mut withheld_entry)? = tail;
            withheld.insert(table.clone(), withheld_entry);
        }
    }
    if withheld.is_empty() {
        return None;
    }
    tables.retain(|_, entry| items_mut(entry).is_some_and(|items| !items.is_empty()));
    Some((request.to_string().into(), Withheld(withheld)))
}

/// The keys of one table in `BatchGetItem`, which stand beside settings of the table, or its writes in `BatchWriteItem`,
/// which stand alone.
fn items_mut(entry: &mut Value) -> Option<&mut Vec<Value>> {
    match entry {
        Value::Array(items) => Some(items),
        entry => entry.get_mut("Keys")?.as_array_mut(),
    }
}

/// The items of a batch that were not forwarded to the engine, by table.
pub(super) struct Withheld(Map<String, Value>);

impl Withheld {
    /// Adds the withheld items to those that the engine's response reports as unprocessed. An error response is passed
    /// unchanged.
    pub(super) fn add_to(self, response: Response<Bytes>) -> Response<Bytes> {
        if !response.status().is_success() {
            return response;
        }
        let (mut head, body) = response.into_parts();
        match self.merge_into(&body) {
            Some(merged) => {
                // The checksum of the engine's body does not match the merged one.
                head.headers.remove("x-amz-crc32");
                Response::from_parts(head, merged)
            }
            None => Response::from_parts(head, body),
        }
    }

    fn merge_into(self, body: &[u8]) -> Option<Bytes> {
        let mut body: Value = serde_json::from_slice(body).ok()?;
        let name = if body.get("Responses").is_some() { "UnprocessedKeys" } else { "UnprocessedItems" };
        let unprocessed = body.as_object_mut()?.entry(name).or_insert_with(|| json!({})).as_object_mut()?;
        for (table, mut entry) in self.0 {
            match unprocessed.get_mut(&table) {
                Some(of_engine) => items_mut(of_engine)?.append(items_mut(&mut entry)?),
                None => {
                    unprocessed.insert(table, entry);
                }
            }
        }
        Some(body.to_string().into())
    }
}
