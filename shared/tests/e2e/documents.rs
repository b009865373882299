//! The walks of the documents: every command in a `console` block is run, and has to print what the document shows.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::process::Command;

use shared::testing::compact_json;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::client::{API, delete, get};

/// The URL of the API in the documents.
const DOCUMENTED_URL: &str = "http://127.0.0.1:9000";
/// The API key in the documents.
const DOCUMENTED_KEY: &str = "sk_test_example";

/// A command of a document and the output shown below it.
#[derive(Debug)]
struct Step {
    command: String,
    output: String,
}

impl Step {
    /// `true` if the next line belongs to the command: after a backslash, and inside single quotes.
    fn is_continued(&self) -> bool {
        self.command.ends_with('\\') || self.command.matches('\'').count() % 2 == 1
    }

    /// `true` if the command only sets variables, such as `KEY=abc API=http://…`.
    fn is_assignment(&self) -> bool {
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase());
        self.command.split(' ').all(|word| word.split_once('=').is_some_and(|(name, _)| is_name(name)))
    }
}

/// The steps of a document, in order.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in document.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap_or_default().lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), output: String::new() }),
                (None, Some(step)) if step.is_continued() => step.command.extend(["\n", line]),
                (None, Some(step)) => step.output.extend([line, "\n"]),
                (None, None) => panic!("a console block starts with a command, not with {line}"),
            }
        }
    }
    steps
}

/// The UUIDs in a text, in order.
fn ids(text: &str) -> Vec<&str> {
    let id_at = |start: usize| text.get(start..start + Hyphenated::LENGTH).filter(|id| Uuid::try_parse(id).is_ok());
    (0..text.len()).filter_map(id_at).collect()
}

/// The emails in a text.
fn emails(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "@.-_+".contains(c)));
    words.filter(|word| word.ends_with("@example.com")).collect()
}

/// An output without its layout and without what differs between two runs: ids and timestamps.
fn normalized(output: &str) -> String {
    let output = output.replace("\r\n", "\n");
    let mut text = if output.starts_with(['{', '[']) { compact_json(&output) } else { output.trim_end().to_owned() };
    for id in ids(&text.clone()) {
        text = text.replace(id, "<id>");
    }
    for member in ["created_at", "updated_at"] {
        text = without_value(&text, member);
    }
    text
}

/// Compact JSON with a placeholder for each text value of a member.
fn without_value(json: &str, member: &str) -> String {
    let start = format!("\"{member}\":\"");
    let mut parts = json.split(&start);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('"').expect("a text value ends with a quote");
        masked.extend([&start, "<time>\"", rest]);
    }
    masked
}

/// Deletes the contacts that an interrupted run left behind, so that their emails are free.
fn delete_contacts(emails: &BTreeSet<&str>) {
    for email in emails {
        let found = get(&format!("/contacts/?email={email}")).key(&API.other.admin_key).send().expect(200);
        for contact in found.json().as_array().unwrap() {
            let path = format!("/contacts/{}", contact["id"].as_str().unwrap());
            delete(&path).key(&API.other.admin_key).send().expect(200);
        }
    }
}

/// Runs the steps of a document in an empty directory and compares what they print.
fn walk(file: &str) {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap();
    let steps = steps(&document);
    assert!(steps.iter().filter(|step| !step.output.is_empty()).count() >= 4, "{file}: {steps:?}");
    delete_contacts(&emails(&document));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(Uuid::new_v4().to_string());
    fs::create_dir_all(&directory).unwrap();
    // What stands in the document, and what it is in this run.
    let mut actual = HashMap::from([
        (DOCUMENTED_URL.to_owned(), API.base_url.clone()),
        (DOCUMENTED_KEY.to_owned(), API.other.admin_key.clone()),
    ]);
    let mut variables = String::new();
    for step in steps {
        let mut command = step.command.clone();
        for (documented, actual) in &actual {
            command = command.replace(documented, actual);
        }
        if step.is_assignment() {
            variables.extend([&command, "\n"]);
            continue;
        }
        let mut shell = Command::new("sh");
        let finished = shell.current_dir(&directory).args(["-c", &format!("{variables}{command}")]).output().unwrap();
        let printed = String::from_utf8(finished.stdout).unwrap();
        assert!(finished.status.success(), "{file}: {command}\n{}", String::from_utf8_lossy(&finished.stderr));
        assert_eq!(normalized(&printed), normalized(&step.output), "{file}: {command}\nprints\n{printed}");
        actual
            .extend(ids(&step.output).into_iter().map(str::to_owned).zip(ids(&printed).into_iter().map(str::to_owned)));
    }
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_readme_shows_what_its_commands_print() {
    walk("README.md");
}

#[test]
fn the_api_document_shows_what_its_commands_print() {
    walk("docs/api.md");
}

#[test]
fn layout_ids_and_timestamps_do_not_matter() {
    let documented = r#"{
      "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "name": "a \" b",
      "created_at": "2026-11-26T01:24:35Z"
    }"#;
    let printed =
        r#"{"id":"550e8400-e29b-41d4-a716-446655440000","name":"a \" b","created_at":"2027-01-01T00:00:00Z"}"#;
    assert_eq!(normalized(documented), normalized(printed));
    for other in [printed.replace("a \\\" b", "a b"), printed.replace("\"id\"", "\"key\""), printed.to_owned() + "{}"] {
        assert_ne!(normalized(documented), normalized(&other), "{other}");
    }
}
