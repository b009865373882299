//! Query parameters.

use uuid::Uuid;

use super::param::{self, Param, ParamKind};
use crate::domain::{InvalidValue, ValidationErrors};
use crate::dynamodb::{Cursor, SortPosition};

/// The parameters of a request, decoded.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes what follows the `?` (WHATWG URL, `application/x-www-form-urlencoded`).
    pub(crate) fn parse(raw: &str) -> Self {
        Self(form_urlencoded::parse(raw.as_bytes()).into_owned().collect())
    }

    /// Reads a parameter; `None` where it was not sent, or where a fault was noted.
    pub(super) fn read<T>(
        &self,
        errors: &mut ValidationErrors,
        param: &Param,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        let mut values = self.0.iter().filter(|(name, _)| name == param.name).map(|(_, value)| value);
        let value = values.next()?;
        let read = if values.next().is_some() { Err(InvalidValue::Rule("must be given once")) } else { parse(value) };
        errors.check(param.name, read)
    }

    /// Reads a parameter that is `true` or, as where it was not sent, `false`.
    pub(super) fn flag(&self, errors: &mut ValidationErrors, param: &Param) -> bool {
        let value = self.read(errors, param, |value| match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(InvalidValue::WrongType { expected: "true or false" }),
        });
        value.unwrap_or(false)
    }

    /// Reads an integer parameter; its default where it was not sent or an error was added.
    pub(super) fn integer(&self, errors: &mut ValidationErrors, param: &Param) -> u32 {
        let ParamKind::Integer { min, max, default } = param.kind else { return 0 };
        let value = self.read(errors, param, |value| {
            let number = value.parse().ok().filter(|number| (min..=max).contains(number));
            // `parse` takes a sign, too.
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            number.filter(|_| digits).ok_or(InvalidValue::OutOfRange { min, max })
        });
        value.unwrap_or(default)
    }

    /// The query with another cursor, encoded.
    pub(crate) fn with_cursor(&self, cursor: &Cursor<impl SortPosition>) -> String {
        let others = self.0.iter().filter(|(name, _)| name != param::CURSOR.name);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(others).append_pair(param::CURSOR.name, &cursor.to_string());
        query.finish()
    }
}

/// A value that a query holds.
pub trait FromQuery: Sized {
    /// Reads the value and adds every error. What it returns beside an error is not used.
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self;
}

/// The query of a list: which rows, and which part of them.
#[derive(Debug)]
pub struct ListQuery<F, P = Uuid> {
    /// Which rows.
    pub filter: F,
    /// How many of them at the most.
    pub limit: usize,
    /// From where on.
    pub cursor: Option<Cursor<P>>,
}

impl<F: FromQuery, P: SortPosition> FromQuery for ListQuery<F, P> {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self {
            limit: usize::try_from(query.integer(errors, &param::LIMIT)).unwrap_or(usize::MAX),
            cursor: query.read(errors, &param::CURSOR, Cursor::parse),
            filter: F::read(query, errors),
        }
    }
}

/// The filter of a list that has none.
impl FromQuery for () {
    fn read(_: &Query, _: &mut ValidationErrors) -> Self {}
}
