//! Simplification of the schemas that `utoipa` derives.
//!
//! `utoipa` describes a flattened field by an `allOf`, an inlined field with a description by another one, and an optional
//! inlined field by a `oneOf` with `null`. In JSON each is one plain object or one plain type, and so it is here: documents read
//! better, and generated clients get one type instead of an intersection.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::openapi::schema::{AllOf, Object, OneOf, Schema, SchemaType, Type};
use utoipa::openapi::{Components, RefOr};

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Simplifies every schema, and removes those that are neither the body of a request or response nor part of another schema any
/// more, because they were flattened.
pub(super) fn simplify(components: &mut Components, bodies: &BTreeSet<String>) {
    let derived = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        *schema = simplified(schema.clone(), &derived);
    }
    for name in flattened(&derived) {
        if !bodies.contains(&name) && !is_referenced(&name, &components.schemas) {
            components.schemas.remove(&name);
        }
    }
}

fn simplified(schema: RefOr<Schema>, derived: &Schemas) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::AllOf(all_of)) => merged(all_of, derived),
        RefOr::T(Schema::OneOf(one_of)) => nullable(one_of, derived),
        RefOr::T(Schema::Object(mut object)) => {
            for property in object.properties.values_mut() {
                *property = simplified(property.clone(), derived);
            }
            object.into()
        }
        other => other,
    }
}

/// Merges the parts of an `allOf` into one object, or a type and its description into one type.
fn merged(all_of: AllOf, derived: &Schemas) -> RefOr<Schema> {
    let mut parts = Vec::new();
    for item in all_of.items.clone() {
        let item = match item {
            RefOr::Ref(reference) => derived[name_of(&reference.ref_location)].clone(),
            item @ RefOr::T(_) => item,
        };
        match simplified(item, derived) {
            RefOr::T(Schema::Object(part)) => parts.push(part),
            _ => return RefOr::T(Schema::AllOf(all_of)),
        }
    }
    let mut parts = parts.into_iter();
    let Some(mut whole) = parts.next() else { return RefOr::T(Schema::AllOf(all_of)) };
    for part in parts {
        merge_into(&mut whole, part);
    }
    whole.description = all_of.description.or(whole.description);
    whole.into()
}

/// Adds the properties of `part`; its ids come first, as in the JSON.
fn merge_into(whole: &mut Object, part: Object) {
    let inner = std::mem::take(&mut whole.properties);
    let (ids, others): (Vec<_>, Vec<_>) =
        part.properties.into_iter().partition(|(name, _)| matches!(name.as_str(), "id" | "org_id"));
    whole.properties = ids.into_iter().chain(inner).chain(others).collect();
    whole.required.extend(part.required);
    whole.description = part.description;
}

/// Makes one type that allows `null` of a plain type and `null`.
fn nullable(one_of: OneOf, derived: &Schemas) -> RefOr<Schema> {
    let is_null = |item: &RefOr<Schema>| {
        matches!(item, RefOr::T(Schema::Object(Object { schema_type: SchemaType::Type(Type::Null), .. })))
    };
    let others: Vec<_> = one_of.items.iter().filter(|item| !is_null(item)).cloned().collect();
    let [other] = &others[..] else { return RefOr::T(Schema::OneOf(one_of)) };
    if others.len() == one_of.items.len() {
        return RefOr::T(Schema::OneOf(one_of));
    }
    let RefOr::T(Schema::Object(mut object)) = simplified(other.clone(), derived) else {
        return RefOr::T(Schema::OneOf(one_of));
    };
    if let SchemaType::Type(schema_type) = object.schema_type.clone() {
        object.schema_type = SchemaType::from_iter([schema_type, Type::Null]);
    }
    object.description = one_of.description.or(object.description);
    object.into()
}

/// The names of the schemas that others flatten.
fn flattened(derived: &Schemas) -> Vec<String> {
    let mut names = Vec::new();
    for schema in derived.values() {
        if let RefOr::T(Schema::AllOf(all_of)) = schema {
            for item in &all_of.items {
                if let RefOr::Ref(reference) = item {
                    names.push(name_of(&reference.ref_location).to_owned());
                }
            }
        }
    }
    names
}

fn is_referenced(name: &str, schemas: &Schemas) -> bool {
    let reference = format!("\"#/components/schemas/{name}\"");
    serde_json::to_string(schemas).is_ok_and(|text| text.contains(&reference))
}

fn name_of(location: &str) -> &str {
    location.rsplit('/').next().unwrap_or(location)
}
