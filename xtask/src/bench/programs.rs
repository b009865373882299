//! The programs that are measured: the functions of this checkout and of others, and the floors. They are built for release,
//! in a target directory of their own, with the certificate authority of the local TLS server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

use super::results::{BARE_FLOOR, FLOOR, NODE, OURS, PYTHON};
use super::tls::Authority;
use super::variant::{Operation, Variant};
use crate::tools;

/// The operations of the floor without the SDK: a bulk upload would need a pool of connections.
const BARE_OPERATIONS: [Operation; 5] =
    [Operation::Create, Operation::Update, Operation::Get0, Operation::Get50, Operation::List];

/// The names that a candidate cannot have.
const OTHER_VARIANTS: [&str; 5] = [OURS, FLOOR, BARE_FLOOR, NODE, PYTHON];

/// Another build of the functions, to be measured beside those of this checkout.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    name: String,
    /// A checkout, or a directory with built functions.
    directory: PathBuf,
}

/// Where the programs are built, and for which server.
pub(super) struct Builder<'a> {
    pub(super) root: &'a Path,
    /// The directory below which the target directories are.
    pub(super) directory: &'a Path,
    pub(super) authority: &'a Authority,
    /// A directory with the functions of this checkout and the floors, if they are built already.
    pub(super) programs: Option<PathBuf>,
}

impl FromStr for Candidate {
    type Err = String;

    /// Parses `NAME=DIR`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, _)) if OTHER_VARIANTS.contains(&name) => Err(format!("{name} is the name of another variant")),
            Some((name, directory)) if !name.is_empty() && !directory.is_empty() => {
                Ok(Self { name: name.to_owned(), directory: directory.into() })
            }
            _ => Err("must be NAME=DIR".to_owned()),
        }
    }
}

impl Builder<'_> {
    /// Builds the functions of this checkout, the candidates and the floors, and returns all of them as variants.
    pub(super) fn build(&self, operations: &[Operation], candidates: &[Candidate]) -> Result<Vec<Variant>> {
        let programs = match &self.programs {
            Some(programs) => programs.clone(),
            None => self.build_own(operations)?,
        };
        let mut variants = functions(OURS, &programs, operations);
        variants.push(floor(FLOOR, &programs, operations.to_vec()));
        let bare: Vec<_> = operations.iter().copied().filter(|operation| BARE_OPERATIONS.contains(operation)).collect();
        variants.push(floor(BARE_FLOOR, &programs, bare));
        for Candidate { name, directory } in candidates {
            let programs = if directory.join("Cargo.toml").is_file() {
                let target = self.directory.join("candidates").join(name);
                let built = self.build_packages(directory, &target, &function_names(operations));
                built.with_context(|| format!("cannot build the functions of {}", directory.display()))?
            } else {
                directory.clone()
            };
            variants.extend(functions(name, &programs, operations));
        }
        for variant in &variants {
            let program = variant.command.first().map(Path::new);
            ensure!(program.is_some_and(Path::is_file), "{}: there is no program {program:?}", variant.name);
        }
        Ok(variants)
    }

    /// Builds the functions of this checkout and the floors, and returns the directory with them. The floors are built on their
    /// own: beside the functions, they would get the features that these need of common crates.
    fn build_own(&self, operations: &[Operation]) -> Result<PathBuf> {
        let target = self.directory.join("build");
        self.build_packages(self.root, &target, &function_names(operations))?;
        self.build_packages(self.root, &target, &["bench-floor"])
    }

    /// Builds packages of a checkout, and returns the directory with their programs.
    fn build_packages(&self, checkout: &Path, target: &Path, packages: &[&str]) -> Result<PathBuf> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--locked", "--target-dir"]).arg(target);
        for package in packages {
            cargo.args(["--package", package]);
        }
        self.authority.trust(cargo.current_dir(checkout), &[]);
        for variable in tools::own_package_variables() {
            cargo.env_remove(variable);
        }
        tools::visibly(&mut cargo)?;
        Ok(target.join("release"))
    }
}

/// The functions in a directory, as variants of this name.
fn functions(name: &str, programs: &Path, operations: &[Operation]) -> Vec<Variant> {
    let mut variants = Vec::new();
    for function in function_names(operations) {
        let operations = operations.iter().copied().filter(|operation| operation.function() == function).collect();
        variants.push(variant(name, &programs.join(function), operations));
    }
    variants
}

fn floor(name: &str, programs: &Path, operations: Vec<Operation>) -> Variant {
    variant(name, &programs.join(name), operations)
}

fn variant(name: &str, program: &Path, operations: Vec<Operation>) -> Variant {
    Variant { name: name.to_owned(), operations, command: vec![program.into()], cwd: None, env: Vec::new() }
}

/// The names of the functions that perform these operations, each once.
pub(super) fn function_names(operations: &[Operation]) -> Vec<&'static str> {
    let mut names: Vec<_> = operations.iter().map(|operation| operation.function()).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_has_a_name_and_a_directory() {
        let candidate: Candidate = "lever=../lever=1".parse().unwrap();
        assert_eq!((candidate.name.as_str(), candidate.directory), ("lever", "../lever=1".into()));
        for text in ["lever", "=dir", "lever=", "", "ours=dir", "floor=dir", "node=dir"] {
            assert!(text.parse::<Candidate>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_function_performs_both_reads() {
        let operations = [Operation::Get0, Operation::Get50, Operation::List];
        let variants = functions("ours", Path::new("d"), &operations);
        assert_eq!(variants.len(), 2);
        assert_eq!(variants[0].operations, [Operation::Get0, Operation::Get50]);
        assert_eq!(variants[0].command, ["d/get-contact"]);
    }
}
