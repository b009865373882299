//! DynamoDB's error responses, in the wire format of the service.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// The request id of injected responses: as long as the service's, and recognizable in logs.
const REQUEST_ID: &str = "FAULTPROXY000000000000000000000000000000000000000000";

const PROVISIONED_THROUGHPUT_EXCEEDED: &str = "The level of configured provisioned throughput for the table was \
    exceeded. Consider increasing your provisioning level with the UpdateTable API.";
const REQUEST_LIMIT_EXCEEDED: &str = "Throughput exceeds the current throughput limit for your account. Please contact \
    AWS Support at https://aws.amazon.com/support";
const THROTTLING: &str = "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically \
    scaling your table or index so please try again shortly. If exceptions persist, check if you have a hot key: \
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html";
const TRANSACTION_CONFLICT: &str = "Transaction is ongoing for the item";

/// The errors with which DynamoDB throttles a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottlingError {
    /// `ProvisionedThroughputExceededException`: the capacity of a provisioned table or of one partition.
    ProvisionedThroughputExceeded,
    /// `RequestLimitExceeded`: the throughput of the account.
    RequestLimitExceeded,
    /// `ThrottlingException`: an on-demand table that is still scaling.
    Throttling,
}

impl ThrottlingError {
    pub(super) const ALL: &[Self] =
        &[Self::ProvisionedThroughputExceeded, Self::RequestLimitExceeded, Self::Throttling];
}

/// The reason why one item canceled a transaction, or `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancellationReason {
    /// This item did not cancel the transaction.
    None,
    /// The item's condition failed. The response does not contain the stored item.
    ConditionalCheckFailed,
    /// Another transaction or write holds the item.
    TransactionConflict,
    /// An on-demand table that is still scaling.
    ThrottlingError,
    /// The capacity of a provisioned table or of one partition.
    ProvisionedThroughputExceeded,
}

impl CancellationReason {
    /// The reasons that a retry overcomes.
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

    fn message(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::ConditionalCheckFailed => Some("The conditional request failed"),
            Self::TransactionConflict => Some(TRANSACTION_CONFLICT),
            Self::ThrottlingError => Some(THROTTLING),
            Self::ProvisionedThroughputExceeded => Some(PROVISIONED_THROUGHPUT_EXCEEDED),
        }
    }

    fn json(self) -> Value {
        match self.message() {
            Some(message) => json!({"Code": self.code(), "Message": message}),
            None => json!({"Code": self.code()}),
        }
    }
}

/// The number of items in a transaction's request; 0 if `request` is not one.
pub(super) fn transaction_size(request: &[u8]) -> usize {
    match serde_json::from_slice::<Value>(request) {
        Ok(request) => request["TransactItems"].as_array().map_or(0, Vec::len),
        Err(_) => 0,
    }
}

pub(super) fn internal_server_error() -> Response<Bytes> {
    let body = json!({"__type": error_type("InternalServerError"), "message": "Internal server error"});
    response(StatusCode::INTERNAL_SERVER_ERROR, body.to_string())
}

pub(super) fn throttled(error: ThrottlingError) -> Response<Bytes> {
    match error {
        ThrottlingError::ProvisionedThroughputExceeded => {
            client_error("ProvisionedThroughputExceededException", PROVISIONED_THROUGHPUT_EXCEEDED)
        }
        ThrottlingError::RequestLimitExceeded => client_error("RequestLimitExceeded", REQUEST_LIMIT_EXCEEDED),
        ThrottlingError::Throttling => client_error("ThrottlingException", THROTTLING),
    }
}

pub(super) fn transaction_conflict() -> Response<Bytes> {
    client_error("TransactionConflictException", TRANSACTION_CONFLICT)
}

pub(super) fn transaction_in_progress() -> Response<Bytes> {
    let message = "The transaction with the given request token is already in progress.";
    client_error("TransactionInProgressException", message)
}

/// The cancellation of a transaction of `items` items.
pub(super) fn transaction_canceled(mut reasons: Vec<CancellationReason>, items: usize) -> Response<Bytes> {
    if reasons.len() > items {
        let mistake = format!("{} reasons were injected into a transaction of {items} items", reasons.len());
        return client_error("ValidationException", &mistake);
    }
    reasons.resize(items, CancellationReason::None);
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
    let codes = codes.join(", ");
    let body = json!({
        "__type": error_type("TransactionCanceledException"),
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"),
        "CancellationReasons": reasons.into_iter().map(CancellationReason::json).collect::<Vec<_>>(),
    });
    response(StatusCode::BAD_REQUEST, body.to_string())
}

/// A response that DynamoDB never sends, but a broken network device could.
pub(super) fn malformed() -> Response<Bytes> {
    response(StatusCode::OK, "<html>It works!</html>")
}

fn client_error(name: &str, message: &str) -> Response<Bytes> {
    response(StatusCode::BAD_REQUEST, json!({"__type": error_type(name), "message": message}).to_string())
}

fn error_type(name: &str) -> String {
    format!("com.amazonaws.dynamodb.v20120810#{name}")
}

fn response(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    headers.insert("x-amzn-requestid", HeaderValue::from_static(REQUEST_ID));
    response
}
