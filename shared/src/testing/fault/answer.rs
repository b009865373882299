//! The answers of the service that the engines never give, in its own wire shape.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

/// An answer, read to its end.
pub(super) type FaultResponse = Response<Bytes>;

/// Stands where the service's request id does, and tells a reader of logs that the error was made here.
const REQUEST_ID: &str = "FAULTPROXY000000000000000000000000000000000000000000";

const OVER_PROVISIONED: &str = "The level of configured provisioned throughput for the table was exceeded. Consider \
    increasing your provisioning level with the UpdateTable API.";
const OVER_CAPACITY: &str = "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically \
    scaling your table or index so please try again shortly. If exceptions persist, check if you have a hot key: \
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html";
const CONFLICT: &str = "Transaction is ongoing for the item";

/// The errors by which DynamoDB refuses a call for its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttling {
    /// `ProvisionedThroughputExceededException`: a provisioned table's capacity, or one partition's.
    ProvisionedThroughputExceeded,
    /// `RequestLimitExceeded`: the account's throughput.
    RequestLimitExceeded,
    /// `ThrottlingException`: an on-demand table that is still scaling.
    Throttling,
}

impl Throttling {
    pub(super) const ALL: &[Self] =
        &[Self::ProvisionedThroughputExceeded, Self::RequestLimitExceeded, Self::Throttling];
}

/// Why one item cancelled a transaction, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The item would have been read or written.
    None,
    /// Its condition failed. The old item is not told, as if the request had not asked for it.
    ConditionalCheckFailed,
    /// Another transaction or write has the item.
    TransactionConflict,
    /// An on-demand table that is still scaling.
    ThrottlingError,
    /// A provisioned table's capacity, or one partition's.
    ProvisionedThroughputExceeded,
}

impl Reason {
    /// The reasons that end by themselves.
    pub(super) const TRANSIENT: &[Self] =
        &[Self::TransactionConflict, Self::ThrottlingError, Self::ProvisionedThroughputExceeded];

    fn code(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::ConditionalCheckFailed => "ConditionalCheckFailed",
            Self::TransactionConflict => "TransactionConflict",
            Self::ThrottlingError => "ThrottlingError",
            Self::ProvisionedThroughputExceeded => "ProvisionedThroughputExceeded",
        }
    }

    fn json(self) -> Value {
        let message = match self {
            Self::None => return json!({ "Code": self.code() }),
            Self::ConditionalCheckFailed => "The conditional request failed",
            Self::TransactionConflict => CONFLICT,
            Self::ThrottlingError => OVER_CAPACITY,
            Self::ProvisionedThroughputExceeded => OVER_PROVISIONED,
        };
        json!({ "Code": self.code(), "Message": message })
    }
}

pub(super) fn unavailable() -> FaultResponse {
    let body = json!({ "__type": error_type("InternalServerError"), "message": "Internal server error" });
    answer(StatusCode::INTERNAL_SERVER_ERROR, body.to_string())
}

pub(super) fn throttled(throttling: Throttling) -> FaultResponse {
    match throttling {
        Throttling::ProvisionedThroughputExceeded => {
            refused("ProvisionedThroughputExceededException", OVER_PROVISIONED)
        }
        Throttling::RequestLimitExceeded => refused(
            "RequestLimitExceeded",
            "Throughput exceeds the current throughput limit for your account. Please contact AWS Support at \
             https://aws.amazon.com/support",
        ),
        Throttling::Throttling => refused("ThrottlingException", OVER_CAPACITY),
    }
}

pub(super) fn conflict() -> FaultResponse {
    refused("TransactionConflictException", CONFLICT)
}

pub(super) fn in_progress() -> FaultResponse {
    refused("TransactionInProgressException", "The transaction with the given request token is already in progress.")
}

