//! The README's walk, command by command, as a reader would go it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::client::{API, delete, get};

const SECTION: &str = "## A walk through an import";
/// Where the README's reader has the API, and with which key.
const ADDRESS: &str = "http://127.0.0.1:9000";
const KEY: &str = "sk_test_example";

/// A command and what it printed.
#[derive(Debug)]
struct Step {
    command: String,
    output: String,
}

/// The steps of the walk: what follows a `$`, up to the next one.
fn steps(readme: &str) -> Vec<Step> {
    let section = readme.split_once(SECTION).expect("README.md has the walk").1;
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut steps: Vec<Step> = Vec::new();
    for line in blocks.flat_map(str::lines) {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), output: String::new() }),
            (None, Some(step)) if step.command.ends_with('\\') => step.command = format!("{}\n{line}", step.command),
            (None, Some(step)) => step.output += line,
            (None, None) => panic!("README.md: a walk begins with a command, not with {line}"),
        }
    }
    steps
}

/// Whether a command does nothing but give values to the walk's variables.
fn is_assignment(command: &str) -> bool {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase());
    command.split(' ').all(|word| word.split_once('=').is_some_and(|(name, _)| is_name(name)))
}

/// The ids in a text, in their order.
fn ids(text: &str) -> Vec<&str> {
    let at = |start: usize| text.get(start..start + Hyphenated::LENGTH).filter(|id| Uuid::try_parse(id).is_ok());
    (0..text.len()).filter_map(at).collect()
}

/// A text without what no two walks have in common: ids, and when things were made and changed.
fn common(text: &str) -> String {
    let without_ids = ids(text).into_iter().fold(text.to_owned(), |text, id| text.replace(id, "<id>"));
    ["created_at", "updated_at"].into_iter().fold(without_ids, |text, name| {
        let name = format!("\"{name}\":\"");
        let mut parts = text.split(&name);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| format!("{text}{name}<time>{}", part.trim_start_matches(|c| c != '"')))
    })
}

#[test]
fn the_readmes_walk_is_what_happens() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let steps = steps(&readme);
    assert!(steps.len() > 10, "{steps:?}");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(Uuid::new_v4().to_string());
    fs::create_dir_all(&directory).unwrap();
    // Whoever walked before has left these.
    for email in ["john.doe@example.com", "jane.smith@example.com"] {
        let found = get(&format!("/contacts/?email={email}")).key(&API.other.admin_key).send().expect(200);
        for contact in found.json().as_array().unwrap() {
            let path = format!("/contacts/{}", contact["id"].as_str().unwrap());
            delete(&path).key(&API.other.admin_key).send().expect(200);
        }
    }
    // What the README has, and what it is here.
    let mut here =
        HashMap::from([(ADDRESS.to_owned(), API.base_url.clone()), (KEY.to_owned(), API.other.admin_key.clone())]);
    let mut variables = String::new();
    for Step { command, output } in steps {
        let command = here.iter().fold(command, |command, (there, here)| command.replace(there, here));
        if is_assignment(&command) {
            variables = format!("{variables}{command}\n");
            continue;
        }
        let mut shell = Command::new("sh");
        let ran = shell.current_dir(&directory).args(["-c", &format!("{variables}{command}")]).output().unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success(), "{command}\n{}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(common(&printed), common(&output), "README.md: {command}\nprints\n{printed}");
        here.extend(ids(&output).into_iter().map(str::to_owned).zip(ids(&printed).into_iter().map(str::to_owned)));
    }
    fs::remove_dir_all(&directory).unwrap();
}
