//! Matching the path of a request with the path of an endpoint.

use percent_encoding::percent_decode_str;

/// The path of a request as endpoints spell it: without the trailing slash.
pub fn without_trailing_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// The name of the parameter that a segment of an endpoint's path is: `contact_id` for `{contact_id}`.
pub(super) fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The values of a path's parameters, percent-decoded (RFC 3986 §2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathValues(Vec<(&'static str, String)>);

impl PathValues {
    /// Reads the values from the path of a request; `None` if that is not a path of this `template`.
    pub(super) fn parse(template: &'static str, path: &str) -> Option<Self> {
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
    fn another_path_does_not_match() {
        for path in ["", "/", "/contact", "/contacts//", "/contacts/abc/def", "/Contacts", "contacts"] {
            assert_eq!(Endpoint::CreateContact.path_values(path), None, "{path}");
        }
    }
}
