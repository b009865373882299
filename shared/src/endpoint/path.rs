//! The paths of endpoints, matched with those of requests and filled with ids.

use std::fmt::Display;

use percent_encoding::percent_decode_str;

/// The path of a request as endpoints spell it: without the trailing slash.
fn without_trailing_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// The name of the parameter that a segment of an endpoint's path is: `contact_id` for `{contact_id}`.
pub(super) fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The path of a `template` with the value of each parameter in its place. The values need no percent-encoding: they are ids.
pub(super) fn fill<V: Display>(template: &'static str, value: impl Fn(&'static str) -> V) -> String {
    let segments = template.split('/').map(|segment| match parameter(segment) {
        Some(name) => value(name).to_string(),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The values of a path's parameters, percent-decoded (RFC 3986 §2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathValues(Vec<(&'static str, String)>);

impl PathValues {
    /// Reads the values from the path of a request; `None` if that is not a path of this `template`.
    pub(crate) fn parse(template: &'static str, path: &str) -> Option<Self> {
        let (wanted, sent) = (template.split('/'), without_trailing_slash(path).split('/'));
        if wanted.clone().count() != sent.clone().count() {
            return None;
        }
        let mut values = Self::default();
        for (wanted, sent) in wanted.zip(sent) {
            match parameter(wanted) {
                Some(name) => values.0.push((name, percent_decode_str(sent).decode_utf8_lossy().into_owned())),
                None if wanted == sent => {}
                None => return None,
            }
        }
        Some(values)
    }

    /// The value of one parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Each parameter and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The values with each replaced by what `replace` makes of a parameter's name and value.
    #[must_use]
    pub fn map(&self, mut replace: impl FnMut(&'static str, &str) -> String) -> Self {
        Self(self.iter().map(|(name, value)| (name, replace(name, value))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{ACTIVITY_ID, Endpoint};

    #[test]
    fn a_path_matches_with_and_without_its_trailing_slash() {
        for path in ["/contacts", "/contacts/"] {
            assert_eq!(Endpoint::CreateContact.path_values(path), Some(PathValues::default()), "{path}");
        }
        for path in ["/contacts/abc", "/contacts/abc/"] {
            let values = Endpoint::GetContact.path_values(path).unwrap();
            assert_eq!(values.get("contact_id"), Some("abc"), "{path}");
        }
    }

    #[test]
    fn values_are_decoded() {
        let values = Endpoint::UpdateActivity.path_values("/contacts/abc/activities/a%3Ab").unwrap();
        assert_eq!(values.get(ACTIVITY_ID), Some("a:b"));
    }

    #[test]
    fn a_filled_path_has_the_values_that_were_filled_in() {
        let path = Endpoint::UpdateActivity.path_with(|name| if name == ACTIVITY_ID { "act_1" } else { "abc" });
        assert_eq!(path, "/contacts/abc/activities/act_1");
        assert_eq!(Endpoint::CreateContact.path_with(|_| "abc"), "/contacts");
    }

    #[test]
    fn another_path_does_not_match() {
        for path in ["", "/", "/contact", "/contacts//", "/contacts/abc/def", "/Contacts", "contacts"] {
            assert_eq!(Endpoint::CreateContact.path_values(path), None, "{path}");
        }
    }
}
