//! The files that must agree with the route table: folders, template, router, example events, `openapi.json`. And the
//! layers of the crate. Each failure says what to edit.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
// The future of a whole request nests deeper than the compiler's default allows.
#![recursion_limit = "256"]

#[path = "contract/description.rs"]
mod description;
#[path = "contract/documents.rs"]
mod documents;
#[path = "contract/layers.rs"]
mod layers;
#[path = "contract/monitoring.rs"]
mod monitoring;
#[path = "contract/template.rs"]
mod template;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::{Map, Value, json};
use shared::dynamodb::Parent;
use shared::endpoint::Spec;
use shared::testing::costs::CostCase;
use shared::{Endpoint, Page, endpoint, openapi};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(file: impl AsRef<Path>) -> String {
    let file = root().join(file);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn specs() -> impl Iterator<Item = &'static Spec> + Clone {
    Endpoint::ALL.iter().map(|endpoint| endpoint.spec())
}

/// The names of all functions: those of the endpoints and pages, and the worker's.
fn functions() -> impl Iterator<Item = String> {
    let endpoints = Endpoint::ALL.iter().map(|endpoint| endpoint.name());
    let pages = Page::ALL.iter().map(|page| page.name());
    endpoints.chain(pages).chain([endpoint::WORKER]).map(str::to_owned)
}

fn with_and_without_slash(path: &str) -> [String; 2] {
    [path.to_owned(), format!("{path}/")]
}

