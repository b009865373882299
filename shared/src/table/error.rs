//! What the table room can say no with. It knows no status code: `http` turns each into an answer.

pub use crate::domain::Kind;
use crate::domain::{Email, Invalid};

/// Why something could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// It is not there, or not this organization's.
    NotFound(Kind),
    /// Another contact of the organization has this address.
    EmailTaken(Email),
    /// The thing has another version than the client requires.
    Stale,
    /// What would be stored is refused for its size.
    TooLarge(Invalid),
    /// The answer to keep under the `Idempotency-Key` is longer than an item may be.
    AnswerTooLarge,
    /// The `Idempotency-Key` got its answer from another call meanwhile.
    AlreadyAnswered,
    /// The `Idempotency-Key` is held by another request.
    KeyReused,
    /// The `Idempotency-Key` is held by the same request, sent before.
    InProgress {
        /// How long it is held at the most, in seconds.
        seconds: i64,
    },
    /// The database could not be reached, or refused for its load, until the deadline.
    Unavailable,
    /// A stored item is not what its type promises; holds its sort key.
    Unreadable(String),
    /// The database refused in a way that only a fault of ours or of the set-up explains; holds the operation and code.
    Unexpected(String),
}

/// How a result of the table reads.
pub type Result<T> = std::result::Result<T, Error>;
