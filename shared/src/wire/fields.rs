//! Reading the fields of a request body.
//!
//! A body is declared by one function, [`FromFields::read`], which asks for each field by name, in the documented order, and
//! gets a value of the domain's type. The same function serves every purpose:
//!
//! - It reads a JSON object or a row of a CSV file, and collects the errors of all fields instead of stopping at the first.
//! - It creates and updates: [`Purpose`] decides whether a missing required field is an error and what `null` means.
//! - It describes the body for OpenAPI and names the columns of a CSV file: a [`Fields::describing`] reader answers every
//!   question with "not sent" and notes the name, the type and the description that were asked for.
//!
//! The alternative, a struct with one `Deserialize` field per JSON field beside the domain's struct, declares every field
//! twice, and serde stops at the first error.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
#[cfg(feature = "openapi")]
use utoipa::openapi::{
    Ref, RefOr, Schema, Type,
    schema::{Object, ObjectBuilder, OneOfBuilder, SchemaType},
};

use crate::domain::{InvalidValue, Patch, PathSegment, TextValue, ValidationErrors, is_blank};

/// A value that is read from the fields of an object.
pub trait FromFields: Sized {
    /// Reads the value. `None` only if an error was added, or if nothing was sent of what is required.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// What the fields are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To create: required fields have to be sent, and `null` counts as not sent.
    Create,
    /// To update: every field may be left out, and `null` clears an optional field.
    Update,
}

/// A type that a field can have.
pub trait FieldValue: Sized {
    /// Reads a JSON value other than `null`.
    ///
    /// # Errors
    /// Another JSON type, or the rules of the value.
    fn from_json(json: &RawValue) -> Result<Self, InvalidValue>;

    /// Reads a CSV cell, which is not blank.
    ///
    /// # Errors
    /// As for JSON.
    fn from_cell(cell: &str) -> Result<Self, InvalidValue>;

    /// `true` for a JSON value that counts as `null` in an optional field: blank text.
    fn is_blank(_json: &RawValue) -> bool {
        false
    }

    /// The OpenAPI schema; adds the components that it refers to.
    #[cfg(feature = "openapi")]
    fn schema(components: &mut Vec<Component>) -> RefOr<Schema>;
}

/// A named schema of the OpenAPI document.
#[cfg(feature = "openapi")]
pub(crate) type Component = (String, RefOr<Schema>);

impl<T: TextValue> FieldValue for T {
    fn from_json(json: &RawValue) -> Result<Self, InvalidValue> {
        string(json)?.parse()
    }

    fn from_cell(cell: &str) -> Result<Self, InvalidValue> {
        cell.parse()
    }

    fn is_blank(json: &RawValue) -> bool {
        T::IS_FREE_TEXT && string(json).is_ok_and(|text| is_blank(&text))
    }

    #[cfg(feature = "openapi")]
    fn schema(components: &mut Vec<Component>) -> RefOr<Schema> {
        components.extend(T::component());
        T::text_schema()
    }
}

fn string(json: &RawValue) -> Result<String, InvalidValue> {
    serde_json::from_str(json.get()).map_err(|_| InvalidValue::WrongType { expected: "a string" })
}

/// A field that a describing reader was asked for.
#[derive(Debug)]
pub struct FieldDescription {
    /// The name in JSON, and of the CSV column.
    pub name: &'static str,
    /// What the field means to a client.
    pub description: &'static str,
    /// `true` if the field has to be sent.
    pub required: bool,
    /// `true` if `null` is allowed.
    pub nullable: bool,
}

/// The fields of a body, read one by one.
pub struct Fields<'a> {
    source: Source<'a>,
    purpose: Purpose,
    errors: ValidationErrors,
    repeated: bool,
    described: Vec<FieldDescription>,
    /// The schemas of `described`, in the same order.
    #[cfg(feature = "openapi")]
    schemas: Vec<RefOr<Schema>>,
    #[cfg(feature = "openapi")]
    components: Vec<Component>,
}

