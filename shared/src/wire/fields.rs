//! Reading the fields of a JSON object or of a CSV row.
//!
//! **Problem.** A field has a name, a type, rules, a description, and a meaning of absence and of `null` that differs between
//! creating and updating. Clients want all errors of a body at once, and OpenAPI and the CSV columns have to state the same
//! names. Written down separately, these facts drift apart.
//!
//! **Approach.** One function declares a body, such as that of a contact in `contact.rs`. [`FromFields::read`] asks
//! [`Fields`] for each field by name, in the documented order, and gets a value of the domain's type. `Fields` decides what
//! that does:
//!
//! - From a JSON object or a CSV row it reads the value. An error is added to the others, and reading goes on.
//! - The [`Purpose`] decides whether a missing field is an error and what `null` means, so that one function reads the body
//!   of a create and of an update.
//! - From [`Fields::describing`] every field appears as not sent, and `Fields` records its name, its description and its
//!   type. OpenAPI (`schema.rs`) and the columns of a CSV file are derived from that record.
//!
//! **Rejected.** A struct with `Deserialize` for each body beside the domain's struct: it declares every field twice, serde
//! stops at the first error, and it cannot tell an absent field from `null` without a wrapper for each. A derive macro of our
//! own: more code than all the bodies together.
//!
//! **If this is changed.** `read` must ask for the same fields, in the same order, whatever was sent, or the description
//! lacks those that it did not ask for. So it collects its fields first and uses `?` only at the end.

mod input;
mod members;
#[cfg(feature = "openapi")]
mod schema;

use std::borrow::Cow;

use serde_json::value::RawValue;
#[cfg(feature = "openapi")]
use utoipa::openapi::{RefOr, Schema};

pub(crate) use input::{Input, Scalar};
use members::Members;
#[cfg(feature = "openapi")]
use schema::object_reference;
#[cfg(feature = "openapi")]
pub(crate) use schema::{Component, object_schema};

use super::body::ObjectBody;
use crate::domain::json::JSON_OBJECT;
use crate::domain::{InvalidValue, Patch, PathSegment, TextValue, ValidationErrors, is_blank};

/// The error of an object that has a field twice. Parsers disagree about which of the two counts (RFC 8259 §4).
const REPEATED_FIELD: InvalidValue = InvalidValue::Rule("must not have a field twice");

/// A value that is read from the fields of an object or a row.
pub trait FromFields: Sized {
    /// Reads the value. Returns `None` only if a required field was not sent or an error was added.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The operation that a body is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A create: required fields have to be sent, and `null` counts as not sent.
    Create,
    /// An update: every field may be left out, and `null` clears an optional field.
    Update,
}

/// The type of a field.
pub trait FieldValue: Sized {
    /// Parses the value as it was sent.
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue>;

    /// The OpenAPI schema; adds the components that it refers to.
    #[cfg(feature = "openapi")]
    fn schema(components: &mut Vec<Component>) -> RefOr<Schema>;
}

impl<T: TextValue> FieldValue for T {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        input.text()?.parse()
    }

    #[cfg(feature = "openapi")]
    fn schema(components: &mut Vec<Component>) -> RefOr<Schema> {
        components.extend(T::component());
        T::text_schema()
    }
}

/// A field that a describing reader was asked for.
#[derive(Debug)]
pub struct FieldDescription {
    /// The name in JSON, and of the CSV column.
    pub name: &'static str,
    /// The meaning of the field, for clients.
    pub description: &'static str,
    /// `true` if the field has to be sent.
    pub required: bool,
    /// `true` if `null` is allowed.
    pub nullable: bool,
    /// An example, if the field has one other than its type's.
    pub example: Option<&'static str>,
}

/// The cells of a CSV row that are not blank, each with the name of its column.
pub type Cells = Vec<(&'static str, String)>;

/// The fields of a body or a row, read one by one.
pub struct Fields<'a> {
    source: Source<'a>,
    purpose: Purpose,
    errors: ValidationErrors,
    has_repeated_field: bool,
    described: Vec<FieldDescription>,
    /// The example of the field that is read next.
    example: Option<&'static str>,
    /// The schemas of `described`, in the same order.
    #[cfg(feature = "openapi")]
    schemas: Vec<RefOr<Schema>>,
    #[cfg(feature = "openapi")]
    components: Vec<Component>,
}

