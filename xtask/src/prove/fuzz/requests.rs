//! Whole requests: events, queries, headers, bodies, and the batches of the worker.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use fastrand::Rng;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use shared::Endpoint;
use shared::endpoint::{MAX_REQUEST_ID, WORKER};
use shared::http::Event;
use shared::testing::{TestRequest, TestResponse, invocation};
use shared::worker::{Batch, process_batch};
use tokio::time::Instant;

use super::generate::{VALUES, change, json, mutate, once_in, pick, text};
use super::pipeline::{Pipeline, request};
use super::runner::{Target, Verdict};
use super::tokens;

/// The targets of this module.
pub(super) fn targets(pipeline: &Arc<Pipeline>, batch: Value) -> Vec<Target> {
    let bodies = Endpoint::ALL.iter().filter(|endpoint| endpoint.spec().body.is_some());
    let bodies = bodies.map(|endpoint| body_target(pipeline, *endpoint));
    let others =
        [event_target(pipeline), query_target(pipeline), header_target(pipeline), batch_target(pipeline, batch)];
    others.into_iter().chain(bodies).collect()
}

/// The verdict that a status shows.
pub(super) fn verdict(response: &TestResponse) -> Verdict {
    if response.status < 400 { Verdict::Accepted } else { Verdict::Refused }
}

/// The endpoint of a name, or of a method and a path.
fn find_endpoint(matches: impl Fn(Endpoint) -> bool) -> Option<Endpoint> {
    Endpoint::ALL.iter().copied().find(|endpoint| matches(*endpoint))
}

fn any_endpoint(rng: &mut Rng) -> Endpoint {
    Endpoint::ALL[rng.usize(..Endpoint::ALL.len())]
}

/// The JSON of an event, of which any member can be anything.
fn event_target(pipeline: &Arc<Pipeline>) -> Target {
    let pipeline = Arc::clone(pipeline);
    let examples: Vec<Value> = Endpoint::ALL.iter().map(|endpoint| request(*endpoint).into_json()).collect();
    let members = [("isBase64Encoded", json!(true)), ("headers", json!({"content-type": "text/csv"}))];
    let members = members.map(|(name, value)| (name.to_owned(), vec![value]));
    let generate = move |rng: &mut Rng| {
        let mut event = examples[rng.usize(..examples.len())].clone();
        if once_in(rng, 3) {
            change(rng, &mut event, &members);
        }
        mutate(rng, event.to_string().into_bytes())
    };
    Target::new("event", generate, move |input| {
        let Ok(event) = serde_json::from_slice::<Event>(input) else { return Ok(Verdict::Refused) };
        let method = &event.request_context.http.method;
        let is_routed = |endpoint: Endpoint| {
            endpoint.spec().method.as_str() == method && endpoint.path_values(&event.raw_path).is_some()
        };
        let endpoint = find_endpoint(is_routed).unwrap_or(Endpoint::CreateContact);
        Ok(verdict(&pipeline.send(endpoint, event)?))
    })
}

/// The name of an endpoint and a query, as `list-contacts?limit=10`.
fn query_target(pipeline: &Arc<Pipeline>) -> Target {
    let pipeline = Arc::clone(pipeline);
    let requests: BTreeMap<_, _> = Endpoint::ALL.iter().map(|endpoint| (endpoint.name(), request(*endpoint))).collect();
    let with_query: Vec<_> =
        Endpoint::ALL.iter().copied().filter(|endpoint| !endpoint.spec().query.is_empty()).collect();
    let generate = move |rng: &mut Rng| {
        let endpoint = with_query[rng.usize(..with_query.len())];
        let mut pairs = Vec::new();
        for _ in 0..rng.u32(..4) {
            let name = endpoint.spec().query[rng.usize(..endpoint.spec().query.len())].name;
            let value = if once_in(rng, 4) { tokens::cursor(rng) } else { pick(rng, &VALUES).to_owned() };
            let value = if once_in(rng, 8) { value } else { utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string() };
            pairs.push(format!("{name}={value}"));
        }
        mutate(rng, format!("{}?{}", endpoint.name(), pairs.join("&")).into_bytes())
    };
    Target::new("query", generate, move |input| {
        let input = String::from_utf8_lossy(input);
        let (name, query) = input.split_once('?').unwrap_or_default();
        let Some(endpoint) = find_endpoint(|endpoint| endpoint.name() == name) else { return Ok(Verdict::Refused) };
        let Some(request) = requests.get(name) else { return Ok(Verdict::Refused) };
        let response = pipeline.send(endpoint, request.clone().query(query).event())?;
        if let Some(next) = response.next_page_query(endpoint) {
            let followed = pipeline.send(endpoint, request.clone().query(&next).event())?;
            ensure!(followed == response, "the link leads to {next:?}, and that to {}", followed.header("link"));
        }
        Ok(verdict(&response))
    })
}

