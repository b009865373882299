//! What the table room can say no with. It knows no status code: `http` turns each into an answer.

use std::fmt;
use std::iter::successors;

pub use crate::domain::Kind;
use crate::domain::{Email, InvalidValue};

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
    TooLarge(InvalidValue),
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(kind) => write!(f, "{} not found", kind.name()),
            Self::EmailTaken(_) => f.write_str("the address is another contact's"),
            Self::Stale => f.write_str("not the version that is required"),
            Self::TooLarge(fault) => fault.fmt(f),
            Self::AnswerTooLarge => f.write_str("the answer is too long to keep"),
            Self::AlreadyAnswered => f.write_str("the Idempotency-Key has been answered meanwhile"),
            Self::KeyReused => f.write_str("the Idempotency-Key is held by another request"),
            Self::InProgress { seconds } => {
                write!(f, "the Idempotency-Key is held by the same request for up to {seconds} s")
            }
            Self::Unavailable => f.write_str("the database could not be reached in time"),
            Self::Unreadable(sort_key) => write!(f, "unreadable item {sort_key}"),
            Self::Unexpected(what) => write!(f, "unexpected answer of the database: {what}"),
        }
    }
}

impl std::error::Error for Error {}

/// How a result of the table reads.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the SDK or its HTTP client with all its reasons, which its own text leaves out.
pub(crate) fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let reasons = successors(Some(error), |error| (**error).source());
    reasons.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
