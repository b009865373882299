//! A request that has been let in.

use sha2::{Digest, Sha256};

use crate::auth::Principal;
use crate::domain::{ActivityId, Id, ImportId, RequiredVersion, ValidationErrors};
use crate::dynamodb::SortPosition;
use crate::endpoint::{ACTIVITY_ID, Endpoint, Media, PathValues, Repeat};
use crate::repositories::{IdempotencyKey, IdempotencyRecord, Page};

use super::error::ApiError;
use super::headers::Headers;
use super::response::Response;
use crate::wire::{FromBody, FromQuery, Query, Resource, parse_json};

/// A request that has been let in: whose it is, and what it says. Its path and headers are read already.
#[derive(Debug)]
pub struct Request {
    pub(super) endpoint: Endpoint,
    pub(super) principal: Principal,
    pub(super) path: String,
    pub(super) path_values: PathValues,
    pub(super) headers: Headers,
    pub(super) raw_query: String,
    pub(super) body: Body,
}

/// A request's body: empty where the endpoint takes none.
#[derive(Debug)]
pub struct Body {
    /// Its form: one that the endpoint takes.
    pub media: Media,
    /// Its content type as it was sent, with its parameters.
    pub content_type: String,
    /// Its bytes, no more than the endpoint takes.
    pub bytes: Vec<u8>,
}

impl Body {
    /// What a repeat of it has in common with it: the bytes, but for the boundary of a form (RFC 2046 §5.1.1), which
    /// clients draw anew for every send.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let boundary = Some(&*self.content_type).filter(|_| self.media == Media::Multipart).and_then(boundary);
        let mut rest = Some(&*self.bytes);
        std::iter::from_fn(move || {
            let bytes = rest?;
            let at = boundary.and_then(|boundary| bytes.windows(boundary.len()).position(|bytes| bytes == boundary));
            let (part, after) = at
                .zip(boundary)
                .map_or((bytes, None), |(at, boundary)| (&bytes[..at], Some(&bytes[at + boundary.len()..])));
            rest = after;
            Some(part)
        })
    }
}

/// The boundary that a form's content type names.
fn boundary(content_type: &str) -> Option<&[u8]> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut boundaries = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"));
    let boundary = boundaries.next()?.1.trim().trim_matches('"');
    Some(boundary.as_bytes()).filter(|boundary| !boundary.is_empty())
}

impl Default for Body {
    fn default() -> Self {
        Self { media: Media::Json, content_type: String::new(), bytes: Vec::new() }
    }
}

impl Request {
    /// Whose request it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The id in the path.
    ///
    /// # Errors
    /// 400 for what is no UUID. The edge has refused that before; asking again keeps this honest.
    pub fn path_id<T: Id>(&self) -> Result<T, ApiError> {
        T::parse(self.path_values.get(T::NAME).unwrap_or_default()).map_err(|fault| ApiError::invalid(T::NAME, fault))
    }

    /// The activity in the path.
    ///
    /// # Errors
    /// 400 for what is no activity's id.
    pub fn activity_id(&self) -> Result<ActivityId, ApiError> {
        let id = self.path_values.get(ACTIVITY_ID).unwrap_or_default();
        ActivityId::parse(id).map_err(|fault| ApiError::invalid(ACTIVITY_ID, fault))
    }

    /// The import that `X-Import-ID` names.
    pub fn import_id(&self) -> Option<ImportId> {
        self.headers.import_id
    }

    /// The version that `If-Match` requires.
    pub fn required_version(&self) -> Option<&RequiredVersion> {
        self.headers.if_match.as_ref()
    }

    /// What the query says.
    ///
    /// # Errors
    /// 400 with everything that is wrong with it.
    pub fn query<T: FromQuery>(&self) -> Result<T, ApiError> {
        let mut errors = ValidationErrors::default();
        let value = T::read(&Query::parse(&self.raw_query), &mut errors);
        Ok(errors.finish(Some(value))?)
    }

    /// What the body says.
    ///
    /// # Errors
    /// 400 with everything that is wrong with it.
    pub fn body<T: FromBody>(&self) -> Result<T, ApiError> {
        Ok(T::from_body(parse_json(&self.body.bytes)?)?)
    }

    /// The body as it was sent, where an endpoint reads other forms than JSON.
    pub fn sent(&self) -> &Body {
        &self.body
    }

    /// The answer of a list: a page's rows, and where the next page is, if there is one: the same query with another
    /// cursor.
    pub fn list(&self, page: &Page<impl Resource, impl SortPosition>) -> Response {
        let next = page.next.as_ref().map(|cursor| {
            let query = Query::parse(&self.raw_query).with_cursor(cursor);
            format!("{}/?{query}", self.endpoint.spec().path)
        });
        Response::list(&page.rows).with_next(next)
    }

    /// The answer to keep under the request's `Idempotency-Key`, if it has one.
    pub fn idempotency_record(&self, response: &Response) -> Option<IdempotencyRecord> {
        let idempotency_key = self.idempotency_key().filter(|_| response.is_success())?;
        let response = match self.endpoint.spec().repeat()? {
            // A response is texts and numbers: there is nothing in it that JSON could not hold.
            Repeat::Replayed => serde_json::to_string(response).ok()?,
            // That there was one is all there is to keep: it may hold a secret.
            Repeat::Refused(_) => String::new(),
            Repeat::Run => return None,
        };
        Some(IdempotencyRecord { idempotency_key, fingerprint: self.fingerprint(), response })
    }

    /// Where the answer to the request's `Idempotency-Key` is kept, if it has one.
    pub(super) fn idempotency_key(&self) -> Option<IdempotencyKey> {
        let key = self.headers.idempotency_key.clone()?;
        Some(IdempotencyKey { method: self.endpoint.spec().method.as_str(), path: self.path.clone(), key })
    }

    /// What tells a repeated request from another one under the same key.
    pub(super) fn fingerprint(&self) -> String {
        let import_id = self.headers.import_id.map(|id| id.to_string()).unwrap_or_default();
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        };
        add(self.raw_query.as_bytes());
        add(import_id.as_bytes());
        self.body.parts().for_each(add);
        hex::encode(hash.finalize())
    }
}