enum Source<'a> {
    /// The members of a JSON object, in their order.
    Object(Members<'a>),
    /// The cells of a CSV row that are not blank, each with the name of its column.
    Row(&'a Cells),
    /// Nothing: the reader only notes what it is asked for.
    Description,
}

/// The cells of a CSV row that are not blank, each with the name of its column.
pub type Cells = Vec<(&'static str, String)>;

/// A field as it was sent.
enum Sent<'a> {
    Nothing,
    Null,
    Json(&'a RawValue),
    Cell(&'a str),
}

impl<'a> Fields<'a> {
    /// The fields of a JSON object.
    ///
    /// # Errors
    /// The body is not an object, or a name in it is not Unicode text.
    pub fn of_object(body: &'a RawValue, purpose: Purpose) -> Result<Self, InvalidValue> {
        if !body.get().starts_with('{') {
            return Err(InvalidValue::WrongType { expected: "a JSON object" });
        }
        // The syntax is known to be right; what it allows and a string cannot hold is half of a surrogate pair.
        let members =
            serde_json::from_str(body.get()).map_err(|_| InvalidValue::Rule("must hold only valid Unicode text"))?;
        Ok(Self::new(Source::Object(members), purpose))
    }

    /// The fields of a CSV row: the cells that are not blank, each with the name of its column.
    pub fn of_row(cells: &'a Cells, purpose: Purpose) -> Self {
        Self::new(Source::Row(cells), purpose)
    }

    /// A reader that notes the fields it is asked for.
    pub fn describing(purpose: Purpose) -> Self {
        Self::new(Source::Description, purpose)
    }

    fn new(source: Source<'a>, purpose: Purpose) -> Self {
        Self {
            source,
            purpose,
            errors: ValidationErrors::default(),
            repeated: false,
            described: Vec::new(),
            #[cfg(feature = "openapi")]
            schemas: Vec::new(),
            #[cfg(feature = "openapi")]
            components: Vec::new(),
        }
    }

    /// Reads a field that a create requires and an update cannot clear.
    pub fn required<T: FieldValue>(&mut self, name: &'static str, description: &'static str) -> Option<T> {
        self.describe(name, description, self.purpose == Purpose::Create, false);
        #[cfg(feature = "openapi")]
        self.describe_type(T::schema);
        match (self.sent(name), self.purpose) {
            (Sent::Nothing, Purpose::Update) => None,
            (Sent::Nothing | Sent::Null, Purpose::Create) => self.errors.check(name, Err(InvalidValue::Required)),
            (Sent::Null, Purpose::Update) => self.errors.check(name, Err(InvalidValue::Null)),
            (Sent::Json(json), _) => self.errors.check(name, T::from_json(json)),
            (Sent::Cell(cell), _) => self.errors.check(name, T::from_cell(cell)),
        }
    }

    /// Reads a field that may be left out and cannot be cleared: a create gives it a default, for `null` too.
    pub fn defaulted<T: FieldValue>(&mut self, name: &'static str, description: &'static str) -> Option<T> {
        self.describe(name, description, false, false);
        #[cfg(feature = "openapi")]
        self.describe_type(T::schema);
        match (self.sent(name), self.purpose) {
            (Sent::Nothing, _) | (Sent::Null, Purpose::Create) => None,
            (Sent::Null, Purpose::Update) => self.errors.check(name, Err(InvalidValue::Null)),
            (Sent::Json(json), _) => self.errors.check(name, T::from_json(json)),
            (Sent::Cell(cell), _) => self.errors.check(name, T::from_cell(cell)),
        }
    }

    /// Reads a field that may be left out, and that `null` or blank text clears.
    pub fn optional<T: FieldValue>(&mut self, name: &'static str, description: &'static str) -> Patch<T> {
        self.describe(name, description, false, true);
        #[cfg(feature = "openapi")]
        self.describe_type(T::schema);
        let value = match self.sent(name) {
            Sent::Nothing => return Patch::Keep,
            Sent::Null => return Patch::Clear,
            Sent::Json(json) if T::is_blank(json) => return Patch::Clear,
            Sent::Json(json) => T::from_json(json),
            Sent::Cell(cell) => T::from_cell(cell),
        };
        self.errors.check(name, value).map_or(Patch::Keep, Patch::Set)
    }

    /// Reads an object inside the body; its errors are named after it. It is always read as a whole, to be created.
    pub fn object<T: FromFields + Described>(&mut self, name: &'static str, description: &'static str) -> Patch<T> {
        self.describe(name, description, false, true);
        #[cfg(feature = "openapi")]
        self.describe_type(object_reference::<T>);
        let json = match self.sent(name) {
            Sent::Nothing => return Patch::Keep,
            Sent::Null => return Patch::Clear,
            Sent::Json(json) => json,
            Sent::Cell(_) => {
                self.errors.add(name, InvalidValue::WrongType { expected: "a JSON object" });
                return Patch::Keep;
            }
        };
        match read_object(json, Purpose::Create) {
            Ok(value) => Patch::Set(value),
            Err(errors) => {
                self.errors.nest(PathSegment::Field(name), errors);
                Patch::Keep
            }
        }
    }

    /// The text of a field, as it was sent; `None` for a field of another type.
    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.sent(name) {
            Sent::Json(json) => string(json).ok(),
            Sent::Cell(cell) => Some(cell.to_owned()),
            Sent::Nothing | Sent::Null => None,
        }
    }

    /// Adds an error of a rule that concerns several fields.
    pub fn add(&mut self, name: &'static str, kind: InvalidValue) {
        self.errors.add(name, kind);
    }

    /// Returns the value that was read if there is no error.
    ///
    /// # Errors
    /// All that is not valid.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ValidationErrors> {
        if self.repeated {
            return Err(ValidationErrors::whole(REPEATED));
        }
        self.errors.finish(value)
    }

    /// The fields that a describing reader was asked for.
    pub fn into_descriptions(self) -> Vec<FieldDescription> {
        self.described
    }

    fn sent(&mut self, name: &str) -> Sent<'a> {
        match &self.source {
            Source::Description => Sent::Nothing,
            Source::Row(cells) => {
                cells.iter().find(|(column, _)| *column == name).map_or(Sent::Nothing, |(_, cell)| Sent::Cell(cell))
            }
            Source::Object(Members(members)) => {
                let mut named = members.iter().filter(|(key, _)| key == name);
                let first = named.next();
                self.repeated |= named.next().is_some();
                match first {
                    None => Sent::Nothing,
                    Some((_, json)) if json.get() == "null" => Sent::Null,
                    Some((_, json)) => Sent::Json(json),
                }
            }
        }
    }

    fn describe(&mut self, name: &'static str, description: &'static str, required: bool, nullable: bool) {
        if matches!(self.source, Source::Description) {
            self.described.push(FieldDescription { name, description, required, nullable });
        }
    }

    #[cfg(feature = "openapi")]
    fn describe_type(&mut self, schema: fn(&mut Vec<Component>) -> RefOr<Schema>) {
        if matches!(self.source, Source::Description) {
            self.schemas.push(schema(&mut self.components));
        }
    }
}

