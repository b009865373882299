//! Errors of the database.

use std::iter::successors;

/// An error of a call to the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The database could not be reached before the deadline, or refused every attempt because of its load.
    #[error("the database could not be reached before the deadline")]
    Unavailable,
    /// A stored item does not have the attributes of its type. Names no other value than ids, and no whole key: both may
    /// hold personal data.
    #[error("a stored item of type {item_type} under a sort key of kind {key_kind} cannot be read: {ids}")]
    Unreadable {
        /// The type that the item should have.
        item_type: &'static str,
        /// The kind of its sort key, such as `CONTACT`.
        key_kind: &'static str,
        /// The ids in its key, the organization's first, and its own.
        ids: String,
    },
    /// The database refused a call in a way that only a defect or a wrong set-up explains; holds the operation and the
    /// reason.
    #[error("the database refused a call unexpectedly: {0}")]
    Unexpected(String),
}

/// The result of a call to the table.
pub type Result<T> = std::result::Result<T, Error>;

/// The text of an error and of all its sources, which the SDK's errors leave out of their own text.
pub(crate) fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let errors = successors(Some(error), |error| (**error).source());
    errors.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