/// The headers that some endpoint reads, with values that it accepts or nearly accepts.
const HEADERS: [(&str, &[&str]); 8] = [
    ("if-match", &["*", "\"3-abc\"", "\"1-a\", W/\"2-b\"", "\"99999999999999999999-x\"", "\"", ","]),
    ("if-none-match", &["*", "\"1-0000000000000000\"", "W/\"1-0\",", "\"a,b\""]),
    ("x-import-id", &["7c9e6679-7425-40de-944b-e07fc1f90ae7", " 7C9E6679-7425-40DE-944B-E07FC1F90AE7 ", ""]),
    ("idempotency-key", &["a", "a b", ""]),
    ("x-request-id", &["4f2c", "é", ""]),
    (
        "content-type",
        &["application/json", "text/csv", "multipart/form-data; boundary=a", "APPLICATION/JSON ;x=y", "", ";"],
    ),
    ("authorization", &["Bearer x", "Basic eDp5", "bearer  ", ""]),
    ("x-api-key", &["sk_test_example", ""]),
];

/// The name of an endpoint, and a header in each of the next lines.
fn header_target(pipeline: &Arc<Pipeline>) -> Target {
    let pipeline = Arc::clone(pipeline);
    let requests: BTreeMap<_, _> = Endpoint::ALL.iter().map(|endpoint| (endpoint.name(), request(*endpoint))).collect();
    Target::new("headers", headers, move |input| {
        let input = String::from_utf8_lossy(input);
        let (name, lines) = input.split_once('\n').unwrap_or_default();
        let Some(endpoint) = find_endpoint(|endpoint| endpoint.name() == name) else { return Ok(Verdict::Refused) };
        let Some(request) = requests.get(name) else { return Ok(Verdict::Refused) };
        // In lower case, as the gateway writes names: of several spellings it would be open which one counts.
        let lines = lines.lines().filter_map(|line| line.split_once(": "));
        let headers: Vec<_> = lines.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let request = headers.iter().fold(request.clone(), |request, (name, value)| request.header(name, value));
        let response = pipeline.send(endpoint, request.event())?;
        check_headers(&headers, &response)?;
        Ok(verdict(&response))
    })
}

fn headers(rng: &mut Rng) -> Vec<u8> {
    // A contact has every header but `Idempotency-Key`, which needs the table.
    let endpoint = if rng.bool() { Endpoint::GetContact } else { any_endpoint(rng) };
    let mut lines = vec![endpoint.name().to_owned()];
    for _ in 0..rng.u32(1..4) {
        let mut index = rng.usize(..HEADERS.len());
        if index >= 6 && !once_in(rng, 4) {
            index = 0;
        }
        let (name, values) = HEADERS[index];
        let value = match rng.u32(..6) {
            0 => text(rng, 8),
            1 => pick(rng, values).repeat(rng.usize(1..150)),
            _ => pick(rng, values).to_owned(),
        };
        lines.push(format!("{name}: {value}"));
    }
    mutate(rng, lines.join("\n").into_bytes())
}

fn check_headers(sent: &[(String, &str)], response: &TestResponse) -> Result<()> {
    // Of repeated names, the last one was sent.
    let sent = |name: &str| sent.iter().rev().find(|(sent, _)| *sent == name).map(|(_, value)| *value);
    if let Some(id) = sent("x-request-id")
        && (1..=MAX_REQUEST_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_graphic())
    {
        ensure!(response.header("x-request-id") == id, "the request id is {:?}", response.header("x-request-id"));
    }
    if response.status == 304 {
        let (tags, etag) = (sent("if-none-match").unwrap_or_default(), response.header("etag"));
        ensure!(tags.trim() == "*" || tags.contains(etag), "304 for {tags:?}, which has not {etag}");
        ensure!(response.text.is_empty(), "304 with a body");
    }
    let needs_table = sent("idempotency-key").is_some() || sent("x-api-key").is_some();
    ensure!(response.status != 503 || needs_table, "503 without a call of the table");
    Ok(())
}

