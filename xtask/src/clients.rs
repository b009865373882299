//! `cargo xtask clients`: lints `openapi.json`, generates clients from it as integrators do, compiles them, and calls a
//! temporary API through each.
//!
//! The configuration and the three programs that use the clients (`walk…`) are in `xtask/clients`. They are copied to
//! `target/clients`, where everything is generated.

use std::os::unix;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tokio::task::spawn_blocking;

use crate::dev::{Setup, with_server};
use crate::e2e::INTERRUPTED;
use crate::files::{copy, copy_files, create_empty_dir};
use crate::results::{TestCounts, print_line};
use crate::{tools, workspace};

/// A check, which is one run of a program.
struct Check {
    name: &'static str,
    program: Program,
    arguments: &'static [&'static str],
}

/// A program, by where it is installed.
#[derive(Clone, Copy)]
enum Program {
    /// Of a package in `xtask/clients/package.json`.
    Npm(&'static str),
    /// Of a package in `xtask/clients/requirements.txt`.
    Python(&'static str),
    Node,
}

/// The checks of the document and of what is generated from it, in the order in which they run.
const CHECKS: [Check; 7] = [
    Check {
        name: "openapi.json follows spectral:oas",
        program: Program::Npm("spectral"),
        arguments: &["lint", "openapi.json", "--ruleset", "spectral.yaml", "--fail-severity", "hint"],
    },
    Check {
        name: "openapi.json follows redocly's recommended rules",
        program: Program::Npm("redocly"),
        arguments: &["lint", "openapi.json", "--config", "redocly.yaml"],
    },
    Check {
        name: "openapi-typescript generates types",
        program: Program::Npm("openapi-typescript"),
        arguments: &["openapi.json", "--output", "generated/openapi_typescript/schema.d.ts"],
    },
    Check {
        name: "hey-api/openapi-ts generates a client",
        program: Program::Npm("openapi-ts"),
        arguments: &["--file", "openapi-ts.config.js"],
    },
    Check {
        name: "openapi-python-client generates a client",
        program: Program::Python("openapi-python-client"),
        arguments: &[
            "generate",
            "--path",
            "openapi.json",
            "--config",
            "openapi_python_client.yaml",
            "--meta",
            "none",
            "--output-path",
            "generated/contacts_api",
        ],
    },
    Check {
        name: "the TypeScript clients and their walks compile",
        program: Program::Npm("tsc"),
        arguments: &["--project", "tsconfig.json"],
    },
    Check {
        name: "the Python client and its walk have consistent types",
        program: Program::Python("mypy"),
        // The generator writes casts that newer versions of mypy find redundant.
        arguments: &["--strict", "--no-warn-redundant-casts", "walk.py"],
    },
];

/// The checks that call the API.
const WALKS: [Check; 3] = [
    Check {
        name: "openapi-fetch walks through the API",
        program: Program::Node,
        arguments: &["build/walk_openapi_fetch.js"],
    },
    Check {
        name: "the client of hey-api/openapi-ts walks through the API",
        program: Program::Node,
        arguments: &["build/walk_hey_api.js"],
    },
    Check {
        name: "the client of openapi-python-client walks through the API",
        program: Program::Python("python"),
        arguments: &["walk.py"],
    },
];

/// The environment of the programs: plain output, and no request to anything but the API.
const ENVIRONMENT: [(&str, &str); 3] =
    [("NO_COLOR", "1"), ("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true"), ("REDOCLY_TELEMETRY", "off")];

/// The directory in which the checks run, and the programs that they need.
struct BuildDirectory {
    path: PathBuf,
    /// The directory of the npm packages' programs.
    npm: PathBuf,
    /// The directory of Python and its packages' programs.
    python: PathBuf,
}

/// Runs all checks. A failed one does not stop the others, but no walk begins if a check before it failed.
pub(crate) async fn run(root: &Path) -> Result<()> {
    print_line("preparing target/clients");
    let started = Instant::now();
    let directory = BuildDirectory::prepare(root)?;
    let mut counts = TestCounts::default();
    directory.check_all(&CHECKS, &mut counts).await?;
    if counts.failed == 0 {
        walk(root, &directory, &mut counts).await?;
    }
    print_line(&counts.to_line(started.elapsed().as_secs()));
    ensure!(counts.failed == 0, "{} checks of the generated clients failed; their output is above", counts.failed);
    Ok(())
}

/// Runs the walks against a temporary API.
async fn walk(root: &Path, directory: &BuildDirectory, counts: &mut TestCounts) -> Result<()> {
    print_line("starting a temporary API");
    let api = &directory.api();
    let cargo_lambda = tools::cargo_lambda(root)?;
    let setup = Setup::temporary(root, api, &cargo_lambda)?;
    let walked = with_server(&setup, async |server| {
        server.wait_until_ready().await?;
        directory.check_all(&WALKS, counts).await
    });
    walked.await?.context(INTERRUPTED)
}

impl BuildDirectory {
    /// Installs the programs, and fills an empty directory with what they read.
    fn prepare(root: &Path) -> Result<Self> {
        let node_modules = tools::client_node_modules(root)?;
        let python = tools::client_python(root)?;
        let path = workspace::local_dir(root, "clients");
        create_empty_dir(&path).with_context(|| format!("cannot empty {}", path.display()))?;
        copy_files(&root.join("xtask/clients"), &path)?;
        copy(&root.join("shared/openapi.json"), &path.join("openapi.json"))?;
        // Node.js looks for packages beside the program.
        unix::fs::symlink(&node_modules, path.join("node_modules")).context("cannot link node_modules")?;
        Ok(Self { path, npm: node_modules.join(".bin"), python })
    }

    /// The directory of the temporary API.
    fn api(&self) -> PathBuf {
        self.path.join("api")
    }

    async fn check_all(&self, checks: &[Check], counts: &mut TestCounts) -> Result<()> {
        for check in checks {
            print_line(&format!("test {}", check.name));
            let mut command = self.command(check);
            // In a thread for blocking calls, because the engine of a temporary API runs in this process.
            match spawn_blocking(move || tools::quietly(&mut command)).await? {
                Ok(_) => counts.passed += 1,
                Err(error) => {
                    counts.failed += 1;
                    print_line(&format!("FAILED {}: {error:#}", check.name));
                }
            }
        }
        Ok(())
    }

    fn command(&self, check: &Check) -> Command {
        let mut command = match check.program {
            Program::Npm(name) => Command::new(self.npm.join(name)),
            Program::Python(name) => Command::new(self.python.join(name)),
            Program::Node => Command::new("node"),
        };
        command.args(check.arguments).current_dir(&self.path).envs(ENVIRONMENT);
        command.env("E2E_SESSION", self.api().join("session.json"));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_is_counted_and_does_not_stop_the_others() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = BuildDirectory { path: "/".into(), npm: "/bin".into(), python: "/nowhere".into() };
        let check = |program, arguments| Check { name: "a check", program, arguments };
        let checks = [
            check(Program::Npm("sh"), &["-c", "exit 3"]),
            check(Program::Python("python"), &[]),
            check(Program::Npm("sh"), &["-c", "test -n \"$E2E_SESSION\" && test $NO_COLOR = 1"]),
        ];
        let mut counts = TestCounts::default();
        runtime.block_on(directory.check_all(&checks, &mut counts)).unwrap();
        assert_eq!(counts, TestCounts { passed: 1, failed: 2 });
    }
}
