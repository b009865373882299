//! Facts that `openapi.json` has to state, or generated clients refuse valid requests or leave types out.

use serde_json::{Value, json};
use shared::openapi;

use super::{assert_same, specs};

fn description() -> Value {
    serde_json::from_str(&openapi::text().unwrap()).unwrap()
}

/// Calls `check` with a JSON value and every value in it, each with its path.
fn visit(value: &Value, path: &str, check: &mut impl FnMut(&str, &Value)) {
    check(path, value);
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                visit(value, &format!("{path}/{name}"), check);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                visit(value, &format!("{path}/{index}"), check);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a schema allows values of this type.
fn allows(schema: &Value, name: &str) -> bool {
    schema["type"] == name || schema["type"].as_array().is_some_and(|types| types.contains(&json!(name)))
}

/// A schema, or the one that it refers to.
fn resolved<'a>(description: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => description.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// The operations, each with its method and path.
fn operations(description: &Value) -> impl Iterator<Item = (String, &Value)> {
    specs().map(|spec| {
        let method = spec.method.as_str().to_ascii_lowercase();
        (format!("{method} {}", spec.path), &description["paths"][spec.path][&method])
    })
}

#[test]
fn every_object_has_declared_members_or_any() {
    visit(&description(), "", &mut |path, schema| {
        let says_which = schema["properties"].is_object() || schema["additionalProperties"] == true;
        assert!(!allows(schema, "object") || says_which, "{path}: declare the members, or additionalProperties: true");
    });
}

#[test]
fn every_array_has_items() {
    visit(&description(), "", &mut |path, schema| {
        assert!(!allows(schema, "array") || schema["items"].is_object(), "{path}: declare the items");
    });
}

#[test]
fn an_activity_has_an_object_or_an_array_as_its_text() {
    let description = description();
    for schema in ["Activity", "NewActivity"] {
        let text = &description["components"]["schemas"][schema]["properties"]["event_text"]["oneOf"];
        let wanted =
            json!([{"type": "object", "additionalProperties": true}, {"type": "array", "items": {}}, {"type": "null"}]);
        assert_eq!(text, &wanted, "{schema}");
    }
}

#[test]
fn every_operation_has_a_description_and_a_described_tag() {
    let description = description();
    let tags = description["tags"].as_array().unwrap();
    for (name, operation) in operations(&description) {
        assert!(operation["description"].is_string(), "{name}");
        let is_described = |tag: &Value| tag["name"] == operation["tags"][0] && tag["description"].is_string();
        assert!(tags.iter().any(is_described), "{name}: shared/src/openapi/mod.rs, TAGS: describe the path's segment");
    }
}

#[test]
fn every_operation_accepts_both_credentials_and_describes_their_refusal() {
    let description = description();
    for (name, operation) in operations(&description) {
        assert_eq!(operation["security"], json!([{"ApiKeyAuth": []}, {"BearerAuth": []}]), "{name}");
        for status in ["400", "401", "403", "429", "500", "503"] {
            assert!(operation["responses"][status].is_object(), "{name} can respond {status}");
        }
    }
}

#[test]
fn every_request_and_every_error_has_an_example() {
    let description = description();
    for (name, operation) in operations(&description) {
        if let Some(body) = operation["requestBody"]["content"].get("application/json") {
            assert!(body["example"].is_object() || body["example"].is_array(), "{name}: its event has no JSON body");
        }
        for parameter in operation["parameters"].as_array().unwrap() {
            assert!(parameter["in"] != "path" || parameter["example"].is_string(), "{name}: {parameter}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with(['4', '5']) {
                let detail = &response["content"]["application/json"]["example"]["detail"];
                assert!(detail.is_string(), "{name} has no example of a {status}");
            }
        }
    }
}

/// The examples of the platform's own documentation.
#[test]
fn the_operations_of_a_contact_have_the_examples_of_the_documentation() {
    let description = description();
    let example = |path: &str, method: &str, status: &str| {
        description["paths"][path][method]["responses"][status]["content"]["application/json"]["example"].clone()
    };
    let one = "/contacts/{contact_id}";
    for (found, schema) in [
        (example("/contacts", "post", "201"), "Contact"),
        (example(one, "get", "200"), "ContactWithTimeline"),
        (example(one, "put", "200"), "Contact"),
    ] {
        let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let declared = &description["components"]["schemas"][schema]["properties"];
        assert_same(members(declared), members(&found), "shared/src/openapi/examples: a contact has these members");
    }
    for (found, detail) in [
        (example("/contacts", "post", "400"), "Validation error: email field is required"),
        (example("/contacts", "post", "401"), "Invalid or missing authentication credentials"),
        (example("/contacts", "post", "409"), "Contact with email 'john.doe@example.com' already exists"),
        (example(one, "get", "404"), "Contact not found"),
        (example(one, "delete", "403"), "You do not have permission to access this resource"),
    ] {
        assert_eq!(found, json!({"detail": detail}), "shared/src/openapi/examples");
    }
    let deleted = "Contacto 550e8400-e29b-41d4-a716-446655440000 eliminado";
    assert_eq!(example(one, "delete", "200"), json!({"message": deleted}), "shared/src/openapi/examples");
}

#[test]
fn an_example_keeps_the_order_of_its_members() {
    let example = r#""example": {"full_name": "John Doe", "email": "john.doe@example.com", "linkedin_profile": "#;
    assert!(openapi::text().unwrap().contains(example), "shared/src/openapi/example.rs");
}

#[test]
fn a_filter_with_fixed_values_lists_them() {
    let description = description();
    let mut filters = Vec::new();
    for (name, operation) in operations(&description) {
        for parameter in operation["parameters"].as_array().unwrap() {
            if let Some("status" | "on_error") = parameter["name"].as_str() {
                filters.push((name.clone(), resolved(&description, &parameter["schema"])["enum"].clone()));
            }
        }
    }
    let wanted = [
        ("post /contacts/bulk", json!(["abort", "skip"])),
        ("get /imports", json!(["pending", "processing", "completed", "failed"])),
        ("get /campaigns", json!(["draft", "active", "paused", "archived"])),
        ("get /campaign-leads", json!(["pending", "in_progress", "ended", "paused"])),
    ];
    assert_eq!(filters, wanted.map(|(name, values)| (name.to_owned(), values)));
}

#[test]
fn an_uploaded_file_is_binary() {
    let description = description();
    let body = &description["paths"]["/contacts/bulk"]["post"]["requestBody"]["content"]["multipart/form-data"];
    let file = &body["schema"]["properties"]["file"];
    assert_eq!((&file["type"], &file["format"]), (&json!("string"), &json!("binary")));
}

#[test]
fn a_header_is_plain_text() {
    let description = description();
    for (name, operation) in operations(&description) {
        for parameter in operation["parameters"].as_array().unwrap() {
            let parameter = resolved(&description, parameter);
            let format = &parameter["schema"]["format"];
            let edit = "shared/src/openapi/parameter.rs: a pattern, since clients may not convert the type of a format";
            assert!(parameter["in"] != "header" || format.is_null(), "{name}, {}: {edit}", parameter["name"]);
        }
    }
}

#[test]
fn a_time_of_day_has_a_pattern() {
    let schemas = &description()["components"]["schemas"];
    for schema in ["Availability", "NewAvailability"] {
        for field in ["start_working", "end_working"] {
            let pattern = &schemas[schema]["properties"][field]["pattern"];
            assert_eq!(pattern, "^([01][0-9]|2[0-3]):[0-5][0-9]$", "{schema}, {field}");
        }
    }
}
