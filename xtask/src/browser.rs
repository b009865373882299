//! `cargo xtask browser`: the tests of the pages in headless Chromium, against a temporary local API.
//!
//! `xtask/browser` has one file of tests per page, `<page>.test.js`, and what they share in `browser.js`. They are copied to
//! `target/browser`, where they leave pictures of the pages.

use std::fs;
use std::os::unix;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::dev::{ProcessGroup, Setup, with_server};
use crate::e2e::INTERRUPTED;
use crate::files::{copy_files, create_empty_dir};
use crate::results::{TestCounts, print_line};
use crate::tools::{self, BrowserTools};
use crate::workspace;

/// The options of `cargo xtask browser`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only the tests of these pages, such as docs
    #[arg(value_name = "PAGE")]
    pages: Vec<String>,
}

/// The name of a file of tests, behind that of its page.
const TESTS: &str = ".test.js";

/// The results in a format for programs (Test Anything Protocol), beside the one for people.
const RESULTS: &str = "results.tap";

/// Starts an API, runs the tests, and stops the API.
pub(crate) async fn run(root: &Path, options: &Options) -> Result<()> {
    let source = root.join("xtask/browser");
    let tests = test_files(&source, &options.pages)?;
    let tools = tools::browser(root)?;
    let started = Instant::now();
    let directory = &workspace::local_dir(root, "browser");
    prepare(&source, directory, &tools)?;
    let api = &directory.join("api");
    let cargo_lambda = tools::cargo_lambda(root)?;
    let setup = Setup::temporary(root, api, &cargo_lambda)?;
    print_line("starting a temporary API");
    let counts = with_server(&setup, async |server| {
        server.wait_until_ready().await?;
        run_tests(directory, &tests, &tools, &api.join("session.json")).await
    });
    let counts = counts.await?.context(INTERRUPTED)?;
    print_line(&counts.to_line(started.elapsed().as_secs()));
    print_line(&format!("pictures of the pages are in {}", directory.display()));
    ensure!(counts.failed == 0, "{} tests in the browser failed; their output is above", counts.failed);
    Ok(())
}

/// The files of tests: those of the named pages, or all.
fn test_files(source: &Path, pages: &[String]) -> Result<Vec<String>> {
    let mut known = Vec::new();
    for file in fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))? {
        let name = file?.file_name().to_string_lossy().into_owned();
        known.extend(name.strip_suffix(TESTS).map(str::to_owned));
    }
    known.sort();
    for page in pages {
        ensure!(known.contains(page), "there are no tests of {page}: name one of {}", known.join(", "));
    }
    let chosen = if pages.is_empty() { &known } else { pages };
    Ok(chosen.iter().map(|page| format!("{page}{TESTS}")).collect())
}

/// Fills an empty directory with the tests and the packages that they import.
fn prepare(source: &Path, directory: &Path, tools: &BrowserTools) -> Result<()> {
    create_empty_dir(directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    copy_files(source, directory)?;
    // Node.js looks for packages beside the program.
    unix::fs::symlink(&tools.node_modules, directory.join("node_modules")).context("cannot link node_modules")
}

async fn run_tests(directory: &Path, tests: &[String], tools: &BrowserTools, session: &Path) -> Result<TestCounts> {
    let mut node = Command::new("node");
    // One file at a time: a browser needs a whole CPU.
    node.args(["--test", "--test-concurrency=1"]);
    node.args(["--test-reporter=spec", "--test-reporter-destination=stdout"]);
    node.args(["--test-reporter=tap", &format!("--test-reporter-destination={RESULTS}")]);
    node.args(tests).current_dir(directory);
    node.env("E2E_SESSION", session).env("CHROMIUM", &tools.chromium.program);
    node.envs(tools.chromium.environment.iter().map(|(name, value)| (name, value)));
    let status = ProcessGroup::spawn(node)?.wait().await?;
    let file = directory.join(RESULTS);
    let results = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let counts =
        TestCounts::of_tap(&results).with_context(|| format!("{} lacks the numbers of tests", file.display()))?;
    ensure!(status.success() || counts.failed > 0, "node failed ({status}); its output is above");
    ensure!(counts.passed + counts.failed > 0, "no test in the browser was run");
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::TempDir;

    #[test]
    fn tests_are_chosen_by_the_name_of_their_page() {
        let source = TempDir::new("browser");
        for name in ["upload.test.js", "docs.test.js", "browser.js"] {
            fs::write(source.0.join(name), "").unwrap();
        }
        let files = |pages: &[&str]| test_files(&source.0, &pages.iter().map(ToString::to_string).collect::<Vec<_>>());

        assert_eq!(files(&[]).unwrap(), ["docs.test.js", "upload.test.js"]);
        assert_eq!(files(&["upload"]).unwrap(), ["upload.test.js"]);
        let error = files(&["uplaod"]).unwrap_err().to_string();
        assert_eq!(error, "there are no tests of uplaod: name one of docs, upload");
    }
}
