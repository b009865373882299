//! The OpenAPI schema of a body, derived from the fields that a describing reader was asked for.

use utoipa::openapi::{
    Ref, RefOr, Schema, Type,
    schema::{Object, ObjectBuilder, OneOfBuilder, SchemaType},
};

use super::{FieldDescription, Fields, FromFields, Purpose};
use crate::wire::body::ObjectBody;

/// A named schema of the OpenAPI document.
pub(crate) type Component = (String, RefOr<Schema>);

/// The schema of an object that is read for this purpose; adds the components that it refers to.
pub(crate) fn object_schema<T: FromFields>(purpose: Purpose, components: &mut Vec<Component>) -> Object {
    let mut fields = Fields::describing(purpose);
    // The reader has no value to return: nothing was sent.
    let _ = T::read(&mut fields);
    components.append(&mut fields.components);
    let mut object = ObjectBuilder::new();
    for (field, schema) in fields.described.iter().zip(fields.schemas) {
        object = object.property(field.name, describe(schema, field));
        if field.required {
            object = object.required(field.name);
        }
    }
    object.build()
}

/// A reference to the schema of an object inside a body; adds the schema to the components.
pub(super) fn object_reference<T: ObjectBody>(components: &mut Vec<Component>) -> RefOr<Schema> {
    let schema = object_schema::<T>(T::PURPOSE, components);
    components.push((T::SCHEMA.to_owned(), schema.into()));
    Ref::from_schema_name(T::SCHEMA).into()
}

/// The schema of a field: that of its type, with its description, its example, and `null` if that is allowed.
fn describe(schema: RefOr<Schema>, field: &FieldDescription) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(field.description.to_owned());
            if let Some(example) = field.example {
                object.examples = vec![example.into()];
            }
            if field.nullable
                && let SchemaType::Type(schema_type) = object.schema_type
            {
                object.schema_type = SchemaType::from_iter([schema_type, Type::Null]);
            }
            object.into()
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.description = Some(field.description.to_owned());
            if field.nullable {
                array.schema_type = SchemaType::from_iter([Type::Array, Type::Null]);
            }
            array.into()
        }
        RefOr::T(Schema::OneOf(mut one_of)) => {
            one_of.description = Some(field.description.to_owned());
            if field.nullable {
                one_of.items.push(ObjectBuilder::new().schema_type(Type::Null).into());
            }
            RefOr::T(one_of.into())
        }
        RefOr::Ref(mut reference) if !field.nullable => {
            field.description.clone_into(&mut reference.description);
            reference.into()
        }
        RefOr::T(schema) if !field.nullable => schema.into(),
        // A reference has no type of its own to which `null` could be added.
        schema @ (RefOr::Ref(_) | RefOr::T(_)) => {
            let null = ObjectBuilder::new().schema_type(Type::Null);
            OneOfBuilder::new().item(null).item(schema).description(Some(field.description)).into()
        }
    }
}
