//! All that is wrong with a request, found in one go.

use std::fmt;

use super::{Field, InvalidValue, Patch};

/// The faults of a request in the order its fields are documented, each "field, what is wrong".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidationErrors(Vec<String>);

/// What is said of a field that has to be there and is not (`Create Contact`, "400 Bad Request").
const REQUIRED: &str = "field is required";

impl ValidationErrors {
    /// The fields that had to be there and were not.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|violation| violation.strip_suffix(REQUIRED)?.strip_suffix(' '))
    }

    /// The one fault of a request.
    pub fn one(field: &str, fault: impl fmt::Display) -> Self {
        Self(vec![format!("{field} {fault}")])
    }

    /// The one fault of a part of a request, which whoever knows the part's name will add ([`ValidationErrors::nest`]).
    pub fn fault(fault: impl fmt::Display) -> Self {
        Self(vec![fault.to_string()])
    }

    /// Notes a fault.
    pub fn add(&mut self, field: &str, fault: impl fmt::Display) {
        self.0.push(format!("{field} {fault}"));
    }

    /// Notes the faults of a part of the request.
    pub fn nest(&mut self, part: impl fmt::Display, faults: Self) {
        self.0.extend(faults.0.into_iter().map(|fault| format!("{part} {fault}")));
    }

    /// Reads a field that has to be there. `None` means that a fault was noted.
    pub fn required<W, T>(
        &mut self,
        name: &str,
        field: Field<W>,
        parse: impl FnOnce(W) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        if matches!(field, Field::Absent | Field::Null) {
            self.add(name, REQUIRED);
        }
        self.optional(name, field, parse)
    }

    /// Reads a field that may be absent or `null`, both of which give `None`, as a fault does.
    pub fn optional<W, T>(
        &mut self,
        name: &str,
        field: Field<W>,
        parse: impl FnOnce(W) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        match field {
            Field::Absent | Field::Null => None,
            Field::Sent(wire) => self.parsed(name, parse(wire)),
            Field::Mistyped(expected) => self.parsed(name, Err(expected)),
        }
    }

    /// Reads a field of an update that cannot be cleared. `None` means that it was not sent, or that a fault was noted.
    pub fn not_null<W, T>(
        &mut self,
        name: &str,
        field: Field<W>,
        parse: impl FnOnce(W) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        if matches!(field, Field::Null) {
            self.add(name, "must not be null");
        }
        self.optional(name, field, parse)
    }

    /// Reads a field of an update that `null` clears, and so does a text that `parse` makes nothing of.
    pub fn patch<W, T>(
        &mut self,
        name: &str,
        field: Field<W>,
        parse: impl FnOnce(W) -> Result<Option<T>, InvalidValue>,
    ) -> Patch<T> {
        match field {
            Field::Absent => Patch::Keep,
            Field::Null => Patch::Clear,
            field => match self.optional(name, field, parse) {
                Some(Some(value)) => Patch::Set(value),
                Some(None) => Patch::Clear,
                None => Patch::Keep,
            },
        }
    }

    /// The value of a request in which nothing is wrong.
    ///
    /// # Errors
    /// The errors, if there is one. A missing `value` without a violation cannot be: whatever gives `None` notes why.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }

    /// The one sentence that a client is told of them.
    pub fn sentence(&self) -> String {
        format!("Validation error: {self}")
    }

    fn parsed<T>(&mut self, name: &str, result: Result<T, InvalidValue>) -> Option<T> {
        result.map_err(|invalid| self.add(name, invalid)).ok()
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}