/// The cancellation of a transaction of `items` items.
pub(super) fn cancelled(mut reasons: Vec<Reason>, items: usize) -> FaultResponse {
    if reasons.len() > items {
        let mistake = format!("{} reasons were injected into a transaction of {items} items", reasons.len());
        return refused("ValidationException", &mistake);
    }
    reasons.resize(items, Reason::None);
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code()).collect();
    let codes = codes.join(", ");
    let body = json!({
        "__type": error_type("TransactionCanceledException"),
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"),
        "CancellationReasons": reasons.into_iter().map(Reason::json).collect::<Vec<_>>(),
    });
    answer(StatusCode::BAD_REQUEST, body.to_string())
}

/// What no DynamoDB says, but a broken box on the way might.
pub(super) fn garbage() -> FaultResponse {
    answer(StatusCode::OK, "<html>It works!</html>")
}

/// How many items a transaction has; 0 if `request` is none.
pub(super) fn transact_items(request: &[u8]) -> usize {
    let request: Option<Value> = serde_json::from_slice(request).ok();
    request.and_then(|request| Some(request.get("TransactItems")?.as_array()?.len())).unwrap_or_default()
}

/// Cuts a batch's request in two: what to send to the engine, at least half, and the rest. `None` if it cannot be cut.
pub(super) fn halve(request: &[u8]) -> Option<(Bytes, Rest)> {
    let mut request: Value = serde_json::from_slice(request).ok()?;
    let tables = request.get_mut("RequestItems")?.as_object_mut()?;
    let total: usize = tables.values_mut().filter_map(list).map(|list| list.len()).sum();
    let mut room = total.div_ceil(2);
    let mut rest = Rest::default();
    for (table, entry) in tables.iter_mut() {
        let here = list(entry)?;
        let tail = here.split_off(room.min(here.len()));
        room -= here.len();
        if !tail.is_empty() {
            let mut remainder = entry.clone();
            *list(&mut remainder)? = tail;
            rest.0.insert(table.clone(), remainder);
        }
    }
    tables.retain(|_, entry| list(entry).is_some_and(|list| !list.is_empty()));
    (!rest.0.is_empty()).then(|| (request.to_string().into(), rest))
}

/// One table's keys (`BatchGetItem`: beside the table's other settings) or writes (`BatchWriteItem`: bare).
fn list(entry: &mut Value) -> Option<&mut Vec<Value>> {
    match entry {
        Value::Array(list) => Some(list),
        entry => entry.get_mut("Keys")?.as_array_mut(),
    }
}

/// The part of a batch that the engine never saw, by table.
#[derive(Default)]
pub(super) struct Rest(Map<String, Value>);

impl Rest {
    /// Adds the rest to what the engine's `answer` itself left unprocessed; an error passes as it is.
    pub(super) fn hand_back(self, answer: FaultResponse) -> FaultResponse {
        let (mut head, body) = answer.into_parts();
        let Some(body) = head.status.is_success().then(|| self.merge(&body)).flatten() else {
            return Response::from_parts(head, body);
        };
        head.headers.remove("x-amz-crc32");
        Response::from_parts(head, body)
    }

    fn merge(self, body: &[u8]) -> Option<Bytes> {
        let mut body: Value = serde_json::from_slice(body).ok()?;
        let field = if body.get("Responses").is_some() { "UnprocessedKeys" } else { "UnprocessedItems" };
        let unprocessed = body.as_object_mut()?.entry(field).or_insert_with(|| json!({})).as_object_mut()?;
        for (table, mut entry) in self.0 {
            match unprocessed.get_mut(&table) {
                Some(engines) => list(engines)?.append(list(&mut entry)?),
                None => _ = unprocessed.insert(table, entry),
            }
        }
        Some(body.to_string().into())
    }
}

fn refused(name: &str, message: &str) -> FaultResponse {
    answer(StatusCode::BAD_REQUEST, json!({ "__type": error_type(name), "message": message }).to_string())
}

fn error_type(name: &str) -> String {
    format!("com.amazonaws.dynamodb.v20120810#{name}")
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> FaultResponse {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    headers.insert("x-amzn-requestid", HeaderValue::from_static(REQUEST_ID));
    answer
}
