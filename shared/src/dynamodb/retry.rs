//! The retry policy and the deadline of every call.
//!
//! **Problem.** A request has a deadline, which the gateway and the function's own time limit set. DynamoDB throttles,
//! transactions conflict, connections break, and a response may be lost after its write was applied. A client should see
//! none of this as long as there is time, and a clear 503 when there is not.
//!
//! **Approach.** Every call goes through [`TableClient::retry`]. It sends the call with a time limit of its own, sends it
//! again after a transient failure and a backoff with full jitter (AWS, "Exponential Backoff And Jitter"), and gives
//! [`Error::Unavailable`] when the next attempt would begin after the deadline. Loops above it (unprocessed keys of a
//! batch, a version that another writer changed) wait with the same [`TableClient::wait`], under the same deadline.
//! Long computations between calls (the merge of an upload's rows) ask [`TableClient::check_deadline`].
//! Transient are: throttling, transaction conflicts, server errors, broken connections, unreadable responses, and an
//! attempt that exceeded its time limit. All other refusals are returned at once.
//!
//! A lost response is a transient failure too, so a write may be sent again although it was applied. Each write is
//! therefore safe to repeat: a transaction by its request token, a conditional write by what its refusal shows (a
//! write id, a `holder`, or the very values that were to be written), a deletion by its nature.
//!
//! **Rejected.**
//! - The SDK's own retries: they know neither the deadline nor which cancellations of a transaction are transient, and two
//!   policies on top of each other multiply their attempts.
//! - A fixed number of attempts: it gives up with time left, or goes on without any.
//! - One time limit for all attempts: short, it never lets a slow call through; long, it wastes the time of a request whose
//!   connection is dead. So the first limit is short, and each attempt has twice as long as the one before.
//! - Backoff without jitter: transactions that conflicted once would conflict again.
//!
//! **If this is changed.** A write that is not safe to repeat turns a lost response into a false conflict or a double
//! write. A failure that is wrongly called transient uses up the whole deadline; the fault tests (`tests/table/faults.rs`)
//! try every failure before and after every call.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use super::error::{Error, Result};
use super::exchange::Exchange;
use super::table_client::TableClient;
use super::transaction;
use crate::system::Rng;

/// The time limits of a call.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The time limit of the first attempt; each further attempt has twice as long.
    pub attempt_timeout: Duration,
    /// The longest backoff between two attempts.
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempt_timeout: Duration::from_secs(3), max_backoff: Duration::from_secs(1) }
    }
}

/// The growing delays between attempts.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next delay: a random part of a ceiling that doubles with every attempt.
    fn next(&mut self, max: Duration, rng: &Rng) -> Duration {
        const FIRST: Duration = Duration::from_millis(25);
        let ceiling = FIRST.saturating_mul(1 << self.attempts.min(16)).min(max);
        self.attempts += 1;
        // Without randomness the delay is the whole ceiling, which costs only the jitter.
        let random = rng.bytes().map_or(u32::MAX, u32::from_be_bytes);
        ceiling.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

/// The reason why a call ended without success.
pub(super) enum Failure<E> {
    /// DynamoDB reported an error that another attempt would not change, for the operation of this name.
    Refused(&'static str, E),
    /// The call was not made, or had no response before the deadline.
    Failed(Error),
}

/// The kind of an error of DynamoDB, by what it says about another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorKind {
    /// The call would be refused again.
    Final,
    /// A conflict with another writer, or an error of an intermediary.
    Transient,
    /// The load is too high.
    Throttled,
}

impl<E: ProvideErrorMetadata> Failure<E> {
    /// The failure as an error, where no refusal is expected.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Refused(operation, error) => {
                Error::Unexpected(format!("{operation} failed with {}", error.code().unwrap_or("no code")))
            }
        }
    }
}

impl TableClient {
    /// Checks the deadline. A computation that a request can make long calls it again and again.
    ///
    /// # Errors
    /// [`Error::Unavailable`] after the deadline.
    pub(crate) fn check_deadline(&self) -> Result<()> {
        if Instant::now() < self.deadline { Ok(()) } else { Err(Error::Unavailable) }
    }

    /// Waits before another attempt.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the deadline comes first, or if this client makes single attempts.
    pub(crate) async fn wait(&self, backoff: &mut Backoff) -> Result<()> {
        if !self.retries {
            return Err(Error::Unavailable);
        }
        let wake = Instant::now() + backoff.next(self.retry_policy.max_backoff, &self.rng);
        if wake >= self.deadline {
            return Err(Error::Unavailable);
        }
        tokio::time::sleep_until(wake).await;
        Ok(())
    }

