//! The Postman collection and environment in `docs/postman`.
//!
//! Methods, paths, descriptions, parameters, members of responses and texts of errors come from `openapi.json`, which is generated
//! from the route table, and bodies from the example events in `events/`. Only the [walk] is written for Postman.

mod format;
mod script;
mod step;
mod walk;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use shared::endpoint::Media;
use shared::{Endpoint, openapi};

use self::format::{Attribute, Auth, Body, Collection, Environment, Folder, Info, Item, Language, Options, Parameter};
use self::format::{Request, Url, Variable};
use self::step::{Credential, Step};

/// The collection.
pub(crate) const COLLECTION: &str = "docs/postman/contacts-api.postman_collection.json";
/// The environment.
pub(crate) const ENVIRONMENT: &str = "docs/postman/contacts-api.postman_environment.json";

/// The variable with the base URL, which the public documentation calls so, as the other two.
pub(crate) const BASE_URL: &str = "baseUrl";
/// The variable with the API key.
pub(crate) const API_KEY: &str = "apiKey";
/// The variable with the token.
pub(crate) const TOKEN: &str = "jwt";

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
/// Ids by which Postman replaces what it has imported before, instead of adding a copy.
const COLLECTION_ID: &str = "30513be4-3cf5-4c5b-89e3-83198226ad6d";
const ENVIRONMENT_ID: &str = "2151db95-9c03-40fb-be16-b25bf7fb117b";

/// The API that `cargo dev` runs.
const LOCAL_URL: &str = "http://127.0.0.1:9000";
/// The variables that have a value before the first request.
const INITIAL_VALUES: [(&str, &str); 1] = [("last_poll", "2024-01-01T00:00:00Z")];

const ABOUT: &str = "Requests by use case. Import this collection and the environment beside it, choose the environment, and run \
    the whole collection, or send its requests one by one. As they are, they call the local API that `cargo dev` runs; for another \
    one, set `baseUrl` and `apiKey`. The key needs the scopes `read` and `write`, and `admin` for Administration.\n\n\
    The folders Campaign and CRM sync use what Import creates; Clean-up deletes it. Ids are handed on in the variables of the \
    collection.\n\n\
    **Credentials.** Every request sends `X-API-Key: {{apiKey}}`. To send a token instead, edit the collection, choose the type \
    Bearer Token under Authorization, and enter `{{jwt}}`. If a request has both, the API key decides. A token without scopes \
    may read and write.";

/// The collection and the environment, each with its file.
pub(super) fn files(root: &Path) -> Result<[(&'static str, String); 2]> {
    let sources = Sources { root, document: serde_json::from_str(&openapi::text()?)? };
    Ok([(COLLECTION, text(&sources.collection()?)?), (ENVIRONMENT, text(&sources.environment()?)?)])
}

fn text(file: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(file)? + "\n")
}

/// What requests are made of.
struct Sources<'a> {
    /// The root of the checkout, which has `events/`.
    root: &'a Path,
    /// `openapi.json`.
    document: Value,
}

impl Sources<'_> {
    fn collection(&self) -> Result<Collection> {
        let about = self.document["info"]["description"].as_str().unwrap_or_default();
        Ok(Collection {
            info: Info {
                id: COLLECTION_ID,
                name: "Contacts API",
                description: format!("{ABOUT}\n\n## About the API\n\n{about}"),
                schema: SCHEMA,
            },
            item: walk::FOLDERS.iter().map(|folder| self.folder(folder)).collect::<Result<_>>()?,
            auth: api_key(),
            event: vec![script::of_every_response()],
            variable: variables(),
        })
    }

    fn folder(&self, folder: &step::Folder) -> Result<Folder> {
        let step::Folder { name, description, steps } = *folder;
        let item =
            |step| self.item(step).with_context(|| format!("the request {:?} of the folder {name:?}", step.name()));
        Ok(Folder { name, description, item: steps.iter().map(item).collect::<Result<_>>()? })
    }

    fn item(&self, step: &Step) -> Result<Item> {
        let spec = step.endpoint.spec();
        let operation = &self.document["paths"][spec.path][spec.method.as_str().to_lowercase()];
        let description = operation["description"].as_str().context("openapi.json does not describe it")?;
        let auth = match step.credential {
            Credential::ApiKey => None,
            Credential::Token => Some(bearer()),
            Credential::Missing => Some(Auth::Missing),
        };
        let body = self.body(step)?;
        let mut header = Vec::new();
        if let Some((media, _)) = &body {
            header.push(Parameter::enabled("Content-Type", media.as_str()));
        }
        header.extend(parameters(operation, "header", step.headers)?);
        Ok(Item {
            name: step.name(),
            event: script::of_step(step, &operation["responses"], &self.document["components"]["schemas"])?,
            request: Request {
                auth,
                method: spec.method.as_str(),
                header,
                body: body.map(|(media, raw)| Body { mode: "raw", raw, options: options(media) }),
                url: url(step, parameters(operation, "query", step.query)?),
                description: format!("{}\n\n{description}", step.note).trim_start().to_owned(),
            },
            response: [],
        })
    }

    /// The body of a request, with its media type.
    fn body(&self, step: &Step) -> Result<Option<(Media, String)>> {
        match step.body {
            step::Body::Csv(text) => Ok(Some((Media::Csv, text.to_owned()))),
            step::Body::Json(text) => Ok(Some((Media::Json, pretty(text)?))),
            step::Body::Example(replacements) => {
                let event = self.event(step.endpoint)?;
                let Some(example) = event["body"].as_str() else { return Ok(None) };
                let mut text = example.to_owned();
                for (from, to) in replacements {
                    ensure!(text.contains(from), "the example body has no {from:?} to replace");
                    text = text.replace(from, to);
                }
                Ok(Some((Media::Json, pretty(&text)?)))
            }
        }
    }

    /// The example event of an endpoint.
    fn event(&self, endpoint: Endpoint) -> Result<Value> {
        let file = self.root.join("events").join(format!("{}.json", endpoint.name()));
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
    }

    /// The environment of the local API, whose key is the one of the example events.
    fn environment(&self) -> Result<Environment> {
        let event = self.event(Endpoint::CreateContact)?;
        let example_key = event["headers"]["x-api-key"].as_str().context("an example event has no API key")?;
        let value = |key, value: &str, kind| format::Value { key, value: value.to_owned(), kind, enabled: true };
        Ok(Environment {
            id: ENVIRONMENT_ID,
            name: "Contacts API (local)",
            values: [
                value(BASE_URL, LOCAL_URL, "default"),
                value(API_KEY, example_key, "secret"),
                value(TOKEN, "", "secret"),
            ],
            scope: "environment",
        })
    }
}

