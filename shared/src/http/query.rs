//! Query parameters.

use uuid::Uuid;

use crate::domain::{Invalid, Violations};
use crate::endpoint::{Param, ParamKind, param};
use crate::table::{Cursor, Place};

/// The parameters of a request, decoded.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes what follows the `?` (WHATWG URL, `application/x-www-form-urlencoded`).
    pub(super) fn parse(raw: &str) -> Self {
        Self(form_urlencoded::parse(raw.as_bytes()).into_owned().collect())
    }

    /// Reads a parameter; `None` where it was not sent, or where a fault was noted.
    pub(super) fn read<T>(
        &self,
        violations: &mut Violations,
        param: &Param,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let mut values = self.0.iter().filter(|(name, _)| name == param.name).map(|(_, value)| value);
        let value = values.next()?;
        let read = if values.next().is_some() { Err(Invalid("must be given once")) } else { parse(value) };
        read.map_err(|fault| violations.add(param.name, fault)).ok()
    }

    /// Reads a parameter that is `true` or, as where it was not sent, `false`.
    pub(super) fn flag(&self, violations: &mut Violations, param: &Param) -> bool {
        let value = self.read(violations, param, |value| match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Invalid("must be true or false")),
        });
        value.unwrap_or(false)
    }

    /// Reads a parameter that is an integer.
    pub(super) fn integer(&self, violations: &mut Violations, param: &Param) -> u32 {
        let ParamKind::Integer { min, max, default } = param.kind else { return 0 };
        let fault = || format!("must be an integer from {min} to {max}");
        let value = self.read(violations, param, |value| Ok(value.to_owned()));
        value.map_or(default, |value| {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse().ok().filter(|number| digits && (min..=max).contains(number));
            number.unwrap_or_else(|| {
                violations.add(param.name, fault());
                default
            })
        })
    }
}

/// Which part of a list is asked for.
#[derive(Debug)]
pub struct ListPage<P = Uuid> {
    /// How many rows at the most.
    pub limit: usize,
    /// From where on.
    pub cursor: Option<Cursor<P>>,
    sent: Vec<(String, String)>,
}

impl<P: Place> ListPage<P> {
    pub(super) fn read(query: &Query, violations: &mut Violations) -> Self {
        Self {
            limit: usize::try_from(query.integer(violations, &param::LIMIT)).unwrap_or(usize::MAX),
            cursor: query.read(violations, &param::CURSOR, Cursor::parse),
            sent: query.0.clone(),
        }
    }

    /// The address of the page that follows, if one does: the same query with another cursor.
    pub fn next(&self, path: &str, cursor: Option<Cursor<P>>) -> Option<String> {
        let cursor = cursor?.to_string();
        let others = self.sent.iter().filter(|(name, _)| name != param::CURSOR.name);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(others).append_pair(param::CURSOR.name, &cursor);
        Some(format!("{path}/?{}", query.finish()))
    }
}
