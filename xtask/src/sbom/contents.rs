//! The content of a document: what the function is linked from, and nothing else.

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

/// Removes what the function is not linked from: `cargo metadata`, which the document is made from, also counts optional
/// dependencies that Cargo does not build.
pub(super) fn keep_linked(document: &mut Value, linked: &BTreeSet<Package>) {
    let mut kept: BTreeSet<_> =
        document["metadata"]["component"]["bom-ref"].as_str().map(str::to_owned).into_iter().collect();
    if let Some(components) = array_mut(document, "components") {
        components.retain(|component| linked.contains(&package(component)));
        kept.extend(components.iter().map(|component| text(component, "bom-ref").to_owned()));
    }
    if let Some(dependencies) = array_mut(document, "dependencies") {
        dependencies.retain(|dependency| kept.contains(text(dependency, "ref")));
        for targets in dependencies.iter_mut().filter_map(|dependency| array_mut(dependency, "dependsOn")) {
            targets.retain(|target| target.as_str().is_some_and(|target| kept.contains(target)));
        }
    }
}

/// What is wrong with a document. `linked` are the packages of the function, itself included.
pub(super) fn findings(document: &Value, linked: &BTreeSet<Package>) -> Vec<String> {
    let mut listed = BTreeSet::new();
    let mut findings = Vec::new();
    for component in components(document) {
        let package = package(component);
        for missing in missing_members(component) {
            findings.push(format!("{package} has no {missing}"));
        }
        listed.insert(package);
    }
    findings.extend(linked.difference(&listed).map(|package| format!("{package} is missing")));
    findings
}

/// The function itself, and its dependencies.
fn components(document: &Value) -> impl Iterator<Item = &Value> {
    let function = &document["metadata"]["component"];
    std::iter::once(function).chain(document["components"].as_array().into_iter().flatten())
}

fn package(component: &Value) -> Package {
    format!("{} v{}", text(component, "name"), text(component, "version"))
}

fn missing_members(component: &Value) -> Vec<&'static str> {
    // The packages of the workspace, and what is no package of Cargo, have no archive in the lock file and thus no checksum.
    let is_member = text(component, "bom-ref").starts_with("path+file:");
    let has_checksum = text(component, "purl").starts_with("pkg:cargo/") && !is_member;
    let required: &[&str] = if has_checksum { &["licenses", "purl", "hashes"] } else { &["licenses", "purl"] };
    required.iter().copied().filter(|member| component.get(member).is_none()).collect()
}

fn array_mut<'a>(object: &'a mut Value, member: &str) -> Option<&'a mut Vec<Value>> {
    object.get_mut(member)?.as_array_mut()
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

    /// The packages of a function that is linked from serde.
    fn linked() -> BTreeSet<Package> {
        packages("create-contact v0.1.0 (/checkout/functions/create-contact)\nserde v1.0.0\n")
    }

    fn findings_about(components: &Value) -> Vec<String> {
        findings(&document(components), &linked())
    }

    #[test]
    fn packages_are_read_without_what_follows_the_version() {
        let tree = "shared v0.1.0 (/checkout/shared)\nserde v1.0.229\nserde_derive v1.0.229 (proc-macro)\nserde v1.0.229 (*)\n\n";
        let expected = ["serde v1.0.229", "serde_derive v1.0.229", "shared v0.1.0"];
        assert_eq!(packages(tree).into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_document_of_what_is_linked_has_no_findings() {
        assert_eq!(findings_about(&json!([component("serde")])), Vec::<String>::new());
    }

    #[test]
    fn a_missing_package_is_a_finding() {
        assert_eq!(findings_about(&json!([])), ["serde v1.0.0 is missing"]);
    }

    #[test]
    fn what_the_function_is_not_linked_from_is_removed() {
        let (function, serde, engine) =
            ("path+file:///functions/create-contact#0.1.0", component("serde"), component("engine"));
        let mut shown = document(&json!([serde, engine]));
        shown["dependencies"] = json!([
            {"ref": function, "dependsOn": [serde["bom-ref"], engine["bom-ref"]]},
            {"ref": serde["bom-ref"]},
            {"ref": engine["bom-ref"], "dependsOn": [serde["bom-ref"]]},
        ]);
        let mut expected = document(&json!([serde]));
        expected["dependencies"] =
            json!([{"ref": function, "dependsOn": [serde["bom-ref"]]}, {"ref": serde["bom-ref"]}]);
        keep_linked(&mut shown, &linked());
        assert_eq!(shown, expected);
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
