//! The crate's rooms and who may enter whom, as `shared/src/lib.rs` draws it, and what no function carries.

use std::fs;
use std::path::{Path, PathBuf};

use super::{cargo, root};

/// A part of the crate.
struct Room {
    /// Its folder or file under `shared/src`.
    at: &'static str,
    /// The other rooms it may name.
    enters: &'static [&'static str],
    /// Those of [`OUTSIDE`] it may name.
    uses: &'static [&'static str],
}

/// The crates, by the beginnings of their names, that not every room may name. `aws_sdk` is the database's
/// client, `aws_smithy` what it is made of.
const OUTSIDE: [&str; 6] = ["aws_sdk", "aws_smithy", "hyper", "lambda_", "tokio", "utoipa"];

/// From the bottom to the top. `openapi`, `testing` and `lib.rs` stand above all and are free.
const ROOMS: [Room; 9] = [
    // Pure: the description of a choice's values is all that is derived for others.
    Room { at: "domain", enters: &[], uses: &["utoipa"] },
    Room { at: "config.rs", enters: &[], uses: &[] },
    Room { at: "endpoint.rs", enters: &["domain"], uses: &[] },
    // The database's client does not leave it.
    Room { at: "table", enters: &["config", "domain"], uses: &["aws_sdk", "aws_smithy", "tokio"] },
    // It asks an issuer for public keys.
    Room { at: "auth", enters: &["config", "domain", "table"], uses: &["aws_smithy", "tokio"] },
    Room { at: "telemetry.rs", enters: &["domain", "table"], uses: &[] },
    Room { at: "app.rs", enters: &["auth", "config", "domain", "table"], uses: &["tokio"] },
    Room {
        at: "http",
        enters: &["app", "auth", "config", "domain", "endpoint", "table", "telemetry"],
        uses: &["lambda_", "tokio", "utoipa"],
    },
    // Beside `http`: what wakes it is no request.
    Room { at: "worker.rs", enters: &["app", "config", "domain", "table", "telemetry"], uses: &["lambda_", "tokio"] },
];

/// What turns something into HTTP, which `http` alone does.
const STATUS_CODES: [&str; 3] = ["ApiError", "Reply", "StatusCode"];

impl Room {
    fn name(&self) -> &'static str {
        self.at.trim_end_matches(".rs")
    }

    /// Its files, by their paths from the root, each with its code.
    fn files(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        collect(&source_folder().join(self.at), &mut files);
        assert!(!files.is_empty(), "shared/tests/contract/rooms.rs: there is no shared/src/{}", self.at);
        let name = |file: &PathBuf| file.strip_prefix(root()).unwrap().display().to_string();
        files.iter().map(|file| (name(file), code(file))).collect()
    }
}

fn source_folder() -> PathBuf {
    root().join("shared/src")
}

/// The Rust files at a path, those of tests left out.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
        files.push(path.to_owned());
    }
}

/// A file's code, without its comments and tests.
fn code(file: &Path) -> String {
    let source = fs::read_to_string(file).unwrap();
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    lines.join("\n")
}

/// The identifiers that a text is made of.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

#[test]
fn every_room_is_known() {
    let free = ["lib", "openapi", "testing"];
    for entry in fs::read_dir(source_folder()).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let known = free.contains(&name.as_str()) || ROOMS.iter().any(|room| room.name() == name);
        assert!(known, "shared/tests/contract/rooms.rs: say which rooms `{name}` may enter");
    }
}

#[test]
fn rooms_enter_lower_rooms_only() {
    for room in &ROOMS {
        for (file, code) in room.files() {
            for path in code.split("crate::").skip(1) {
                let entered = words(path).next().unwrap_or_default();
                let may = entered == room.name() || room.enters.contains(&entered);
                assert!(may, "{file}: `{}` must not name `crate::{entered}`; see shared/src/lib.rs", room.name());
            }
            // A room's own file would leave it by one step up, the others by two.
            let leaves = code.contains("super::super") || (file.ends_with("mod.rs") && code.contains("super::"));
            assert!(!leaves, "{file}: name another room by `crate::`");
        }
    }
}

#[test]
fn crates_stay_in_their_rooms() {
    for room in &ROOMS {
        for (file, code) in room.files() {
            for name in OUTSIDE.iter().filter(|name| !room.uses.contains(name)) {
                let named = words(&code).find(|word| word.starts_with(name));
                assert_eq!(named, None, "{file}: `{}` must do without this crate", room.name());
            }
        }
    }
}

#[test]
fn lower_rooms_know_no_status_code() {
    for room in ROOMS.iter().filter(|room| room.at != "http" && room.at != "endpoint.rs") {
        for (file, code) in room.files() {
            let known = words(&code).find(|word| STATUS_CODES.contains(word));
            assert_eq!(known, None, "{file}: leave the answer to shared/src/http/error.rs");
        }
    }
}

#[test]
fn no_function_carries_what_only_developers_need() {
    // What cargo-lambda builds: the default members together. Each line is a crate or one of its features.
    let tree = cargo(&["tree", "--edges", "normal,features", "--prefix", "none"]);
    assert!(tree.contains("\nlambda_runtime v"), "this is not the tree of the functions:\n{tree}");
    for unwanted in ["dynoxide", "utoipa", "proptest", "hyper feature \"server\"", "shared feature \"testing\""] {
        let carried = tree.lines().find(|line| line.starts_with(unwanted));
        assert_eq!(carried, None, "a function depends on it: see `cargo tree --edges normal,features -i <crate>`");
    }
}
