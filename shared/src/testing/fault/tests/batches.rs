//! Batches of which half is not processed.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use bytes::Bytes;
use hyper::Response;
use serde_json::{Value, json};

use super::super::{Fault, Operation, batch};
use super::{Bench, OTHER_TABLE, Outcome, TABLE, item, keys, outcome, put_request};

#[tokio::test]
async fn half_of_a_batch_read_is_returned_as_unprocessed_keys() {
    let bench = Bench::new().await;
    for (table, id) in [(TABLE, "a"), (TABLE, "b"), (TABLE, "c"), (OTHER_TABLE, "d"), (OTHER_TABLE, "e")] {
        bench.put_directly(table, id).await;
    }
    bench.proxy.inject(Operation::BatchGetItem, Fault::Unprocessed);

    let mut requested =
        HashMap::from([(TABLE.to_owned(), keys(&["a", "b", "c"])), (OTHER_TABLE.to_owned(), keys(&["d", "e"]))]);
    let (mut found, mut items_per_call) = (Vec::new(), Vec::new());
    while !requested.is_empty() {
        let output = bench.client.batch_get_item().set_request_items(Some(requested)).send().await.unwrap();
        let items: Vec<_> = output.responses.unwrap().into_values().flatten().collect();
        items_per_call.push(items.len());
        found.extend(items.into_iter().map(|item| item["id"].as_s().unwrap().clone()));
        requested = output.unprocessed_keys.unwrap_or_default();
        for keys in requested.values() {
            assert_eq!(keys.consistent_read, Some(true), "a table's settings stay with its keys");
        }
    }
    found.sort();
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
    assert_eq!(items_per_call, [3, 2]);
}

#[tokio::test]
async fn half_of_a_batch_write_is_returned_as_unprocessed_items() {
    let bench = Bench::new().await;
    bench.put_directly(TABLE, "old").await;
    bench.proxy.inject(Operation::BatchWriteItem, Fault::Unprocessed);

    let delete = DeleteRequest::builder().set_key(Some(item("old"))).build().unwrap();
    let writes = vec![put_request("new"), WriteRequest::builder().delete_request(delete).build()];
    let output = bench.client.batch_write_item().request_items(TABLE, writes.clone()).send().await.unwrap();
    assert_eq!(output.unprocessed_items().unwrap()[TABLE], writes[1..]);
    assert!(bench.is_stored("new").await);
    assert!(bench.is_stored("old").await);

    bench.client.batch_write_item().set_request_items(output.unprocessed_items).send().await.unwrap();
    assert!(!bench.is_stored("old").await);
}

#[tokio::test]
async fn a_batch_of_one_item_is_throttled_instead() {
    let bench = Bench::new().await;
    bench.proxy.inject(Operation::BatchGetItem, Fault::Unprocessed);
    let result = bench.client.batch_get_item().request_items(TABLE, keys(&["a"])).send().await;
    assert_eq!(outcome(result), Outcome::modeled_error("ProvisionedThroughputExceededException"));
    assert_eq!(bench.recorder.take_calls(), []);
}

#[test]
fn the_engines_own_unprocessed_keys_are_kept() {
    let request = json!({
        "RequestItems": {
            "t": {"Keys": [1, 2, 3, 4], "ConsistentRead": true},
            "u": {"Keys": [5]},
        },
    });
    let (half, withheld) = batch::split(request.to_string().as_bytes()).unwrap();
    let half: Value = serde_json::from_slice(&half).unwrap();
    assert_eq!(half, json!({"RequestItems": {"t": {"Keys": [1, 2, 3], "ConsistentRead": true}}}));

    let engine_body = json!({
        "Responses": {"t": [1]},
        "UnprocessedKeys": {"t": {"Keys": [2, 3], "ConsistentRead": true}},
    });
    let mut engine_response = Response::new(Bytes::from(engine_body.to_string()));
    engine_response.headers_mut().insert("x-amz-crc32", 1.into());
    let response = withheld.add_to(engine_response);

    assert_eq!(response.headers().get("x-amz-crc32"), None, "the checksum is that of the engine's body");
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        body,
        json!({
            "Responses": {"t": [1]},
            "UnprocessedKeys": {
                "t": {"Keys": [2, 3, 4], "ConsistentRead": true},
                "u": {"Keys": [5]},
            },
        })
    );
}
