//! The developer's door: `cargo xtask <command>`, and `cargo dev` for the first of them.

mod admin_key;
mod ci;
mod dev;
mod e2e;
mod sync;
mod template;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

/// The developer's door.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    /// Runs the API on this machine, with a database and two demo organizations, until Ctrl-C.
    Dev(dev::Options),
    /// Tests a running API over HTTP: a throwaway one of its own, or one that is deployed.
    E2e(e2e::Options),
    /// Makes an organization and its first admin key, which it prints; or another admin key for one.
    AdminKey(admin_key::Options),
    /// Writes what is generated from the route table: `shared/openapi.json` and the local router.
    Sync {
        /// Writes nothing, and fails if anything is out of step.
        #[arg(long)]
        check: bool,
    },
    /// Runs everything that has to hold before a change lands.
    Ci,
}

#[tokio::main]
async fn main() -> ExitCode {
    let root = root();
    let outcome = match Command::parse() {
        Command::Dev(options) => dev::run(&root, options).await,
        Command::E2e(options) => e2e::run(&root, options).await,
        Command::AdminKey(options) => admin_key::run(options).await,
        Command::Sync { check } => sync::sync(&root, check),
        Command::Ci => ci::ci(&root),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// The workspace's directory.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Says what went wrong in one line, the last one: under whatever a failed command had to say.
#[expect(clippy::print_stderr, reason = "this is where errors are told")]
fn report(error: &anyhow::Error) {
    let text = format!("{error:#}");
    let (line, details) = text.split_once('\n').unwrap_or((&text, ""));
    if !details.is_empty() {
        eprintln!("{}", details.trim_end());
    }
    eprintln!("error: {line}");
}

/// Writes a file that nobody sees half written.
fn write_whole(file: &Path, content: &str) -> Result<()> {
    let unfinished = file.with_extension("unfinished");
    std::fs::write(&unfinished, content)
        .and_then(|()| std::fs::rename(&unfinished, file))
        .with_context(|| format!("cannot write {}", file.display()))
}
