//! The JSON of responses: the view of a resource, a message, or an error.

use std::fmt;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::repositories::{PageRow, escaped_len};

/// A resource that a response can show.
pub trait Resource {
    /// The JSON of the resource.
    fn view(&self) -> impl Serialize;

    /// The version, for the `ETag`; `None` for a resource without versions.
    fn version(&self) -> Option<u64> {
        None
    }
}

/// The JSON of one resource among others in a response, serialized once: to measure it and to send it.
#[derive(Serialize)]
#[serde(transparent)]
pub struct JsonRow(Box<RawValue>);

impl<T: Resource> PageRow<T> for JsonRow {
    #[expect(
        clippy::expect_used,
        reason = "only a map whose keys are not strings cannot be serialized, and no view has one"
    )]
    fn of(resource: T) -> Self {
        Self(to_raw_value(&resource.view()).expect("a view can be serialized"))
    }

    fn escaped_len(&self) -> usize {
        escaped_len(&self.0)
    }
}

impl JsonRow {
    /// The JSON.
    pub(crate) fn as_str(&self) -> &str {
        self.0.get()
    }
}

/// Shows nothing: the JSON holds personal data.
impl fmt::Debug for JsonRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonRow(…)")
    }
}

/// The body of every error.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Error))]
pub(crate) struct Detail<'a> {
    /// What went wrong, in one sentence.
    #[cfg_attr(feature = "openapi", schema(examples("Validation error: email field is required")))]
    pub(crate) detail: &'a str,
}

/// The confirmation of a request whose response shows no resource.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Message {
    /// What was done, in one sentence.
    #[cfg_attr(feature = "openapi", schema(examples("Contacto 550e8400-e29b-41d4-a716-446655440000 eliminado")))]
    pub(crate) message: String,
}
