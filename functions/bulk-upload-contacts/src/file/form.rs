//! An uploaded form (RFC 7578).

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;
use shared::http::Body;

use super::ParseError;

/// The part that holds the file.
const FILE: &str = "file";

/// The content of the one part named `file` of a form. Of its other parts nothing is read.
///
/// # Errors
/// No form, or not one such part.
pub(crate) async fn file_of(form: &Body) -> Result<Bytes, ParseError> {
    let boundary =
        multer::parse_boundary(&form.content_type).map_err(|_| no_form("its Content-Type has no boundary"))?;
    let bytes = Bytes::copy_from_slice(&form.bytes);
    let mut parts = Multipart::new(stream::iter([Ok::<_, Infallible>(bytes)]), boundary);
    let malformed = |_| no_form("it is cut off or malformed");
    let mut file = None;
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        if part.name() == Some(FILE) && file.replace(part.bytes().await.map_err(malformed)?).is_some() {
            return Err(ParseError(format!("the form has two parts named {FILE}")));
        }
    }
    file.ok_or_else(|| ParseError(format!("the form has no part named {FILE}")))
}

fn no_form(why: &str) -> ParseError {
    ParseError(format!("the form cannot be read: {why}"))
}