/// The source of the fields.
enum Source<'a> {
    Object(Members<'a>),
    /// A JSON object that is a row of an upload.
    JsonRow(Members<'a>),
    CsvRow(&'a Cells),
    /// No fields: the reader records what it is asked for.
    Description,
}

/// A field, as it was sent.
enum Sent<'a> {
    Nothing,
    Null,
    Value(Input<'a>),
}

impl<'a> Fields<'a> {
    /// The fields of a JSON object.
    ///
    /// # Errors
    /// The value is not an object, or a name in it is not Unicode text.
    pub fn of_object(json: &'a RawValue, purpose: Purpose) -> Result<Self, InvalidValue> {
        Ok(Self::new(Source::Object(Members::parse(json)?), purpose))
    }

    /// The fields of a JSON object that is a row of an upload.
    ///
    /// # Errors
    /// The errors of [`Fields::of_object`].
    pub fn of_json_row(json: &'a RawValue, purpose: Purpose) -> Result<Self, InvalidValue> {
        Ok(Self::new(Source::JsonRow(Members::parse(json)?), purpose))
    }

    /// The fields of a CSV row.
    pub fn of_csv_row(cells: &'a Cells, purpose: Purpose) -> Self {
        Self::new(Source::CsvRow(cells), purpose)
    }

    /// A reader that records the fields which it is asked for.
    pub fn describing(purpose: Purpose) -> Self {
        Self::new(Source::Description, purpose)
    }

    fn new(source: Source<'a>, purpose: Purpose) -> Self {
        Self {
            source,
            purpose,
            errors: ValidationErrors::default(),
            has_repeated_field: false,
            described: Vec::new(),
            example: None,
            #[cfg(feature = "openapi")]
            schemas: Vec::new(),
            #[cfg(feature = "openapi")]
            components: Vec::new(),
        }
    }

    /// Sets the example of the field that is read next.
    pub fn example(&mut self, example: &'static str) -> &mut Self {
        self.example = Some(example);
        self
    }

    /// Reads a field that a create requires and that an update cannot clear.
    pub fn required<T: FieldValue>(&mut self, name: &'static str, description: &'static str) -> Option<T> {
        self.describe(name, description, self.purpose == Purpose::Create, false);
        #[cfg(feature = "openapi")]
        self.describe_schema(T::schema);
        match (self.sent(name), self.purpose) {
            (Sent::Nothing, Purpose::Update) => None,
            (Sent::Nothing | Sent::Null, Purpose::Create) => self.errors.check(name, Err(InvalidValue::Required)),
            (Sent::Null, Purpose::Update) => self.errors.check(name, Err(InvalidValue::Null)),
            (Sent::Value(input), _) => self.errors.check(name, T::from_input(input)),
        }
    }

    /// Reads a field that has a default: a create may leave it out or send `null`, and an update cannot clear it.
    pub fn defaulted<T: FieldValue>(&mut self, name: &'static str, description: &'static str) -> Option<T> {
        self.describe(name, description, false, false);
        #[cfg(feature = "openapi")]
        self.describe_schema(T::schema);
        match (self.sent(name), self.purpose) {
            (Sent::Nothing, _) | (Sent::Null, Purpose::Create) => None,
            (Sent::Null, Purpose::Update) => self.errors.check(name, Err(InvalidValue::Null)),
            (Sent::Value(input), _) => self.errors.check(name, T::from_input(input)),
        }
    }

    /// Reads text that may be left out, and that `null` or blank text clears.
    pub fn optional_text<T: TextValue>(&mut self, name: &'static str, description: &'static str) -> Patch<T> {
        let value = match self.text(name) {
            Some(text) if is_blank(&text) => Patch::Clear,
            _ => self.optional(name, description),
        };
        // The type alone would have a minimum length.
        #[cfg(feature = "openapi")]
        if let Some(RefOr::T(Schema::Object(schema))) = self.schemas.last_mut() {
            schema.min_length = None;
        }
        value
    }

    /// Reads a field that may be left out, and that `null` clears.
    pub fn optional<T: FieldValue>(&mut self, name: &'static str, description: &'static str) -> Patch<T> {
        self.describe(name, description, false, true);
        #[cfg(feature = "openapi")]
        self.describe_schema(T::schema);
        match self.sent(name) {
            Sent::Nothing => Patch::Keep,
            Sent::Null => Patch::Clear,
            Sent::Value(input) => self.errors.check(name, T::from_input(input)).map_or(Patch::Keep, Patch::Set),
        }
    }

    /// Reads an optional object inside the body. Its errors are nested under its name.
    pub fn object<T: ObjectBody>(&mut self, name: &'static str, description: &'static str) -> Patch<T> {
        self.describe(name, description, false, true);
        #[cfg(feature = "openapi")]
        self.describe_schema(object_reference::<T>);
        let input = match self.sent(name) {
            Sent::Nothing => return Patch::Keep,
            Sent::Null => return Patch::Clear,
            Sent::Value(input) => input,
        };
        let object = input.json(JSON_OBJECT).map_err(ValidationErrors::whole);
        match object.and_then(|json| read_object(&json, T::PURPOSE)) {
            Ok(value) => Patch::Set(value),
            Err(errors) => {
                self.errors.nest(PathSegment::Field(name), errors);
                Patch::Keep
            }
        }
    }

    /// The text of a field, as it was sent; `None` if the field was not sent or is not text.
    pub fn text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        match self.sent(name) {
            Sent::Value(input) => input.text().ok(),
            Sent::Nothing | Sent::Null => None,
        }
    }

    /// Adds an error of a rule that concerns several fields.
    pub fn add(&mut self, name: &'static str, kind: InvalidValue) {
        self.errors.add(name, kind);
    }

    /// `true` if the fields that were read have no error.
    pub fn is_valid(&self) -> bool {
        !self.has_repeated_field && self.errors.is_empty()
    }

    /// Returns the value that was read, if there is no error.
    ///
    /// # Errors
    /// All validation errors of the fields.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ValidationErrors> {
        if self.has_repeated_field {
            return Err(ValidationErrors::whole(REPEATED_FIELD));
        }
        self.errors.finish(value)
    }

    /// The fields that a describing reader was asked for.
    pub fn into_descriptions(self) -> Vec<FieldDescription> {
        self.described
    }

    /// Finds a field.
    fn sent(&mut self, name: &str) -> Sent<'a> {
        let (members, input): (_, fn(_) -> _) = match &self.source {
            Source::Description => return Sent::Nothing,
            Source::CsvRow(cells) => {
                return match cells.iter().find(|(column, _)| *column == name) {
                    Some((_, cell)) => Sent::Value(Input::Cell(cell)),
                    None => Sent::Nothing,
                };
            }
            Source::Object(members) => (members, Input::Json),
            Source::JsonRow(members) => (members, Input::RowMember),
        };
        let mut values = members.named(name);
        let value = values.next();
        self.has_repeated_field |= values.next().is_some();
        match value {
            None => Sent::Nothing,
            Some(json) if json.get() == "null" => Sent::Null,
            Some(json) => Sent::Value(input(json)),
        }
    }

    fn describe(&mut self, name: &'static str, description: &'static str, required: bool, nullable: bool) {
        if matches!(self.source, Source::Description) {
            let example = self.example.take();
            self.described.push(FieldDescription { name, description, required, nullable, example });
        }
    }

    #[cfg(feature = "openapi")]
    fn describe_schema(&mut self, schema: fn(&mut Vec<Component>) -> RefOr<Schema>) {
        if matches!(self.source, Source::Description) {
            self.schemas.push(schema(&mut self.components));
        }
    }
}

/// Reads a value from a JSON object.
///
/// # Errors
/// All validation errors of the object.
pub(crate) fn read_object<T: FromFields>(json: &RawValue, purpose: Purpose) -> Result<T, ValidationErrors> {
    let mut fields = Fields::of_object(json, purpose).map_err(ValidationErrors::whole)?;
    let value = T::read(&mut fields);
    fields.finish(value)
}
