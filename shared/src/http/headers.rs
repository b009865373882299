//! The request headers that the route table names: read and checked.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::domain::{Id, ImportId, InvalidValue, RequiredVersion, ValidationErrors};
use crate::endpoint::{Header, MAX_IDEMPOTENCY_KEY};

use super::event::Event;

/// The headers of a request. A header that the endpoint does not read is `None`.
#[derive(Debug, Clone, Default)]
pub(super) struct Headers {
    pub(super) import_id: Option<ImportId>,
    pub(super) idempotency_key: Option<String>,
    pub(super) if_match: Option<RequiredVersion>,
    pub(super) if_none_match: Option<EntityTags>,
}

impl Headers {
    /// Reads the headers that an endpoint names. All others are ignored, since clients may send a header to every endpoint.
    ///
    /// # Errors
    /// All validation errors of these headers.
    pub(super) fn read(event: &Event, names: &[Header]) -> Result<Self, ValidationErrors> {
        let mut headers = Self::default();
        let mut errors = ValidationErrors::default();
        for header in names {
            let name = header.name();
            let Some(value) = event.header(&name.to_ascii_lowercase()) else { continue };
            match header {
                Header::ImportId => headers.import_id = errors.check(name, ImportId::parse(value.trim())),
                Header::IdempotencyKey(_) => headers.idempotency_key = errors.check(name, idempotency_key(value)),
                Header::IfMatch => {
                    let tags = errors.check(name, value.parse());
                    headers.if_match = tags.map(|tags: EntityTags| tags.required_version());
                }
                Header::IfNoneMatch => headers.if_none_match = errors.check(name, value.parse()),
            }
        }
        errors.finish(Some(headers))
    }
}

fn idempotency_key(value: &str) -> Result<String, InvalidValue> {
    if is_visible_ascii(value, MAX_IDEMPOTENCY_KEY) {
        Ok(value.to_owned())
    } else {
        Err(InvalidValue::WrongLength { max: MAX_IDEMPOTENCY_KEY, characters: "visible ASCII characters" })
    }
}

/// `true` for text of 1 to `max` visible ASCII characters.
pub(super) fn is_visible_ascii(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The value of `If-Match` or `If-None-Match`: a list of entity tags, or `*` (RFC 9110 §8.8.3, §13.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EntityTags {
    Any,
    OneOf(Vec<EntityTag>),
}

/// An entity tag: `"3-abc"`, or `W/"3-abc"` if it is weak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntityTag {
    is_weak: bool,
    /// The tag with its quotes, without `W/`.
    opaque: String,
}

impl FromStr for EntityTags {
    type Err = InvalidValue;

    fn from_str(value: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue = InvalidValue::Rule("must be * or a list of quoted entity tags");
        let mut rest = value.trim();
        if rest == "*" {
            return Ok(Self::Any);
        }
        let mut tags = Vec::new();
        loop {
            let (tag, after) = EntityTag::split_from(rest).ok_or(INVALID)?;
            tags.push(tag);
            let after = after.trim_start();
            if after.is_empty() {
                return Ok(Self::OneOf(tags));
            }
            rest = after.strip_prefix(',').ok_or(INVALID)?.trim_start();
            // A comma at the end, which RFC 9110 §5.6.1.2 asks recipients to tolerate.
            if rest.is_empty() {
                return Ok(Self::OneOf(tags));
            }
        }
    }
}

impl EntityTags {
    /// The version that a write may replace (`If-Match`). RFC 9110 §13.1.1 requires the strong comparison, so a weak tag
    /// matches no version. Neither does a tag in another format than ours.
    fn required_version(&self) -> RequiredVersion {
        match self {
            Self::Any => RequiredVersion::Any,
            Self::OneOf(tags) => {
                let versions: BTreeSet<_> = tags.iter().filter_map(EntityTag::version).collect();
                RequiredVersion::OneOf(versions.into_iter().collect())
            }
        }
    }

    /// `true` if the client has the response with this tag already (`If-None-Match`). RFC 9110 §13.1.2 requires the weak
    /// comparison.
    pub(super) fn contain(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag.opaque == etag),
        }
    }
}

impl EntityTag {
    /// The tag at the beginning of a list, and the rest of the list.
    fn split_from(list: &str) -> Option<(Self, &str)> {
        let (is_weak, quoted) = match list.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, list),
        };
        let (opaque, rest) = quoted.strip_prefix('"')?.split_once('"')?;
        Some((Self { is_weak, opaque: format!("\"{opaque}\"") }, rest))
    }

    /// The version in a strong tag that [`Response::ok`](super::Response::ok) has written: `3` in `"3-abc"`.
    fn version(&self) -> Option<u64> {
        if self.is_weak {
            return None;
        }
        let (digits, _hash) = self.opaque.trim_matches('"').split_once('-')?;
        let version: u64 = digits.parse().ok()?;
        // `parse` takes spellings that no response has, such as `+3` and `03`.
        if version.to_string() == digits { Some(version) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_parsed_by_the_grammar_of_the_rfc() {
        let parse = |value: &str| value.parse().map(|tags: EntityTags| tags.required_version());
        assert_eq!(parse("*"), Ok(RequiredVersion::Any));
        for (value, versions) in [
            (r#""3-abc""#, vec![3]),
            (r#""3-abc" , "4-d""#, vec![3, 4]),
            (r#"W/"3-abc""#, vec![]),
            (r#""a,b", "7-x""#, vec![7]),
            (r#""abc""#, vec![]),
            (r#""-1-x""#, vec![]),
            (r#""+2-0", "02-0""#, vec![]),
            (r#""4-d", "3-abc", "4-e""#, vec![3, 4]),
            (r#""99999999999999999999-x""#, vec![]),
            (r#""""#, vec![]),
        ] {
            assert_eq!(parse(value), Ok(RequiredVersion::OneOf(versions)), "{value}");
        }
        for value in ["", "3-abc", r#""3-abc"#, r#""1-a" "2-b""#, r#"w/"1-a""#, ","] {
            assert!(value.parse::<EntityTags>().is_err(), "{value}");
        }
    }

    #[test]
    fn a_weak_tag_matches_the_response_of_the_same_strong_tag() {
        for (value, expected) in
            [(r#"W/"3-abc""#, true), (r#""1-x", "3-abc""#, true), (r#""3-abd""#, false), ("*", true)]
        {
            let tags: EntityTags = value.parse().unwrap();
            assert_eq!(tags.contain(r#""3-abc""#), expected, "{value}");
        }
    }
}
