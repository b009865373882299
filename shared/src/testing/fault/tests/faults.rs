//! Each fault, as the SDK reports it.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::response::transaction_canceled;
use super::super::{CancellationReason, Fault, FaultKind, FaultProxy, Operation, ThrottlingError};
use super::forwarding::raw_request;
use super::{Bench, OPERATIONS, Outcome};

/// What is expected of a call with a fault.
struct Expected {
    fault: Fault,
    outcome: Outcome,
    /// Whether the engine receives the call.
    executed: bool,
}

/// An example of a fault of `kind` on `operation`.
fn example(kind: FaultKind, operation: Operation) -> Expected {
    let canceled = Outcome::modeled_error("TransactionCanceledException");
    let (fault, outcome, executed) = match kind {
        FaultKind::InternalServerError => {
            (Fault::InternalServerError, Outcome::modeled_error("InternalServerError"), false)
        }
        FaultKind::Throttled => (
            Fault::Throttled(ThrottlingError::ProvisionedThroughputExceeded),
            Outcome::modeled_error("ProvisionedThroughputExceededException"),
            false,
        ),
        FaultKind::TransactionConflict if operation.is_transaction() => (Fault::TransactionConflict, canceled, false),
        FaultKind::TransactionConflict => {
            (Fault::TransactionConflict, Outcome::modeled_error("TransactionConflictException"), false)
        }
        FaultKind::TransactionCanceled => {
            (Fault::TransactionCanceled(vec![CancellationReason::ThrottlingError]), canceled, false)
        }
        FaultKind::TransactionInProgress => {
            (Fault::TransactionInProgress, Outcome::modeled_error("TransactionInProgressException"), false)
        }
        FaultKind::RequestLost => (Fault::RequestLost, Outcome::ConnectionFailed, false),
        FaultKind::ResponseLost => (Fault::ResponseLost, Outcome::ConnectionFailed, true),
        FaultKind::Delayed => (Fault::Delayed(Duration::from_millis(1)), Outcome::Success, true),
        FaultKind::Unprocessed => (Fault::Unprocessed, Outcome::Success, true),
        FaultKind::MalformedResponse => (Fault::MalformedResponse, Outcome::UnmodeledError(String::new()), true),
    };
    Expected { fault, outcome, executed }
}

#[tokio::test]
async fn every_fault_on_every_operation_is_reported_as_an_error_of_dynamodb() {
    let bench = Bench::new().await;
    let mut tested = BTreeSet::new();
    for operation in OPERATIONS {
        for &kind in FaultKind::ALL {
            if !kind.applies_to(operation) {
                continue;
            }
            let Expected { fault, outcome, executed } = example(kind, operation);
            assert_eq!(fault.kind(), kind);
            bench.proxy.inject(operation, fault.clone());

            assert_eq!(bench.call(operation).await, outcome, "{kind:?} on {operation:?}");

            let reached_the_engine = bench.recorder.take_calls().len();
            assert_eq!(reached_the_engine, usize::from(executed), "{kind:?} on {operation:?}");
            let recorded: Vec<_> =
                bench.proxy.take_calls().into_iter().map(|call| (call.operation, call.fault)).collect();
            assert_eq!(recorded, [(operation, Some(fault))]);
            tested.insert(kind);
        }

        assert_eq!(bench.call(operation).await, Outcome::Success, "{operation:?} after its faults");
        assert_eq!(bench.proxy.take_calls()[0].fault, None);
        assert_eq!(bench.recorder.take_calls()[0].operation, operation);
    }
    assert_eq!(tested.len(), FaultKind::ALL.len());
}

#[tokio::test]
async fn every_throttling_error_has_its_code() {
    let bench = Bench::new().await;
    let codes = ["ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"];
    for (&error, code) in ThrottlingError::ALL.iter().zip(codes) {
        for operation in OPERATIONS {
            bench.proxy.inject(operation, Fault::Throttled(error));
            assert_eq!(bench.call(operation).await, Outcome::modeled_error(code), "{operation:?}");
        }
    }
    assert_eq!(bench.recorder.take_calls(), []);
}

#[tokio::test]
async fn a_lost_request_is_not_executed_and_a_lost_response_is() {
    let bench = Bench::new().await;
    for (fault, written) in [(Fault::RequestLost, false), (Fault::ResponseLost, true)] {
        bench.proxy.inject(Operation::TransactWriteItems, fault);
        assert_eq!(bench.call(Operation::TransactWriteItems).await, Outcome::ConnectionFailed);
        assert_eq!(bench.is_stored("new").await, written);
    }
}

