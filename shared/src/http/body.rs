//! The body of a request, as it was sent.

use crate::endpoint::{BodySpec, Media};

use super::error::ApiError;
use super::event::Event;

/// The body of a request; empty if the endpoint reads none.
#[derive(Debug)]
pub struct Body {
    /// The media type, which the endpoint accepts.
    pub media: Media,
    /// The content type as it was sent, with its parameters.
    pub content_type: String,
    /// The bytes, no more than the endpoint accepts.
    pub bytes: Vec<u8>,
}

impl Default for Body {
    fn default() -> Self {
        Self { media: Media::Json, content_type: String::new(), bytes: Vec::new() }
    }
}

impl Body {
    /// Reads the body of an event. Its content is still to be parsed.
    ///
    /// # Errors
    /// 415 for another media type or an encoded body, 413 for too many bytes.
    pub(super) fn read(event: &mut Event, spec: BodySpec) -> Result<Self, ApiError> {
        let content_type = event.header("content-type").unwrap_or(Media::Json.as_str()).to_owned();
        let media =
            find_media(&content_type, spec.media).ok_or(ApiError::UnsupportedMediaType { supported: spec.media })?;
        if !is_identity(event.header("content-encoding").unwrap_or_default()) {
            return Err(ApiError::UnsupportedContentEncoding);
        }
        let bytes = event.take_body();
        if bytes.len() > spec.limit {
            return Err(ApiError::BodyTooLarge { limit: spec.limit });
        }
        Ok(Self { media, content_type, bytes })
    }

    /// The delimiter between the parts of a form (RFC 2046 §5.1.1); `None` for a body that is no form.
    pub(super) fn boundary(&self) -> Option<&[u8]> {
        if self.media != Media::Multipart {
            return None;
        }
        for parameter in self.content_type.split(';').skip(1) {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            if name.trim().eq_ignore_ascii_case("boundary") {
                let boundary = value.trim().trim_matches('"').as_bytes();
                return if boundary.is_empty() { None } else { Some(boundary) };
            }
        }
        None
    }
}

/// `true` for a list of content codings that leaves the body as it is (RFC 9110 §8.4).
fn is_identity(content_encoding: &str) -> bool {
    content_encoding
        .split(',')
        .map(str::trim)
        .all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
}

/// The media type of a content type, without regard to its parameters (RFC 9110 §8.3.1), if it is one of `accepted`.
fn find_media(content_type: &str, accepted: &[Media]) -> Option<Media> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    accepted.iter().copied().find(|media| media.as_str().eq_ignore_ascii_case(essence))
}
