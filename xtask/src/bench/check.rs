//! What has to hold before anything is timed: every variant responds correctly, and the floors make our database calls.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use shared::testing::fault::FaultProxy;

use super::results::{BARE_FLOOR, FLOOR, OURS};
use super::runtime_api::excerpt;
use super::testbed::{CONTACTS, Scene};
use super::variant::{Operation, Variant};

/// The database calls of a warm request: the operation of each, and its JSON without what differs from request to request.
type Calls = Vec<(String, Value)>;

/// Checks all variants of an operation, ours first. The response of ours is kept as the one of the floors.
pub(super) async fn check(scene: Scene<'_>, variants: &[&Variant], engine: &str) -> Result<()> {
    let proxy = FaultProxy::start(engine).await?;
    let scene = scene.with_database(&proxy.endpoint());
    let mut our_calls = Calls::new();
    for variant in variants {
        let operation = scene.operation;
        let calls = check_variant(&scene, variant, &proxy).await;
        let calls = calls.with_context(|| format!("{} does not {} correctly", variant.name, operation.name()))?;
        if variant.name == OURS {
            our_calls = calls;
        } else if variant.name == FLOOR || variant.name == BARE_FLOOR {
            compare(operation, &variant.name, &calls, &our_calls)?;
        }
    }
    Ok(())
}

/// Checks the response to the second request of a process, and returns its database calls. The first one fills caches.
async fn check_variant(scene: &Scene<'_>, variant: &Variant, proxy: &FaultProxy) -> Result<Calls> {
    let mut function = scene.start(variant).await?;
    let first = scene.invoke(&mut function).await?.body;
    check_response(scene.operation, scene.rows, &first)?;
    if variant.name == OURS {
        scene.keep_response(&first)?;
    }
    proxy.take_calls();
    let second = scene.invoke(&mut function).await?.body;
    check_response(scene.operation, scene.rows, &second)?;
    let mut calls = Calls::new();
    for call in proxy.take_calls() {
        let request = serde_json::from_slice(&call.request).context("a database call is not JSON")?;
        calls.push((format!("{:?}", call.operation), without_values(request)));
    }
    // Calls at once come in any order.
    calls.sort_by_cached_key(|(operation, request)| (operation.clone(), request.to_string()));
    Ok(calls)
}

/// Checks the status and the shape of a response, of a bulk upload to this many rows.
fn check_response(operation: Operation, rows: usize, response: &[u8]) -> Result<()> {
    let text = || format!("the response is {}", excerpt(response));
    let response: Value = serde_json::from_slice(response).with_context(text)?;
    let body: Value = serde_json::from_str(response["body"].as_str().unwrap_or_default()).with_context(text)?;
    let expected_status = match operation {
        Operation::Create | Operation::Bulk => 201,
        Operation::Update | Operation::Get0 | Operation::Get50 | Operation::List => 200,
    };
    ensure!(response["statusCode"] == expected_status, text());
    let len = |value: &Value| value.as_array().map(Vec::len);
    let is_correct = match operation {
        Operation::Create => body["id"].is_string() && body["email"].is_string(),
        Operation::Update => body["enrichment"]["key_4"].is_string(),
        Operation::Get0 => len(&body["activities"]) == Some(0),
        Operation::Get50 => len(&body["activities"]) == Some(50),
        Operation::List => len(&body) == Some(CONTACTS),
        Operation::Bulk => body["created"] == rows,
    };
    ensure!(is_correct, text());
    Ok(())
}

/// Checks that a floor makes our calls. A bulk upload reads before it writes, and its floor is the writes alone.
fn compare(operation: Operation, name: &str, calls: &Calls, our_calls: &Calls) -> Result<()> {
    let is_floor_call = |call: &&(String, Value)| operation != Operation::Bulk || call.0 == "TransactWriteItems";
    let expected: Vec<_> = our_calls.iter().filter(is_floor_call).collect();
    let found: Vec<_> = calls.iter().collect();
    if expected == found {
        return Ok(());
    }
    // A large upload makes a hundred calls.
    let is_different = |index: &usize| expected.get(*index) != found.get(*index);
    let index = (0..expected.len().max(found.len())).find(is_different).unwrap_or_default();
    bail!(
        "{name} does not make the database calls of {}; change xtask/bench/floor.\nThe first difference of {} and {} calls:\n\
         The function: {}\nThe floor: {}",
        operation.function(),
        expected.len(),
        found.len(),
        json!(expected.get(index)),
        json!(found.get(index)),
    );
}

/// The JSON of a call with its texts, numbers and tokens replaced by dots. Keys, types and expressions stay.
fn without_values(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let is_attribute = members.len() == 1;
            let mut shape = serde_json::Map::new();
            for (name, value) in members {
                let is_value = (is_attribute && matches!(name.as_str(), "S" | "N")) || name == "ClientRequestToken";
                let value = if is_value { json!("…") } else { without_values(value) };
                shape.insert(name, value);
            }
            Value::Object(shape)
        }
        Value::Array(values) => values.into_iter().map(without_values).collect(),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(condition: &str, email: &str) -> Calls {
        let item =
            json!({"Item": {"email": {"S": email}}, "ConditionExpression": condition, "ClientRequestToken": email});
        vec![("TransactWriteItems".to_owned(), without_values(item))]
    }

    #[test]
    fn calls_are_compared_without_their_values() {
        let ours = calls("attribute_not_exists(#c0)", "a@example.com");
        let same = calls("attribute_not_exists(#c0)", "b@example.com");
        let other = calls("attribute_exists(#c0)", "a@example.com");
        assert!(compare(Operation::Create, "floor", &same, &ours).is_ok());
        let error = compare(Operation::Create, "floor", &other, &ours).unwrap_err().to_string();
        assert!(error.contains("floor does not make the database calls of create-contact"), "{error}");
    }

    #[test]
    fn the_floor_of_a_bulk_upload_makes_no_reads() {
        let mut ours = calls("attribute_not_exists(#c0)", "a@example.com");
        let floor = ours.clone();
        ours.insert(0, ("BatchGetItem".to_owned(), json!({})));
        assert!(compare(Operation::Bulk, "floor", &floor, &ours).is_ok());
        assert!(compare(Operation::Create, "floor", &floor, &ours).is_err());
    }

    #[test]
    fn a_response_needs_its_status_and_its_content() {
        let response = |status: u16, body: Value| json!({"statusCode": status, "body": body.to_string()}).to_string();
        let check = |operation, response: String| check_response(operation, 2, response.as_bytes());
        assert!(check(Operation::Create, response(201, json!({"id": "1", "email": "a@example.com"}))).is_ok());
        assert!(check(Operation::Create, response(409, json!({"id": "1", "email": "a@example.com"}))).is_err());
        assert!(check(Operation::Get50, response(200, json!({"activities": []}))).is_err());
        assert!(check(Operation::Get0, response(200, json!({"activities": []}))).is_ok());
        assert!(check(Operation::Get0, "not JSON".to_owned()).is_err());
        assert!(check(Operation::Bulk, response(201, json!({"created": 2}))).is_ok());
        assert!(check(Operation::Bulk, response(201, json!({"created": 1}))).is_err());
    }
}
