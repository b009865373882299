//! The check of a document: it lists what the function is linked from, and nothing that only developers use.

use std::collections::BTreeSet;

use serde_json::Value;

/// A package as `cargo tree` names it: `serde v1.0.229`.
pub(super) type Package = String;

/// The packages in the output of `cargo tree --prefix none`, where a line can end with more: `(proc-macro)`, a path, `(*)`.
pub(super) fn packages(tree: &str) -> BTreeSet<Package> {
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    tree.lines().filter_map(package).collect()
}

/// What is wrong with a document. `linked` are the packages of the function, itself included; `developers` are those that only
/// tests and tools use.
///
/// Other packages are allowed: `cargo metadata`, which the document is made from, counts a few optional dependencies that
/// Cargo does not build.
pub(super) fn findings(document: &Value, linked: &BTreeSet<Package>, developers: &BTreeSet<Package>) -> Vec<String> {
    let mut listed = BTreeSet::new();
    let mut findings = Vec::new();
    for component in components(document) {
        let package = format!("{} v{}", text(component, "name"), text(component, "version"));
        for missing in missing_members(component) {
            findings.push(format!("{package} has no {missing}"));
        }
        listed.insert(package);
    }
    findings.extend(linked.difference(&listed).map(|package| format!("{package} is missing")));
    findings
        .extend(listed.intersection(developers).map(|package| format!("{package} is used by tests and tools only")));
    findings
}

/// The function itself, and its dependencies.
fn components(document: &Value) -> impl Iterator<Item = &Value> {
    let function = &document["metadata"]["component"];
    std::iter::once(function).chain(document["components"].as_array().into_iter().flatten())
}

fn missing_members(component: &Value) -> Vec<&'static str> {
    // The packages of the workspace, and what is no package of Cargo, have no archive in the lock file and thus no checksum.
    let is_member = text(component, "bom-ref").starts_with("path+file:");
    let has_checksum = text(component, "purl").starts_with("pkg:cargo/") && !is_member;
    let required: &[&str] = if has_checksum { &["licenses", "purl", "hashes"] } else { &["licenses", "purl"] };
    required.iter().copied().filter(|member| component.get(member).is_none()).collect()
}

fn text<'a>(component: &'a Value, member: &str) -> &'a str {
    component[member].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(components: &Value) -> Value {
        let function = json!({
            "bom-ref": "path+file:///functions/create-contact#0.1.0", "name": "create-contact", "version": "0.1.0",
            "licenses": [{"expression": "MIT OR Apache-2.0"}], "purl": "pkg:cargo/create-contact@0.1.0",
        });
        json!({"metadata": {"component": function}, "components": components})
    }

    fn component(name: &str) -> Value {
        json!({
            "bom-ref": format!("registry+https://github.com/rust-lang/crates.io-index#{name}@1.0.0"), "name": name, "version": "1.0.0",
            "licenses": [{"expression": "MIT"}], "purl": format!("pkg:cargo/{name}@1.0.0"),
            "hashes": [{"alg": "SHA-256", "content": "e7a5"}],
        })
    }

    /// The findings about a function that is linked from serde; the engine is for developers.
    fn findings_about(components: &Value) -> Vec<String> {
        let linked = packages("create-contact v0.1.0 (/checkout/functions/create-contact)\nserde v1.0.0\n");
        findings(&document(components), &linked, &packages("engine v1.0.0\n"))
    }

    #[test]
    fn packages_are_read_without_what_follows_the_version() {
        let tree = "shared v0.1.0 (/checkout/shared)\nserde v1.0.229\nserde_derive v1.0.229 (proc-macro)\nserde v1.0.229 (*)\n\n";
        let expected = ["serde v1.0.229", "serde_derive v1.0.229", "shared v0.1.0"];
        assert_eq!(packages(tree).into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_document_of_what_is_linked_has_no_findings() {
        let optional = component("time-macros");
        assert_eq!(findings_about(&json!([component("serde"), optional])), Vec::<String>::new());
    }

    #[test]
    fn a_missing_package_is_a_finding() {
        assert_eq!(findings_about(&json!([])), ["serde v1.0.0 is missing"]);
    }

    #[test]
    fn a_package_for_developers_is_a_finding() {
        let expected = ["engine v1.0.0 is used by tests and tools only"];
        assert_eq!(findings_about(&json!([component("serde"), component("engine")])), expected);
    }

    #[test]
    fn a_package_without_licence_url_or_checksum_is_a_finding() {
        let mut serde = component("serde");
        for member in ["licenses", "purl", "hashes"] {
            let value = serde.as_object_mut().unwrap().remove(member).unwrap();
            assert_eq!(findings_about(&json!([serde])), [format!("serde v1.0.0 has no {member}")]);
            serde[member] = value;
        }
    }
}