impl Parameter {
    fn enabled(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: value.to_owned(), description: String::new(), disabled: false }
    }
}

/// The headers or query parameters of an operation, with the values that a step sends. The others are disabled.
fn parameters(operation: &Value, location: &str, sent: &[(&str, &str)]) -> Result<Vec<Parameter>> {
    let declared = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |parameter: &Value, member: &str| parameter[member].as_str().unwrap_or_default().to_owned();
    let mut parameters = Vec::new();
    for parameter in declared.iter().filter(|parameter| parameter["in"] == location) {
        let (key, description) = (text(parameter, "name"), text(parameter, "description"));
        let value = sent.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        parameters.push(Parameter { disabled: value.is_none(), value: value.unwrap_or_default(), key, description });
    }
    for (name, _) in sent {
        ensure!(parameters.iter().any(|parameter| parameter.key == *name), "the endpoint has no {location} {name}");
    }
    Ok(parameters)
}

/// The URL of a request, with the variable of the same name for each id in the path that the step does not give.
fn url(step: &Step, query: Vec<Parameter>) -> Url {
    let path = step.endpoint.path_with(|id| {
        let given = step.ids.iter().find(|(name, _)| *name == id).map(|(_, value)| (*value).to_owned());
        given.unwrap_or_else(|| format!("{{{{{id}}}}}"))
    });
    let sent: Vec<_> = query.iter().filter(|parameter| !parameter.disabled).collect();
    let pairs: Vec<_> = sent.iter().map(|parameter| format!("{}={}", parameter.key, parameter.value)).collect();
    let question_mark = if pairs.is_empty() { "" } else { "?" };
    Url {
        raw: format!("{{{{{BASE_URL}}}}}{path}{question_mark}{}", pairs.join("&")),
        host: ["{{baseUrl}}"],
        path: path.split('/').skip(1).map(str::to_owned).collect(),
        query,
    }
}

fn options(media: Media) -> Options {
    Options { raw: Language { language: if media == Media::Json { "json" } else { "text" } } }
}

/// JSON with indentation, its members in the order in which they are written.
fn pretty(json: &str) -> Result<String> {
    let mut text = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(json);
    serde_transcode::transcode(&mut reader, &mut serde_json::Serializer::pretty(&mut text))?;
    reader.end()?;
    Ok(String::from_utf8(text)?)
}

fn api_key() -> Auth {
    let attribute = |key, value| Attribute { key, value, kind: "string" };
    Auth::ApiKey {
        apikey: [attribute("key", "X-API-Key"), attribute("value", "{{apiKey}}"), attribute("in", "header")],
    }
}

fn bearer() -> Auth {
    Auth::Bearer { bearer: [Attribute { key: "token", value: "{{jwt}}", kind: "string" }] }
}

/// The variables that steps hand on, in alphabetical order.
fn variables() -> Vec<Variable> {
    let steps = walk::FOLDERS.iter().flat_map(|folder| folder.steps);
    let handed_on: BTreeSet<_> = steps.flat_map(|step| step.hands_on).map(|(name, _)| (*name, "")).collect();
    let all = INITIAL_VALUES.into_iter().chain(handed_on);
    all.map(|(key, value)| Variable { key, value }).collect()
}

#[cfg(test)]
mod tests {
    use shared::Endpoint;

    use super::*;
    use crate::workspace;

