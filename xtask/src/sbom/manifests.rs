//! The copy of the workspace's manifests that cargo-cyclonedx reads.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use toml_edit::DocumentMut;

use crate::files::create_empty_dir;
use crate::tools;

/// A function of the workspace.
pub(super) struct Function {
    /// The name of its package and of its binary.
    pub(super) name: String,
    /// The directory of its package, from the root.
    pub(super) directory: PathBuf,
}

/// The output of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_default_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Copies the manifests of the default members, which are the functions and their libraries, without their tests. Returns the
/// functions.
pub(super) fn copy(root: &Path, destination: &Path) -> Result<Vec<Function>> {
    create_empty_dir(destination).with_context(|| format!("cannot empty {}", destination.display()))?;
    fs::copy(root.join("Cargo.lock"), destination.join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    copy_manifest(root, destination, without_other_members)?;

    let mut functions = Vec::new();
    for package in default_members(root)? {
        let directory = package.manifest_path.parent().and_then(|directory| directory.strip_prefix(root).ok());
        let directory = directory.with_context(|| format!("{} is outside of the checkout", package.name))?;
        let (original, copy) = (root.join(directory), destination.join(directory));
        fs::create_dir_all(&copy).with_context(|| format!("cannot create {}", copy.display()))?;
        copy_manifest(&original, &copy, without_tests)?;
        // Cargo finds the binaries and libraries of a package by their files.
        symlink(original.join("src"), copy.join("src"))
            .with_context(|| format!("cannot write to {}", copy.display()))?;
        let mut binaries = package.targets.into_iter().filter(|target| target.kind.iter().any(|kind| kind == "bin"));
        functions.extend(binaries.next().map(|binary| Function { name: binary.name, directory: directory.to_owned() }));
    }
    Ok(functions)
}

fn default_members(root: &Path) -> Result<impl Iterator<Item = Package>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root);
    let metadata = serde_json::from_str(&tools::quietly(&mut cargo)?);
    let Metadata { packages, workspace_default_members } =
        metadata.context("cannot read the output of `cargo metadata`")?;
    Ok(packages.into_iter().filter(move |package| workspace_default_members.contains(&package.id)))
}

fn copy_manifest(from: &Path, to: &Path, edit: impl FnOnce(&mut DocumentMut)) -> Result<()> {
    let (from, to) = (from.join("Cargo.toml"), to.join("Cargo.toml"));
    let text = fs::read_to_string(&from).with_context(|| format!("cannot read {}", from.display()))?;
    let mut manifest = text.parse().with_context(|| format!("cannot parse {}", from.display()))?;
    edit(&mut manifest);
    fs::write(&to, manifest.to_string()).with_context(|| format!("cannot write {}", to.display()))
}

/// Reduces a workspace to its default members.
fn without_other_members(manifest: &mut DocumentMut) {
    manifest["workspace"]["members"] = manifest["workspace"]["default-members"].clone();
}

/// Removes the dependencies of a package's tests, and the tests that it names.
fn without_tests(manifest: &mut DocumentMut) {
    for table in ["dev-dependencies", "test"] {
        manifest.remove(table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    fn edited(text: &str, edit: impl FnOnce(&mut DocumentMut)) -> String {
        let mut manifest = text.parse().unwrap();
        edit(&mut manifest);
        manifest.to_string()
    }

    #[test]
    fn tools_are_no_members_of_the_copy() {
        let workspace = "[workspace]\nmembers = ['functions/*', 'xtask']\ndefault-members = ['functions/*']\n";
        let expected = "[workspace]\nmembers = ['functions/*']\ndefault-members = ['functions/*']\n";
        assert_eq!(edited(workspace, without_other_members), expected);
    }

    #[test]
    fn tests_are_left_out_of_the_copy() {
        let package = "[dependencies]\nserde = '1'\n\n[dev-dependencies]\nengine = '1'\n\n[[test]]\nname = 'e2e'\n";
        assert_eq!(edited(package, without_tests), "[dependencies]\nserde = '1'\n");
    }

    #[test]
    fn the_functions_are_those_of_the_template() {
        let root = workspace::find_root().unwrap();
        let names: Vec<_> = default_members(&root).unwrap().map(|package| package.name).collect();
        for name in ["create-contact", "cascade-delete", "shared"] {
            assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
        }
        assert!(!names.iter().any(|found| found == "xtask"), "{names:?}");
    }
}