/// The names in a folder, without their extension.
fn stems(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(arguments).arg("--locked").current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn cargo_metadata() -> Value {
    serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap()
}

/// Asserts that two collections hold the same items, in any order.
#[track_caller]
fn assert_same<T: PartialEq + Debug>(
    wanted: impl IntoIterator<Item = T>,
    found: impl IntoIterator<Item = T>,
    edit: &str,
) {
    let mut surplus: Vec<T> = found.into_iter().collect();
    let mut missing = Vec::new();
    for wanted in wanted {
        match surplus.iter().position(|found| *found == wanted) {
            Some(index) => drop(surplus.swap_remove(index)),
            None => missing.push(wanted),
        }
    }
    assert!(missing.is_empty() && surplus.is_empty(), "{edit}\nto add: {missing:#?}\nto remove: {surplus:#?}");
}

#[test]
fn every_endpoint_and_page_has_its_own_route() {
    let of_endpoints = specs().map(|spec| format!("{} {}", spec.method.as_str(), spec.path));
    let of_pages = Page::ALL.iter().map(|page| format!("GET {}", page.path()));
    let routes = of_endpoints.chain(of_pages);
    let distinct: BTreeSet<_> = routes.clone().collect();
    assert_same(distinct, routes, "shared/src/endpoint/table.rs, shared/src/page.rs: give each a route of its own");
}

#[test]
fn every_function_has_a_folder_a_package_and_a_binary() {
    assert_same(
        functions(),
        stems("functions"),
        "functions/: one folder for each Endpoint and Page, the worker's, and no other",
    );

    let metadata = cargo_metadata();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let packages = packages
        .filter(|package| Path::new(package["manifest_path"].as_str().unwrap()).starts_with(functions_folder()));
    let binaries = packages.flat_map(|package| {
        let targets = package["targets"].as_array().unwrap().iter();
        let binaries = targets.filter(|target| target["kind"] == json!(["bin"]));
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().file_name().unwrap();
        let folder = folder.to_str().unwrap().to_owned();
        binaries.map(move |binary| (folder.clone(), package["name"].clone(), binary["name"].clone()))
    });
    let wanted = functions().map(|name| (name.clone(), json!(name), json!(name)));
    assert_same(
        wanted,
        binaries,
        "functions/*/Cargo.toml: folder, package and its one binary have the function's name",
    );
}

fn functions_folder() -> PathBuf {
    root().join("functions").canonicalize().unwrap()
}

#[test]
fn the_workers_example_event_is_the_removal_of_a_parent() {
    let file = format!("events/{}.json", endpoint::WORKER);
    let event: Value = serde_json::from_str(&text(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    for record in event["Records"].as_array().unwrap() {
        assert_eq!(
            (&record["eventName"], &record["eventSource"]),
            (&json!("REMOVE"), &json!("aws:dynamodb")),
            "{file}"
        );
        let key = |name: &str| record["dynamodb"]["Keys"][name]["S"].as_str().unwrap_or_default();
        assert!(Parent::at(key("pk"), key("sk")).is_some(), "{file}: no contact, import or campaign has this key");
    }
}

#[test]
fn every_function_has_an_example_event() {
    assert_same(
        functions(),
        stems("events"),
        "events/: one <name>.json for each Endpoint and Page, the worker's, and no other",
    );

    for endpoint in Endpoint::ALL {
        let spec = endpoint.spec();
        let file = format!("events/{}.json", endpoint.name());
        let event: Value = serde_json::from_str(&text(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let path = event["rawPath"].as_str().unwrap_or_default();
        let values = endpoint.path_values(path);
        let values = values.unwrap_or_else(|| panic!("{file}: rawPath {path:?} is not one of {}", spec.path));
        let values: Map<_, _> = values.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let values = if values.is_empty() { Value::Null } else { Value::Object(values) };
        let route = json!(format!("{} {}", spec.method.as_str(), spec.path));
        for (pointer, wanted) in [
            ("/version", json!("2.0")),
            ("/routeKey", route.clone()),
            ("/requestContext/routeKey", route),
            ("/requestContext/http/method", json!(spec.method.as_str())),
            ("/requestContext/http/path", json!(path)),
            ("/pathParameters", values),
        ] {
            let found = event.pointer(pointer).cloned().unwrap_or_default();
            assert_eq!(found, wanted, "{file}: set {pointer} to what Endpoint::{endpoint:?} declares (right)");
        }
        assert_eq!(
            event["body"].is_string(),
            spec.body.is_some(),
            "{file}: an event has a body if the endpoint takes one"
        );
    }
}

#[test]
fn the_example_event_of_a_page_is_a_request_for_it() {
    for page in Page::ALL {
        let file = format!("events/{}.json", page.name());
        let event: Value = serde_json::from_str(&text(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let route = format!("GET {}", page.path());
        for (pointer, wanted) in [
            ("/version", "2.0"),
            ("/rawPath", page.path()),
            ("/routeKey", &route),
            ("/requestContext/routeKey", &route),
            ("/requestContext/http/method", "GET"),
            ("/requestContext/http/path", page.path()),
        ] {
            assert_eq!(
                event.pointer(pointer),
                Some(&json!(wanted)),
                "{file}: set {pointer} as shared/src/page.rs has it"
            );
        }
    }
}

#[test]
fn the_local_router_routes_as_the_tables_say() {
    let mut wanted = Map::new();
    let of_endpoints = Endpoint::ALL.iter().map(|endpoint| {
        let spec = endpoint.spec();
        (spec.path, spec.method.as_str(), endpoint.name())
    });
    let of_pages = Page::ALL.iter().map(|page| (page.path(), "GET", page.name()));
    for (path, method, function) in of_endpoints.chain(of_pages) {
        for path in with_and_without_slash(path) {
            let routes = wanted.entry(path).or_insert_with(|| json!([])).as_array_mut().unwrap();
            routes.push(json!({"method": method, "function": function}));
        }
    }
    let router = cargo_metadata().pointer("/metadata/lambda/watch/router").cloned().unwrap_or_default();
    let router = router.as_object().cloned().unwrap_or_default();
    assert_same(wanted, router, "Cargo.toml, [workspace.metadata.lambda.watch.router]: run `cargo xtask sync`");
}

#[test]
fn every_endpoint_has_a_declared_cost() {
    let declared: BTreeSet<_> = CostCase::ALL.iter().map(|case| case.endpoint().name()).collect();
    let wanted = Endpoint::ALL.iter().map(|endpoint| endpoint.name());
    assert_same(wanted, declared, "shared/src/testing/costs.rs: at least one case for each Endpoint");
}

#[test]
fn the_committed_description_is_up_to_date() {
    let generated = openapi::text().unwrap();
    let same = text("shared/openapi.json") == generated;
    assert!(same, "shared/openapi.json is not what shared/src/openapi generates: run `cargo xtask sync`");
}

#[test]
fn an_endpoint_that_names_a_resource_can_respond_404() {
    let description = serde_json::to_value(openapi::document()).unwrap();
    for spec in specs() {
        let method = spec.method.as_str().to_ascii_lowercase();
        let responses = &description["paths"][spec.path][method]["responses"];
        let names_a_resource = spec.path.contains('{') || spec.requires_import();
        let edit = "shared/src/domain/kind.rs, Kind::of_path_id: which kind of resource does its id name?";
        assert_eq!(responses["404"].is_object(), names_a_resource, "{}: {edit}", spec.path);
    }
}
