//! A proxy between the AWS SDK and a DynamoDB engine that injects the faults of the service.
//!
//! # Problem
//!
//! DynamoDB throttles, cancels transactions that collide, hands back the unprocessed part of a batch, and loses
//! responses on the way. The embedded engine and DynamoDB Local do none of this, so the code that retries, the code
//! that reads cancellation reasons, and the idempotency of every write would never run in a test.
//!
//! # Approach
//!
//! [`FaultProxy`] listens on a local port, speaks plain HTTP/1.1 on both sides, and forwards each call to a real engine
//! unless a fault is due:
//!
//! | fault | executed by the engine | response to the client |
//! | --- | --- | --- |
//! | [`Fault::InternalServerError`] | no | 500 |
//! | [`Fault::Throttled`] | no | one of the three [`ThrottlingError`]s |
//! | [`Fault::TransactionConflict`] | no | `TransactionConflictException`, or a cancellation of the transaction |
//! | [`Fault::TransactionCanceled`] | no | `TransactionCanceledException` with the given [`CancellationReason`]s |
//! | [`Fault::TransactionInProgress`] | no | `TransactionInProgressException` |
//! | [`Fault::RequestLost`] | no | connection reset |
//! | [`Fault::ResponseLost`] | yes | connection reset |
//! | [`Fault::Delayed`] | yes | the engine's, late |
//! | [`Fault::Unprocessed`] | first half | the engine's, with the second half as `UnprocessedKeys` or `UnprocessedItems` |
//! | [`Fault::MalformedResponse`] | yes | 200 with a body that is not JSON |
//!
//! Injected error responses have the service's own wire format
//! ([error responses](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html),
//! [cancellation reasons](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html)),
//! so the SDK parses them as it parses those of DynamoDB.
//!
//! A test chooses the faults in one of three ways:
//!
//! - [`FaultProxy::inject`] queues one fault for the next call of an operation.
//! - [`FaultProxy::inject_randomly`] draws faults from a seed; a run that failed fails again.
//! - [`FaultProxy::hold`] stops a call before or after its execution, until the test lets it continue. This forces a
//!   race into one order. It also kills a request at an exact point: the test waits for [`Hold::reached`] and then drops
//!   the future of the request, as Lambda drops a process. [`FaultProxy::hold_after`] does so at the n-th call, whatever
//!   its operation.
//!
//! [`FaultProxy::rewrite`] is for the test of a test: it breaks the requests of the code under test.
//!
//! # Rejected alternatives
//!
//! - A mock of the SDK's client: it tests our reading of the documentation, not what the SDK does with a response (which
//!   errors it models, what it reports when a connection breaks), and it has no table to verify after the fault.
//! - An SDK interceptor: it sits above the connection, so it can neither reset one nor delay a response below the
//!   timeouts that are configured in the client.
//! - Faults in the engine: DynamoDB Local has no switch for them, and the same tests must also run against it.
//!
//! # Invariants
//!
//! - Without a fault, the client cannot tell the proxy from the engine: bodies and headers pass unchanged.
//! - Only the ten [`Operation`]s on items are recorded and affected. Calls on tables and streams always pass.
//! - A fault that DynamoDB never returns for an operation cannot be injected into it ([`FaultKind::applies_to`]):
//!   handling it would be dead code.

mod batch;
mod hold;
mod kinds;
mod plan;
mod proxy;
mod response;

pub use hold::{Hold, HoldPoint};
pub use kinds::{Fault, FaultKind, Operation};
pub use plan::RecordedCall;
pub use proxy::FaultProxy;
pub use response::{CancellationReason, ThrottlingError};

#[cfg(test)]
mod tests;