/// The body of an endpoint. A response that describes what was created can be sent back, and creates the same.
pub(super) fn body_target(pipeline: &Arc<Pipeline>, endpoint: Endpoint) -> Target {
    let pipeline = Arc::clone(pipeline);
    let request = request(endpoint);
    let (example, members) = (request.body(), members(endpoint));
    let generate = move |rng: &mut Rng| {
        let mut body = if once_in(rng, 20) { json(rng, 4) } else { example.clone() };
        for _ in 0..rng.u32(..4) {
            change(rng, &mut body, &members);
        }
        mutate(rng, body.to_string().into_bytes())
    };
    Target::new(format!("body of {}", endpoint.name()), generate, move |input| {
        let response = pipeline.send(endpoint, with_body(&request, input).event())?;
        // The defaults that a response shows may exceed a limit that the request was just below.
        if response.status == 201 && response.text.len() < 16_000 {
            let again = pipeline.send(endpoint, with_body(&request, response.text.as_bytes()).event())?;
            ensure!(again.text == response.text, "{} becomes {}", response.text, again.text);
        }
        Ok(verdict(&response))
    })
}

/// A request with these bytes as its body, as the gateway passes it on: text as it is, anything else in Base64.
pub(super) fn with_body(request: &TestRequest, body: &[u8]) -> TestRequest {
    match str::from_utf8(body) {
        Ok(text) => request.clone().text(text),
        Err(_) => request.clone().bytes(body),
    }
}

/// The names of all members that the description of an endpoint's body has, with the values that it mentions.
fn members(endpoint: Endpoint) -> Vec<(String, Vec<Value>)> {
    let document = serde_json::to_value(shared::openapi::document()).unwrap_or_default();
    let method = endpoint.spec().method.as_str().to_lowercase();
    let operation = &document["paths"][endpoint.spec().path][method];
    let mut members = BTreeMap::new();
    collect_members(&document, &operation["requestBody"]["content"]["application/json"]["schema"], &mut members);
    members.into_iter().collect()
}

fn collect_members(document: &Value, schema: &Value, members: &mut BTreeMap<String, Vec<Value>>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let referenced = document.pointer(reference.trim_start_matches('#'));
        return collect_members(document, referenced.unwrap_or_default(), members);
    }
    for part in ["oneOf", "anyOf", "allOf"].iter().filter_map(|part| schema[part].as_array()).flatten() {
        collect_members(document, part, members);
    }
    collect_members_if_present(document, &schema["items"], members);
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let known = members.entry(name.clone()).or_default();
        for values in [&member["examples"], &member["enum"]] {
            known.extend(values.as_array().into_iter().flatten().cloned());
        }
        collect_members_if_present(document, member, members);
    }
}

fn collect_members_if_present(document: &Value, schema: &Value, members: &mut BTreeMap<String, Vec<Value>>) {
    if schema.is_object() {
        collect_members(document, schema, members);
    }
}

/// A batch of the table's stream. Records of parents fail, because there is no table.
fn batch_target(pipeline: &Arc<Pipeline>, example: Value) -> Target {
    let pipeline = Arc::clone(pipeline);
    let members = [("eventName", json!("INSERT")), ("sk", json!({"S": "TOMBSTONE"})), ("S", json!("IMPORT#"))];
    let members = members.map(|(name, value)| (name.to_owned(), vec![value]));
    let generate = move |rng: &mut Rng| {
        let mut batch = example.clone();
        for _ in 0..rng.u32(..4) {
            change(rng, &mut batch, &members);
        }
        mutate(rng, batch.to_string().into_bytes())
    };
    Target::new(WORKER, generate, move |input| {
        let Ok(batch) = serde_json::from_slice::<Batch>(input) else { return Ok(Verdict::Refused) };
        let outcome = pipeline.wait(process_batch(&pipeline.app, &batch, invocation(Instant::now())));
        let outcome = serde_json::to_value(&outcome)?;
        let failures = outcome["batchItemFailures"].as_array().map_or(0, Vec::len);
        ensure!(failures <= 1, "the batch is delivered again from {failures} records on");
        Ok(Verdict::Accepted)
    })
}
