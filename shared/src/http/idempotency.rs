//! The side of idempotency that is HTTP: which request is a repeat, and its response. `repositories/idempotency.rs`
//! describes the protocol as a whole.
//!
//! The handler of an endpoint whose repeats are replayed or refused writes the record itself, in the same transaction as
//! the changes that the response describes; [`Request::idempotency_record`] prepares it. The pipeline looks the record up
//! before it calls the handler, and once more if a concurrent send of the same request has committed meanwhile.

use std::time::Duration;

use ring::digest::{Context, SHA256};

use crate::app::RequestContext;
use crate::endpoint::Repeat;
use crate::repositories::{IdempotencyKey, IdempotencyRecord, StoredResponse};

use super::body::Body;
use super::error::ApiError;
use super::request::Request;
use super::response::Response;
use super::serve::Handler;

/// The part of a request's time that is reserved for releasing its lock.
const LOCK_RELEASE_RESERVE: Duration = Duration::from_secs(1);

/// Calls the handler, unless the request repeats an earlier one with the same key.
pub(super) async fn respond(
    ctx: &RequestContext,
    handler: impl Handler,
    request: Request,
    key: &IdempotencyKey,
    repeat: Repeat,
) -> Result<Response, ApiError> {
    match repeat {
        Repeat::Replayed => match handle_first(ctx, handler, request, key).await? {
            Outcome::First(response) => Ok(response),
            Outcome::Recorded(stored) => replay(&stored),
        },
        Repeat::Refused(kind) => match handle_first(ctx, handler, request, key).await? {
            Outcome::First(response) => Ok(response),
            Outcome::Recorded(_) => Err(ApiError::AlreadyCreated(kind)),
        },
        Repeat::Run => handle_alone(ctx, handler, request, key).await,
    }
}

/// The outcome of a request whose key may have been used before.
enum Outcome {
    /// The request is the first with its key; holds its response.
    First(Response),
    /// The request repeats an earlier one; holds the record of that.
    Recorded(StoredResponse),
}

/// Calls the handler unless the key has a record.
///
/// # Errors
/// [`ApiError::KeyReused`] if the record belongs to another request, or the handler's.
async fn handle_first(
    ctx: &RequestContext,
    handler: impl Handler,
    request: Request,
    key: &IdempotencyKey,
) -> Result<Outcome, ApiError> {
    let records = ctx.idempotency_records(request.principal());
    let fingerprint = request.fingerprint();
    if let Some(stored) = records.find(key).await? {
        return repeat_of(stored, &fingerprint);
    }
    match handler(ctx.clone(), request).await {
        // A concurrent request with this key committed first, and this one wrote nothing.
        Err(ApiError::AlreadyCompleted) => match records.find(key).await? {
            Some(stored) => repeat_of(stored, &fingerprint),
            None => Err(ApiError::AlreadyCompleted),
        },
        result => result.map(Outcome::First),
    }
}

/// The outcome for a key that has a record, which may belong to another request.
fn repeat_of(stored: StoredResponse, fingerprint: &str) -> Result<Outcome, ApiError> {
    if stored.fingerprint == fingerprint { Ok(Outcome::Recorded(stored)) } else { Err(ApiError::KeyReused) }
}

/// The stored response, with a header that marks it as a replay.
fn replay(stored: &StoredResponse) -> Result<Response, ApiError> {
    let response: Response = serde_json::from_str(&stored.response)
        .map_err(|_| ApiError::Internal("a stored response cannot be read".to_owned()))?;
    Ok(response.with("idempotent-replayed", "true"))
}

/// Calls the handler while the key is locked, so that no other request with this key runs at the same time.
///
/// # Errors
/// [`ApiError::InProgress`] or [`ApiError::KeyReused`] if another request holds the lock, or the handler's.
async fn handle_alone(
    ctx: &RequestContext,
    handler: impl Handler,
    request: Request,
    key: &IdempotencyKey,
) -> Result<Response, ApiError> {
    let records = ctx.idempotency_records(request.principal());
    let lock = records.lock(key, &request.fingerprint()).await?;
    let result = handler(ctx.with_earlier_deadline(LOCK_RELEASE_RESERVE), request).await;
    // A lock that cannot be released expires by itself; the request has its response either way.
    let _ = records.release(key, &lock).await;
    result
}

impl Request {
    /// The key of the request within its organization, if it was sent with one.
    pub(super) fn idempotency_key(&self) -> Option<IdempotencyKey> {
        let key = self.headers.idempotency_key.clone()?;
        // Filled in again, so that all spellings of a path are one: a trailing slash, upper case, percent-encoding.
        let path = self.endpoint.path_with(|name| self.path_values.get(name).unwrap_or_default());
        Some(IdempotencyKey { method: self.endpoint.spec().method.as_str(), path, key })
    }

    /// The record to commit together with the changes that this response reports; `None` for a request without a key, an
    /// endpoint without records, or an error.
    pub fn idempotency_record(&self, response: &Response) -> Option<IdempotencyRecord> {
        if !response.is_success() {
            return None;
        }
        let idempotency_key = self.idempotency_key()?;
        let response = match self.endpoint.spec().repeat()? {
            // Serializing numbers and strings does not fail.
            Repeat::Replayed => serde_json::to_string(response).ok()?,
            // The response holds a secret, and a repeat is refused without it.
            Repeat::Refused(_) => String::new(),
            Repeat::Run => return None,
        };
        Some(IdempotencyRecord { idempotency_key, fingerprint: self.fingerprint(), response })
    }

    /// The hash of everything that a repeat has in common with the first request: query, `X-Import-ID` and body. Method
    /// and path are part of the key.
    pub(super) fn fingerprint(&self) -> String {
        let import_id = self.headers.import_id.map(|id| id.to_string()).unwrap_or_default();
        let mut fingerprint = Fingerprint(Context::new(&SHA256));
        fingerprint.add(self.raw_query.as_bytes());
        fingerprint.add(import_id.as_bytes());
        fingerprint.add_body(&self.body);
        hex::encode(fingerprint.0.finish())
    }
}

/// A hash of several parts.
struct Fingerprint(Context);

impl Fingerprint {
    /// Adds a part. Its length goes before it, so that moving bytes from one part to the next changes the hash.
    fn add(&mut self, part: &[u8]) {
        self.0.update(&part.len().to_be_bytes());
        self.0.update(part);
    }

    /// Adds a body: as a whole or, if it is a form, the parts between its boundaries. A client chooses a new boundary for
    /// every send of the same form.
    fn add_body(&mut self, body: &Body) {
        let mut rest = body.bytes.as_slice();
        if let Some(boundary) = body.boundary() {
            while let Some(at) = rest.windows(boundary.len()).position(|bytes| bytes == boundary) {
                self.add(&rest[..at]);
                rest = &rest[at + boundary.len()..];
            }
        }
        self.add(rest);
    }
}
