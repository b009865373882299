//! Valgrind, which counts the instructions of a program.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::{Tool, debian, on_path};

/// Valgrind, and the environment variables that it needs.
#[derive(Debug)]
pub(crate) struct Valgrind {
    pub(crate) program: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

/// Valgrind on the `PATH`, or else the one in the package of this Debian or Ubuntu. Its version is not pinned, because what it
/// counts does not depend on it.
pub(crate) fn valgrind(root: &Path) -> Result<Valgrind> {
    if let Some(program) = on_path("valgrind") {
        return Ok(Valgrind { program, environment: Vec::new() });
    }
    ensure!(debian::can_unpack(), "Valgrind is needed: install it and run this again");
    let tool = Tool { name: "valgrind", pin: "the package of this system", description: "Valgrind (80 MB)" };
    let home = tool.ensure_installed(root, |home| debian::unpack(&["valgrind"], home))?;
    let libraries = home.join("usr/libexec/valgrind");
    let environment = vec![("VALGRIND_LIB".to_owned(), libraries.display().to_string())];
    Ok(Valgrind { program: home.join("usr/bin/valgrind"), environment })
}
