//! Conditional writes.

/// The outcome of a conditional write. A refusal is not an error: it tells the writer what the table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a refused write has changed nothing"]
pub(crate) enum Conditional<T, R> {
    /// The condition held, and the write was applied.
    Applied(T),
    /// The condition did not hold, and nothing was written.
    Refused(R),
}

impl<T, R> Conditional<T, R> {
    /// Whether the write was applied.
    pub(crate) fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }
}
