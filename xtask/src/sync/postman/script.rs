//! The scripts of the collection, in JavaScript.
//!
//! Postman runs the scripts of a collection and of its requests in one scope, so that a `const` of the same name in two of
//! them is an error. Each script is one block, which keeps its names to itself.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::format::{Event, Script};
use super::step::{Credential, Step};

/// The tests of every response.
const EVERY_RESPONSE: &str = r#"
pm.test("X-Request-ID names the request", () => pm.expect(pm.response.headers.get("X-Request-ID")).to.match(/^[!-~]{1,128}$/));
if (pm.response.code === 304) {
  pm.test("a 304 has no body", () => pm.expect(pm.response.text()).to.be.empty);
} else {
  pm.test("Content-Type is application/json", () => pm.expect(pm.response.headers.get("Content-Type")).to.match(/^application\/json\b/));
}"#;

/// Skips a request with a token if the environment has no token.
const SKIP_WITHOUT_TOKEN: &str = r#"
if (!pm.variables.get("jwt")) {
  pm.execution.skipRequest();
}"#;

/// The script after every response.
pub(super) fn of_every_response() -> Event {
    event("test", EVERY_RESPONSE.trim())
}

/// The scripts of a request, from the description of its endpoint in `openapi.json`.
pub(super) fn of_step(step: &Step, responses: &Value, schemas: &Value) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    if matches!(step.credential, Credential::Token) {
        events.push(event("prerequest", SKIP_WITHOUT_TOKEN.trim()));
    }
    events.push(event("test", &tests(step, responses, schemas)?));
    Ok(events)
}

/// The tests of a response, and the variables that are handed on.
fn tests(step: &Step, responses: &Value, schemas: &Value) -> Result<String> {
    let status = step.status();
    let response = responses.get(status.to_string());
    let response = response.with_context(|| format!("openapi.json has no status {status} of {:?}", step.endpoint))?;
    let mut statements =
        vec![test(&format!("the status is {status}"), &format!("pm.response.to.have.status({status});"))];
    if let Some(content) = response.pointer("/content/application~1json") {
        statements.push("const body = pm.response.json();".to_owned());
        statements.push(if status < 400 { members(content, schemas)? } else { error(step, content)? });
    }
    statements.extend(step.tests.iter().map(|(name, body)| test(name, body)));
    statements.extend(step.hands_on.iter().map(|(name, value)| hand_on(name, value)));
    Ok(statements.join("\n"))
}

/// A test of the required members of a response, or of each of its rows.
fn members(content: &Value, schemas: &Value) -> Result<String> {
    let schema = &content["schema"];
    let is_list = schema["type"] == "array";
    let reference = if is_list { &schema["items"] } else { schema }["$ref"].as_str();
    let name = reference.and_then(|reference| reference.rsplit('/').next());
    let name = name.context("a response in openapi.json refers to no schema")?;
    let required = schemas[name]["required"].as_array().with_context(|| format!("{name} requires no member"))?;
    let keys = required.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if is_list {
        let body = format!(
            "pm.expect(body).to.be.an(\"array\");\n\
             body.forEach((row) => pm.expect(row).to.include.all.keys({keys}));"
        );
        return Ok(test(&format!("each row has the members of {name}"), &body));
    }
    Ok(test(&format!("the body has the members of {name}"), &format!("pm.expect(body).to.include.all.keys({keys});")))
}

/// A test of the text of an error.
fn error(step: &Step, content: &Value) -> Result<String> {
    let detail = step.detail.or_else(|| content["example"]["detail"].as_str());
    let detail = detail.with_context(|| format!("openapi.json has no example of {}", step.name()))?;
    let expected = format!("pm.expect(body.detail).to.equal(pm.variables.replaceIn({}));", json!(detail));
    Ok(test("the error says what is wrong", &expected))
}

fn hand_on(variable: &str, value: &str) -> String {
    let body = format!(
        "const value = {value};\n\
         pm.expect(value).to.be.a(\"string\").and.not.empty;\n\
         pm.collectionVariables.set({variable:?}, value);"
    );
    test(&format!("{variable} is handed on"), &body)
}

fn test(name: &str, body: &str) -> String {
    format!("pm.test({}, () => {{\n{}\n}});", json!(name), indented(body))
}

fn event(listen: &'static str, statements: &str) -> Event {
    let block = format!("{{\n{}\n}}", indented(statements));
    Event { listen, script: Script { language: "text/javascript", exec: block.lines().map(str::to_owned).collect() } }
}

fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
