//! Validation errors: data until they are printed.

use std::fmt;

/// The reason why a value is invalid. The text follows the path of the field: `must be a valid email address`.
///
/// It never contains the value, since it is part of responses and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// A required field was not sent (seed page "Create Contact", "400 Bad Request").
    #[error("field is required")]
    Required,
    /// A field that cannot be cleared was `null`.
    #[error("must not be null")]
    Null,
    /// A required text was blank.
    #[error("must not be blank")]
    Blank,
    /// The JSON value has another type than the field.
    #[error("must be {expected}")]
    WrongType {
        /// The type, with its article.
        expected: &'static str,
    },
    /// The text is too long.
    #[error("must be at most {max} characters")]
    TooLong {
        /// The maximum number of characters.
        max: usize,
    },
    /// The value has too many bytes.
    #[error("must be at most {max} {unit}")]
    TooLarge {
        /// The maximum size.
        max: usize,
        /// The unit of the size.
        unit: &'static str,
    },
    /// The change would make an entity too large to store.
    #[error("would grow the {entity} past {max} {unit}")]
    GrowsTooLarge {
        /// The entity.
        entity: &'static str,
        /// The maximum size.
        max: usize,
        /// The unit of the size.
        unit: &'static str,
    },
    /// The text is empty or too long, or has a character outside a set.
    #[error("must be 1 to {max} {characters}")]
    WrongLength {
        /// The maximum number of characters.
        max: usize,
        /// The set of characters, as a noun phrase in the plural.
        characters: &'static str,
    },
    /// The text contains a control character.
    #[error("must not contain control characters")]
    ControlCharacters,
    /// The text contains U+FFFD, which a decoder writes in place of bytes that it cannot read: part of the text is lost.
    #[error("must not contain the replacement character U+FFFD")]
    ReplacementCharacter,
    /// The text is not a value of the enumeration.
    #[error("must be one of {values}")]
    NotOneOf {
        /// The values, separated by spaces.
        values: &'static str,
    },
    /// The number is outside its range.
    #[error("must be an integer from {min} to {max}")]
    OutOfRange {
        /// The least value.
        min: u32,
        /// The greatest value.
        max: u32,
    },
    /// The body is not JSON.
    #[error("is not valid JSON (line {line}, column {column})")]
    Syntax {
        /// The line of the first error, from 1.
        line: usize,
        /// The column of the first error, from 1; 0 at the end of an empty body.
        column: usize,
    },
    /// The array has too few or too many elements.
    #[error("must hold {min} to {max} {elements}")]
    WrongCount {
        /// The minimum number of elements.
        min: usize,
        /// The maximum number of elements.
        max: usize,
        /// The name of the elements, in the plural.
        elements: &'static str,
    },
    /// The value has too many parts.
    #[error("must hold at most {max} {elements}")]
    TooMany {
        /// The maximum number of parts.
        max: usize,
        /// The name of the parts, in the plural.
        elements: &'static str,
    },
    /// The CSV row has another number of columns than the header.
    #[error("has {found} column{} instead of {expected}", if *found == 1 { "" } else { "s" })]
    WrongColumnCount {
        /// The number of columns of the row.
        found: usize,
        /// The number of columns of the header.
        expected: usize,
    },
    /// A rule of a single type, worded where the rule is implemented.
    #[error("{0}")]
    Rule(&'static str),
}

/// One step of the path from a request to an invalid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathSegment {
    /// A field, a header, or a parameter of the path or query.
    Field(&'static str),
    /// A row of a bulk upload, counted from 1.
    Row(usize),
    /// An activity of an array of activities, counted from 1.
    Activity(usize),
}

impl fmt::Display for PathSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => f.write_str(name),
            Self::Row(number) => write!(f, "row {number}:"),
            Self::Activity(number) => write!(f, "activity {number}:"),
        }
    }
}

