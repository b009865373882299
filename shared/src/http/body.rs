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
    /// 415 for another media type, 413 for too many bytes.
    pub(super) fn read(event: &Event, spec: BodySpec) -> Result<Self, ApiError> {
        let content_type = event.header("content-type").unwrap_or(Media::Json.as_str());
        let media =
            find_media(content_type, spec.media).ok_or(ApiError::UnsupportedMediaType { supported: spec.media })?;
        let bytes = event.body();
        if bytes.len() > spec.limit {
            return Err(ApiError::BodyTooLarge { limit: spec.limit });
        }
        Ok(Self { media, content_type: content_type.to_owned(), bytes })
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

/// The media type of a content type, without regard to its parameters (RFC 9110 §8.3.1), if it is one of `accepted`.
fn find_media(content_type: &str, accepted: &[Media]) -> Option<Media> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    accepted.iter().copied().find(|media| media.as_str().eq_ignore_ascii_case(essence))
}
