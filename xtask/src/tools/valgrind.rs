//! Valgrind, which counts the instructions of a program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use super::{Tool, quietly};

/// The commands that install a package of this Debian or Ubuntu without being root.
const INSTALLERS: [&str; 2] = ["apt-get", "dpkg-deb"];

/// Valgrind, and the environment variables that it needs.
#[derive(Debug)]
pub(crate) struct Valgrind {
    pub(crate) program: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

/// Valgrind on the `PATH`, or else the one in the package of this Debian or Ubuntu. Its version is not pinned, because what it
/// counts does not depend on it.
pub(crate) fn valgrind(root: &Path) -> Result<Valgrind> {
    let path = env::var_os("PATH").unwrap_or_default();
    if let Some(program) = find("valgrind", &path) {
        return Ok(Valgrind { program, environment: Vec::new() });
    }
    let can_install = INSTALLERS.iter().all(|installer| find(installer, &path).is_some());
    ensure!(can_install, "Valgrind is needed: install it and run this again");
    let tool = Tool { name: "valgrind", pin: "the package of this system", description: "Valgrind (80 MB)" };
    let home = tool.ensure_installed(root, |home| {
        let download = || quietly(Command::new("apt-get").args(["download", "valgrind"]).current_dir(home));
        if download().is_err() {
            // A new machine has no list of packages yet. To get one takes root.
            let update = quietly(Command::new("apt-get").arg("update"));
            update
                .and_then(|_| download())
                .context("cannot download its package: run `sudo apt-get install valgrind`")?;
        }
        let package = find_package(home)?;
        quietly(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(home))?;
        fs::remove_file(package).map_err(Into::into)
    })?;
    let libraries = home.join("usr/libexec/valgrind");
    let environment = vec![("VALGRIND_LIB".to_owned(), libraries.display().to_string())];
    Ok(Valgrind { program: home.join("usr/bin/valgrind"), environment })
}

/// A program in the directories of a `PATH`.
fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The package in a directory.
fn find_package(directory: &Path) -> Result<PathBuf> {
    for entry in directory.read_dir()? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            return Ok(file);
        }
    }
    bail!("apt-get has downloaded no package")
}
