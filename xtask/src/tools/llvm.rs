//! `llvm-profdata`, which merges the profiles of instrumented programs.
//!
//! It has to read what programs of this compiler write, and the compiler has to read what it writes. Versions of LLVM differ in the
//! first format rarely: 19 reads that of 22. The second format is read by the same and later versions.

use std::env;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Tool, debian, on_path, quietly};

/// The oldest version of LLVM that reads the profiles of the oldest compiler for this project.
const OLDEST: u32 = 19;

/// The program of the compiler's toolchain, or a fitting one on the `PATH`, or else the one in a package of this Debian or Ubuntu.
pub(crate) fn llvm_profdata(root: &Path) -> Result<Command> {
    let compiler = quietly(Command::new("rustc").arg("-vV"))?;
    let newest = parse_version(&compiler).context("rustc does not say which LLVM it has")?;
    let fitting = OLDEST..=newest;
    if let Some(program) = installed(&fitting)? {
        return Ok(Command::new(program));
    }
    let advice = format!(
        "llvm-profdata {OLDEST} to {newest} is needed: run `rustup component add llvm-tools`, or install LLVM, and run this again"
    );
    if !debian::can_unpack() {
        bail!(advice);
    }
    let pin = format!("the newest package of this system up to {newest}");
    let tool = Tool { name: "llvm", pin: &pin, description: "llvm-profdata of LLVM (0.3 GB)" };
    let home = tool.ensure_installed(root, |home| unpack(fitting.clone(), home).context(advice))?;
    let program = fitting.rev().map(|version| in_package(&home, version)).find(|file| file.is_file());
    let mut command = Command::new(program.context("the package of LLVM has no llvm-profdata")?);
    command.env("LD_LIBRARY_PATH", home.join(format!("usr/lib/{}-linux-gnu", env::consts::ARCH)));
    Ok(command)
}

/// The program of the toolchain, whose version is that of the compiler, or one on the `PATH`.
fn installed(fitting: &RangeInclusive<u32>) -> Result<Option<PathBuf>> {
    let libraries = quietly(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let component = Path::new(libraries.trim()).with_file_name("bin").join("llvm-profdata");
    if component.is_file() {
        return Ok(Some(component));
    }
    let names = fitting.clone().rev().map(|version| format!("llvm-profdata-{version}"));
    let candidates = ["llvm-profdata".to_owned()].into_iter().chain(names).filter_map(|name| on_path(&name));
    let is_fitting = |program: &PathBuf| {
        let output = quietly(Command::new(program).arg("--version")).ok();
        output.and_then(|output| parse_version(&output)).is_some_and(|version| fitting.contains(&version))
    };
    Ok(candidates.into_iter().find(is_fitting))
}

/// Unpacks the newest version that this system has.
fn unpack(fitting: RangeInclusive<u32>, home: &Path) -> Result<()> {
    let mut outcome = Ok(());
    for version in fitting.rev() {
        outcome = debian::unpack(&[&format!("llvm-{version}"), &format!("libllvm{version}"), "libz3-4"], home);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn in_package(home: &Path, version: u32) -> PathBuf {
    home.join(format!("usr/lib/llvm-{version}/bin/llvm-profdata"))
}

/// The major version in the output of `rustc -vV` or of a program of LLVM: 22 for `LLVM version: 22.1.2` and
/// `Debian LLVM version 22.1.8`.
fn parse_version(output: &str) -> Option<u32> {
    let (_, version) = output.split_once("LLVM version")?;
    version.trim_start_matches(':').trim_start().split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_llvm_is_read_from_the_compiler_and_from_programs() {
        for (output, version) in [
            ("rustc 1.95.0\nrelease: 1.95.0\nLLVM version: 22.1.2\n", Some(22)),
            ("Debian LLVM version 19.1.7\n  Optimized build.\n", Some(19)),
            ("LLVM (http://llvm.org/):\n  LLVM version 14.0.6\n", Some(14)),
            ("release: 1.95.0", None),
        ] {
            assert_eq!(parse_version(output), version, "{output}");
        }
    }
}