    fn steps() -> impl Iterator<Item = &'static Step> {
        walk::FOLDERS.iter().flat_map(|folder| folder.steps)
    }

    fn sources(root: &Path) -> Sources<'_> {
        Sources { root, document: serde_json::from_str(&openapi::text().unwrap()).unwrap() }
    }

    /// The error of a step.
    fn error(step: &Step) -> String {
        let root = workspace::find_root().unwrap();
        sources(&root).item(step).err().unwrap().to_string()
    }

    /// The names between a text and another one, in the order of their places.
    fn between<'a>(text: &'a str, begin: &str, end: char) -> Vec<&'a str> {
        text.split(begin).skip(1).filter_map(|rest| rest.split(end).next()).collect()
    }

    #[test]
    fn every_endpoint_is_in_the_walk() {
        for endpoint in Endpoint::ALL {
            let is_in_walk = steps().any(|step| step.endpoint == *endpoint && step.status() < 300);
            assert!(is_in_walk, "{endpoint:?} is missing in xtask/src/sync/postman/walk");
        }
    }

    #[test]
    fn the_names_of_requests_are_unique() {
        let mut names = BTreeSet::new();
        for step in steps() {
            assert!(names.insert(step.name()), "two requests are called {:?}", step.name());
        }
    }

    #[test]
    fn a_variable_is_handed_on_before_it_is_used() {
        let root = workspace::find_root().unwrap();
        let mut known = BTreeSet::from([BASE_URL, API_KEY, TOKEN]);
        known.extend(INITIAL_VALUES.map(|(name, _)| name));
        for step in steps() {
            let item = sources(&root).item(step).unwrap();
            let request = serde_json::to_string(&item.request).unwrap();
            let scripts =
                item.event.iter().flat_map(|event| &event.script.exec).cloned().collect::<Vec<_>>().join("\n");
            known.extend(step.hands_on.iter().map(|(name, _)| *name));
            let own: BTreeSet<_> = step.hands_on.iter().map(|(name, _)| *name).collect();
            let in_request = between(&request, "{{", '}').into_iter().filter(|name| !name.starts_with('$'));
            let in_request: Vec<_> = in_request.collect();
            assert!(!in_request.iter().any(|name| own.contains(name)), "{:?} needs what it hands on", step.name());
            for name in in_request.into_iter().chain(between(&scripts, "pm.collectionVariables.get(\"", '"')) {
                assert!(known.contains(name), "{:?} needs {name}, which no request before it hands on", step.name());
            }
        }
    }

    #[test]
    fn a_script_is_one_block() {
        let root = workspace::find_root().unwrap();
        for folder in sources(&root).collection().unwrap().item {
            for event in folder.item.iter().flat_map(|item| &item.event) {
                let lines: Vec<_> = event.script.exec.iter().map(String::as_str).collect();
                assert!(matches!(lines[..], ["{", .., "}"]), "{lines:?}");
                assert!(lines[1..lines.len() - 1].iter().all(|line| line.starts_with("  ")), "{lines:?}");
            }
        }
    }

    #[test]
    fn a_request_shows_what_it_does_not_send() {
        let root = workspace::find_root().unwrap();
        let step = Step { query: &[("limit", "10")], ..Step::to(Endpoint::ListCompanies) };

        let request = sources(&root).item(&step).unwrap().request;

        let parameters: Vec<_> =
            request.url.query.iter().map(|each| (&*each.key, &*each.value, each.disabled)).collect();
        assert_eq!(parameters, [("limit", "10", false), ("cursor", "", true), ("name", "", true)]);
        assert_eq!(request.url.raw, "{{baseUrl}}/companies?limit=10");
        assert_eq!(request.url.path, ["companies"]);
    }

    #[test]
    fn ids_are_variables_unless_the_step_gives_them() {
        let step = Step { ids: &[("contact_id", "{{$guid}}")], ..Step::to(Endpoint::UpdateActivity) };
        assert_eq!(url(&step, Vec::new()).raw, "{{baseUrl}}/contacts/{{$guid}}/activities/{{activity_id}}");
    }

    #[test]
    fn a_body_keeps_the_order_of_its_members() {
        assert_eq!(pretty(r#"{"b": "x", "a": [1.50]}"#).unwrap(), "{\n  \"b\": \"x\",\n  \"a\": [\n    1.5\n  ]\n}");
        assert!(pretty("{} {}").is_err());
    }

    #[test]
    fn a_step_that_the_declarations_do_not_know_is_an_error() {
        for (step, expected) in [
            (Step { query: &[("page", "1")], ..Step::to(Endpoint::ListCompanies) }, "the endpoint has no query page"),
            (
                Step { headers: &[("If-Match", "*")], ..Step::to(Endpoint::ListCompanies) },
                "the endpoint has no header If-Match",
            ),
            (
                Step { status: Some(418), ..Step::to(Endpoint::ListCompanies) },
                "openapi.json has no status 418 of ListCompanies",
            ),
            (
                Step { body: step::Body::Example(&[("Jim", "Joe")]), ..Step::to(Endpoint::CreateContact) },
                "the example body has no \"Jim\" to replace",
            ),
        ] {
            assert_eq!(error(&step), expected);
        }
    }
}
