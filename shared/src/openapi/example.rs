//! The examples of requests and responses.
//!
//! The example of a request is the endpoint's example event, which its tests send. The examples of the platform's own
//! documentation for responses are in `examples/`, as `<endpoint>.<status>.json`; other responses have the examples of their
//! schemas or errors.
//!
//! `serde_json::Value` would sort the members of an example. So the document holds the name of a file instead, and [`fill`]
//! puts the content of the file into its text.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::endpoint::Endpoint;

/// The start of the text that stands for an example; the path of its file follows, from the folder of this crate.
const PLACEHOLDER: &str = "example: ";

const EVENTS: &str = "../events";
const RESPONSES: &str = "src/openapi/examples";

/// Stands for the body of an endpoint's example event.
pub(super) fn request(endpoint: Endpoint) -> Value {
    format!("{PLACEHOLDER}{EVENTS}/{}.json", endpoint.name()).into()
}

/// Stands for the example of a response in the platform's documentation, if there is one.
pub(super) fn response(endpoint: Endpoint, status: u16) -> Option<Value> {
    let file = format!("{RESPONSES}/{}.{status}.json", endpoint.name());
    read(&file).map(|_| format!("{PLACEHOLDER}{file}").into())
}

/// The value of a path parameter in an endpoint's example event.
pub(super) fn path_value(endpoint: Endpoint, name: &str) -> Option<Value> {
    let event = event(&format!("{EVENTS}/{}.json", endpoint.name()))?;
    let values = endpoint.path_values(event["rawPath"].as_str()?)?;
    values.get(name).map(Value::from)
}

/// The text of the document, with each example in its place. One whose file cannot be read stays out, which
/// `shared/tests/contract/description.rs` notices.
pub(super) fn fill(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&format!("\"{PLACEHOLDER}")) {
        let (file, after) = after.split_once('"').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(&content(file).unwrap_or_else(|| "null".to_owned()));
        rest = after;
    }
    filled + rest
}

/// An example in one line: the content of a file, or the body of the event in it.
fn content(file: &str) -> Option<String> {
    let text = if file.starts_with(EVENTS) { event(file)?["body"].as_str()?.to_owned() } else { read(file)? };
    Some(text.lines().map(str::trim).collect::<Vec<_>>().join(" "))
}

fn event(file: &str) -> Option<Value> {
    serde_json::from_str(&read(file)?).ok()
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).ok()
}
