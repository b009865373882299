//! `cargo xtask sbom`: one software bill of materials per function, in CycloneDX JSON: the crates that the function is linked
//! from, each with version, licence, checksum and package URL.
//!
//! cargo-cyclonedx reads `cargo metadata`, which resolves the features of all members together, tests and tools included: run
//! on the workspace itself, it lists the embedded engine as a part of every function. So it reads a copy of the manifests
//! ([`manifests`]), in which only the functions and their dependencies are left. It also writes into this copy, because it puts
//! each document beside a manifest. What it wrote is reduced to what `cargo tree` lists ([`contents`]), which resolves as a build
//! does.
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

use self::contents::{Package, findings, keep_linked, packages};
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

    let documents = workspace::local_dir(root, "sbom");
    create_empty_dir(&documents).with_context(|| format!("cannot empty {}", documents.display()))?;
    let mut all = Vec::new();
    for Function { name, directory } in &functions {
        let linked = cargo_tree(root, &["--edges", "normal", "--package", name, "--target", target])?;
        let mut document = read_document(&copy, name, directory)?;
        keep_linked(&mut document, &linked);
        add_third_parties(&mut document, &root.join(directory))?;
        let file = documents.join(format!("{name}.cdx.json"));
        let text = serde_json::to_string_pretty(&document)?;
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        all.extend(findings(&document, &linked).into_iter().map(|finding| format!("{name}: {finding}")));
    }
    ensure!(all.is_empty(), "the bills of materials are not what Cargo builds\n{}", all.join("\n"));
    let (count, documents) = (functions.len(), documents.display());
    writeln!(std::io::stdout().lock(), "{count} documents are in {documents}")
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
fn read_document(copy: &Path, name: &str, directory: &Path) -> Result<Value> {
    let file = copy.join(directory).join(format!("{name}_bin.cdx.json"));
    let document = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&document.replace(&format!("path+file://{}", copy.display()), "path+file://"))
        .context("cargo-cyclonedx wrote no JSON")
}

/// Adds what a page has from other places than Cargo: `page/third-party.json` lists it.
fn add_third_parties(document: &mut Value, function: &Path) -> Result<()> {
    let list = function.join("page/third-party.json");
    if !list.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let third_parties: Vec<Value> =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", list.display()))?;
    let components = document["components"].as_array_mut().context("cargo-cyclonedx wrote no components")?;
    components.extend(third_parties);
    Ok(())
}

/// The packages of a `cargo tree`.
fn cargo_tree(root: &Path, arguments: &[&str]) -> Result<BTreeSet<Package>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["tree", "--locked", "--prefix", "none"]).args(arguments).current_dir(root);
    Ok(packages(&tools::quietly(&mut cargo)?))
}