    /// Sends a call with this body until it succeeds or is refused for good, and reads the body of the response as a `T`.
    ///
    /// `send` starts an attempt of the SDK's operation without any members but those that select its endpoint, and
    /// `empty_output` makes an output of the operation (see `dynamodb::exchange`).
    pub(super) async fn exchange<T, O, E, Fut>(
        &self,
        operation: &'static str,
        request: Vec<u8>,
        send: impl Fn() -> Fut,
        empty_output: fn() -> O,
        classify: fn(&E) -> ErrorKind,
    ) -> std::result::Result<T, Failure<E>>
    where
        T: DeserializeOwned + Send + 'static,
        O: Debug + Send + Sync + 'static,
        E: ProvideErrorMetadata + Debug,
        Fut: Future<Output = std::result::Result<O, SdkError<E>>>,
    {
        let exchange = Exchange::new(request);
        self.retry(operation, || exchange.scope(send(), empty_output), classify).await?;
        exchange.into_response().map_err(Failure::Failed)
    }

    /// Sends a call until it succeeds or is refused for good, at the longest until the deadline.
    pub(super) async fn retry<T, E, Fut>(
        &self,
        operation: &'static str,
        mut send: impl FnMut() -> Fut,
        classify: fn(&E) -> ErrorKind,
    ) -> std::result::Result<T, Failure<E>>
    where
        E: ProvideErrorMetadata + Debug,
        Fut: Future<Output = std::result::Result<T, SdkError<E>>>,
    {
        let mut backoff = Backoff::default();
        let mut attempt_timeout = self.retry_policy.attempt_timeout;
        loop {
            let time_left = self.deadline.saturating_duration_since(Instant::now());
            let result = {
                let _in_flight = self.meter.begin_call();
                timeout(time_left.min(attempt_timeout), send()).await
            };
            match result {
                Ok(Ok(output)) => return Ok(output),
                Ok(Err(SdkError::ConstructionFailure(_))) => {
                    return Err(Failure::Failed(Error::Unexpected(format!("{operation} could not be constructed"))));
                }
                Ok(Err(SdkError::ServiceError(refusal))) => match classify(refusal.err()) {
                    ErrorKind::Final if !refusal.raw().status().is_server_error() => {
                        return Err(Failure::Refused(operation, refusal.into_err()));
                    }
                    ErrorKind::Final | ErrorKind::Transient => {}
                    ErrorKind::Throttled => self.meter.add_throttle(),
                },
                // A broken connection, an unreadable response, or none in time.
                Ok(Err(_)) | Err(_) => {}
            }
            self.wait(&mut backoff).await.map_err(Failure::Failed)?;
            attempt_timeout = attempt_timeout.saturating_mul(2);
        }
    }
}

/// Classifies the refusal of a call that is no transaction.
pub(super) fn classify(error: &impl ProvideErrorMetadata) -> ErrorKind {
    match error.code() {
        Some("ThrottlingException" | "ProvisionedThroughputExceededException" | "RequestLimitExceeded") => {
            ErrorKind::Throttled
        }
        // DynamoDB always sends a code, so a response without one is from an intermediary.
        None
        | Some(
            "LimitExceededException"
            | "TransactionConflictException"
            | "TransactionInProgressException"
            | "ReplicatedWriteConflictException",
        ) => ErrorKind::Transient,
        Some(_) => ErrorKind::Final,
    }
}

/// Classifies the cancellation or the refusal of a transaction.
pub(super) fn classify_transaction(error: &TransactWriteItemsError) -> ErrorKind {
    match error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            transaction::classify(cancelled.cancellation_reasons())
        }
        error => classify(error),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::put_item::PutItemError;

    use super::*;

    /// DynamoDB's message may quote a key or a value, and the error is logged.
    #[test]
    fn a_refusal_becomes_an_error_with_its_code_and_without_its_message() {
        let refusal = ErrorMetadata::builder().code("ValidationException").message("Invalid value: jane@example.com");
        let error = Failure::Refused("PutItem", PutItemError::generic(refusal.build())).into_error();
        assert_eq!(error, Error::Unexpected("PutItem failed with ValidationException".to_owned()));
    }
}
