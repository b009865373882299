//! The walk while three in ten database calls fail.

use anyhow::Result;

use super::{Run, Violation};

/// Runs the test.
pub(super) async fn run(run: &Run<'_>) -> Result<String> {
    Err(Violation::error(format!(
        "not implemented, full: {}, seed: {}, sabotaged: {}",
        run.is_full, run.seed, run.is_sabotaged
    )))
}
