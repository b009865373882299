//! A request that may call its endpoint.

use crate::auth::Principal;
use crate::domain::{ActivityId, Id, ImportId, RequiredVersion, ValidationErrors};
use crate::dynamodb::SortPosition;
use crate::endpoint::{ACTIVITY_ID, Endpoint, PathValues};
use crate::repositories::Page;
use crate::wire::{FromBody, FromQuery, JsonRow, MAX_VALUES, Query, parse_json};

use super::body::Body;
use super::error::ApiError;
use super::headers::Headers;
use super::response::Response;

/// An authenticated and authorized request. Its path and headers are valid; query and body are parsed by the handler, which
/// knows their types.
#[derive(Debug)]
pub struct Request {
    pub(super) endpoint: Endpoint,
    pub(super) principal: Principal,
    /// The values in the path, each in its canonical form.
    pub(super) path_values: PathValues,
    pub(super) headers: Headers,
    pub(super) raw_query: String,
    pub(super) body: Body,
}

impl Request {
    /// The authenticated caller.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The id in the path that names a resource of this kind.
    ///
    /// # Errors
    /// 400 for text that is not a UUID. The pipeline has checked that already, so the error shows a handler that reads an
    /// id which its route does not have.
    pub fn path_id<T: Id>(&self) -> Result<T, ApiError> {
        let id = self.path_values.get(T::NAME).unwrap_or_default();
        T::parse(id).map_err(|kind| ApiError::invalid(T::NAME, kind))
    }

    /// The id of an activity in the path.
    ///
    /// # Errors
    /// 400, as [`Request::path_id`].
    pub fn activity_id(&self) -> Result<ActivityId, ApiError> {
        let id = self.path_values.get(ACTIVITY_ID).unwrap_or_default();
        ActivityId::parse(id).map_err(|kind| ApiError::invalid(ACTIVITY_ID, kind))
    }

    /// The import in `X-Import-ID`.
    pub fn import_id(&self) -> Option<ImportId> {
        self.headers.import_id
    }

    /// The version that `If-Match` requires.
    pub fn required_version(&self) -> Option<&RequiredVersion> {
        self.headers.if_match.as_ref()
    }

    /// Parses the query.
    ///
    /// # Errors
    /// 400 with all validation errors of the query.
    pub fn query<T: FromQuery>(&self) -> Result<T, ApiError> {
        let mut errors = ValidationErrors::default();
        let value = T::read(&Query::parse(&self.raw_query), &mut errors);
        Ok(errors.finish(Some(value))?)
    }

    /// Parses a JSON body.
    ///
    /// # Errors
    /// 400 with all validation errors of the body.
    pub fn body<T: FromBody>(&self) -> Result<T, ApiError> {
        Ok(T::from_body(parse_json(&self.body.bytes, MAX_VALUES)?)?)
    }

    /// The body as it was sent, for an endpoint that accepts other media types than JSON.
    pub fn raw_body(&self) -> &Body {
        &self.body
    }

    /// The response of a list: the rows of a page, and a link to the next page with the same query and another cursor.
    pub fn list(&self, page: &Page<JsonRow, impl SortPosition>) -> Response {
        let next = page.next.as_ref().map(|cursor| Query::parse(&self.raw_query).with_cursor(cursor));
        Response::list(&page.rows).with_next(&format!("{}/", self.endpoint.spec().path), next)
    }
}
