//! What is generated from the route table: `shared/openapi.json`, and the router of `cargo lambda watch` in the root
//! `Cargo.toml`. `shared/tests/contract.rs` holds both to it.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use shared::{Endpoint, openapi};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, value};

/// Writes the generated files that are out of step. With `check` it writes nothing, and fails for the first of them.
pub(crate) fn sync(root: &Path, check: bool) -> Result<()> {
    let manifest = root.join("Cargo.toml");
    let manifest = fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    for (name, wanted) in [("shared/openapi.json", openapi::text()?), ("Cargo.toml", with_router(&manifest)?)] {
        let file = root.join(name);
        if fs::read_to_string(&file).is_ok_and(|current| current == wanted) {
            continue;
        }
        ensure!(!check, "{name} is out of step with shared/src: run `cargo xtask sync` and commit it");
        fs::write(&file, wanted).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The root manifest with the router of [`Endpoint`]; all else keeps its bytes.
fn with_router(manifest: &str) -> Result<String> {
    let mut manifest: DocumentMut = manifest.parse().context("the root Cargo.toml is not TOML")?;
    let mut table = manifest.as_table_mut();
    for name in ["workspace", "metadata", "lambda", "watch"] {
        let child = table.entry(name).or_insert_with(implicit_table).as_table_mut();
        table = child.with_context(|| format!("`{name}` of the root Cargo.toml is not written as a [table]"))?;
    }
    table.insert("router", Item::Table(router()));
    Ok(manifest.to_string())
}

/// A table that has no header of its own.
fn implicit_table() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

/// By path, with and without its trailing slash: which method is whose.
fn router() -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n# Written by `cargo xtask sync` out of shared/src/endpoint.rs.\n");
    for spec in Endpoint::ALL.iter().map(|endpoint| endpoint.spec()) {
        for path in [spec.path.to_owned(), format!("{}/", spec.path)] {
            let routes = table.entry(&path).or_insert_with(|| value(Array::new()));
            if let Some(routes) = routes.as_array_mut() {
                let route = [("method", spec.method.as_str()), ("function", spec.name)];
                routes.push(InlineTable::from_iter(route));
            }
        }
    }
    for (_, routes) in table.iter_mut() {
        one_a_line(routes);
    }
    table
}

fn one_a_line(routes: &mut Item) {
    let Some(routes) = routes.as_array_mut() else { return };
    for route in routes.iter_mut() {
        route.decor_mut().set_prefix("\n    ");
    }
    routes.set_trailing("\n");
    routes.set_trailing_comma(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_manifest_keeps_its_bytes() {
        let before = "# First.\n[workspace]\nmembers = [ 'a' ] # Odd.\n\n[profile.dev]\ndebug=1\n";
        let after = with_router(before).unwrap();
        let (start, end) = (after.find("\n# Written by").unwrap(), after.find("\n[profile").unwrap());
        assert_eq!(format!("{}{}", &after[..start], &after[end..]), before);
        assert!(after[start..end].contains("[workspace.metadata.lambda.watch.router]\n\"/contacts\" = [\n"), "{after}");
        assert_eq!(with_router(&after).unwrap(), after);
    }

    #[test]
    fn a_changed_route_is_put_right_where_it_stands() {
        let synced = with_router("[workspace]\n\n[profile.dev]\n").unwrap();
        let changed = synced.replacen("create-contact", "make-contact", 1).replacen("\"/imports\"", "\"/import\"", 1);
        assert_ne!(changed, synced);
        assert_eq!(with_router(&changed).unwrap(), synced);
    }

    #[test]
    fn a_check_writes_nothing_and_names_the_file_and_the_command() {
        let root = std::env::temp_dir().join(format!("sync-{}", std::process::id()));
        fs::create_dir_all(root.join("shared")).unwrap();
        fs::write(root.join("Cargo.toml"), "[workspace]\n").unwrap();

        let fault = sync(&root, true).unwrap_err().to_string();
        assert!(fault.contains("shared/openapi.json") && fault.contains("cargo xtask sync"), "{fault}");
        assert!(!root.join("shared/openapi.json").exists());

        sync(&root, false).unwrap();
        sync(&root, true).unwrap();

        fs::write(root.join("Cargo.toml"), "[workspace]\n").unwrap();
        let fault = sync(&root, true).unwrap_err().to_string();
        assert!(fault.starts_with("Cargo.toml is out of step"), "{fault}");
        fs::remove_dir_all(root).unwrap();
    }
}
