//! `cargo xtask sync`: writes what is generated from the code, the template and the price list.
//!
//! Three files are generated as a whole: `shared/openapi.json`, and the Postman collection and environment in `docs/postman`. Three
//! others hold generated text: `Cargo.toml` the router of `cargo lambda watch`, `template.yaml` the functions of the endpoints
//! and pages, and `docs/operations.md` the tables of parameters and of prices. Everything else in them is written by hand and
//! keeps its bytes.

mod functions;
mod operations;
pub(crate) mod postman;
mod router;

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use shared::openapi;

use crate::cost;

const OPERATIONS: &str = "docs/operations.md";

/// Writes the generated files that are not up to date. With `check` it writes nothing, and fails for the first of them.
pub(crate) fn sync(root: &Path, check: bool) -> Result<()> {
    let read = |name: &str| fs::read_to_string(root.join(name)).with_context(|| format!("cannot read {name}"));
    let template = read("template.yaml")?;
    let operations = operations::write_into(&read(OPERATIONS)?, &template, &read(cost::PRICES)?)?;
    let [collection, environment] = postman::files(root)?;
    let generated = [
        ("shared/openapi.json", openapi::text()?),
        collection,
        environment,
        ("Cargo.toml", router::write_into(&read("Cargo.toml")?)?),
        ("template.yaml", functions::write_into(&template)?),
        (OPERATIONS, operations),
    ];
    for (name, wanted) in generated {
        let file = root.join(name);
        if fs::read_to_string(&file).is_ok_and(|current| current == wanted) {
            continue;
        }
        ensure!(!check, "{name} is not what the code generates: run `cargo xtask sync` and commit it");
        fs::write(&file, wanted).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace;

    /// A folder with the hand-written parts of the generated files and the example events, and without generated text.
    fn unsynced(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("sync-{name}-{}", std::process::id()));
        for folder in ["shared", "docs/postman", "xtask", "events"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for event in fs::read_dir(workspace::find_root().unwrap().join("events")).unwrap() {
            let event = event.unwrap();
            fs::copy(event.path(), root.join("events").join(event.file_name())).unwrap();
        }
        let values = "Parameters: {Stage: {Description: create-contact}}\nGlobals: {Function: {MemorySize: 256}}";
        let template = format!("{values}\nResources:\n{}\n{}\n", functions::BEGIN, functions::END);
        for (name, text) in [
            ("Cargo.toml", "[workspace]\n"),
            ("template.yaml", &template),
            (OPERATIONS, &operations::without_tables()),
            (cost::PRICES, include_str!("../prices.toml")),
        ] {
            fs::write(root.join(name), text).unwrap();
        }
        root
    }

    #[test]
    fn a_check_writes_nothing_and_names_the_file_and_the_command() {
        let root = unsynced("check");

        let error = sync(&root, true).unwrap_err().to_string();

        assert!(error.contains("shared/openapi.json") && error.contains("cargo xtask sync"), "{error}");
        assert!(!root.join("shared/openapi.json").exists());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_check_passes_after_a_sync_and_fails_for_each_changed_file() {
        let root = unsynced("sync");
        sync(&root, false).unwrap();
        sync(&root, true).unwrap();
        for (name, generated) in [
            ("shared/openapi.json", "create_contact"),
            (postman::COLLECTION, "Create a contact"),
            (postman::ENVIRONMENT, "sk_test_example"),
            ("Cargo.toml", "create-contact"),
            ("template.yaml", "Binary: create-contact"),
            (OPERATIONS, "`create_contact` |"),
            (OPERATIONS, "`Stage` |"),
        ] {
            let file = root.join(name);
            let synced = fs::read_to_string(&file).unwrap();
            assert!(synced.contains(generated), "{name} has no {generated}");
            fs::write(&file, synced.replace(generated, "changed")).unwrap();

            let error = sync(&root, true).unwrap_err().to_string();

            assert!(error.starts_with(&format!("{name} is not what the code generates")), "{error}");
            sync(&root, false).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), synced, "{name}");
        }
        fs::remove_dir_all(root).unwrap();
    }
}
