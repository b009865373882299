//! Queries of requests.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::param::{self, IntegerParam, Param};
use crate::domain::{InvalidValue, ValidationErrors, time};
use crate::dynamodb::{Cursor, SortPosition};

/// The parameters of a request, decoded.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a query without its `?` (WHATWG URL, `application/x-www-form-urlencoded`). A parameter without a value
    /// (`?status=`) counts as not sent.
    pub(crate) fn parse(raw: &str) -> Self {
        let params = form_urlencoded::parse(raw.as_bytes()).into_owned();
        Self(params.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Reads a parameter; `None` if it was not sent or an error was added.
    pub(super) fn read<T>(
        &self,
        errors: &mut ValidationErrors,
        param: &Param,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        let mut values = self.0.iter().filter(|(name, _)| name == param.name).map(|(_, value)| value);
        let value = values.next()?;
        let is_repeated = values.next().is_some();
        let result = if is_repeated { Err(param::REPEATED) } else { parse(value) };
        errors.check(param.name, result)
    }

    /// Reads a time; `None` if it was not sent or an error was added.
    pub(super) fn time(&self, errors: &mut ValidationErrors, param: &Param) -> Option<DateTime<Utc>> {
        self.read(errors, param, |text| time::parse(&restore_plus(text)))
    }

    /// Reads a Boolean parameter; `false` if it was not sent or an error was added.
    pub(super) fn flag(&self, errors: &mut ValidationErrors, param: &Param) -> bool {
        let value = self.read(errors, param, |value| match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(InvalidValue::WrongType { expected: "true or false" }),
        });
        value.unwrap_or(false)
    }

    /// Reads an integer parameter; its default if it was not sent or an error was added.
    pub(super) fn integer<T: Copy + From<u32>>(&self, errors: &mut ValidationErrors, param: &IntegerParam<T>) -> T {
        let (min, max) = param.bounds;
        let value = self.read(errors, &param.param, |value| {
            // `parse` alone would accept a plus sign.
            let has_only_digits = value.bytes().all(|byte| byte.is_ascii_digit());
            match value.parse() {
                Ok(number) if has_only_digits && (min..=max).contains(&number) => Ok(number),
                _ => Err(InvalidValue::OutOfRange { min, max }),
            }
        });
        value.map_or(param.default, T::from)
    }

    /// Encodes the query with another cursor.
    pub(crate) fn with_cursor(&self, cursor: &Cursor<impl SortPosition>) -> String {
        let others = self.0.iter().filter(|(name, _)| name != param::CURSOR.name);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(others).append_pair(param::CURSOR.name, &cursor.to_string());
        query.finish()
    }
}

/// Restores each `+` that the client did not encode. It arrives as a space, which neither an email nor a time contains.
pub(super) fn restore_plus(text: &str) -> String {
    text.trim().replace(' ', "+")
}

/// A value that is read from a query.
pub trait FromQuery: Sized {
    /// Reads the value, and adds an error for every parameter that is not valid. The value is discarded if there is an error.
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self;
}

/// The query of a list: a filter and a page.
#[derive(Debug)]
pub struct ListQuery<F, P = Uuid> {
    /// The condition that a row has to meet.
    pub filter: F,
    /// The most rows of the page; `None` for as many as fit into the response.
    pub limit: Option<usize>,
    /// The position at which the page begins; `None` for the first page.
    pub cursor: Option<Cursor<P>>,
}

impl<F: FromQuery, P: SortPosition> FromQuery for ListQuery<F, P> {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self {
            limit: query.integer(errors, &param::LIMIT).and_then(|limit| usize::try_from(limit).ok()),
            cursor: query.read(errors, &param::CURSOR, str::parse),
            filter: F::read(query, errors),
        }
    }
}

/// The filter of a list that has no filter.
impl FromQuery for () {
    fn read(_: &Query, _: &mut ValidationErrors) -> Self {}
}
