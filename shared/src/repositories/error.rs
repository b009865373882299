//! Errors of the repositories. They know no status code: `http` maps each to a response.

use crate::domain::{Email, InvalidValue, Kind, MAX_ACTIVE_CAMPAIGNS};
use crate::dynamodb;

/// An error of an operation of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The item does not exist in this organization.
    #[error("{} not found", .0.name())]
    NotFound(Kind),
    /// Another contact of the organization has this email.
    #[error("the email belongs to another contact")]
    EmailTaken(Email),
    /// The organization has as many active campaigns as it may have.
    #[error("the organization has {} active campaigns", MAX_ACTIVE_CAMPAIGNS)]
    TooManyActiveCampaigns,
    /// No other API key of the organization has the scope `admin`, is unrevoked and unexpired.
    #[error("the last admin key cannot be revoked")]
    LastAdminKey,
    /// The contact has another version than the client requires.
    #[error("the contact has another version than the one required")]
    VersionMismatch,
    /// The item would become larger than an item may be.
    #[error("the stored item {0}")]
    TooLarge(InvalidValue),
    /// The response is larger than the item that would store it under its `Idempotency-Key`.
    #[error("the response is too large to be stored under its Idempotency-Key")]
    ResponseTooLarge,
    /// Another request with the same `Idempotency-Key` has completed; its response is stored.
    #[error("another request with this Idempotency-Key has completed")]
    AlreadyCompleted,
    /// The `Idempotency-Key` is locked by a request with another content.
    #[error("the Idempotency-Key is locked by another request")]
    KeyReused,
    /// The `Idempotency-Key` is locked by an earlier send of the same request.
    #[error("the Idempotency-Key is locked by the same request for {seconds} s at most")]
    InProgress {
        /// The time until the lock expires, in seconds.
        seconds: i64,
    },
    /// The table could not be read or written.
    #[error(transparent)]
    Table(#[from] dynamodb::Error),
}

/// The result of an operation of a repository.
pub type Result<T> = std::result::Result<T, Error>;

/// The error of an outcome that only a defect explains.
pub(super) fn unexpected(reason: impl Into<String>) -> Error {
    dynamodb::Error::Unexpected(reason.into()).into()
}
