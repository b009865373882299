//! The external tools of the commands, each at one pinned version. A missing one is installed under `target/tools`,
//! and nowhere else on the machine.

mod chromium;
mod debian;
mod llvm;
mod valgrind;

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

pub(crate) use self::chromium::{BrowserTools, browser};
pub(crate) use self::llvm::llvm_profdata;
pub(crate) use self::valgrind::{Valgrind, valgrind};
use crate::files::create_empty_dir;
use crate::workspace;

const CARGO_LAMBDA: &str = "1.9.2";
const CARGO_DENY: &str = "0.20.2";
const CARGO_CYCLONEDX: &str = "0.5.9";
/// The linker of `cargo lambda build`. Pinned because the cargo-lambda package accepts any version of it.
const ZIG: &str = "0.17.1";
/// The version of the npm package `amplify-dynamodb-simulator`, which contains AWS's `DynamoDBLocal.jar`.
const DYNAMODB_LOCAL: &str = "2.9.30";
/// The oldest Java version that runs DynamoDB Local.
const JAVA: u32 = 17;
/// The oldest Node.js version that runs the packages of the files `package.json` below `xtask`.
const NODE: u32 = 20;
/// The oldest minor version of Python 3 that runs cargo-lambda and the packages of `xtask/requirements.txt`.
const PYTHON: u32 = 10;
/// The oldest minor version of Python 3 that runs the packages of `xtask/clients/requirements.txt`.
const CLIENT_PYTHON: u32 = 11;
/// The oldest minor version of Python 3 that runs the peer in `xtask/bench/python` with its packages.
const BENCH_PYTHON: u32 = 11;

/// The path of the cargo-lambda binary: the one on the `PATH` if it has the pinned version, else the installed one.
///
/// `cargo lambda build` needs the binary's directory on the `PATH` ([`path_with`]), because the linker is in it as well.
pub(crate) fn cargo_lambda(root: &Path) -> Result<PathBuf> {
    if let Some(found) = cargo_lambda_on_path() {
        return Ok(found);
    }
    let tool = Tool {
        name: "cargo-lambda",
        pin: CARGO_LAMBDA,
        description: &format!(
            "cargo-lambda {CARGO_LAMBDA} (0.5 GB; without Python it is compiled, which takes minutes)"
        ),
    };
    let home = tool.ensure_installed(root, |home| {
        if let Ok(python) = python(PYTHON) {
            let packages = [format!("cargo-lambda=={CARGO_LAMBDA}"), format!("ziglang=={ZIG}")];
            return create_virtual_environment(python, home, &packages);
        }
        compile("cargo-lambda", CARGO_LAMBDA, home)
    })?;
    Ok(home.join("bin/cargo-lambda"))
}

/// The path of the cargo-deny binary.
pub(crate) fn cargo_deny(root: &Path) -> Result<PathBuf> {
    let tool = Tool {
        name: "cargo-deny",
        pin: CARGO_DENY,
        description: &format!("cargo-deny {CARGO_DENY} (it is compiled, which takes minutes)"),
    };
    let home = tool.ensure_installed(root, |home| compile("cargo-deny", CARGO_DENY, home))?;
    Ok(home.join("bin/cargo-deny"))
}

/// The path of the cargo-cyclonedx binary.
pub(crate) fn cargo_cyclonedx(root: &Path) -> Result<PathBuf> {
    let tool = Tool {
        name: "cargo-cyclonedx",
        pin: CARGO_CYCLONEDX,
        description: &format!("cargo-cyclonedx {CARGO_CYCLONEDX} (it is compiled, which takes minutes)"),
    };
    let home = tool.ensure_installed(root, |home| compile("cargo-cyclonedx", CARGO_CYCLONEDX, home))?;
    Ok(home.join("bin/cargo-cyclonedx"))
}

/// The directory with `sam`, `cfn-lint`, and the `python` that can import their modules, at the versions of
/// `xtask/requirements.txt`.
pub(crate) fn python_tools(root: &Path) -> Result<PathBuf> {
    python_packages(root, "python", "xtask/requirements.txt", PYTHON, "sam and cfn-lint (0.3 GB)")
}

/// The directory of the `python` that can import the emulated cloud and its clients, at the versions of
/// `xtask/cloud/requirements.txt`.
pub(crate) fn cloud_python(root: &Path) -> Result<PathBuf> {
    let list = "xtask/cloud/requirements.txt";
    python_packages(root, "cloud", list, PYTHON, "the emulated cloud, MiniStack (0.2 GB)")
}

