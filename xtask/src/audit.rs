//! `cargo xtask audit`: checks the dependencies for vulnerabilities, for yanked versions, and for the lack of a maintainer.
//!
//! The advisory database is a Git repository on GitHub, so this is no step of `cargo xtask ci`, which needs package registries
//! only. Yanked versions cannot be checked alone: cargo-deny opens the database first. Fetching and checking are two calls of
//! cargo-deny, because one call ends with the same exit code without a network as for an advisory.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::tools;

/// Checks the dependencies against the advisories of today.
pub(crate) fn run(root: &Path) -> Result<()> {
    audit(root, &tools::cargo_deny(root)?)
}

fn audit(root: &Path, cargo_deny: &Path) -> Result<()> {
    tools::quietly(Command::new(cargo_deny).args(["fetch", "db", "index"]).current_dir(root)).context(
        "no audit without the advisory database: run this where github.com and index.crates.io can be reached",
    )?;
    let check = ["--offline", "check", "--hide-inclusion-graph", "advisories"];
    tools::visibly(Command::new(cargo_deny).args(check).current_dir(root)).context(
        "update the crates above; if an advisory does not concern this project, ignore it in deny.toml, with a reason",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::TempDir;

    /// The error of an audit with a cargo-deny that fails to do this, and can do everything else.
    fn error_if_it_cannot(command: &str) -> String {
        let directory = TempDir::new(&format!("audit-{command}"));
        let cargo_deny = directory.0.join("cargo-deny");
        let script = format!("#!/bin/sh\ncase \"$*\" in *{command}*) echo details >&2; exit 1;; esac\n");
        // Written by another process: a file that this one had open for writing may be refused as "busy" when it is run.
        let write = r#"printf '%s' "$1" > "$0" && chmod +x "$0""#;
        tools::quietly(Command::new("sh").args(["-c", write]).arg(&cargo_deny).arg(script)).unwrap();
        format!("{:#}", audit(&directory.0, &cargo_deny).unwrap_err())
    }

    #[test]
    fn a_machine_without_a_network_is_told_so_and_not_of_an_advisory() {
        let expected = "no audit without the advisory database: run this where github.com and index.crates.io can be reached: \
                        cargo-deny failed (exit status: 1)\ndetails\n";
        assert_eq!(error_if_it_cannot("fetch"), expected);
    }

    #[test]
    fn an_advisory_is_an_error_that_says_what_to_do() {
        let expected = "update the crates above; if an advisory does not concern this project, ignore it in deny.toml, with a \
                        reason: cargo-deny failed (exit status: 1); its output is above";
        assert_eq!(error_if_it_cannot("advisories"), expected);
    }
}
