//! The route table: every endpoint, declared once.
//!
//! An endpoint is one entry in `table.rs`. What else has to know about it derives from that entry:
//!
//! - the request pipeline reads route, scope, body limits and headers from it;
//! - `cargo xtask sync` generates `shared/openapi.json`, the router of `cargo lambda watch` in `Cargo.toml` and the function
//!   in `template.yaml` with its routes and its IAM policy;
//! - the folder, the package, the deployed function, the example event and the operation are named after the variant
//!   of [`Endpoint`];
//! - the contract tests, the rules for every endpoint and the black-box tests visit [`Endpoint::ALL`].
//!
//! The types of bodies enter the table only with the feature `openapi`, as functions that describe them, so that the
//! functions carry no schema.

mod action;
mod body;
mod grant;
mod path;
mod table;

use std::fmt::Display;

use strum::VariantArray;

pub use action::Action;
#[cfg(feature = "openapi")]
pub use body::Described;
pub use body::{BodySpec, Media, ResponseBody, Shape, Success};
pub use grant::Grant;
pub use path::PathValues;
pub use table::Endpoint;

use crate::domain::{ActivityId, ImportId, Kind, Scope};
use crate::dynamodb::keys::Partition;
use crate::wire::param::Param;

/// The name of the only path parameter that is not a UUID.
pub const ACTIVITY_ID: &str = ActivityId::NAME;

/// The name of the function that serves no endpoint: it reads the table's stream and deletes the children of deleted
/// parents.
pub const WORKER: &str = "cascade-delete";

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates.
    Post,
    /// Changes the fields that are sent.
    Put,
    /// Merges the fields that are sent into a part of the resource.
    Patch,
    /// Deletes.
    Delete,
}

impl Method {
    /// The spelling in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The treatment of a request that repeats the `Idempotency-Key` of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It gets the stored response of the first request, for 24 hours.
    Replayed,
    /// It runs again, which is harmless, but not while the first request is in progress.
    Run,
    /// It is refused, for 24 hours, because the first request created a resource of this kind. The first response is not
    /// stored: it holds a secret.
    Refused(Kind),
}

/// The maximum length of an `Idempotency-Key`.
pub const MAX_IDEMPOTENCY_KEY: usize = 255;
/// The maximum length of an `X-Request-ID` that the response and the log repeat.
pub const MAX_REQUEST_ID: usize = 128;

/// A request header that an endpoint reads, beside the credentials and `X-Request-ID`, which every endpoint reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The import of a new contact.
    ImportId,
    /// The client's key for a request that it may send twice.
    IdempotencyKey(Repeat),
    /// The version that a write requires.
    IfMatch,
    /// The response that the client has already.
    IfNoneMatch,
}

impl Header {
    /// The documented spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ImportId => ImportId::HEADER,
            Self::IdempotencyKey(_) => "Idempotency-Key",
            Self::IfMatch => "If-Match",
            Self::IfNoneMatch => "If-None-Match",
        }
    }
}

/// A 409 of an endpoint that no other part of its entry implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// Another contact has the email.
    EmailTaken,
    /// The organization has as many active campaigns as it may have.
    TooManyActiveCampaigns,
    /// The API key is the last one by which the organization can manage its keys.
    LastAdminKey,
}

