//! The request headers that mean something to an endpoint.

use crate::domain::{Id, ImportId, InvalidValue, RequiredVersion, ValidationErrors};
use crate::endpoint::Header;

use super::event::Event;

/// The headers of a request, read.
#[derive(Debug, Clone, Default)]
pub(super) struct Headers {
    pub(super) import_id: Option<ImportId>,
    pub(super) idempotency_key: Option<String>,
    pub(super) if_match: Option<RequiredVersion>,
    pub(super) if_none_match: Option<Tags>,
}

impl Headers {
    /// Reads the headers an endpoint knows, and no others: a client may send them everywhere.
    pub(super) fn read(event: &Event, known: &[Header]) -> Result<Self, ValidationErrors> {
        let mut headers = Self::default();
        let mut errors = ValidationErrors::default();
        for header in known {
            let name = header.name();
            let Some(value) = event.header(&name.to_ascii_lowercase()) else { continue };
            let read = match header {
                Header::ImportId => ImportId::parse(value.trim()).map(|id| headers.import_id = Some(id)),
                Header::IdempotencyKey(_) => idempotency_key(value).map(|key| headers.idempotency_key = Some(key)),
                Header::IfMatch => Tags::parse(value).map(|tags| headers.if_match = Some(tags.versions())),
                Header::IfNoneMatch => Tags::parse(value).map(|tags| headers.if_none_match = Some(tags)),
            };
            if let Err(fault) = read {
                errors.add(name, fault);
            }
        }
        errors.finish(Some(headers))
    }
}

fn idempotency_key(value: &str) -> Result<String, InvalidValue> {
    if is_visible_ascii(value, 255) {
        Ok(value.to_owned())
    } else {
        Err(InvalidValue::Rule("must be 1 to 255 visible ASCII characters"))
    }
}

/// Whether a text is 1 to `max` visible ASCII characters.
pub(super) fn is_visible_ascii(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A list of entity tags, or `*` (RFC 9110 §8.8.3, §13.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tags {
    Any,
    These(Vec<Tag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    weak: bool,
    /// With its quotes.
    opaque: String,
}

impl Tags {
    pub(super) fn parse(value: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue = InvalidValue::Rule("must be * or a list of quoted entity tags");
        if value.trim() == "*" {
            return Ok(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = value.trim();
        while !rest.is_empty() {
            let weak = rest.starts_with("W/");
            let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"').ok_or(INVALID)?;
            let (opaque, after) = quoted.split_once('"').ok_or(INVALID)?;
            tags.push(Tag { weak, opaque: format!("\"{opaque}\"") });
            rest = match after.trim_start() {
                "" => "",
                after => after.strip_prefix(',').ok_or(INVALID)?.trim_start(),
            };
        }
        if tags.is_empty() { Err(INVALID) } else { Ok(Self::These(tags)) }
    }

    /// The versions that a write may replace. A weak tag, or one that we never gave out, is no version's: §13.1.1 asks
    /// for the strong comparison.
    fn versions(&self) -> RequiredVersion {
        match self {
            Self::Any => RequiredVersion::Any,
            Self::These(tags) => {
                RequiredVersion::OneOf(tags.iter().filter(|tag| !tag.weak).filter_map(Tag::version).collect())
            }
        }
    }

    /// Whether the client has the answer with this tag already: §13.1.2 asks for the weak comparison.
    pub(super) fn hold(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| tag.opaque == etag),
        }
    }
}

impl Tag {
    fn version(&self) -> Option<u64> {
        self.opaque.trim_matches('"').split_once('-')?.0.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_the_rfc_writes_them() {
        let of = |value: &str| Tags::parse(value).map(|tags| tags.versions());
        assert_eq!(of("*"), Ok(RequiredVersion::Any));
        for (value, versions) in [
            (r#""3-abc""#, vec![3]),
            (r#""3-abc" , "4-d""#, vec![3, 4]),
            (r#"W/"3-abc""#, vec![]),
            (r#""a,b", "7-x""#, vec![7]),
            (r#""abc""#, vec![]),
            (r#""-1-x""#, vec![]),
            (r#""99999999999999999999-x""#, vec![]),
            (r#""""#, vec![]),
        ] {
            assert_eq!(of(value), Ok(RequiredVersion::OneOf(versions)), "{value}");
        }
        for value in ["", "3-abc", r#""3-abc"#, r#""1-a" "2-b""#, r#"w/"1-a""#, ","] {
            assert!(Tags::parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_client_has_what_it_has_weakly_too() {
        for (value, has) in [(r#"W/"3-abc""#, true), (r#""1-x", "3-abc""#, true), (r#""3-abd""#, false), ("*", true)] {
            assert_eq!(Tags::parse(value).unwrap().hold(r#""3-abc""#), has, "{value}");
        }
    }
}
