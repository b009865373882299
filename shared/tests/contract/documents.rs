//! The documents agree with the code and the template, and their links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::template::template;
use shared::Page;

use super::{assert_same, root, specs, text};

/// The Markdown files of the project, by their paths from the root.
fn documents() -> BTreeSet<PathBuf> {
    let mut documents = BTreeSet::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                documents.insert(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    documents
}

/// The lines of a document outside of its code blocks.
fn prose(document: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    document.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// A text without its code spans.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect()
}

/// The targets of the inline links of a document.
fn links(document: &str) -> Vec<String> {
    let prose = without_code(&prose(document).collect::<Vec<_>>().join("\n"));
    prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a document's headings, formed as GitHub forms them. No document has a heading twice.
fn anchors(document: &str) -> Vec<String> {
    let headings = prose(document).filter(|line| line.starts_with('#'));
    let titles = headings.filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    titles.map(anchor).collect()
}

fn anchor(title: &str) -> String {
    let kept = title.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// The path from the root that a link names.
fn linked(document: &Path, target: &str) -> PathBuf {
    let mut path = document.parent().unwrap().to_owned();
    for component in Path::new(target).components() {
        match component {
            Component::ParentDir => assert!(path.pop(), "{}: {target} leaves the project", document.display()),
            component => path.push(component),
        }
    }
    path
}

/// The lines under a heading of the second level.
fn section<'a>(document: &'a str, heading: &str) -> impl Iterator<Item = &'a str> {
    prose(document).skip_while(move |line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "))
}

/// The anchors of the headings of the third level under a heading of the second.
pub(super) fn anchors_under(document: &str, heading: &str) -> Vec<String> {
    section(document, heading).filter_map(|line| line.strip_prefix("### ")).map(anchor).collect()
}

/// The rows of the tables under a heading, each with its cells.
fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let rows = section(document, heading).filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").map(str::to_owned).collect()).collect()
}

/// The names in the first column of the tables under a heading.
fn names(document: &str, heading: &str) -> BTreeSet<String> {
    let name = |cells: Vec<String>| cells.first()?.strip_prefix('`')?.strip_suffix('`').map(str::to_owned);
    rows(document, heading).into_iter().filter_map(name).collect()
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let documents: BTreeMap<_, _> = documents().into_iter().map(|file| (file.clone(), text(&file))).collect();
    for (file, document) in &documents {
        for link in links(document) {
            if link.contains("://") {
                continue;
            }
            let (target, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let path = if target.is_empty() { file.clone() } else { linked(file, target) };
            let edit = format!("{}: correct the link to {link}", file.display());
            assert!(root().join(&path).exists(), "{edit}: there is no {}", path.display());
            let has_heading =
                || documents.get(&path).is_some_and(|target| anchors(target).iter().any(|a| a == fragment));
            assert!(fragment.is_empty() || has_heading(), "{edit}: {} has no such heading", path.display());
        }
    }
}

#[test]
fn no_document_has_two_headings_with_one_anchor() {
    for file in documents().iter().filter(|file| !file.ends_with("CHANGELOG.md")) {
        let mut seen = BTreeSet::new();
        for anchor in anchors(&text(file)) {
            assert!(seen.insert(anchor.clone()), "{}: two headings have the anchor {anchor}", file.display());
        }
    }
}

#[test]
fn the_api_document_lists_every_endpoint() {
    let wanted = specs().map(|spec| {
        let route = format!("`{} {}`", spec.method.as_str(), spec.path);
        (route, spec.scope.as_str().to_owned(), spec.success.status.to_string())
    });
    let listed = rows(&text("docs/api.md"), "## Endpoints").into_iter().filter_map(|cells| {
        let [route, scope, success, ..] = cells.as_slice() else { return None };
        let route = route.replace("/`", "`");
        route.contains(" /").then(|| (route, scope.clone(), success.clone()))
    });
    assert_same(wanted, listed, "docs/api.md, Endpoints: one row per endpoint with its route, scope and status");
}

#[test]
fn the_api_document_lists_every_page() {
    let wanted = Page::ALL.iter().map(|page| format!("GET {}", page.path()));
    assert_same(wanted, names(&text("docs/api.md"), "## Pages"), "docs/api.md, Pages: one row per page with its route");
}

#[test]
fn the_operations_document_lists_every_parameter() {
    let (template, operations) = (template(), text("docs/operations.md"));
    let parameters = template["Parameters"].as_object().unwrap().keys().cloned();
    assert_same(parameters, names(&operations, "## Deploy"), "docs/operations.md, Deploy: one row per parameter");
}

#[test]
fn links_and_anchors_are_read_as_markdown_has_them() {
    let document =
        "# A `/pub/` URL, once\n[a](b.md#c) `[no](link)` and [d\ne](f)\n```\n# no heading [x](y)\n```\n## Two";
    assert_eq!(links(document), ["b.md#c", "f"]);
    assert_eq!(anchors(document), ["a-pub-url-once", "two"]);
    assert_eq!(linked(Path::new("docs/api.md"), "../README.md"), Path::new("README.md"));
}
