//! `cargo xtask sbom`: one software bill of materials per function, in CycloneDX JSON: the crates that the function is linked
//! from, each with version, licence, checksum and package URL.
//!
//! cargo-cyclonedx reads `cargo metadata`, which resolves the features of all members together, tests and tools included: run
//! on the workspace itself, it lists the embedded engine as a part of every function. So it reads a copy of the manifests
//! ([`manifests`]), in which only the functions and their dependencies are left. It also writes into this copy, because it puts
//! each document beside a manifest. What it wrote is compared with `cargo tree` ([`contents`]), which resolves as a build does.
//!
//! A page also has files that no Cargo package is: `page/third-party.json` of its function lists them.
//!
//! Two runs write the same bytes, on any machine: with `SOURCE_DATE_EPOCH` a document has neither time nor serial number, and
//! the path of the copy is cut out.

mod contents;
mod manifests;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde_json::Value;

use self::contents::{Package, findings, packages};
use self::manifests::Function;
use crate::files::create_empty_dir;
use crate::{tools, workspace};

/// The newest version of CycloneDX that the tool writes.
const SPEC_VERSION: &str = "1.5";

/// The options of `cargo xtask sbom`.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// The architecture of the functions: the parameter `Architecture` of the template
    #[arg(long, value_enum, default_value_t)]
    architecture: Architecture,
}

/// An architecture that Lambda offers, in the spelling of the template.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Architecture {
    #[default]
    Arm64,
    #[value(name = "x86_64")]
    X86_64,
}

impl Architecture {
    fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86_64 => "x86_64-unknown-linux-gnu",
        }
    }
}

/// Writes and checks the documents: `target/sbom/<function>.cdx.json`.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let target = options.architecture.target();
    let tool = tools::cargo_cyclonedx(root)?;
    // A build downloads the crates of its own target only.
    tools::quietly(Command::new("cargo").args(["fetch", "--locked"]).current_dir(root))?;
    let copy = workspace::local_dir(root, "sbom-manifests");
    let functions = manifests::copy(root, &copy)?;
    generate(&tool, &copy, target)?;

    let directory = workspace::local_dir(root, "sbom");
    create_empty_dir(&directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    for function in &functions {
        let document = with_third_parties(&read_document(&copy, function)?, &root.join(&function.directory))?;
        let file = directory.join(format!("{}.cdx.json", function.name));
        fs::write(&file, document).with_context(|| format!("cannot write {}", file.display()))?;
    }
    check(root, &directory, &functions, target)?;
    let (count, directory) = (functions.len(), directory.display());
    writeln!(std::io::stdout().lock(), "{count} documents are in {directory}")
        .context("cannot write to standard output")
}

/// Runs cargo-cyclonedx, which writes a document for each binary of the copy.
fn generate(tool: &Path, copy: &Path, target: &str) -> Result<()> {
    let mut command = Command::new(tool);
    command.args(["cyclonedx", "--describe", "binaries", "--format", "json", "--spec-version", SPEC_VERSION]);
    command.args(["--no-build-deps", "--target", target]).arg("--manifest-path").arg(copy.join("Cargo.toml"));
    // Offline, Cargo takes every version from the lock file, and only removes the rest from it.
    command.env("SOURCE_DATE_EPOCH", "0").env("CARGO_NET_OFFLINE", "true");
    tools::quietly(&mut command).map(drop)
}

/// The document of a function, without the path of the copy.
fn read_document(copy: &Path, function: &Function) -> Result<String> {
    let file = copy.join(&function.directory).join(format!("{}_bin.cdx.json", function.name));
    let document = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(document.replace(&format!("path+file://{}", copy.display()), "path+file://"))
}

/// The document with what a page has from other places than Cargo: `page/third-party.json` lists it.
fn with_third_parties(document: &str, function: &Path) -> Result<String> {
    let list = function.join("page/third-party.json");
    if !list.exists() {
        return Ok(document.to_owned());
    }
    let text = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let third_parties: Vec<Value> =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", list.display()))?;
    let mut document: Value = serde_json::from_str(document).context("cargo-cyclonedx wrote no JSON")?;
    let components = document["components"].as_array_mut().context("cargo-cyclonedx wrote no components")?;
    components.extend(third_parties);
    Ok(serde_json::to_string_pretty(&document)?)
}

/// Compares the documents with the dependencies that Cargo builds.
fn check(root: &Path, directory: &Path, functions: &[Function], target: &str) -> Result<()> {
    let mut linked = Vec::new();
    for Function { name, .. } in functions {
        linked.push(cargo_tree(root, &["--edges", "normal", "--package", name, "--target", target])?);
    }
    let everything = ["--edges", "normal,dev", "--workspace", "--all-features", "--target", "all"];
    let mut developers = cargo_tree(root, &everything)?;
    developers.retain(|package| !linked.iter().any(|linked| linked.contains(package)));

    let mut all = Vec::new();
    for (Function { name, .. }, linked) in functions.iter().zip(&linked) {
        let file = directory.join(format!("{name}.cdx.json"));
        let document = serde_json::from_str(&fs::read_to_string(&file)?);
        let document = document.with_context(|| format!("cannot parse {}", file.display()))?;
        all.extend(findings(&document, linked, &developers).into_iter().map(|finding| format!("{name}: {finding}")));
    }
    ensure!(all.is_empty(), "the bills of materials are not what Cargo builds\n{}", all.join("\n"));
    Ok(())
}

/// The packages of a `cargo tree`.
fn cargo_tree(root: &Path, arguments: &[&str]) -> Result<BTreeSet<Package>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["tree", "--locked", "--prefix", "none"]).args(arguments).current_dir(root);
    Ok(packages(&tools::quietly(&mut cargo)?))
}
