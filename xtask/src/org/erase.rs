//! `cargo xtask org erase-person`.

use anyhow::{Result, bail};

/// The options of `cargo xtask org erase-person`.
#[derive(clap::Args)]
pub(crate) struct Options {}

pub(super) async fn run(_: Options) -> Result<()> {
    bail!("not yet")
}
