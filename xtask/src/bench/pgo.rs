//! `cargo xtask pgo`: trains a profile of the functions, with which the compiler optimizes a release.
//!
//! **Problem.** A request is a long way through much code that runs once, and the compiler does not know which branches it takes.
//!
//! **Approach.** The functions are built with counters, serve requests of every measured operation over TLS, and write what they have
//! counted when they end. `llvm-profdata` merges that to one profile. A build reads it by a flag of the compiler, so a release stays
//! what it is: `sam build`. The flag is all that goes to standard output.
//!
//! **The profile belongs to names.** The compiler looks a function up by its symbol, which depends on the target, the features,
//! the settings of the build profile, and how cargo-lambda calls Cargo, though not on flags and the linker. So the counters are built
//! by the command of a release, with other flags and another linker alone. A profile that does not fit, such as one of another
//! architecture, gains nothing, and nothing says so.
//!
//! **Rejected.** Building the release here, a second way to do it. `RUSTFLAGS`, which would replace the flag by which cargo-lambda
//! names the processor to compile for; `CARGO_BUILD_RUSTFLAGS` is added to it. A committed profile: it would have to be
//! trained again with every change, on two architectures.
//!
//! **If this is changed.** A profile is named by its content, because Cargo compiles a dependency again for another flag, not for
//! another file. Code that a trained function contains and no request ran is compiled to be small. Start and first requests count
//! as well, so each operation is performed by several processes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use sha2::{Digest, Sha256};

use super::programs::function_names;
use super::testbed::Testbed;
use super::tls::{Authority, TlsFront};
use super::variant::{Operation, Variant};
use crate::files::create_empty_dir;
use crate::results::print_line;
use crate::{template, tools, workspace};

/// The processes that perform an operation, one after the other.
const PROCESSES: usize = 10;
/// The requests that each of them serves.
const REQUESTS: usize = 50;
/// The rows of an upload.
const ROWS: usize = 100;

/// Trains a profile, and prints the flag that uses it.
pub(crate) async fn run(root: &Path) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "functions are trained on Linux, which Lambda runs on");
    let directory = workspace::local_dir(root, "pgo");
    let is_flag = directory.to_str().is_some_and(|path| !path.contains(char::is_whitespace));
    ensure!(
        is_flag,
        "{} has a space, which a flag of the compiler cannot have: use another directory",
        directory.display()
    );
    // First, because it fails within a second if something is missing.
    let profdata = tools::llvm_profdata(root)?;
    let authority = Authority::load_or_create(&directory.join("tls"))?;
    let counted = directory.join("counted");
    create_empty_dir(&counted).with_context(|| format!("cannot empty {}", counted.display()))?;

    let functions = function_names(Operation::value_variants());
    progress(&format!("Building {} with counters: 15 minutes on two cores ...", functions.join(", ")));
    let target = directory.join("build");
    let mut build = template::build_command(root, &functions)?;
    // Zig does not link the counters. Another linker leaves the symbols alone, another compiler of cargo-lambda does not.
    build.env(linker_variable(env::consts::ARCH), "cc");
    authority.trust(&mut build, &[&format!("-Cprofile-generate={}", counted.display())]);
    tools::with_progress(build.env("CARGO_TARGET_DIR", &target))?;

    let testbed = Testbed::start(root, &directory.join("functions")).await?;
    let front = TlsFront::start(&authority, testbed.url()).await?;
    for operation in Operation::value_variants() {
        progress(&format!("Training: {} ...", operation.name()));
        train(&testbed, &front, *operation, &target.join("lambda")).await?;
    }

    progress("Merging what the functions have counted ...");
    let profile = merge(profdata, functions.len(), &counted, &directory)?;
    progress(&format!("The profile is {}. The flag that uses it:", profile.display()));
    print_line(&flag(&profile));
    Ok(())
}

/// Performs an operation, by several processes.
async fn train(testbed: &Testbed, front: &TlsFront, operation: Operation, built: &Path) -> Result<()> {
    let program = built.join(operation.function()).join("bootstrap");
    let variant = Variant {
        name: "counted".to_owned(),
        operations: vec![operation],
        command: vec![program.into()],
        cwd: None,
        env: Vec::new(),
    };
    let scene = testbed.scene(operation)?.with_rows(ROWS).with_database(&front.url);
    for _ in 0..PROCESSES {
        let mut function = scene.start(&variant).await?;
        scene.warm_up(&mut function, REQUESTS).await?;
        function.close().await?;
    }
    Ok(())
}

/// Merges the files of all functions to a profile, which is named by its content.
fn merge(mut profdata: Command, functions: usize, counted: &Path, directory: &Path) -> Result<PathBuf> {
    // The processes of a function add their counts to one file.
    let files = counted.read_dir()?.count();
    ensure!(files == functions, "of {functions} functions, {files} have written what they counted");
    let merged = directory.join("merged.profdata");
    tools::quietly(profdata.arg("merge").arg(counted).arg("--output").arg(&merged))?;
    let content = fs::read(&merged).with_context(|| format!("cannot read {}", merged.display()))?;
    let profile = directory.join(file_name(&content));
    fs::rename(&merged, &profile).with_context(|| format!("cannot write {}", profile.display()))?;
    Ok(profile)
}

/// The variable that names the linker for an architecture.
fn linker_variable(architecture: &str) -> String {
    format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_LINKER", architecture.to_uppercase())
}

/// The name of the file with a profile.
fn file_name(content: &[u8]) -> String {
    let hash = hex::encode(Sha256::digest(content));
    format!("functions-{}.profdata", &hash[..16])
}

/// The compiler's flag for a profile.
fn flag(profile: &Path) -> String {
    format!("-Cprofile-use={}", profile.display())
}

#[expect(clippy::print_stderr, reason = "standard output has the flag alone")]
fn progress(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::TempDir;

    #[test]
    fn the_linker_is_that_of_the_target() {
        assert_eq!(linker_variable("x86_64"), "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER");
    }

    #[test]
    fn another_profile_has_another_flag() {
        let flag_of = |content: &[u8]| flag(&Path::new("/target/pgo").join(file_name(content)));
        assert_eq!(flag_of(b"a"), "-Cprofile-use=/target/pgo/functions-ca978112ca1bbdca.profdata");
        assert_ne!(flag_of(b"a"), flag_of(b"b"));
    }

    #[test]
    fn a_function_that_has_counted_nothing_is_an_error() {
        let directory = TempDir::new("pgo");
        let counted = directory.0.join("counted");
        create_empty_dir(&counted).unwrap();
        fs::write(counted.join("default_1_0.profraw"), "").unwrap();
        let error = merge(Command::new("true"), 5, &counted, &directory.0).unwrap_err().to_string();
        assert_eq!(error, "of 5 functions, 1 have written what they counted");
    }
}