/// Everything that is fixed about an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Its effect, in one line.
    pub summary: &'static str,
    /// Further sentences for clients, in Markdown.
    pub description: &'static str,
    /// The method.
    pub method: Method,
    /// The path without a trailing slash. The endpoint is also served with one.
    pub path: &'static str,
    /// The scope that a credential needs.
    pub scope: Scope,
    /// The request body, if there is one.
    pub body: Option<BodySpec>,
    /// The response of success.
    pub success: Success,
    /// The headers that it reads.
    pub headers: &'static [Header],
    /// The query parameters that it reads.
    pub query: &'static [Param],
    /// The conflicts of its own.
    pub conflicts: &'static [Conflict],
    /// The actions on the items of organizations that it needs. A transaction is authorized by the actions of its items.
    pub table: &'static [Action],
    /// The actions on API keys that it needs beside the look-up of the credential.
    pub api_keys: &'static [Action],
    /// The actions that it needs on one kind of partition of an organization, and not on its other items.
    pub partitions: &'static [(Action, Partition)],
    /// The names of the table's indexes that it queries.
    pub indexes: &'static [&'static str],
    /// The calls of the table that it makes at once at first. As many connections are opened before the first request.
    pub connections: usize,
    /// The function's memory in MB, where it differs from the template's default. Memory buys CPU in proportion.
    pub memory: Option<u32>,
    /// The name of its own limits, if it could take the capacity of the other endpoints: with `Bulk`, the template's
    /// parameters `BulkConcurrency`, `BulkRateLimit` and `BulkRateLimitBurst` bound the function and its route.
    pub own_limits: Option<&'static str>,
}

impl Spec {
    /// The values of an entry's optional fields. Scope and method are the strictest.
    const DEFAULT: Self = Self {
        summary: "",
        description: "",
        method: Method::Get,
        path: "",
        scope: Scope::Admin,
        body: None,
        success: Success::message(),
        headers: &[],
        query: &[],
        conflicts: &[],
        table: &[],
        api_keys: &[],
        partitions: &[],
        indexes: &[],
        connections: 1,
        memory: None,
        own_limits: None,
    };

    /// Fails the build for an entry without its own path and description.
    const fn checked(self) -> Self {
        assert!(!self.description.is_empty(), "an endpoint has a description for clients");
        let path = self.path.as_bytes();
        assert!(
            matches!(path, [b'/', .., last] if *last != b'/'),
            "an endpoint's path is `/…`, without a slash at its end"
        );
        self
    }

    /// The first segment of the path, which names the kind of resource: `contacts`.
    pub fn resource(&self) -> &'static str {
        self.path.split('/').nth(1).unwrap_or_default()
    }

    /// The names of the ids in the path.
    pub fn path_ids(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('/').filter_map(path::parameter)
    }

    /// The treatment of a repeated `Idempotency-Key`, if the endpoint reads the header.
    pub fn repeat(&self) -> Option<Repeat> {
        self.headers.iter().find_map(|header| match header {
            Header::IdempotencyKey(repeat) => Some(*repeat),
            Header::ImportId | Header::IfMatch | Header::IfNoneMatch => None,
        })
    }

    /// Whether an unknown import in `X-Import-ID` is a 404. An endpoint that responds 207 proceeds without the import.
    pub fn requires_import(&self) -> bool {
        self.headers.contains(&Header::ImportId) && !self.success.also.contains(&207)
    }

    /// Whether the response is one page of several.
    pub fn is_paged(&self) -> bool {
        self.query.iter().any(|param| matches!(param.name, "page" | "cursor"))
    }
}

impl Endpoint {
    /// Every endpoint, in the order of the documentation.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name of the folder, the package, the deployed function and the example event: `create-contact`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The name of the operation in OpenAPI and in the logs: `create_contact`.
    pub fn operation_id(self) -> String {
        self.name().replace('-', "_")
    }

    /// The function's logical id in `template.yaml`: `CreateContactFunction`.
    pub fn logical_id(self) -> String {
        format!("{self:?}Function")
    }

    /// The path with the value of each of its parameters, which `value` finds by name.
    pub fn path_with<V: Display>(self, value: impl Fn(&'static str) -> V) -> String {
        path::fill(self.spec().path, value)
    }

    /// The values of the path's parameters; `None` for the path of another endpoint.
    pub fn path_values(self, path: &str) -> Option<PathValues> {
        PathValues::parse(self.spec().path, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_named_after_its_variant() {
        let endpoint = Endpoint::BulkUploadContacts;
        assert_eq!(endpoint.name(), "bulk-upload-contacts");
        assert_eq!(endpoint.operation_id(), "bulk_upload_contacts");
        assert_eq!(endpoint.logical_id(), "BulkUploadContactsFunction");
    }
}
