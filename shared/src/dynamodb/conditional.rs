//! The outcome of a conditional write.

/// What became of a write that is made on a condition.
///
/// A refusal is a result, not an error: it tells the writer what the table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a refused write has changed nothing"]
pub(crate) enum Conditional<T, R> {
    /// The condition held, and the write was made.
    Applied(T),
    /// The condition did not hold, and nothing was written.
    Refused(R),
}

impl<T, R> Conditional<T, R> {
    /// Whether the write was made.
    pub(crate) fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }
}
