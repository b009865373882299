//! Where and when a run took place.

use std::path::Path;
use std::process::Command;
use std::{env, fs, thread};

use anyhow::Result;
use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use crate::tools;

/// The conditions of a run.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) command: String,
    pub(super) commit: String,
    pub(super) date: String,
    pub(super) architecture: &'static str,
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    /// The load average of the last minute, before and after the run.
    pub(super) load_before: String,
    pub(super) load_after: String,
    pub(super) rustc: String,
    /// The versions of the crates that functions and floors share.
    pub(super) crates: Vec<String>,
}

/// The crates whose versions a result depends on.
const CRATES: [&str; 6] = ["aws-sdk-dynamodb", "lambda_runtime", "hyper", "rustls", "tokio", "dynoxide-rs"];

impl Machine {
    /// Reads the conditions at the beginning of a run.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let git = |arguments: &[&str]| tools::quietly(Command::new("git").args(arguments).current_dir(root));
        let mut commit = git(&["rev-parse", "--short=12", "HEAD"])?.trim().to_owned();
        if !git(&["status", "--porcelain"])?.trim().is_empty() {
            commit.push_str(", with uncommitted changes");
        }
        let lock = fs::read_to_string(root.join("Cargo.lock"))?;
        Ok(Self {
            command: command_line(env::args().skip(1)),
            commit,
            date: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            architecture: env::consts::ARCH,
            processor: processor(&read("/proc/cpuinfo")).unwrap_or_else(|| "unknown processor".to_owned()),
            cores: thread::available_parallelism()?.get(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: load(),
            load_after: String::new(),
            rustc: tools::quietly(Command::new("rustc").arg("--version"))?.trim().to_owned(),
            crates: CRATES.iter().filter_map(|name| Some(format!("{name} {}", version(&lock, name)?))).collect(),
        })
    }

    /// Reads the load at the end of the run.
    pub(super) fn finish(&mut self) {
        self.load_after = load();
    }

    /// The lines at the top of the report.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("command", self.command.clone()),
            ("commit", self.commit.clone()),
            ("date", self.date.clone()),
            (
                "machine",
                format!("{}, {}, {} cores, Linux {}", self.architecture, self.processor, self.cores, self.kernel),
            ),
            ("load", format!("{} before, {} after", self.load_before, self.load_after)),
            ("versions", format!("{}; {}", self.rustc, self.crates.join(", "))),
        ]
    }
}

/// The command as it was called, without the path of the program.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["cargo xtask".to_owned()];
    words.extend(arguments);
    words.join(" ")
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn load() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}

/// The name of the first processor; the kernel does not tell it on every architecture.
fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The version of a package in the text of `Cargo.lock`.
fn version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, package) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    package.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_package_is_found_by_its_whole_name() {
        let lock = "[[package]]\nname = \"hyper-util\"\nversion = \"0.1.20\"\n\n[[package]]\nname = \"hyper\"\nversion = \"1.8.1\"\n";
        assert_eq!(version(lock, "hyper"), Some("1.8.1"));
        assert_eq!(version(lock, "tokio"), None);
    }

    #[test]
    fn the_processor_is_the_first_model() {
        let cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: other\n";
        assert_eq!(processor(cpuinfo).as_deref(), Some("AMD EPYC"));
        assert_eq!(processor("processor\t: 0\n"), None);
    }
}