#[tokio::test]
async fn a_lost_request_resets_the_connection_instead_of_closing_it() {
    let bench = Bench::new().await;
    bench.proxy.inject(Operation::Scan, Fault::RequestLost);
    let mut socket = TcpStream::connect(bench.proxy.address).await.unwrap();
    socket.write_all(raw_request("Scan", r#"{"TableName":"contacts"}"#).as_bytes()).await.unwrap();
    let error = socket.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn cancellation_reasons_keep_their_index_and_are_padded() {
    let bench = Bench::new().await;
    bench.proxy.inject(
        Operation::TransactWriteItems,
        Fault::TransactionCanceled(vec![
            CancellationReason::ConditionalCheckFailed,
            CancellationReason::TransactionConflict,
        ]),
    );
    assert_eq!(
        bench.cancellation_reasons().await,
        [
            ("ConditionalCheckFailed".to_owned(), Some("The conditional request failed".to_owned())),
            ("TransactionConflict".to_owned(), Some("Transaction is ongoing for the item".to_owned())),
            ("None".to_owned(), None),
        ]
    );

    bench.proxy.inject(
        Operation::TransactWriteItems,
        Fault::TransactionCanceled(vec![
            CancellationReason::None,
            CancellationReason::ThrottlingError,
            CancellationReason::ProvisionedThroughputExceeded,
        ]),
    );
    let codes: Vec<String> = bench.cancellation_reasons().await.into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["None", "ThrottlingError", "ProvisionedThroughputExceeded"]);
}

#[tokio::test]
async fn more_cancellation_reasons_than_items_are_a_validation_error() {
    let bench = Bench::new().await;
    let reasons = vec![CancellationReason::TransactionConflict; 4];
    bench.proxy.inject(Operation::TransactWriteItems, Fault::TransactionCanceled(reasons));
    let error = bench.put_in_transaction(&["a", "b", "c"]).await.unwrap_err().into_service_error();
    assert_eq!(error.message(), Some("4 reasons were injected into a transaction of 3 items"));
}

#[tokio::test]
async fn a_transaction_conflict_is_reported_for_one_random_item() {
    let bench = Bench::new().await;
    let mut conflicting = BTreeSet::new();
    for _ in 0..32 {
        bench.proxy.inject(Operation::TransactWriteItems, Fault::TransactionConflict);
        let reasons = bench.cancellation_reasons().await;
        let codes: Vec<&str> = reasons.iter().map(|(code, _)| code.as_str()).collect();
        let conflicts: Vec<usize> = (0..3).filter(|&index| codes[index] == "TransactionConflict").collect();
        assert_eq!(conflicts.len(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|&&code| code == "None").count(), 2, "{codes:?}");
        conflicting.extend(conflicts);
    }
    assert_eq!(conflicting, BTreeSet::from([0, 1, 2]));
}

#[test]
fn a_cancellation_has_the_wire_format_of_the_service() {
    let reasons = vec![CancellationReason::None, CancellationReason::TransactionConflict];
    let response = transaction_canceled(reasons, 2);
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.0");
    assert_eq!(response.headers()["x-amzn-requestid"].len(), 52);
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        body,
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons \
                        [None, TransactionConflict]",
            "CancellationReasons": [
                {"Code": "None"},
                {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"},
            ],
        })
    );
}

#[tokio::test]
async fn a_delayed_response_is_the_engines_own() {
    let bench = Bench::new().await;
    let delay = Duration::from_millis(50);
    bench.proxy.inject(Operation::PutItem, Fault::Delayed(delay));
    let start = Instant::now();
    assert_eq!(bench.call(Operation::PutItem).await, Outcome::Success);
    assert!(start.elapsed() >= delay);
    assert!(bench.is_stored("new").await);
}

#[tokio::test]
async fn queued_faults_affect_only_their_operation_and_keep_their_order() {
    let bench = Bench::new().await;
    bench.proxy.inject(Operation::GetItem, Fault::InternalServerError);
    bench.proxy.inject(Operation::GetItem, Fault::Throttled(ThrottlingError::Throttling));
    bench.proxy.inject(Operation::GetItem, Fault::MalformedResponse);

    assert_eq!(bench.call(Operation::Scan).await, Outcome::Success);
    assert_eq!(bench.call(Operation::GetItem).await, Outcome::modeled_error("InternalServerError"));
    assert_eq!(bench.call(Operation::GetItem).await, Outcome::modeled_error("ThrottlingException"));
    bench.proxy.clear_faults();
    assert_eq!(bench.call(Operation::GetItem).await, Outcome::Success);

    let expected = [None, Some(FaultKind::InternalServerError), Some(FaultKind::Throttled), None];
    assert_eq!(bench.take_fault_kinds(), expected);
    assert_eq!(bench.take_fault_kinds(), []);
}

#[tokio::test]
#[should_panic(expected = "DynamoDB never fails Query with TransactionConflict")]
async fn a_fault_that_dynamodb_never_returns_is_rejected() {
    let proxy = FaultProxy::start("http://127.0.0.1:1").await.unwrap();
    proxy.inject(Operation::Query, Fault::TransactionConflict);
}