/// The path of schemathesis, at the versions of `xtask/prove/requirements.txt`.
pub(crate) fn schemathesis(root: &Path) -> Result<PathBuf> {
    let list = "xtask/prove/requirements.txt";
    Ok(python_packages(root, "schemathesis", list, PYTHON, "schemathesis (0.1 GB)")?.join("schemathesis"))
}

/// The directory with `openapi-python-client`, `mypy`, and the `python` that runs generated clients, at the versions of
/// `xtask/clients/requirements.txt`.
pub(crate) fn client_python(root: &Path) -> Result<PathBuf> {
    let list = "xtask/clients/requirements.txt";
    python_packages(root, "client-python", list, CLIENT_PYTHON, "openapi-python-client and mypy (0.2 GB)")
}

/// The directory with the packages of `xtask/clients/package-lock.json`: the linters of `openapi.json`, the generators of
/// TypeScript clients, and the compiler.
pub(crate) fn client_node_modules(root: &Path) -> Result<PathBuf> {
    let description = "OpenAPI linters and generators (0.2 GB)";
    Ok(npm_packages(root, "client-npm", "xtask/clients", description, |_| Ok(()))?.join("node_modules"))
}

/// The path of newman, at the version of `xtask/postman/package-lock.json`.
pub(crate) fn newman(root: &Path) -> Result<PathBuf> {
    let description = "newman, the runner of Postman collections (70 MB)";
    Ok(npm_packages(root, "newman", "xtask/postman", description, |_| Ok(()))?.join("node_modules/.bin/newman"))
}

/// The directory with the packages of `xtask/upload-page/package-lock.json`: the compiler and the bundler of the upload page.
pub(crate) fn upload_page_node_modules(root: &Path) -> Result<PathBuf> {
    let description = "TypeScript and esbuild (40 MB)";
    Ok(npm_packages(root, "upload-page-npm", "xtask/upload-page", description, |_| Ok(()))?.join("node_modules"))
}

/// The directory with the packages of `xtask/bench/node/package-lock.json`: those of the benchmark's peer in Node.js.
pub(crate) fn bench_node_modules(root: &Path) -> Result<PathBuf> {
    let description = "the AWS SDK for JavaScript, zod and esbuild (40 MB)";
    Ok(npm_packages(root, "bench-npm", "xtask/bench/node", description, |_| Ok(()))?.join("node_modules"))
}

/// The directory of the `python` that runs the benchmark's peer in Python, with the packages of
/// `xtask/bench/python/requirements.txt`.
pub(crate) fn bench_python(root: &Path) -> Result<PathBuf> {
    let list = "xtask/bench/python/requirements.txt";
    python_packages(root, "bench-python", list, BENCH_PYTHON, "FastAPI, Mangum and boto3 (0.1 GB)")
}

/// The directory of AWS's DynamoDB Local, which has to run in it:
/// `java -Djava.library.path=./DynamoDBLocal_lib -jar DynamoDBLocal.jar -inMemory -sharedDb -port PORT`.
pub(crate) fn dynamodb_local(root: &Path) -> Result<PathBuf> {
    ensure!(java_version() >= Some(JAVA), "DynamoDB Local needs Java {JAVA} or newer: install it and run this again");
    let tool = Tool { name: "dynamodb-local", pin: DYNAMODB_LOCAL, description: "DynamoDB Local (60 MB)" };
    let home = tool.ensure_installed(root, |home| {
        let mut npm = Command::new("npm");
        npm.arg("pack").arg(format!("amplify-dynamodb-simulator@{DYNAMODB_LOCAL}")).arg("--pack-destination").arg(home);
        quietly(&mut npm)?;
        let archive = home.join(format!("amplify-dynamodb-simulator-{DYNAMODB_LOCAL}.tgz"));
        quietly(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(home))?;
        fs::remove_file(archive).map_err(Into::into)
    })?;
    Ok(home.join("package/emulator"))
}

/// The `PATH` of this process with the directories `first` in front of it.
pub(crate) fn path_with(first: &[&Path]) -> Result<OsString> {
    let inherited = env::var_os("PATH").unwrap_or_default();
    let all = first.iter().map(PathBuf::from).chain(env::split_paths(&inherited));
    env::join_paths(all).context("a directory for the PATH contains the separator of the PATH")
}

/// Runs a command without showing its output, and returns its standard output. The error of a failed command contains
/// all that it printed.
pub(crate) fn quietly(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}: install it"))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{name} failed ({})\n{stdout}{stderr}", output.status);
    Ok(stdout.into_owned())
}

