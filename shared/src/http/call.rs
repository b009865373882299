//! A request that has been let in.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::auth::Principal;
use crate::domain::{ActivityId, Id, ImportId, RequiredVersion, Violations};
use crate::endpoint::{ACTIVITY_ID, Endpoint, Media, PathValues, Repeat};
use crate::table::{Page, Place, Receipt, Slot};

use super::error::ApiError;
use super::headers::Headers;
use super::query::Query;
use super::reply::{Reply, Resource};

/// A request that has been let in: whose it is, and what it says. Its path and headers are read already.
#[derive(Debug)]
pub struct Call {
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

/// A value that comes out of a request's body.
pub trait FromBody: Sized {
    /// The body's fields.
    type Wire: DeserializeOwned;

    /// Reads the value out of the body's fields.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    fn from_wire(wire: Self::Wire) -> Result<Self, Violations>;

    /// Reads the value out of well-formed JSON: one object with the fields, unless a body has another form.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn from_body(body: &RawValue) -> Result<Self, Violations> {
        Self::from_wire(wire(body)?)
    }
}

/// The fields of a JSON object. A field takes any value, so nothing is wrong yet but the object itself.
///
/// # Errors
/// No object, which serde would not see (it reads an array into a struct's fields), or a field that stands there twice.
pub(super) fn wire<T: DeserializeOwned>(body: &RawValue) -> Result<T, Violations> {
    if !body.get().starts_with('{') {
        return Err(Violations::one("body", "must be a JSON object"));
    }
    // All that is left to fail is a field that stands there twice, or a name that is no Unicode text, which the syntax
    // allows.
    serde_json::from_str(body.get()).map_err(|error| {
        let twice = error.is_data();
        Violations::one("body", if twice { "must not have a field twice" } else { "must hold only valid Unicode text" })
    })
}

/// Reads the elements of a body that is an array, each by itself.
///
/// # Errors
/// No array.
pub(super) fn elements(body: &RawValue) -> Result<Vec<&RawValue>, Violations> {
    serde_json::from_str(body.get()).map_err(|_| Violations::one("body", "must be a JSON array"))
}

pub(super) fn malformed(error: &serde_json::Error) -> Violations {
    Violations::one("body", format_args!("is not valid JSON (line {}, column {})", error.line(), error.column()))
}

/// A value that comes out of a request's query.
pub trait FromQuery: Sized {
    /// Reads the value, noting every fault. What it returns beside a fault is not used.
    fn read(query: &Query, violations: &mut Violations) -> Self;
}

impl Call {
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
        let mut violations = Violations::default();
        let value = T::read(&Query::parse(&self.raw_query), &mut violations);
        Ok(violations.finish(Some(value))?)
    }

    /// What the body says.
    ///
    /// # Errors
    /// 400 with everything that is wrong with it.
    pub fn body<T: FromBody>(&self) -> Result<T, ApiError> {
        let body: &RawValue = serde_json::from_slice(&self.body.bytes).map_err(|error| malformed(&error))?;
        Ok(T::from_body(body)?)
    }

    /// The body as it was sent, where an endpoint reads other forms than JSON.
    pub fn sent(&self) -> &Body {
        &self.body
    }

    /// The answer of a list: a page's rows, and where the next page is, if there is one: the same query with another
    /// cursor.
    pub fn list(&self, page: &Page<impl Resource, impl Place>) -> Reply {
        let next = page.next.as_ref().map(|cursor| {
            let query = Query::parse(&self.raw_query).with_cursor(cursor);
            format!("{}/?{query}", self.endpoint.spec().path)
        });
        Reply::list(&page.rows).with_next(next)
    }

    /// The answer to keep under the request's `Idempotency-Key`, if it has one.
    pub fn receipt(&self, reply: &Reply) -> Option<Receipt> {
        let slot = self.slot().filter(|_| reply.is_success())?;
        let answer = match self.endpoint.spec().repeat()? {
            // A reply is texts and numbers: there is nothing in it that JSON could not hold.
            Repeat::Replayed => serde_json::to_string(reply).ok()?,
            // That there was one is all there is to keep: it may hold a secret.
            Repeat::Refused(_) => String::new(),
            Repeat::Run => return None,
        };
        Some(Receipt { slot, fingerprint: self.fingerprint(), answer })
    }

    /// Where the answer to the request's `Idempotency-Key` is kept, if it has one.
    pub(super) fn slot(&self) -> Option<Slot> {
        let key = self.headers.idempotency_key.clone()?;
        Some(Slot { method: self.endpoint.spec().method.as_str(), path: self.path.clone(), key })
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