/// An invalid value: its path and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationError {
    /// From the outermost part of the request inwards; empty for the value as a whole.
    pub path: Vec<PathSegment>,
    /// The reason.
    pub kind: InvalidValue,
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.path {
            write!(f, "{segment} ")?;
        }
        self.kind.fmt(f)
    }
}

/// All validation errors of a request, in the order in which its fields are documented.
///
/// Prints the whole sentence that a client reads.
///
/// ```
/// # use shared::domain::{InvalidValue, ValidationErrors};
/// let mut errors = ValidationErrors::default();
/// errors.add("email", InvalidValue::Required);
/// errors.add("full_name", InvalidValue::TooLong { max: 200 });
/// assert_eq!(
///     errors.to_string(),
///     "Validation error: email field is required; full_name must be at most 200 characters"
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidationErrors {
    errors: Vec<ValidationError>,
    omitted_rows: usize,
}

impl ValidationErrors {
    /// The single error of a request.
    pub fn one(field: &'static str, kind: InvalidValue) -> Self {
        let mut errors = Self::default();
        errors.add(field, kind);
        errors
    }

    /// The single error of a value as a whole; [`ValidationErrors::nest`] adds the path.
    pub fn whole(kind: InvalidValue) -> Self {
        Self { errors: vec![ValidationError { path: Vec::new(), kind }], omitted_rows: 0 }
    }

    /// `true` without an error.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Adds an error of a field.
    pub fn add(&mut self, field: &'static str, kind: InvalidValue) {
        self.errors.push(ValidationError { path: vec![PathSegment::Field(field)], kind });
    }

    /// Adds the errors of a part of the request.
    pub fn nest(&mut self, part: PathSegment, nested: Self) {
        for mut error in nested.errors {
            error.path.insert(0, part);
            self.errors.push(error);
        }
    }

    /// Sets the path of the errors that concern the value as a whole.
    #[must_use]
    pub fn name_whole(mut self, name: &'static str) -> Self {
        for error in self.errors.iter_mut().filter(|error| error.path.is_empty()) {
            error.path.push(PathSegment::Field(name));
        }
        self
    }

    /// Counts rows whose errors are left out.
    pub fn omit_rows(&mut self, count: usize) {
        self.omitted_rows += count;
    }

    /// The errors.
    pub fn iter(&self) -> impl Iterator<Item = &ValidationError> {
        self.errors.iter()
    }

    /// Returns the value of a successful result, or adds the error to those of the request.
    pub fn check<T>(&mut self, field: &'static str, result: Result<T, InvalidValue>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(kind) => {
                self.add(field, kind);
                None
            }
        }
    }

    /// Returns the value if there are no errors.
    ///
    /// # Errors
    /// These errors. A missing value implies at least one error.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validation error: ")?;
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        if self.omitted_rows > 0 {
            write!(f, "; and {} more rows", self.omitted_rows)?;
        }
        Ok(())
    }
}

impl std::error::Error for ValidationErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_rows_state_the_row_and_the_field() {
        let mut row = ValidationErrors::one("email", InvalidValue::Blank);
        row.add("locale", InvalidValue::WrongType { expected: "a string" });
        let mut errors = ValidationErrors::default();
        errors.nest(PathSegment::Row(3), row);
        errors.nest(
            PathSegment::Row(7),
            ValidationErrors::whole(InvalidValue::WrongColumnCount { found: 1, expected: 5 }),
        );
        errors.omit_rows(12);
        assert_eq!(
            errors.to_string(),
            "Validation error: row 3: email must not be blank; row 3: locale must be a string; \
             row 7: has 1 column instead of 5; and 12 more rows"
        );
    }

    #[test]
    fn a_value_with_an_error_is_not_returned() {
        assert_eq!(ValidationErrors::default().finish(Some(1)), Ok(1));
        let errors = ValidationErrors::one("email", InvalidValue::Required);
        assert_eq!(errors.clone().finish(Some(1)), Err(errors));
    }
}