/// Runs a command of minutes, and shows its progress. All of it goes to standard error: standard output belongs to the
/// result of this process.
pub(crate) fn with_progress(command: &mut Command) -> Result<()> {
    visibly(command.stdout(std::io::stderr()))
}

/// Runs a command that prints to the terminal.
pub(crate) fn visibly(command: &mut Command) -> Result<()> {
    let name = name(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {name}: install it"))?;
    ensure!(status.success(), "{name} failed ({status}); its output is above");
    Ok(())
}

/// The variables that `cargo run` sets to describe this package. A `cargo` that this process starts must not inherit
/// them: some build scripts depend on them, so it and the developer's `cargo` would undo each other's builds.
pub(crate) fn own_package_variables() -> impl Iterator<Item = OsString> {
    let describes_package = |name: &OsString| {
        name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    };
    env::vars_os().map(|(name, _)| name).filter(describes_package)
}

/// Compiles a Cargo subcommand from its published source, with few optimizations: they take longer than they save.
fn compile(tool: &str, version: &str, home: &Path) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["install", tool, "--locked", "--version", version, "--root"]).arg(home);
    cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
    cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    with_progress(&mut cargo)
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A tool that is installed on first use.
struct Tool<'a> {
    /// Its directory under `target/tools`.
    name: &'a str,
    /// The exact version, or versions.
    pin: &'a str,
    /// Its name and size, for the developer who waits for the download.
    description: &'a str,
}

impl Tool<'_> {
    /// Installs the tool with `fill`, which is given an empty directory, unless it is installed already. Returns the
    /// tool's directory.
    fn ensure_installed(&self, root: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        self.ensure_installed_in(&workspace::cargo_target_dir(root)?.join("tools"), fill)
    }

    /// A marker file, written last, tells a complete installation from an interrupted one. Installing elsewhere and
    /// renaming the directory is no alternative, because a virtual environment contains its own path. The marker contains
    /// the path too, so that a directory that was moved is installed again.
    fn ensure_installed_in(&self, tools: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let Self { name, pin, description } = self;
        let home = tools.join(name);
        let marker = home.join(".complete");
        let complete = format!("{}\n{pin}", home.display());

        fs::create_dir_all(tools).with_context(|| format!("cannot create {}", tools.display()))?;
        // Of two commands, also of two checkouts, one installs and the other one waits. Returning closes the file, which
        // releases the lock.
        let lock = tools.join(format!("{name}.lock"));
        let lock = File::create(&lock).with_context(|| format!("cannot create {}", lock.display()))?;
        lock.lock().with_context(|| format!("cannot lock the installation of {name}"))?;
        if fs::read_to_string(&marker).is_ok_and(|found| found == complete) {
            return Ok(home);
        }
        announce_installation(description, &home);
        create_empty_dir(&home).with_context(|| format!("cannot empty {}", home.display()))?;
        fill(&home).with_context(|| format!("cannot install {name}"))?;
        fs::write(&marker, complete).with_context(|| format!("cannot write {}", marker.display()))?;
        Ok(home)
    }
}

#[expect(clippy::print_stderr, reason = "the developer waits for the download")]
fn announce_installation(description: &str, home: &Path) {
    eprintln!("Installing {description} in {} ...", home.display());
}

/// The first program of this name in the directories of the `PATH`.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// cargo-lambda, if the first one on the `PATH` has the pinned version.
fn cargo_lambda_on_path() -> Option<PathBuf> {
    let found = on_path("cargo-lambda")?;
    let output = quietly(Command::new(&found).args(["lambda", "--version"])).ok()?;
    let version = output.split_whitespace().nth(1)?;
    if version == CARGO_LAMBDA { Some(found) } else { None }
}

/// A Python of at least this minor version that can create virtual environments.
fn python(minor: u32) -> Result<&'static str> {
    let check = format!("import sys, venv, ensurepip; sys.exit(sys.version_info < (3, {minor}))");
    quietly(Command::new("python3").args(["-c", &check])).with_context(|| {
        format!("Python 3.{minor} or newer with the venv module is needed: install it and run this again")
    })?;
    Ok("python3")
}

/// The directory of the programs of a virtual environment `name` with the packages of a list.
fn python_packages(root: &Path, name: &str, list: &str, minor: u32, description: &str) -> Result<PathBuf> {
    let list = root.join(list);
    let pins = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let home = Tool { name, pin: &pins, description }.ensure_installed(root, |home| {
        create_virtual_environment(python(minor)?, home, &[OsStr::new("--requirement"), list.as_os_str()])
    })?;
    Ok(home.join("bin"))
}

