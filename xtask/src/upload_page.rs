//! `cargo xtask upload-page`: type-checks, tests and bundles the page of `GET /upload`.
//!
//! The sources in `functions/get-upload/page` become one file beside them, `upload.html`. It is committed, so that the function
//! builds with Rust alone. The compiler and the bundler are npm packages, and find each other and the sources in a mirror of
//! the checkout under `target/upload-page`.

use std::fs;
use std::os::unix;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::files::{copy_files, create_empty_dir, write_atomically};
use crate::results::{TestCounts, print_line};
use crate::{tools, workspace};

/// The options of `cargo xtask upload-page`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only compare: write nothing, and fail if the page is out of date
    #[arg(long)]
    check: bool,
}

/// The sources of the page.
const PAGE: &str = "functions/get-upload/page";
/// The configuration of the compiler and the bundler.
const BUILD: &str = "xtask/upload-page";
/// The directories that are mirrored.
const MIRRORED: [&str; 3] = [PAGE, "shared/csv-import", BUILD];
/// The page, in the directory of its sources and of what is built.
const OUTPUT: &str = "upload.html";

/// Checks the sources, and writes the page or compares it.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let started = Instant::now();
    let mirror = Mirror::create(root)?;
    let (build, built) = (mirror.0.join(BUILD), mirror.0.join("built"));
    let run = |command: &mut Command, directory: &Path| tools::quietly(command.current_dir(directory));
    run(Command::new(mirror.0.join("node_modules/.bin/tsc")).args(["--project", "tsconfig.json"]), &build)?;
    run(Command::new("node").arg("build.mjs").arg(mirror.0.join(PAGE)).arg(&built), &build)?;
    let results = run(Command::new("node").args(["--test", "--test-reporter=tap"]), &built.join("tests"))?;
    let counts = TestCounts::of_tap(&results).context("node --test has printed no number of tests")?;
    ensure!(counts.passed > 0 && counts.failed == 0, "tests of the page were skipped, or none was run");
    print_line(&counts.to_line(started.elapsed().as_secs()));
    let page = fs::read_to_string(built.join(OUTPUT)).context("cannot read the page that was built")?;
    let committed = root.join(PAGE).join(OUTPUT);
    if fs::read_to_string(&committed).is_ok_and(|text| text == page) {
        print_line(&format!("{PAGE}/{OUTPUT} is up to date"));
        return Ok(());
    }
    ensure!(!options.check, "{PAGE}/{OUTPUT} is out of date: run `cargo xtask upload-page` and commit it");
    write_atomically(&committed, &page)?;
    print_line(&format!("wrote {PAGE}/{OUTPUT}"));
    Ok(())
}

/// A directory with the sources at the paths that they have in the checkout, and the npm packages.
struct Mirror(PathBuf);

impl Mirror {
    fn create(root: &Path) -> Result<Self> {
        let node_modules = tools::upload_page_node_modules(root)?;
        let path = workspace::local_dir(root, "upload-page");
        create_empty_dir(&path).with_context(|| format!("cannot empty {}", path.display()))?;
        // Node.js looks for packages in the directories above the program.
        unix::fs::symlink(&node_modules, path.join("node_modules")).context("cannot link node_modules")?;
        for directory in MIRRORED {
            let to = path.join(directory);
            fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
            copy_files(&root.join(directory), &to)?;
        }
        Ok(Self(path))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_bill_of_materials_has_the_version_of_the_parser() {
        let root = workspace::find_root().unwrap();
        let json =
            |file: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(root.join(file)).unwrap()).unwrap() };
        let locked = json("xtask/upload-page/package-lock.json");
        let listed = json("functions/get-upload/page/third-party.json");
        assert_eq!(listed[0]["version"], locked["packages"]["node_modules/papaparse"]["version"]);
        let version = listed[0]["version"].as_str().unwrap();
        assert_eq!(listed[0]["purl"], format!("pkg:npm/papaparse@{version}"));
    }
}
