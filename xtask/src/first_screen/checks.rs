//! What the first screen promises, checked: the effect of each command and page.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use shared::testing::http_client;
use tokio::time::timeout;
use ureq::Agent;

use super::shell;
use crate::results::print_line;

/// The key in the document, with which the checks read what the commands have written.
const KEY: &str = "sk_test_example";
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// Some commands are compiled first.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(15);

/// Runs the commands of the second terminal, and checks their effects.
pub(super) struct Checks<'a> {
    directory: &'a Path,
    environment: &'a [(String, PathBuf)],
    base_url: String,
    agent: Agent,
    passed: u32,
}

impl<'a> Checks<'a> {
    pub(super) fn new(directory: &'a Path, environment: &'a [(String, PathBuf)], base_url: String) -> Self {
        Self { directory, environment, base_url, agent: http_client(REQUEST_TIMEOUT, 1), passed: 0 }
    }

    /// The number of checks that have passed.
    pub(super) fn passed(&self) -> u32 {
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
        let mut shell = shell(command, self.directory, self.environment);
        let output = timeout(COMMAND_TIMEOUT, shell.kill_on_drop(true).output()).await;
        let output = output.with_context(|| format!("README.md: the command does not end: {command}"))?;
        let output = output.context("cannot run sh")?;
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::files::TempDir;
    use crate::tools;

    const CREATED: &str = "HTTP/1.1 201 Created\r\n\r\n{\"email\":\"jane@example.com\"}";

    /// The URL of an API that gives one response to all requests.
    fn serve(status: &'static str, body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 8192]).unwrap();
                let length = body.len();
                write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
                    .unwrap();
            }
        });
        url
    }

    /// Checks a command whose program prints this text, against an API with this list of contacts.
    async fn check(name: &str, command: &str, output: &str, contacts: &'static str) -> Result<()> {
        let directory = TempDir::new(&format!("checks-{name}"));
        fs::write(directory.0.join("output"), output).unwrap();
        fs::write(directory.0.join("two.csv"), "Mail\njane@example.com\njohn@example.com\n").unwrap();
        // Written by another process: a file that this one had open for writing may be refused as "busy" when it is run.
        let write =
            "for program in curl cargo; do printf '#!/bin/sh\\ncat output\\n' > $program; chmod +x $program; done";
        tools::quietly(std::process::Command::new("sh").args(["-c", write]).current_dir(&directory.0)).unwrap();
        let path = tools::path_with(&[&directory.0]).unwrap();
        let environment = [("PATH".to_owned(), path.into())];
        Checks::new(&directory.0, &environment, serve("200 OK", contacts)).check_command(command).await
    }

    #[tokio::test]
    async fn a_command_without_its_effect_is_an_error() {
        check("created", "curl -i", CREATED, "[{}]").await.unwrap();
        check("imported", "cargo xtask import two.csv", "2 rows", "[{}]").await.unwrap();
        for (name, command, output, contacts, expected) in [
            (
                "conflict",
                "curl -i",
                "HTTP/1.1 409 Conflict\r\n\r\n{}",
                "[{}]",
                "the status is \"HTTP/1.1 409 Conflict\"",
            ),
            ("lost", "curl -i", CREATED, "[]", "the API has no contact jane@example.com"),
            ("rows", "cargo xtask import two.csv", "12 rows", "[{}]", "does not tell that the file has 2 rows"),
            ("unloaded", "cargo xtask import two.csv", "2 rows", "[]", "the API has no contact jane@example.com"),
            ("no-file", "cargo xtask import three.csv", "2 rows", "[]", "cannot read three.csv"),
            ("failed", "false", "", "[]", "the command fails (exit status: 1): false"),
            ("other", "true", "", "[]", "add to xtask/src/first_screen/checks.rs what is expected of\ntrue"),
        ] {
            let error = format!("{:#}", check(name, command, output, contacts).await.unwrap_err());
            assert!(error.contains(expected) && error.starts_with("README.md: "), "{error}");
        }
    }

    #[test]
    fn a_link_that_leads_to_no_page_is_an_error() {
        let check = |status, body| {
            let url = serve(status, body);
            Checks::new(Path::new("/"), &[], url.clone()).check_page(&url)
        };
        check("200 OK", "<html><title>Reference</title>").unwrap();
        for (status, body) in [("404 Not Found", "<title>Not found</title>"), ("200 OK", "{}")] {
            let error = check(status, body).unwrap_err().to_string();
            assert!(error.contains("is no page with a title"), "{error}");
        }
    }

    #[test]
    fn the_terminal_shows_one_line_for_the_new_contact_and_no_json() {
        let check = |shown: &str| Checks::new(Path::new("/"), &[], String::new()).check_log(shown);
        let line = "10:15:00Z POST   /contacts     201    12.3 ms\n";
        check(line).unwrap();
        for shown in ["", &line.repeat(2), &format!("{line}{{\"timestamp\":\"2026-11-26T10:15:00Z\"}}\n")] {
            assert!(check(shown).unwrap_err().to_string().contains("`cargo dev` shows"), "{shown}");
        }
    }
}