/// Reads a value from a JSON object.
///
/// # Errors
/// All that is not valid in it.
pub(crate) fn read_object<T: FromFields>(json: &RawValue, purpose: Purpose) -> Result<T, ValidationErrors> {
    let mut fields = Fields::of_object(json, purpose).map_err(ValidationErrors::whole)?;
    let value = T::read(&mut fields);
    fields.finish(value)
}

/// The members of a JSON object in their order, repeated names included.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(MembersVisitor).map(Self)
    }
}

/// The error of an object in which a field is repeated: clients disagree on which one counts (RFC 8259 §4).
const REPEATED: InvalidValue = InvalidValue::Rule("must not have a field twice");

/// An object that has a name in the OpenAPI document.
pub trait Described {
    /// The name of its schema.
    const SCHEMA: &'static str;
}

/// The OpenAPI schema of an object that is read for this purpose; adds the components that it refers to.
#[cfg(feature = "openapi")]
pub(crate) fn object_schema<T: FromFields>(purpose: Purpose, components: &mut Vec<Component>) -> Object {
    let mut fields = Fields::describing(purpose);
    // What is read from nothing is of no use; the fields have noted what was asked for.
    let _ = T::read(&mut fields);
    components.append(&mut fields.components);
    let mut object = ObjectBuilder::new();
    for (field, schema) in fields.described.iter().zip(fields.schemas) {
        object = object.property(field.name, described(schema, field));
        if field.required {
            object = object.required(field.name);
        }
    }
    object.build()
}

/// A reference to the schema of an object inside a body, which is added to the components.
#[cfg(feature = "openapi")]
fn object_reference<T: FromFields + Described>(components: &mut Vec<Component>) -> RefOr<Schema> {
    let schema = object_schema::<T>(Purpose::Create, components);
    components.push((T::SCHEMA.to_owned(), schema.into()));
    Ref::from_schema_name(T::SCHEMA).into()
}

/// The schema of a field: its type with its description, and `null` where that is allowed.
#[cfg(feature = "openapi")]
fn described(schema: RefOr<Schema>, field: &FieldDescription) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(field.description.to_owned());
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
        other if field.nullable => {
            let null = ObjectBuilder::new().schema_type(Type::Null);
            OneOfBuilder::new().item(null).item(other).description(Some(field.description)).into()
        }
        RefOr::Ref(mut reference) => {
            field.description.clone_into(&mut reference.description);
            reference.into()
        }
        other => other,
    }
}
