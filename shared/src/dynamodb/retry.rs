//! The one retry policy, with the deadline of the request.
//!
//! The SDK's own retries are off: they know neither the request's deadline nor which failures of a transaction are worth
//! another attempt, and two policies multiply each other's attempts. Every call goes through [`TableClient::retry`]: a
//! transient failure is sent again after a backoff with full jitter, until the deadline; then the result is
//! [`Error::Unavailable`]. A response that was lost is a transient failure too, so every write has to be safe to repeat:
//! a transaction by its request token, a conditional write by what its refusal shows.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use tokio::time::{Instant, timeout};

use super::error::{Error, Result};
use super::table_client::TableClient;
use super::transaction;

/// How long a call waits: for one response, and between two attempts.
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

/// The growing delays between attempts (AWS, "Exponential Backoff And Jitter").
#[derive(Debug, Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    /// The next delay: a random part of a ceiling that doubles with every attempt ("full jitter").
    fn next(&mut self, max: Duration) -> Duration {
        const FIRST: Duration = Duration::from_millis(25);
        let ceiling = FIRST.saturating_mul(1 << self.0.min(16)).min(max);
        self.0 += 1;
        ceiling.mul_f64(f64::from(random()) / f64::from(u32::MAX))
    }
}

/// Thirty-two random bits; the maximum where the system has no randomness, which costs only the jitter.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

/// A failure that another attempt would not change.
pub(super) enum Failure<E> {
    /// DynamoDB refused the operation of this name.
    Service(&'static str, E),
    /// The call could not be made, or not before the deadline.
    Table(Error),
}

impl TableClient {
    /// Waits before another attempt, with full jitter (AWS, "Exponential Backoff And Jitter").
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the deadline comes first.
    pub(crate) async fn wait(&self, backoff: &mut Backoff) -> Result<()> {
        let wake = Instant::now() + backoff.next(self.retry_policy.max_backoff);
        if wake >= self.deadline {
            return Err(Error::Unavailable);
        }
        tokio::time::sleep_until(wake).await;
        Ok(())
    }

    /// The one retry policy: what is transient is tried again until the deadline. The SDK's own retries are off.
    pub(super) async fn retry<T, E, Fut>(
        &self,
        operation: &'static str,
        send: impl Fn() -> Fut,
        transient: fn(&E) -> bool,
    ) -> std::result::Result<T, Failure<E>>
    where
        E: ProvideErrorMetadata + Debug,
        Fut: Future<Output = std::result::Result<T, SdkError<E>>>,
    {
        let mut backoff = Backoff::default();
        let mut attempt = self.retry_policy.attempt_timeout;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let answer = {
                let _in_flight = self.meter.begin_call();
                timeout(left.min(attempt), send()).await
            };
            // What took too long once may need longer the next time.
            attempt = attempt.saturating_mul(2);
            match answer {
                Ok(Ok(output)) => return Ok(output),
                Ok(Err(SdkError::ConstructionFailure(_))) => {
                    return Err(Failure::Table(Error::Unexpected(format!("{operation}: construction"))));
                }
                Ok(Err(SdkError::ServiceError(refusal)))
                    if !transient(refusal.err()) && !refusal.raw().status().is_server_error() =>
                {
                    return Err(Failure::Service(operation, refusal.into_err()));
                }
                // A fault that passes, a broken connection, an answer that is none, or no answer in time.
                Ok(Err(_)) | Err(_) => self.wait(&mut backoff).await.map_err(Failure::Table)?,
            }
        }
    }
}

impl<E: ProvideErrorMetadata + Debug> Failure<E> {
    pub(super) fn unexpected(self) -> Error {
        match self {
            Self::Table(error) => error,
            Self::Service(operation, error) => {
                Error::Unexpected(format!("{operation}: {}", error.code().unwrap_or("no code")))
            }
        }
    }
}

pub(super) fn is_transient(error: &impl ProvideErrorMetadata) -> bool {
    // An answer without a code is not one of the database's; something on the way made it.
    error.code().is_none_or(|code| {
        matches!(
            code,
            "ThrottlingException"
                | "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "LimitExceededException"
                | "TransactionConflictException"
                | "TransactionInProgressException"
                | "ReplicatedWriteConflictException"
        )
    })
}

pub(super) fn is_transient_cancellation(error: &TransactWriteItemsError) -> bool {
    match error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            transaction::is_transient(cancelled.cancellation_reasons())
        }
        error => is_transient(error),
    }
}
