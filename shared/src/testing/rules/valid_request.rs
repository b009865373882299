//! A valid request to any endpoint: its example event, on resources that exist.
//!
//! The ids in the example's path and body are replaced by ids of new resources, and emails by new ones, because an email
//! belongs to one contact. A new endpoint needs nothing here; a new [`Kind`] needs an arm of `create`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::kind_of;
use crate::domain::{ContactId, Id, Kind, Scope};
use crate::endpoint::Endpoint;
use crate::testing::{TestApp, TestRequest, jane};

/// A request that the endpoint responds to with success. It acts on resources of `app.org` that no other request names.
pub async fn valid_request(app: &TestApp, endpoint: Endpoint) -> TestRequest {
    let mut request = TestRequest::to(endpoint, &app.org);
    let mut path = request.event().raw_path;
    let values = endpoint.path_values(&path).expect("the path of an example event is the endpoint's");
    let mut parent = None;
    for (name, example) in values.iter() {
        let id = create(app, kind_of(name), parent.as_deref()).await;
        path = path.replace(example, &id);
        parent = Some(id);
    }
    request = request.path(path);
    if endpoint.spec().body.is_some() {
        let mut body = request.body();
        let ids = existing_ids(app, &body).await;
        fill_in(&mut body, &ids);
        request = request.json(&body);
    }
    request
}

/// Creates a resource of this kind and gives its id. `parent` is the id before it in the path.
async fn create(app: &TestApp, kind: Kind, parent: Option<&str>) -> String {
    match kind {
        Kind::Contact => app.create_jane(&new_email()).await.id.to_string(),
        Kind::Import => {
            let import = app.create_import(&app.org).await;
            app.create_contact(&app.org, jane(&new_email()), Some(import)).await;
            import.to_string()
        }
        Kind::Campaign => app.create_campaign(json!({"name": "Q1"})).await.id.to_string(),
        Kind::Activity => {
            let contact = ContactId::parse(parent.unwrap_or_default()).expect("an activity is named after its contact");
            let recorded = &TestRequest::example(Endpoint::RecordActivities).body()[0];
            app.record_activity(contact, recorded.clone()).await.id.as_str().to_owned()
        }
        Kind::Lead => app.create_lead().await.id().to_string(),
        Kind::ApiKey => app.create_api_key(Scope::ALL).await.1.id.to_string(),
    }
}

/// Creates one resource per id name in a body. Gives their ids by name.
async fn existing_ids(app: &TestApp, body: &Value) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for name in id_names(body) {
        let id = create(app, kind_of(&name), None).await;
        ids.insert(name, id);
    }
    ids
}

/// The names of the ids in a body: `import_id` for a member `import_id` or `import_ids`.
pub fn id_names(body: &Value) -> Vec<String> {
    let mut names = Vec::new();
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                let singular = name.trim_end_matches('s');
                if Kind::of_path_id(singular).is_some() {
                    names.push(singular.to_owned());
                }
                names.extend(id_names(value));
            }
        }
        Value::Array(items) => names.extend(items.iter().flat_map(id_names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    names
}

/// Replaces the ids in an example's body by these, which have the names of path parameters, and its emails by new ones.
pub fn fill_in(body: &mut Value, ids: &BTreeMap<String, String>) {
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                if name == "email" {
                    *value = json!(new_email());
                } else if let Some(id) = ids.get(name) {
                    *value = json!(id);
                } else if let Some(id) = ids.get(name.trim_end_matches('s')) {
                    *value = json!([id]);
                } else {
                    fill_in(value, ids);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                fill_in(item, ids);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An email that no contact has.
pub(super) fn new_email() -> String {
    format!("{}@example.com", Uuid::new_v4())
}
