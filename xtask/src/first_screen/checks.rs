//! What the first screen promises, checked: the effect of each command and page.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use shared::testing::http_client;
use tokio::process::Command;
use ureq::Agent;

use super::print_line;
use crate::tools;

/// The key in the document, with which the checks read what the commands have written.
const KEY: &str = "sk_test_example";
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Runs the commands of the second terminal, and checks their effects.
pub(super) struct Checks<'a> {
    directory: &'a Path,
    environment: &'a [(String, PathBuf)],
    base_url: String,
    agent: Agent,
    passed: usize,
}

impl<'a> Checks<'a> {
    pub(super) fn new(directory: &'a Path, environment: &'a [(String, PathBuf)], base_url: String) -> Self {
        Self { directory, environment, base_url, agent: http_client(REQUEST_TIMEOUT, 1), passed: 0 }
    }

    /// The number of checks that have passed.
    pub(super) fn passed(&self) -> usize {
        self.passed
    }

    /// Checks that a link leads to a page with a title.
    pub(super) fn check_page(&mut self, url: &str) -> Result<()> {
        let mut response = self.agent.get(url).call().with_context(|| format!("cannot open {url}"))?;
        let status = response.status();
        let html = response.body_mut().read_to_string().with_context(|| format!("cannot read {url}"))?;
        let title = html.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        let title = title.map(|(title, _)| title.trim()).unwrap_or_default();
        ensure!(
            status == 200 && !title.is_empty(),
            "README.md: {url} is no page with a title (status {status})\n{html}"
        );
        self.pass(&format!("{url} shows {title:?}"));
        Ok(())
    }

    /// Runs a command as it is, and checks its effect.
    pub(super) async fn check_command(&mut self, command: &str) -> Result<()> {
        print_line(&format!("$ {command}"));
        let output = self.run(command).await?;
        print_line(output.trim_end());
        let effect = match command.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["curl", ..] => self.check_created(&output),
            ["cargo", "xtask", "import", file, ..] => self.check_imported(file, &output),
            _ => bail!("README.md: add to xtask/src/first_screen/checks.rs what is expected of\n{command}"),
        };
        let effect =
            effect.with_context(|| format!("README.md: the command has not the expected effect: {command}"))?;
        self.pass(&effect);
        Ok(())
    }

    /// Checks that the terminal with the API has shown the requests, in the form for people.
    pub(super) fn check_log(&mut self, shown: &str) -> Result<()> {
        let is_created = |line: &str| line.contains(" POST   /contacts ") && line.contains(" 201 ");
        let count = shown.lines().filter(|line| is_created(line)).count();
        ensure!(count == 1, "README.md: `cargo dev` shows {count} lines about the new contact; its output is above");
        let json = shown.lines().find(|line| line.starts_with("{\"timestamp\""));
        ensure!(json.is_none(), "README.md: `cargo dev` shows JSON on a terminal: {}", json.unwrap_or_default());
        self.pass("cargo dev shows a line per request");
        Ok(())
    }

    /// Runs a command to its end, and returns what it prints to standard output.
    async fn run(&self, command: &str) -> Result<String> {
        let mut shell = Command::new("sh");
        for variable in tools::own_package_variables() {
            shell.env_remove(variable);
        }
        shell.args(["-c", command]).current_dir(self.directory).envs(self.environment.iter().map(|(n, v)| (n, v)));
        let output = shell.kill_on_drop(true).output().await.context("cannot run sh")?;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(
            output.status.success(),
            "README.md: the command fails ({}): {command}\n{stdout}{stderr}",
            output.status
        );
        Ok(stdout.into_owned())
    }

    /// Checks the response that created a contact, and that the contact is there.
    fn check_created(&self, response: &str) -> Result<String> {
        let status = response.lines().next().unwrap_or_default().trim();
        ensure!(status.contains(" 201 "), "the status is {status:?} and not 201");
        let body = response.lines().last().unwrap_or_default();
        let created: Value = serde_json::from_str(body).with_context(|| format!("the response is no JSON: {body}"))?;
        let email = created["email"].as_str().context("the response has no email")?;
        ensure!(self.contacts_with(email)? == 1, "the API has no contact {email}");
        Ok("201, and the contact is there".to_owned())
    }

    /// Checks that all rows of a file have become contacts, and that the command tells their number.
    fn check_imported(&self, file: &str, output: &str) -> Result<String> {
        let mut reader =
            csv::Reader::from_path(self.directory.join(file)).with_context(|| format!("cannot read {file}"))?;
        let mut rows = 0;
        for row in reader.records() {
            let row = row.with_context(|| format!("cannot read {file}"))?;
            let email = row.iter().find(|cell| cell.contains('@')).context("a row has no email")?;
            ensure!(self.contacts_with(email)? == 1, "the API has no contact {email}");
            rows += 1;
        }
        let has_number = output.split(|c: char| !c.is_ascii_digit()).any(|number| number == rows.to_string());
        ensure!(has_number, "the command does not tell that the file has {rows} rows");
        Ok(format!("{rows} rows are reported, and their contacts are there"))
    }

    /// The number of contacts with an email.
    fn contacts_with(&self, email: &str) -> Result<usize> {
        let request = self.agent.get(format!("{}/contacts/", self.base_url)).query("email", email);
        let found = request.header("x-api-key", KEY).call()?.body_mut().read_to_string()?;
        let found: Value = serde_json::from_str(&found).with_context(|| format!("unexpected response: {found}"))?;
        Ok(found.as_array().context("the list of contacts is no array")?.len())
    }

    fn pass(&mut self, effect: &str) {
        self.passed += 1;
        print_line(&format!("ok: {effect}"));
    }
}