/// The directory `name` with the packages of the `package-lock.json` in a folder of the checkout. `finish` completes it.
fn npm_packages(
    root: &Path,
    name: &str,
    folder: &str,
    description: &str,
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    ensure!(
        node_version() >= Some(NODE),
        "Node.js {NODE} or newer and npm are needed: install them and run this again"
    );
    let lock = root.join(folder).join("package-lock.json");
    let pins = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    Tool { name, pin: &pins, description }.ensure_installed(root, |home| {
        fs::copy(root.join(folder).join("package.json"), home.join("package.json"))?;
        fs::copy(lock, home.join("package-lock.json"))?;
        let mut npm = Command::new("npm");
        quietly(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(home))?;
        finish(home)
    })
}

/// Creates a virtual environment in `home`, and runs `pip install` with the arguments `packages` in it.
fn create_virtual_environment(python: &str, home: &Path, packages: &[impl AsRef<OsStr>]) -> Result<()> {
    quietly(Command::new(python).args(["-m", "venv"]).arg(home))?;
    let mut pip = Command::new(home.join("bin/pip"));
    with_progress(pip.args(["install", "--disable-pip-version-check"]).args(packages))
}

fn java_version() -> Option<u32> {
    let output = Command::new("java").arg("-version").output().ok()?;
    parse_java_version(&String::from_utf8_lossy(&output.stderr))
}

fn node_version() -> Option<u32> {
    parse_node_version(&quietly(Command::new("node").arg("--version")).ok()?)
}

/// The major version in the output of `node --version`: 20 for `v20.20.2`.
fn parse_node_version(output: &str) -> Option<u32> {
    output.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// The major version in the output of `java -version`: 17 for `openjdk version "17.0.15" 2025-04-15`.
fn parse_java_version(output: &str) -> Option<u32> {
    output.split('"').nth(1)?.split(['.', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;
    use crate::files::TempDir;

    const DESCRIPTION: &str = "a tool";

    /// Installs a tool of one file, which is named like the version. Tells whether it was missing.
    fn install(tools: &TempDir, pin: &str) -> bool {
        let mut installed = false;
        let tool = Tool { name: "tool", pin, description: DESCRIPTION };
        let home = tool.ensure_installed_in(&tools.0, |home| {
            installed = true;
            fs::write(home.join(pin), "").map_err(Into::into)
        });
        assert!(home.unwrap().join(pin).exists());
        installed
    }

    #[test]
    fn a_tool_is_installed_once_and_replaced_by_another_version() {
        let tools = TempDir::new("pin");
        assert!(install(&tools, "1.0"));
        assert!(!install(&tools, "1.0"));
        assert!(install(&tools, "1.1"));
        assert!(!tools.0.join("tool/1.0").exists());
    }

    #[test]
    fn an_interrupted_installation_starts_over_in_an_empty_directory() {
        let tools = TempDir::new("interrupted");
        let tool = Tool { name: "tool", pin: "1.0", description: DESCRIPTION };
        let interrupted = tool.ensure_installed_in(&tools.0, |home| {
            fs::write(home.join("half"), "")?;
            bail!("the network is down")
        });
        assert_eq!(format!("{:#}", interrupted.unwrap_err()), "cannot install tool: the network is down");
        assert!(install(&tools, "1.0"));
        assert!(!tools.0.join("tool/half").exists());
    }

    #[test]
    fn the_major_version_of_node_is_read() {
        for (output, version) in [("v20.20.2\n", Some(20)), ("v8.0.0-rc.1", Some(8)), ("20.1.0", None), ("", None)] {
            assert_eq!(parse_node_version(output), version, "{output}");
        }
    }

    #[test]
    fn the_major_version_of_java_is_read_from_every_known_form() {
        for (output, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment", Some(17)),
            ("java version \"1.8.0_402\"", Some(1)),
            ("openjdk version \"25-ea\" 2025-09-16", Some(25)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("command not found", None),
        ] {
            assert_eq!(parse_java_version(output), version, "{output}");
        }
    }

    #[test]
    fn the_error_of_a_failed_command_contains_its_output() {
        let error = quietly(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.starts_with("sh failed") && error.contains("out\nerr\n"), "{error}");
    }

    #[test]
    fn the_error_of_a_missing_command_names_it() {
        let error = quietly(&mut Command::new("no-such-tool")).unwrap_err().to_string();
        assert_eq!(error, "cannot run no-such-tool: install it");
    }
}
