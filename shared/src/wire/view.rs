//! The JSON of responses: the view of a resource, a message, or an error.

use serde::Serialize;

/// A resource that a response can show.
pub trait Resource {
    /// The JSON of the resource.
    fn view(&self) -> impl Serialize;

    /// The version, for the `ETag`; `None` for a resource without versions.
    fn version(&self) -> Option<u64> {
        None
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
