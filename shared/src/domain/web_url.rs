//! The URL of a web resource.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidValue;
use super::text::text_schema;

/// An `http` or `https` URL with a host, without white space, at most 2,048 bytes long.
///
/// ```
/// # use shared::domain::WebUrl;
/// assert_eq!(" https://example.com/guide.pdf ".parse::<WebUrl>()?.as_str(), "https://example.com/guide.pdf");
///
/// assert!("ftp://example.com/guide.pdf".parse::<WebUrl>().is_err());
/// # Ok::<_, shared::domain::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebUrl(String);

const MAX_BYTES: usize = 2_048;

impl WebUrl {
    /// The URL as it was sent, trimmed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebUrl {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue = InvalidValue::Rule("must be an http or https URL");
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(INVALID)?;
        let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        let has_host = !rest.is_empty() && !rest.starts_with(['/', '?', '#']);
        let has_gap = text.contains(|c: char| c.is_whitespace() || c.is_control() || c == char::REPLACEMENT_CHARACTER);
        if is_web && has_host && !has_gap && text.len() <= MAX_BYTES { Ok(Self(text.to_owned())) } else { Err(INVALID) }
    }
}

text_schema!(WebUrl, |schema| {
    let uri = utoipa::openapi::SchemaFormat::Custom("uri".to_owned());
    schema.format(Some(uri)).max_length(Some(MAX_BYTES))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_url_has_a_scheme_and_a_host() {
        for text in ["https://example.com/guide.pdf", "HTTP://example.com", "https://example.com?x=1"] {
            assert_eq!(text.parse::<WebUrl>().map(|url| url.as_str().to_owned()), Ok(text.to_owned()));
        }
        for text in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https:///x",
            "https://example.com/a b",
            "javascript:x",
            "https://e\nx",
        ] {
            assert!(text.parse::<WebUrl>().is_err(), "{text}");
        }
    }
}
