//! Reads an uploaded form (`multipart/form-data`, RFC 7578).

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;
use shared::http::Body;

use super::ParseError;

/// The name of the part that holds the file.
const FILE: &str = "file";

/// Returns the content of the form's one part named `file`. Other parts are ignored.
///
/// # Errors
/// The body is no form, or the form has no part or several parts of that name.
pub async fn file_of(form: &Body) -> Result<Bytes, ParseError> {
    let boundary = multer::parse_boundary(&form.content_type)
        .map_err(|_| ParseError("the form cannot be read: its Content-Type has no boundary".to_owned()))?;
    let bytes = Bytes::copy_from_slice(&form.bytes);
    let mut parts = Multipart::new(stream::iter([Ok::<_, Infallible>(bytes)]), boundary);
    let malformed = |_| ParseError("the form cannot be read: it is cut off or malformed".to_owned());
    let mut file = None;
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        if part.name() != Some(FILE) {
            continue;
        }
        let content = part.bytes().await.map_err(malformed)?;
        if file.replace(content).is_some() {
            return Err(ParseError(format!("the form has two parts named {FILE}")));
        }
    }
    file.ok_or_else(|| ParseError(format!("the form has no part named {FILE}")))
}
