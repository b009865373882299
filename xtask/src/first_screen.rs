//! `cargo xtask first-screen`: does what the first screen of README.md says, on a clean clone, as its reader does.
//!
//! The commands are those of the document, unchanged: the first block in one terminal, each command of the second block in another
//! one. Only Git is told that the URL of the repository means this checkout. Cargo's target directory is that of this checkout, so
//! that a run compiles this project, and no dependency, again.

mod checks;
mod screen;
mod terminal;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command as ShellCommand;
use tokio::time::Instant;

use self::checks::Checks;
use self::screen::Screen;
use self::terminal::Terminal;
use crate::dev::{READY, STOPPED, termination_signal};
use crate::e2e::INTERRUPTED;
use crate::files::create_empty_dir;
use crate::results::{TestCounts, print_line};
use crate::{tools, workspace};

/// Runs the first screen, until a signal ends it.
pub(crate) async fn run(root: &Path) -> Result<()> {
    let signal = termination_signal()?;
    tokio::select! {
        followed = follow(root) => followed,
        // What has been started is stopped as it is dropped.
        () = signal => bail!(INTERRUPTED),
    }
}

async fn follow(root: &Path) -> Result<()> {
    let started = Instant::now();
    let screen = Screen::parse(&committed_readme(root)?).context("README.md")?;
    ensure_port_is_free(screen.port)?;
    let directory = std::env::temp_dir().join(format!("first-screen-{}", std::process::id()));
    create_empty_dir(&directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    let environment = environment(root, &screen.repository)?;
    let checkout = directory.join(&screen.directory);

    let mut terminal = Terminal::start(&screen.start, &directory, &environment)?;
    terminal.wait_for(READY).await?;
    let mut checks = Checks::new(&checkout, &environment, screen.base_url());
    for command in &screen.commands {
        checks.check_command(command).await?;
    }
    for page in &screen.pages {
        checks.check_page(page)?;
        let path = page.trim_start_matches(&screen.base_url());
        terminal.wait_for(&format!(" {path} ")).await?;
    }
    checks.check_log(&terminal.shown())?;
    terminal.interrupt();
    let last_words = terminal.wait_for_exit().await?;
    ensure!(
        last_words.trim() == STOPPED,
        "README.md: Ctrl-C does not end `cargo dev` quietly; it prints\n{last_words}"
    );
    ensure_nothing_is_left(&checkout)?;
    std::fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))?;

    let counts = TestCounts { passed: checks.passed() + 1, failed: 0 };
    print_line(&counts.to_line(started.elapsed().as_secs()));
    Ok(())
}

/// README.md as a clone has it.
fn committed_readme(root: &Path) -> Result<String> {
    let git = |arguments: &[&str]| tools::quietly(Command::new("git").args(arguments).current_dir(root));
    let readme = git(&["show", "HEAD:README.md"]).context("a clone needs a commit")?;
    if !git(&["status", "--porcelain"])?.is_empty() {
        print_line("note: a clone has the last commit, and not the changes since");
    }
    Ok(readme)
}

/// The environment of the commands.
fn environment(root: &Path, repository: &str) -> Result<Vec<(String, PathBuf)>> {
    Ok(vec![
        ("CARGO_TARGET_DIR".to_owned(), workspace::cargo_target_dir(root)?),
        ("GIT_CONFIG_COUNT".to_owned(), "1".into()),
        ("GIT_CONFIG_KEY_0".to_owned(), format!("url.file://{}.insteadOf", root.display()).into()),
        ("GIT_CONFIG_VALUE_0".to_owned(), repository.into()),
    ])
}

/// A shell that runs commands as the reader's does, and stops at the first one that fails.
fn shell(commands: &str, directory: &Path, environment: &[(String, PathBuf)]) -> ShellCommand {
    // An API that the developer works with is not that of the document, and must not get its contacts.
    const OTHER_API: [&str; 2] = ["CONTACTS_API_URL", "CONTACTS_API_KEY"];
    // Jobs in the background are started with SIGINT ignored, which a shell hands on to all that it starts.
    let mut shell = ShellCommand::new("env");
    for variable in tools::own_package_variables().chain(OTHER_API.map(Into::into)) {
        shell.env_remove(variable);
    }
    shell
        .args(["--default-signal=INT", "sh", "-e", "-c", commands])
        .current_dir(directory)
        .envs(environment.iter().map(|(n, v)| (n, v)));
    shell
}

/// The commands name the port, so there is no other choice.
fn ensure_port_is_free(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    listener.map(drop).with_context(|| {
        format!("the commands of README.md use port {port}: stop the process that listens on it, and run this again")
    })
}

/// Fails if a process still runs in the clone, as all that `cargo dev` starts do.
fn ensure_nothing_is_left(checkout: &Path) -> Result<()> {
    let checkout = checkout.canonicalize().with_context(|| format!("cannot read {}", checkout.display()))?;
    let processes =
        std::fs::read_dir("/proc").context("the processes of this system cannot be listed: run this on Linux")?;
    let mut left = Vec::new();
    for process in processes {
        let process = process?.path();
        // A process of another user, or one that has exited meanwhile, shows no directory.
        let Ok(directory) = process.join("cwd").read_link() else { continue };
        if directory.starts_with(&checkout) {
            let command = std::fs::read_to_string(process.join("cmdline")).unwrap_or_default();
            left.push(format!("{}: {}", process.display(), command.replace('\0', " ")));
        }
    }
    ensure!(left.is_empty(), "README.md: Ctrl-C leaves processes behind\n{}", left.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::TempDir;

    #[test]
    fn a_process_in_the_clone_is_noticed() {
        let directory = TempDir::new("left");
        ensure_nothing_is_left(&directory.0).unwrap();
        let mut process = Command::new("sleep").arg("60").current_dir(&directory.0).spawn().unwrap();
        let error = ensure_nothing_is_left(&directory.0).unwrap_err().to_string();
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(error.contains(&format!("/proc/{}: sleep 60", process.id())), "{error}");
    }

    #[test]
    fn commands_do_not_learn_of_another_api() {
        let shell = shell("true", Path::new("/"), &[]);
        let removed: Vec<_> = shell.as_std().get_envs().filter(|(_, value)| value.is_none()).collect();
        for name in ["CONTACTS_API_URL", "CONTACTS_API_KEY"] {
            assert!(removed.contains(&(name.as_ref(), None)), "{name}");
        }
    }

    #[test]
    fn a_port_in_use_is_an_error_that_says_what_to_do() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = ensure_port_is_free(port).unwrap_err().to_string();
        assert!(error.starts_with(&format!("the commands of README.md use port {port}: stop")), "{error}");
    }
}
