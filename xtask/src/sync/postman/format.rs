//! The members of a Postman Collection v2.1 and of a Postman environment that the generator writes, in the order in which Postman
//! exports them. No item has an id: Postman assigns ids on import, and a fixed one would have to be kept in the walk.

use serde::Serialize;

/// A collection.
#[derive(Serialize)]
pub(super) struct Collection {
    pub(super) info: Info,
    pub(super) item: Vec<Folder>,
    pub(super) auth: Auth,
    pub(super) event: Vec<Event>,
    pub(super) variable: Vec<Variable>,
}

#[derive(Serialize)]
pub(super) struct Info {
    /// By this id Postman recognizes a collection that it has imported before.
    #[serde(rename = "_postman_id")]
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) description: String,
    pub(super) schema: &'static str,
}

#[derive(Serialize)]
pub(super) struct Folder {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) item: Vec<Item>,
}

/// A request with its scripts.
#[derive(Serialize)]
pub(super) struct Item {
    pub(super) name: &'static str,
    pub(super) event: Vec<Event>,
    pub(super) request: Request,
    /// Saved responses, which the schema requires to be an array.
    pub(super) response: [(); 0],
}

#[derive(Serialize)]
pub(super) struct Request {
    /// The credential, if it is not the collection's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth: Option<Auth>,
    pub(super) method: &'static str,
    pub(super) header: Vec<Parameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Body>,
    pub(super) url: Url,
    pub(super) description: String,
}

/// A URL, as text and in parts.
#[derive(Serialize)]
pub(super) struct Url {
    pub(super) raw: String,
    pub(super) host: [&'static str; 1],
    pub(super) path: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) query: Vec<Parameter>,
}

/// A header or a query parameter. A disabled one is shown, and not sent.
#[derive(Serialize)]
pub(super) struct Parameter {
    pub(super) key: String,
    pub(super) value: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) disabled: bool,
}

/// A body of text.
#[derive(Serialize)]
pub(super) struct Body {
    pub(super) mode: &'static str,
    pub(super) raw: String,
    pub(super) options: Options,
}

#[derive(Serialize)]
pub(super) struct Options {
    pub(super) raw: Language,
}

/// The language by which Postman highlights a body.
#[derive(Serialize)]
pub(super) struct Language {
    pub(super) language: &'static str,
}

/// A script that runs before a request or after its response.
#[derive(Serialize)]
pub(super) struct Event {
    pub(super) listen: &'static str,
    pub(super) script: Script,
}

#[derive(Serialize)]
pub(super) struct Script {
    #[serde(rename = "type")]
    pub(super) language: &'static str,
    /// The lines.
    pub(super) exec: Vec<String>,
}

/// How requests are authenticated.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Auth {
    ApiKey {
        apikey: [Attribute; 3],
    },
    Bearer {
        bearer: [Attribute; 1],
    },
    #[serde(rename = "noauth")]
    Missing,
}

#[derive(Serialize)]
pub(super) struct Attribute {
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

/// A variable of the collection.
#[derive(Serialize)]
pub(super) struct Variable {
    pub(super) key: &'static str,
    pub(super) value: &'static str,
}

/// An environment.
#[derive(Serialize)]
pub(super) struct Environment {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) values: [Value; 3],
    #[serde(rename = "_postman_variable_scope")]
    pub(super) scope: &'static str,
}

/// A variable of the environment.
#[derive(Serialize)]
pub(super) struct Value {
    pub(super) key: &'static str,
    pub(super) value: String,
    /// `secret`: Postman masks the value.
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) enabled: bool,
}
