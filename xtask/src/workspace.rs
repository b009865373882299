//! The directories of a checkout.
//!
//! They are found at run time, never by `env!`: checkouts that share a target directory share this binary as well.
//!
//! - **Per checkout**, always under `<root>/target`: data, credentials and logs ([`local_dir`]). Two checkouts can run
//!   `cargo dev` at the same time, on different ports.
//! - **Per target directory**, wherever `CARGO_TARGET_DIR` or Cargo's configuration puts it: installed tools
//!   ([`cargo_target_dir`]).
//!
//! Without `CARGO_TARGET_DIR` the two are the same directory.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use toml_edit::DocumentMut;

use crate::tools;

/// This package's entry in the `members` of the workspace.
const MEMBER: &str = "xtask";

/// Finds the root of the checkout that this command belongs to.
pub(crate) fn find_root() -> Result<PathBuf> {
    // `cargo run` sets it to the directory of this package, wherever in the checkout it is called.
    match env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) => nearest_workspace(Path::new(&package)),
        None => nearest_workspace(&env::current_dir().context("cannot read the current directory")?),
    }
}

/// The directory for a checkout's own files of one kind: `<root>/target/<name>`.
pub(crate) fn local_dir(root: &Path, name: &str) -> PathBuf {
    root.join("target").join(name)
}

/// Cargo's target directory, which several checkouts may share.
pub(crate) fn cargo_target_dir(root: &Path) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }

    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root);
    let output = tools::quietly(&mut cargo)?;
    let metadata: Metadata = serde_json::from_str(&output).context("cannot read the output of `cargo metadata`")?;
    Ok(metadata.target_directory)
}

/// The nearest directory, from `start` upwards, with the manifest of a workspace that has this package as a member.
fn nearest_workspace(start: &Path) -> Result<PathBuf> {
    for directory in start.ancestors() {
        let manifest = directory.join("Cargo.toml");
        match fs::read_to_string(&manifest) {
            Ok(text) => {
                if has_member(&text).with_context(|| format!("cannot parse {}", manifest.display()))? {
                    return Ok(directory.to_owned());
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", manifest.display())),
        }
    }
    bail!("{} is not in a checkout of this project: change to one and run this again", start.display())
}

fn has_member(manifest: &str) -> Result<bool> {
    let manifest: DocumentMut = manifest.parse()?;
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members"));
    let Some(members) = members.and_then(|members| members.as_array()) else { return Ok(false) };
    Ok(members.iter().any(|member| member.as_str() == Some(MEMBER)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::TempDir;

    /// Creates a directory in a directory, and writes its manifest.
    fn manifest(parent: &TempDir, directory: &str, text: &str) -> PathBuf {
        let directory = parent.0.join(directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("Cargo.toml"), text).unwrap();
        directory
    }

    #[test]
    fn the_root_is_the_nearest_workspace_with_this_package() {
        let directory = TempDir::new("root");
        manifest(&directory, "outer", "[workspace]\nmembers = ['xtask']\n");
        let root = manifest(&directory, "outer/inner", "[workspace]\nmembers = ['functions/*', 'xtask']\n");
        manifest(&directory, "outer/inner/other", "[workspace]\nmembers = ['tool']\n");
        let package = manifest(&directory, "outer/inner/other/tool", "[package]\nname = 'tool'\n");

        assert_eq!(nearest_workspace(&root).unwrap(), root);
        assert_eq!(nearest_workspace(&package).unwrap(), root);
        assert_eq!(nearest_workspace(&root.join("no/manifest/here")).unwrap(), root);
    }

    #[test]
    fn a_directory_outside_of_a_checkout_is_an_error_that_names_it() {
        let directory = TempDir::new("outside");
        let error = nearest_workspace(&directory.0).unwrap_err().to_string();
        assert!(error.starts_with(&directory.0.display().to_string()), "{error}");
        assert!(error.contains("is not in a checkout"), "{error}");
    }

    #[test]
    fn an_invalid_manifest_is_an_error_that_names_it() {
        let directory = TempDir::new("invalid");
        let package = manifest(&directory, "package", "[workspace");
        let error = nearest_workspace(&package).unwrap_err().to_string();
        assert_eq!(error, format!("cannot parse {}", package.join("Cargo.toml").display()));
    }

    #[test]
    fn the_target_directory_is_the_one_that_cargo_uses() {
        let root = find_root().unwrap();
        let target = cargo_target_dir(&root).unwrap();
        assert!(target.join("CACHEDIR.TAG").is_file(), "{}", target.display());
    }
}
